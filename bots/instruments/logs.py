"""Logs by structlog: for a person in a terminal, JSON elsewhere. Each line has the id of the turn it is about, or
the name of the adapter that it comes from.

Everything goes through the standard library's logging, so that libraries' lines come out the same way. No line has
a person's text: nothing that is logged has, and tracebacks have no local variables.
"""

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from bots.instruments.live import current

Form = Literal["auto", "console", "json"]

CHATTY = ("aiohttp", "discord", "httpx", "markdown_it", "openai", "slack_bolt", "slack_sdk", "telegram", "uvicorn")
"""Libraries that tell, below their warnings, of every connection, request or line of a message."""


def _with_turn(_logger: object, _method: str, line: EventDict) -> EventDict:
    if (turn := current()) is not None:
        line.setdefault("turn", turn.event.id)
    return line


def configure(level: str, form: Form, stream: TextIO | None = None) -> None:
    """From now on everything that is logged goes to `stream` (standard error) in this form."""
    stream = stream or sys.stderr
    is_console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_turn,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_console else "iso", utc=not is_console),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(colors=stream.isatty(), console=is_console),
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendered(*, colors: bool, console: bool) -> list[Processor]:
    if console:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, pad_event_to=0)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
