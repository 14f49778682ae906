"""How an error reaches the person at the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from core.errors import CoreError

_console = Console(stderr=True, highlight=False)


@contextmanager
def clear_errors() -> Iterator[None]:
    """What is somebody's fault is one message and exit 1; a traceback means a fault of ours."""
    try:
        yield
    except* CoreError as group:
        for exc in _leaves(group):
            _console.print(f"error: {exc}", style="red", markup=False)
        failed = True
    else:
        failed = False
    if failed:
        raise typer.Exit(1)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc
