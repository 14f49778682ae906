"""What an operator sets for Discord, and where to click. Knows no room and reads no environment."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import discord  # noqa: TID251
import yarl

OFFICIAL_API = "https://discord.com/api/v10"
PORTAL = "https://discord.com/developers/applications"

RESET_TOKEN = f"Open {PORTAL}, choose the application, Bot, Reset Token, and set discord.token."
SWITCH_ON_CONTENT = (
    f"Open {PORTAL}, choose the application, Bot, and under Privileged Gateway Intents switch on "
    "Message Content Intent."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordSettings:
    """One bot account on Discord.

    `api_base` is the REST API with its version, `gateway_url` the websocket to connect to; without one, the API
    is asked for it. `shards` is how many connections there are; "auto": as many as Discord wants. `file_bases`
    begin the addresses at which Discord keeps what people send. An answer of more than `file_after` messages ends
    with a file; 0: none does. Raises ValueError for an empty token, what is no URL, and less than one shard.
    """

    token: str = field(repr=False)
    api_base: str = OFFICIAL_API
    gateway_url: str | None = None
    shards: int | Literal["auto"] = "auto"
    file_bases: tuple[str, ...] = ("https://cdn.discordapp.com/", "https://media.discordapp.net/")
    file_after: int = 0

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError(f"discord.token is empty. {RESET_TOKEN}")
        if urlsplit(self.api_base).scheme not in {"http", "https"}:
            raise ValueError(f"discord.api_base must be a URL such as {OFFICIAL_API}")
        if self.gateway_url is not None and urlsplit(self.gateway_url).scheme not in {"ws", "wss"}:
            raise ValueError("discord.gateway_url must be a URL that begins with wss://")
        if self.shards != "auto" and self.shards < 1:
            raise ValueError('discord.shards must be "auto" or a number from 1 on')

    def direct_rest(self) -> None:
        """Have discord.py speak to `api_base`. It keeps this for the whole process, and so do we."""
        discord.http.Route.BASE = self.api_base.rstrip("/")

    def direct_gateway(self, url: str) -> None:
        """Have discord.py begin new sessions at `url`. A resumed one goes where its READY said."""
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self.gateway_url or url)
