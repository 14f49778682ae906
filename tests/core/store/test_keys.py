"""The layout, without a server."""

from redis.crc import key_slot

from core.store.keys import SLOTS, Keys, conversation_id, parse_conversation, shard_tags
from core.turns import Conversation


def test_shards_spread_evenly_over_the_nodes_of_a_cluster() -> None:
    for nodes in (1, 2, 3, 4, 8):
        owners = [key_slot(tag.encode()) * nodes // SLOTS for tag in shard_tags(64)]
        counts = [owners.count(node) for node in range(nodes)]
        assert max(counts) - min(counts) <= 2


def test_all_that_one_step_touches_lies_in_one_slot() -> None:
    keys = Keys(16)
    conversation = Conversation("slack/T{1}/C{2}", "17.5")
    names = [keys.conversation(kind, conversation) for kind in ("c", "q", "t", "r")]
    names += [keys.place(conversation), keys.queue("ready", "slack", conversation)]
    names += [keys.queue("ctl", "slack", conversation), keys.seen("slack/{x}", conversation)]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert len(set(names)) == len(names)


def test_all_names_of_a_store_begin_with_its_prefix() -> None:
    keys = Keys(16, prefix="team.a-1")
    conversation = Conversation("slack/T{1}/C{2}", "17.5")
    names = [keys.conversation("c", conversation), keys.place(conversation), keys.seen("e", conversation)]
    names += [keys.shards, keys.value("v"), keys.fleet("workers"), keys.unreadable(conversation)]
    names += [*keys.queues("ready", "slack"), keys.queue("ctl", "slack", conversation), keys.pattern("t")]
    names += [keys.channel("stops"), keys.watchers(conversation)]
    assert all(name.startswith("team.a-1:") for name in names)
    plain = Keys(16).conversation("c", conversation)
    assert key_slot(names[0].encode()) == key_slot(plain.encode())


def test_threads_of_a_place_share_its_shard() -> None:
    keys = Keys(16)
    assert keys.place(Conversation("p", "1")) == keys.place(Conversation("p", "2"))
    assert keys.queue("ready", "w", Conversation("p", "1")) == keys.queue("ready", "w", Conversation("p", "2"))


def test_a_conversation_survives_being_a_key() -> None:
    for conversation in (Conversation("a/b", "c"), Conversation("a", "b/c"), Conversation("a/b/c")):
        assert parse_conversation(conversation_id(conversation)) == conversation
    assert conversation_id(Conversation("a/b", "c")) != conversation_id(Conversation("a", "b/c"))
