"""The app as Slack makes it: what it is called, may do and is told. Printed by `trialogue init`.

The form is described at https://docs.slack.dev/reference/app-manifest. There is one slash command, with
subcommands: the names of commands belong to the whole workspace, Slack's own cannot be had, and of two apps with
one name the later wins.
"""

from typing import Any, Literal

COMMAND = "/trialogue"

SCOPES = {
    "app_mentions:read": "hears when it is mentioned",
    "channels:history": "reads the threads it is part of in public channels, also what it missed there",
    "channels:read": "knows whether it is in a public channel",
    "chat:write": "answers, and shows that it is thinking",
    "commands": f"has the command {COMMAND}",
    "files:read": "reads the files that it is sent",
    "groups:history": "reads the threads it is part of in private channels, also what it missed there",
    "groups:read": "knows whether it is in a private channel",
    "im:history": "reads direct messages to it, also those that it missed",
    "im:read": "tells a direct message to it from one between others",
    "mpim:history": "reads the threads it is part of in group messages, also what it missed there",
    "mpim:read": "knows whether it is in a group message",
    "users:read": "knows people's names",
}
"""Each bot scope, and what the bot does with it."""

EVENTS = ("app_mention", "message.channels", "message.groups", "message.im", "message.mpim")
EVENTS_PATH = "/slack/events"


def manifest(mode: Literal["socket", "http"], url: str | None = None) -> dict[str, Any]:
    """The app manifest. `url` is where Slack reaches our HTTP server; only the mode "http" needs it.

    Raises ValueError for "http" without a URL.
    """
    command: dict[str, Any] = {
        "command": COMMAND,
        "description": "Help, a new start, another persona, or stop",
        "usage_hint": "help | reset | persona [text] | stop",
        "should_escape": False,
    }
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if mode == "http":
        if not url:
            raise ValueError("Slack must know the URL of the events, such as https://bot.example.org")
        command["url"] = events["request_url"] = interactivity["request_url"] = (
            url.rstrip("/").removesuffix(EVENTS_PATH) + EVENTS_PATH
        )
    return {
        "display_information": {
            "name": "Trialogue",
            "description": "Your own chat model, in the rooms where people already talk",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Trialogue", "always_online": True},
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": mode == "socket",
            "token_rotation_enabled": False,
        },
    }
