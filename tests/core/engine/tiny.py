"""Tiny random models and tokenizers for them, made on the spot, and the way to ask an engine."""

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from core.engine.engine import Engine, Message, Params, Usage
from core.engine.loading import Loaded
from tests.core.engine.architectures import ARCHITECTURES

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOOLS = (  # as Qwen and Hermes have it
    "{% if tools %}{{ '<|im_start|>system\n' }}"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\n\n' }}{% endif %}"
    "{{ 'You may call these functions:\n<tools>' }}"
    "{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}"
    '{{ \'\n</tools>\nFor each call return:\n<tool_call>\n{"name": <name>, "arguments": <json>}\n</tool_call>\' }}'
    "{{ '<|im_end|>\n' }}"
    "{% elif messages[0]['role'] == 'system' %}"
    "{{ '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'tool' %}"
    "{{ '<|im_start|>user\n<tool_response>\n' + message['content'] + '\n</tool_response><|im_end|>\n' }}"
    "{% elif message['role'] != 'system' %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{% for call in message.tool_calls or () %}"
    '{{ \'\n<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{ call.function.arguments | tojson }}{{ '}\n</tool_call>' }}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = CHATML.replace("message['content']", "message['content'] | trim")
WITHOUT_SYSTEM = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}"
    "{% endif %}{% endfor %}" + CHATML
)
BRACKETS = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ message['content'] + '<|im_end|>' }}"
    "{% else %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}{% endfor %}"
)
CORPUS = (
    "You are a friendly assistant. What is the capital of France? The capital of France is Paris.",
    "It rains when warm air rises and cools, and the water in it falls down again. 1 2 3 10 2024",
    "def main():\n    print('hello')\n\n\nsystem user assistant\n",
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_level(*, template: str | None = CHATML, every_byte: bool = True) -> PreTrainedTokenizerFast:
    """Byte-level BPE as GPT-2, Llama 3 and SmolLM have it; without `every_byte` it knows ASCII only, and no token
    is a part of a character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if every_byte else list(map(chr, range(33, 127)))
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _fast(tokenizer, template)


def byte_fallback(*, template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """As Llama 2 and Mistral have it: a space in front of each text, and single bytes for what is not known."""
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, "<unk>"))}
    for token in (*(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127)), "▁hi", "hi"):
        vocabulary.setdefault(token, len(vocabulary))
    merges = [("h", "i"), ("▁", "hi")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _fast(tokenizer, template)


def _fast(tokenizer: Tokenizer, template: str | None) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        bos_token="<|im_start|>",
        additional_special_tokens=["<|endoftext|>"],
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def llama(vocabulary: int, *, context: int = 512, dtype: torch.dtype = torch.float64) -> PreTrainedModel:
    """In float64, so that the same tokens come out however the prompt was cut into pieces."""
    model: Any = ARCHITECTURES["llama"](vocabulary, context)
    return model.to(dtype)  # type: ignore[no-any-return]


def loaded(
    tokenizer: PreTrainedTokenizerFast,
    *,
    context: int = 512,
    vocabulary: int | None = None,
    architecture: str = "llama",
) -> Loaded:
    model = ARCHITECTURES[architecture](vocabulary or len(tokenizer), context)
    return Loaded("tiny", model, tokenizer, frozenset({2}), context)


def calling(call: str, answer: str) -> Loaded:
    """A model that says `call`, as one of a tool, to whatever it is asked, and `answer` once it was told what came
    of that. Its next token follows from the last one alone."""
    template = TOOLS.replace(
        "{% if add_generation_prompt %}",
        "{% if add_generation_prompt and messages[-1]['role'] == 'tool' %}{{ '<|im_start|>assistant\n=' }}"
        "{% elif add_generation_prompt %}",
    )
    tokenizer = byte_level(template=template)
    body = f"\n{call}\n"
    tokenizer.add_tokens(
        [AddedToken(each, normalized=False) for each in ("<tool_call>", body, "</tool_call>", answer)]
    )
    made = loaded(tokenizer, context=4096)
    after = {"\n": "<tool_call>", "<tool_call>": body, body: "</tool_call>", "</tool_call>": "<|im_end|>"}
    _follow(made.model, tokenizer, {**after, "=": answer, answer: "<|im_end|>"})
    return made


def _follow(model: Any, tokenizer: PreTrainedTokenizerFast, after: dict[str, str]) -> None:
    """Have the model say, after each of these tokens, the one that is given for it."""

    def number(text: str) -> int:
        [found] = tokenizer.encode(text, add_special_tokens=False)
        return int(found)

    with torch.no_grad():
        for layer in model.model.layers:  # which add nothing to the last token then
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for last, following in after.items():
            known = model.model.embed_tokens.weight[number(last)]
            model.lm_head.weight[number(following)] += 100 * known / known.norm()


def reference(model: Any, prompt: Sequence[int], params: Params) -> list[int]:
    """What transformers' own `generate` makes of a prompt, greedily, without the end of turn."""
    ids = torch.tensor([prompt])
    own = copy.deepcopy(model)  # the engine's attention may be set on the model itself
    own.set_attn_implementation("eager")
    with torch.inference_mode():
        output = own.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=params.max_tokens,
            repetition_penalty=params.repetition_penalty,
            pad_token_id=0,
        )
    completion: list[int] = output[0, len(prompt) :].tolist()
    return completion[:-1] if completion[-1] == 2 else completion


@dataclass(frozen=True, slots=True)
class Completion:
    pieces: tuple[str, ...]
    token_ids: tuple[int, ...]
    finish: tuple[str, ...]
    usage: Usage | None

    @property
    def text(self) -> str:
        return "".join(self.pieces)


async def ask(engine: Engine, messages: Sequence[Message] | str, params: Params) -> Completion:
    """The whole completion."""
    chat = (Message("user", messages),) if isinstance(messages, str) else messages
    async with engine.generate(chat, params) as deltas:
        parts = [delta async for delta in deltas]
    ids = tuple(number for delta in parts for number in delta.token_ids)
    return Completion(tuple(d.text for d in parts), ids, tuple(d.finish for d in parts), parts[-1].usage)


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    """Runs an engine for as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        run = group.create_task(engine.run())
        try:
            yield
        finally:
            run.cancel()
