"""Turns and memory in, text out. No torch, no Redis, no platform."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from babel.dates import format_datetime

from core import notices
from core.engine.engine import IN_IDLE_TIME, Caller, Completion, Engine, Message, Params, Picture, Tool
from core.errors import CoreError, PromptTooLong
from core.languages import language_of, translated
from core.prompt import Prompt, build, called
from core.summary import NO_SUMMARIES, Summaries, due, longest, request, whole_sentences
from core.turns import Called, Event, Sampling, Turn

AS_SET = Sampling()
DEFAULT_PERSONA = "You are a helpful AI assistant named Trialogue."


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """`personas` are those that people may choose by name; `bots` have the persona of each bot that has one of its
    own, by `Conversation.account`. `window` is the most tokens that a prompt may take; the
    model's context bounds it as well. `tell_time` puts date and time (UTC) at the end of each prompt. With
    `summaries` older turns are folded into a summary before the window loses them, and prompts have it."""

    name: str = "Trialogue"
    persona: str = DEFAULT_PERSONA
    personas: Mapping[str, str] = field(default_factory=dict)
    bots: Mapping[str, str] = field(default_factory=dict)
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

    def use(self, settings: DialogueSettings) -> None:
        """Go on with these settings."""
        self._settings = settings

    @property
    def continues(self) -> bool:
        """Whether an unfinished answer can be gone on with."""
        return self._engine.continues

    @property
    def sees(self) -> bool:
        """Whether pictures can be shown to it."""
        return self._engine.sees

    @property
    def tools(self) -> bool:
        """Whether it can call some."""
        return self._engine.tools

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

    def persona(self, text: str) -> str:
        """Who to be where somebody has asked for that: the persona of that name, or what the text says."""
        text = text.strip()
        return self._settings.personas.get(text, text)

    def count(self, role: str, text: str, calls: Sequence[Called] = ()) -> int:
        """The length of one turn in tokens, with what the chat template puts around it."""
        told = called(calls) if self.tools else ()
        return self._engine.count([*told, Message("user" if role == "user" else "assistant", text)])

    def prompt(
        self,
        event: Event,
        window: Sequence[Turn],
        *,
        persona: str | None,
        text: str | None = None,
        preface: str = "",
        pictures: tuple[Picture, ...] = (),
        summaries: Summaries = NO_SUMMARIES,
        within: int | None = None,
    ) -> Prompt:
        """What the engine is asked to answer `text` (`None`: that of the event), with `preface` before it and
        `pictures`, to whoever made `event`, in at most `within` tokens where that is given. Raises
        `PromptTooLong`."""
        now = f"It is {datetime.now(UTC):%A, %d %B %Y, %H:%M} UTC." if self._settings.tell_time else ""
        prompt = build(
            window,
            event.text if text is None else text,
            preface=preface,
            pictures=pictures,
            persona=self._persona_of(event.said_in.account) if persona is None else persona,
            summaries=summaries if self._settings.summaries else NO_SUMMARIES,
            now=now,
            count=self._engine.count,
            budget=self._budget if within is None else min(self._budget, within),
            tools=self.tools,
        )
        user = f"{event.room.platform}:{event.speaker.id}"
        return replace(prompt, caller=Caller(user, str(event.conversation)))

    def _persona_of(self, account: str) -> str:
        return self._settings.bots.get(account, self._settings.persona)

    def answer(
        self,
        prompt: Prompt,
        *,
        so_far: str = "",
        gone_on_with: str = "",
        sampling: Sampling = AS_SET,
        tools: tuple[Tool, ...] = (),
        told: Sequence[Message] = (),
    ) -> AbstractAsyncContextManager[Completion]:
        """The answer while it is made. `so_far` is its beginning, when there is one already: only what comes after
        it is yielded (the engine must be able to continue). It counts as a part of the answer's length, but for
        the answer `gone_on_with` at its beginning. It may call `tools`; `told` is what came of those that it has
        called for this answer. Raises `InvalidParams` for a `sampling` that makes no sense."""
        params = replace(_sampled(self._settings.params, sampling), tools=tools)
        most = params.max_tokens + (self.count("assistant", gone_on_with) if gone_on_with else 0)
        messages, most = (*prompt.messages, *told), min(most, self._engine.context - prompt.tokens)
        if told:
            most = min(most, self._engine.context - self._engine.count(messages))
        if so_far:
            messages = (*messages, Message("assistant", so_far))
            most -= self.count("assistant", so_far)
        return self._engine.generate(messages, replace(params, max_tokens=max(1, most)), prompt.caller)

    def clipped(self, prompt: Prompt, calls: Sequence[Called]) -> list[Called]:
        """`calls`, with as much of what came of the last one as can be told after `prompt`, beside an answer."""
        *others, last = calls
        room = self._engine.context - prompt.tokens - self._answer_room
        while last.result and self._engine.count(called([*others, last])) > room:
            last = replace(last, result=last.result[: len(last.result) // 2])
        return [*others, last]

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

    def transcript(self, turn: Turn, locale: str) -> str:
        """A turn for people to read: who said it, when, and what, in Markdown."""
        name = self._settings.name if turn.role == "assistant" else (turn.speaker and turn.speaker.name) or "?"
        when = format_datetime(datetime.fromtimestamp(turn.at, UTC), "short", locale=language_of(locale))
        made = "".join(f"`{call.name} {call.arguments}`: {call.result}\n" for call in turn.calls)
        return f"**{name}** ({when} UTC)\n{made}{turn.text}"

    def notice(self, event: Event) -> str:
        """What we say ourselves to whatever is not for the model."""
        match event.kind:
            case "help":
                before, _, lacks = event.text.partition("\n")
                return notices.help_text(self._settings.name, before.strip() or "/", event.locale, lacks)
            case "start":
                return notices.start_text(self._settings.name, event.locale)
            case "reset":
                return translated(notices.RESET, event.locale)
            case "persona":
                sentence = notices.PERSONA_SET if event.text.strip() else notices.PERSONA_DEFAULT
                return translated(sentence, event.locale)
            case "undo" | "act" | "edit":  # it could not be done
                return translated(CoreError.reply, event.locale)
            case _:
                return notices.unreadable(event)

    @property
    def _budget(self) -> int:
        return min(self._settings.window, self._engine.context - self._answer_room)

    @property
    def _answer_room(self) -> int:
        """Half of a small context stays free for the answer, and `max_tokens` of a large one."""
        return min(self._settings.params.max_tokens, self._engine.context // 2)


def _sampled(params: Params, wanted: Sampling) -> Params:
    """What is wanted, within what the operator allows."""
    return replace(
        params,
        temperature=params.temperature if wanted.temperature is None else wanted.temperature,
        top_p=params.top_p if wanted.top_p is None else wanted.top_p,
        max_tokens=params.max_tokens if wanted.max_tokens is None else min(wanted.max_tokens, params.max_tokens),
    )
