"""What comes with a Telegram message besides its text. Pure."""

from collections.abc import Iterator

from telegram import Message  # noqa: TID251

from core.turns import Attachment

# What a message may carry besides text, by the library's attribute, and what we call it.
_KINDS = {
    "photo": "image",
    "sticker": "image",
    "animation": "video",
    "video": "video",
    "video_note": "video",
    "voice": "voice",
    "audio": "audio",
    "document": "file",
    "contact": "file",
    "location": "file",
    "poll": "file",
    "dice": "file",
    "game": "file",
    "story": "file",
    "paid_media": "file",
    "checklist": "file",
}


def files(message: Message) -> tuple[str, ...]:
    """Their kinds, as `Event.files` has them."""
    kinds = dict.fromkeys(kind for attribute, kind in _KINDS.items() if getattr(message, attribute))
    if message.animation:
        kinds.pop("file", None)  # an animation comes as a document too
    return tuple(kinds)


def attachments(message: Message) -> Iterator[Attachment]:
    """Those that Telegram hands out by getFile."""
    if message.photo:
        largest = message.photo[-1]
        yield _attachment("image", "photo.jpg", largest.file_size, "image/jpeg", largest.file_id)
    for kind, file in (("voice", message.voice), ("audio", message.audio), ("video", message.video)):
        if file is not None:
            name = getattr(file, "file_name", None) or f"{kind} message"
            yield _attachment(kind, name, file.file_size, file.mime_type, file.file_id)
    if (document := message.document) is not None and not message.animation:
        yield _attachment("file", document.file_name, document.file_size, document.mime_type, document.file_id)


def _attachment(kind: str, name: str | None, size: int | None, media: str | None, number: str) -> Attachment:
    return Attachment(kind=kind, name=name or "", size=size or 0, type=media or "", address={"file": number})
