"""What comes with a Discord message besides its text, or with the one that it forwards. Pure."""

from collections.abc import Mapping
from typing import Any

import discord  # noqa: TID251

from core.turns import Attachment

_VOICE_MESSAGE = discord.MessageFlags(voice=True).value
_KINDS = ("image", "audio", "video")


def files(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Their kinds, as `Event.files` has them."""
    if int(message.get("flags") or 0) & _VOICE_MESSAGE:
        return ("voice",)
    kinds = [_kind(file) for file in _attached(message)]
    kinds += ["image"] * len(message.get("sticker_items", ()))
    return tuple(dict.fromkeys(kinds))


def attachments(message: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """Those that can be fetched."""
    return tuple(map(_attachment, _attached(message)))


def _attached(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    forwarded = (shot.get("message", {}) for shot in message.get("message_snapshots", ()))
    return [file for each in (message, *forwarded) for file in each.get("attachments", ())]


def _attachment(file: Mapping[str, Any]) -> Attachment:
    return Attachment(
        kind=_kind(file),
        name=str(file.get("filename") or ""),
        size=int(file.get("size") or 0),
        type=str(file.get("content_type") or "").partition(";")[0].lower(),
        address={"url": str(file.get("url") or "")},
    )


def _kind(file: Mapping[str, Any]) -> str:
    kind = str(file.get("content_type") or "").partition("/")[0]
    return kind if kind in _KINDS else "file"
