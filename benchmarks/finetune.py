"""What fine-tuning is worth: `python -m benchmarks.finetune --help`.

The bundled SmolLM2-135M-Instruct learns to answer as people in `chitchat` do, by `trialogue train finetune`'s own
code, and the perplexity of the test part, which it never saw, is computed before and after: of the assistant's
tokens, each answer with the token that ends it. Writes finetune.md, finetune.json, and finetune.csv and .png with
the loss. A training that was broken off goes on when the command is
repeated, and one that is over is only measured.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from platformdirs import user_data_path

from benchmarks.machine import describe
from core.dialogue import DEFAULT_PERSONA
from core.engine import threads
from core.engine.loading import load
from core.training.corpora.corpus import Corpus, read
from core.training.corpora.dialogue import Dialogue
from core.training.finetune import finetune, lessons
from core.training.likelihood import Likelihood, likelihood
from core.training.run import RunSettings

_CONTEXT = 512
_LESSON, _BATCH = 256, 4  # tokens and lessons of a step, small: a CPU makes few steps


def measured(name: str, dialogues: Sequence[Dialogue], models_dir: Path) -> Likelihood:
    """In float32."""
    loaded = load(name, models_dir=models_dir, precision="float32", device="cpu", progress=tell)
    threads.use(None)
    taught = list(
        lessons(dialogues, loaded.tokenizer, loaded.end_of_turn, context=_CONTEXT, persona=DEFAULT_PERSONA)
    )
    return likelihood(loaded.model, taught, tell)


def tell(what: str, share: float) -> None:
    print(f"\r\x1b[K{what}: {share:.0%}", end="", file=sys.stderr, flush=True)


def train(corpus: Corpus, arguments: argparse.Namespace) -> None:
    run = RunSettings(
        output=arguments.output,
        minutes=arguments.minutes,
        batch=_BATCH,
        learning_rate=1e-4,
        checkpoint_minutes=3.0,
    )
    trained = finetune(
        corpus,
        run,
        base="default",
        models_dir=arguments.models_dir,
        context=_LESSON,
        persona=DEFAULT_PERSONA,
        progress=tell,
    )
    if trained.interrupted:
        raise SystemExit("\nbroken off: the same command goes on from there")


def main(arguments: argparse.Namespace) -> None:
    corpus = read(["chitchat"])
    test = corpus.test[: arguments.conversations]
    if not (arguments.output / "config.json").exists():
        train(corpus, arguments)
    with (arguments.output / "loss.csv").open(encoding="utf-8") as file:
        steps = list(csv.DictReader(file))[-1]["step"]
    before = measured("default", test, arguments.models_dir)
    after = measured(str(arguments.output), test, arguments.models_dir)
    lower = 1 - after.perplexity / before.perplexity
    results = {
        "minutes": arguments.minutes,
        "steps": int(steps),
        "test_dialogues": len(test),
        "before": {**asdict(before), "perplexity": before.perplexity},
        "after": {**asdict(after), "perplexity": after.perplexity},
        "lower_by": lower,
        "note": arguments.note,
    }
    text = f"""# Fine-tuning

SmolLM2-135M-Instruct on `chitchat`, {arguments.minutes:g} minutes of training ({steps} steps of {_BATCH}
examples, all weights, float32). Perplexity of the {before.tokens:,} assistant tokens in {len(test)}
conversations of the test part. {arguments.note}

{chr(10).join(f"- {line}" for line in describe(("torch", "transformers", "chitchat-dataset")))}

| | perplexity | nats a token |
| --- | ---: | ---: |
| before | {before.perplexity:.2f} | {before.nats / before.tokens:.3f} |
| after | {after.perplexity:.2f} | {after.nats / after.tokens:.3f} |

Lower by {lower:.1%}.
"""
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "finetune.md").write_text(text)
    (arguments.results / "finetune.json").write_text(json.dumps(results, indent=2) + "\n")
    for ending in ("csv", "png"):
        shutil.copy(arguments.output / f"loss.{ending}", arguments.results / f"finetune.{ending}")
    print(f"\n{text}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--conversations", type=int, default=60, help="of the test part, to measure by")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the tuned model")
    parser.add_argument("--note", default="", help="what else ran on the machine; kept with the results")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--models-dir", type=Path, default=user_data_path("trialogue") / "models")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
