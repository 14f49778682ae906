"""The names that `model` may have, and what each of them is for."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from bots.http.api.errors import no_such_model
from core.engine.embedding import Embedder
from core.engine.engine import Engine, Message

DEFAULT = "default"
"""This name is always the configured model."""


class Models:
    """The configured model, under its own name and as `default`; each persona: the same model, with that persona's
    text before whatever it is told; the `others`, by the names that the operator gave them; and the one that makes
    embeddings, where there is one."""

    def __init__(
        self,
        engine: Engine,
        personas: Mapping[str, str],
        others: Mapping[str, Engine],
        embedder: Embedder | None = None,
    ) -> None:
        self._created = int(time.time())
        self._personas: dict[str, str] = {DEFAULT: "", engine.name: "", **personas, **dict.fromkeys(others, "")}
        self._engine = engine
        self._others = others
        self._embedder = embedder
        self._names = dict.fromkeys([*self._personas, *([] if embedder is None else [embedder.name])])

    def engine(self, model: str) -> Engine:
        """Which one answers for that name."""
        return self._others.get(model, self._engine)

    def messages(self, model: str, messages: Sequence[Message]) -> Sequence[Message]:
        """What the engine is asked. Raises `ApiError` for a name that is none."""
        if (persona := self._personas.get(model)) is None:
            raise no_such_model("This model makes embeddings only." if model in self._names else None)
        if not persona or messages[0].role == "plain":
            return messages
        return [Message("system", persona), *messages]

    def embedder(self, model: str) -> Embedder:
        """Raises `ApiError` for a name that is none, or another model's."""
        if self._embedder is None:
            raise no_such_model("No model here makes embeddings: embeddings.name is not set.")
        if self._embedder.name != model:
            raise no_such_model("This model makes no embeddings." if model in self._names else None)
        return self._embedder

    def describe(self, model: str) -> dict[str, Any]:
        """Raises `ApiError`."""
        if model not in self._names:
            raise no_such_model()
        return {"id": model, "object": "model", "created": self._created, "owned_by": "trialogue"}

    def all(self) -> dict[str, Any]:
        return {"object": "list", "data": [self.describe(model) for model in self._names]}
