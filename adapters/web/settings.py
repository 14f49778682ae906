"""What can be set for the page."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """`hosts` are the names under which the page is served besides localhost and addresses in digits; `model` is
    shown on the page. `max_message` is in characters, `max_file` in bytes; `max_pages` may be open at once. Files
    lie in `uploads` until they are read; without a folder none are taken. Without `buttons` answers have none."""

    hosts: tuple[str, ...] = ()
    title: str = "Trialogue"
    model: str = ""
    buttons: bool = True
    uploads: Path | None = None
    max_message: int = 32_000
    max_file: int = 0
    max_pages: int = 512
