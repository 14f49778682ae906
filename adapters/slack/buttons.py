"""A message with what can be pressed under it, as Slack's blocks; and what a press says.

Slack makes blocks of `markdown_text` by itself, but takes no others beside it; so a message with buttons brings
its Markdown in a block of its own: https://docs.slack.dev/reference/block-kit/blocks/markdown-block
"""

from collections.abc import Sequence
from typing import Any

from adapters.slack.markup import render, unformatted
from core.turns import ACTIONS, Action, Control

PREFIX = "trialogue/"
"""What the ids of all our buttons begin with."""

_VOTES = {"up", "down"}
_NOTIFICATION = 150  # characters of the text that notifications show


def content(source: str, controls: Sequence[Control]) -> dict[str, Any]:
    """The fields of a message that reads `source`."""
    markdown = render(source)
    if not controls:
        return {"markdown_text": markdown}
    return {
        "text": unformatted(source)[:_NOTIFICATION],
        "blocks": [{"type": "markdown", "text": markdown}, *blocks(controls)],
    }


def pressed(name: str, value: str) -> Action | None:
    """What a press of the element `name` with `value` means; `None`: nothing of ours."""
    return ACTIONS.get(value) if name.startswith(PREFIX) else None


def blocks(controls: Sequence[Control]) -> list[dict[str, Any]]:
    """What can be pressed."""
    found: list[dict[str, Any]] = []
    buttons = [control for control in controls if control.action not in _VOTES]
    if buttons:
        found.append({"type": "actions", "elements": [_button(*each) for each in enumerate(buttons)]})
    votes = {control.action: control for control in controls if control.action in _VOTES}
    if "up" in votes and "down" in votes:
        feedback = {
            "type": "feedback_buttons",
            "action_id": f"{PREFIX}vote",
            "positive_button": {"text": _plain(votes["up"].label), "value": "up"},
            "negative_button": {"text": _plain(votes["down"].label), "value": "down"},
        }
        found.append({"type": "context_actions", "elements": [feedback]})
    return found


def _button(number: int, control: Control) -> dict[str, Any]:
    # What only says something is a button too: Slack has none that cannot be pressed.
    name = f"{PREFIX}{control.action or number}"
    return {"type": "button", "action_id": name, "text": _plain(control.label), "value": control.action or "-"}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": True}
