"""What can be pressed under an answer. What there is follows from the answer; how it looks is the adapter's."""

from core.languages import msgid, translated
from core.turns import Control, Turn

_STOP = msgid("⏹ Stop")
_REGENERATE = msgid("🔄 Regenerate")
_CONTINUE = msgid("▶ Continue")


def while_writing(locale: str = "") -> tuple[Control, ...]:
    """The control of an answer that is being written."""
    return (Control("stop", translated(_STOP, locale)),)


def under(answer: Turn, locale: str = "") -> tuple[Control, ...]:
    """The controls of a whole answer."""
    controls = [Control("regenerate", translated(_REGENERATE, locale))]
    if answer.cut:
        controls.append(Control("continue", translated(_CONTINUE, locale)))
    if answer.versions:
        of = len(answer.versions) + 1
        controls.append(Control("previous", "◀"))
        controls.append(Control(None, f"{answer.version + 1}/{of}"))
        controls.append(Control("next", "▶"))
    return (*controls, Control("up", "👍"), Control("down", "👎"))
