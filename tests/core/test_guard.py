"""Who is let in, how much they may ask, and whose memory it becomes: on a real store."""

from dataclasses import replace

import pytest

from core import notices
from core.access import Access
from core.guard import Guard, GuardSettings
from core.scope import Scope, scoped
from core.store.allowances import Allowances, Limits
from core.store.store import Store
from core.turns import Conversation, Event, Room, Speaker

SHORT, LONG = 0.1, 10.0
"""Seconds to wait for what must not come, and for what must."""

HERE = Room("discord", "1", {"channel": "42"})


def an_event(number: int = 1, **change: object) -> Event:
    event = Event(
        id=f"discord/1/42/{number}",
        room=HERE,
        conversation=Conversation.of(HERE, "42", "7"),
        speaker=Speaker("ann", "Ann"),
        text=f"message {number}",
        message=str(number),
        server="99",
        shared=True,
        roles=("5",),
    )
    return replace(event, **change)  # type: ignore[arg-type]


async def in_line(store: Store, *, wait: float = LONG) -> list[Event]:
    """What waits for an answer of the model."""
    return [claim.event for claim in await store.claims.take(["discord"], 8, wait=wait)]


async def to_be_told(store: Store, *, wait: float = LONG) -> list[Event]:
    return [entry.event for entry in await store.control.take(["discord"], 8, wait=wait)]


@pytest.mark.parametrize(
    ("access", "admitted"),
    [
        (Access(), True),
        (Access(deny=frozenset({"discord/person/ann"})), False),
        (Access(deny=frozenset({"discord/channel/42"})), False),
        (Access(deny=frozenset({"discord/server/99"})), False),
        (Access(deny=frozenset({"discord/role/5"})), False),
        (Access(deny=frozenset({"telegram/person/ann", "discord/person/4"})), True),
        (Access(allow=frozenset({"discord/server/99"})), True),
        (Access(allow=frozenset({"discord/server/98"})), False),
        (Access(allow=frozenset({"slack/server/T1"})), True),
        (Access(allow=frozenset({"discord/server/99"}), deny=frozenset({"discord/role/5"})), False),
        (Access(deny=frozenset({"discord/person/ann"}), admins=frozenset({"discord/ann"})), True),
    ],
)
async def test_lists_say_who_is_answered(store: Store, access: Access, admitted: bool) -> None:
    taken = await Guard(store, GuardSettings(access=access)).accept(an_event())
    assert (taken, len(await in_line(store, wait=LONG if admitted else SHORT))) == (admitted, admitted)
    assert await to_be_told(store, wait=SHORT) == [], "who is not let in hears nothing"


async def test_command_of_somebody_who_is_not_let_in_is_told_so(store: Store) -> None:
    guard = Guard(store, GuardSettings(access=Access(deny=frozenset({"discord/person/ann"}))))
    assert await guard.accept(an_event(kind="reset"))
    [told] = await to_be_told(store)
    assert notices.refused(told) == notices.NOT_LET_IN
    assert await in_line(store, wait=SHORT) == []


async def test_person_is_told_once_that_a_limit_is_used_up(store: Store) -> None:
    guard = Guard(store, GuardSettings(person=Limits(turns_per_day=2)))
    assert [await guard.accept(an_event(number)) for number in range(1, 6)] == [True, True, True, False, False]
    assert await guard.accept(an_event(6, speaker=Speaker("bob"))), "another one's limit is another one"
    assert [event.kind for event in await to_be_told(store)] == ["refused"]
    [first] = await in_line(store)
    assert first.text == "message 1"


async def test_refusal_says_in_the_persons_language_when_it_ends() -> None:
    said = notices.refused(an_event(kind="refused", text="3600", locale="de"))
    assert "in 1 Stunde" in said


