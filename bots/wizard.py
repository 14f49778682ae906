"""What `trialogue init` asks, and the settings file that it writes."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import tomlkit
import typer
from rich.console import Console

from bots.settings import BOT_NAME, BadSettings

_DISCORD = """\
Discord: open https://discord.com/developers/applications, press New Application, then in it
  1. Bot: press Reset Token and copy the token;
  2. Bot: under Privileged Gateway Intents switch on Message Content Intent."""
_TELEGRAM = """\
Telegram: write to @BotFather
  1. /newbot, answer its two questions, copy the token;
  2. in groups the bot hears only commands, mentions and replies to it; that is all it needs."""
_SLACK = """\
Slack: open https://api.slack.com/apps, press Create New App, From a manifest, and paste this:"""
_SLACK_HTTP = """\
  1. Install App: press Install to Workspace and copy the Bot User OAuth Token (xoxb-);
  2. Basic Information: copy the Signing Secret."""
_SLACK_SEVERAL = """\
  1. Basic Information: copy the Client ID, the Client Secret and the Signing Secret;
  2. Manage Distribution: go through the list and press Activate Public Distribution;
  3. when the bot runs, each workspace installs it at {url}/slack/install."""
_SLACK_SOCKET = """\
  1. Install App: press Install to Workspace and copy the Bot User OAuth Token (xoxb-);
  2. Basic Information: under App-Level Tokens press Generate Token and Scopes, add connections:write, and copy
     the token (xapp-)."""

_ELSE = (
    'persona = "You are a pirate."  # who it is where nobody has said otherwise',
    'data_dir = "/srv/trialogue"    # everything that it writes lies there',
)
_COMMENTS = {
    "discord": "the token is from https://discord.com/developers/applications, Bot",
    "telegram": "the token is from @BotFather",
    "slack": "the tokens are from https://api.slack.com/apps",
    "model": 'a hub name, a folder, a GGUF file, "default" or "echo"; with url, a server\'s model',
}


def ask(path: Path, console: Console) -> None:
    """Ask, and write `path`, readable by its owner only. Raises `BadSettings`."""
    if path.exists() and not typer.confirm(f"{path} exists. Write it anew?"):
        raise typer.Abort
    document = tomlkit.document()
    document.add(tomlkit.comment("Trialogue's settings. README lists all keys; the environment beats this file."))
    document.add("name", tomlkit.item(typer.prompt("What is the bot called?", default="Trialogue")))
    for line in _ELSE:
        document.add(tomlkit.comment(line))
    _section(document, "discord", _ask_discord(console))
    _section(document, "telegram", _ask_telegram(console))
    _section(document, "slack", _ask_slack(console))
    _section(document, "model", _ask_model(console))
    _write(path, tomlkit.dumps(document))
    console.print(f"Wrote {path}. `trialogue doctor` checks it, `trialogue run` starts.", markup=False)


def _ask_discord(console: Console) -> dict[str, str]:
    if not typer.confirm("Discord?", default=False):
        return {}
    from adapters.discord.invite import invite_link  # noqa: PLC0415 - the SDK is imported only where it is used

    console.print(_DISCORD, markup=False)
    token = typer.prompt("Token", hide_input=True).strip()
    application = typer.prompt("Application ID (General Information)").strip()
    console.print(f"Invite the bot to your server: {invite_link(application)}", markup=False, soft_wrap=True)
    return {"token": token}


def _ask_telegram(console: Console) -> dict[str, object]:
    if not typer.confirm("Telegram?", default=False):
        return {}
    console.print(_TELEGRAM, markup=False)
    token = typer.prompt("Token", hide_input=True).strip()
    others: dict[str, dict[str, str]] = {}
    while name := typer.prompt("A name for one more bot, if you want one", default="").strip():
        if not re.fullmatch(BOT_NAME, name):
            console.print("Small letters, digits, - and _, please.", markup=False)
            continue
        others[name] = {"token": typer.prompt("Its token", hide_input=True).strip()}
    return {"token": token} | ({"bots": others} if others else {})


def _ask_slack(console: Console) -> dict[str, str]:
    if not typer.confirm("Slack?", default=False):
        return {}
    from adapters.slack.manifest import manifest  # noqa: PLC0415

    console.print(
        "Slack: without a public address it is reached by Socket Mode, and nothing has to be opened.", markup=False
    )
    url = typer.prompt("Public HTTPS address of this server, if Slack shall call it", default="").strip()
    several = bool(url) and typer.confirm("May other workspaces install it by themselves?", default=False)
    pane = typer.confirm("In Slack's assistant pane too (there each talk is a thread)?", default=False)
    console.print(_SLACK, markup=False)
    made = manifest("http" if url else "socket", url or None, assistant=pane, distributed=several)
    shown = json.dumps(made, indent=2)
    console.print(shown, markup=False, soft_wrap=True)
    if several:
        console.print(_SLACK_SEVERAL.format(url=url.rstrip("/")), markup=False)
        return {
            "client_id": typer.prompt("Client ID").strip(),
            "client_secret": typer.prompt("Client secret", hide_input=True).strip(),
            "signing_secret": typer.prompt("Signing secret", hide_input=True).strip(),
            "mode": "http",
        }
    console.print(_SLACK_HTTP if url else _SLACK_SOCKET, markup=False)
    token = typer.prompt("Bot token (xoxb-)", hide_input=True).strip()
    if url:
        secret = typer.prompt("Signing secret", hide_input=True).strip()
        return {"bot_token": token, "signing_secret": secret, "mode": "http"}
    return {"bot_token": token, "app_token": typer.prompt("App token (xapp-)", hide_input=True).strip()}


def _ask_model(console: Console) -> dict[str, str]:
    console.print(
        "The model: press Enter for the small one that is bundled (English only), or name a model of the hub, "
        "a folder, a GGUF file, or one of an OpenAI-compatible server.",
        markup=False,
    )
    name = typer.prompt("Model", default="default").strip()
    url = "" if name == "default" else typer.prompt("URL of its server, if it has one", default="").strip()
    return {"name": name} | (
        {"url": url, "api_key": typer.prompt("Key", hide_input=True, default="")} if url else {}
    )


def _section(document: tomlkit.TOMLDocument, name: str, values: Mapping[str, object]) -> None:
    if values:
        table = tomlkit.table()
        table.comment(_COMMENTS[name])
        for key, value in values.items():
            table.add(key, value)
        document.add(name, table)


def _write(path: Path, text: str) -> None:
    """The file is never readable by others, not even for a moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise BadSettings(f"{path} cannot be written: {exc.strerror}") from None
