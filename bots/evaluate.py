"""`trialogue evaluate`: how good a model's replies are, as a table and as JSON."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bots import build
from bots.errors import clear_errors
from bots.settings import load
from bots.train import Corpora, Everybody, progress, read

console = Console(highlight=False)

_EXPLAINED = {
    "perplexity": "of the assistant's tokens",
    "distinct_1": "different words of all, 0 to 1",
    "distinct_2": "different pairs of words of all, 0 to 1",
    "self_bleu": "likeness to one another, 0 to 100",
    "bleu": "likeness to the human replies, 0 to 100",
    "reply_words": "words of a reply",
    "human_words": "words of a human reply",
    "discriminator_accuracy": "of replies that the judge tells from human ones; 0.5 is guessing",
}


def evaluate(
    context: typer.Context,
    corpora: Corpora,
    model: Annotated[str | None, typer.Option(help="A folder or a name. Else model.name of the settings.")] = None,
    judge: Annotated[Path | None, typer.Option(help="A discriminator's folder.")] = None,
    replies: Annotated[int, typer.Option(help="How many replies to make, at most.", min=2)] = 200,
    dialogues: Annotated[int | None, typer.Option(help="Dialogues of the test part, at most.", min=2)] = None,
    everybody: Everybody = False,
    seed: Annotated[int, typer.Option(help="The same seed, the same replies.")] = 0,
    json: Annotated[Path | None, typer.Option(help="A file for the figures.")] = None,
) -> None:
    """Measure a model by the test part of a corpus, which no training of it has read."""
    with clear_errors():
        settings = load(context.obj)
        corpus = read(corpora, everybody=everybody)
        from core.engine import loading  # noqa: PLC0415  torch takes seconds to import
        from core.engine.judge import Judge  # noqa: PLC0415
        from core.training.evaluation import evaluate  # noqa: PLC0415

        dialogue = build.dialogue(settings)
        with progress() as tell:
            loaded = loading.load(
                model or settings.model.name,
                models_dir=settings.data_dir / "models",
                precision="float32",
                progress=tell,
            )
            found = evaluate(
                loaded,
                corpus.test[:dialogues],
                replace(dialogue.params, seed=seed),
                persona=dialogue.persona,
                replies=replies,
                judge=None if judge is None else Judge(judge),
                progress=tell,
            )
        table = Table("", found.model, "", box=None)
        for name, meaning in _EXPLAINED.items():
            if (value := getattr(found, name)) is not None:
                table.add_row(name.replace("_", "-"), f"{value:.3f}", meaning)
        console.print(table)
        if json is not None:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
