"""Says it to our own bot on a platform on loopback. The fakes and the bot with their pace taken out are the
project's tests and benchmarks, which an installed package does not have: this needs a source checkout."""

import tempfile
import time
from collections.abc import Callable, Sequence

from bots.load.outcome import Answered
from core.errors import CoreError


class NoCheckout(CoreError):
    """The fakes of the platforms are not here. The text says what to do."""


async def play(
    platform: str, conversations: Sequence[Sequence[str]], *, at_once: int, told: Callable[[Answered], None]
) -> None:
    """Every message of the conversations, `at_once` people waiting at any time. The model is `echo`: what is
    measured is everything else. An answer that does not come ends it. Raises `NoCheckout`."""
    try:
        from benchmarks.bot import Spec  # noqa: PLC0415 - not in an installed package
        from benchmarks.people import Talk  # noqa: PLC0415
        from benchmarks.processes import ours  # noqa: PLC0415
        from benchmarks.processes import platform as opened  # noqa: PLC0415
    except ImportError as exc:
        raise NoCheckout(
            f"the platforms on loopback come with the source, and not with the package ({exc.name} is missing): "
            "run this in a checkout, with its test dependencies, or play against the API"
        ) from None
    texts = [text for turn in zip(*conversations, strict=True) for text in turn]
    with tempfile.TemporaryDirectory() as folder:
        async with opened(platform) as place, ours(Spec(account=place.account, data_dir=folder)):
            began = time.perf_counter()
            people = len(conversations)

            def answered(seconds: float) -> None:
                told(Answered(at=time.perf_counter() - began - seconds, whole=seconds))

            for start in range(0, len(texts), people):  # everybody's next message, then everybody's after that
                some = texts[start : start + people]
                talk = Talk(len(some), min(at_once, len(some)), people, tuple(some), each=True)
                asked = time.perf_counter()
                try:
                    await place.talk(talk, answered)
                except RuntimeError:  # what the people have to say of it stands above
                    waited = time.perf_counter() - asked
                    told(Answered(at=asked - began, whole=waited, error="no answer"))
                    return
