"""Where everything lies in Redis: the one place that makes a key.

All keys of a shard share one hash tag, so that a step may touch them in one script, also on a cluster. The shard
follows from a conversation's place alone: a place's persona and all conversations in it lie together.

    {s}:c:<conversation>   hash     the ready entry, lease, fence, phase, counts, window start, stop mark, the
                                    summaries as one record, and who is writing one
    {s}:q:<conversation>   list     mailbox: accepted events not yet answered
    {s}:t:<conversation>   list     memory: one record a turn; the last one's number is in the hash. What was left
                                    when an older message was changed has names of its own: see `branches`
    {s}:r:<conversation>   hash     the reply under way: its parts, and the final text while it is delivered
    {s}:p:<place>          hash     what is set for a place (the persona, `set.<name>`), the titles of the
                                    conversations that are listed in it (`title.<thread>`), and the server it has
    {s}:ready:<platform>   stream   conversations with mail, one entry per activation; those that are on several
                                    platforms have a stream of their own, until whoever claims one finds that it is
                                    to be answered on another platform than its own
    {s}:ctl:<platform>     stream   events that need no conversation
    {s}:unreadable         stream   events that nobody could read, the last few
    {s}:d:<event>          string   events seen; expires
    {s}:w:<message>        string   which conversation remembers a message, by the place where it stands; expires
    {s}:v:<key>            string   what an adapter keeps; expires
    {s}:v:lease/<bot>      string   which process holds the bot's connection; expires
    {s}:v:aside            hash     events that were set aside, by id
    {s}:v:consents         hash     who agreed that models learn from them, and who did not
    {s}:v:links            hash     which accounts are one person's: the link of each, with which bots, and where
    {s}:v:link-codes       hash     the codes with which accounts are joined, by the digest of each; expires
    {s}:v:secrets          hash     tokens that adapters keep, by their names
    {s}:v:ticket/<name>    string   something that was begun and is good once; expires
    {s}:v:api-keys         hash     the keys of the API, by the digest of each
    {s}:api:<id>           hash     what a key of the API has left of its limits; expires
    {s}:used:<name>        hash     what a person or a place has used of its limits; expires
    {s}:v:upkeep/<version> string   there while no pass through the store is due; expires

`schema` has three keys beside the shards.

A store may have a prefix, which all its names begin with, those of its channels too: stores with other prefixes on
the same server do not see each other.

The reply under way has a key of its own because a Redis hash never becomes small again once it held a long value:
an idle conversation's hash stays in its compact form.
"""

import re
import zlib
from typing import Literal

from redis.crc import key_slot

from core.turns import Conversation

SLOTS = 16384

PREFIX = r"[A-Za-z0-9_.-]{0,64}"
"""What a store's prefix may be."""

Queue = Literal["ready", "ctl"]
Kind = Literal["c", "q", "t", "r"]


