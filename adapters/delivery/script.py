"""What stands in the room of a reply, what should, and the next step from the one to the other.

Knows no time, no budget and no platform call: `next` says what to do, and whoever does it says how it went.

A part is closed when the one after it has begun: it was brought to its last form before that, and is left alone.
Its recorded end stays, whatever a fresh cut would say. Only when the reply turns out to be another one than was
recorded (an answer that was made anew) are parts opened again, from the last one that still agrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from adapters.markdown import cut
from core.turns import Control, Draft, Part

SURPLUS = "…"
"""What a message is made to read that is left over when an answer made anew is shorter than what was posted."""


Look = tuple[str, tuple[Control, ...]]
"""What a message looks like: its source, and what can be pressed under it."""


@dataclass(slots=True)
class Post:
    """One message of the room. `text` is what was last recorded of the reply; empty: nothing that still agrees.

    `shown` is what it looks like, None if that is not known. `tried` is how it was to look in sends that may have
    worked, the last one last; None stands for one of another worker. `is_new`: that `message` is this part has yet
    to be recorded. `gone`: nothing is done to it any more; `sealed`: nor does it take another word.
    """

    text: str = field(default="", repr=False)
    end: int = 0
    message: str | None = None
    is_new: bool = False
    shown: Look | None = field(default=None, repr=False)
    tried: list[Look | None] = field(default_factory=list, repr=False)
    looked_up: bool = False
    gone: bool = False
    sealed: bool = False

    @property
    def is_in_doubt(self) -> bool:
        return self.message is None and bool(self.tried) and not self.looked_up and not self.gone

    def stands_as(self, message: str) -> None:
        """One of the tries made `message`; which one is known only if all asked for the same."""
        self.message = message
        self.shown = self.tried[-1] if len(set(self.tried)) == 1 else None
        self.tried.clear()


@dataclass(frozen=True, slots=True)
class Step:
    """One call. `record` only writes down where a part ends that shows already what it should."""

    call: Literal["send", "edit", "find", "record"]
    part: int
    source: str = field(repr=False)
    text: str = field(repr=False)
    end: int
    final: bool
    controls: tuple[Control, ...] = ()

    @property
    def look(self) -> Look:
        return self.source, self.controls


class Script:
    """One reply, part by part. `replaces` are messages that show something else so far. `skip`: a send that may
    have worked is never repeated."""

    def __init__(
        self,
        parts: Sequence[Part],
        limit: int,
        size: Callable[[str], int],
        *,
        replaces: Sequence[str] = (),
        skip: bool,
    ) -> None:
        self._limit = limit
        self._size = size
        self._skip = skip
        self._recorded = "".join(part.text for part in parts)
        self._posts = [
            Post(part.text, part.end, part.message, tried=[] if part.message else [None]) for part in parts
        ]
        for number, message in enumerate(replaces):
            if number == len(self._posts):
                self._posts.append(Post())
            if (post := self._posts[number]).message is None:
                post.message, post.is_new = message, True
                post.tried.clear()

    @property
    def is_visible(self) -> bool:
        """Whether anything of the reply stands in the room, or did."""
        return any(post.message is not None or post.gone for post in self._posts)

    def next(self, draft: Draft) -> Step | None:
        """The next call on the way to `draft`; None when the room shows it, or as much of it as can be shown."""
        if draft.pending:
            return self._waiting(draft)
        text, final = draft.text, draft.final
        if not final and self._recorded.startswith(text):
            return None  # what was taken over, or is made anew, has yet to say what the room shows already
        part = self._agreed(text)
        start = self._posts[part - 1].end if part else 0
        while start < len(text):
            if part == len(self._posts):
                self._posts.append(Post())
            post = self._posts[part]
            if post.sealed:
                end = start + len(post.text)
            else:
                piece = cut(text, start, self._limit, self._size, final=final)
                end = piece.end
                step = self._step(part, piece.source, text[start:end], end, draft)
                if step is not None:
                    return step
            part, start = part + 1, end
        return self._surplus(part, len(text)) if final else None

    def message(self, step: Step) -> str:
        """The message that the step is about."""
        message = self._posts[step.part].message
        assert message is not None, "only what was posted is edited"
        return message

    def recorded(self, step: Step) -> None:
        """The step is on disk, and about to be done."""
        post = self._posts[step.part]
        post.text, post.end = step.text, step.end

    def sent(self, step: Step, message: str) -> None:
        """The send worked."""
        post = self._posts[step.part]
        post.tried.append(step.look)
        post.stands_as(message)

    def edited(self, step: Step) -> bool:
        """The edit worked. True: that this message is the part has yet to be recorded."""
        post = self._posts[step.part]
        post.shown = step.look
        is_new, post.is_new = post.is_new, False
        return is_new

    def found(self, step: Step, message: str | None) -> None:
        """A send in doubt was looked up."""
        post = self._posts[step.part]
        post.looked_up = True
        if message is not None:
            post.stands_as(message)
        elif self._skip:
            post.gone = post.sealed = True

    def doubted(self, step: Step) -> None:
        """The call may have worked."""
        post = self._posts[step.part]
        if step.call == "send":
            post.tried.append(step.look)
            post.looked_up = False
        elif step.call == "edit":
            post.shown = None

    def removed(self, step: Step) -> None:
        """Somebody took the message away."""
        self._posts[step.part].gone = True

    def _agreed(self, text: str) -> int:
        """The last part that agrees with `text`: the one to go on with. Those after it agree no more."""
        start = agreed = 0
        for post in self._posts:
            if not text.startswith(post.text, start) or not (post.text or post.sealed):
                break
            start += len(post.text)
            agreed += 1
        for post in self._posts[agreed:]:
            post.text = ""
        return max(agreed - 1, 0)

    def _step(self, part: int, source: str, text: str, end: int, draft: Draft) -> Step | None:
        post = self._posts[part]
        is_last = draft.pending or end == len(draft.text)
        final = draft.final and is_last
        controls = draft.controls if is_last else ()
        if post.is_in_doubt:
            return Step("find", part, self._asked(part), text, end, final)
        if not post.gone and post.message is None and source.strip():
            return Step("send", part, source, text, end, final, controls)
        if not post.gone and post.message is not None and post.shown != (source, controls) and source.strip():
            return Step("edit", part, source, text, end, final, controls)
        # Where this part ends is where the next one begins, for whoever takes over.
        return Step("record", part, source, text, end, final) if not is_last and post.text != text else None

    def _waiting(self, draft: Draft) -> Step | None:
        """Say in the first message what is waited for, as long as nothing of the reply stands there."""
        if not self._posts:
            self._posts.append(Post())
        return None if self._posts[0].text else self._step(0, draft.text, "", 0, draft)

    def _asked(self, part: int) -> str:
        """What the last try of the part asked for."""
        post = self._posts[part]
        if (tried := post.tried[-1]) is not None:
            return tried[0]
        if not post.text:
            return SURPLUS
        return cut(
            self._recorded[: post.end], post.end - len(post.text), self._limit, self._size, final=False
        ).source

    def _surplus(self, first: int, end: int) -> Step | None:
        for part in range(first, len(self._posts)):
            post = self._posts[part]
            if post.is_in_doubt:
                return Step("find", part, self._asked(part), "", end, final=True)
            if post.message is not None and not post.gone and post.shown != (SURPLUS, ()):
                return Step("edit", part, SURPLUS, "", end, final=True)
        return None
