"""What an operator sets for Slack. Knows no SDK and reads no environment."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """One app, installed in one workspace.

    `mode` says how events come: "socket" over a WebSocket that we open with `app_token`, "http" pushed to our
    route and signed with `signing_secret`. `api_base` is where the Web API's methods are, and `file_base`
    begins the addresses at which Slack keeps what people send.
    """

    bot_token: str = field(repr=False)
    app_token: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    api_base: str = "https://slack.com/api/"
    file_base: str = "https://files.slack.com/"
    mode: Literal["socket", "http"] = "socket"
