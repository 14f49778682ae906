"""Messages to a prompt's token ids, and token ids back to text. Knows tokenizers, but neither torch nor models.

The model's own chat template is rendered over the whole conversation; what comes out is cut at the tokenizer's
special tokens, and each piece of plain text is encoded by itself. Special tokens are hard borders for a
tokenizer, so the ids are the template's own, and a message that was encoded once is found in a cache.
Two kinds of content are kept out of the rendering by marks that nobody can guess:

- Stored tokens of an earlier completion. Encoding its text again may give other ids, and then a cache of the
  prompt's prefix would be lost; so the stored ids go in at the mark.
- Special tokens' names in somebody's text ("<|im_end|>"). They are put back into plain text, and plain text is
  encoded without special tokens: no message can end its own turn or forge another's.

Some byte-level vocabularies lack bytes that their training text did not have (SmolLM2's: six control characters
and the code points of planes that Unicode has not assigned). A tokenizer leaves such a byte out without a word;
here the character becomes U+FFFD, the replacement character, or a question mark where even that cannot be spelled.
So does half of a surrogate pair, which is no text.
"""

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError
from tokenizers import Tokenizer, normalizers

from core.engine.engine import Call, Message, Tool
from core.engine.tool_calls import CLOSING, OPENING, ToolCalls
from core.errors import EngineError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

_SHORT = 4096  # characters: longer texts are rare, and many of them would make the cache large
_SHORT_TEXTS = 4096
_LONG_TEXTS = 16

_PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")
_PLAIN_STOPS = ("\nUser:", "\nSystem:")

_PROBE = (
    Message("user", " Probe: one\n\ntwo  "),
    Message("assistant", "three 4 five\n"),
    Message("user", "\n...  sechs"),
)


