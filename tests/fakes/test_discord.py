"""The loopback Discord, asked by the real SDK: it behaves as the platform does, also where that is unkind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import discord
import pytest
import yarl

from tests.fakes.discord import LIMIT, FakeDiscord


class Client(discord.Client):
    """Keeps what it is told."""

    def __init__(self, **options: object) -> None:
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
        super().__init__(intents=intents, guild_ready_timeout=0.05)
        self.heard: list[discord.Message] = []
        self.commands: list[discord.Interaction] = []
        self.fake: FakeDiscord | None = None

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)
        self._wake()

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.commands.append(interaction)
        self._wake()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Without the five seconds that discord.py waits."""

    @property
    def said(self) -> list[str]:
        return [message.content for message in self.heard]

    def _wake(self) -> None:
        if self.fake is not None:
            self.fake.world.wake()


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as running:
        discord.http.Route.BASE = running.api_base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(running.gateway_url)
        yield running


@pytest.fixture
async def rest(fake: FakeDiscord) -> AsyncIterator[Client]:
    """A client that is logged in and does not listen."""
    async with Client() as client:
        await client.login(fake.token)
        yield client


@asynccontextmanager
async def listening(fake: FakeDiscord) -> AsyncIterator[Client]:
    async with Client() as client, asyncio.TaskGroup() as group:
        client.fake = fake
        task = group.create_task(client.start(fake.token))
        await fake.until_connected()
        yield client
        task.cancel()


def channel(client: Client, fake: FakeDiscord, name: str = "general") -> discord.PartialMessageable:
    return client.get_partial_messageable(int(fake.world.named(name).id), guild_id=int(fake.world.guild))


