"""The whole way: a person writes, the real worker answers with the echo engine, the reply stands in Slack."""

import re

import pytest

from adapters.markdown import plain
from adapters.slack.adapter import SlackAdapter
from adapters.slack.settings import SlackSettings
from adapters.slack.waiting import Waits
from core import notices
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.fakes.slack import FakeSlack
from tests.running import running


async def shows(slack: FakeSlack, room: str, *texts: str, thread: str | None = None) -> None:
    """Wait until the bot's messages in `room` read like that."""
    await slack.until(lambda: [plain(text) for text in slack.shown(room, thread=thread)] == list(texts))


async def test_direct_message_is_answered_there(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("hello <world> & @trialogue", person="ann")
        await shows(slack, "ann", "You said: hello <world> &")


async def test_mention_is_answered_in_the_thread_under_it(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        thread = await slack.say("@trialogue one", room="general")
        await shows(slack, "general", "You said: one", thread=thread)
        await slack.say("two", person="bob", room="general", thread=thread)
        await shows(slack, "general", "You said: one", "You said: two", thread=thread)
    assert all(status["thread_ts"] == thread for status in slack.statuses)


async def test_quiet_thread_answers_only_who_calls(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    slack.user("ann")["is_admin"] = True
    async with running(adapter, store=store, engine=ScriptedEngine()):
        thread = await slack.say("@trialogue !quiet on", room="general")
        await shows(slack, "general", notices.SET, thread=thread)
        await slack.say("two", person="bob", room="general", thread=thread)
        await slack.say("@trialogue three", person="bob", room="general", thread=thread)
        await shows(slack, "general", notices.SET, "You said: three", thread=thread)
        await slack.say("@trialogue !quiet off", room="general", thread=thread)
        await shows(slack, "general", notices.SET, "You said: three", notices.SET, thread=thread)
        await slack.say("four", person="bob", room="general", thread=thread)
        await slack.until(lambda: "You said: four" in map(plain, slack.shown("general", thread=thread)))


async def test_thread_in_a_direct_message_is_a_conversation_of_its_own(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        thread = await slack.say("one", person="ann")
        await shows(slack, "ann", "You said: one")
        await slack.say("two", person="ann", thread=thread)
        await shows(slack, "ann", "You said: two", thread=thread)
    assert slack.calls("chat.postMessage")[0].params.get("thread_ts") is None


async def test_long_reply_streams_by_edits_of_one_message(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    words = " ".join(f"w{number}" for number in range(80))
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.05)):
        await slack.say(words, person="ann")
        await slack.until(lambda: any("w3" in text and "w79" not in text for text in slack.shown("ann")))
        await shows(slack, "ann", f"You said: {words}")
    assert len(slack.calls("chat.postMessage")) == 1
    assert slack.calls("chat.update")


async def test_reply_is_sent_once_though_the_connection_was_cut_after_the_first_time(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.fail("chat.postMessage", "cut after")
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("hello", person="ann")
        await slack.until(lambda: bool(slack.calls("conversations.history")))
        await slack.say("after", person="ann")
        await shows(slack, "ann", "You said: hello", "You said: after")


@pytest.mark.parametrize("fault", ["429", "500", "html", "garbage", "cut before"])
async def test_reply_survives_what_slack_does(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, fault: str
) -> None:
    slack.fail("chat.postMessage", fault)
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("hello", person="ann")
        await shows(slack, "ann", "You said: hello")


async def test_real_limits_are_kept(settings: SlackSettings, store: Store) -> None:
    async with FakeSlack(rates=True) as slack:
        own = SlackSettings(bot_token=slack.bot_token, app_token=slack.app_token, api_base=slack.api_base)
        adapter = SlackAdapter(own, store.fleet, waits=Waits(first=0.01))
        async with running(adapter, store=store, engine=ScriptedEngine()):
            for number in range(3):
                await slack.say(str(number), person="ann")
            await shows(slack, "ann", *(f"You said: {number}" for number in range(3)))
        assert len(slack.calls("chat.postMessage")) <= 4


async def test_bang_commands_are_answered_in_the_room(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("!reset", person="ann")
        await slack.until(lambda: any("forgotten" in text for text in slack.shown("ann")))
        thread = await slack.say("@trialogue !help", room="general")
        await slack.until(lambda: any("`!persona …`" in text for text in slack.shown("general", thread=thread)))


async def test_slash_command_s_reply_comes_into_the_channel(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.connected()
        await slack.command("persona You are a pirate.", channel=slack.place("general").id)
        await slack.until(lambda: any("persona" in text for text in slack.shown("general")))
    assert "thread_ts" not in slack.calls("chat.postMessage")[0].params


async def test_stop_ends_the_answer(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.05)):
        await slack.say("word " * 2000, person="ann")
        await slack.until(lambda: bool(slack.shown("ann")))
        assert (await slack.command("stop") or {}).get("text") == "I stop."
        await slack.until(lambda: any("Stopped" in text for text in slack.shown("ann")))


async def test_only_an_image_is_answered_honestly(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    cat = {"id": "F1", "mimetype": "image/png", "name": "cat.png"}
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("", person="ann", subtype="file_share", files=[cat])
        await slack.until(lambda: any("images" in text for text in slack.shown("ann")))


async def test_nobody_is_called_by_a_reply(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.say("say <!channel> <@U0ANN> @everyone", person="ann")
        await slack.until(lambda: bool(slack.shown("ann")) and "everyone" in slack.shown("ann")[0])
        (text,) = slack.shown("ann")
    assert not re.search(r"<[!@#]|@everyone", text)
