"""Tools that models call: over a real socket, with a server that calls them as OpenAI's API has it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from core.dialogue import DialogueSettings
from core.engine.engine import Call, Params
from core.engine.local import LocalEngine, LocalSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.extension import Extension
from core.store.store import Store
from core.tools import LONGEST, FunctionTool, Tools
from core.turns import Called, Event
from tests.core.engine.openai_server import OpenAIServer
from tests.core.engine.tiny import calling
from tests.core.rooms import TALK, Chat, event, working

extension = Extension()


@extension.tool
async def weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather in a city."""
    return {"city": city, "days": days, "sky": "clear"}


@extension.tool
def who(event: Event) -> str:
    """Who is asking."""
    return event.speaker.name


@extension.tool
def broken() -> str:
    """Never works."""
    raise KeyError("a secret")


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer.serve() as server:
        yield server


def engine(server: OpenAIServer, *, tools: bool = True, context: int = 100_000) -> RemoteEngine:
    return RemoteEngine(
        RemoteSettings(url=server.url, model=server.model, api_key=server.key, tools=tools, context=context)
    )


async def answered(store: Store, server: OpenAIServer, *events: Event, context: int = 100_000) -> list[str]:
    chat, dialogue = Chat(), DialogueSettings(persona="", window=50_000)
    async with working(
        store, chat.deliver, engine(server, context=context), dialogue=dialogue, extensions=[extension]
    ):
        for number, each in enumerate(events, 1):
            await store.inbox.accept(each)
            await chat.until_finished(number)
    return chat.finished


async def test_model_calls_a_tool_and_goes_on_with_what_came_of_it(store: Store, server: OpenAIServer) -> None:
    arguments = json.dumps({"city": "Lisbon", "days": 2})
    server.calls = [[("weather", arguments), ("who", "{}")]]
    assert await answered(store, server, event(1)) == ["You said: Ann"]
    first, second = server.bodies
    offered = {tool["function"]["name"]: tool["function"] for tool in first["tools"]}
    assert list(offered) == ["weather", "who", "broken"]
    assert offered["weather"]["description"] == "The weather in a city."
    assert offered["weather"]["parameters"]["required"] == ["city"]
    assert offered["who"]["parameters"]["properties"] == {}
    asked, called, *told = second["messages"]
    assert asked["content"] == "message 1"
    assert [call["function"]["arguments"] for call in called["tool_calls"]] == [arguments, "{}"]
    assert [each["tool_call_id"] for each in told] == [call["id"] for call in called["tool_calls"]]
    sky = '{"city":"Lisbon","days":2,"sky":"clear"}'
    assert [each["content"] for each in told] == [sky, "Ann"]
    [_, answer] = await store.memory.turns(TALK, 9)
    assert answer.calls == (Called("weather", arguments, sky), Called("who", "{}", "Ann"))


async def test_model_that_runs_here_calls_a_tool_and_goes_on_with_what_came_of_it(store: Store) -> None:
    chat = Chat()
    model = LocalEngine(calling('{"name": "who", "arguments": {}}', "It is Ann."), LocalSettings(kv_cache_gb=0.05))
    params = Params(temperature=0.0, max_tokens=32)
    dialogue = DialogueSettings(persona="Be kind.", window=3000, params=params)
    async with working(store, chat.deliver, model, dialogue=dialogue, extensions=[extension]):
        for number in (1, 2):
            await store.inbox.accept(event(number))
            await chat.until_finished(number)
    assert chat.finished == ["It is Ann.", "It is Ann."]
    turns = await store.memory.turns(TALK, 9)
    assert [turn.calls for turn in turns if turn.role == "assistant"] == [(Called("who", "{}", "Ann"),)] * 2


