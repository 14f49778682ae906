"""POST /v1/chat/completions and /v1/completions."""

from collections.abc import Callable

from starlette.responses import JSONResponse

from bots.http.api.access import Visitor
from bots.http.api.answers import Answer, Form
from bots.http.api.endpoint import Endpoint, Service
from bots.http.api.reply import Reply
from bots.http.api.requests import Completed
from core.engine.engine import Caller


class Completions(Endpoint[Completed]):
    """Completes what is asked for as `kind`, in the form that `form` makes."""

    def __init__(self, service: Service, kind: type[Completed], form: Callable[[], Form]) -> None:
        super().__init__(service, kind)
        self._form = form

    async def answer(self, asked: Completed, visitor: Visitor, reply: Reply) -> None:
        service = self._service
        params = asked.params(service.params)
        engine = service.models.engine(asked.model)
        messages = service.models.messages(asked.model, asked.as_messages())
        answer = Answer(
            self._form(),
            model=asked.model,
            choices=params.candidates,
            fingerprint=engine.fingerprint,
            with_logprobs=params.logprobs is not None,
        )
        caller = Caller(visitor.user, asked.user or "")
        is_taken = False  # who is refused is charged nothing
        try:
            async with engine.generate(messages, params, caller) as completion:
                is_taken = True
                if asked.stream:
                    await reply.stream(answer.openings())
                async for delta in completion:
                    chunks = list(answer.add(delta, completion.spell))
                    if asked.stream:
                        await reply.stream(chunks)
        finally:
            if is_taken:
                usage = answer.usage
                spent = usage["total_tokens"] if usage else engine.count(messages) + answer.made
                await service.access.charge(visitor, spent)
        if not asked.stream:
            await reply.send(JSONResponse(answer.complete()))
        else:
            await reply.stream([answer.usage_chunk()] if asked.wants_usage else [], last=True)
