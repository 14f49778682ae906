"""Fine-tuning: a language model learns to answer as the assistant of dialogues does.

What it reads are the prompts that it will be served, made by the same code; the loss is on the assistant's tokens
and on the one that ends its turn, and on nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase, set_seed

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message
from core.engine.loading import Loaded, Progress, load
from core.errors import CannotTrain
from core.training import extra
from core.training.corpora.corpus import Corpus
from core.training.corpora.dialogue import Dialogue
from core.training.run import Example, Run, RunSettings, Trained

Method = Literal["full", "lora"]

_NO_LOSS = -100  # transformers' own mark
_RANK = 16

# For a model that has no template: what ends a turn is whatever ends a text for it.
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One example: a piece of a dialogue that the model reads whole, and which of its tokens it learns to say."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]


def finetune(
    corpus: Corpus,
    run: RunSettings,
    *,
    base: str,
    models_dir: Path,
    method: Method = "full",
    context: int = 512,
    persona: str = "",
    merge: bool = True,
    progress: Progress,
) -> Trained:
    """The model `base`, by any name that the engine takes, tuned into `run.output`. `persona` is the system
    message of each dialogue that has none. Without `merge` a LoRA is left beside its model, which it names.

    Blocks for `run.minutes`. Raises `CannotTrain` and `ModelNotFound`.
    """
    extra.require("matplotlib", "peft")
    what = {
        "finetune": base,
        "method": method,
        "context": context,
        "persona": persona,
        "corpora": corpus.report.names,
        "seed": run.seed,
    }
    training = Run(run, what)
    with training.first():
        loaded = load(base, models_dir=models_dir, precision="float32", device="cpu", progress=progress)
    tokenizer = with_template(loaded.tokenizer)
    progress("reading the corpus", 0.0)
    context = min(context, loaded.context)
    examples, validation = (
        list(lessons(part, tokenizer, loaded.end_of_turn, context=context, persona=persona))
        for part in (corpus.train, corpus.validation)
    )
    if not examples or not validation:
        raise CannotTrain(f"no answer in the corpus is short enough for {context} tokens, or there is none at all")
    set_seed(run.seed)
    model = _trainable(loaded, method)
    if method == "lora":
        path = Path(base).expanduser()
        model.peft_config["default"].base_model_name_or_path = str(path.resolve()) if path.exists() else base
    return training.train(model, tokenizer, examples, validation, collate=collate, merge=merge, progress=progress)


def lessons(
    dialogues: Iterable[Dialogue],
    tokenizer: PreTrainedTokenizerBase,
    end_of_turn: frozenset[int],
    *,
    context: int,
    persona: str = "",
) -> Iterator[Lesson]:
    """A dialogue that is longer than `context` tokens goes on in another lesson, from a message of the user. What
    nobody is answered in is passed over, and so is an exchange that alone is too long."""
    chat = ChatTokenizer(tokenizer)
    for dialogue in dialogues:
        system, said = _begun(dialogue, persona)
        while any(message.role == "assistant" for message in said):
            ids, answers = chat.transcript((*system, *said))
            turns = [_turn(ids, answer, end_of_turn) for answer in answers]
            if fitting := sum(turn.stop <= context for turn in turns):
                yield _lesson(ids[: turns[fitting - 1].stop], turns[:fitting])
            said = said[_behind(said, max(1, fitting)) :]


def _begun(dialogue: Dialogue, persona: str) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The system's message, and the others from the first of the user on."""
    messages = dialogue.messages
    system = messages[:1] if messages[0].role == "system" else ()
    said = messages[len(system) :]
    if said[0].role == "assistant":
        said = said[1:]
    if not system and persona:
        system = (Message("system", persona),)
    return system, said


def _turn(ids: tuple[int, ...], answer: range, end_of_turn: frozenset[int]) -> range:
    """An answer with the token that ends it, where the template has one."""
    ended = answer.stop < len(ids) and ids[answer.stop] in end_of_turn
    return range(answer.start, answer.stop + ended)


def _behind(said: tuple[Message, ...], answers: int) -> int:
    """Where in `said` so many answers are over."""
    return [at for at, message in enumerate(said) if message.role == "assistant"][answers - 1] + 1


def _lesson(ids: tuple[int, ...], answers: Iterable[range]) -> Lesson:
    labels = [_NO_LOSS] * len(ids)
    for answer in answers:
        labels[answer.start : answer.stop] = ids[answer.start : answer.stop]
    return Lesson(ids, tuple(labels))


def collate(examples: list[Lesson]) -> Example:
    """A batch, padded at its end."""
    longest = max(len(example.ids) for example in examples)

    def padded(rows: Iterable[tuple[int, ...]], padding: int) -> torch.Tensor:
        return torch.tensor([[*row, *[padding] * (longest - len(row))] for row in rows])

    return {
        "input_ids": padded((example.ids for example in examples), 0),
        "attention_mask": padded(((1,) * len(example.ids) for example in examples), 0),
        "labels": padded((example.labels for example in examples), _NO_LOSS),
    }


def with_template(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """With a plain one, where it has none. Raises `CannotTrain`."""
    if not tokenizer.chat_template:
        if not tokenizer.eos_token:
            raise CannotTrain("the model has neither a chat template nor a token that ends a text")
        tokenizer.chat_template = _TEMPLATE
    return tokenizer


def _trainable(loaded: Loaded, method: Method) -> Any:
    """With weights of its own: those that were loaded may be windows into a file."""
    model: Any = loaded.model
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    if method == "full":
        return model.requires_grad_(True)
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  it takes seconds, and most do without

    lora = LoraConfig(
        task_type="CAUSAL_LM", r=_RANK, lora_alpha=2 * _RANK, lora_dropout=0.05, target_modules="all-linear"
    )
    return get_peft_model(model, lora)
