"""A tokenizer made from a corpus: byte-level BPE, so that no text is unknown, with the markup of a chat."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from core.training.corpora.dialogue import Dialogue

SEPARATOR = "<|endoftext|>"
"""Before each text; with nothing behind it, it is the prompt of no prompt."""

_BEGIN, _END = "<|im_start|>", "<|im_end|>"

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_level_bpe(dialogues: Iterable[Dialogue], vocabulary: int) -> PreTrainedTokenizerFast:
    """Of at most `vocabulary` tokens. Numbers are read digit by digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[SEPARATOR, _BEGIN, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message.text for dialogue in dialogues for message in dialogue.messages)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=SEPARATOR,
        eos_token=_END,
        pad_token=SEPARATOR,
        additional_special_tokens=[_BEGIN],
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )


def kept_tokenizer(dialogues: Iterable[Dialogue], folder: Path, vocabulary: int) -> PreTrainedTokenizerBase:
    """That of an earlier run in the folder, if there was one: its checkpoints know no other."""
    path = folder / "tokenizer"
    if not path.exists():
        new = folder / ".tokenizer"
        shutil.rmtree(new, ignore_errors=True)
        byte_level_bpe(dialogues, vocabulary).save_pretrained(new)
        new.rename(path)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    return tokenizer
