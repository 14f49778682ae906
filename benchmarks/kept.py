"""Measurements as CSV, of several runs: what a run has not measured stays as it was. And their medians."""

import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

_Row = TypeVar("_Row", bound=Any)


def with_earlier(path: Path, kind: type[_Row], rows: Sequence[_Row], key: str) -> list[_Row]:
    """Write the dataclasses `rows` in place of those in the file with the same `key`; return all, in the order of
    that key where it is a number. A file with other columns is of another version of the measurement: it goes."""
    new = {getattr(row, key) for row in rows}
    every = [row for row in _read(path, kind) if getattr(row, key) not in new] + list(rows)
    if not all(isinstance(getattr(row, key), str) for row in every):
        every.sort(key=lambda row: getattr(row, key))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(map(asdict, every))
    return every


def _read(path: Path, kind: type[_Row]) -> list[_Row]:
    if not path.exists():
        return []
    types: dict[str, Callable[[str], Any]] = get_type_hints(kind)
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if list(reader.fieldnames or ()) != [field.name for field in fields(kind)]:
            return []
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in reader]


def medians(rows: Iterable[_Row], *by: str) -> list[_Row]:
    """One row for each combination of the fields `by`: the medians of all others over the rounds, as round 0."""
    groups: dict[tuple[object, ...], list[_Row]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in by), []).append(row)
    return [_median(group, by) for group in groups.values()]


def _median(group: Sequence[_Row], by: Sequence[str]) -> _Row:
    values = {
        field.name: statistics.median(getattr(row, field.name) for row in group)
        for field in fields(group[0])
        if field.name not in by and field.name != "round"
    }
    found: _Row = type(group[0])(round=0, **{name: getattr(group[0], name) for name in by}, **values)
    return found
