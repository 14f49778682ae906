"""Metrics, traces, logs and health of the whole bot."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client.parser import text_string_to_metric_families

from bots.app import Plan
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
from tests.bots.instruments.scrape import Samples, get, of, samples
from tests.core.store.events import an_event
from tests.core.store.servers import RedisServer
from tests.core.store.steps import eventually
from tests.running import QUICK, running

SERVED = ("127.0.0.1", 0)
DASHBOARD = Path(__file__).parents[3] / "examples" / "grafana" / "trialogue.json"


async def test_turn_is_counted_from_the_event_to_the_room(store: Store) -> None:
    room = RoomAdapter()
    async with running(room, store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        room.say("hi there")
        await room.answered.get()

        async def counted() -> Samples:
            seen = await samples(bot)
            return {} if seen[of("trialogue_turns_running", platform="room")] else seen

        seen = await eventually(counted)
    assert seen[of("trialogue_events_total", platform="room", kind="message")] == 1
    assert seen[of("trialogue_turn_duration_seconds_count", platform="room", outcome="done")] == 1
    assert seen[of("trialogue_first_token_seconds_count", source="room")] == 1
    assert seen[of("trialogue_completion_duration_seconds_count", source="room", finish="stop")] == 1
    assert seen[of("trialogue_tokens_total", source="room", kind="completion")] == 4
    assert seen[of("trialogue_delivery_call_seconds_count", platform="room")] == 1
    assert seen[of("trialogue_delivery_lag_seconds_count", platform="room", text="final")] == 1
    assert seen[of("trialogue_engine_alive")] == 1


async def test_several_models_are_counted_together(store: Store) -> None:
    models = {"other": ScriptedEngine()}
    async with running(store=store, engine=ScriptedEngine(), models=models, address=SERVED) as bot:
        question = {"messages": [{"role": "user", "content": "hi there"}]}
        async with httpx.AsyncClient(trust_env=False) as client:
            for model in ("default", "other"):
                answer = await client.post(f"{bot.url}/v1/chat/completions", json={"model": model, **question})
                assert answer.is_success
        seen = await samples(bot)
    assert seen[of("trialogue_completion_duration_seconds_count", source="api", finish="stop")] == 2
    assert seen[of("trialogue_engine_alive")] == 1


async def test_metrics_need_a_key_once_there_is_one_and_health_does_not(store: Store) -> None:
    async with running(store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        assert (await get(bot, "/metrics")).is_success
        secret, _ = await ApiKeys(store.client).add("prometheus")
        assert (await get(bot, "/metrics")).status_code == 401
        assert (await get(bot, "/metrics", authorization=f"Bearer {secret}")).is_success
        assert (await get(bot, "/readyz")).json() == {"store": True, "model": True}


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
            assert answer.json() == {"store": False, "model": True}
            assert (await get(bot, "/healthz")).is_success


async def test_turn_is_one_trace_from_the_listener_to_the_worker(store: Store) -> None:
    heard, worked = InMemorySpanExporter(), InMemorySpanExporter()
    listener, deliverer = RoomAdapter(), RoomAdapter()
    listens = Plan(engine=None, adapters=[listener], instruments=Instruments(Metrics(), Tracing(heard)))
    watched = Instruments(Metrics(), Tracing(worked))
    engine = ScriptedEngine()
    works = Plan(engine=engine, adapters=[deliverer], listen=False, worker=QUICK, instruments=watched)
    async with run_plan(store, listens, lambda _line: None), run_plan(store, works, lambda _line: None):
        listener.say("a secret")
        await deliverer.answered.get()
    [accepted] = heard.get_finished_spans()
    spans = {span.name: span for span in worked.get_finished_spans()}
    assert accepted.name == "accept"
    assert set(spans) == {"turn", "prompt", "prefill", "decode", "deliver"}
    assert {span.context.trace_id for span in spans.values()} == {accepted.context.trace_id}
    assert spans["turn"].parent is not None
    assert spans["turn"].parent.span_id == accepted.context.span_id
    for name in ("prompt", "prefill", "decode", "deliver"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == spans["turn"].context.span_id
    assert all("secret" not in span.to_json() for span in (accepted, *spans.values()))


async def test_event_that_is_not_sampled_has_no_span_anywhere(store: Store) -> None:
    heard, worked = InMemorySpanExporter(), InMemorySpanExporter()
    listener, deliverer = RoomAdapter(), RoomAdapter()
    listens = Plan(engine=None, adapters=[listener], instruments=Instruments(Metrics(), Tracing(heard, ratio=0.0)))
    watched = Instruments(Metrics(), Tracing(worked))
    works = Plan(engine=ScriptedEngine(), adapters=[deliverer], listen=False, worker=QUICK, instruments=watched)
    async with run_plan(store, listens, lambda _line: None), run_plan(store, works, lambda _line: None):
        listener.say("hi")
        await deliverer.answered.get()
    assert heard.get_finished_spans() == worked.get_finished_spans() == ()


async def test_receiver_is_sent_what_was_begun_and_ended() -> None:
    received = ExportTraceServiceRequest()

    async def take(request: web.Request) -> web.Response:
        received.MergeFromString(await request.read())
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        tracing = Tracing.to(f"http://{host}:{port}")
        accepted = tracing.begin("accept", {"platform": "web"}, SpanKind.PRODUCER)
        turn = tracing.go_on(accepted.traceparent, "turn", {"part": 7}, SpanKind.CONSUMER)
        assert turn is not None
        child = tracing.under(turn, "decode", began_ns=1_000)
        child.tell({"tokens": 3})
        child.end()
        turn.end("Overloaded")
        accepted.end()
        assert tracing.go_on("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "turn", {}, SpanKind.CONSUMER) is None
        assert tracing.go_on("nonsense", "turn", {}, SpanKind.CONSUMER) is None
        await asyncio.to_thread(tracing.close)
    finally:
        await runner.cleanup()
    [resource] = received.resource_spans
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert named["service.name"] == "trialogue"
    [scope] = resource.scope_spans
    spans = {span.name: span for span in scope.spans}
    first, second, third = (spans[name] for name in ("accept", "turn", "decode"))
    assert first.trace_id == second.trace_id == third.trace_id
    assert (first.parent_span_id, second.parent_span_id) == (b"", first.span_id)
    assert third.parent_span_id == second.span_id
    assert (first.attributes[0].key, first.attributes[0].value.string_value) == ("platform", "web")
    assert (third.attributes[0].key, third.attributes[0].value.int_value) == ("tokens", 3)
    assert third.start_time_unix_nano == 1_000 < third.end_time_unix_nano
    assert (second.status.code, second.status.message) == (2, "Overloaded")
    assert [span.kind for span in (first, second, third)] == [4, 5, 1]  # producer, consumer, internal


def test_so_many_events_a_second_are_traced_and_no_more() -> None:
    now = 100.0
    tracing = Tracing(InMemorySpanExporter(), most=2.0, clock=lambda: now)

    def taken(events: int) -> int:
        return sum(tracing.takes_one() for _ in range(events))

    assert taken(50) == 2
    now += 0.5
    assert taken(50) == 1
    now += 3600.0
    assert taken(50) == 2, "what was not used is not saved up"
    assert Tracing(InMemorySpanExporter()).takes_one()
    slow = Tracing(InMemorySpanExporter(), most=0.1, clock=lambda: now)
    assert [slow.takes_one() for _ in range(2)] == [True, False]
    now += 10.0
    assert slow.takes_one()


async def test_votes_are_counted_once_each(store: Store) -> None:
    instruments = Instruments(Metrics(), None)
    inbox = instruments.inbox(store.inbox, "web")
    for vote in ("up", "up", "down"):
        event = an_event(vote, kind="vote")
        for _ in range(2):
            await inbox.accept(event)
    value = instruments.metrics.registry.get_sample_value
    counted = [value("trialogue_votes_total", {"platform": "web", "vote": vote}) for vote in ("up", "down")]
    assert counted == [2, 1]


async def test_listener_whose_connection_is_taken_stands_by(store: Store) -> None:
    plan = Plan(engine=None, adapters=[RoomAdapter()], alone={"room"})
    lease = store.client.keys.value("lease/room/bot")
    async with run_plan(store, plan, lambda _line: None) as bot:
        await bot.listening.wait()
        [life] = bot.lives
        assert life.state == "listening"
        await store.client.ask("SET", lease, "elsewhere/1/token", key=lease)

        async def stands_by() -> bool:
            return life.state == "standing by" and life.is_ready

        await eventually(stands_by)


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
        room.say("a secret")
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
