"""The names that `model` may have."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from bots.http.api.errors import no_such_model
from core.engine.engine import Message

DEFAULT = "default"
"""This name is always the configured model."""


class Models:
    """The configured model, under its own name and as `default`, and each persona: the same model, with that
    persona's text before whatever it is told."""

    def __init__(self, name: str, personas: Mapping[str, str]) -> None:
        self._created = int(time.time())
        self._personas: dict[str, str] = {DEFAULT: "", name: "", **personas}

    def messages(self, model: str, messages: Sequence[Message]) -> Sequence[Message]:
        """What the engine is asked. Raises `ApiError` for a name that is none."""
        if (persona := self._personas.get(model)) is None:
            raise no_such_model()
        if not persona or messages[0].role == "plain":
            return messages
        return [Message("system", persona), *messages]

    def describe(self, model: str) -> dict[str, Any]:
        """Raises `ApiError`."""
        if model not in self._personas:
            raise no_such_model()
        return {"id": model, "object": "model", "created": self._created, "owned_by": "trialogue"}

    def all(self) -> dict[str, Any]:
        return {"object": "list", "data": [self.describe(model) for model in self._personas]}
