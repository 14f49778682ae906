"""What the adversarial game is worth: `python -m benchmarks.adversarial --help`.

`oracle` is the synthetic test of SeqGAN (Yu et al., 2017): an LSTM with weights drawn from N(0, 1), 32 cells and
5,000 tokens writes 10,000 sequences of 20 tokens. A generator of the same kind learns them by likelihood, and then
against a discriminator, with the trainer of `trialogue train adversarial`. NLL_oracle is what the oracle thinks of
what the generator writes, NLL_test what the generator thinks of what the oracle writes. The first is also low for
who writes few things only, and a colder softmax lowers it as well (Caccia et al., 2020): so both are told, and
beside them those of the generator by likelihood at several temperatures.

`chitchat` tells whether a discriminator tells human replies from those of the warmed-up generator, and whether the
game makes that harder. It goes on in `--output`, where `trialogue train adversarial chitchat` may have been.

Writes adversarial.md, .csv, .json and .png; what the other part wrote there before stays.
"""

import argparse
import copy
import csv
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID251

from benchmarks.adversarial_results import keep
from core.engine.discriminator import Discriminator, DiscriminatorConfig
from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM
from core.training.adversarial.adversarial import adversarial
from core.training.adversarial.game import Game, GameSettings, loss_of
from core.training.adversarial.pairs import Pairs
from core.training.adversarial.sampling import draw
from core.training.adversarial.training import Plan, Training
from core.training.corpora.corpus import read

_VOCABULARY, _CELLS, _LENGTH, _SEQUENCES = 5000, 32, 20, 10_000
_MEASURED = 2000  # sequences of which each NLL is the mean
_TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def empty(count: int) -> Pairs:
    """A start token, and room for a sequence."""
    start = torch.zeros(count, 1, dtype=torch.long)
    room = torch.zeros(count, _LENGTH, dtype=torch.long)
    return Pairs(start, torch.ones_like(start), room, torch.ones_like(room))


def lstm() -> RecurrentForCausalLM:
    return RecurrentForCausalLM(RecurrentConfig(vocab_size=_VOCABULARY, hidden_size=_CELLS))


def oracle() -> RecurrentForCausalLM:
    model = lstm()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def one_seed(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    truth = oracle()
    data = draw(truth, empty(_SEQUENCES), random, end=None)
    test = draw(truth, empty(_MEASURED), random, end=None)

    def figures(model: RecurrentForCausalLM) -> dict[str, float]:
        written = draw(model, empty(_MEASURED), torch.Generator().manual_seed(seed), end=None)
        return {"nll_oracle": loss_of(truth, written), "nll_test": loss_of(model, test)}

    colder: list[dict[str, float]] = []

    def measured(game: Game) -> Mapping[str, float]:
        if training.phase == "discriminator" and not colder:  # the generator is the best by likelihood
            colder.extend({"temperature": each, **figures(cooled(game.generator, each))} for each in _TEMPERATURES)
        return figures(game.generator)

    generator = lstm()
    judge = Discriminator(
        DiscriminatorConfig(vocab_size=_VOCABULARY, hidden_size=_CELLS, initializer_range=0.2, reply_size=_LENGTH)
    )
    settings = GameSettings(
        learning_rate=1e-2,
        policy_rate=arguments.policy_rate,
        discriminator_rate=2e-3,
        teacher_forcing=arguments.teacher_forcing,
    )
    plan = Plan(
        minutes=1e6,
        warm_up=arguments.warm_up,
        discriminator=arguments.told,
        rounds=arguments.rounds,
        plays=arguments.plays,
        tells=arguments.tells,
        checks={"warm-up": 400, "discriminator": 100, "rounds": 1},
        patience=5,
        best_by="nll_oracle",
    )
    game = Game(generator, judge, data, settings, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(game, test, plan, Path(folder), end=None, progress=tell, measure=measured)
        training.run()
    return {
        "seed": seed,
        "oracle_itself": loss_of(truth, test),
        "history": training.history,
        "temperatures": colder,
    }


def cooled(model: RecurrentForCausalLM, temperature: float) -> RecurrentForCausalLM:
    """The same model with a colder softmax."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.lm_head.weight /= temperature
    return other


def chitchat(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The history of a training, made now or gone on with."""
    played = adversarial(
        read(["chitchat"]),
        arguments.output,
        Plan(
            minutes=arguments.minutes,
            warm_up=arguments.warm_up,
            discriminator=arguments.told,
            plays=arguments.plays,
            tells=arguments.tells,
        ),
        GameSettings(batch=arguments.batch),
        context=arguments.context,
        reply=arguments.reply,
        progress=tell,
    )
    if played.interrupted:
        raise SystemExit("\nbroken off: the same command goes on from there")
    with (arguments.output / "loss.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tell(what: str, share: float) -> None:
    print(f"\r\x1b[K{what}: {share:.0%}", end="", file=sys.stderr, flush=True)


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    arguments.results.mkdir(parents=True, exist_ok=True)
    if arguments.part == "oracle":
        runs: list[dict[str, Any]] = []
        for seed in arguments.seeds:
            runs.append(one_seed(seed, arguments))
            settings = {name: getattr(arguments, name) for name in _SETTINGS}
            keep(arguments.results, {"oracle": {"settings": settings, "note": arguments.note, "runs": runs}})
    else:
        keep(arguments.results, {"chitchat": {"note": arguments.note, "history": chitchat(arguments)}})


_SETTINGS = ("warm_up", "told", "rounds", "plays", "tells", "policy_rate", "teacher_forcing")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adversarial", description=__doc__)
    parser.add_argument("part", choices=("oracle", "chitchat"))
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--warm-up", type=int, default=2400, help="steps of likelihood, at most")
    parser.add_argument(
        "--told", type=int, default=3000, help="steps of the discriminator before the rounds, at most"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--plays", type=int, default=10, help="steps of the generator in a round")
    parser.add_argument("--tells", type=int, default=1, help="steps of the discriminator in a round")
    parser.add_argument("--policy-rate", type=float, default=1e-3)
    parser.add_argument("--teacher-forcing", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64, help="chitchat: replies of a step")
    parser.add_argument("--context", type=int, default=64, help="chitchat: tokens before a reply")
    parser.add_argument("--reply", type=int, default=32, help="chitchat: tokens of a reply")
    parser.add_argument("--minutes", type=float, default=30.0, help="chitchat: of training")
    parser.add_argument("--output", type=Path, default=Path("models/adversarial"), help="chitchat: its folder")
    parser.add_argument("--note", default="", help="what else ran on the machine; kept with the results")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