async def test_event_that_comes_again_counts_once(store: Store) -> None:
    guard = Guard(store, GuardSettings(person=Limits(turns_per_day=2)))
    assert [await guard.accept(an_event(number)) for number in (1, 1, 1, 2)] == [True, False, False, True]


async def test_tokens_of_answers_count(store: Store) -> None:
    guard = Guard(store, GuardSettings(place=Limits(tokens_per_day=100)))
    assert await guard.accept(an_event(1))
    await guard.charge(an_event(1), 99)
    assert await guard.accept(an_event(2, speaker=Speaker("bob")))
    await guard.charge(an_event(2), 1)
    await guard.accept(an_event(3, speaker=Speaker("cid")))
    assert [event.kind for event in await to_be_told(store)] == ["refused"]


async def test_admins_have_no_limits_and_may_set_everything(store: Store) -> None:
    settings = GuardSettings(access=Access(admins=frozenset({"discord/ann"})), person=Limits(turns_per_day=1))
    guard = Guard(store, settings)
    assert all([await guard.accept(an_event(number)) for number in range(1, 4)])
    assert await guard.accept(an_event(4, kind="setting", text="quiet on"))
    [setting] = await to_be_told(store)
    assert setting.manages


async def test_limit_ends_with_its_minute(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    allowances = Allowances(store.client)
    limits = Limits(turns_per_minute=1)
    await allowances.use("person/x", limits, turns=1)
    wait = await allowances.wait("person/x", limits)
    assert 0 < wait.seconds <= 60
    key = store.client.keys.used("person/x")
    await store.client.ask("HSET", key, "window1", "1", key=key)  # as if it had been used in an earlier minute
    assert (await allowances.wait("person/x", limits)).seconds == 0


@pytest.mark.parametrize(
    ("scope", "conversation"),
    [
        ("thread", Conversation("discord/1/42", "7")),
        ("channel", Conversation("discord/1/42")),
        ("person", Conversation("discord/1/42", "@ann")),
        ("server", Conversation("discord/1/server:99")),
    ],
)
async def test_scope_says_who_shares_memory(store: Store, scope: str, conversation: Conversation) -> None:
    guard = Guard(store, GuardSettings())
    await store.places.put(an_event().conversation, "scope", scope)
    await guard.accept(an_event())
    assert [event.conversation for event in await in_line(store)] == [conversation]


async def test_scope_is_set_where_it_was_said_and_holds_at_once(store: Store) -> None:
    guard = Guard(store, GuardSettings(scope="server"))
    await guard.accept(an_event(1))
    await guard.accept(an_event(2, kind="setting", text="scope channel"))
    [setting] = await to_be_told(store)
    assert setting.conversation.place == "discord/1/42"
    await store.places.put(setting.conversation, "scope", "channel")
    await guard.accept(an_event(3))
    assert {str(event.conversation) for event in await in_line(store)} == {"discord/1/server:99", "discord/1/42"}


@pytest.mark.parametrize(("before", "after"), [("thread", "server"), ("server", "thread"), ("person", "server")])
async def test_event_that_comes_again_after_the_scope_has_changed_is_known(
    store: Store, before: Scope, after: Scope
) -> None:
    assert await Guard(store, GuardSettings(scope=before)).accept(an_event())
    assert not await Guard(store, GuardSettings(scope=after)).accept(an_event())
    assert len(await in_line(store)) == 1


async def test_message_that_is_deleted_is_forgotten_whoever_may_talk(store: Store) -> None:
    """Discord does not say whose it was."""
    guard = Guard(store, GuardSettings(access=Access(allow=frozenset({"discord/person/ann"}))))
    assert await guard.accept(an_event(kind="delete", target="1", speaker=Speaker(""), roles=()))
    assert [event.target for event in await to_be_told(store)] == ["1"]


async def test_nobodys_direct_messages_are_shared() -> None:
    alone = an_event(shared=False)
    assert scoped(alone, "server") == alone
    assert scoped(an_event(server=""), "server") == an_event(server="")
