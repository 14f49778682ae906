"""One tree of exceptions; each knows what the person is told.

    CoreError
    ├── Overloaded          a bounded queue is full; try again later
    ├── PromptTooLong       the message alone does not fit into the model's context
    ├── InvalidParams       a completion was asked for in a way that makes no sense
    ├── EngineError         the model failed while it answered
    │   ├── EngineStopped   the model is not running (any more)
    │   └── RefusedByServer another server does not take a request, and says why
    ├── ModelNotFound       there is no such model; says what to do
    ├── CannotTrain         there is nothing to learn from, or nothing that could; says what to do
    ├── StoreUnavailable    Redis cannot be reached, or refuses to write
    ├── LeaseLost           another worker owns the conversation now: stop, and touch nothing
    ├── NotFetched          a platform did not hand out what somebody sent
    └── Refused             a platform refuses us for good: wrong token, missing intent or scope

Whose fault it is decides the class. `reply` is the sentence for the person in the room; the exception's own
text is for the operator and never holds a secret or a person's words.
"""

from core.languages import msgid


class CoreError(Exception):
    """The root. Whatever the core raises on purpose is one of these."""

    reply: str = msgid("Something went wrong on my side. Please try again.")


class Overloaded(CoreError):
    """A bounded queue is full. Nothing was taken; the caller may try again later."""

    reply = msgid("Too many people are asking at once. Please try again in a minute.")


class PromptTooLong(CoreError):
    """The newest message does not fit into the model's context, even with no history at all."""

    reply = msgid("That message is longer than I can read at once. Please send a shorter one.")


class InvalidParams(CoreError):
    """A completion was asked for in a way that makes no sense. The text names the parameter and its limits."""


class EngineError(CoreError):
    """The model failed while it answered."""

    reply = msgid("The model could not answer this. Please try again.")


class EngineStopped(EngineError):
    """The model is not running, or was stopped while it answered."""

    reply = msgid("I am being restarted. Please ask again in a moment.")


class RefusedByServer(EngineError):
    """Another server does not take what a program asked for. What it says of it, in OpenAI's form, is for that
    program alone: it may quote what was asked."""

    def __init__(self, status: int, message: str, *, kind: str, code: str | None, param: str | None) -> None:
        super().__init__(f"the model server answered with status {status}")
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param


class ModelNotFound(CoreError):
    """The named model cannot be loaded. The text says what to do about it."""


class CannotTrain(CoreError):
    """A model cannot be trained as was asked. The text says what is at fault, and what to do about it."""


class StoreUnavailable(CoreError):
    """Redis cannot be reached, is still loading, or refuses to write. Nothing was promised."""

    reply = msgid("I cannot reach my memory right now. Please try again in a minute.")


AWAY = (StoreUnavailable, Overloaded)
"""What may be asked of the store and not be answered now. Both pass."""


class LeaseLost(CoreError):
    """Another worker owns the conversation now. Whoever sees this stops and touches nothing more."""


class NotFetched(CoreError):
    """A platform did not hand out a file. The text says why, and names neither the file nor where it is."""


class Refused(CoreError):
    """A platform refuses us for good.

    `fix` says what the operator must do, and where to click.
    """

    def __init__(self, platform: str, why: str, *, fix: str) -> None:
        super().__init__(f"{platform}: {why}. {fix}")
        self.platform = platform
        self.why = why
        self.fix = fix
