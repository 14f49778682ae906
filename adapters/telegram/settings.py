"""What an operator sets for Telegram. Knows no SDK and reads no environment."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

BOTFATHER = "Open https://t.me/BotFather, send /mybots, choose the bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """What people send in one go and Telegram's apps cut up comes as several messages: a text in pieces of at most
    4,096 UTF-16 units, which Telegram Desktop makes down to half as long; an album as a message a picture.
    Messages of at least `units`, and those of an album, wait `seconds` for the next one; with 0, none does."""

    seconds: float = 1.0
    units: int = 2048


DEBOUNCE = Debounce()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    """One bot account on Telegram, or on a Bot API server of one's own. `name` is empty for the first one.

    `api_base` is the server's root; `/bot<token>` and `/file/bot<token>` are added. `mode` says how updates come:
    "polling" asks for them, "webhook" has Telegram push them to `webhook_url`, which must lead to the adapter's
    route by https. `in_doubt` says what becomes of a message whose sending was cut off, since Telegram cannot be
    asked whether it arrived: "resend" may show it twice, "skip" may lose it. `drafts`: in private chats an answer
    is shown as a draft while it is written, and sent when it is whole. One of more than `file_after` messages ends
    with a file; 0: none does.

    Raises ValueError for a mode without what it needs.
    """

    token: str = field(repr=False)
    name: str = ""
    api_base: str = "https://api.telegram.org"
    mode: Literal["polling", "webhook"] = "polling"
    webhook_url: str = ""
    webhook_secret: str = field(default="", repr=False)
    in_doubt: Literal["resend", "skip"] = "resend"
    debounce: Debounce = DEBOUNCE
    drafts: bool = False
    file_after: int = 0

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError(f"telegram.token is empty. {BOTFATHER}, then API Token.")
        root = urlsplit(self.api_base)
        if root.scheme not in {"http", "https"} or not root.hostname:
            raise ValueError("telegram.api_base must be a URL such as https://api.telegram.org")
        if self.mode == "webhook" and not urlsplit(self.webhook_url).netloc:
            raise ValueError("telegram.webhook_url must be the https URL at which Telegram reaches this process")

    @property
    def adapter(self) -> str:
        """What the bot's adapter is called."""
        return f"telegram/{self.name}" if self.name else "telegram"

    @property
    def bot(self) -> str:
        """The account's id, with which a token begins: https://core.telegram.org/bots/api#authorizing-your-bot"""
        return self.token.partition(":")[0]

    @property
    def server(self) -> str:
        return self.api_base.rstrip("/")

    @property
    def webhook_path(self) -> str:
        return urlsplit(self.url).path or "/"

    @property
    def url(self) -> str:
        """Where Telegram pushes this bot's updates."""
        return f"{self.webhook_url.rstrip('/')}/{self.name}" if self.name else self.webhook_url

    @property
    def secret(self) -> str:
        """The word that each push must carry. Without one of the operator's, it is made from the token, so that
        all processes of a bot agree on it."""
        return self.webhook_secret or hashlib.blake2b(self.token.encode(), digest_size=32).hexdigest()