async def test_message_reaches_a_listening_client(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.say("hello", room="general")
        await fake.until(lambda: client.said == ["hello"])


async def test_what_a_client_sends_stands_in_the_room_and_comes_back_to_it(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        sent = await channel(client, fake).send("good morning")
        assert fake.shown("general") == ["good morning"]
        await fake.until(lambda: client.said == ["good morning"])
        await sent.edit(content="good evening")
        assert fake.shown("general") == ["good evening"]


async def test_wrong_token_is_refused_by_both_doors(fake: FakeDiscord) -> None:
    with pytest.raises(discord.LoginFailure):
        async with Client() as client:
            await client.login("wrong")
    async with Client() as client:
        await client.login(fake.token)
        client.http.token = "wrong"
        with pytest.raises(discord.ConnectionClosed) as refused:
            await client.connect(reconnect=False)
    assert refused.value.code == 4004


async def test_content_intent_must_be_allowed(fake: FakeDiscord) -> None:
    fake.disallow_content()
    async with Client() as client:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await client.start(fake.token)


async def test_text_is_limited_in_code_points(rest: Client, fake: FakeDiscord) -> None:
    await channel(rest, fake).send("🦞" * LIMIT)
    with pytest.raises(discord.HTTPException) as refused:
        await channel(rest, fake).send("x" * (LIMIT + 1))
    assert (refused.value.status, refused.value.code) == (400, 50035)


async def test_empty_text_is_refused(rest: Client, fake: FakeDiscord) -> None:
    with pytest.raises(discord.HTTPException) as refused:
        await channel(rest, fake).send(" \n ")
    assert refused.value.code == 50006


async def test_known_nonce_gives_the_message_of_the_first_send(rest: Client, fake: FakeDiscord) -> None:
    first = await channel(rest, fake).send("once", nonce="a")
    again = await channel(rest, fake).send("twice", nonce="a")
    assert (first.id, fake.shown("general")) == (again.id, ["once"])
    fake.rest.forget_nonces()
    await channel(rest, fake).send("later", nonce="a")
    assert fake.shown("general") == ["once", "later"]


async def test_too_long_nonce_is_refused(rest: Client, fake: FakeDiscord) -> None:
    with pytest.raises(discord.HTTPException):
        await channel(rest, fake).send("x", nonce="n" * 26)
    fake.wrong.clear()  # by Discord's own description too


async def test_room_without_the_bot_is_closed_to_it(rest: Client, fake: FakeDiscord) -> None:
    fake.remove_bot("general")
    with pytest.raises(discord.Forbidden) as refused:
        await channel(rest, fake).send("x")
    assert refused.value.code == 50001


async def test_room_that_nobody_knows_is_not_found(rest: Client) -> None:
    with pytest.raises(discord.NotFound) as refused:
        await rest.get_partial_messageable(1).send("x")
    assert refused.value.code == 10003


async def test_deleted_message_cannot_be_edited(rest: Client, fake: FakeDiscord) -> None:
    sent = await channel(rest, fake).send("x")
    fake.delete(str(sent.id))
    with pytest.raises(discord.NotFound) as refused:
        await sent.edit(content="y")
    assert refused.value.code == 10008


async def test_mentions_call_people_unless_they_are_not_allowed_to(rest: Client, fake: FakeDiscord) -> None:
    await channel(rest, fake).send("@everyone")
    await channel(rest, fake).send("@here", allowed_mentions=discord.AllowedMentions.none())
    assert fake.rest.pinged == ["@everyone"]


async def test_history_gives_what_came_after_a_message(rest: Client, fake: FakeDiscord) -> None:
    first = fake.say("one", room="general")
    fake.say("two", room="general")
    fake.say("three", room="general")
    found = [message.content async for message in channel(rest, fake).history(after=discord.Object(int(first)))]
    assert found == ["two", "three"]


async def test_limit_of_a_channel_is_told_and_enforced(rest: Client, fake: FakeDiscord) -> None:
    fake.rest.limited = True
    headers = {"Authorization": f"Bot {fake.token}"}
    url = f"{fake.api_base}/channels/{fake.world.named('general').id}/messages"
    async with aiohttp.ClientSession(headers=headers) as session:
        answers = []
        for number in range(6):
            async with session.post(url, json={"content": str(number)}) as answer:
                answers.append((answer.status, answer.headers.get("X-RateLimit-Remaining")))
                last = answer.headers
    assert answers == [*((200, str(left)) for left in (4, 3, 2, 1, 0)), (429, "0")]
    assert last["X-RateLimit-Scope"] == "user"
    assert 0 < float(last["Retry-After"]) <= 5


async def test_sdk_waits_out_a_429_and_repeats_after_a_500(rest: Client, fake: FakeDiscord) -> None:
    fake.fail("POST", "/messages", "429", "500")
    await channel(rest, fake).send("at last", nonce="k")
    assert fake.shown("general") == ["at last"]
    assert len(fake.calls("POST", "/messages")) == 3


@pytest.mark.parametrize(("fault", "stands"), [("cut before", []), ("cut after", ["x"])])
async def test_cut_connection_may_have_done_its_work(
    rest: Client, fake: FakeDiscord, fault: str, stands: list[str]
) -> None:
    fake.fail("POST", "/messages", fault)  # type: ignore[arg-type]
    with pytest.raises(aiohttp.ClientError):
        await channel(rest, fake).send("x")
    assert fake.shown("general") == stands


async def test_held_call_is_answered_when_it_is_let_go(rest: Client, fake: FakeDiscord) -> None:
    async with asyncio.TaskGroup() as group:
        with fake.hold("POST", "/messages"):
            group.create_task(channel(rest, fake).send("slow"))
            await fake.until(lambda: len(fake.calls("POST", "/messages")) == 1)
            assert fake.shown("general") == []
        await fake.until(lambda: fake.shown("general") == ["slow"])


async def test_dropped_session_is_resumed_and_misses_nothing(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.gateway.drop()
        fake.say("while away", room="general")
        await fake.until(lambda: client.said == ["while away"])
        assert fake.gateway.resumed == 1


async def test_client_that_is_asked_to_reconnect_resumes(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.gateway.reconnect()
        fake.say("meanwhile", room="general")
        await fake.until(lambda: client.said == ["meanwhile"] and fake.gateway.resumed == 1)


async def test_lost_session_misses_what_is_said_meanwhile(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.gateway.invalidate()
        fake.say("missed", room="general")
        await fake.until(lambda: fake.gateway.identified == 2)
        fake.say("heard", room="general")
        await fake.until(lambda: client.said == ["heard"])


async def test_refused_handshake_ends_the_sdk_for_good(fake: FakeDiscord) -> None:
    fake.gateway.refuse(1)
    async with Client() as client:
        with pytest.raises(AttributeError):
            await client.start(fake.token)


@pytest.mark.parametrize("kind", ["text", "event"])
async def test_garbage_ends_the_sdk_for_good(fake: FakeDiscord, kind: str) -> None:
    async with Client() as client, asyncio.TaskGroup() as group:

        async def spoil() -> None:
            await fake.until_connected()
            fake.gateway.garbage(kind)  # type: ignore[arg-type]

        group.create_task(spoil())
        with pytest.raises((KeyError, ValueError)):
            await client.start(fake.token)


async def test_messages_can_come_twice_and_out_of_order(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        first = fake.say("first", room="general", deliver=False)
        fake.say("second", room="general")
        fake.redeliver(first)
        fake.redeliver(first)
        await fake.until(lambda: client.said == ["second", "first", "first"])


async def test_command_is_deferred_and_answered(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        asked = fake.command("reset", room="general")
        await fake.until(lambda: len(client.commands) == 1)
        command = client.commands[0]
        await command.response.defer()
        assert (asked.answer, fake.shown("general")) == (5, [])
        await command.edit_original_response(content="done")
        assert fake.shown("general") == ["done"]


async def test_command_is_answered_once_and_in_time(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        late = fake.command("help", room="general")
        await fake.until(lambda: len(client.commands) == 1)
        late.made -= 4
        with pytest.raises(discord.NotFound) as refused:
            await client.commands[0].response.defer()
        assert refused.value.code == 10062


async def test_whisper_is_seen_by_one_person_alone(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.command("help", room="general", person="bob")
        await fake.until(lambda: len(client.commands) == 1)
        await client.commands[0].response.send_message("psst", ephemeral=True)
        assert fake.whispered("bob") == ["psst"]
        assert fake.shown("general") == []
        found = [message async for message in channel(client, fake).history()]
        assert found == []


async def test_thread_is_joined_by_speaking_in_it(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.world.thread("topic")
        guild = int(fake.world.guild)
        await channel(client, fake, "topic").send("hello")
        await fake.until(lambda: client.said == ["hello"])
        found = client.get_guild(guild)
        assert found is not None
        thread = found.get_thread(int(fake.world.named("topic").id))
        assert thread is not None
        assert thread.me is not None


async def test_request_that_discord_does_not_know_fails_the_test_that_made_it() -> None:
    with pytest.raises(AssertionError, match="does not know"):
        async with FakeDiscord() as fake:
            fake.wrong.append("GET /nothing")


async def test_waiting_in_vain_says_what_was_seen(fake: FakeDiscord) -> None:
    fake.say("only this", room="general")
    with pytest.raises(AssertionError, match="only this"):
        await fake.until(lambda: False, within=0.01)


async def test_fake_is_left_while_a_client_listens() -> None:
    async with FakeDiscord() as fake:
        discord.http.Route.BASE = fake.api_base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(fake.gateway_url)
        async with Client() as client, asyncio.TaskGroup() as group:
            task = group.create_task(client.start(fake.token))
            await fake.until_connected()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_what_is_said_while_nobody_reaches_it_comes_when_it_is_mended(fake: FakeDiscord) -> None:
    async with listening(fake) as client:
        fake.break_down()
        fake.say("meanwhile", room="general")
        await fake.until(lambda: fake.gateway.connections > 1)
        assert client.said == []
        fake.mend()
        await fake.until(lambda: client.said == ["meanwhile"])
