"""Slack: listens by Socket Mode or by HTTP, delivers by editing messages. Nothing of the core but the seam."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler  # noqa: TID251
from slack_bolt.async_app import AsyncApp  # noqa: TID251
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.delivery import Limited, Pace, Rate
from adapters.features import Feature
from adapters.fetching import fetched
from adapters.slack import installing, refusals
from adapters.slack.client import FAILURES, error_of, open_session, translated, web_client
from adapters.slack.dispatch import UNREADABLE, bolt_app
from adapters.slack.events import Account, team_of
from adapters.slack.installations import Installations, States
from adapters.slack.listeners import Listeners
from adapters.slack.manifest import EVENTS_PATH
from adapters.slack.settings import SlackSettings
from adapters.slack.socket_mode import SocketMode
from adapters.slack.vault import Vault
from adapters.slack.waiting import Waits
from adapters.slack.workspace import Workspace
from adapters.slack.workspaces import Workspaces
from adapters.wire import Wire
from core.errors import NotFetched, Refused, StoreUnavailable
from core.turns import Attachment, Event, Fleet, Inbox, Reply

__all__ = ["SlackAdapter", "SlackSettings"]

log = logging.getLogger(__name__)

# chat.postMessage: about one a second in a channel; chat.update: tier 3, 50 a minute in the workspace and more in
# bursts (https://docs.slack.dev/apis/web-api/rate-limits). One reply at this pace leaves room for a second one.
PACE = Pace(room=(Rate(1, 1.0),), bot=(Rate(50, 60.0),), draft_interval=2.0)

# chat.appendStream: tier 4, 100 a minute.
STREAM_PACE = Pace(room=(Rate(1, 1.0),), bot=(Rate(100, 60.0),), draft_interval=1.0)

# How often Slack is asked at the start who we are, before we say that it does not answer.
_TRIES_AT_START = 6


class SlackAdapter:
    """One app. Enter it before `listen` and `deliver`; `bot` is known then: the account's id, or that of an app
    that workspaces install by themselves. Such a one needs a `vault` for their tokens.

    Entering raises `Refused` for a token that Slack does not accept, and when Slack does not answer after some
    tries. `routes` are those of installations, and of events unless they come by Socket Mode. `pace` is how often
    the bot may speak in one workspace, and `stream_pace` how often in streams.
    """

    platform = "slack"
    supports = frozenset(Feature) - {Feature.REPLIES}

    def __init__(
        self,
        settings: SlackSettings,
        fleet: Fleet,
        *,
        vault: Vault | None = None,
        waits: Waits | None = None,
        pace: Pace = PACE,
        stream_pace: Pace = STREAM_PACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bot = ""
        self.routes: list[Route] = []
        self._installations: Installations | None = None
        if settings.is_distributed:
            assert vault is not None, "tokens of workspaces must be kept"
            self._installations = Installations(vault, settings.client_id)
            self._states = States(vault)
            self.routes += installing.routes(lambda: self._flow)
        if settings.mode == "http":
            self.routes.append(Route(EVENTS_PATH, self._receive, methods=["POST"]))
        self._settings = settings
        self._fleet = fleet
        self._waits = waits or Waits()
        self.wire = Wire()
        self._pace = pace
        self._stream_pace = stream_pace
        self._clock = clock
        self._handler: AsyncSlackRequestHandler | None = None
        self._flow: AsyncOAuthFlow | None = None
        self._session: aiohttp.ClientSession
        self._workspaces: Workspaces

    async def __aenter__(self) -> Self:
        settings = self._settings
        if not settings.bot_token and not settings.is_distributed:
            raise refusals.no_bot_token()
        if settings.is_distributed and not settings.client_secret:
            raise refusals.no_client_secret()
        self._session = open_session()
        try:
            own = await self._own() if settings.bot_token else None
        except BaseException:
            await self._session.close()
            raise
        self._workspaces = Workspaces(own, self._installations, self._workspace)
        if self._installations is not None:
            self.bot = f"app-{settings.client_id}"
            self._flow = installing.oauth_flow(settings, self._session, self._installations, self._states)
        elif own is not None:
            self.bot = own.me.id
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flow = None
        await self._session.close()

    async def listen(self, inbox: Inbox) -> None:
        if self._settings.mode == "socket" and not self._settings.app_token:
            raise refusals.no_app_token()
        if self._settings.mode == "http" and not self._settings.signing_secret:
            raise refusals.no_signing_secret()
        try:
            async with asyncio.TaskGroup() as group:
                listeners = Listeners(self._workspaces, inbox, group, self.wire, self._waits, self._clock)
                await self._begin(listeners)
                await self._take_events(bolt_app(self._settings, listeners), listeners)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def deliver(self, event: Event, reply: Reply) -> None:
        if (workspace := await self._workspaces.of(team_of(event.room))) is None:
            raise refusals.not_installed()
        await workspace.deliver(event, reply)

    @asynccontextmanager
    async def fetch(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            workspace = await self._workspaces.of(attachment.address.get("team", ""))
        except StoreUnavailable as exc:
            raise NotFetched("the store is away") from exc
        if workspace is None:
            raise NotFetched("the workspace does not have the app")
        # Whom it does not let in, Slack shows a page to log in at.
        page = "" if attachment.type == "text/html" else "text/html"
        async with fetched(
            str(attachment.address.get("url", "")),
            bases=(self._settings.file_base,),
            headers={"Authorization": f"Bearer {workspace.token}"},
            refused_type=page,
        ) as chunks:
            yield chunks

    def _workspace(self, token: str, me: Account) -> Workspace:
        return Workspace(
            self._settings,
            self._session,
            token,
            me,
            self._fleet,
            pace=self._pace,
            stream_pace=self._stream_pace,
            clock=self._clock,
            wire=self.wire,
        )

    async def _begin(self, listeners: Listeners) -> None:
        while True:
            try:
                await listeners.begin()
            except StoreUnavailable as exc:
                log.warning("the store is away, nobody knows which workspaces there are: %s", exc)
                await self._waits.next()
            else:
                self._waits.reset()
                return

    async def _take_events(self, app: AsyncApp, listeners: Listeners) -> None:
        """Until cancelled."""
        if self._settings.mode == "socket":
            token = self._settings.app_token
            client = web_client(self._session, token=None, api_base=self._settings.api_base)
            await SocketMode(client, self._session, token, app, listeners, self._waits).run()
        self._handler = AsyncSlackRequestHandler(app)
        listeners.arrive()
        try:
            await asyncio.Event().wait()
        finally:
            listeners.leave()
            self._handler = None

    async def _receive(self, request: Request) -> Response:
        if self._handler is None:
            return Response(status_code=503)
        try:
            return await self._handler.handle(request)
        except UNREADABLE:
            return Response(status_code=400)

    async def _own(self) -> Workspace:
        """The one whose token is set."""
        token = self._settings.bot_token
        client = web_client(self._session, token=token, api_base=self._settings.api_base)
        return self._workspace(token, await self._who_we_are(client))

    async def _who_we_are(self, client: AsyncWebClient) -> Account:
        for _ in range(_TRIES_AT_START):
            try:
                answer = await client.auth_test()
                account = Account(str(answer["team_id"]), str(answer["user_id"]), str(answer.get("bot_id") or ""))
            except FAILURES as exc:
                meant = translated(exc)
                if isinstance(meant, Refused):
                    raise meant from exc
                log.warning("Slack does not answer yet: %s", error_of(exc) or type(exc).__name__)
                await self._waits.next(at_least=meant.after if isinstance(meant, Limited) else 0.0)
            else:
                self._waits.reset()
                return account
        raise Refused("slack", "Slack does not answer", fix=f"Can this machine reach {self._settings.api_base}?")
