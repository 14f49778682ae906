"""Whole turns, from the person's message to the reply that stands in the chat: real store, worker and SDK."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from core import notices
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from core.turns import Conversation, Draft, Event, Part, Room, Speaker, key_of
from tests.adapters.telegram.conftest import soon
from tests.adapters.telegram.notebook import Alone
from tests.contracts.rig import BRISK
from tests.fakes.telegram import FakeTelegram
from tests.running import running

SLOW = 0.05  # seconds a word
LONG = "one two three four five six seven eight nine ten"  # longer than the moment in which nothing is shown


@pytest.fixture
def talking(fake: FakeTelegram, store: Store) -> TelegramAdapter:
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base)
    return TelegramAdapter(settings, store.fleet, waits=soon())


async def test_reply_grows_in_one_message_within_the_limits(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    fake.api.rates = True
    async with running(talking, store=store, engine=ScriptedEngine(delay=SLOW)):
        await fake.say("word " * 50 + "end")
        await fake.until(lambda: any(text.endswith("end") for text in fake.shown("ann")))
    assert len(fake.calls("sendMessage")) == 1
    assert fake.calls("editMessageText")
    assert fake.api.limited == 0


async def test_paste_that_telegram_cuts_up_is_one_turn(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    lines = [f"line number {number} of a long text" for number in range(400)]
    pieces = ["\n".join(lines[start : start + 110]) for start in range(0, 400, 110)]
    async with running(talking, store=store, engine=ScriptedEngine()):
        for piece in pieces:
            await fake.say(piece)
        await fake.until(lambda: any("number 399" in text for text in fake.shown("ann")))
    [conversation] = [each async for each in store.memory.conversations()]
    asked, _ = await store.memory.turns(conversation, 10)
    assert asked.text.splitlines() == lines
    assert len(asked.messages) == len(pieces)


async def test_typing_is_shown_before_the_first_word(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    async with running(talking, store=store, engine=ScriptedEngine(delay=SLOW)):
        await fake.say(LONG)
        await fake.until(lambda: bool(fake.api.typing))
        await fake.until(lambda: fake.shown("ann") == [f"You said: {LONG}"])


async def test_topic_is_answered_in_the_topic(fake: FakeTelegram, talking: TelegramAdapter, store: Store) -> None:
    fake.open_group("forum", forum=True)
    topic = await fake.open_topic("forum")
    async with running(talking, store=store, engine=ScriptedEngine()):
        asked = await fake.say("@trialogue_bot beans?", room="forum", topic=topic)
        await fake.until(lambda: fake.shown("forum", topic=topic) == ["You said: beans?"])
    quoted = fake.posted("forum")[0]["reply_to_message"]
    assert asked.endswith(f"/{quoted['message_id']}")


async def test_group_that_moves_during_the_reply_gets_all_of_it(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    fake.open_group("family", supergroup=False)
    async with running(talking, store=store, engine=ScriptedEngine(delay=SLOW)):
        await fake.say("@trialogue_bot " + "word " * 60 + "end", room="family")
        await fake.until(lambda: bool(fake.shown("family")))
        await fake.migrate("family")
        await fake.until(lambda: any(text.endswith("word end") for text in fake.shown("family")))
        assert len(fake.shown("family")) == 1


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("/start ref_1", notices.start_text("Trialogue").partition("**")[0]),
        ("/help", "/persona"),
        ("/reset", notices.RESET),
        ("/persona a pirate", notices.PERSONA_SET),
        ("/persona", notices.PERSONA_DEFAULT),
    ],
)
async def test_command_is_answered(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store, command: str, answer: str
) -> None:
    async with running(talking, store=store, engine=ScriptedEngine()):
        await fake.say(command)
        await fake.until(lambda: any(answer in text for text in fake.shown("ann")))


async def test_stop_ends_the_reply(fake: FakeTelegram, talking: TelegramAdapter, store: Store) -> None:
    async with running(talking, store=store, engine=ScriptedEngine(delay=SLOW)):
        await fake.say("word " * 1000)
        await fake.until(lambda: "word" in "".join(fake.shown("ann")))
        await fake.say("/stop")
        await fake.until(lambda: notices.STOPPED.strip("_") in "".join(fake.shown("ann")))


async def test_picture_alone_is_answered_honestly(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    async with running(talking, store=store, engine=ScriptedEngine()):
        await fake.say(photo=[{"file_id": "p", "file_unique_id": "u", "width": 9, "height": 9}])
        await fake.until(lambda: any("images" in text for text in fake.shown("ann")))


async def test_nobody_is_pinged_by_a_reply(fake: FakeTelegram, talking: TelegramAdapter, store: Store) -> None:
    async with running(talking, store=store, engine=ScriptedEngine()):
        await fake.say("@trialogue_bot tell @bob_k and [ann](tg://user?id=1000)", room="general")
        await fake.until(lambda: any("bob" in text for text in fake.shown("general")))
    assert fake.api.called == []


@pytest.mark.parametrize("fault", ["429", "500", "html", "cut before"])
async def test_reply_survives_what_the_platform_does(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store, fault: str
) -> None:
    fake.fail("sendMessage", fault)  # type: ignore[arg-type]
    async with running(talking, store=store, engine=ScriptedEngine()):
        await fake.say("still?")
        await fake.until(lambda: fake.shown("ann") == ["You said: still?"])


async def test_reply_moves_only_its_own_room_when_the_bot_is_blocked(
    fake: FakeTelegram, talking: TelegramAdapter, store: Store
) -> None:
    async with running(talking, store=store, engine=ScriptedEngine(delay=SLOW)):
        await fake.say("word " * 100, person="bob")
        await fake.until(lambda: bool(fake.shown("bob")))
        await fake.forbid("bob", "blocked")
        await fake.say("hello")
        await fake.until(lambda: fake.shown("ann") == ["You said: hello"])


class Written:
    """`core.turns.Reply` whose text is there already, and which writes down what was shown."""

    def __init__(self, text: str, parts: Sequence[Part] = ()) -> None:
        self.parts = parts
        self.replaces: Sequence[str] = ()
        self.ids: list[str] = []
        self._text = text

    async def __aiter__(self) -> AsyncIterator[Draft]:
        yield Draft(self._text, final=True)

    def key(self, part: int) -> str:
        return key_of(Conversation("telegram/7000/1000"), "e", part)

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        return asyncio.get_running_loop().time() + 8.0

    async def shown(self, part: int, message: str) -> None:
        self.ids.append(message)

    def stop(self) -> None:
        raise AssertionError("Telegram has no means of its own")


def asked(fake: FakeTelegram) -> Event:
    room = Room("telegram", "7000", {"chat": fake.chat("ann").id, "topic": None, "reply_to": None})
    conversation = Conversation.of(room, fake.chat("ann").id)
    return Event(id="telegram/7000/1000/1", room=room, conversation=conversation, speaker=Speaker("1000"))


async def test_delivers_in_a_process_that_does_not_listen(fake: FakeTelegram, adapter: TelegramAdapter) -> None:
    reply = Written("from elsewhere")
    await adapter.deliver(asked(fake), reply)
    assert fake.shown("ann") == ["from elsewhere"]
    assert reply.ids == [f"{fake.chat('ann').id}/{fake.posted('ann')[0]['message_id']}"]


async def test_takeover_goes_on_in_the_same_message(fake: FakeTelegram, adapter: TelegramAdapter) -> None:
    first = Written("half of")
    await adapter.deliver(asked(fake), first)
    await adapter.deliver(asked(fake), Written("half of it", [Part("half of", 7, first.ids[0])]))
    assert fake.shown("ann") == ["half of it"]


@pytest.mark.parametrize(("in_doubt", "messages"), [("resend", 2), ("skip", 1)])
async def test_send_in_doubt_is_repeated_or_not_as_the_operator_chose(
    fake: FakeTelegram, in_doubt: str, messages: int
) -> None:
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base, in_doubt=in_doubt)  # type: ignore[arg-type]
    fake.fail("sendMessage", "cut after")
    async with TelegramAdapter(settings, Alone(), waits=soon()) as adapter:
        await adapter.deliver(asked(fake), Written("once or twice"))
    assert fake.shown("ann") == ["once or twice"] * messages


@pytest.fixture
def drafting(fake: FakeTelegram, store: Store) -> TelegramAdapter:
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base, drafts=True)
    return TelegramAdapter(settings, store.fleet, waits=soon(), private_pace=BRISK)


async def test_answer_is_a_draft_until_it_is_whole(
    fake: FakeTelegram, drafting: TelegramAdapter, store: Store
) -> None:
    async with running(drafting, store=store, engine=ScriptedEngine(delay=0.1)):
        await fake.say("**one** " + "word " * 30 + "end")
        await fake.until(lambda: any(text.endswith("end") for text in fake.shown("ann")))
    assert len(fake.calls("sendMessage")) == 1
    assert not fake.calls("editMessageText")
    texts = [text for _, _, text in fake.api.drafts]
    assert len(texts) > 1
    assert all(fake.shown("ann")[0].startswith(text) for text in texts)
    assert len({number for _, number, _ in fake.api.drafts}) == 1


async def test_answer_in_a_group_grows_by_edits_where_drafts_are_set(
    fake: FakeTelegram, drafting: TelegramAdapter, store: Store
) -> None:
    async with running(drafting, store=store, engine=ScriptedEngine(delay=0.2)):
        await fake.say("@trialogue_bot " + "word " * 30 + "end", room="general")
        await fake.until(lambda: any(text.endswith("end") for text in fake.shown("general")), within=40)
    assert not fake.api.drafts
    assert fake.calls("editMessageText")


async def test_answer_is_sent_and_edited_where_telegram_takes_no_drafts(
    fake: FakeTelegram, drafting: TelegramAdapter, store: Store
) -> None:
    fake.api.takes_drafts = False
    async with running(drafting, store=store, engine=ScriptedEngine(delay=0.1)):
        await fake.say("word " * 30 + "end")
        await fake.until(lambda: any(text.endswith("end") for text in fake.shown("ann")))
    assert (len(fake.calls("sendMessage")), len(fake.calls("sendMessageDraft"))) == (1, 1)
    assert fake.calls("editMessageText")


async def test_draft_that_went_wrong_costs_nothing(
    fake: FakeTelegram, drafting: TelegramAdapter, store: Store
) -> None:
    fake.fail("sendMessageDraft", "429", "cut after", "500")
    async with running(drafting, store=store, engine=ScriptedEngine(delay=0.1)):
        await fake.say("word " * 30 + "end")
        await fake.until(lambda: any(text.endswith("end") for text in fake.shown("ann")))
    assert len(fake.calls("sendMessage")) == 1
