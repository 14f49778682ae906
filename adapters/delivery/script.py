"""What stands in the room of a reply, what should, and the next step from the one to the other.

Knows no time, no budget and no platform call: `next` says what to do, and whoever does it says how it went.

A part is closed when the one after it has begun: it was brought to its last form before that, and is left alone.
Its recorded end stays, whatever a fresh cut would say. Only when the reply turns out to be another one than was
recorded (an answer that was made anew) are parts opened again, from the last one that still agrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from adapters.markdown import cut
from core.turns import Control, Draft, Part

SURPLUS = "…"
"""What a message is made to read that is left over when an answer made anew is shorter than what was posted."""


class Look(NamedTuple):
    """What a message looks like: its source, what can be pressed under it, whether it grows and has the file."""

    source: str
    controls: tuple[Control, ...] = ()
    grows: bool = False
    file: bool = False


@dataclass(frozen=True, slots=True)
class InFile:
    """A reply of more than `after` messages ends with one that says `sentence` and has all of it as a file."""

    after: int
    sentence: str


@dataclass(slots=True)
class Post:
    """One message of the room. `text` is what was last recorded of the reply; empty: nothing that still agrees.

    `shown` is what it looks like, None if that is not known. `tried` is how it was to look in sends that may have
    worked, the last one last; None stands for one of another worker. `is_new`: that `message` is this part has yet
    to be recorded. `previewed` is the source that was last shown ahead of it. `gone`: nothing is done to it any
    more; `sealed`: nor does it take another word.
    """

    text: str = field(default="", repr=False)
    end: int = 0
    message: str | None = None
    is_new: bool = False
    shown: Look | None = field(default=None, repr=False)
    tried: list[Look | None] = field(default_factory=list, repr=False)
    looked_up: bool = False
    previewed: str = field(default="", repr=False)
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
    """One call. `record` only writes down where a part ends that shows already what it should; `preview` shows
    what is not sent before it is whole."""

    call: Literal["send", "edit", "find", "record", "preview"]
    part: int
    source: str = field(repr=False)
    text: str = field(repr=False)
    end: int
    final: bool
    controls: tuple[Control, ...] = ()
    grows: bool = False
    file: bool = False

    @property
    def look(self) -> Look:
        return Look(self.source, self.controls, self.grows, self.file)


class Script:
    """One reply, part by part. `replaces` are messages that show something else so far. `skip`: a send that may
    have worked is never repeated. `streams` is the channel's. With `previews`, which may be changed, a part is
    sent when it is whole, and previewed until then. Where no file can be, `takes_files` is to be made false."""

    def __init__(
        self,
        parts: Sequence[Part],
        limit: int,
        size: Callable[[str], int],
        *,
        replaces: Sequence[str] = (),
        skip: bool,
        streams: bool = False,
        previews: bool = False,
        in_file: InFile | None = None,
    ) -> None:
        self.previews = previews
        self.takes_files = True
        self._in_file = in_file
        self._enough = ""  # what stands there, where the rest is for the file
        self._streams = streams
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
        return any(post.message is not None or post.gone or post.previewed for post in self._posts)

    def next(self, draft: Draft) -> Step | None:
        """The next call on the way to `draft`; None when the room shows it, or as much of it as can be shown."""
        if draft.pending:
            return self._waiting(draft)
        text, final = draft.text, draft.final
        if not final and self._recorded.startswith(text):
            return None  # what was taken over, or is made anew, has yet to say what the room shows already
        if not final and self._enough and text.startswith(self._enough):
            return None
        part = self._agreed(text)
        start = self._posts[part - 1].end if part else 0
        in_file = self._file_for(draft)
        while start < len(text):
            if part == len(self._posts):
                self._posts.append(Post())
            if in_file is not None and part >= in_file.after:
                if final:
                    return self._rest_in_file(in_file, part, start, draft)
                self._enough = text[:start]
                return None
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

    def _file_for(self, draft: Draft) -> InFile | None:
        if not self.takes_files:
            return None
        return InFile(0, draft.filed) if draft.filed else self._in_file

    def _rest_in_file(self, in_file: InFile, part: int, start: int, draft: Draft) -> Step | None:
        text = draft.text
        step = self._step(part, in_file.sentence, text[start:], len(text), draft, file=True)
        return step or self._surplus(part + 1, len(text))

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

    def previewed(self, step: Step) -> None:
        """The preview worked."""
        self._posts[step.part].previewed = step.source

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

    def _step(
        self, part: int, source: str, text: str, end: int, draft: Draft, *, file: bool = False
    ) -> Step | None:
        post = self._posts[part]
        is_last = draft.pending or end == len(draft.text)
        final = draft.final and is_last
        controls = draft.controls if is_last else ()
        begins = is_last and not (draft.final or draft.pending)
        grows = begins and self._streams
        if post.is_in_doubt:
            return Step("find", part, self._asked(part), text, end, final)
        if not post.gone and post.message is None and source.strip():
            if begins and self.previews:
                return Step("preview", part, source, text, end, final) if post.previewed != source else None
            return Step("send", part, source, text, end, final, controls, grows)
        shown = post.shown == Look(source, controls, grows, file)
        if not post.gone and post.message is not None and not shown and source.strip():
            return Step("edit", part, source, text, end, final, controls, grows, file)
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
            return tried.source
        if not post.text:
            return SURPLUS
        if self.takes_files and self._in_file is not None and part >= self._in_file.after:
            return self._in_file.sentence
        return cut(
            self._recorded[: post.end], post.end - len(post.text), self._limit, self._size, final=False
        ).source

    def _surplus(self, first: int, end: int) -> Step | None:
        for part in range(first, len(self._posts)):
            post = self._posts[part]
            if post.is_in_doubt:
                return Step("find", part, self._asked(part), "", end, final=True)
            if post.message is not None and not post.gone and post.shown != Look(SURPLUS):
                return Step("edit", part, SURPLUS, "", end, final=True)
        return None
