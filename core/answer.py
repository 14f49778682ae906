"""One claimed event on its way to its reply: write, complete, deliver."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from core import notices
from core.dialogue import Dialogue
from core.errors import CoreError, Refused
from core.prompt import Prompt
from core.reply import LeasedReply
from core.store.claims import Claim, Claims
from core.turns import Cut, Event, Reply, Turn

log = logging.getLogger(__name__)

Deliver = Callable[[Event, Reply], Awaitable[None]]

_NOTICES: Mapping[Cut, str] = {
    "stopped": notices.STOPPED,
    "shutdown": notices.SHUTDOWN,
    "length": notices.LENGTH,
    "time": notices.TIME,
}


class Answer:
    """Writes the reply to one claim and has it delivered. `seconds` bounds the writing.

    `task` is the task that runs it, for whoever must cancel it when the lease is lost.
    """

    def __init__(self, claims: Claims, dialogue: Dialogue, claim: Claim, *, seconds: float) -> None:
        self.claim = claim
        self.task: asyncio.Task[None] | None = None
        self._claims = claims
        self._dialogue = dialogue
        self._seconds = seconds
        self._reply = LeasedReply(claims, claim)
        self._halt: Literal["stopped", "shutdown"] | None = None
        self._writing: asyncio.Timeout | None = None

    def halt(self, why: Literal["stopped", "shutdown"]) -> None:
        """End the answer early; what is written so far becomes final. The first reason counts."""
        if self._halt is None:
            self._halt = why
            if self._writing is not None:
                self._writing.reschedule(asyncio.get_running_loop().time())

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def run(self, deliver: Deliver) -> None:
        """Write and deliver side by side, then acknowledge.

        Raises an exception group: `LeaseLost`, `StoreUnavailable`, or what nobody foresaw.
        """
        if self.claim.stopped:
            self.halt("stopped")
        refused = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(), name="write")
                group.create_task(_delivered(deliver, self.claim.event, self._reply), name="deliver")
        except* Refused as refusals:
            log.warning("%s: %s", self.claim.event.id, refusals.exceptions[0])
            refused = True
        if refused:
            await self.set_aside()
        else:
            await self._claims.delivered(self.claim)

    async def set_aside(self) -> None:
        """The room will never take the rest: memory holds what was shown, and the entry is done with."""
        if self.claim.phase == "answering":
            if self._is_for_the_model:
                await self._complete(self._reply.shown_text, "", cut="failed")
            else:
                await self._notice(self._dialogue.notice(self.claim.event))
        await self._claims.delivered(self.claim)

    @property
    def _is_for_the_model(self) -> bool:
        return self.claim.event.kind == "message" and bool(self.claim.event.text.strip())

    async def _write(self) -> None:
        if self.claim.phase == "delivering":
            self._reply.finish(self.claim.text)
        elif self._is_for_the_model:
            await self._ask_the_model()
        else:
            await self._notice(self._dialogue.notice(self.claim.event))

    async def _ask_the_model(self) -> None:
        claim = self.claim
        draft = _Written(self._reply.shown_text if self._dialogue.continues else "")
        try:
            prompt = self._dialogue.prompt(claim.event, claim.window, persona=claim.persona, summary=claim.summary)
            cut = await self._generate(prompt, draft)
            notice = _NOTICES.get(cut, "")
        except CoreError as exc:
            log.warning("no answer to %s: %s", claim.event.id, exc)
            if not draft.text.strip():
                await self._notice(exc.reply)
                return
            cut, notice = "failed", f"_{exc.reply}_"
        if not draft.text.strip() and not notice:
            notice = notices.NOTHING
        text = notices.under(draft.text, notice) if notice else draft.text
        await self._complete(draft.text, text, cut=cut, start=prompt.start, token_ids=draft.token_ids)
        self._reply.finish(text)

    async def _generate(self, prompt: Prompt, draft: "_Written") -> Cut:
        """Write until the model has ended; return why it was cut short, if it was."""
        if self._halt is not None:
            return self._halt
        try:
            async with (
                asyncio.timeout(self._seconds) as self._writing,
                self._dialogue.answer(prompt, so_far=draft.text) as deltas,
            ):
                async for delta in deltas:
                    draft.add(delta.text, delta.token_ids)
                    self._reply.write(draft.text)
                    if delta.finish == "length":
                        return "length"
        except TimeoutError:
            return self._halt or "time"
        finally:
            self._writing = None
        return ""

    async def _notice(self, text: str) -> None:
        """Answer with a sentence of ours, which memory does not keep."""
        claim, event = self.claim, self.claim.event
        await self._claims.complete(
            claim,
            turns=(),
            text=text,
            window=claim.window[0].number if claim.window else None,
            persona=event.text.strip() if event.kind == "persona" else None,
            clear=event.kind == "reset",
        )
        self._reply.finish(text)

    async def _complete(
        self,
        answer: str,
        text: str,
        *,
        cut: Cut,
        start: int | None = None,
        token_ids: tuple[int, ...] = (),
    ) -> None:
        """Put the person's turn and `answer` into memory. `text` is what the room gets: with a word of ours."""
        claim, event, tokenizer = self.claim, self.claim.event, self._dialogue.tokenizer
        asked = Turn(
            number=claim.last + 1,
            role="user",
            text=event.text,
            speaker=event.speaker,
            event=event.id,
            at=event.at,
            count=self._dialogue.count("user", event.text),
            tokenizer=tokenizer,
        )
        answered = Turn(
            number=claim.last + 2,
            role="assistant",
            text=answer,
            event=event.id,
            at=time.time(),
            count=self._dialogue.count("assistant", answer),
            token_ids=token_ids,
            tokenizer=tokenizer,
            cut=cut,
        )
        await self._claims.complete(
            claim, turns=(asked, answered), text=text, window=asked.number if start is None else start
        )


async def _delivered(deliver: Deliver, event: Event, reply: Reply) -> None:
    await deliver(event, reply)


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
