"""`trialogue train`: makes a model that `model.name = "<folder>"` serves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bots import build
from bots.errors import clear_errors
from bots.settings import load

if TYPE_CHECKING:
    from core.engine.loading import Progress as Tell
    from core.training.corpora.corpus import Corpus
    from core.training.run import RunSettings, Trained

cli = typer.Typer(help="Make a model of your own and train it. Needs the extra [train].", no_args_is_help=True)
console = Console(stderr=True, highlight=False)

_MOST_SHOWN = 10  # bad records; more are counted
_INTERRUPTED = 130  # the exit code of a command that Ctrl-C ended


class Size(StrEnum):
    nano = "nano"
    micro = "micro"
    small = "small"


class Method(StrEnum):
    full = "full"
    lora = "lora"


Corpora = Annotated[
    list[str], typer.Argument(help="chitchat, chatterbot, chatterbot/LANGUAGE, or files and folders of your own.")
]
Everybody = Annotated[
    bool, typer.Option(help="Of an export of memory take also what people did not agree to (memory.agreed).")
]
Output = Annotated[Path, typer.Option(help="The folder for the model. The same command goes on in it.")]
Minutes = Annotated[float, typer.Option(help="How long to train, over all runs in this folder.")]
Context = Annotated[int, typer.Option(help="Tokens of an example, at most.", min=16)]
Seed = Annotated[int, typer.Option(help="The same seed, the same beginning.")]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a transformer is trained, whatever it learns, as the command line says it."""

    minutes: Minutes = 15.0
    steps: Annotated[int | None, typer.Option(help="The most steps; else only the minutes count.", min=1)] = None
    batch: Annotated[int, typer.Option(help="Examples that a process reads at once.", min=1)] = 16
    accumulate: Annotated[int, typer.Option(help="Batches of a step.", min=1)] = 1
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest learning rate. Else one for what is trained.")
    ] = None
    checkpoint_minutes: Annotated[float, typer.Option(help="Minutes between two checkpoints.")] = 2.0
    seed: Seed = 0

    def in_folder(self, output: Path, *, learning_rate: float) -> "RunSettings":
        """The run in the folder `output`, with that learning rate if none was said. Raises `CannotTrain`."""
        from core.training.run import RunSettings  # noqa: PLC0415  torch takes seconds to import

        said = replace(self, learning_rate=self.learning_rate or learning_rate)
        return RunSettings(output=output, **asdict(said))


