"""What an engine is: messages in, text out as it becomes final. No torch here.

`core.engine.local` runs a model in this process, `core.engine.remote` speaks to an OpenAI-compatible server and
`core.engine.scripted` says what it was told; a dialogue cannot tell them apart.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol

from core.errors import InvalidParams

_RANGES = (
    ("max_tokens", 1, 1_000_000),
    ("temperature", 0.0, 100.0),
    ("top_p", 0.0, 1.0),
    ("top_k", 0, 1_000_000),
    ("min_p", 0.0, 1.0),
    ("repetition_penalty", 0.01, 100.0),
    ("candidates", 1, 128),
    ("logprobs", 0, 20),
)
_MOST_STOPS = 16
_LONGEST_STOP = 256  # characters


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a model may look at: its bytes, and what they are ("image/png")."""

    data: bytes = field(repr=False)
    type: str


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may call: `about` says to it what for, and `parameters` is the JSON schema of an object."""

    name: str
    about: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A model wants a tool called, with `arguments`: JSON, if it does well. `id` tells it from its other calls."""

    id: str
    name: str
    arguments: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt.

    `token_ids` are the tokens that a model once made for `text`, by the tokenizer with the fingerprint
    `tokenizer`: an engine with the same fingerprint splices them in, so that the prompt's prefix is the same.
    `preface` stands before the text for a model to read: who speaks, and what they refer to. `plain` is no message
    of a chat but a text to be gone on with as it stands, without a chat template; it is the only one of its
    prompt. `pictures` come with a person's message; an engine that sees none passes them over. `calls` are those
    of an answer, and what came of the one with the id `call` is a "tool"'s: only an engine that has `tools` is
    asked so.
    """

    role: Literal["system", "user", "assistant", "plain", "tool"]
    text: str = field(repr=False)
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    preface: str = field(default="", repr=False)
    pictures: tuple[Picture, ...] = ()
    calls: tuple[Call, ...] = ()
    call: str = ""

    @property
    def whole(self) -> str:
        """The text with its preface."""
        return self.preface + self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """How a completion is sampled.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 leave out nothing; `min_p` leaves out what is
    less likely than that share of the likeliest token. `seed` makes sampling repeatable. `stop` strings end a
    completion before them. `candidates` completions are made of one prompt. `logprobs`: `None` for none, else how
    many of the likeliest tokens are reported beside each sampled one. `tools` may be called, by an engine that has
    them. Raises `InvalidParams`.
    """

    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    candidates: int = 1
    logprobs: int | None = None
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        for name, lowest, highest in _RANGES:
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:  # refuses NaN as well
                raise InvalidParams(f"{name} must be from {lowest:g} to {highest:g}, and is {value}")
        if not all(self.stop):
            raise InvalidParams("a stop string is empty")
        if len(self.stop) > _MOST_STOPS or any(len(stop) > _LONGEST_STOP for stop in self.stop):
            raise InvalidParams(f"at most {_MOST_STOPS} stop strings of {_LONGEST_STOP} characters are taken")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a completion is for. Places are shared fairly between users, and then between their conversations.
    Where nobody waits for it, an engine with a line lets everybody else go first."""

    user: str = ""
    conversation: str = ""
    waits: bool = True


@dataclass(frozen=True, slots=True)
class Logprob:
    """The natural logarithm of a token's probability, before temperature and limits were applied, and those of
    the likeliest tokens in their order."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a completion took, in tokens. `cached` ones of the prompt did not have to be read."""

    prompt: int
    cached: int
    completion: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Newly final text of one candidate, with the tokens it came from. A candidate's last one says why it ended,
    which tools are to be called now, and what it took, where the engine knows."""

    text: str = field(repr=False)
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    finish: Literal["", "stop", "length"] = ""
    candidate: int = 0
    logprobs: tuple[Logprob, ...] = ()
    usage: Usage | None = None
    calls: tuple[Call, ...] = ()


class Completion(Protocol):
    """A completion while it is made: iterate over its deltas."""

    @property
    def place_in_line(self) -> int:
        """How many are served before this one begins, it included; 0 once it has begun."""
        ...

    @property
    def estimate(self) -> float | None:
        """Seconds until it begins, by the speed of late; `None` where nobody can tell yet."""
        ...

    def spell(self, token_id: int) -> bytes:
        """The bytes of a token in this completion's log-probabilities; half of a character where it is that."""
        ...

    def __aiter__(self) -> AsyncIterator[Delta]: ...

    async def __anext__(self) -> Delta: ...


NOBODY = Caller()
IN_IDLE_TIME = Caller(waits=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What an engine does now, and has done since its start.

    `alive`: it runs, and takes requests. `running` and `waiting` are completions; `most_running` is how many run
    at most (0: unknown). `prefill_tokens` were read of prompts and `decode_tokens` made, in `steps` forward passes
    that took `step_seconds` together; `cached_tokens` of prompts did not have to be read. The cache between turns
    has `cache_blocks` of equal size, of which `cache_used` hold something. 0 where another machine does it.
    """

    alive: bool
    running: int = 0
    waiting: int = 0
    most_running: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0
    steps: int = 0
    step_seconds: float = 0.0
    cached_tokens: int = 0
    cache_blocks: int = 0
    cache_used: int = 0

    def __add__(self, other: "Load") -> "Load":
        """Of two engines together; alive if one is."""
        values = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return Load(**{**values, "alive": self.alive or other.alive})


class Engine(Protocol):
    """A model that answers several conversations at once.

    `context` is the number of tokens that prompt and completion may have together. `fingerprint` names the
    tokenizer (empty: none is known). `continues`: whether a last message of the role "assistant" is taken as
    unfinished and gone on with; where it is not, the answer is made anew. `sees`: whether it looks at pictures.
    `tools`: whether it can call some.
    """

    name: str
    context: int
    fingerprint: str
    continues: bool
    sees: bool
    tools: bool

    @property
    def load(self) -> Load: ...

    def count(self, messages: Sequence[Message]) -> int:
        """The prompt's length in tokens with the chat template around it, or a safe upper bound."""
        ...

    def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Completion]:
        """A completion while it is made. Leaving the context is the only way to cancel, and always enough.

        Raises `Overloaded` (the waiting line is full), `PromptTooLong`, `InvalidParams` (an empty prompt, or what
        this engine cannot do), and while iterating `EngineError`.
        """
        ...

    async def run(self) -> None:
        """Run the model until cancelled. Whatever waits then gets `EngineStopped`."""
        ...
