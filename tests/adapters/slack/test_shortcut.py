"""The message shortcut: where its answer goes, and what is said where there can be none."""

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.events import Address
from adapters.slack.standing import NOT_HERE
from core.commands import ABOUT_THIS
from core.languages import translated
from core.store.store import Store
from core.turns import Event
from tests.adapters.slack.conftest import listening
from tests.fakes.slack import FakeSlack


async def asked(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, ts: str, *, wait: float = 10.0
) -> list[Event]:
    async with listening(adapter, store):
        await slack.ask(ts, person="ann")
        return [claim.event for claim in await store.claims.take(["slack"], 8, wait=wait)]


async def test_answer_goes_into_the_thread_under_the_message(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.user("ann")["locale"] = "de-DE"
    ts = await slack.say("the sky is green", person="bob", room="general")
    (event,) = await asked(slack, adapter, store, ts)
    assert (event.text, event.alone, event.shared) == (translated(ABOUT_THIS, "de"), True, True)
    assert Address.of(event.room).thread == event.conversation.thread == ts


async def test_message_in_a_thread_is_answered_in_that_thread(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    root = await slack.say("look", person="bob", room="general")
    ts = await slack.say("the sky is green", person="bob", room="general", thread=root)
    (event,) = await asked(slack, adapter, store, ts)
    assert event.conversation.thread == root


async def test_bot_hears_what_is_said_in_the_thread_from_then_on(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    ts = await slack.say("the sky is green", person="bob", room="general")
    (event,) = await asked(slack, adapter, store, ts)
    async with listening(adapter, store):
        await slack.connected()
        await slack.say("why?", person="ann", room="general", thread=ts)
        await slack.settled()
    assert [turn.text for turn in await store.inbox.turns(event.conversation, 5)][-1] == "why?"


async def test_file_that_is_asked_about_comes_with_the_question(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    files = [slack.upload("sky.txt", b"green", "text/plain")]
    ts = await slack.say("", person="bob", room="general", subtype="file_share", files=files)
    (event,) = await asked(slack, adapter, store, ts)
    assert ([file.name for file in event.attachments], event.quotes) == (["sky.txt"], ())


@pytest.mark.parametrize("kind", ["channel", "group", "im"])
async def test_where_the_bot_is_not_the_person_is_told(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, kind: str
) -> None:
    place = slack.open("elsewhere", kind, member=False)  # type: ignore[arg-type]
    message = slack.post(place, slack.user("bob")["id"], None, {"text": "the sky is green"})
    assert await asked(slack, adapter, store, message["ts"], wait=0.1) == []
    assert [told["text"] for told in slack.ephemeral] == [NOT_HERE]
