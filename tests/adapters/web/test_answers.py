"""What can be done with an answer on the page, beside what holds for all platforms (`tests/contracts`)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.controls import while_writing
from core.engine.engine import NOBODY, Caller, Completion, Message, Params
from core.engine.scripted import ScriptedEngine
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import Tab, open_tab
from tests.contracts.test_actions import Counting

SLOW = 0.05
ID = "0123456789abcdef"


def labels(tab: Tab) -> list[str]:
    return [button["label"] for button in tab.feet[ID]["buttons"]]


async def test_answer_tells_what_it_took(serving: Serve) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url, open_tab(url) as tab:
        await tab.say("one two three", ID)
        await tab.until(lambda: ID in tab.feet)
        made, speed, prompt = tab.feet[ID]["cost"].split(" · ")
        assert made == "5 tokens"
        assert 1 <= int(speed.removesuffix(" a second")) <= 40
        assert prompt.startswith("prompt of ")
        async with open_tab(url, tab.cookie) as again:
            assert again.feet[ID] == tab.feet[ID]


async def test_vote_is_shown_when_the_page_is_opened_again(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        await tab.say("hello", ID)
        await tab.until(lambda: ID in tab.feet)
        assert tab.feet[ID]["vote"] == 0
        await tab.act(ID, "down")
        await tab.until(lambda: bool(tab.told))
        async with open_tab(url, tab.cookie) as again:
            assert again.feet[ID]["vote"] == -1


async def test_another_tab_sees_the_answer_made_anew_where_it_stands(serving: Serve) -> None:
    async with serving(engine=Counting()) as url, open_tab(url) as tab:
        await tab.say("hello", ID)
        await tab.until_answered("You said: hello (1)")
        async with open_tab(url, tab.cookie) as other:
            await tab.act(ID, "regenerate")
            await other.until_answered("You said: hello (2)")
            assert "2/2" in labels(other)
            await other.act(ID, "previous")
            await tab.until_answered("You said: hello (1)")
            assert "1/2" in labels(tab)


async def test_another_tab_sees_the_changed_words(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab, open_tab(url, tab.cookie) as other:
        await tab.say("helo", ID)
        await other.until_answered("You said: helo")
        await tab.edit(ID, "hello")
        await other.until(lambda: other.said.get(ID) == "hello")
        await other.until_answered("You said: hello")


async def test_tab_that_comes_in_the_middle_of_an_answer_made_anew_sees_it_grow(serving: Serve) -> None:
    engine = ScriptedEngine()
    async with serving(engine=engine) as url, open_tab(url) as tab:
        await tab.say("word " * 200, ID)
        await tab.until(lambda: ID in tab.final)
        engine.delay = SLOW
        await tab.act(ID, "regenerate")
        await tab.until(lambda: ID not in tab.final)
        async with open_tab(url, tab.cookie) as late:
            await late.until(lambda: ID not in late.final)
            engine.delay = 0.0
            await late.until(lambda: ID in late.final)
            assert "2/2" in labels(late)


class Watched(ScriptedEngine):
    """Keeps how it was asked to sample."""

    def __init__(self) -> None:
        super().__init__()
        self.params: list[tuple[float, float, int]] = []

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        self.params.append((params.temperature, params.top_p, params.max_tokens))
        async with super().generate(messages, params, caller) as completion:
            yield completion


async def test_answer_is_sampled_as_the_person_wants_within_what_the_operator_allows(serving: Serve) -> None:
    engine, usual = Watched(), Params()
    async with serving(engine=engine) as url, open_tab(url) as tab:
        wanted = {"temperature": 1.5, "top_p": 0.5, "max_tokens": 7}
        await tab.ask({"type": "say", "text": "hello", "sampling": wanted}, ID)
        await tab.until(lambda: ID in tab.final)
        again = {
            "type": "act",
            "on": ID,
            "action": "regenerate",
            "sampling": {"temperature": 0, "max_tokens": 10**6},
        }
        await tab.ask(again)
        await tab.until(lambda: ID in tab.final and "2/2" in labels(tab))
        await tab.say("as usual")
        await tab.until(lambda: len(engine.params) == 3)
    assert engine.params == [
        (1.5, 0.5, 7),
        (0.0, usual.top_p, usual.max_tokens),
        (usual.temperature, usual.top_p, usual.max_tokens),
    ]


async def test_typed_retry_makes_the_last_answer_anew(serving: Serve) -> None:
    async with serving(engine=Counting()) as url, open_tab(url) as tab:
        await tab.say("hello", ID)
        await tab.until_answered("You said: hello (1)")
        await tab.say("/retry")
        await tab.until_answered("You said: hello (2)")
        assert "2/2" in labels(tab)


async def test_retry_without_an_answer_is_told_so(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        taken = await tab.say("/retry")
        await tab.until(lambda: taken["key"] in tab.final)
        assert tab.texts()[0]


async def test_what_is_taken_back_goes_from_every_tab(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab, open_tab(url, tab.cookie) as other:
        for text in ("one", "two"):
            await tab.say(text)
            await tab.until(lambda text=text: f"You said: {text}" in tab.texts())  # type: ignore[misc]
        await tab.say("/undo")
        for each in (tab, other):
            await each.until(lambda each=each: any(frame.get("only") for frame in each.frames))  # type: ignore[misc]
            assert list(each.said.values()) == ["one"]


async def test_persona_is_told_to_the_page(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        taken = await tab.say("/persona a pirate")
        await tab.until(lambda: taken["key"] in tab.final)
        async with open_tab(url, tab.cookie, "b" * 16) as other:
            assert [frame["persona"] for frame in other.frames if frame["type"] == "history"] == ["a pirate"]


async def test_no_buttons_where_there_are_to_be_none(serving: Serve) -> None:
    async with serving(buttons=False) as url, open_tab(url) as tab:
        await tab.say("hello", ID)
        await tab.until(lambda: ID in tab.feet)
        assert labels(tab) == []


async def test_page_has_its_own_button_for_an_answer_under_way() -> None:
    assert [control.action for control in while_writing()] == ["stop"]
