"""What a precision costs in quality: `python -m benchmarks.perplexity --help`.

The perplexity of real conversations, chat-templated, one speaker in the role of the model: of all tokens of that
speaker's messages, each with the token that ends it. transformers in float32 is the reference. Ours is computed by
the engine's own forward pass over its own cache, in chunks as prompts are read and token by token as answers are
made, each conversation alone and in a batch with others. Writes perplexity.md.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch  # noqa: TID251
from platformdirs import user_data_path
from transformers import AutoModelForCausalLM  # noqa: TID251

from benchmarks.chat import END_OF_TURN, SYSTEM, ChatML, Message
from benchmarks.load import dataset, dialogues
from benchmarks.machine import cores, describe
from benchmarks.model import files
from benchmarks.packed import logits
from core.engine.loading import ChosenPrecision, load
from core.engine.prepared import Prepared, prepare

_MESSAGES = 8
_KV_CACHE_GB = 1.0
_MODES = (
    ("prefill, alone", 256, 1),
    ("prefill, 8 together", 256, 8),
    ("decode, alone", 1, 1),
    ("decode, 32 together", 1, 32),
)  # name, tokens a step of one conversation, conversations a step


@dataclass(frozen=True, slots=True)
class Text:
    """A conversation's tokens; `counted` are the positions of those whose probability is asked for."""

    token_ids: tuple[int, ...]
    counted: tuple[int, ...]


def text(chatml: ChatML, dialogue: Sequence[str]) -> Text:
    """The speakers take turns, and the second one is the model."""
    history = [Message("system", SYSTEM)]
    counted: list[int] = []
    for number, said in enumerate(dialogue):
        if number % 2 == 0:
            history.append(Message("user", said))
            continue
        start = len(chatml.prompt(history))
        history.append(Message("assistant", said, chatml.encode(said)))
        counted += range(start, start + len(history[-1].token_ids) + 1)  # with the token that ends it
    whole = chatml.prompt(history)[: counted[-1] + 1]
    assert whole[-1] == END_OF_TURN
    return Text(tuple(whole), tuple(counted))


class Loss:
    """Sums up negative log-probabilities."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    @property
    def perplexity(self) -> float:
        return math.exp(self._sum / self._count)

    def add(self, text: Text, start: int, rows: torch.Tensor) -> None:
        """`rows` are the logits `[position, vocabulary]` behind the tokens from `start` on."""
        targets = [at for at in text.counted if start < at <= start + len(rows)]
        if targets:
            chosen = rows[[at - 1 - start for at in targets]].double()
            wanted = torch.tensor([text.token_ids[at] for at in targets])
            self._sum += torch.nn.functional.cross_entropy(chosen, wanted, reduction="sum").item()
            self._count += len(targets)


@torch.inference_mode()
def reference(folder: Path, texts: Sequence[Text]) -> float:
    """transformers' own forward pass in float32, each conversation in one piece."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    loss = Loss()
    for text in texts:
        loss.add(text, 0, model(torch.tensor([text.token_ids])).logits[0])
    return loss.perplexity


def ours(prepared: Prepared, texts: Sequence[Text], *, chunk: int, together: int) -> float:
    """The engine's forward pass: `chunk` tokens of each of `together` conversations a step."""
    loss = Loss()
    for begin in range(0, len(texts), together):
        batch = texts[begin : begin + together]
        for number, start, rows in logits(prepared, [text.token_ids for text in batch], chunk=chunk):
            loss.add(batch[number], start, rows)
    return loss.perplexity


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, str, float]]:
    """(precision, way, perplexity) as they come."""
    model = files(arguments.models_dir)
    chatml = ChatML(model.folder / "tokenizer.json")
    texts = [text(chatml, one) for one in dialogues(dataset(), arguments.conversations, messages=_MESSAGES)]
    yield "float32", "transformers", reference(model.folder, texts)
    for precision in arguments.precision:
        loaded = load("default", models_dir=arguments.models_dir, precision=precision, progress=lambda *_: None)
        native = arguments.models_dir.parent / "native"
        together = max(mode[2] for mode in _MODES)
        prepared = prepare(loaded, kv_cache_gb=_KV_CACHE_GB, max_running=together, native=native)
        for name, chunk, side_by_side in _MODES:
            yield precision, name, ours(prepared, texts, chunk=chunk, together=side_by_side)


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(cores())
    lines = [
        "# Perplexity",
        "",
        f"{arguments.conversations} conversations of {_MESSAGES} messages, the tokens of every second message.",
        "",
        *(f"- {line}" for line in describe(("torch", "transformers"))),
        "",
        "| precision | computed by | perplexity | to the reference |",
        "| --- | --- | ---: | ---: |",
    ]
    expected = math.nan
    for precision, way, found in rows(arguments):
        expected = found if way == "transformers" else expected
        lines.append(f"| {precision} | {way} | {found:.3f} | {found / expected - 1:+.2%} |")
        print(lines[-1], flush=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "perplexity.md").write_text("\n".join([*lines, ""]))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perplexity", description=__doc__)
    parser.add_argument("--precision", type=_precisions, default=["float32", "int8", "bfloat16"], help="by comma")
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--models-dir", type=Path, default=user_data_path("trialogue") / "models")
    return parser.parse_args(arguments)


def _precisions(text: str) -> list[ChosenPrecision]:
    try:
        return msgspec.convert(text.split(","), list[ChosenPrecision])
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
