"""Counters and histograms for Prometheus: its conventions for names and units, and no label without a bound.
What others count already is read when Prometheus asks (`bots.instruments.collectors`).

`platform` is an adapter's name, `source` that or "api". A registry belongs to whoever made it; there is no global.
"""

from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

M = TypeVar("M", Counter, Histogram)

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.events = Counter(
            "trialogue_events",
            "Events accepted from a platform, by kind.",
            ["platform", "kind"],
            registry=registry,
        )
        self.turn_seconds = Histogram(
            "trialogue_turn_duration_seconds",
            "From the claim of an event to the end of its turn, by outcome.",
            ["platform", "outcome"],
            buckets=_LONG,
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "trialogue_event_wait_seconds",
            "From when a person wrote, by the platform's clock, to the claim.",
            ["platform"],
            buckets=_LONG,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "trialogue_first_token_seconds",
            "From a request to the model to its first token, the wait in line included.",
            ["source"],
            buckets=_LONG,
            registry=registry,
        )
        self.completion_seconds = Histogram(
            "trialogue_completion_duration_seconds",
            "From a request to the model to its end, by why it ended.",
            ["source", "finish"],
            buckets=_LONG,
            registry=registry,
        )
        self.embedding_seconds = Histogram(
            "trialogue_embedding_duration_seconds",
            "From a request for embeddings to its end, by how it ended.",
            ["source", "outcome"],
            buckets=_LONG,
            registry=registry,
        )
        self.tokens = Counter(
            "trialogue_tokens",
            "Tokens: of prompts, of these found in the cache, made, and embedded.",
            ["source", "kind"],
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "trialogue_delivery_call_seconds",
            "A message from when it is sent until the platform has it.",
            ["platform"],
            buckets=_SHORT,
            registry=registry,
        )
        self.lag_seconds = Histogram(
            "trialogue_delivery_lag_seconds",
            "How far a room is behind the model. draft: from a word until it is sent; final: from a whole reply "
            "until it stands there.",
            ["platform", "text"],
            buckets=_SHORT,
            registry=registry,
        )
        self.votes = Counter(
            "trialogue_votes",
            "Votes for answers.",
            ["platform", "vote"],
            registry=registry,
        )

        self._children = cache(lambda metric, *labels: metric.labels(*labels))

    def child(self, metric: M, *labels: str) -> M:
        """A metric with its labels, in their order. The library's own way to it takes a lock and makes a tuple,
        which would be a third of what a turn's metrics cost."""
        found: M = self._children(metric, *labels)
        return found
