"""What a process shows of itself to its operator: where it runs, whom it answers, and what it has counted.

All counts are since its start, so that whoever misses a sight has the same from the next one. Rooms are ids, and
nothing here is what anybody says.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from prometheus_client import Counter as Counted
from prometheus_client import Histogram

from adapters.wire import Call, Outcome
from bots.instruments.instruments import Instruments
from bots.instruments.live import Doing
from bots.life import Life, State
from core.engine.engine import Engine, Load

MOST_TURNS = 100
"""How many turns are shown one by one; the others are only counted."""


class LiveRoom(msgspec.Struct, frozen=True):
    """A turn under way. `place` in line, 0 for none; `seconds` since its claim."""

    conversation: str
    platform: str
    doing: Doing
    place: int
    seconds: float


class Platform(msgspec.Struct, frozen=True):
    """One adapter in this process. `edits` and `sends` are calls that worked; `lag` are the seconds, in sum, by
    which its rooms were behind the model, `lags` times. `connections` are all that it has,
    where there are several, and `away` how many of them are not there."""

    name: str
    state: State
    ready: bool
    events: int = 0
    turns: int = 0
    failed: int = 0
    sends: int = 0
    edits: int = 0
    limited: int = 0
    broken: int = 0
    lag: float = 0.0
    lags: int = 0
    up: int = 0
    down: int = 0
    connections: int = 0
    away: int = 0


class Model(msgspec.Struct, frozen=True):
    """The name of the first one, and what `Load` says of all that the process has."""

    name: str
    load: Load


class Sight(msgspec.Struct, frozen=True):
    """One process. `id` is another one at each start. Seconds are since the epoch; `more` turns are under way than
    `turns` shows."""

    id: str
    host: str
    pid: int
    role: str
    started: float
    resting: bool
    platforms: Sequence[Platform]
    turns: Sequence[LiveRoom]
    more: int
    model: Model | None


def platforms(instruments: Instruments, lives: Sequence[Life]) -> list[Platform]:
    metrics = instruments.metrics
    events, votes = _totals(metrics.events), _totals(metrics.votes)
    turns, lags = _totals(metrics.turn_seconds), _totals(metrics.lag_seconds)
    seconds = _totals(metrics.lag_seconds, "_sum")
    shown = []
    for life in lives:
        name = life.name
        calls = instruments.wires[name].calls if name in instruments.wires else Counter()
        shown.append(
            Platform(
                name=name,
                state=life.state,
                ready=life.is_ready,
                events=int(_sum(events, name)),
                turns=int(_sum(turns, name)),
                failed=int(_sum(turns, name, "failed") + _sum(turns, name, "interrupted")),
                sends=calls["send", "done"],
                edits=calls["edit", "done"] + calls["preview", "done"],
                limited=_ended(calls, "limited"),
                broken=_ended(calls, "unavailable") + _ended(calls, "refused"),
                lag=_sum(seconds, name),
                lags=int(_sum(lags, name)),
                up=int(_sum(votes, name, "up")),
                down=int(_sum(votes, name, "down")),
                connections=len(life.parts),
                away=sum(not here for here in life.parts.values()),
            )
        )
    return shown


def _ended(calls: Mapping[tuple[Call, Outcome], int], how: Outcome) -> int:
    return sum(count for (_, outcome), count in calls.items() if outcome == how)


def turns(instruments: Instruments) -> tuple[list[LiveRoom], int]:
    """Those that are shown, the oldest first, and how many are not."""
    shown = [
        LiveRoom(
            conversation=str(turn.event.conversation),
            platform=turn.adapter,
            doing=turn.doing,
            place=turn.place_in_line,
            seconds=turn.seconds,
        )
        for turn in list(instruments.live)[:MOST_TURNS]
    ]
    return shown, len(instruments.live) - len(shown)


def model(instruments: Instruments, engine: Engine | None) -> Model | None:
    return None if engine is None else Model(engine.name, instruments.load)


_Totals = Sequence[tuple[frozenset[str], float]]


def _totals(metric: Counted | Histogram, suffix: str = "") -> _Totals:
    """What a metric has counted, each with the values of its labels."""
    ending = suffix or ("_total" if isinstance(metric, Counted) else "_count")
    return list(_counted(metric, ending))


def _counted(metric: Counted | Histogram, ending: str) -> Iterator[tuple[frozenset[str], float]]:
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith(ending):
                yield frozenset(sample.labels.values()), sample.value


def _sum(totals: _Totals, *labels: str) -> float:
    return sum(value for values, value in totals if values.issuperset(labels))