class ChatTokenizer:
    """A tokenizer with its chat template.

    `fingerprint` is the same for the same vocabulary and rules, whatever the model. `stops` are strings that end
    a completion where the template has no token for it. A model without a template gets a plain one. `tools`:
    whether the template tells a model of tools, and has calls in the form that `tool_calls` reads.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._template = tokenizer
        self.stops: tuple[str, ...] = ()
        if not tokenizer.chat_template:
            log.warning("the model has no chat template, so it is no chat model: a plain one is used")
            tokenizer.chat_template = _PLAIN_TEMPLATE
            self.stops = _PLAIN_STOPS
        backend: Tokenizer = tokenizer.backend_tokenizer
        rules = backend.to_str()
        self.fingerprint = hashlib.blake2b(rules.encode(), digest_size=8).hexdigest()
        self._whole = Tokenizer.from_str(rules)
        self._plain = Tokenizer.from_str(rules)
        self._plain.encode_special_tokens = True  # their names are text here
        self._byte_level = '"type":"ByteLevel"' in rules
        self._missing = _missing_bytes(self._whole)
        self._replacement = "\ufffd" if self._missing.isdisjoint("\ufffd".encode()) else "?"
        self._short = lru_cache(_SHORT_TEXTS)(self._encode_plain)
        self._long = lru_cache(_LONG_TEXTS)(self._encode_plain)

        self._special = {
            token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._special_names = sorted(self._special, key=len, reverse=True)
        self._nonce = secrets.token_hex(8)
        self._name = re.compile("|".join(map(re.escape, self._special_names)) or r"(?!)")
        self._border = re.compile(f"({self._name.pattern}|{self._mark('ids', r'[0-9]+')})")
        self._escaped = re.compile(self._mark("name", "([0-9]+)"))
        self._end = self._mark("end", "")

        self._takes_system = self._renders((Message("system", "s"), *_PROBE))
        self._has_hard_borders = self._probe()
        self.tools = self._knows_tools()

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """The prompt for the answer to `messages`, or for the rest of the last one where that is the assistant's,
        or a plain text as it stands, with what the tokenizer puts around every text. `tools` are what the model
        is told that it may call.

        Raises `EngineError` when the template refuses them.
        """
        if _is_plain(messages):  # names of special tokens are those tokens here
            return tuple(self._whole.encode(self._spelled(messages[0].text)).ids)
        return tuple(chain.from_iterable(self._pieces(*self._refusing(messages, tools))))

    def stops_of(self, messages: Sequence[Message]) -> tuple[str, ...]:
        return () if _is_plain(messages) else self.stops

    def transcript(self, messages: Sequence[Message]) -> tuple[tuple[int, ...], tuple[range, ...]]:
        """A whole conversation as the template writes it, and where in it the assistant's texts stand: what is
        before each is its prompt, token for token as `encode` makes it. Raises `EngineError` as that does.
        """
        own = [self._as_said(message) if message.role == "assistant" else message for message in messages]
        ids: list[int] = []
        answers: list[range] = []
        rendered, stored = self._refusing(own, whole=True)
        for piece in self._pieces(rendered, stored):
            if any(piece is each for each in stored):
                answers.append(range(len(ids), len(ids) + len(piece)))
            ids += piece
        return tuple(ids), tuple(answers)

    def count(self, messages: Sequence[Message]) -> int:
        """The length of `encode(messages)`. Where the template refuses them, about their own."""
        if not messages:
            return 0
        try:
            return len(self.encode(messages))
        except EngineError:
            every = (f"{message.role}\n{message.whole}{_as_text(message.calls)}" for message in messages)
            return sum(len(self._ids(text)) + 4 for text in every)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Plain text by itself, without a template."""
        return tuple(self._whole.encode(self._spelled(text), add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of a completion's tokens, without special ones."""
        return self._whole.decode(list(token_ids), skip_special_tokens=True)

    def spell(self, token_id: int) -> bytes:
        """The bytes of one token, special ones too. Several tokens may make one character."""
        token = self._whole.id_to_token(token_id)
        if token is None or token_id in self._special.values():
            return (token or "").encode()
        if self._byte_level:
            return bytes(_BYTES[letter] for letter in token) if _BYTES.keys() >= set(token) else token.encode()
        if byte := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(byte[1], 16)])
        return token.replace("\u2581", " ").encode()

    def _pieces(self, rendered: str, stored: Sequence[tuple[int, ...]]) -> list[Sequence[int]]:
        pieces: list[Sequence[int]] = []
        run = ""  # text that must be encoded in one go
        for piece in self._border.split(rendered):
            if piece.startswith(self._mark_head("ids")):
                pieces += (self._ids(run), stored[int(piece[len(self._mark_head("ids")) : -1])])
                run = ""
            elif self._has_hard_borders and piece in self._special:
                pieces += (self._ids(run), (self._special[piece],))
                run = ""
            else:
                run += piece
        return [*pieces, self._ids(run)]

    def _refusing(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, whole: bool = False
    ) -> tuple[str, list[tuple[int, ...]]]:
        try:
            return self._render(messages, tools, whole=whole)
        except TemplateError as error:
            raise EngineError("the model's chat template refuses the order of these messages") from error

    def _render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, whole: bool = False
    ) -> tuple[str, list[tuple[int, ...]]]:
        """The template's text with marks in it, and the stored tokens that the marks stand for. `whole`: all that
        has tokens is stored, and nothing is to be gone on with."""
        stored: list[tuple[int, ...]] = []
        chat: list[dict[str, Any]] = []
        for message in messages if self._takes_system else _without_system(messages):
            if message.token_ids if whole else self._may_splice(message):
                content = self._mark("ids", str(len(stored)))
                stored.append(message.token_ids)
            else:
                content = self._name.sub(self._escape, message.whole)
            calls = {"tool_calls": list(map(self._call, message.calls))} if message.calls else {}
            answers = {"tool_call_id": message.call} if message.call else {}
            chat.append({"role": message.role, "content": content, **calls, **answers})
        continues = bool(messages) and messages[-1].role == "assistant" and not whole
        if continues:
            chat[-1]["content"] += self._end
        rendered = self._template.apply_chat_template(
            chat,
            tools=list(map(_described, tools)) or None,
            tokenize=False,
            add_generation_prompt=not (continues or whole),
        )
        assert isinstance(rendered, str)
        return rendered.partition(self._end)[0], stored

    def _call(self, call: Call) -> dict[str, Any]:
        """As templates take it: what is said in it is somebody's text too."""
        try:
            said = json.loads(call.arguments)
        except (RecursionError, ValueError):
            said = None
        arguments = json.dumps(said if isinstance(said, dict) else {}, ensure_ascii=False)
        name, arguments = (self._name.sub(self._escape, text) for text in (call.name, arguments))
        return {"id": call.id, "type": "function", "function": {"name": name, "arguments": json.loads(arguments)}}

    def _knows_tools(self) -> bool:
        """Whether a model is told of a tool, of its call in the form that we read, and of what came of that."""
        name, said, came = (f"{kind}{self._nonce}" for kind in ("tool", "said", "came"))
        tool = Tool(name, said, {"type": "object", "properties": {}})
        call = Call("call_0", name, json.dumps({"x": said}))
        told = (_PROBE[0], Message("assistant", "", calls=(call,)), Message("tool", came, call=call.id))
        try:
            offered, _ = self._render(_PROBE[:1], (tool,))
            rendered, _ = self._render(told)
        except (TemplateError, TypeError, ValueError):
            return False
        reader = ToolCalls()
        reader.add(rendered)
        marks = f"{OPENING}{CLOSING}"
        is_read = self.decode(self.encode_text(marks)) == marks  # special tokens are not
        return is_read and name in offered and reader.found == [call] and came in rendered

    def _may_splice(self, message: Message) -> bool:
        """Only tokens that say exactly the text: it may have been cut or edited, and a model may write the name
        of a special token as that token, which must not come back as an instruction."""
        return (
            message.tokenizer == self.fingerprint
            and bool(message.token_ids)
            and self._whole.decode(list(message.token_ids), skip_special_tokens=False) == message.text
        )

    def _as_said(self, message: Message) -> Message:
        """With tokens of its own, which are no other text's."""
        ids = [*self._ids(self._name.sub(self._escape, message.text))]
        return Message(message.role, message.text, tuple(ids))

    def _ids(self, text: str) -> Sequence[int]:
        if not text:
            return ()
        return self._short(text) if len(text) <= _SHORT else self._long(text)

    def _spelled(self, text: str) -> str:
        """With the replacement character for each that has no tokens."""
        lost = [letter for letter in set(text) if self._is_lost(letter)]
        return text.translate(dict.fromkeys(map(ord, lost), self._replacement)) if lost else text

    def _is_lost(self, letter: str) -> bool:
        return "\ud800" <= letter <= "\udfff" or not self._missing.isdisjoint(letter.encode())

    def _encode_plain(self, text: str) -> tuple[int, ...]:
        if self._has_hard_borders:
            text = self._escaped.sub(lambda mark: self._special_names[int(mark[1])], text)
            return tuple(self._plain.encode(self._spelled(text), add_special_tokens=False).ids)
        text = self._escaped.sub(lambda mark: " ".join(self._special_names[int(mark[1])]), text)
        return tuple(self._whole.encode(self._spelled(text), add_special_tokens=False).ids)

    def _renders(self, messages: Sequence[Message]) -> bool:
        self._takes_system = True
        try:
            self._render(messages)
        except TemplateError:
            return False
        return True

    def _probe(self) -> bool:
        """Whether encoding piece by piece gives the template's own ids. Not with tokenizers that treat the
        beginning of a text in a special way: those get the whole text, cut at stored tokens only."""
        self._has_hard_borders = True
        rendered, _ = self._render(_PROBE)
        pieces = tuple(chain.from_iterable(self._pieces(rendered, ())))
        return pieces == tuple(self._whole.encode(rendered, add_special_tokens=False).ids)

    def _escape(self, name: re.Match[str]) -> str:
        return self._mark("name", str(self._special_names.index(name[0])))

    def _mark(self, kind: str, value: str) -> str:
        return f"{self._mark_head(kind)}{value}\ue001"

    def _mark_head(self, kind: str) -> str:
        return f"\ue000{self._nonce}{kind}"


