"""Turns and memory in, text out. No torch, no Redis, no platform."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from core import notices
from core.engine.engine import IN_IDLE_TIME, Caller, Completion, Engine, Message, Params
from core.errors import PromptTooLong
from core.languages import translated
from core.prompt import Prompt, build
from core.summary import NO_SUMMARIES, Summaries, due, longest, request, whole_sentences
from core.turns import Event, Turn

DEFAULT_PERSONA = "You are a helpful AI assistant named Trialogue."


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """`window` is the most tokens that a prompt may take; the model's context bounds it as well. `tell_time` puts
    date and time (UTC) at the end of each prompt. With `summaries` older turns are folded into a summary before
    the window loses them, and prompts have it."""

    name: str = "Trialogue"
    persona: str = DEFAULT_PERSONA
    window: int = 2048
    tell_time: bool = False
    summaries: bool = False
    controls: bool = False
    params: Params = field(default_factory=Params)


class Dialogue:
    """One engine and the way to ask it."""

    def __init__(self, engine: Engine, settings: DialogueSettings) -> None:
        self._engine = engine
        self._settings = settings

    @property
    def continues(self) -> bool:
        """Whether an unfinished answer can be gone on with."""
        return self._engine.continues

    @property
    def controls(self) -> bool:
        """Whether there is something to press under answers."""
        return self._settings.controls

    @property
    def tokenizer(self) -> str:
        return self._engine.fingerprint

    @property
    def most_read(self) -> int:
        """How many tokens the files with a message may take: half of a prompt, so that the talk has the other."""
        return self._budget // 2

    def count(self, role: str, text: str) -> int:
        """The length of one turn in tokens, with what the chat template puts around it."""
        return self._engine.count([Message("user" if role == "user" else "assistant", text)])

    def prompt(
        self,
        event: Event,
        window: Sequence[Turn],
        *,
        persona: str | None,
        text: str | None = None,
        preface: str = "",
        summaries: Summaries = NO_SUMMARIES,
        within: int | None = None,
    ) -> Prompt:
        """What the engine is asked to answer `text` (`None`: that of the event), with `preface` before it, to
        whoever made `event`, in at most `within` tokens where that is given. Raises `PromptTooLong`."""
        now = f"It is {datetime.now(UTC):%A, %d %B %Y, %H:%M} UTC." if self._settings.tell_time else ""
        prompt = build(
            window,
            event.text if text is None else text,
            preface=preface,
            persona=self._settings.persona if persona is None else persona,
            summaries=summaries if self._settings.summaries else NO_SUMMARIES,
            now=now,
            count=self._engine.count,
            budget=self._budget if within is None else min(self._budget, within),
        )
        user = f"{event.room.platform}:{event.speaker.id}"
        return replace(prompt, caller=Caller(user, str(event.conversation)))

    def answer(
        self, prompt: Prompt, *, so_far: str = "", gone_on_with: str = ""
    ) -> AbstractAsyncContextManager[Completion]:
        """The answer while it is made. `so_far` is its beginning, when there is one already: only what comes after
        it is yielded (the engine must be able to continue). It counts as a part of the answer's length, but for
        the answer `gone_on_with` at its beginning."""
        params = self._settings.params
        most = params.max_tokens + (self.count("assistant", gone_on_with) if gone_on_with else 0)
        messages, most = prompt.messages, min(most, self._engine.context - prompt.tokens)
        if so_far:
            messages = (*messages, Message("assistant", so_far))
            most -= self.count("assistant", so_far)
        return self._engine.generate(messages, replace(params, max_tokens=max(1, most)), prompt.caller)

    def due(self, window: Sequence[Turn], summaries: Summaries, *, used: int) -> int | None:
        """Up to which turn a summary is to be written now; `None`: to none. `used` are the tokens of the next
        prompt so far, with the turns of `window`."""
        if not self._settings.summaries:
            return None
        return due(window, summaries, used=used, budget=self._budget)

    async def summarise(self, before: str, turns: Sequence[Turn]) -> str:
        """The summary of what the summary `before` tells and of the turns after it; empty when there is none to
        be had. Whoever is answered goes first. Raises `Overloaded` and `EngineError`."""
        most = longest(self._budget)
        room = self._engine.context - most
        try:
            return await self._summarise(before, turns, most, room)
        except PromptTooLong:  # by a server's own count
            return await self._summarise(before, turns, most, room // 2)

    async def _summarise(self, before: str, turns: Sequence[Turn], most: int, room: int) -> str:
        name, count = self._settings.name, self._engine.count
        messages = request(before, turns, name=name, words=most // 2, count=count, room=room)
        if messages is None:
            return ""
        params = replace(self._settings.params, max_tokens=most)
        text, finish = "", ""
        async with self._engine.generate(messages, params, IN_IDLE_TIME) as deltas:
            async for delta in deltas:
                text, finish = text + delta.text, delta.finish
        return whole_sentences(text).strip() if finish == "length" else text.strip()

    def notice(self, event: Event) -> str:
        """What we say ourselves to whatever is not for the model."""
        match event.kind:
            case "help":
                return notices.help_text(self._settings.name, event.text, event.locale)
            case "start":
                return notices.start_text(self._settings.name, event.locale)
            case "reset":
                return translated(notices.RESET, event.locale)
            case "persona":
                sentence = notices.PERSONA_SET if event.text.strip() else notices.PERSONA_DEFAULT
                return translated(sentence, event.locale)
            case _:
                return notices.unreadable(event)

    @property
    def _budget(self) -> int:
        """Half of a small context stays free for the answer, and `max_tokens` of a large one."""
        context = self._engine.context
        return min(self._settings.window, context - min(self._settings.params.max_tokens, context // 2))
