"""A message's text as Telegram looks at it: what it finds in it, and which entities may lie over it.

Offsets and lengths count UTF-16 units.
"""

import itertools
import re
from typing import Any

Json = dict[str, Any]

LIMIT = 4096
ENTITY_LIMIT = 100
_KINDS = {
    "bold", "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote",
    "code", "pre", "text_link", "text_mention", "mention", "bot_command", "url", "hashtag", "email",
}  # fmt: skip
_ALONE = {"code", "pre"}
_MENTION = re.compile(r"(?<!\w)@(\w{2,32})")
_COMMAND = re.compile(r"(?<![\w/@<])/\w+(?:@\w+)?")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def covered(text: str, entity: Json) -> str:
    """What lies under `entity`. Raises UnicodeDecodeError when it begins or ends within a character."""
    encoded = text.encode("utf-16-le")
    return encoded[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2].decode("utf-16-le")


def detected(text: str) -> list[Json]:
    """The entities that Telegram finds by itself."""
    found = [("mention", match) for match in _MENTION.finditer(text)]
    found += [("bot_command", match) for match in _COMMAND.finditer(text)]
    return [
        {"type": kind, "offset": units(text[: match.start()]), "length": units(match[0])}
        for kind, match in sorted(found, key=lambda pair: pair[1].start())
    ]


def pinged(text: str, entities: list[Json]) -> list[str]:
    """Who is called by a message: names outside of code, and links to people."""
    spans = [(e["offset"], e["offset"] + e["length"]) for e in entities if e["type"] in _ALONE]
    names = [
        covered(text, mention)
        for mention in detected(text)
        if mention["type"] == "mention" and not any(a <= mention["offset"] < b for a, b in spans)
    ]
    return names + [e["url"] for e in entities if (e.get("url") or "").startswith("tg://user")]


def entity_fault(text: str, entities: list[Json]) -> str | None:
    """Why `entities` cannot lie over `text`, in the platform's words; None when they can."""
    for entity in entities:
        if fault := _fault(text, entity):
            return fault
    for one, other in itertools.combinations(entities, 2):
        if max(one["offset"], other["offset"]) < min(_end(one), _end(other)):
            kinds = {one["type"], other["type"]}
            if len(kinds) == 1 or (kinds & _ALONE and "blockquote" not in kinds):
                return f"can't parse entities: {' and '.join(sorted(kinds))} may not overlap"
    return None


def _fault(text: str, entity: Json) -> str | None:
    if entity["type"] not in _KINDS or not 0 <= entity["offset"] < _end(entity) <= units(text):
        return "ENTITY_BOUNDS_INVALID"
    try:
        covered(text, entity)
    except UnicodeDecodeError:
        return "ENTITY_BOUNDS_INVALID"
    if entity["type"] == "text_link" and not re.match(r"(https?|tg)://\S+$", entity.get("url") or ""):
        return "ENTITY_TEXTURL_INVALID"
    return None


def _end(entity: Json) -> int:
    return int(entity["offset"] + entity["length"])
