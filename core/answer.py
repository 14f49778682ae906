"""One claimed event on its way to its reply: write, complete, deliver."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Literal

from core import controls, notices
from core.asking import fitting
from core.dialogue import Dialogue
from core.engine.engine import Completion
from core.errors import CoreError, Overloaded, PromptTooLong, Refused
from core.files.reader import Read, Reader
from core.languages import translated
from core.prompt import Prompt
from core.question import NotPossible, Question, needs_the_model, newest, question, turned
from core.reply import LeasedReply
from core.store.claim import Claim
from core.store.claims import Claims
from core.turns import Control, Cut, Event, Reply, Turn, Version

log = logging.getLogger(__name__)

Deliver = Callable[[Event, Reply], Awaitable[None]]
Halt = Literal["stopped", "shutdown", "failed"]

_NOTICES: Mapping[Cut, str] = {
    "stopped": notices.STOPPED,
    "shutdown": notices.SHUTDOWN,
    "length": notices.LENGTH,
    "time": notices.TIME,
}

# Seconds. Who is answered within that need not hear of a line.
_LOOK_AT_THE_LINE = 1.0

# How long a message that is on its way may take to arrive when the rest of the reply is handed over.
_ARRIVES_WITHIN = 2.0


class Answer:
    """Writes the reply to one claim and has it delivered.

    `seconds` bounds the wait for the model's first word, and then the writing. `task` is the task that runs it,
    for whoever must cancel it when the lease is lost. `fold_up_to` is the turn up to which the conversation is to
    be summarised afterwards, when it is time for that.
    """

    def __init__(
        self, claims: Claims, dialogue: Dialogue, claim: Claim, *, seconds: float, reader: Reader | None = None
    ) -> None:
        self.claim = claim
        self.task: asyncio.Task[None] | None = None
        self.fold_up_to: int | None = None
        self._claims = claims
        self._dialogue = dialogue
        self._reader = reader
        self._seconds = seconds
        self._refusal = ""
        self._before = self._newest()
        self._reply = LeasedReply(claims, claim, self._before.messages if self._before else ())
        self._halt: Halt | None = None
        self._writing: asyncio.Timeout | None = None
        self._in_line: Completion | None = None  # as long as nothing of it has come
        self._refused = False
        self._leaving = asyncio.Event()

    def _newest(self) -> Turn | None:
        """The answer that the event is about. While it is delivered, what it has become."""
        if self.claim.event.kind not in {"edit", "act"}:
            return None
        try:
            return newest(self.claim.event, self.claim.window)[1]
        except NotPossible as exc:
            self._refusal = self._said(str(exc))
            return None

    def _said(self, sentence: str) -> str:
        """A sentence of ours in the language of whoever is answered."""
        return translated(sentence, self.claim.event.locale)

    def halt(self, why: Halt) -> None:
        """End the answer early; what is written so far becomes final. The first reason counts. One that is being
        handed over goes on elsewhere."""
        if self._halt is None and not self._leaving.is_set():
            self._halt = why
            self._write_for(0.0)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def hand_over(self) -> None:
        """Leave the rest to another worker: `run` ends soon and returns False."""
        self._leaving.set()

    async def run(self, deliver: Deliver) -> bool:
        """Write and deliver side by side, then acknowledge. False: the rest was handed over, and the claim is to
        be given back by the caller.

        Raises an exception group: `LeaseLost`, `StoreUnavailable`, or what nobody foresaw.
        """
        if self.claim.stopped:
            self.halt("stopped")
        done = False
        try:
            async with asyncio.TaskGroup() as group:
                leave = group.create_task(self._leave(), name="leave")
                write = group.create_task(self._write(), name="write")
                show = group.create_task(self._show(deliver), name="deliver")
                line = group.create_task(self._tell_place(), name="line")
                await asyncio.wait([write, show])
                leave.cancel()
                line.cancel()
                done = True
        except* _HandedOver:
            pass
        if not done:
            log.info("handed over while %s: %s", self.claim.phase, self.claim.event.id)
            return False
        if self._refused:
            await self.leave_as_it_stands()
        else:
            await self._claims.delivered(self.claim, instead=self._found_by(self._answer))
        return True

    async def _leave(self) -> None:
        await self._leaving.wait()
        await self._reply.close(_ARRIVES_WITHIN)
        raise _HandedOver

    async def _tell_place(self) -> None:
        """While the model answers others first, say how many, and about how long that takes."""
        told = ""
        while True:
            await asyncio.sleep(_LOOK_AT_THE_LINE)
            if self._in_line is not None and (place := self._in_line.place_in_line) > 0:
                sentence = notices.in_line(place, self._in_line.estimate, self.claim.event.locale)
                if sentence != told:
                    self._reply.wait(sentence, self._controls_while_writing)
                    told = sentence

    async def apologise(self) -> None:
        """Nobody can write this answer: what was shown stays, and the person is told by whoever delivers."""
        if self._is_for_the_model:
            await self._apologise(self._said(CoreError.reply), self._reply.shown_text)
        else:
            await self._notice(self._dialogue.notice(self.claim.event))

    async def leave_as_it_stands(self) -> None:
        """The room will never take the rest of a complete reply: memory gets what stands there."""
        await self._claims.delivered(self.claim, instead=self._as_it_stands())

    def _as_it_stands(self) -> Turn | None:
        """The answer in memory as the room shows it; `None` where that makes no difference."""
        claim, standing, answer = self.claim, self._reply.standing_text, self._answer
        if answer is None or (standing.startswith(answer.text) and claim.text.startswith(standing)):
            return self._found_by(answer)  # all of it, and perhaps a word of ours
        return self._found_by(replace(answer, text=standing, count=0, token_ids=(), tokenizer="", cut="failed"))

    @property
    def _answer(self) -> Turn | None:
        """The answer of this claim in memory, once there is one."""
        claim = self.claim
        if claim.phase != "delivering" or not claim.window:
            return None
        is_ours = self._before is not None or claim.window[-1].event == claim.event.id
        return claim.window[-1] if is_ours else None

    def _found_by(self, answer: Turn | None) -> Turn | None:
        """`answer` with the messages in which it stands; `None` where memory has that already."""
        messages = tuple(part.message for part in self.claim.parts if part.message and part.text)
        if answer is None or (answer is self._answer and answer.messages == messages):
            return None
        return replace(answer, messages=messages)

    @property
    def _controls(self) -> tuple[Control, ...]:
        """What can be pressed under the answer in memory."""
        if self._answer is None or not self._dialogue.controls:
            return ()
        return controls.under(self._answer, self.claim.event.locale)

    @property
    def _controls_while_writing(self) -> tuple[Control, ...]:
        return controls.while_writing(self.claim.event.locale) if self._dialogue.controls else ()

    async def _show(self, deliver: Deliver) -> None:
        """A refusal ends the writing, and not by a cancellation: a step that is under way must come to its end."""
        try:
            await deliver(self.claim.event, self._reply)
        except* Refused as refusals:
            log.warning("%s: %s", self.claim.event.id, refusals.exceptions[0])
            self._refused = True
            self.halt("failed")

    @property
    def _is_for_the_model(self) -> bool:
        event = self.claim.event
        if event.kind == "message":
            return bool(event.text.strip()) or (
                self._reader is not None and self._reader.reads_any(event.attachments)
            )
        return self._before is not None and needs_the_model(event, self._before)

    async def _write(self) -> None:
        if self.claim.phase == "delivering":
            self._finish(self.claim.text)
        elif self._is_for_the_model:
            await self._ask_the_model()
        elif self._before is not None:
            await self._turn_to(turned(self.claim.event, self._before))
        elif self._refusal:
            # Whoever changes a message that nobody remembers, or an older one, asks for nothing.
            await self._notice("" if self.claim.event.kind == "edit" else self._refusal)
        else:
            await self._notice(self._dialogue.notice(self.claim.event))

    async def _ask_the_model(self) -> None:
        claim, dialogue = self.claim, self._dialogue
        asks = question(claim.event, claim.window, claim.last)
        shown = self._reply.shown_text if self._dialogue.continues else ""
        draft = _Written(shown if shown.startswith(asks.so_far) else asks.so_far)
        read = await self._read()
        if claim.event.kind == "message":
            asks = replace(asks, asked=replace(asks.asked, documents=read.documents))
        if not (asks.asked.text.strip() or asks.asked.documents or self._halt):
            await self._notice(notices.left_out(read.left_out))
            return
        try:
            asks, prompt = fitting(dialogue, claim, asks)
            try:
                cut = await self._generate(asks, prompt, draft)
            except PromptTooLong:  # by a server's own count; nothing was written yet
                asks, prompt = fitting(dialogue, claim, asks, within=prompt.tokens // 2)
                cut = await self._generate(asks, prompt, draft)
        except CoreError as exc:
            log.warning("no answer to %s: %s", claim.event.id, exc)
            await self._apologise(self._said(exc.reply), draft.text)
            return
        if not asks.asked.documents:
            read = read.left_out_all()
        ours = self._said(_NOTICES.get(cut, "")), notices.left_out(read.left_out)
        notice = "\n\n".join(filter(None, ours))
        if not draft.text.strip() and not notice:
            notice = self._said(notices.NOTHING)
        text = notices.under(draft.text, notice) if notice else draft.text
        asked, answered = self._counted(asks.asked), self._answered(asks, draft, cut)
        start = asked.number if prompt.start is None else prompt.start
        summaries = claim.summaries.after_a_jump() if prompt.jumped else None
        await self._claims.complete(
            claim, turns=(asked, answered), text=text, window=start, summaries=summaries, cut=asks.cut
        )
        self._finish(text)
        window = [turn for turn in claim.window if turn.number >= start]
        self.fold_up_to = self._dialogue.due(window, claim.summaries, used=prompt.tokens + answered.count)

    async def _read(self) -> Read:
        """What came with the message. Nothing, where the answer is to end before it begins."""
        event = self.claim.event
        if self._reader is None or not event.attachments or event.kind != "message" or self._halt is not None:
            return Read()
        dialogue = self._dialogue
        try:
            async with asyncio.timeout(self._seconds) as self._writing:
                return await self._reader.read(
                    event.room.platform,
                    event.attachments,
                    most=dialogue.most_read,
                    count=lambda text: dialogue.count("user", text),
                )
        except TimeoutError:
            return Read()
        finally:
            self._writing = None

    async def _generate(self, asks: Question, prompt: Prompt, draft: "_Written") -> Cut:
        """Write until the model has ended; return why it was cut short, if it was.

        Raises `Overloaded` when the model has not begun in time.
        """
        if self._halt is not None:
            return self._halt
        begun = False
        try:
            async with (
                asyncio.timeout(self._seconds) as self._writing,
                self._dialogue.answer(
                    prompt, so_far=draft.text if self._dialogue.continues else "", gone_on_with=asks.so_far
                ) as deltas,
            ):
                self._in_line = deltas
                async for delta in deltas:
                    self._in_line = None
                    if not begun and self._halt is None:
                        self._write_for(self._seconds)
                    begun = True
                    draft.add(delta.text, delta.token_ids)
                    self._reply.write(draft.text, self._controls_while_writing)
                    if delta.finish == "length":
                        return "length"
        except TimeoutError as exc:
            if self._halt is None and not begun:
                raise Overloaded(f"the model did not begin within {self._seconds:.0f} s") from exc
            return self._halt or "time"
        finally:
            self._writing = self._in_line = None
        return ""

    def _write_for(self, seconds: float) -> None:
        """The writing that is under way, if it is not ending already, ends so many seconds from now."""
        if self._writing is not None and not self._writing.expired():
            self._writing.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _apologise(self, sentence: str, written: str) -> None:
        """End with `sentence` under what is written. Counts nothing: it may be the counting that fails."""
        if not written.strip():
            await self._notice(sentence)
            return
        claim, text = self.claim, notices.under(written, f"_{sentence}_")
        asks = question(claim.event, claim.window, claim.last)
        turns = asks.asked, asks.answered(Version(text=written, cut="failed"))
        window = self._start_as_it_was(asks.asked.number)
        await self._claims.complete(claim, turns=turns, text=text, window=window, cut=asks.cut)
        self._finish(text)

    async def _turn_to(self, answer: Turn) -> None:
        """Another version of the answer takes its place."""
        turns = self.claim.window[-2], answer
        notice = self._said(_NOTICES.get(answer.cut, ""))
        text = notices.under(answer.text, notice) if notice else answer.text
        await self._claims.complete(
            self.claim, turns=turns, text=text, window=self._start_as_it_was(None), cut=len(turns)
        )
        self._finish(text)

    def _finish(self, text: str) -> None:
        self._reply.finish(text, self._controls, private=bool(self._refusal))

    async def _notice(self, text: str) -> None:
        """Answer with a sentence of ours, which memory does not keep, and do what the event asks for."""
        claim, event = self.claim, self.claim.event
        await self._claims.complete(
            claim,
            turns=(),
            text=text,
            window=self._start_as_it_was(None),
            persona=event.text.strip() if event.kind == "persona" else None,
            clear=event.kind == "reset",
        )
        self._finish(text)

    def _answered(self, asks: Question, draft: "_Written", cut: Cut) -> Turn:
        """What memory is to hold of the answer."""
        answer = Version(
            text=draft.text,
            count=self._dialogue.count("assistant", draft.text),
            token_ids=draft.token_ids,
            tokenizer=self._dialogue.tokenizer,
            cut=cut,
        )
        return asks.answered(answer)

    def _counted(self, turn: Turn) -> Turn:
        count, tokenizer = self._dialogue.count(turn.role, turn.text), self._dialogue.tokenizer
        return replace(turn, count=count, tokenizer=tokenizer)

    def _start_as_it_was(self, first: int | None) -> int | None:
        """Where the window starts; with nothing in it, at the turn number `first`."""
        return self.claim.window[0].number if self.claim.window else first


class _Written:
    """The answer so far. Its tokens are known only if all of it was made here."""

    def __init__(self, so_far: str) -> None:
        self.text = so_far
        self._whole = not so_far
        self._token_ids: list[int] = []

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(self._token_ids) if self._whole else ()

    def add(self, text: str, token_ids: tuple[int, ...]) -> None:
        self.text += text
        self._token_ids += token_ids


class _HandedOver(Exception):
    """The writing and the delivery end here, and go on elsewhere."""
