"""Tracebacks without the texts of exceptions."""

from core.traces import trace


def _fail(text: str) -> None:
    raise ValueError(text)


def _fail_within(text: str) -> None:
    try:
        _fail(text)
    except ValueError as exc:
        raise ExceptionGroup(text, [KeyError(text)]) from exc


def test_trace_has_every_class_and_place_and_no_text() -> None:
    secret = "42" * 4  # nowhere in the source, which the trace quotes
    try:
        _fail_within(secret)
    except ExceptionGroup as exc:
        told = trace(exc)
    for word in ("ValueError", "KeyError", "ExceptionGroup", "_fail", "_fail_within", __file__):
        assert word in told
    assert secret not in told


def test_trace_of_an_exception_that_causes_itself_ends() -> None:
    error = ValueError()
    error.__cause__ = error
    assert trace(error).count("ValueError") < 100
