"""Our engine beside others, under the same load: `python -m benchmarks.engine --help`.

1, 8, 32 and 64 people have a dialogue of four turns each with one model at the same time. The whole history is
sent each turn, with a shared system prompt and the engine's own answers; up to 64 new tokens, greedy, ended by
<|im_end|> (llama.cpp also knows other tokens that end a turn, which the model does not use). Each measurement is
a process of its own, and the rounds go through all engines, so that a busy moment of the machine does not fall on
one of them alone. Writes every measurement (engine.csv), the medians (engine.md) and a picture (engine.png).
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from platformdirs import user_data_path

from benchmarks.cell import Cell, Outcome
from benchmarks.engines import KNOWN, Known
from benchmarks.load import MAX_TOKENS, TURNS, dataset, questions
from benchmarks.machine import describe, version
from benchmarks.model import Files, files
from benchmarks.results import Measurement, measurement, summarise, table, write_csv

_TOO_LONG = "too long"


@dataclass(slots=True)
class Patience:
    """Slow engines would make a run take hours: what took longer than `seconds` is not repeated in later rounds,
    and that engine gets no more conversations than that. Our own is always measured."""

    seconds: float
    _enough: dict[str, int] = field(default_factory=dict)

    def allows(self, engine: Known, size: int) -> bool:
        return size <= engine.most and (engine.ours or size < self._enough.get(engine.name, size + 1))

    def learn(self, engine: Known, size: int, seconds: float) -> None:
        if seconds > self.seconds:
            self._enough[engine.name] = min(size, self._enough.get(engine.name, size))


def run(cell: Cell, *, time_limit: float) -> Outcome | str:
    """The outcome of one measurement, or what went wrong with it."""
    with TemporaryDirectory() as folder:
        spec, result = Path(folder) / "spec.json", Path(folder) / "result.json"
        spec.write_bytes(msgspec.json.encode(cell))
        command = [sys.executable, "-m", "benchmarks.cell", str(spec), str(result)]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=time_limit, check=False)  # noqa: S603 ours
        except subprocess.TimeoutExpired:
            return _TOO_LONG
        if not result.exists():
            last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
            return f"failed: exit code {ended.returncode} {' '.join(last)}"[:200].replace("|", "/")
        return msgspec.json.decode(result.read_bytes(), type=Outcome)


def cells(engines: Sequence[Known], sizes: Iterable[int], model: Files) -> Iterator[tuple[Known, Cell]]:
    """One round: every engine at the smallest size, then at the next. Twice as many conversations are chosen as
    are needed, so that warming up asks other questions."""
    data = dataset()
    for size in sizes:
        chosen = questions(data, 2 * size)
        for engine in engines:
            yield (
                engine,
                Cell(
                    module=engine.module,
                    variant=engine.variant,
                    gguf=str(model.gguf),
                    folder=str(model.folder),
                    models_dir=str(model.folder.parent),
                    conversations=chosen[:size],
                    warm_up=[conversation[:1] for conversation in chosen[size:]],
                    max_tokens=MAX_TOKENS,
                ),
            )


def measure_all(arguments: argparse.Namespace, engines: Sequence[Known], model: Files) -> list[Measurement]:
    patience = Patience(arguments.patience)
    measurements: list[Measurement] = []
    one_round = list(cells(engines, arguments.sizes, model))
    for round_number in range(1, arguments.rounds + 1):
        for engine, cell in one_round:
            if not patience.allows(engine, cell.size):
                continue
            print(f"round {round_number}, {cell.size} at once, {engine.name}: ", end="", flush=True)
            outcome = run(cell, time_limit=arguments.time_limit)
            if isinstance(outcome, Outcome):
                found = measurement(round_number, engine.name, cell.size, outcome)
                patience.learn(engine, cell.size, found.seconds)
                print(f"{found.tokens_per_second:.1f} tokens/s in {found.seconds:.0f} s")
            else:
                found = Measurement(round_number, engine.name, cell.size, error=outcome)
                if outcome == _TOO_LONG:
                    patience.learn(engine, cell.size, arguments.time_limit)
                print(outcome)
            measurements.append(found)
            write_csv(arguments.results / "engine.csv", measurements)
    return measurements


def report(arguments: argparse.Namespace, measurements: Sequence[Measurement], engines: Sequence[Known]) -> None:
    """The medians as tables, and the picture."""
    results, sizes = arguments.results, arguments.sizes
    ours = [engine.name for engine in engines if engine.ours]
    summaries = summarise(measurements, [engine.name for engine in engines], sizes)
    machine = describe(dict.fromkeys(("torch", "transformers", *(engine.distribution for engine in engines))))
    load = (
        f"SmolLM2-135M-Instruct, {TURNS} turns a conversation, the whole history each turn, a shared system"
        f" prompt, up to {MAX_TOKENS} new tokens, greedy. Medians of the rounds; a process for each measurement;"
        " after a warm-up. Peak MB is the process's memory beyond what it had before the engine was imported, its"
        f" runtime included. What took another engine longer than {arguments.patience:.0f} s was not repeated, and"
        " not tried with more conversations. The settings of each engine are in the heads of"
        " benchmarks/engines/*.py."
    )
    uneven = sum(each.uneven for each in measurements)
    text = [
        "# The engine beside others",
        "",
        load,
        "",
        *(f"- {line}" for line in machine),
        f"- prompts whose length an engine counted otherwise than the others: {uneven}",
        "",
        *(f"{table(summaries, size, ours=ours)}\n" for size in sizes),
    ]
    (results / "engine.md").write_text("\n".join(text))
    if version("matplotlib") is None:
        print("no picture: matplotlib is not installed")
        return
    from benchmarks.plot import plot  # noqa: PLC0415 it is optional

    plot(results / "engine.png", summaries, machine[0])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=_numbers, default=[1, 8, 32, 64], help="conversations at once: 1,8,32,64")
    parser.add_argument(
        "--engines", type=_engines, default=[k for k in KNOWN if k.default], help="names, by comma"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--models-dir", type=Path, default=user_data_path("trialogue") / "models")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds; what takes longer is not repeated")
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds for one measurement")
    return parser.parse_args(arguments)


def main(arguments: argparse.Namespace) -> None:
    engines = []
    for engine in arguments.engines:
        if version(engine.distribution) is None:
            print(f"{engine.name} is left out: {engine.distribution} is not installed")
        else:
            engines.append(engine)
    arguments.results.mkdir(parents=True, exist_ok=True)
    measurements = measure_all(arguments, engines, files(arguments.models_dir))
    report(arguments, measurements, engines)
    print((arguments.results / "engine.md").read_text())


def _numbers(text: str) -> list[int]:
    numbers = sorted({int(part) for part in text.split(",")})
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError("a number of conversations is 1 at least")
    return numbers


def _engines(text: str) -> list[Known]:
    known = {engine.name: engine for engine in KNOWN}
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
    return [known[name] for name in names]


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
