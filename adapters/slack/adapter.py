"""Slack: listens by Socket Mode or by HTTP, delivers by editing messages. Nothing of the core but the seam."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Self

import aiohttp
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler  # noqa: TID251
from slack_bolt.async_app import AsyncApp  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.delivery import Limited, Pace, Planner, Rate
from adapters.features import Feature
from adapters.fetching import fetched
from adapters.slack import refusals
from adapters.slack.attendance import Attendance
from adapters.slack.channel import SlackChannel
from adapters.slack.client import FAILURES, error_of, open_session, translated, web_client
from adapters.slack.dispatch import UNREADABLE, bolt_app
from adapters.slack.events import Account, Address
from adapters.slack.intake import Intake
from adapters.slack.manifest import EVENTS_PATH
from adapters.slack.missed import Missed
from adapters.slack.settings import SlackSettings
from adapters.slack.socket_mode import SocketMode
from adapters.slack.statuses import Statuses
from adapters.slack.waiting import Waits
from core.errors import Refused
from core.turns import Attachment, Event, Fleet, Inbox, Reply

__all__ = ["SlackAdapter", "SlackSettings"]

log = logging.getLogger(__name__)

# chat.postMessage: about one a second in a channel; chat.update: tier 3, 50 a minute in the workspace and more in
# bursts (https://docs.slack.dev/apis/web-api/rate-limits). One reply at this pace leaves room for a second one.
PACE = Pace(room=(Rate(1, 1.0),), bot=(Rate(50, 60.0),), draft_interval=2.0)

# How often Slack is asked at the start who we are, before we say that it does not answer.
_TRIES_AT_START = 6


class SlackAdapter:
    """One app in one workspace. Enter it before `listen` and `deliver`; `bot`, the account's id, is known then.

    Entering raises `Refused` for a token that Slack does not accept, and when Slack does not answer after some
    tries. `routes` is empty in Socket Mode. `pace` is how often the bot may speak.
    """

    platform = "slack"
    supports = frozenset(Feature) - {Feature.REPLIES}

    def __init__(
        self,
        settings: SlackSettings,
        fleet: Fleet,
        *,
        waits: Waits | None = None,
        pace: Pace = PACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bot = ""
        self.routes: list[Route] = []
        if settings.mode == "http":
            self.routes.append(Route(EVENTS_PATH, self._receive, methods=["POST"]))
        self._settings = settings
        self._fleet = fleet
        self._waits = waits or Waits()
        self._pace = pace
        self._clock = clock
        self._handler: AsyncSlackRequestHandler | None = None
        self._session: aiohttp.ClientSession
        self._client: AsyncWebClient
        self._statuses: Statuses
        self._planner: Planner
        self._me: Account

    async def __aenter__(self) -> Self:
        if not self._settings.bot_token:
            raise refusals.no_bot_token()
        self._session = open_session()
        try:
            self._client = web_client(
                self._session, token=self._settings.bot_token, api_base=self._settings.api_base
            )
            self._me = await self._who_we_are()
        except BaseException:
            await self._session.close()
            raise
        self.bot = self._me.id
        self._statuses = Statuses(self._client)
        # A message whose sending was cut off is found again, so that sending it again is safe.
        self._planner = Planner(f"slack/{self.bot}", self._pace, self._fleet, in_doubt="resend")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def listen(self, inbox: Inbox) -> None:
        if self._settings.mode == "socket" and not self._settings.app_token:
            raise refusals.no_app_token()
        if self._settings.mode == "http" and not self._settings.signing_secret:
            raise refusals.no_signing_secret()
        attendance = Attendance(inbox, self.bot, self._clock)
        intake = Intake(inbox, self._client, self._me, attendance)
        app = bolt_app(self._settings, self._client, intake)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(attendance.keep(), name="attendance")
                missed = Missed(self._client, intake, attendance, replace(self._waits), self._clock)
                group.create_task(missed.read(), name="missed")
                await self._take_events(app, attendance)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def deliver(self, event: Event, reply: Reply) -> None:
        address = Address.of(event.room)
        asker = event.speaker.id
        channel = SlackChannel(self._client, self._statuses, address, user=self._me.user, asker=asker)
        await self._planner.show(reply, channel, room=address.channel)

    def fetch(self, attachment: Attachment) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        # Whom it does not let in, Slack shows a page to log in at.
        page = "" if attachment.type == "text/html" else "text/html"
        return fetched(
            str(attachment.address.get("url", "")),
            bases=(self._settings.file_base,),
            headers={"Authorization": f"Bearer {self._settings.bot_token}"},
            refused_type=page,
        )

    async def _take_events(self, app: AsyncApp, attendance: Attendance) -> None:
        """Until cancelled."""
        if self._settings.mode == "socket":
            token = self._settings.app_token
            await SocketMode(self._client, self._session, token, app, attendance, self._waits).run()
        self._handler = AsyncSlackRequestHandler(app)
        attendance.arrive()
        try:
            await asyncio.Event().wait()
        finally:
            attendance.leave()
            self._handler = None

    async def _receive(self, request: Request) -> Response:
        if self._handler is None:
            return Response(status_code=503)
        try:
            return await self._handler.handle(request)
        except UNREADABLE:
            return Response(status_code=400)

    async def _who_we_are(self) -> Account:
        for _ in range(_TRIES_AT_START):
            try:
                answer = await self._client.auth_test()
                account = Account(str(answer["team_id"]), str(answer["user_id"]))
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