def with_course(*, batch: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let typer, which reads the options of a command from its signature, find those of a `Course` there. The
    command is called with a `course` made of them."""
    options = signature(Course).parameters | {
        "batch": signature(Course).parameters["batch"].replace(default=batch)
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**said: Any) -> None:
            course = Course(**{name: said.pop(name) for name in options})
            command(**said, course=course)

        own = [each for each in signature(command).parameters.values() if each.name != "course"]
        with_options.__signature__ = Signature([*own, *options.values()])  # type: ignore[attr-defined]
        return with_options

    return decorate


@cli.command()
@with_course(batch=16)
def pretrain(
    corpora: Corpora,
    output: Output,
    size: Annotated[Size, typer.Option(help="3, 17 or 98 million parameters.")] = Size.nano,
    context: Context = 512,
    everybody: Everybody = False,
    *,
    course: Course,
) -> None:
    """Make a new model that says the next token of conversations."""
    with clear_errors():
        corpus = read(corpora, everybody=everybody)
        from core.training.pretrain import pretrain  # noqa: PLC0415  torch takes seconds to import

        run = course.in_folder(output, learning_rate=4e-3)
        with progress() as tell:
            trained = pretrain(corpus, run, size=size.value, context=context, progress=tell)
        _tell(trained, output)


@cli.command()
@with_course(batch=8)
def finetune(
    command: typer.Context,
    corpora: Corpora,
    output: Output,
    base: Annotated[str, typer.Option(help="As model.name: the bundled model, a folder, a hub name.")] = "default",
    method: Annotated[Method, typer.Option(help="All weights, or low-rank changes of them.")] = Method.full,
    merge: Annotated[
        bool, typer.Option(help="Put low-rank changes into the model, or leave them beside it.")
    ] = True,
    persona: Annotated[str | None, typer.Option(help="The system message. Else that of the settings.")] = None,
    context: Context = 512,
    everybody: Everybody = False,
    *,
    course: Course,
) -> None:
    """Teach a model to answer as the assistant of dialogues does."""
    with clear_errors():
        settings = load(command.obj)
        corpus = read(corpora, everybody=everybody)
        from core.training.finetune import finetune  # noqa: PLC0415  torch takes seconds to import

        run = course.in_folder(output, learning_rate=2e-4 if method is Method.lora else 5e-5)
        with progress() as tell:
            trained = finetune(
                corpus,
                run,
                base=base,
                models_dir=settings.data_dir / "models",
                method=method.value,
                context=context,
                persona=build.dialogue(settings).persona if persona is None else persona,
                merge=merge,
                progress=tell,
            )
        _tell(trained, output)


@cli.command()
def adversarial(
    corpora: Corpora,
    output: Output,
    size: Annotated[Size, typer.Option(help="A generator of 2, 14 or 42 million parameters.")] = Size.nano,
    minutes: Minutes = 30.0,
    rounds: Annotated[int, typer.Option(help="The most rounds against the discriminator.", min=1)] = 1000,
    warm_up: Annotated[int, typer.Option(help="The most steps of likelihood before it.", min=1)] = 20_000,
    plays: Annotated[int, typer.Option(help="Steps of the generator in a round.", min=1)] = 5,
    tells: Annotated[int, typer.Option(help="Steps of the discriminator in a round.", min=0)] = 1,
    teacher_forcing: Annotated[float, typer.Option(help="Weight of human replies in a round.", min=0)] = 1.0,
    batch: Annotated[int, typer.Option(help="Replies of a step.", min=1)] = 64,
    context: Annotated[int, typer.Option(help="Tokens before a reply, at most.", min=1)] = 64,
    reply: Annotated[int, typer.Option(help="Tokens of a reply, at most.", min=2)] = 32,
    everybody: Everybody = False,
    seed: Seed = 0,
) -> None:
    """Make a recurrent model whose replies a discriminator, trained beside it, cannot tell from human ones."""
    with clear_errors():
        corpus = read(corpora, everybody=everybody)
        from core.training.adversarial.adversarial import adversarial  # noqa: PLC0415  torch takes seconds to import
        from core.training.adversarial.game import GameSettings  # noqa: PLC0415
        from core.training.adversarial.training import Plan  # noqa: PLC0415

        with progress() as tell:
            played = adversarial(
                corpus,
                output,
                Plan(minutes=minutes, warm_up=warm_up, rounds=rounds, plays=plays, tells=tells),
                GameSettings(batch=batch, teacher_forcing=teacher_forcing),
                size=size.value,
                context=context,
                reply=reply,
                seed=seed,
                progress=tell,
            )
        if played.interrupted:
            console.print("Stopped. The same command goes on from there.")
            raise typer.Exit(_INTERRUPTED)
        told = "" if played.accuracy is None else f", the discriminator tells {played.accuracy:.0%} right"
        console.print(f'{played.rounds} rounds{told}. Serve it: model.name = "{output}"', markup=False)


def read(names: list[str], *, everybody: bool) -> "Corpus":
    """Tells what became of its records. Raises `CannotTrain`."""
    from core.training import extra  # noqa: PLC0415  only who trains has it

    extra.require("yaml", "matplotlib")
    from core.training.corpora.corpus import read  # noqa: PLC0415

    corpus = read(names, everybody=everybody)
    report = corpus.report
    console.print(
        f"{report.records} records: {report.dialogues} conversations, {report.duplicates} duplicates,"
        f" {len(report.bad)} bad. To train on: {len(corpus.train)}, to validate: {len(corpus.validation)},"
        f" to test: {len(corpus.test)}."
    )
    for bad in report.bad[:_MOST_SHOWN]:
        console.print(f"  {bad.place}: {bad.why}", markup=False)
    if len(report.bad) > _MOST_SHOWN:
        console.print(f"  and {len(report.bad) - _MOST_SHOWN} more")
    return corpus


def _tell(trained: "Trained", output: Path) -> None:
    if trained.interrupted:
        console.print(f"Stopped after step {trained.steps}. The same command goes on from there.")
        raise typer.Exit(_INTERRUPTED)
    loss = "" if trained.loss is None else f", {trained.loss:.3f} nats a token on the validation part"
    console.print(f'{trained.steps} steps{loss}. Serve it: model.name = "{output}"', markup=False)


@contextmanager
def progress() -> "Iterator[Tell]":
    """A bar that is told what is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("training", total=1.0)
        yield lambda what, share: bars.update(bar, description=what, completed=share)
