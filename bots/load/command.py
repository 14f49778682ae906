"""The command `trialogue load` and its live display."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import openai
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from bots.errors import clear_errors
from bots.load import api, rooms
from bots.load.conversations import conversations
from bots.load.outcome import Answered, Outcome

console = Console(highlight=False)

_LATELY = 4  # times a second the display is drawn

Play = Callable[[Sequence[Sequence[str]], Callable[[Answered], None]], Awaitable[None]]


class Target(StrEnum):
    api = "api"
    telegram = "telegram"
    discord = "discord"
    slack = "slack"


def load(
    target: Annotated[Target, typer.Argument(help="A platform needs a source checkout: its fake is a test's.")],
    url: Annotated[str, typer.Option(help="The API's root.")] = "http://127.0.0.1:8080/v1",
    key: Annotated[str, typer.Option(envvar="OPENAI_API_KEY", help="The API's key.")] = "any",
    model: Annotated[str, typer.Option(help="The API's model.")] = "default",
    people: Annotated[int, typer.Option(min=1, help="How many conversations.")] = 50,
    turns: Annotated[int, typer.Option(min=1, max=8, help="How many turns each.")] = 4,
    at_once: Annotated[int, typer.Option(min=1, max=4096, help="How many are under way at any time.")] = 8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of each of the API's answers.")] = 64,
    output: Annotated[Path, typer.Option(help="Where load.json and load.png go.")] = Path("load"),
) -> None:
    """Play real conversations and measure the answers: percentiles, a histogram and JSON."""

    async def play(said: Sequence[Sequence[str]], told: Callable[[Answered], None]) -> None:
        if target is not Target.api:
            await rooms.play(target.value, said, at_once=at_once, told=told)
            return
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            await api.play(client, said, model=model, at_once=at_once, max_tokens=max_tokens, told=told)

    with clear_errors():
        said = conversations(people, turns)
        named = url if target is Target.api else target.value
        outcome = asyncio.run(_play(play, said, named, at_once))
        for path in outcome.write(output):
            console.print(f"written: {path}", markup=False)
    if outcome.errors:
        raise typer.Exit(1)


async def _play(play: Play, said: Sequence[Sequence[str]], target: str, at_once: int) -> Outcome:
    answered: list[Answered] = []
    began = time.perf_counter()

    def outcome() -> Outcome:
        return Outcome(
            target=target,
            conversations=len(said),
            at_once=at_once,
            seconds=time.perf_counter() - began,
            turns=answered,
        )

    with _shown(lambda: _table(outcome(), sum(map(len, said)))):
        await play(said, answered.append)
    return outcome()


@contextmanager
def _shown(draw: Callable[[], Table]) -> Iterator[None]:
    with Live(get_renderable=draw, console=console, refresh_per_second=_LATELY):
        yield


def _table(outcome: Outcome, turns: int) -> Table:
    table = Table("", "p50", "p90", "p95", "p99", box=None, title=f"{len(outcome.turns)} of {turns} turns")
    for name, label in (("first", "first word, s"), ("whole", "whole answer, s")):
        values = outcome.percentiles(name)
        table.add_row(label, *(f"{value:.3f}" for value in values.values()))
    summary = outcome.summary()
    made = f"{summary['turns_per_second']:.1f} turns/s"
    if summary["tokens_per_second"]:
        made += f", {summary['tokens_per_second']:.1f} tokens/s"
    errors = "".join(f", {count} x {kind}" for kind, count in outcome.errors.items())
    table.caption = f"{outcome.target}: {outcome.seconds:.0f} s, {made}{errors}"
    return table
