"""What is known or counted elsewhere, read when Prometheus asks."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.wire import Wire
from bots.instruments.live import Live
from core.engine.engine import Load


class EngineCollector(Collector):
    """That of one engine."""

    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        for name, text, value in (
            ("alive", "1 while the model runs.", float(load.alive)),
            ("running", "Completions that the model writes.", load.running),
            ("waiting", "Completions that wait in line.", load.waiting),
            ("running_limit", "How many are written at once at most; 0: unknown.", load.most_running),
            ("cache_blocks", "Blocks of the cache between turns.", load.cache_blocks),
            ("cache_used_blocks", "Blocks of the cache that hold something.", load.cache_used),
        ):
            yield GaugeMetricFamily(f"trialogue_engine_{name}", text, value=value)
        for name, text, value in (
            ("prefill_tokens", "Tokens of prompts that were read.", load.prefill_tokens),
            ("cached_tokens", "Tokens of prompts that the cache knew.", load.cached_tokens),
            ("decode_tokens", "Tokens that were made.", load.decode_tokens),
            ("steps", "Forward passes.", load.steps),
            ("step_seconds", "Time in forward passes.", load.step_seconds),
        ):
            yield CounterMetricFamily(f"trialogue_engine_{name}", text, value=value)


class LiveCollector(Collector):
    """That of the turns under way, of each of `adapters`."""

    def __init__(self, live: Live, adapters: Collection[str]) -> None:
        self._live = live
        self._adapters = adapters

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("trialogue_turns_running", "Turns under way.", labels=["platform"])
        count = Counter(turn.adapter for turn in self._live)
        for name in self._adapters:
            running.add_metric([name], count[name])
        yield running


class WireCollector(Collector):
    """That of the adapters whose platforms may be out of reach, by name."""

    def __init__(self, wires: Mapping[str, Wire]) -> None:
        self._wires = wires

    def collect(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily(
            "trialogue_platform_connected", "1 while what people say reaches this process.", labels=["platform"]
        )
        calls = CounterMetricFamily(
            "trialogue_delivery_calls",
            "Calls that show replies, by how they ended; limited: a 429.",
            labels=["platform", "call", "outcome"],
        )
        for name, wire in self._wires.items():
            connected.add_metric([name], float(wire.connected))
            for part, here in wire.parts.items():
                connected.add_metric([f"{name}/{part}"], float(here))
            for (call, outcome), count in wire.calls.items():
                calls.add_metric([name, call, outcome], count)
        yield connected
        yield calls
