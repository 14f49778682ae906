"""The tools that extensions give to models: a Python function, what a model is told of it, and its call.

What a model may give is what the function's parameters are: their types become a JSON schema, and what does not
fit them is told to the model, which may try again. The function runs beside the event loop's other work if it is a
coroutine function, and in a thread if it is not. Knows no engine, and not when tools are called.
"""

import asyncio
import inspect
import logging
import typing
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from core.engine.engine import Call, Tool
from core.turns import Called, Event

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long a call may take."""

LONGEST = 4000
"""Characters of what comes of a call that a model is told."""

_THREADS = 16

_UNKNOWN = "There is no such tool."
_FAILED = "The tool failed."
_TOO_LATE = "The tool took too long."


class FunctionTool:
    """One function. Its docstring says what it is for; a parameter of the type `Event` is given the message that
    is answered, and is not the model's to give. Raises `ValueError` for a function that cannot be described.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        name, about = getattr(function, "__name__", ""), inspect.getdoc(function) or ""
        if not about:
            raise ValueError(f"the tool {name} has no docstring: the model is told nothing of what it is for")
        hints = typing.get_type_hints(function)
        hints.pop("return", None)
        self._function = function
        self._events = [parameter for parameter, kind in hints.items() if kind is Event]
        try:
            self._arguments = msgspec.defstruct(name, list(_fields(function, hints)), kw_only=True)
            schema, parts = msgspec.json.schema_components([self._arguments], ref_template="#/$defs/{name}")
        except (TypeError, ValueError) as exc:
            raise ValueError(f"the tool {name} cannot be described to a model: {exc}") from exc
        own = parts.pop(name, schema[0])
        self.tool = Tool(name, about, {**own, "$defs": parts} if parts else own)

    async def __call__(self, arguments: str, event: Event, threads: Executor) -> str:
        """Raises `msgspec.MsgspecError` for arguments that are none, and whatever the function does."""
        given = msgspec.json.decode(arguments or "{}", type=self._arguments)
        named = {**msgspec.structs.asdict(given), **dict.fromkeys(self._events, event)}
        if inspect.iscoroutinefunction(self._function):
            found = await self._function(**named)
        else:
            found = await asyncio.get_running_loop().run_in_executor(threads, partial(self._function, **named))
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()


class Tools:
    """Those of one worker, each called within `seconds`."""

    def __init__(self, tools: Iterable[FunctionTool] = (), *, seconds: float = SECONDS) -> None:
        self._tools = {each.tool.name: each for each in tools}
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_THREADS, "tool")  # who waits in one holds up nobody but tools

    @property
    def offered(self) -> tuple[Tool, ...]:
        """What models are told of."""
        return tuple(each.tool for each in self._tools.values())

    async def call(self, call: Call, event: Event) -> Called:
        """What comes of it, whatever that is: a model goes on with what it is told."""
        result = await self._result(call, event)
        if len(result) > LONGEST:
            result = f"{result[:LONGEST]}…"
        return Called(call.name, call.arguments, result)

    async def _result(self, call: Call, event: Event) -> str:
        if (tool := self._tools.get(call.name)) is None:
            return _UNKNOWN
        try:
            async with asyncio.timeout(self._seconds):
                return await tool(call.arguments, event, self._threads)
        except msgspec.MsgspecError as exc:
            return f"These arguments do not fit: {exc}"
        except TimeoutError:
            log.warning("the tool %s did not answer within %.0f s", call.name, self._seconds)
            return _TOO_LATE
        except Exception as exc:  # noqa: BLE001 - whatever one tool does, the person is answered
            log.error("the tool %s failed: %s", call.name, type(exc).__name__)  # noqa: TRY400 - it may name a person
            return _FAILED


NO_TOOLS = Tools()


def _fields(function: Callable[..., Any], hints: dict[str, Any]) -> Iterable[Any]:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise ValueError(f"{name} has no name that a model could give")
        if name not in hints:
            raise ValueError(f"{name} has no type")
        if hints[name] is Event:
            continue
        yield (
            (name, hints[name]) if parameter.default is parameter.empty else (name, hints[name], parameter.default)
        )
