"""README's table of what each platform has is what the adapters declare."""

from pathlib import Path

from adapters.discord.adapter import DiscordAdapter
from adapters.features import Feature
from adapters.slack.adapter import SlackAdapter
from adapters.telegram.adapter import TelegramAdapter
from adapters.terminal.adapter import TerminalAdapter
from adapters.web.adapter import WebAdapter

SUPPORTS = {
    "Discord": DiscordAdapter.supports,
    "Telegram": TelegramAdapter.supports,
    "Slack": SlackAdapter.supports,
    "page": WebAdapter.supports,
    "terminal": TerminalAdapter.supports,
}


def table() -> str:
    lines = [f"| | {' | '.join(SUPPORTS)} |", f"| --- |{' :-: |' * len(SUPPORTS)}"]
    for feature in Feature:
        cells = ["✓" if feature in supported else "–" for supported in SUPPORTS.values()]
        lines.append(f"| {feature.value} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_readme_has_what_the_adapters_declare() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert table() in readme, f"README.md should have:\n\n{table()}"
