"""What the refusals of a server with OpenAI's API mean. Knows no request and no connection.

The SDK's errors hold what the server said, and a server may repeat the prompt: nothing of it comes out of here.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import openai

from core.errors import EngineError, Overloaded, PromptTooLong

# What servers say instead of OpenAI's code `context_length_exceeded`: vLLM names the "maximum context length",
# llama.cpp the "context size", others the "context window".
_TOO_LONG = re.compile(r"context[ _-]?(length|size|window)", re.IGNORECASE)

# What servers say of a parameter that they do not know, or not for this model, and the parameters without which
# an answer is still an answer. OpenAI knows none of what is beyond its API, and its newest models take less.
_NOT_TAKEN = re.compile(
    r"un(supported|recogni[sz]ed|known|expected)|not (supported|permitted|allowed)|extra", re.IGNORECASE
)
_DISPENSABLE = frozenset(
    {"max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stream_options"}
)


@contextmanager
def translated() -> Iterator[None]:
    """What the SDK raises in the block comes out as `EngineError`, `Overloaded` or `PromptTooLong`, unchained."""
    try:
        yield
    except openai.APIStatusError as error:
        _refuse(error)
    except openai.APIConnectionError as error:
        raise EngineError(f"the model server cannot be reached: {type(error).__name__}") from None
    except openai.APIError:
        raise EngineError("the model server failed while it answered") from None
    except (ValueError, TypeError, AttributeError):
        raise EngineError("the model server's answer is not what the API promises") from None


def _refuse(error: openai.APIStatusError) -> NoReturn:
    status = error.status_code
    if status == 429 and error.code == "insufficient_quota":
        raise EngineError("the model server's account is used up") from None
    if status in (429, 503):
        raise Overloaded(f"the model server has too much to do: status {status}") from None
    if _is_too_long(error):
        raise PromptTooLong("the prompt is longer than the model server reads") from None
    fix = {401: ": check its api_key", 403: ": check its api_key", 404: ": check its url and name"}
    raise EngineError(f"the model server answered with status {status}{fix.get(status, '')}") from None


def _is_too_long(error: openai.APIStatusError) -> bool:
    too_long = error.code == "context_length_exceeded" or _TOO_LONG.search(_said(error)) is not None
    return too_long and error.status_code in (400, 413, 422)


def not_taken_by(error: openai.APIStatusError) -> set[str]:
    """The parameters that a server refuses for being what they are, if an answer is an answer without them."""
    said = _said(error)
    if _is_too_long(error) or not _NOT_TAKEN.search(said):
        return set()
    return {name for name in _DISPENSABLE if re.search(rf"\b{name}\b", said)}


def _said(error: openai.APIStatusError) -> str:
    return f"{error.message} {error.body}"


def retry_after(headers: Any) -> float:
    """Seconds until the server wants to be asked again; 0 where it does not say (RFC 9110, section 10.2.3)."""
    said = headers.get("retry-after", "")
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(said).timestamp() - time.time()
    except ValueError:
        return 0.0
