"""Slack's message text as a person reads it: mentions are names, links are links, and nothing is escaped.

Knows no client: names of users are handed in. The form is described at
https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages
"""

import html
import re
from collections.abc import Mapping

_TOKEN = re.compile(r"<([^<>\n]+)>")
_USER = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>\n]*)?>")
_ADDRESS_SIGNS = " \t\n\r,:;"


def mentioned(text: str) -> set[str]:
    """The ids of the users that `text` mentions."""
    return set(_USER.findall(text))


def readable(text: str, names: Mapping[str, str]) -> str:
    """`text` with `names` (user id → name) for mentions; a user that is not in it keeps the id."""
    plain: list[str] = []
    for index, part in enumerate(_TOKEN.split(text)):
        # Split by a pattern with one group, every second part is what stood within < and >.
        plain.append(_word(part, names) if index % 2 else html.unescape(part))
    return "".join(plain)


def without(text: str, user: str) -> str:
    """`text` without the mentions of `user`, and without the comma that followed the first word "@user, ..."."""
    mention = re.compile(rf"[ \t]*<@{re.escape(user)}(?:\|[^<>\n]*)?>")
    if mention.match(text):
        text = mention.sub("", text, count=1).lstrip(_ADDRESS_SIGNS)
    return mention.sub("", text).strip()


def _word(token: str, names: Mapping[str, str]) -> str:
    body, _, label = token.partition("|")
    label, rest = html.unescape(label), html.unescape(body[1:])
    match body[0]:
        case "@":
            return "@" + (label or names.get(rest) or rest)
        case "#":
            return "#" + (label or rest)
        case "!":
            return _special(rest, label)
        case _:
            return _link(html.unescape(body), label)


def _special(body: str, label: str) -> str:
    kind = body.partition("^")[0]
    if kind == "date":
        return label or body
    return label if label.startswith("@") else "@" + (label or kind)


def _link(url: str, label: str) -> str:
    bare = url.removeprefix("mailto:").removeprefix("tel:")
    if label in {"", url, bare} or url.endswith(f"//{label}"):
        return bare if label == bare else url
    return f"{label} ({url})"