def shard_tags(shards: int) -> list[str]:
    """One hash tag a shard; the tag of shard i lies in the i-th part of the slots, so that any number of cluster
    nodes gets about equally many shards. Plain numbers would not spread."""
    return [_tag_within(i, i * SLOTS // shards, (i + 1) * SLOTS // shards) for i in range(shards)]


def _tag_within(shard: int, first: int, end: int) -> str:
    attempt = 0
    while not first <= key_slot(f"trialogue.{shard}.{attempt}".encode()) < end:
        attempt += 1
    return f"trialogue.{shard}.{attempt}"


class Keys:
    """The names of all keys of a store with `shards` shards, in the database number `db`.

    `prefix` has neither braces nor what a pattern would not take as it is.
    """

    def __init__(self, shards: int, db: int = 0, prefix: str = "") -> None:
        assert re.fullmatch(PREFIX, prefix), "a prefix is plain"
        self.tags = shard_tags(shards)
        self._db = db
        self._prefix = f"{prefix}:" if prefix else ""

    @property
    def shards(self) -> str:
        return f"{self._prefix}trialogue:shards"

    @property
    def schema(self) -> str:
        return f"{self._prefix}trialogue:schema"

    @property
    def sealed_by(self) -> str:
        return f"{self._prefix}trialogue:keys"

    def tag(self, name: str) -> str:
        """The hash tag of whatever lies with the place `name`."""
        return self.tags[zlib.crc32(name.encode()) % len(self.tags)]

    def conversation(self, kind: Kind, conversation: Conversation) -> str:
        return self.of(conversation, kind)[0]

    def of(self, conversation: Conversation, *kinds: Kind) -> list[str]:
        """The keys of one conversation, in the order of `kinds`."""
        shard, name = self._shard(conversation.place), conversation_id(conversation)
        return [f"{shard}:{kind}:{name}" for kind in kinds]

    def place(self, conversation: Conversation) -> str:
        return f"{self._shard(conversation.place)}:p:{conversation.place}"

    def queue(self, kind: Queue, platform: str, conversation: Conversation) -> str:
        return f"{self._shard(conversation.place)}:{kind}:{platform}"

    def queues(self, kind: Queue, platform: str) -> list[str]:
        """One stream for each shard, in the order of `tags`."""
        return [f"{self._prefix}{{{tag}}}:{kind}:{platform}" for tag in self.tags]

    def control(self, conversation: Conversation) -> str:
        return self.queue("ctl", conversation.platform, conversation)

    def ready(self, conversation: Conversation) -> str:
        return self.queue("ready", conversation.platform, conversation)

    def unreadable(self, conversation: Conversation) -> str:
        return f"{self._shard(conversation.place)}:unreadable"

    @property
    def all_unreadable(self) -> list[str]:
        return [f"{self._prefix}{{{tag}}}:unreadable" for tag in self.tags]

    def seen(self, event: str, conversation: Conversation) -> str:
        return f"{self._shard(conversation.place)}:d:{event}"

    def whereabouts(self, conversation: Conversation, message: str) -> str:
        """Of the platform's `message` in the place of `conversation`."""
        standing = Conversation(conversation.place, message)
        return f"{self._shard(conversation.place)}:w:{conversation_id(standing)}"

    def value(self, key: str) -> str:
        return f"{self._shard(key)}:v:{key}"

    @property
    def links(self) -> tuple[str, str]:
        """Two hashes that lie together: links, and codes."""
        shard = self._shard("links")
        return f"{shard}:v:links", f"{shard}:v:link-codes"

    def api(self, key_id: str) -> str:
        return f"{self._shard(key_id)}:api:{key_id}"

    def used(self, name: str) -> str:
        return f"{self._shard(name)}:used:{name}"

    def fleet(self, kind: Literal["workers", "pauses", "held"]) -> str:
        return f"{self._prefix}{{{self.tags[0]}}}:fleet:{kind}"

    def pattern(self, kind: str = "*") -> str:
        """What all keys of a kind match, and no other store's."""
        return f"{self._prefix}{{trialogue.*}}:{kind}" + ("" if kind == "*" else ":*")

    def parse(self, key: str) -> tuple[str, str]:
        """The kind of a key of ours, and of what it is."""
        kind, _, name = key.partition("}:")[2].partition(":")
        return kind, name

    def channel(self, name: str) -> str:
        """A channel's name. Channels, unlike keys, are shared by all databases of a server."""
        return f"{self._prefix}trialogue.{self._db}:{name}"

    def watchers(self, conversation: Conversation) -> str:
        return self.channel(f"shown:{conversation_id(conversation)}")

    def _shard(self, name: str) -> str:
        return f"{self._prefix}{{{self.tag(name)}}}"


def conversation_id(conversation: Conversation) -> str:
    """The conversation as one string. No platform has a NUL in an id, so it is not taken for another one."""
    return f"{conversation.place}\0{conversation.thread}" if conversation.thread else conversation.place


def parse_conversation(text: str) -> Conversation:
    place, _, thread = text.partition("\0")
    return Conversation(place, thread)
