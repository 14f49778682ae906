"""Slack's names for a refusal, and what an operator must do about each. Knows no SDK.

The names are those of https://docs.slack.dev/reference/methods under "Errors".
"""

from typing import Literal

from core.errors import Refused

APPS = "https://api.slack.com/apps"

_BOT_TOKEN = f"At {APPS} choose the app, then OAuth & Permissions: copy the Bot User OAuth Token (xoxb-)."
_APP_TOKEN = (
    f"At {APPS} choose the app, then Basic Information, App-Level Tokens: make one with connections:write (xapp-)."
)
_SIGNING_SECRET = f"At {APPS} choose the app, then Basic Information, App Credentials: copy the Signing Secret."
_CLIENT_SECRET = f"At {APPS} choose the app, then Basic Information, App Credentials: copy the Client Secret."
SOCKET_MODE = f"At {APPS} choose the app, then Socket Mode: switch on Enable Socket Mode."

_TOKEN = {
    "invalid_auth": "the {kind} token is not accepted",
    "not_authed": "there is no {kind} token",
    "not_allowed_token_type": "that is not the kind of token that a {kind} token must be",
    "token_revoked": "the {kind} token was revoked",
    "token_expired": "the {kind} token has expired",
    "account_inactive": "the {kind} token's app was removed from the workspace",
}
_ROOM = {
    "channel_not_found": "the bot cannot see the channel",
    "not_in_channel": "the bot is not in the channel",
    "is_archived": "the channel is archived",
    "thread_not_found": "the thread is gone",
    "cannot_reply_to_message": "the message cannot be replied to",
    "messages_tab_disabled": "the app takes no direct messages",
}
_ROOM_FIX = {
    "is_archived": "Unarchive the channel, or ask elsewhere.",
    "messages_tab_disabled": (f"At {APPS} choose the app, then App Home: allow messages from the messages tab."),
}


def refused(error: str, *, needed: str = "", kind: Literal["bot", "app"] = "bot") -> Refused:
    """What Slack's error `error` means for good; `needed` is the scope that it names, `kind` the token's."""
    if error in _TOKEN:
        fix = _BOT_TOKEN if kind == "bot" else _APP_TOKEN
        return Refused("slack", _TOKEN[error].format(kind=kind), fix=fix)
    if error == "missing_scope":
        return Refused("slack", f"the scope {needed or 'that this needs'} is missing", fix=scope_fix(needed, kind))
    if error in _ROOM:
        fix = _ROOM_FIX.get(error, "Invite the bot there with /invite.")
        return Refused("slack", f"{_ROOM[error]} ({error})", fix=fix)
    return Refused(
        "slack", f"Slack answers {error}", fix=f"https://docs.slack.dev explains it; the app is at {APPS}."
    )


def scope_fix(scope: str, kind: Literal["bot", "app"] = "bot") -> str:
    if kind == "app":
        return _APP_TOKEN
    return (
        f"At {APPS} choose the app, then OAuth & Permissions, Scopes: add {scope or 'what is missing'} to the "
        "Bot Token Scopes, and press Reinstall to Workspace."
    )


def no_bot_token() -> Refused:
    return Refused("slack", "slack.bot_token is empty", fix=_BOT_TOKEN)


def no_client_secret() -> Refused:
    return Refused("slack", "slack.client_secret is empty, and slack.client_id is set", fix=_CLIENT_SECRET)


def not_installed() -> Refused:
    return Refused(
        "slack",
        "the workspace does not have the app any more",
        fix="Somebody there may open /slack/install again.",
    )


def no_app_token() -> Refused:
    return Refused("slack", "slack.app_token is empty, and Socket Mode needs it", fix=_APP_TOKEN)


def no_signing_secret() -> Refused:
    return Refused("slack", "slack.signing_secret is empty, and mode = http needs it", fix=_SIGNING_SECRET)
