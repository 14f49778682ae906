"""What was forgotten is nowhere any more, and the rest is as it was; on a real server."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import LeaseLost
from core.store import logfile
from core.store.aside import Aside
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.forget import Forget, Person
from core.store.store import Store, open_store
from core.turns import Attachment, Conversation, Document, Event, Kind, Speaker, Turn
from tests.core.store.events import ROOM, an_event, two_turns
from tests.core.store.steps import accept, answer, complete, eventually, take

ANN = Person("web", "ann-4711")
ROOMS = [Conversation.of(ROOM, f"room{{{number}}}", thread) for number, thread in ((1, ""), (2, "a"), (2, "b"))]


def said(name: str, text: str, where: Conversation, *, kind: Kind = "message", server: str = "") -> Event:
    speaker = Speaker(ANN.id, "Annabella") if name == "ann" else Speaker("bob-1", "Bob")
    return replace(an_event(text, conversation=where, kind=kind), speaker=speaker, server=server)


def forget(store: Store) -> Forget:
    return Forget(store.client, store.inbox)


async def talk(store: Store, where: Conversation, *, rounds: int = 3) -> None:
    """Ann and Bob ask in turns, and each is answered."""
    for number in range(rounds):
        for name in ("ann", "bob"):
            await accept(store, said(name, f"{name} asks {number}", where))
            await answer(store, f"{name} is told {number}")


async def texts(store: Store, where: Conversation) -> list[str]:
    return [turn.text for turn in await store.memory.turns(where, 2000)]


BOBS = [text for number in range(3) for text in (f"bob asks {number}", f"bob is told {number}")]


async def test_of_a_person_everything_goes_and_of_others_nothing(store: Store) -> None:
    for room in ROOMS[:2]:
        await talk(store, room)
    await accept(store, said("bob", "only bob", ROOMS[2]))
    await answer(store, "and the bot")
    assert await forget(store).person(ANN) == 2
    for room in ROOMS[:2]:
        assert await texts(store, room) == BOBS
    assert await texts(store, ROOMS[2]) == ["only bob", "and the bot"]
    assert await forget(store).person(ANN) == 0


async def test_files_of_theirs_about_which_somebody_else_asked_go_too(store: Store) -> None:
    await accept(store, said("bob", "what is that?", ROOMS[0]))
    claim = await take(store)
    asked, answered = two_turns(claim.event, "a plan", last=0)
    theirs, own = Document("plan.txt", "secret", ANN.id), Document("own.txt", "mine")
    seen = Attachment(kind="image", name="plan.png", speaker=ANN.id)
    asked = replace(asked, documents=(theirs, own), pictures=(seen,))
    await store.claims.complete(claim, turns=[asked, answered], text="a plan", window=1)
    await store.claims.delivered(claim)
    await forget(store).person(ANN)
    [asked, _] = await store.memory.turns(ROOMS[0], 10)
    assert (asked.text, asked.documents, asked.pictures) == ("what is that?", (own,), ())


async def test_conversation_in_which_only_they_spoke_leaves_not_even_its_name(store: Store) -> None:
    await accept(store, said("ann", "to the bot alone", ROOMS[0]), said("ann", "waits", ROOMS[1]))
    await answer(store)
    assert await forget(store).person(ANN) == 2
    left: list[bytes] = await store.client.read(lambda redis: redis.keys("*"))
    assert {store.client.keys.parse(key.decode())[0] for key in left if b"room" in key} == set()


async def test_conversation_goes_on_where_it_was_after_turns_in_its_middle_were_forgotten(store: Store) -> None:
    await talk(store, ROOMS[0])
    await forget(store).person(ANN)
    await accept(store, said("bob", "and now?", ROOMS[0]))
    claim = await take(store)
    assert [turn.text for turn in claim.window] == BOBS
    assert claim.last == 12
    await complete(store, claim, window=11)
    await store.claims.delivered(claim)
    await accept(store, said("bob", "more", ROOMS[0]))
    assert [turn.number for turn in (await take(store)).window] == [11, 12, 13, 14]


async def test_long_history_is_searched_to_its_end(store: Store) -> None:
    await accept(store, said("bob", "begins", ROOMS[0]))
    claim = await take(store)
    turns: list[Turn] = []
    for number in range(300):
        for name in ("ann", "bob"):
            turns += two_turns(said(name, f"{name} asks {number}", ROOMS[0]), f"{name} is told", last=len(turns))
    await store.claims.complete(claim, turns=turns, text="", window=1199)
    assert await forget(store).person(ANN) == 1
    await store.claims.delivered(claim)
    left = await texts(store, ROOMS[0])
    assert left == [text for number in range(300) for text in (f"bob asks {number}", "bob is told")]


async def test_answer_that_is_under_way_ends_and_who_waits_behind_it_is_answered(store: Store) -> None:
    await accept(store, said("ann", "one", ROOMS[0]), said("bob", "two", ROOMS[0]), said("ann", "three", ROOMS[0]))
    claim = await take(store)
    await store.claims.showing(claim, 0, "shown to ann", 12, final=False)
    await forget(store).person(ANN)
    with pytest.raises(LeaseLost):
        await complete(store, claim)
    claim = await take(store)
    assert (claim.event.text, claim.parts, claim.tries) == ("two", [], 1)
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await store.claims.take(["web"], 1, wait=0.05) == []


async def test_reply_that_is_being_delivered_is_forgotten_with_its_question(store: Store) -> None:
    await accept(store, said("ann", "one", ROOMS[0]), said("bob", "two", ROOMS[0]))
    claim = await take(store)
    await complete(store, claim, "told to ann")
    await forget(store).person(ANN)
    with pytest.raises(LeaseLost):
        await store.claims.delivered(claim, instead=claim.window[-1])
    assert await texts(store, ROOMS[0]) == []
    assert (await answer(store)).event.text == "two"


async def test_answer_to_somebody_else_is_not_disturbed(store: Store) -> None:
    await accept(store, said("bob", "two", ROOMS[0]), said("ann", "three", ROOMS[0]))
    claim = await take(store)
    await forget(store).person(ANN)
    await complete(store, claim, "told to bob")
    await store.claims.delivered(claim)
    assert await texts(store, ROOMS[0]) == ["two", "told to bob"]
    assert await store.claims.take(["web"], 1, wait=0.05) == []


async def test_room_goes_with_its_threads_and_its_persona(store: Store) -> None:
    for room in ROOMS:
        await accept(store, said("bob", "be a pirate", room, kind="persona"))
        claim = await take(store)
        await store.claims.complete(claim, turns=(), text="aye", window=None, persona="a pirate")
        await store.claims.delivered(claim)
        await talk(store, room, rounds=1)
    assert await forget(store).room(ROOMS[1].place) == 2
    assert [conversation async for conversation in store.memory.conversations()] == [ROOMS[0]]
    await accept(store, said("bob", "hello", ROOMS[0]), said("bob", "hello", ROOMS[1]))
    claims = [await take(store), await take(store)]
    assert {claim.conversation: claim.persona for claim in claims} == {ROOMS[0]: "a pirate", ROOMS[1]: None}


async def test_server_goes_with_all_its_rooms_also_where_nothing_was_answered_yet(store: Store) -> None:
    await accept(store, said("bob", "one", ROOMS[0], server="S1"))
    await answer(store)
    await accept(store, said("bob", "two", ROOMS[1], server="S2"))
    await answer(store)
    await accept(store, said("bob", "three", ROOMS[2], server="S1"))
    assert await forget(store).server("web", "S1") == 3, "of a room with one server all threads go"
    await accept(store, said("bob", "four", ROOMS[1], server="S2"))
    assert (await answer(store)).last == 2
    assert await forget(store).server("web", "S2") == 1
    assert await forget(store).server("discord", "S2") == 0


async def test_nothing_of_a_conversation_is_left_but_marks_of_what_was_seen(store: Store) -> None:
    await talk(store, ROOMS[0])
    await accept(store, said("ann", "waits", ROOMS[0]), said("ann", "", ROOMS[0], kind="help"))
    claim = await take(store)
    await store.claims.showing(claim, 0, "shown", 5, final=False)
    await Aside(store.client, store.inbox).put(said("ann", "hopeless", ROOMS[0]), 3)
    assert await forget(store).conversation(ROOMS[0]) == 1
    left = await store.client.read(lambda redis: redis.keys("*"))
    kinds = {store.client.keys.parse(key.decode())[0] for key in left if b"}:" in key}
    assert kinds <= {"d", "ready", "ctl", "fleet"}
    assert await store.control.take(["web"], 1, wait=0.05) == []
    assert await forget(store).conversation(ROOMS[0]) == 0


async def test_append_only_file_has_nothing_of_a_person_after_it_was_rewritten(data_dir: Path) -> None:
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        await store.client.read(lambda redis: redis.config_set("rdbcompression", "no"))
        await talk(store, ROOMS[0])
        await accept(store, said("ann", "ann waits", ROOMS[1]), said("ann", "", ROOMS[1], kind="start"))
        await Aside(store.client, store.inbox).put(said("ann", "ann is set aside", ROOMS[2]), 3)
        claim = await take(store)
        await store.claims.showing(claim, 0, "ann is shown this", 17, final=False)
        names = [
            b"Annabella",
            ANN.id.encode(),
            b"ann asks",
            b"ann is told",
            b"ann is",
            b"ann waits",
            b"bob is told",
        ]
        assert in_file(data_dir, names) == names
        await forget(store).person(ANN)
        await logfile.rewrite(store.client)
        await eventually(lambda: are_in_file(data_dir, names, [b"bob is told"]))


@pytest.mark.parametrize("what", ["room", "server"])
async def test_append_only_file_has_nothing_of_a_room_or_a_server_after_it_was_rewritten(
    data_dir: Path, what: str
) -> None:
    names = [f"{words} {what}".encode() for words in ("goes", "stays") for what in ("asks", "is told", "waits")]
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        await store.client.read(lambda redis: redis.config_set("rdbcompression", "no"))
        for words, where in (("goes", ROOMS[1]), ("stays", ROOMS[0])):
            await accept(store, said("ann", f"{words} asks", where, server=words))
            await answer(store, f"{words} is told")
            await accept(store, said("bob", f"{words} waits", where, server=words))
            await take(store)
        assert in_file(data_dir, names) == names
        forgets = forget(store)
        gone = await (forgets.room(ROOMS[1].place) if what == "room" else forgets.server("web", "goes"))
        assert gone == 1
        await logfile.rewrite(store.client)
        await eventually(lambda: are_in_file(data_dir, names, names[3:]))


def in_file(data_dir: Path, names: Sequence[bytes]) -> list[bytes]:
    """Which of these the append-only file has somewhere."""
    content = b"".join(file.read_bytes() for file in (data_dir / "redis" / "appendonlydir").iterdir())
    return [name for name in names if name in content]


async def are_in_file(data_dir: Path, names: Sequence[bytes], only: Sequence[bytes]) -> bool:
    return in_file(data_dir, names) == only


async def tell(store: Store, message: str) -> None:
    """Ann says something in that message, and is answered."""
    await accept(store, said("ann", "a secret", ROOMS[0]))
    claim = await take(store)
    asked, answered = two_turns(claim.event, "yes", last=claim.last)
    turns = replace(asked, messages=(message,)), answered
    await store.claims.complete(claim, turns=turns, text="yes", window=1)
    await store.claims.delivered(claim)


async def answered_anew(store: Store) -> Claim:
    """What Ann said was answered, and is to be answered once more."""
    await tell(store, "m1")
    await accept(store, said("ann", "regenerate", ROOMS[0], kind="act"))
    return await take(store)


async def test_what_is_deleted_while_it_is_answered_anew_does_not_come_back(store: Store) -> None:
    claim = await answered_anew(store)
    assert await forget(store).message(ROOMS[0], "m1")
    with pytest.raises(LeaseLost):
        await store.claims.complete(claim, turns=claim.window, text="anew", window=1, cut=2)
    assert await texts(store, ROOMS[0]) == []


async def test_what_is_deleted_while_its_new_answer_is_delivered_does_not_come_back(store: Store) -> None:
    claim = await answered_anew(store)
    await store.claims.complete(claim, turns=claim.window, text="anew", window=1, cut=2)
    assert await forget(store).message(ROOMS[0], "m1")
    await store.claims.delivered(claim, instead=replace(claim.window[-1], messages=("m2",)))
    assert await texts(store, ROOMS[0]) == []


async def test_what_was_deleted_before_is_no_hindrance(store: Store) -> None:
    await tell(store, "m0")
    assert await forget(store).message(ROOMS[0], "m0")
    claim = await answered_anew(store)
    newest = claim.window[-2:]
    await store.claims.complete(claim, turns=newest, text="anew", window=1, cut=2)
    await store.claims.delivered(claim, instead=replace(newest[-1], messages=("m2",)))
    assert (await store.memory.turns(ROOMS[0], 1))[0].messages == ("m2",)