async def test_next_prompt_has_what_came_of_it_and_so_has_the_export(store: Store, server: OpenAIServer) -> None:
    server.calls = [[("who", "{}")]]
    export = event(3, "export", kind="command")
    _, _, told = await answered(store, server, event(1), event(2), export)
    roles = [message["role"] for message in server.bodies[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert "`who {}`: Ann" in told


async def test_each_version_has_its_own_calls(store: Store, server: OpenAIServer) -> None:
    server.calls = [[("who", "{}")], [], [("weather", '{"city": "Rome"}')]]
    again = event(2, "regenerate", kind="act")
    await answered(store, server, event(1), again)
    [_, answer] = await store.memory.turns(TALK, 9)
    assert [call.name for call in answer.calls] == ["weather"]
    assert [[call.name for call in version.calls] for version in answer.versions] == [["who"]]
    assert "who" not in str(server.bodies[-1]["messages"])


async def test_model_that_never_stops_calling_is_asked_without_tools_in_the_end(
    store: Store, server: OpenAIServer
) -> None:
    server.calls = [[("who", "{}")]] * 100
    assert await answered(store, server, event(1)) == ["You said: Ann"]
    assert ["tools" in body for body in server.bodies] == [True] * 5 + [False]


async def test_what_goes_wrong_is_told_to_the_model(store: Store, server: OpenAIServer) -> None:
    wrong = [("broken", "{}"), ("nothing", "{}"), ("weather", '{"city": 1}'), ("weather", "not json")]
    server.calls = [wrong, [], [("who", "")]]
    answers = await answered(store, server, event(1), event(2))
    assert (answers[0].partition(":")[0], answers[1]) == ("You said", "You said: Ann")
    told = [message["content"] for message in server.bodies[1]["messages"] if message["role"] == "tool"]
    assert told[:2] == ["The tool failed.", "There is no such tool."]
    assert all(each.startswith("These arguments do not fit: ") for each in told[2:])
    assert "a secret" not in str(server.bodies)


async def test_of_a_long_result_as_much_is_told_as_there_is_room_for(store: Store, server: OpenAIServer) -> None:
    server.calls = [[("weather", json.dumps({"city": "x" * 3000}))]]
    [told] = await answered(store, server, event(1), context=5000)
    assert 100 < len(server.bodies[-1]["messages"][-1]["content"]) < 1000
    assert told.startswith('You said: {"city":"xxx')


async def test_model_without_tools_is_offered_none(store: Store, server: OpenAIServer) -> None:
    chat = Chat()
    async with working(store, chat.deliver, engine(server, tools=False), extensions=[extension]):
        await store.inbox.accept(event(1))
        await chat.until_finished(1)
    assert "tools" not in server.bodies[0]


async def test_tool_that_takes_too_long_holds_up_nobody() -> None:
    async def slow() -> str:
        """Takes for ever."""
        await asyncio.Event().wait()
        return ""

    tools = Tools([FunctionTool(slow)], seconds=0.05)
    assert (await tools.call(Call("1", "slow", "{}"), event(1))).result == "The tool took too long."


async def test_result_has_an_end() -> None:
    def talk() -> str:
        """Says much."""
        return "x" * 100_000

    made = await Tools([FunctionTool(talk)]).call(Call("1", "talk", ""), event(1))
    assert len(made.result) == LONGEST + 1


def test_what_a_function_takes_is_what_a_model_is_told() -> None:
    def book(day: Literal["today", "tomorrow"], seats: int, names: list[str] | None = None) -> str:
        """Book a table."""
        return f"{day} {seats} {names}"

    about = FunctionTool(book).tool.parameters
    assert about["properties"]["day"]["enum"] == ["today", "tomorrow"]
    assert about["properties"]["seats"] == {"type": "integer"}
    assert about["required"] == ["day", "seats"]


def test_function_of_which_no_model_could_be_told_is_refused() -> None:
    def without(x: int) -> str:
        return str(x)

    def untyped(x) -> str:  # type: ignore[no-untyped-def] # noqa: ANN001
        """Says."""
        return str(x)

    def starred(*x: int) -> str:
        """Says."""
        return str(x)

    def strange(x: Chat) -> str:
        """Says."""
        return str(x)

    for function, why in (
        (without, "no docstring"),
        (untyped, "no type"),
        (starred, "no name"),
        (strange, "described"),
    ):
        with pytest.raises(ValueError, match=why):
            Extension().tool(function)
