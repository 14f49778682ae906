"""What can be pressed under an answer, as Discord's components.

A button carries what it does in its custom id, so that it works after a restart and in any process:
https://discord.com/developers/docs/components/reference#button
"""

from collections.abc import Sequence
from typing import Any

import discord  # noqa: TID251

from core.turns import ACTIONS, Action, Control

_PREFIX = "trialogue/"
_IN_A_ROW = 5
_ROW = discord.ComponentType.action_row.value
_BUTTON = discord.ComponentType.button.value
_GREY = discord.ButtonStyle.secondary.value


def components(controls: Sequence[Control]) -> list[dict[str, Any]]:
    """Rows of buttons. What only says something is a button that cannot be pressed."""
    buttons = [
        {
            "type": _BUTTON,
            "style": _GREY,
            "label": control.label,
            "custom_id": f"{_PREFIX}{control.action or number}",
            "disabled": control.action is None,
        }
        for number, control in enumerate(controls)
    ]
    rows = range(0, len(buttons), _IN_A_ROW)
    return [{"type": _ROW, "components": buttons[first : first + _IN_A_ROW]} for first in rows]


def pressed(name: str) -> Action | None:
    """What a press of the button with that custom id means; `None`: nothing of ours."""
    return ACTIONS.get(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
