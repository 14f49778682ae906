"""Metrics, traces, logs and health of the whole bot."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from bots.app import Bot, Plan
from bots.app import running as run_plan
from bots.instruments import logs
from bots.instruments.instruments import Instruments
from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Event, Reply
from tests.bots.instruments.room import RoomAdapter
from tests.core.store.servers import RedisServer
from tests.core.store.steps import eventually
from tests.running import QUICK, running

SERVED = ("127.0.0.1", 0)
DASHBOARD = Path(__file__).parents[3] / "examples" / "grafana" / "trialogue.json"


async def get(bot: Bot, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{bot.url}{path}", headers=headers)


async def samples(bot: Bot) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = (await get(bot, "/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_turn_is_counted_from_the_event_to_the_room(store: Store) -> None:
    room = RoomAdapter()
    async with running(room, store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        room.said.put_nowait("hi there")
        await room.answered.get()

        async def counted() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
            seen = await samples(bot)
            return {} if seen[of("trialogue_turns_running", platform="room")] else seen

        seen = await eventually(counted)
    assert seen[of("trialogue_events_total", platform="room", kind="message")] == 1
    assert seen[of("trialogue_turn_duration_seconds_count", platform="room", outcome="done")] == 1
    assert seen[of("trialogue_first_token_seconds_count", source="room")] == 1
    assert seen[of("trialogue_completion_duration_seconds_count", source="room", finish="stop")] == 1
    assert seen[of("trialogue_tokens_total", source="room", kind="completion")] == 4
    assert seen[of("trialogue_delivery_changes_total", platform="room")] >= 1
    assert seen[of("trialogue_delivery_call_seconds_count", platform="room")] == 1
    assert seen[of("trialogue_delivery_lag_seconds_count", platform="room")] == 1
    assert seen[of("trialogue_engine_alive")] == 1


async def test_metrics_need_a_key_once_there_is_one_and_health_does_not(store: Store) -> None:
    async with running(store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        assert (await get(bot, "/metrics")).is_success
        secret, _ = await ApiKeys(store.client).add("prometheus")
        assert (await get(bot, "/metrics")).status_code == 401
        assert (await get(bot, "/metrics", authorization=f"Bearer {secret}")).is_success
        assert (await get(bot, "/readyz")).json() == {"store": True, "model": True, "platforms": True}


async def test_process_without_its_store_is_alive_and_not_ready(data_dir: Path) -> None:
    with RedisServer() as server:
        settings = StoreSettings(url=server.url, data_dir=data_dir)
        async with (
            open_store(settings) as store,
            running(store=store, engine=ScriptedEngine(), address=SERVED) as bot,
        ):
            assert (await get(bot, "/readyz")).is_success
            server.kill()
            answer = await get(bot, "/readyz")
            assert answer.status_code == 503
            assert answer.json() == {"store": False, "model": True, "platforms": True}
            assert (await get(bot, "/healthz")).is_success


async def test_turn_is_one_trace_from_the_listener_to_the_worker(store: Store) -> None:
    heard, worked = InMemorySpanExporter(), InMemorySpanExporter()
    listener, deliverer = RoomAdapter(), RoomAdapter()
    listens = Plan(engine=None, adapters=[listener], instruments=Instruments(Metrics(), Tracing(heard)))
    watched = Instruments(Metrics(), Tracing(worked))
    engine = ScriptedEngine()
    works = Plan(engine=engine, adapters=[deliverer], listen=False, worker=QUICK, instruments=watched)
    async with run_plan(store, listens, lambda _line: None), run_plan(store, works, lambda _line: None):
        listener.said.put_nowait("a secret")
        await deliverer.answered.get()
    [accepted] = heard.get_finished_spans()
    spans = {span.name: span for span in worked.get_finished_spans()}
    assert accepted.name == "accept"
    assert set(spans) == {"turn", "prefill", "decode", "deliver"}
    assert {span.context.trace_id for span in spans.values()} == {accepted.context.trace_id}
    assert spans["turn"].parent is not None
    assert spans["turn"].parent.span_id == accepted.context.span_id
    for name in ("prefill", "decode", "deliver"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == spans["turn"].context.span_id
    assert all("secret" not in span.to_json() for span in (accepted, *spans.values()))


@pytest.fixture
def root_logger() -> Iterator[None]:
    """As it was, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.CHATTY}
    yield
    root.handlers[:], root.level = handlers, level
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


class Failing(RoomAdapter):
    async def deliver(self, event: Event, reply: Reply) -> None:
        self.answered.put_nowait(event.id)
        raise ZeroDivisionError(event.text)


async def test_lines_are_json_with_the_turn_and_without_what_was_said(store: Store, root_logger: None) -> None:
    out = io.StringIO()
    logs.configure("info", "auto", out)
    room = Failing()
    async with running(room, store=store, engine=ScriptedEngine()):
        room.said.put_nowait("a secret")
        await room.answered.get()

        async def told() -> bool:
            return "a turn failed" in out.getvalue()

        await eventually(told)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    failed = next(line for line in lines if "a turn failed" in line["event"])
    assert (failed["turn"], failed["level"], failed["logger"]) == ("room/bot/1", "error", "core.worker")
    assert "secret" not in out.getvalue()


async def test_dashboard_asks_for_metrics_that_exist(store: Store) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"trialogue_\w+", target["expr"])
    }
    async with running(store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        text = (await get(bot, "/metrics")).text
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    exist = {
        family.name + suffix for family in text_string_to_metric_families(text) for suffix in suffixes[family.type]
    }
    assert asked <= exist
    assert len(asked) >= 15
