"""An answer on a terminal while it is being written. Knows neither inbox nor keyboard.

Blocks that are whole are printed for good; only the last one, which still changes, is drawn again and again. So
an answer may be longer than the screen, and what scrolled away is still right.
"""

import re
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.text import Text

from adapters.markdown import heal, parse, tokens
from adapters.terminal.words import ANEW
from core.turns import Draft

# A model could otherwise move the cursor, rename the window or write to the clipboard.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def harmless(text: str) -> str:
    """`text` without what a terminal would obey instead of showing it."""
    return _CONTROL.sub("", text)


class Screen:
    """Draws one answer after the other on `console`. What it says itself is said as by `tongue`."""

    def __init__(self, console: Console, tongue: Callable[[str], str] = str) -> None:
        self._console = console
        self._tongue = tongue
        self._live: Live | None = None
        self._printed = ""

    def think(self) -> None:
        """Show that an answer is awaited."""
        self._show(Text("…", style="dim"))

    def draw(self, draft: Draft) -> None:
        text = harmless(draft.text)
        if not text.startswith(self._printed):
            self._console.print(Text(self._tongue(ANEW), style="dim"))
            self._printed = ""
        whole = len(text) if draft.final else max(_last_block(text), len(self._printed))
        if draft.final:
            self._hide()
        self._print(text[len(self._printed) : whole])
        self._printed = text[:whole]
        if draft.final:
            self._console.print()
            self._printed = ""
        else:
            self._show(_Lines(heal(text[whole:]), tail=True))

    def end(self) -> None:
        """No more of this answer comes; what is drawn of it stays."""
        self._hide()
        self._printed = ""

    def _print(self, source: str) -> None:
        if source.strip():
            if self._printed:
                self._console.print()
            self._console.print(_Lines(source))

    def _show(self, what: RenderableType) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(what, refresh=True)

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Lines:
    """Markdown without empty lines around it; of a tail, the last lines, as many as the screen has room for."""

    def __init__(self, source: str, *, tail: bool = False) -> None:
        self._source = source
        self._tail = tail

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(_markdown(self._source), options, pad=False)
        while lines and _is_empty(lines[0]):
            del lines[0]
        while lines and _is_empty(lines[-1]):
            del lines[-1]
        for line in lines[-max(1, console.height - 2) :] if self._tail else lines:
            yield from line
            yield Segment.line()


def _is_empty(line: Sequence[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)


def _last_block(text: str) -> int:
    """Where the last block of `text`, which may still grow, begins."""
    blocks = parse(text).children
    if len(blocks) < 2 or blocks[-1].map is None:
        return 0
    return sum(map(len, text.splitlines(keepends=True)[: blocks[-1].map[0]]))


def _markdown(source: str) -> Markdown:
    """Links show where they lead, and a line that was ended is ended, as in every chat."""
    made = Markdown("", hyperlinks=False)
    # Not rich's own parser: it leaves out what looks like HTML. A bare link shows where it leads as it is.
    made.parsed = tokens(source, without=("linkify",))
    for token in made.parsed:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return made
