"""Is every message answered once, whatever is killed?

    python -m benchmarks.chaos                             five minutes of storm for each bot
    python -m benchmarks.chaos --seed 7                    the same faults as when it was 7 before
    python -m benchmarks.chaos --scenario store-down       no kills, but no store for 30 seconds
    python -m benchmarks.chaos --scenario platform-down    each platform is away for a minute

Listeners, workers and the store are processes that are killed with SIGKILL and started again; the platforms
answer with 429s, 500s and cut connections, and bring messages twice. Then all is repaired, and what is left must
be answered within `--calm` seconds. The usual bot on the same libraries goes through the same. Writes
DIR/chaos-SCENARIO-SEED.md and .json.
"""

import argparse
import asyncio
import random
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.chaos import ours, report, usual
from benchmarks.chaos.plan import Plan, Scenario, Size
from benchmarks.chaos.storm import Outcome, Programs, endure

BOTS: dict[str, Programs] = {ours.NAME: ours.programs, usual.NAME: usual.programs}
RESULTS = Path(__file__).parents[1] / "results"


async def run(plan: Plan, bots: Sequence[str], logs: Path | None, *, calm: float) -> list[Outcome]:
    """What comes of the plan for each bot, one after the other. `logs` is where their output is kept."""
    main = asyncio.current_task()
    assert main is not None
    for ended in (signal.SIGINT, signal.SIGTERM):  # what was started is ended, whoever asks
        asyncio.get_running_loop().add_signal_handler(ended, main.cancel)
    outcomes = []
    for number, name in enumerate(bots):
        with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
            folder = Path(temporary) if logs is None else logs / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            outcomes.append(await endure(name, BOTS[name], plan, folder, patience=calm))
            print(report.line(outcomes[-1]), flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the storm lasts")
    parser.add_argument("--messages", type=int, default=2000, help="how many are written in it")
    parser.add_argument("--conversations", type=int, default=200, help="among how many people and channels")
    parser.add_argument("--seed", type=int, default=None, help="which storm; without it any, and it is printed")
    parser.add_argument("--scenario", choices=get_args(Scenario), default="storm")
    parser.add_argument("--calm", type=float, default=180.0, help="seconds for what is left at the end")
    parser.add_argument("--bot", choices=BOTS, action="append", help="only this one")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep what the processes print")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    size = Size(arguments.seconds, arguments.messages, arguments.conversations)
    plan = Plan.of(seed, size, arguments.scenario)
    print(f"seed {seed}: {len(plan.actions)} actions", flush=True)
    outcomes = asyncio.run(run(plan, arguments.bot or list(BOTS), arguments.logs, calm=arguments.calm))
    print(report.write(arguments.output, plan, outcomes))


if __name__ == "__main__":
    main()
