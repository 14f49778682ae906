"""A scheduler with small limits, sequences of plain numbers, and steps in which the model always says 7."""

from collections.abc import Callable, Iterable

from core.engine.engine import Caller, Params
from core.engine.places import KeyValuePlaces, Places
from core.engine.scheduler import Batch, Chunk, Scheduler, SchedulerSettings
from core.engine.sequence import Sequence

ROOMY = ((1000, 20),)


def scheduler(
    *,
    max_running: int = 3,
    max_waiting: int = 2,
    prefill_budget: int = 8,
    drafts: int = 0,
    draft_running: int = 2,
    places: Places | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Scheduler:
    settings = SchedulerSettings(
        max_running=max_running,
        max_waiting=max_waiting,
        prefill_budget=prefill_budget,
        drafts=drafts,
        draft_running=draft_running,
    )
    return Scheduler(settings, places or KeyValuePlaces(ROOMY, blocks=100), clock)


def sequence(
    number: int, prompt: int = 4, room: int = 3, user: str = "", conversation: str = "", leader: int | None = None
) -> Sequence:
    """Its prompt is its own: only candidates of one request share theirs."""
    tokens = tuple(range(100 * (leader or number), 100 * (leader or number) + prompt))
    return Sequence(number, tokens, Params(), room, Caller(user, conversation), leader=leader)


def add(made: Scheduler, sequences: Iterable[Sequence]) -> None:
    for each in sequences:
        made.add(each)


def said(chunk: Chunk) -> tuple[int, ...] | None:
    return (7,) if chunk.samples else None


def step(made: Scheduler) -> Batch:
    """A step in which nothing that was guessed is right. Whoever is full leaves."""
    batch = made.schedule()
    for grown, _ in made.commit(batch, [said(chunk) for chunk in batch.chunks]):
        if grown.full:
            made.remove(grown.number)
    return batch


def lengths(batch: Batch) -> dict[int, int]:
    return {chunk.number: len(chunk.token_ids) for chunk in batch.chunks}


def order_of_admission(made: Scheduler) -> list[int]:
    order: list[int] = []
    while batch := step(made):
        order += [chunk.number for chunk in batch.chunks if chunk.number not in order]
    return order
