"""Bolt between the wire and us: it verifies signatures, answers Slack's checks, and tells events from commands.

Bolt acknowledges an event before its listener has run, unless it is told `process_before_response`; then the
listener's end is the acknowledgement, and its failure an answer that is none: over HTTP and in Socket Mode alike
Slack then sends the event again. Bolt drops no redelivery; `Inbox.accept` does.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp  # noqa: TID251
from slack_bolt.authorization import AuthorizeResult  # noqa: TID251
from slack_bolt.context.ack.async_ack import AsyncAck  # noqa: TID251
from slack_bolt.context.async_context import AsyncBoltContext  # noqa: TID251
from slack_bolt.context.respond.async_respond import AsyncRespond  # noqa: TID251
from slack_bolt.response import BoltResponse  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.buttons import PREFIX
from adapters.slack.client import FAILURES, SDK_LOG
from adapters.slack.intake import TAKEN_WITHIN, NotTaken
from adapters.slack.listeners import Listener, Listeners
from adapters.slack.manifest import COMMAND, OPENED, REVOKED, SHORTCUT, UNINSTALLED
from adapters.slack.settings import SlackSettings
from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What Bolt and the SDK raise on a request that is not as Slack describes it; they read before they verify."""

_ANY = re.compile(".*")
_TOLD_WITHIN = 5.0
_LISTENER = "trialogue_listener"


class _NotInstalled(Exception):
    """Nobody here has the app. Slack need not tell us again."""


def bolt_app(settings: SlackSettings, listeners: Listeners) -> AsyncApp:
    """The Bolt app whose acknowledgement of an event means that its workspace's listener has it."""

    async def authorize(context: AsyncBoltContext) -> AuthorizeResult:
        # Bolt would ask Slack who we are.
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                listener = await listeners.of(context.team_id or "")
        except TimeoutError:
            raise NotTaken from None
        if listener is None:
            raise _NotInstalled(context.team_id)
        context[_LISTENER] = listener
        workspace = listener.workspace
        return AuthorizeResult(
            enterprise_id=None,
            team_id=workspace.me.team,
            bot_user_id=workspace.me.user,
            bot_token=workspace.token,
        )

    async def on_message(event: Mapping[str, Any], context: AsyncBoltContext) -> None:
        listener: Listener = context[_LISTENER]
        await listener.intake.take(event)
        await listener.panes.said(event)

    async def on_pane(event: Mapping[str, Any], context: AsyncBoltContext) -> None:
        listener: Listener = context[_LISTENER]
        await listener.panes.opened(event)

    async def on_command(ack: AsyncAck, command: Mapping[str, Any], context: AsyncBoltContext) -> None:
        listener: Listener = context[_LISTENER]
        answer = await listener.commands.answer(command)
        await (ack({"response_type": "ephemeral", "text": answer}) if answer else ack())

    async def on_press(ack: AsyncAck, body: Mapping[str, Any], context: AsyncBoltContext) -> None:
        listener: Listener = context[_LISTENER]
        await listener.intake.press(body)
        await ack()

    async def on_uninstalled(body: Mapping[str, Any], context: AsyncBoltContext) -> None:
        await listeners.ended(context.team_id or "", float(body["event_time"]))

    async def on_revoked(event: Mapping[str, Any], body: Mapping[str, Any], context: AsyncBoltContext) -> None:
        if (event.get("tokens") or {}).get("bot"):
            await on_uninstalled(body, context)

    async def on_shortcut(
        ack: AsyncAck, body: Mapping[str, Any], respond: AsyncRespond, context: AsyncBoltContext
    ) -> None:
        listener: Listener = context[_LISTENER]
        sentence = await listener.shortcut.take(body)
        await ack()
        if sentence:
            await _tell(respond, sentence)

    async def on_other(ack: AsyncAck) -> None:
        """Told, though we never asked; Slack need not tell us again."""
        await ack()

    async def on_error(error: Exception) -> BoltResponse:
        if isinstance(error, _NotInstalled):
            log.warning("what comes from a workspace without the app is left out: %s", error)
            return BoltResponse(status=200, body="")
        if not isinstance(error, NotTaken | StoreUnavailable):
            log.error("an event failed: %s", type(error).__name__, exc_info=error)
        return BoltResponse(status=503, body="")

    app = AsyncApp(
        logger=SDK_LOG,
        name="trialogue",
        client=AsyncWebClient(base_url=settings.api_base, logger=SDK_LOG),
        authorize=authorize,
        signing_secret=settings.signing_secret,
        process_before_response=True,
        # Which events are for us is told in one place, `events.to_event`.
        ignoring_self_events_enabled=False,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )
    app.event("message")(on_message)
    app.event("app_mention")(on_message)
    app.event(OPENED)(on_pane)
    app.event(UNINSTALLED)(on_uninstalled)
    app.event(REVOKED)(on_revoked)
    app.event(_ANY)(on_other)
    app.command(COMMAND)(on_command)
    app.action(re.compile(re.escape(PREFIX)))(on_press)
    app.message_shortcut(SHORTCUT)(on_shortcut)
    for other in (app.command, app.action, app.shortcut, app.view, app.options):
        other(_ANY)(on_other)
    app.error(on_error)
    return app


async def _tell(respond: AsyncRespond, sentence: str) -> None:
    """To the person alone; also where the bot itself may not write."""
    try:
        async with asyncio.timeout(_TOLD_WITHIN):
            await respond(sentence, response_type="ephemeral", replace_original=False)
    except FAILURES as exc:
        log.warning("somebody was told nothing: %s", type(exc).__name__)
