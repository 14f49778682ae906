"""Which channels of direct messages are remembered, and up to where each shard has read."""

from adapters.discord.seen import Seen
from adapters.discord.shards import ALL, Shard
from tests.adapters.discord.notebook import Notebook


async def test_message_in_a_channel_that_is_remembered_costs_no_write() -> None:
    written: list[None] = []
    notebook = Notebook(lambda: written.append(None))
    seen = Seen(notebook, "9")
    for number in range(1000):
        seen.by(ALL).note(f"D{number}", number, direct=True)
    await seen.remember("D999")
    for number in range(1000):
        seen.by(ALL).note(f"D{number}", 1000 + number, direct=True)
        await seen.remember(f"D{number}")
    assert len(written) == 1


async def test_channels_are_bounded_and_those_heard_last_come_first() -> None:
    notebook = Notebook(lambda: None)
    seen = Seen(notebook, "9")
    for number in range(2500):
        seen.by(ALL).note(f"D{number}", number, direct=True)
    seen.by(ALL).note("D1000", 2500, direct=True)
    await seen.save()
    later = Seen(notebook, "9")
    await later.load()
    assert later.directs[:3] == ["D1000", "D2499", "D2498"]
    assert len(later.directs) == 2000


async def test_a_shard_that_is_behind_stays_behind_when_another_one_has_heard_more() -> None:
    notebook = Notebook(lambda: None)
    seen = Seen(notebook, "9")
    old, new = seen.by(Shard(0, 2)).up_to + 1, seen.by(Shard(0, 2)).up_to + 2**40
    seen.by(Shard(0, 2)).note("C1", old, direct=False)
    seen.by(Shard(1, 2)).note("C2", new, direct=False)
    await seen.save()
    later = Seen(notebook, "9")
    await later.load()
    assert (later.by(Shard(0, 2)).up_to, later.by(Shard(1, 2)).up_to) == (old, new)


async def test_with_another_number_of_shards_reading_begins_where_all_have_read() -> None:
    notebook = Notebook(lambda: None)
    seen = Seen(notebook, "9")
    first = seen.by(Shard(0, 2)).up_to
    seen.by(Shard(0, 2)).note("C1", first + 1, direct=False)
    seen.by(Shard(1, 2)).note("C2", first + 2, direct=False)
    await seen.save()
    later = Seen(notebook, "9")
    await later.load()
    assert [later.by(shard).up_to for shard in (ALL, Shard(2, 3))] == [first + 1, first + 1]
