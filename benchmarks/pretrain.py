"""What pre-training comes to: `python -m benchmarks.pretrain --help`.

`nano` learns from `chitchat` by `trialogue train pretrain`'s own code, and is compared with a 5-gram model with
modified Kneser-Ney smoothing on the same split and the same tokens: bits for each byte that people wrote, over the
test part, of all tokens with the chat's markup. The 5-gram model is KenLM's (`lmplz` and `query` on the PATH or in
`--kenlm`; they are built by CMake from the source package `kenlm` on PyPI). It knows a text from its beginning and
nothing before it, as the transformer does. Writes pretrain.md and .json, and pretrain.csv and .png with the loss.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID251
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID251

from benchmarks.machine import cores, describe
from core.engine.chat_tokenizer import ChatTokenizer
from core.training.corpora.corpus import read
from core.training.corpora.dialogue import Dialogue
from core.training.pretrain import pretrain
from core.training.run import RunSettings

_ORDER = 5
_CONTEXT = 256


def texts(dialogues: Iterable[Dialogue], tokenizer: Any) -> list[tuple[int, ...]]:
    """Each dialogue as the transformer reads it, without the separator before it."""
    chat = ChatTokenizer(tokenizer)
    return [chat.transcript(dialogue.messages)[0] for dialogue in dialogues]


def written(dialogues: Iterable[Dialogue]) -> int:
    """The bytes that people wrote."""
    return sum(len(message.text.encode()) for dialogue in dialogues for message in dialogue.messages)


@torch.inference_mode()
def transformer_bits(folder: Path, test: Sequence[tuple[int, ...]], separator: int) -> float:
    """Each text by itself behind a separator, in windows of the context that overlap by half."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train(False)
    nats = 0.0
    for text in test:
        ids = torch.tensor((separator, *text))
        done = 1
        for start in range(0, len(ids), _CONTEXT // 2):
            window = ids[start : start + _CONTEXT]
            losses = torch.nn.functional.cross_entropy(
                model(window[None]).logits[0, :-1], window[1:], reduction="none"
            )
            nats += losses[done - start - 1 :].double().sum().item()
            done = start + len(window)
            if done == len(ids):
                break
    return nats / math.log(2)


def ngram_bits(train: Iterable[tuple[int, ...]], test: Iterable[tuple[int, ...]], tools: Path | None) -> float:
    """By KenLM, which sees a token as a word. The end of a text, which it foretells too, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.arpa"
        command = [_tool("lmplz", tools), "-o", str(_ORDER), "-S", "1G", "-T", folder, "--discount_fallback"]
        arpa = subprocess.run(command, input=_lines(train), capture_output=True, check=True).stdout  # noqa: S603
        model.write_bytes(arpa)
        query = [_tool("query", tools), "-v", "word", str(model)]
        told = subprocess.run(query, input=_lines(test), capture_output=True, check=True).stdout  # noqa: S603
    log10 = 0.0
    for line in told.decode().splitlines():
        for word in line.split("\t"):
            name, _, figures = word.rpartition("=")  # a number, the order that was found, the logarithm
            if name and name != "</s>":
                log10 += float(figures.split()[2])
    return -log10 * math.log2(10)


def _lines(rows: Iterable[tuple[int, ...]]) -> bytes:
    return "".join(" ".join(f"t{number}" for number in row) + "\n" for row in rows).encode()


def _tool(name: str, folder: Path | None) -> str:
    found = shutil.which(name, path=None if folder is None else str(folder))
    if found is None:
        raise SystemExit(f"there is no {name} of KenLM: build it from the source package kenlm, and give --kenlm")
    return found


def tell(what: str, share: float) -> None:
    print(f"\r\x1b[K{what}: {share:.0%}", end="", file=sys.stderr, flush=True)


def main(arguments: argparse.Namespace) -> None:
    _tool("lmplz", arguments.kenlm)
    corpus = read(["chitchat"])
    run = RunSettings(
        output=arguments.output, minutes=arguments.minutes, batch=arguments.batch, learning_rate=4e-3
    )
    trained = pretrain(corpus, run, size="nano", context=_CONTEXT, progress=tell)
    if trained.interrupted:
        raise SystemExit("\nbroken off: the same command goes on from there")
    torch.set_num_threads(cores())
    tokenizer: Any = AutoTokenizer.from_pretrained(arguments.output)
    train, test = texts(corpus.train, tokenizer), texts(corpus.test, tokenizer)
    size = written(corpus.test)
    ours = transformer_bits(arguments.output, test, tokenizer.bos_token_id) / size
    theirs = ngram_bits(train, test, arguments.kenlm) / size
    results = {
        "minutes": arguments.minutes,
        "steps": trained.steps,
        "validation_loss": trained.loss,
        "test_conversations": len(test),
        "test_bytes": size,
        "test_tokens": sum(map(len, test)),
        "bits_per_byte": {"nano": ours, "5-gram": theirs},
        "note": arguments.note,
    }
    text = f"""# Pre-training

`nano` (1.4 million parameters) on `chitchat`, {arguments.minutes:g} minutes of training from nothing
({trained.steps} steps of {arguments.batch} rows of {_CONTEXT} tokens). Bits for each of the {size:,} bytes that
people wrote in the {len(test)} conversations of the test part; both models foretell the same
{results["test_tokens"]:,} tokens, markup included. {arguments.note}

{chr(10).join(f"- {line}" for line in describe(("torch", "transformers", "tokenizers", "chitchat-dataset")))}

| | bits per byte |
| --- | ---: |
| nano | {ours:.3f} |
| 5-gram, modified Kneser-Ney (KenLM) | {theirs:.3f} |
"""
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "pretrain.md").write_text(text)
    (arguments.results / "pretrain.json").write_text(json.dumps(results, indent=2) + "\n")
    for ending in ("csv", "png"):
        shutil.copy(arguments.output / f"loss.{ending}", arguments.results / f"pretrain.{ending}")
    print(f"\n{text}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretrain", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--output", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--kenlm", type=Path, help="the folder with lmplz and query")
    parser.add_argument("--note", default="", help="what else ran on the machine; kept with the results")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
