"""`trialogue say`: what a model says when nobody has said anything."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from bots import build
from bots.errors import clear_errors
from bots.settings import Settings, load
from core.engine.engine import Engine, Message, Params
from core.errors import InvalidParams

console = Console(highlight=False)

_NOTHING = (Message("assistant", ""),)  # a reply that has just begun, to nobody


def say(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="A folder or a name. Else model.name of the settings.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many texts.", min=1)] = 1,
    max_tokens: Annotated[int, typer.Option(help="The most tokens of each.", min=1)] = 64,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest token.", min=0, max=100)] = 1.0,
    top_p: Annotated[float, typer.Option(help="Leave out what is less likely than the rest.", min=0, max=1)] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same texts.")] = None,
) -> None:
    """Let a model speak without a prompt."""
    with clear_errors():
        settings = load(context.obj)
        chosen = {"candidates": 1, **({} if model is None else {"name": model, "url": None})}
        settings = settings.model_copy(update={"model": settings.model.model_copy(update=chosen)})
        each = [
            Params(
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                seed=None if seed is None else seed + i,
            )
            for i in range(count)
        ]
        asyncio.run(_say(settings, each))


async def _say(settings: Settings, each: list[Params]) -> None:
    engine = (await build.engines(settings, lambda _what, _share: None))[0]
    if not engine.continues:
        raise InvalidParams("a model behind model.url needs a prompt: name a folder, or a model that runs here")
    async with asyncio.TaskGroup() as group:
        run = group.create_task(engine.run())
        try:
            for params in each:
                await _one(engine, params)
        finally:
            run.cancel()


async def _one(engine: Engine, params: Params) -> None:
    async with engine.generate(_NOTHING, params) as completion:
        async for delta in completion:
            console.print(delta.text, end="", markup=False, soft_wrap=True)
    console.print()
