"""The link by which a server's owner lets the bot in. Knows no token."""

from urllib.parse import urlencode

import discord  # noqa: TID251

SCOPES = ("bot", "applications.commands")

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    read_message_history=True,  # replies, what was missed while away, and the message of a send in doubt
)


def invite_link(application_id: int | str) -> str:
    """The link for the application (its id stands under General Information in the developer portal)."""
    query = {
        "client_id": str(application_id).strip(),
        "scope": " ".join(SCOPES),
        "permissions": PERMISSIONS.value,
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
