"""The steps of the store: each a Lua file beside this one, atomic within one shard, and safe to repeat."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Literal

from core.store.durability import Command

ScriptName = Literal[
    "accept", "ages", "allowance", "aside", "beat", "blame", "claim", "complete", "control", "delivered", "done",
    "expel", "expire", "fleet", "fold", "folded", "forget", "import", "keep_fold", "lease", "link_join",
    "link_leave", "link_offer", "pause", "put_back", "release", "showing", "shown", "spend", "stale", "stop",
    "swap", "swap_fields", "turns", "unreadable", "words",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Script:
    """The source of a step, and the digest by which a server knows it."""

    source: str = field(repr=False)
    digest: str

    @classmethod
    @cache
    def load(cls, name: ScriptName) -> "Script":
        source = resources.files("core.store").joinpath(f"{name}.lua").read_text()
        return cls(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Call:
    """A step with its keys, all of one shard, and its arguments."""

    script: Script
    keys: Sequence[str]
    args: Sequence[str | bytes | int] = field(repr=False)

    @classmethod
    def of(cls, name: ScriptName, keys: Sequence[str], *args: str | bytes | int) -> "Call":
        return cls(Script.load(name), keys, args)

    def by_digest(self) -> Command:
        return ("EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.args)

    def by_source(self) -> Command:
        return ("EVAL", self.script.source, len(self.keys), *self.keys, *self.args)
