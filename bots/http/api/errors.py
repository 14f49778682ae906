"""Errors in OpenAI's form, which its clients turn into their own exceptions by the status."""

import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from core.errors import (
    CoreError,
    EngineStopped,
    InvalidParams,
    Overloaded,
    PromptTooLong,
    RefusedByServer,
    StoreUnavailable,
)

_SOON = "5"  # seconds after which a full line is worth another try


class ApiError(CoreError):
    """A request that is not served. The text is for its sender, and quotes nothing of what was sent."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)


def no_such_model(why: str | None = None) -> ApiError:
    why = why or "There is no such model; GET /v1/models lists them."
    return ApiError(404, why, code="model_not_found", param="model")


def wrong_key(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})


def rate_limited(wait: float, headers: Mapping[str, str]) -> ApiError:
    """`wait`: seconds until the key may ask again."""
    seconds = math.ceil(wait)
    return ApiError(
        429,
        f"The key's limit for a minute is used up. Try again in {seconds} s.",
        kind="rate_limit_error",
        code="rate_limit_exceeded",
        headers={**headers, "retry-after": str(seconds)},
    )


def as_api_error(error: Exception) -> ApiError:
    """Whatever the engine or the store raised, as its sender is told. What nobody foresaw is a 500 without a
    word of what it says: that may quote somebody."""
    match error:
        case ApiError():
            return error
        case RefusedByServer():
            return ApiError(error.status, error.message, kind=error.kind, code=error.code, param=error.param)
        case PromptTooLong():
            return ApiError(400, _sentence(error), code="context_length_exceeded", param="messages")
        case InvalidParams():
            return ApiError(400, _sentence(error))
        case Overloaded():
            return ApiError(
                503,
                "Too many are asking at once. Try again in a moment.",
                kind="server_error",
                code="overloaded",
                headers={"retry-after": _SOON},
            )
        case EngineStopped():
            return ApiError(
                503, "The model is being restarted.", kind="server_error", headers={"retry-after": _SOON}
            )
        case StoreUnavailable():
            return ApiError(
                503, "The store cannot be reached.", kind="server_error", headers={"retry-after": _SOON}
            )
        case _:
            return ApiError(500, "The model could not answer this.", kind="server_error")


def _sentence(error: CoreError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
