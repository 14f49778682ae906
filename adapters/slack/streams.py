"""Slack's streams: where they can be begun, and what of a text can be appended to one. Knows no client.

What a stream reads can never be taken back, and a draft of ours may be: marks that are still open are closed in
it. So only that is appended on which two drafts in a row agree, up to the last blank; a table when it is whole.
"""

import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable

from adapters.delivery import Rate
from core.turns import Fleet

log = logging.getLogger(__name__)

# Slack ends a stream after five minutes, whatever is appended, and may do so when it hears nothing for a while:
# https://github.com/slackapi/python-slack-sdk/issues/1859
_LONGEST = 240.0
# To begin one, and to stop it, may be asked 20 times a minute: https://docs.slack.dev/apis/web-api/rate-limits
_BEGUN = Rate(15, 60.0)
_REMEMBERED = 1000
_ROWS = re.compile(r"(?:^[ \t]*\\?\|[^\n]*\n?)+\Z", re.MULTILINE)


class Streams:
    """Where in the workspace streams can be begun, and how many. `clock` gives seconds. `never`: nowhere."""

    def __init__(self, fleet: Fleet, clock: Callable[[], float], *, never: bool = False) -> None:
        self._fleet = fleet
        self.clock = clock
        self._never = never
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._begun: deque[float] = deque(maxlen=_BEGUN.count)

    def allow(self, channel: str) -> bool:
        """Whether there are streams in `channel`, as far as we know."""
        return not self._never and channel not in self._refused

    def may_begin(self, channel: str) -> bool:
        """Whether there is one for us now."""
        rate = _BEGUN.shared(max(1, self._fleet.workers))
        recent = [at for at in self._begun if at > self.clock() - rate.per_seconds]
        return self.allow(channel) and len(recent) < rate.count

    def begun(self) -> None:
        self._begun.append(self.clock())

    def refused(self, channel: str, why: str) -> None:
        log.info("no streams in %s: %s", channel, why)
        self._refused[channel] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)


class Stream:
    """What one message `reads`, which has the key `key` and was begun at `since` with as much of `draft` as is
    sure to stay. `in_doubt`: it may read more."""

    def __init__(self, key: str, since: float, draft: str) -> None:
        self.key = key
        self.reads = _beginning(draft)
        self.in_doubt = False
        self._since = since
        self._draft = draft

    def is_old(self, now: float) -> bool:
        """Whether Slack may end it soon."""
        return now - self._since >= _LONGEST

    def more(self, draft: str) -> str:
        """What can be appended now that the text reads `draft`. Raises ValueError: it has become another one."""
        agreed, self._draft = _agreed(self._draft, draft), draft
        if not draft.startswith(self.reads):
            raise ValueError("the text does not begin any more as it was streamed")
        return _up_to_a_blank(agreed)[len(self.reads) :]


def _beginning(draft: str) -> str:
    """A first draft without its last line, where there are several; and if that is the end of a fence, which may
    have been made for the draft, without the line above."""
    lines = draft.split("\n")
    if len(lines) == 1:
        return _up_to_a_blank(draft)
    is_fence = not lines[-1].strip("`~ ")
    whole = lines[: -2 if is_fence else -1]
    return _without_rows("\n".join([*whole, ""]) if whole else "")


def _agreed(one: str, other: str) -> str:
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return min(one, other, key=len) if length is None else one[:length]


def _up_to_a_blank(text: str) -> str:
    return _without_rows(text[: max(text.rfind(" "), text.rfind("\n")) + 1])


def _without_rows(text: str) -> str:
    """What looks like a row at the end is one only if another line says so."""
    return _ROWS.sub("", text)
