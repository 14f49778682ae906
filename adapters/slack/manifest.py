"""The app as Slack makes it: what it is called, may do and is told. Printed by `trialogue init`.

The form is described at https://docs.slack.dev/reference/app-manifest. There is one slash command, with
subcommands: the names of commands belong to the whole workspace, Slack's own cannot be had, and of two apps with
one name the later wins.
"""

from typing import Any, Literal

from core.commands import commands

COMMAND = "/trialogue"
SHORTCUT = "trialogue_ask"
OPENED = "assistant_thread_started"
"""The event of a pane that was opened: https://docs.slack.dev/reference/events/assistant_thread_started"""

SCOPES = {
    "app_mentions:read": "hears when it is mentioned",
    "channels:history": "reads the threads it is part of in public channels, also what it missed there",
    "channels:read": "knows whether it is in a public channel",
    "chat:write": "answers, and shows that it is thinking",
    "commands": f"has the command {COMMAND}, and an entry in the menu of messages",
    "files:read": "reads the files that it is sent",
    "files:write": "sends long answers as files, where chat.file_after says so",
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
INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
UNINSTALLED = "app_uninstalled"
REVOKED = "tokens_revoked"


def manifest(
    mode: Literal["socket", "http"],
    url: str | None = None,
    *,
    assistant: bool = False,
    distributed: bool = False,
) -> dict[str, Any]:
    """The app manifest. `url` is where Slack reaches our HTTP server; only the mode "http" needs it, and an app
    that is `distributed`: workspaces install it by themselves. `assistant`: Slack shows the app in its assistant
    pane, where each talk is a thread of the direct messages.

    Raises ValueError where the URL is missing.
    """
    if url is None and (mode == "http" or distributed):
        raise ValueError("Slack must know the URL of this server, such as https://bot.example.org")
    base = (url or "").rstrip("/").removesuffix(EVENTS_PATH)
    command: dict[str, Any] = {
        "command": COMMAND,
        "description": "What the bot can do besides answering",
        "usage_hint": " | ".join(each.name for each in commands()),
        "should_escape": False,
    }
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if mode == "http":
        command["url"] = events["request_url"] = interactivity["request_url"] = base + EVENTS_PATH
    made: dict[str, Any] = {
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
            "shortcuts": [
                {
                    "name": "Ask Trialogue about this",
                    "type": "message",
                    "callback_id": SHORTCUT,
                    "description": "It answers in the thread under the message",
                }
            ],
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
    if assistant:
        made["features"]["assistant_view"] = {"assistant_description": "Your own chat model"}
        made["oauth_config"]["scopes"]["bot"].append("assistant:write")
        events["bot_events"] += [OPENED, "assistant_thread_context_changed"]
    if distributed:
        made["oauth_config"]["redirect_urls"] = [base + REDIRECT_PATH]
        events["bot_events"] += [UNINSTALLED, REVOKED]
    return made
