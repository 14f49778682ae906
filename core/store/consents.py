"""Who agreed that models learn from what they say, and who said that they do not: by their own word."""

from core.store.client import Client
from core.store.forget import Person

_YES, _NO = b"yes", b"no"


class Consents:
    """Those of one store. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = client.keys.value("consents")

    async def say(self, person: Person, *, agrees: bool) -> None:
        """Note what they said last, on disk when this returns."""
        word = _YES if agrees else _NO
        await self._client.ask("HSET", self._key, str(person), word, key=self._key, commit=True)

    async def forget(self, person: Person) -> None:
        """As if they had never said anything about it."""
        await self._client.ask("HDEL", self._key, str(person), key=self._key, commit=True)

    async def agreed(self, besides: frozenset[Person]) -> frozenset[Person]:
        """Who agreed, with those of `besides` who did not say otherwise."""
        said: dict[bytes, bytes] = await self._client.ask("HGETALL", self._key, key=self._key)
        by_word: dict[bytes, set[Person]] = {_YES: set(), _NO: set()}
        for name, word in said.items():
            platform, _, person = name.decode().partition("/")
            by_word[word].add(Person(platform, person))
        return (besides - by_word[_NO]) | by_word[_YES]
