"""The assistant's pane: what it begins with, what it is called, and that it is a conversation of its own."""

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.panes import PROMPTS
from core.engine.scripted import ScriptedEngine
from core.languages import translated
from core.store.store import Store
from tests.adapters.slack.conftest import listening
from tests.fakes.slack import FakeSlack
from tests.running import running


@pytest.fixture(autouse=True)
def feature(slack: FakeSlack) -> None:
    """The app has it."""
    slack.api.scopes.add("assistant:write")


async def test_opened_pane_suggests_what_to_begin_with_in_the_persons_language(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.user("ann")["locale"] = "de-DE"
    async with listening(adapter, store):
        pane = await slack.open_pane()
        await slack.settled()
    titles = [translated(title, "de") for title, _ in PROMPTS]
    assert [prompt["title"] for prompt in slack.prompts[pane]] == titles


async def test_first_message_gives_the_pane_its_title_and_is_answered_in_it(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        pane = await slack.open_pane()
        await slack.settled()
        await slack.say("why is the sky &  blue? " + "really " * 20, thread=pane)
        await slack.say("and the sea?", thread=pane)
        await slack.until(lambda: "You said: and the sea?" in slack.shown("ann", thread=pane))
        await slack.settled()
    title = slack.titles[pane]
    assert (title[:23], title[-1], len(title)) == ("why is the sky & blue? ", "…", 60)


@pytest.mark.parametrize("fault", ["missing_scope", "500", "429"])
async def test_pane_without_prompts_and_title_is_answered_too(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, fault: str
) -> None:
    slack.fail("assistant.threads.setSuggestedPrompts", fault)
    slack.fail("assistant.threads.setTitle", fault)
    async with running(adapter, store=store, engine=ScriptedEngine()):
        pane = await slack.open_pane()
        await slack.say("hello", thread=pane)
        await slack.until(lambda: "You said: hello" in slack.shown("ann", thread=pane))
        await slack.settled()
    assert not slack.retried
