"""What an operator asks for, and what becomes of it."""

from pathlib import Path

from bots.app import Plan
from bots.app import running as run_plan
from bots.bot import Bot
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.bots.admin.conftest import OFTEN, Operator
from tests.bots.instruments.room import HERE, RoomAdapter
from tests.bots.test_cli import Command
from tests.core.store.servers import RedisServer
from tests.running import QUICK


async def test_paused_platform_answers_when_it_goes_on(bot: Bot, room: RoomAdapter) -> None:
    operator = Operator(bot)
    answer = await operator.order({"do": "pause", "platform": "room"})
    assert answer.json() == {"done": "room is paused: what people write there waits."}
    assert (await operator.until(lambda state: state["held"] == ["room"]))["processes"]
    room.say("hello")
    state = await operator.until(lambda state: state["processes"][0]["platforms"][0]["events"] == 1)
    assert state["processes"][0]["turns"] == []
    assert room.answered.empty()
    assert (await operator.order({"do": "resume", "platform": "room"})).is_success
    await room.answered.get()
    await operator.until(lambda state: state["held"] == [])


async def test_drained_process_leaves_the_work_to_another_until_it_may_work_again(
    bot: Bot, store: Store, room: RoomAdapter
) -> None:
    operator, other = Operator(bot), RoomAdapter()
    plan = Plan(engine=ScriptedEngine(), adapters=[other], listen=False, worker=QUICK, show_every=OFTEN)
    async with run_plan(store, plan, lambda _line: None):
        state = await operator.until(lambda state: len(state["processes"]) == 2)
        [ours] = [process["id"] for process in state["processes"] if process["role"] == "all"]
        assert (await operator.order({"do": "drain", "process": ours})).is_success
        for number in range(5):
            room.say(f"question {number}")
            await other.answered.get()
        state = await operator.until(lambda state: len(state["processes"]) == 2)
        assert {process["id"] for process in state["processes"] if process["resting"]} == {ours}
    room.say("and now")
    assert (await operator.order({"do": "work", "process": ours})).is_success
    await room.answered.get()


async def test_process_that_only_listens_cannot_be_drained(bot: Bot, store: Store) -> None:
    plan = Plan(engine=None, adapters=[], show_every=OFTEN)
    async with run_plan(store, plan, lambda _line: None):
        state = await Operator(bot).until(lambda state: len(state["processes"]) == 2)
        [listener] = [process["id"] for process in state["processes"] if process["role"] == "listen"]
        assert (await Operator(bot).order({"do": "drain", "process": listener})).status_code == 404


async def test_person_is_forgotten(bot: Bot, store: Store, room: RoomAdapter) -> None:
    room.say("hello")
    await room.answered.get()
    answer = await Operator(bot).order({"do": "forget", "person": "room/ann"})
    assert answer.json() == {"done": "Forgotten, in 1 conversation."}
    assert await store.memory.turns(HERE, 10) == []


async def test_doctor_tells_of_a_platform_that_is_paused(
    store: Store, redis_server: RedisServer, tmp_path: Path
) -> None:
    await store.fleet.hold("telegram")
    command = Command(tmp_path)
    assert await command.ends("doctor", "--role", "listen", TRIALOGUE_REDIS__URL=redis_server.url) == 1
    assert "telegram is paused by an operator" in command.output
    await store.fleet.let_go("telegram")
    assert await command.ends("doctor", "--role", "listen", TRIALOGUE_REDIS__URL=redis_server.url) == 0
