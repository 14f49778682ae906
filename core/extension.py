"""What other people's code adds to the bot: commands, tools for models, and a look at each turn before and after
the model.

    from core.extension import Extension

    extension = Extension()

    @extension.command("dice", "Throw a die")
    async def dice(event: Event, text: str) -> str:
        return f"You threw a {randint(1, 6)}."

The operator names its module in `extensions`, or installs a package with an entry point in the group
`trialogue.extensions`. An extension imports `core.extension` and `core.turns`, and runs on the event loop: it must
not block.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from core.commands import NAME, Command
from core.tools import FunctionTool
from core.turns import Event

Function = TypeVar("Function", bound=Callable[..., Any])

Does = Callable[[Event, str], Awaitable[str]]
"""What a command or a hook does for an event, with a text; another text."""


class Declined(Exception):
    """A hook does not want this turn. The text is for the person, in Markdown; memory keeps nothing of it."""


class Extension:
    """A module's commands, tools and hooks, in the order in which they are written."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.does: dict[str, Does] = {}
        self.tools: list[FunctionTool] = []
        self.hooks_before: list[Does] = []
        self.hooks_after: list[Does] = []

    def command(self, name: str, about: str, *, argument: str = "") -> Callable[[Does], Does]:
        """Offer a command that the decorated function answers, with the event and what was written behind the
        name. It needs no model and keeps no order; an empty answer says nothing.

        `about` says what it does, and `argument` what may be written behind it (empty: nothing), in at most 100
        characters each. Raises `ValueError` for a name or a text that no platform would take.
        """
        if not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is no name of a command: small letters, digits and _, at most 32")
        if not 1 <= len(about) <= 100 or len(argument) > 100:
            raise ValueError(f"what is said of /{name} has 1 to 100 characters")

        def add(does: Does) -> Does:
            self.commands.append(Command(name, "command", about, argument=argument, of="person", does=name))
            self.does[name] = does
            return does

        return add

    def tool(self, function: Function) -> Function:
        """Let models that can call the decorated function, plain or `async`, with what its parameters say. They
        are told its docstring and what it returns: a text, or what JSON can say. It may be called again for the
        same message, by a worker that takes over. A plain one runs in a thread, and must come to an end by itself.

        Raises `ValueError` where a parameter has no type, or one that JSON cannot say, or there is no docstring.
        """
        self.tools.append(FunctionTool(function))
        return function

    def before(self, does: Does) -> Does:
        """Have the decorated function see what a person wrote; the model is asked what it returns, and memory has
        that. It may raise `Declined`."""
        self.hooks_before.append(does)
        return does

    def after(self, does: Does) -> Does:
        """Have the decorated function see each whole answer; people see what it returns. It may raise `Declined`.

        Where there is one, no answer is seen while it is written.
        """
        self.hooks_after.append(does)
        return does


class Hooks:
    """Those of several extensions, one after another."""

    def __init__(self, extensions: Sequence[Extension] = ()) -> None:
        self._before = [hook for each in extensions for hook in each.hooks_before]
        self._after = [hook for each in extensions for hook in each.hooks_after]

    @property
    def look_before(self) -> bool:
        """Whether messages are looked at before the model is asked."""
        return bool(self._before)

    @property
    def look_after(self) -> bool:
        """Whether answers are looked at before anybody sees them."""
        return bool(self._after)

    async def before(self, event: Event, text: str) -> str:
        """What the model is to be asked for `text`. Raises `Declined`, and whatever a hook does."""
        return await _through(self._before, event, text)

    async def after(self, event: Event, text: str) -> str:
        """What people are to see of the answer `text`. Raises `Declined`, and whatever a hook does."""
        return await _through(self._after, event, text)


NO_HOOKS = Hooks()


async def _through(hooks: Sequence[Does], event: Event, text: str) -> str:
    for hook in hooks:
        text = await hook(event, text)
    return text
