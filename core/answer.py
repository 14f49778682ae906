"""One claimed event on its way to its reply: write, complete, deliver."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from core import controls, notices
from core.asking import fitting
from core.dialogue import Dialogue
from core.engine.engine import Picture
from core.errors import CoreError, PromptTooLong, Refused
from core.extension import NO_HOOKS, Declined, Hooks
from core.files.reader import Read, Reader
from core.languages import translated
from core.prompt import Prompt
from core.question import (
    NotPossible,
    Question,
    changes,
    heard,
    needs_the_model,
    newest,
    question,
    standing,
    taken_back,
    turned,
)
from core.reply import LeasedReply
from core.store.claim import Claim
from core.store.claims import Claims
from core.store.memory import Memory
from core.store.whereabouts import Whereabouts
from core.summary import Summaries
from core.tools import NO_TOOLS, Tools
from core.turns import Control, Cut, Event, Reply, Turn, Version
from core.writing import Halt, Writing
from core.written import Written

log = logging.getLogger(__name__)

Deliver = Callable[[Event, Reply], Awaitable[None]]

_NOTICES: Mapping[Cut, str] = {
    "stopped": notices.STOPPED,
    "shutdown": notices.SHUTDOWN,
    "length": notices.LENGTH,
    "time": notices.TIME,
}

# Seconds. Who is answered within that need not hear of a line.
_LOOK_AT_THE_LINE = 1.0

# How long a message that is on its way may take to arrive when the rest of the reply is handed over.
ARRIVES_WITHIN = 2.0


class Answer:
    """Writes the reply to one claim and has it delivered. The files that came with it are those of `adapter`.

    `seconds` bounds the wait for the model's first word, and then the writing. `task` is the task that runs it,
    for whoever must cancel it when the lease is lost. `hooks` see what is asked and answered, the model may call
    `tools`, and `tokens` counts what is asked and answered once it is in memory. `fold_up_to` is the turn up to
    which the conversation is to be summarised afterwards, when it is time for that.
    """

    def __init__(
        self,
        claims: Claims,
        dialogue: Dialogue,
        claim: Claim,
        *,
        adapter: str,
        seconds: float,
        reader: Reader | None = None,
        hooks: Hooks = NO_HOOKS,
        tools: Tools = NO_TOOLS,
    ) -> None:
        self.claim = claim
        self.task: asyncio.Task[None] | None = None
        self.fold_up_to: int | None = None
        self.tokens = 0
        self._claims = claims
        self._dialogue = dialogue
        self._reader = reader
        self._hooks = hooks
        self._refusal = ""
        self._branching = False
        self._start = claim.window[0].number if claim.window else None
        self._before = self._newest()
        self._reply = self._in_its_place()
        self._writing = Writing(
            dialogue,
            claim.event,
            lambda text: self._reply.write(text, self._controls_while_writing),
            adapter=adapter,
            seconds=seconds,
            reader=reader,
            hooks=hooks,
            tools=tools,
        )
        self._refused = False
        self._leaving = asyncio.Event()
        self._arrives_within = ARRIVES_WITHIN

    def _newest(self) -> Turn | None:
        """The answer that the event is about. While it is delivered, what it has become."""
        if self.claim.event.kind == "show":
            return standing(self.claim.event.target, self.claim.window)
        if self.claim.event.kind not in {"edit", "act"}:
            return None
        try:
            return newest(self.claim.event, self.claim.window)[1]
        except NotPossible as exc:
            self._refusal = str(exc)
            return None

    def _in_its_place(self) -> LeasedReply:
        replaces = self._before.messages if self._before is not None and self.claim.event.target else ()
        return LeasedReply(self._claims, self.claim, replaces, lambda: self.halt("stopped"))

    async def look_back(self, memory: Memory, whereabouts: Whereabouts) -> None:
        """Find what is not the newest: a message that was changed is where the conversation goes on from, and of
        an answer that stays as it is the person is told why. Comes before everything else. Raises
        `StoreUnavailable`.
        """
        claim, event = self.claim, self.claim.event
        if not (self._refusal and event.target) or claim.phase != "answering":
            return
        if event.kind == "edit":
            turns = await memory.up_to(claim.conversation, event.target)
            if turns and changes(event, turns):
                claim.window, self._branching, self._refusal = turns, True, ""
                self._before = self._newest()
                self._reply = self._in_its_place()
        elif self._refusal == notices.NOT_REMEMBERED:
            if await memory.up_to(claim.conversation, event.target, 1):
                self._refusal = notices.NOT_THE_NEWEST
            elif await memory.is_left_behind(claim.conversation, event.target):
                self._refusal = notices.LEFT_BEHIND
            elif claim.conversation not in await whereabouts.of(event):
                self._refusal = notices.NOT_YOURS

    def _said(self, sentence: str) -> str:
        """A sentence of ours in the language of whoever is answered."""
        return translated(sentence, self.claim.event.locale)

    def halt(self, why: Halt) -> None:
        """End the answer early; what is written so far becomes final. The first reason counts. One that is being
        handed over goes on elsewhere."""
        if not self._leaving.is_set():
            self._writing.halt(why)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def hand_over(self, within: float | None = None) -> None:
        """Leave the rest to another worker: `run` ends soon and returns False. A message that is on its way to the
        room then has `within` seconds to arrive, if they are given."""
        self._arrives_within = within or self._arrives_within
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
        await self._reply.close(self._arrives_within)
        raise _HandedOver

    async def _tell_place(self) -> None:
        """While the model answers others first, say how many, and about how long that takes."""
        told = ""
        while True:
            await asyncio.sleep(_LOOK_AT_THE_LINE)
            line = self._writing.in_line
            if line is not None and (place := line.place_in_line) > 0:
                sentence = notices.in_line(place, line.estimate, self.claim.event.locale)
                if sentence != told:
                    self._reply.wait(sentence, self._controls_while_writing)
                    told = sentence

    async def apologise(self) -> None:
        """Nobody can write this answer: what was shown stays, and the person is told by whoever delivers."""
        claim = self.claim
        if self._is_for_the_model:
            # What hooks would have made of the question, nobody knows.
            asks = None if self._hooks.look_before else question(claim.event, claim.window, claim.last)
            await self._apologise(self._said(CoreError.reply), self._reply.shown_text, asks)
        else:
            await self._notice(self._dialogue.notice(claim.event))

    async def leave_as_it_stands(self) -> None:
        """The room will never take the rest of a complete reply: memory gets what stands there."""
        await self._claims.delivered(self.claim, instead=self._as_it_stands())

    def _as_it_stands(self) -> Turn | None:
        """The answer in memory as the room shows it; `None` where that makes no difference."""
        claim, standing, answer = self.claim, self._reply.standing_text, self._answer
        if answer is not None and self._before is not None and self._reply.replaces and not standing:
            return self._before  # no change of it was let into the room
        if answer is None or (standing.startswith(answer.text) and claim.text.startswith(standing)):
            return self._found_by(answer)  # all of it, and perhaps a word of ours
        return self._found_by(replace(answer, text=standing, count=0, token_ids=(), tokenizer="", cut="failed"))

    @property
    def _answer(self) -> Turn | None:
        """The answer of this claim in memory, once there is one."""
        claim = self.claim
        if claim.phase != "delivering" or not claim.window or claim.event.kind == "show":
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
        answer = self._before if self.claim.event.kind == "show" else self._answer
        if answer is None or not self._dialogue.controls:
            return ()
        return controls.under(answer, self.claim.event.locale)

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
                self._reader is not None and self._reader.reads_any(event.attachments, sees=self._dialogue.sees)
            )
        return self._before is not None and needs_the_model(event, self._before)

    async def _write(self) -> None:
        if self.claim.phase == "delivering":
            self._finish(self.claim.text)
        elif self._is_for_the_model:
            await self._ask_the_model()
        elif self.claim.event.kind == "show":
            await self._notice(self._told(self._before) if self._before is not None else "")
        elif self._before is not None:
            await self._turn_to(turned(self.claim.event, self._before))
        elif self.claim.event.kind == "undo":
            await self._undo()
        elif self._refusal:
            # Whoever changes a message that nobody remembers asks for nothing.
            await self._notice("" if self.claim.event.kind == "edit" else self._said(self._refusal))
        else:
            await self._notice(self._dialogue.notice(self.claim.event))

    async def _ask_the_model(self) -> None:
        claim, dialogue, writing = self.claim, self._dialogue, self._writing
        asks = question(claim.event, claim.window, claim.last)
        shown = self._reply.shown_text if dialogue.continues else ""
        draft = Written(shown if shown.startswith(asks.so_far) else asks.so_far)
        is_new = claim.event.kind == "message"
        read = await writing.read(claim.event.attachments if is_new else asks.asked.pictures)
        if is_new:
            asks = replace(asks, asked=replace(asks.asked, documents=read.documents, pictures=read.seen))
        if not (asks.asked.text.strip() or asks.asked.documents or asks.asked.pictures or writing.halted):
            await self._notice(notices.left_out(read.left_out))
            return
        try:
            asks = await self._heard(asks)
            asks, prompt, cut = await self._write_on(asks, read.pictures, draft)
            if self._hooks.look_after:
                draft = draft.instead(await writing.hooked(self._hooks.after, draft.text))
        except Declined as exc:
            await self._notice(notices.under(asks.before.text if asks.before else "", str(exc)))
            return
        except CoreError as exc:
            log.warning("no answer to %s: %s", claim.event.id, exc)
            await self._apologise(self._said(exc.reply), "" if self._hooks.look_after else draft.text, asks)
        else:
            await self._remember(asks, prompt, draft, cut, read)

    async def _heard(self, asks: Question) -> Question:
        """What hooks make of it."""
        if self.claim.event.kind not in {"message", "edit"}:
            return asks
        text = await self._writing.hooked(self._hooks.before, asks.asked.text)
        return replace(asks, asked=heard(asks.asked, text))

    async def _write_on(
        self, asks: Question, pictures: tuple[Picture, ...], draft: Written
    ) -> tuple[Question, Prompt, Cut]:
        """Have `draft` written on: what the model was asked, its prompt, and why the draft was cut short."""
        claim, dialogue, writing = self.claim, self._dialogue, self._writing
        asks, prompt = fitting(dialogue, claim, asks, pictures)
        try:
            return asks, prompt, await writing.write(asks, prompt, draft)
        except PromptTooLong:  # by a server's own count
            if draft.calls:
                raise  # but for what tools have told
        asks, prompt = fitting(dialogue, claim, asks, pictures, within=prompt.tokens // 2)
        return asks, prompt, await writing.write(asks, prompt, draft)

    async def _remember(self, asks: Question, prompt: Prompt, draft: Written, cut: Cut, read: Read) -> None:
        """Question and answer go into memory, and the answer into the room with what is to be said under it."""
        claim = self.claim
        if not (asks.asked.documents or asks.asked.pictures):
            read = read.left_out_all(claim.event.locale)
        ours = self._said(_NOTICES.get(cut, "")), notices.left_out(read.left_out)
        notice = "\n\n".join(filter(None, ours))
        if not draft.text.strip() and not notice:
            notice = self._said(notices.NOTHING)
        text = notices.under(draft.text, notice) if notice else draft.text
        asked, answered = self._counted(asks.asked), self._answered(asks, draft, cut)
        start = asked.number if prompt.start is None else prompt.start
        await self._claims.complete(
            claim,
            turns=(asked, answered),
            text=text,
            window=start,
            summaries=self._summaries(asked.number, jumped=prompt.jumped),
            cut=asks.cut,
            branching=self._branching,
        )
        self._finish(text)
        self.tokens = asked.count + answered.count
        window = [turn for turn in claim.window if turn.number >= start]
        self.fold_up_to = self._dialogue.due(window, claim.summaries, used=prompt.tokens + answered.count)

    async def _apologise(self, sentence: str, written: str, asks: Question | None) -> None:
        """End with `sentence` under what is written, which memory keeps with the question that it `asks`, where
        that is given. Counts nothing: it may be the counting that fails."""
        if not written.strip():
            # An answer that stands there already is what memory holds: it goes on standing there.
            stands = asks.before.text if asks is not None and asks.before is not None else ""
            await self._notice(notices.under(stands, f"_{sentence}_") if stands else sentence)
            return
        claim, text = self.claim, notices.under(written, f"_{sentence}_")
        if asks is None:
            await self._notice(text)
            return
        turns = asks.asked, asks.answered(Version(text=written, cut="failed"))
        await self._claims.complete(
            claim,
            turns=turns,
            text=text,
            window=claim.window[0].number if claim.window else asks.asked.number,
            summaries=self._summaries(asks.asked.number),
            cut=asks.cut,
            branching=self._branching,
        )
        self._finish(text)

    async def _turn_to(self, answer: Turn) -> None:
        """Another version of the answer takes its place."""
        turns, text = (self.claim.window[-2], answer), self._told(answer)
        cut = taken_back(turns[0], self.claim.last)
        await self._claims.complete(self.claim, turns=turns, text=text, window=self._start, cut=cut)
        self._finish(text)

    def _told(self, answer: Turn) -> str:
        """An answer in memory as the room is shown it."""
        notice = self._said(_NOTICES.get(answer.cut, ""))
        return notices.under(answer.text, notice) if notice else answer.text

    async def _undo(self) -> None:
        """The last question and its answer are no more."""
        claim = self.claim
        try:
            asked, _ = newest(claim.event, claim.window)
        except NotPossible as exc:
            sentence = notices.NOTHING_TO_UNDO if str(exc) == notices.NOT_REMEMBERED else str(exc)
            await self._notice(self._said(sentence))
            return
        text = self._said(notices.UNDONE)
        summaries, cut = self._summaries(asked.number), taken_back(asked, claim.last)
        await self._claims.complete(claim, turns=(), text=text, window=self._start, summaries=summaries, cut=cut)
        self._finish(text)

    def _finish(self, text: str) -> None:
        private = bool(self._refusal and self.claim.event.target)
        self._reply.finish(text, self._controls, private=private)

    async def _notice(self, text: str) -> None:
        """Answer with a sentence of ours, which memory does not keep, and do what the event asks for."""
        claim, event = self.claim, self.claim.event
        await self._claims.complete(
            claim,
            turns=(),
            text=text,
            window=self._start,
            persona=self._dialogue.persona(event.text) if event.kind == "persona" else None,
            clear=event.kind == "reset",
        )
        self._finish(text)

    def _answered(self, asks: Question, draft: Written, cut: Cut) -> Turn:
        """What memory is to hold of the answer."""
        before = asks.before.calls if asks.before is not None and asks.so_far else ()
        calls = (*before, *draft.calls)
        answer = Version(
            text=draft.text,
            count=self._dialogue.count("assistant", draft.text, calls),
            calls=calls,
            token_ids=draft.token_ids,
            tokenizer=self._dialogue.tokenizer,
            cut=cut,
            cost=draft.cost,
        )
        return asks.answered(answer)

    def _counted(self, turn: Turn) -> Turn:
        count, tokenizer = self._dialogue.count(turn.role, turn.text), self._dialogue.tokenizer
        return replace(turn, count=count, tokenizer=tokenizer)

    def _summaries(self, number: int, *, jumped: bool = False) -> Summaries | None:
        """What becomes of the conversation's summaries when it goes on with the turn `number`; `None`: nothing."""
        kept = self.claim.summaries.before(number)
        if jumped:
            return kept.after_a_jump()
        return None if kept is self.claim.summaries else kept


class _HandedOver(Exception):
    """The writing and the delivery end here, and go on elsewhere."""
