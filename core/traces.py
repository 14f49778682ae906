"""Where an exception nobody foresaw came from, without what it says: its text may quote a person or a secret."""

import traceback
from collections.abc import Iterator

_DEEPEST = 20


def trace(error: BaseException) -> str:
    """The traceback of `error`, of what caused it and of what it groups, each with the name of its class only."""
    return "\n".join(_lines(error, "", _DEEPEST))


def _lines(error: BaseException, indent: str, depth: int) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and depth:
        yield from _lines(before, indent, depth - 1)
        yield f"{indent}which led to:"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{indent}{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
    yield f"{indent}{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, BaseExceptionGroup) and depth:
        for inner in error.exceptions:
            yield from _lines(inner, f"{indent}  ", depth - 1)
