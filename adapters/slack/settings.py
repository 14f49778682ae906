"""What an operator sets for Slack. Knows no SDK and reads no environment."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """One app, in the workspace in which it has `bot_token`, and, with `client_id` and `client_secret`, in those
    that install it by themselves.

    `mode` says how events come: "socket" over a WebSocket that we open with `app_token`, "http" pushed to our
    route and signed with `signing_secret`. `stream` says how an answer grows in a thread: "auto" as a stream,
    where Slack has that, or always by "edits". `api_base` is where the Web API's methods are, and `file_base`
    begins the addresses at which Slack keeps files. An answer of more than `file_after` messages ends with a file;
    0: none does.
    """

    bot_token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    app_token: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    api_base: str = "https://slack.com/api/"
    file_base: str = "https://files.slack.com/"
    mode: Literal["socket", "http"] = "socket"
    stream: Literal["auto", "edits"] = "auto"
    file_after: int = 0

    @property
    def is_distributed(self) -> bool:
        return bool(self.client_id)
