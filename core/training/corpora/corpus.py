"""All that is learnt from, in three parts. Which part a dialogue is in depends on what is said in it alone: it
stays there when others are added, and on any machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from core.errors import CannotTrain
from core.training.corpora import files, packages
from core.training.corpora.dialogue import Bad, Dialogue, Record

Part = Literal["train", "validation", "test"]

_TEST, _VALIDATION = 5, 10  # of a hundred dialogues: the first five, and those up to ten


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the records of `names`: as many as were read are dialogues, duplicates or bad."""

    names: tuple[str, ...]
    records: int
    dialogues: int
    duplicates: int
    bad: tuple[Bad, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Each dialogue once, in the order in which it was read."""

    train: tuple[Dialogue, ...] = field(repr=False)
    validation: tuple[Dialogue, ...] = field(repr=False)
    test: tuple[Dialogue, ...] = field(repr=False)
    report: Report


def read(names: Sequence[str], *, everybody: bool = False) -> Corpus:
    """The corpora called so, together: a package's (`core.training.corpora.packages`), a file or a folder
    (`core.training.corpora.files`, which tells of `everybody`). Raises `CannotTrain`, also when a part would be
    empty."""
    parts: dict[Part, list[Dialogue]] = {"train": [], "validation": [], "test": []}
    seen: set[bytes] = set()
    bad: list[Bad] = []
    duplicates = 0
    for record in chain.from_iterable(_records(name, everybody) for name in names):
        if isinstance(record, Bad):
            bad.append(record)
        elif record.digest in seen:
            duplicates += 1
        else:
            seen.add(record.digest)
            parts[part_of(record)].append(record)
    report = Report(tuple(names), len(seen) + duplicates + len(bad), len(seen), duplicates, tuple(bad))
    _check(report, parts)
    return Corpus(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]), report)


def part_of(dialogue: Dialogue) -> Part:
    share = int.from_bytes(dialogue.digest[:8]) % 100
    if share < _TEST:
        return "test"
    return "validation" if share < _VALIDATION else "train"


def _records(name: str, everybody: bool) -> Iterator[Record]:
    if (records := packages.read(name)) is not None:
        return records
    if not (path := Path(name).expanduser()).exists():
        raise CannotTrain(
            f"there is no corpus {name!r}: give a file, a folder or one of {', '.join(packages.NAMES)}"
        )
    return files.read(path, everybody=everybody)


def _check(report: Report, parts: dict[Part, list[Dialogue]]) -> None:
    what = " and ".join(report.names)
    if not report.dialogues:
        first = f"; the first of {len(report.bad)} bad records is {_shown(report.bad[0])}" if report.bad else ""
        raise CannotTrain(f"there is no conversation in {what}{first}")
    if empty := [part for part, dialogues in parts.items() if not dialogues]:
        raise CannotTrain(
            f"{what} has too few conversations to learn from, {report.dialogues}:"
            f" none is left for {' and '.join(empty)}. A hundred are enough"
        )


def _shown(bad: Bad) -> str:
    return f"{bad.place}: {bad.why}"
