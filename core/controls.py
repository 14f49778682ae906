"""What can be pressed under an answer. What there is follows from the answer; how it looks is the adapter's."""

from core.turns import Control, Turn

WHILE_WRITING = (Control("stop", "⏹ Stop"),)


def under(answer: Turn) -> tuple[Control, ...]:
    """The controls of a whole answer."""
    controls = [Control("regenerate", "🔄 Regenerate")]
    if answer.cut:
        controls.append(Control("continue", "▶ Continue"))
    if answer.versions:
        of = len(answer.versions) + 1
        controls.append(Control("previous", "◀"))
        controls.append(Control(None, f"{answer.version + 1}/{of}"))
        controls.append(Control("next", "▶"))
    return (*controls, Control("up", "👍"), Control("down", "👎"))