def _missing_bytes(tokenizer: Tokenizer) -> frozenset[int]:
    """The bytes of UTF-8 that a byte-level vocabulary has no token for. Of another kind of vocabulary none: it has
    an unknown token."""
    if '"type":"ByteLevel"' not in tokenizer.to_str():
        return frozenset()
    each_byte = (*range(0x800), 0x800, *range(0x1000, 0x110000, 0x1000))  # as a first byte, or as a later one
    text = "".join(map(chr, each_byte))
    letters = normalizers.ByteLevel().normalize_str(text)  # one a byte, as the vocabulary has them
    known = tokenizer.get_vocab(with_added_tokens=False)
    return frozenset(byte for byte, letter in zip(text.encode(), letters, strict=True) if letter not in known)


def _letters_of_bytes() -> dict[str, int]:
    """Byte-level vocabularies write each byte as a letter (GPT-2's `bytes_to_unicode`): a printable one of Latin-1
    as itself, the others in their order from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTES = _letters_of_bytes()


def _described(tool: Tool) -> dict[str, Any]:
    """As OpenAI's API has it, and templates after it."""
    function = {"name": tool.name, "description": tool.about, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _as_text(calls: Sequence[Call]) -> str:
    return "".join(f"\n{call.name} {call.arguments}" for call in calls)


def _is_plain(messages: Sequence[Message]) -> bool:
    return len(messages) == 1 and messages[0].role == "plain"


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """For templates that know no system role: its text goes in front of the first message of the user."""
    system = "\n\n".join(message.text for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    for i, message in enumerate(rest):
        if system and message.role == "user":
            rest[i] = Message("user", f"{system}\n\n{message.whole}")
            break
    return rest
