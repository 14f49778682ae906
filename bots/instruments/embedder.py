"""Watches what programs ask the model for embeddings for."""

import asyncio
import time
from collections.abc import Sequence

from bots.instruments.metrics import Metrics
from core.engine.embedding import Embedded, Embedder, Input


class WatchedEmbedder:
    """`embedder`, watched."""

    def __init__(self, embedder: Embedder, metrics: Metrics) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._metrics = metrics

    async def embed(self, inputs: Sequence[Input], dimensions: int | None = None) -> Embedded:
        """See `Embedder.embed`."""
        began, outcome = time.monotonic(), "failed"
        try:
            embedded = await self._embedder.embed(inputs, dimensions)
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "left"
            raise
        finally:
            seconds = self._metrics.child(self._metrics.embedding_seconds, "api", outcome)
            seconds.observe(time.monotonic() - began)
        self._metrics.child(self._metrics.tokens, "api", "embedded").inc(embedded.tokens)
        return embedded

    async def run(self) -> None:
        await self._embedder.run()
