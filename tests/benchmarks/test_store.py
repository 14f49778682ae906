"""The benchmark of the store, with next to nothing in it."""

import csv
from pathlib import Path

from benchmarks import store as benchmark
from benchmarks.store import IDLE_TURNS, ROOM, TEXT, fill
from core.store.client import StoreSettings
from core.store.store import open_store
from core.turns import Conversation

STEPS = ("accept", "claim, from accepted on", "showing", "shown", "heartbeat", "complete", "delivered")


async def test_each_step_is_timed_and_the_server_is_started_again(tmp_path: Path) -> None:
    few = [
        "--rounds",
        "2",
        "--turns",
        "16",
        "--at-once",
        "1",
        "4",
        "--idle",
        "3",
        "10",
        "--results",
        str(tmp_path),
    ]
    await benchmark.main(benchmark.parse(few))
    text = (tmp_path / "store.md").read_text()
    assert all(text.count(f"| {step} |") == 2 for step in STEPS), "with one at once, and with four"
    earlier = (tmp_path / "store.csv").read_text()
    passes = (tmp_path / "passes.csv").read_text().splitlines()
    assert len(passes) == 1 + 4, "two rounds with three and with ten"
    for row in csv.DictReader(passes):
        assert int(row["forgotten"]) == 64
        assert int(row["export_bytes"]) > 64 * 8 * len(TEXT), "what was said in them, and more"
        assert float(row["rewrite_seconds"]) > 0.0
    await benchmark.main(benchmark.parse(["passes", "--rounds", "1", "--idle", "3", "--results", str(tmp_path)]))
    assert len((tmp_path / "passes.csv").read_text().splitlines()) == 1 + 1 + 2
    assert (tmp_path / "store.csv").read_text() == earlier, "what was not measured again stays"
    for line in (tmp_path / "idle.csv").read_text().splitlines()[1:]:
        assert float(line.split(",")[-1]) > 0.0, "how long it took to come back"


async def test_idle_conversations_are_as_the_store_leaves_them(tmp_path: Path) -> None:
    async with open_store(StoreSettings(data_dir=tmp_path)) as store:
        await fill(store, 20)
        conversations = [each async for each in store.memory.conversations()]
        assert len(conversations) == 20
        turns = await store.memory.turns(Conversation.of(ROOM, "idle 7"), 100)
        assert [turn.number for turn in turns] == list(range(1, IDLE_TURNS + 1))
        assert all(turn.text for turn in turns)
