"""Which channels of direct messages are remembered."""

from adapters.discord.seen import Seen
from tests.adapters.discord.notebook import Notebook


async def test_message_in_a_channel_that_is_remembered_costs_no_write() -> None:
    written: list[None] = []
    notebook = Notebook(lambda: written.append(None))
    seen = Seen(notebook, "9")
    for number in range(1000):
        seen.note(f"D{number}", number, direct=True)
    await seen.remember("D999")
    for number in range(1000):
        seen.note(f"D{number}", 1000 + number, direct=True)
        await seen.remember(f"D{number}")
    assert len(written) == 1


async def test_channels_are_bounded_and_those_heard_last_come_first() -> None:
    notebook = Notebook(lambda: None)
    seen = Seen(notebook, "9")
    for number in range(2500):
        seen.note(f"D{number}", number, direct=True)
    seen.note("D1000", 2500, direct=True)
    await seen.save()
    later = Seen(notebook, "9")
    await later.load()
    assert later.directs[:3] == ["D1000", "D2499", "D2498"]
    assert len(later.directs) == 2000
