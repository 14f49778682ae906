"""What it costs to choose replies: `python -m benchmarks.judge --help`.

The same questions are answered once as usual and once with `model.candidates` and a judge, in turns, one at a
time: seconds of processor time and of the clock until a reply is whole. Writes judge.md.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_data_path

from benchmarks.load import dataset, dialogues
from benchmarks.machine import describe
from core.engine.engine import Engine, Message, Params
from core.engine.judge import Judge
from core.engine.judged import JudgedEngine
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings


async def cost(engine: Engine, question: str, params: Params) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    async with engine.generate((Message("user", question),), params) as completion:
        async for _ in completion:
            pass
    return time.process_time() - processor, time.perf_counter() - clock


async def measured(arguments: argparse.Namespace) -> dict[int, list[tuple[float, float]]]:
    """By the number of candidates. The first question only warms up."""
    loaded = load(arguments.model, models_dir=arguments.models_dir, progress=lambda *_: None)
    native = arguments.models_dir.parent / "native"
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.5, native=native))
    judge = Judge(arguments.judge)
    engines: dict[int, Engine] = {1: engine}
    engines |= {count: JudgedEngine(engine, judge, count) for count in arguments.candidates}
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in engines}
    asked = [said[0] for said in dialogues(dataset(), arguments.questions + 1, messages=2)]
    async with asyncio.TaskGroup() as group:
        run = group.create_task(engine.run())
        for number, question in enumerate(asked):
            for count, each in engines.items():
                # Another question for each engine: nobody reads what the other has read already.
                params = Params(max_tokens=arguments.tokens, temperature=0.7, seed=number)
                spent = await cost(each, f"({count}) {question}", params)
                if number:
                    found[count].append(spent)
        run.cancel()
    judge.close()
    return found


def main(arguments: argparse.Namespace) -> None:
    found = asyncio.run(measured(arguments))
    medians = {
        count: [statistics.median(column) for column in zip(*rows, strict=True)] for count, rows in found.items()
    }
    what = (
        f"{arguments.questions} questions of chitchat to the model {arguments.model}, one at a time; at most"
        f" {arguments.tokens} tokens a reply; medians. {arguments.note}"
    )
    lines = [
        "# The cost of a chosen reply",
        "",
        what,
        "",
        *(f"- {line}" for line in describe(("torch", "transformers"))),
        "",
        "| candidates | CPU seconds a turn | to one | seconds until it is whole | to one |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for count, (processor, clock) in medians.items():
        ratios = processor / medians[1][0], clock / medians[1][1]
        lines.append(f"| {count} | {processor:.2f} | {ratios[0]:.2f} | {clock:.2f} | {ratios[1]:.2f} |")
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "judge.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--judge", type=Path, required=True, help="a discriminator's folder")
    parser.add_argument("--model", default="default")
    parser.add_argument("--candidates", type=lambda text: [int(part) for part in text.split(",")], default=[4])
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--note", default="", help="what else ran on the machine; kept with the results")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--models-dir", type=Path, default=user_data_path("trialogue") / "models")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
