"""What an operator may ask for: pause a platform, have a worker take no work, forget a person."""

import asyncio
import logging

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bots.http.admin.access import admit
from bots.http.admin.overview import Overview
from bots.http.api.access import Access, Visitor
from bots.http.api.errors import ApiError, as_api_error
from bots.instruments.sight import Sight
from bots.presence import Order
from core.errors import CoreError
from core.store import logfile
from core.store.forget import Forget, Person
from core.store.store import Store

log = logging.getLogger(__name__)

_BODY_SECONDS = 10.0
_OBEYED_WITHIN = 8.0
_ASK_AGAIN_SECONDS = 1.0


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="pause"):
    """Answer nobody on this platform; what is said there waits."""

    platform: str


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="resume"):
    """Answer what waits on this platform."""

    platform: str


class Drain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="drain"):
    """Let this process take no work, and leave what it does to others."""

    process: str


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="work"):
    """Let this process take work again."""

    process: str


class ForgetPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="forget"):
    """Forget a person as `trialogue memory forget --person` does: `platform/id`."""

    person: str


Asked = Pause | Resume | Drain | Work | ForgetPerson

_decoder = msgspec.json.Decoder(Asked)


class Orders:
    """POST: one of `Asked` as JSON. The answer comes when it is done, as one sentence under `done`."""

    def __init__(self, store: Store, overview: Overview, access: Access) -> None:
        self._store = store
        self._overview = overview
        self._access = access
        self._forgetting = asyncio.Lock()

    async def post(self, request: Request) -> Response:
        try:
            operator = await admit(self._access, request.scope)
            asked = await _read(request)
            done = await self._do(asked)
            _note(operator, asked)
            return JSONResponse({"done": done})
        except CoreError as exc:
            return as_api_error(exc).response()

    async def _do(self, asked: Asked) -> str:
        match asked:
            case Pause(platform=name):
                await self._store.fleet.hold(self._known(name))
                return f"{name} is paused: what people write there waits."
            case Resume(platform=name):
                await self._store.fleet.let_go(self._known(name))
                return f"{name} goes on."
            case Drain(process=name):
                await self._rest(name, rest=True)
                return "The process takes no work any more."
            case Work(process=name):
                await self._rest(name, rest=False)
                return "The process takes work again."
            case ForgetPerson(person=person):
                return await self._forget(person)

    def _known(self, platform: str) -> str:
        names = {each.name for sight in self._overview.sights for each in sight.platforms}
        if platform not in names | self._store.fleet.held:
            raise ApiError(404, "No process has this platform.")
        return platform

    async def _rest(self, process: str, *, rest: bool) -> None:
        """Ask until it is seen to be done: an order is told in passing, and may be lost."""
        if self._worker(process) is None:
            raise ApiError(404, "There is no such worker.")
        order = msgspec.json.encode(Order(process, rest))
        try:
            async with asyncio.timeout(_OBEYED_WITHIN):
                # One that is not seen for a moment may be busy with just that.
                while (worker := self._worker(process)) is None or worker.resting is not rest:
                    await self._store.announcements.tell("orders", order)
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
        except TimeoutError:
            raise ApiError(504, "The process does not answer.", kind="server_error") from None

    def _worker(self, process: str) -> Sight | None:
        return next((sight for sight in self._overview.sights if sight.id == process and sight.model), None)

    async def _forget(self, person: str) -> str:
        platform, _, name = person.partition("/")
        if not (platform and name):
            raise ApiError(400, "Write the person as platform/id.")
        if self._forgetting.locked():
            raise ApiError(409, "Somebody is being forgotten already; one at a time.")
        async with self._forgetting:
            store = self._store
            count = await Forget(store.client, store.inbox).person(Person(platform, name))
            if store.client.is_embedded:
                await logfile.rewrite(store.client)
        return f"Forgotten, in {count} {'conversation' if count == 1 else 'conversations'}."


async def _read(request: Request) -> Asked:
    # A form of another site can send no JSON without asking first, which nobody here allows.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Orders come as application/json.")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.body()
    except TimeoutError:
        raise ApiError(408, "The body took too long to come.", headers={"connection": "close"}) from None
    try:
        asked: Asked = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ApiError(400, "This is no order that is known here.") from None
    return asked


def _note(operator: Visitor, asked: Asked) -> None:
    what = "somebody was forgotten" if isinstance(asked, ForgetPerson) else str(asked)
    log.warning("by order of an operator (%s): %s", operator.user, what)
