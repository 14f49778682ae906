"""What a model's replies are like, beside those of people: the test part of a corpus, answered by the engine."""

import asyncio
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from core.engine.engine import Engine, Message, Params
from core.engine.judge import Judge
from core.engine.loading import Loaded, Progress
from core.engine.local import LocalEngine, LocalSettings
from core.errors import CannotTrain
from core.training import extra
from core.training.corpora.dialogue import Dialogue
from core.training.finetune import lessons, with_template
from core.training.likelihood import likelihood

_TOGETHER = 16  # replies that are made at once
_OTHERS = 100  # replies that each is compared with, at most, for self-BLEU


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """`perplexity` is of the assistant's `tokens` in all dialogues.

    The rest is of `replies`, one in the place of the last answer of each dialogue. Distinct words, and pairs of
    words, of all of them: from 0 to 1. BLEU against the human reply, and of each against the others: up to 100.
    Words of a reply, and of a human one. `discriminator_accuracy` is the share of replies that the judge tells
    right, human and generated ones counting half; 0.5 is guessing.
    """

    model: str
    perplexity: float
    tokens: int
    replies: int
    distinct_1: float
    distinct_2: float
    self_bleu: float
    bleu: float
    reply_words: float
    human_words: float
    discriminator_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt out of a dialogue, with what a human replied to it."""

    prompt: tuple[Message, ...] = field(repr=False)
    human: str = field(repr=False)


def evaluate(
    loaded: Loaded,
    dialogues: Sequence[Dialogue],
    params: Params,
    *,
    persona: str = "",
    context: int = 512,
    replies: int = 200,
    judge: Judge | None = None,
    progress: Progress,
) -> Evaluation:
    """Takes the model out of `loaded`. Blocks. Raises `CannotTrain` when nobody is answered in `dialogues`."""
    extra.require("sacrebleu")
    tokenizer = with_template(loaded.tokenizer)
    context = min(context, loaded.context)
    taught = list(lessons(dialogues, tokenizer, loaded.end_of_turn, context=context, persona=persona))
    questions = list(asked(dialogues, persona))[:replies]
    if not taught or not questions:
        raise CannotTrain(f"no answer in the corpus is short enough for {context} tokens, or there is none at all")
    found = likelihood(loaded.model, taught, progress)
    name = loaded.name
    engine = LocalEngine(loaded, LocalSettings())
    questions = [each for each in questions if engine.count(each.prompt) < engine.context // 2]
    texts = asyncio.run(_replies(engine, questions, params, progress))
    human = [each.human for each in questions]
    return Evaluation(
        model=name,
        perplexity=found.perplexity,
        tokens=found.tokens,
        replies=len(texts),
        distinct_1=distinct(texts, 1),
        distinct_2=distinct(texts, 2),
        self_bleu=self_bleu(texts),
        bleu=bleu(texts, human),
        reply_words=statistics.mean(len(text.split()) for text in texts),
        human_words=statistics.mean(len(text.split()) for text in human),
        discriminator_accuracy=None if judge is None else _told(judge, questions, texts),
    )


def asked(dialogues: Iterable[Dialogue], persona: str = "") -> Iterator[Asked]:
    """Of each dialogue the last answer that has a question before it."""
    for dialogue in dialogues:
        messages = dialogue.messages
        ends = [at for at in range(1, len(messages)) if messages[at].role == "assistant"]
        if ends and messages[ends[-1] - 1].role == "user":
            prompt = messages[: ends[-1]]
            if persona and prompt[0].role != "system":
                prompt = (Message("system", persona), *prompt)
            yield Asked(prompt, messages[ends[-1]].text)


def distinct(texts: Iterable[str], length: int) -> float:
    """How many of all runs of `length` words are different ones (Li et al., 2016)."""
    runs: list[tuple[str, ...]] = []
    for text in texts:
        words = text.lower().split()
        runs += [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]
    return len(set(runs)) / len(runs) if runs else 0.0


def bleu(texts: Sequence[str], human: Sequence[str]) -> float:
    import sacrebleu  # noqa: PLC0415  only who evaluates has it

    return float(sacrebleu.corpus_bleu(list(texts), [list(human)]).score)


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of each text against the others: high where all say the same (Zhu et al., 2018)."""
    import sacrebleu  # noqa: PLC0415

    scores = []
    for at, text in enumerate(texts):
        others = [*texts[at + 1 :], *texts[:at]][:_OTHERS]
        if others:
            scores.append(sacrebleu.sentence_bleu(text, others).score)
    return statistics.mean(scores) if scores else 0.0


async def _replies(engine: Engine, questions: Sequence[Asked], params: Params, progress: Progress) -> list[str]:
    texts = [""] * len(questions)
    places = asyncio.Semaphore(_TOGETHER)
    done = 0

    async def reply(at: int) -> None:
        nonlocal done
        async with places, engine.generate(questions[at].prompt, params) as completion:
            texts[at] = "".join([delta.text async for delta in completion])
        done += 1
        progress("replying", done / len(questions))

    async with asyncio.TaskGroup() as group:
        run = group.create_task(engine.run())
        async with asyncio.TaskGroup() as replying:
            for at in range(len(questions)):
                replying.create_task(reply(at))
        run.cancel()
    return texts


def _told(judge: Judge, questions: Sequence[Asked], texts: Sequence[str]) -> float:
    """A reply of nothing is told from a human one."""
    human = [judge.judged(each.prompt, [each.human])[0] > 0.5 for each in questions]
    generated = [judge.judged(each.prompt, [text])[0] <= 0.5 for each, text in zip(questions, texts, strict=True)]
    return (statistics.mean(human) + statistics.mean(generated)) / 2
