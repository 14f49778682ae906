"""Answers as they stand on a terminal of a certain size."""

import io
import re

import pytest
from rich.console import Console

from adapters.terminal.screen import Screen, harmless
from core.languages import translated
from core.turns import Draft

_PIECE = re.compile(r"\x1b\[(\??\d*(?:;\d+)*)([A-Za-z])|(\r)|(\n)|([^\x00-\x1f\x7f])")
WIDTH = 40


class Glass:
    """What a person reads at the end: as much of a terminal as is needed to tell, its scrolled lines included."""

    def __init__(self, written: str) -> None:
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        position = 0
        while position < len(written):
            piece = _PIECE.match(written, position)
            assert piece is not None, f"what does {written[position : position + 10]!r} do?"
            self._take(piece)
            position = piece.end()

    @property
    def text(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self._lines).rstrip("\n")

    def _take(self, piece: re.Match[str]) -> None:
        number, command, back, line, char = piece.groups()
        if command == "A":
            self._row -= int(number or 1)
            assert self._row >= 0
        elif command == "K":
            self._lines[self._row] = []
        elif back:
            self._column = 0
        elif line:
            self._row, self._column = self._row + 1, 0
            self._lines += [[]] * (self._row + 1 - len(self._lines))
        elif char:
            row = self._lines[self._row]
            row += " " * (self._column - len(row))
            self._lines[self._row] = [*row[: self._column], char, *row[self._column + 1 :]]
            self._column += 1
        else:
            assert command in {"m", "h", "l"}, command


class Stage:
    """A screen on a terminal of `height` lines."""

    def __init__(self, height: int = 20) -> None:
        self._out = io.StringIO()
        console = Console(file=self._out, force_terminal=True, width=WIDTH, height=height, color_system="standard")
        self.screen = Screen(console)

    @property
    def written(self) -> str:
        return self._out.getvalue()

    @property
    def text(self) -> str:
        return Glass(self.written).text

    def stream(self, text: str, step: int = 3) -> None:
        self.screen.think()
        for end in range(step, len(text), step):
            self.screen.draw(Draft(text[:end]))
        self.screen.draw(Draft(text, final=True))


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_answer_reads_the_same_however_it_came(step: int) -> None:
    stage = Stage()
    stage.stream("First paragraph.\n\nSecond one.\n\n- a\n- b\n\n1. c\n\nThe **end**.", step)
    assert stage.text == "First paragraph.\n\nSecond one.\n\n • a\n • b\n\n 1 c\n\nThe end."


def test_answers_stand_under_one_another() -> None:
    stage = Stage()
    stage.stream("One.")
    stage.stream("Two.")
    assert stage.text == "One.\n\nTwo."


def test_draft_shows_no_raw_marks() -> None:
    stage = Stage()
    stage.screen.draw(Draft("Some **bold wor"))
    assert stage.text == "Some bold wor"
    assert "\x1b[1mbold wor\x1b[0m" in stage.written


def test_line_that_was_ended_is_ended() -> None:
    stage = Stage()
    stage.stream("old pond\na frog leaps in\nwater's sound")
    assert stage.text == "old pond\na frog leaps in\nwater's sound"


def test_link_shows_where_it_leads() -> None:
    stage = Stage()
    stage.stream("[here](https://example.com)")
    assert stage.text == "here (https://example.com)"


def test_block_taller_than_the_screen_shows_its_end_and_is_whole_when_final() -> None:
    stage = Stage(height=6)
    lines = [f"line {i}" for i in range(30)]
    stage.screen.draw(Draft("\n".join(lines)))
    assert stage.text == "\n".join(lines[-4:])
    stage.screen.draw(Draft("\n".join(lines), final=True))
    assert stage.text == "\n".join(lines)


def test_answer_that_begins_anew_says_so() -> None:
    stage = Stage()
    stage.screen.draw(Draft("One way.\n\nto say"))
    stage.screen.draw(Draft("Another way.", final=True))
    assert stage.text.splitlines() == ["One way.", "(The answer begins anew.)", "Another way."]


def test_what_the_screen_says_itself_is_said_in_the_persons_language() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=WIDTH), lambda sentence: translated(sentence, "es"))
    screen.draw(Draft("One way.\n\nto say"))
    screen.draw(Draft("Another way.", final=True))
    assert "(La respuesta empieza de nuevo.)" in out.getvalue()


def test_answer_that_is_left_stays_as_far_as_its_whole_blocks_go() -> None:
    stage = Stage()
    stage.screen.draw(Draft("Whole.\n\nHal"))
    stage.screen.end()
    assert stage.text == "Whole."


@pytest.mark.parametrize(
    "attack", ["\x1b]0;title\x07", "\x1b[5n", "\x9b2J", "\x00", "\x08", "\x1b]52;c;aGk=\x1b\\"]
)
def test_terminal_does_not_obey_the_model(attack: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", harmless(f"a{attack}b"))
    stage = Stage()
    stage.stream(f"a{attack}b", step=1)
    assert attack not in stage.written
