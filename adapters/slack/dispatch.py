"""Bolt between the wire and us: it verifies signatures, answers Slack's checks, and tells events from commands.

Bolt acknowledges an event before its listener has run, unless it is told `process_before_response`; then the
listener's end is the acknowledgement, and its failure an answer that is none: over HTTP and in Socket Mode alike
Slack then sends the event again. Bolt drops no redelivery; `Inbox.accept` does.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp  # noqa: TID251
from slack_bolt.authorization import AuthorizeResult  # noqa: TID251
from slack_bolt.context.ack.async_ack import AsyncAck  # noqa: TID251
from slack_bolt.response import BoltResponse  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.buttons import PREFIX
from adapters.slack.client import SDK_LOG
from adapters.slack.commands import Commands
from adapters.slack.intake import Intake, NotTaken
from adapters.slack.manifest import COMMAND
from adapters.slack.settings import SlackSettings

log = logging.getLogger(__name__)

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What Bolt and the SDK raise on a request that is not as Slack describes it; they read before they verify."""

_ANY = re.compile(".*")


def bolt_app(settings: SlackSettings, client: AsyncWebClient, intake: Intake) -> AsyncApp:
    """The Bolt app whose acknowledgement of an event means that `intake` has it."""
    me = intake.me
    commands = Commands(intake.inbox, client, me, intake.names)

    async def authorize() -> AuthorizeResult:
        # Known since the start; Bolt would ask Slack before the first event.
        return AuthorizeResult(
            enterprise_id=None, team_id=me.team, bot_user_id=me.user, bot_token=settings.bot_token
        )

    async def on_message(event: Mapping[str, Any]) -> None:
        await intake.take(event)

    async def on_command(ack: AsyncAck, command: Mapping[str, Any]) -> None:
        answer = await commands.answer(command)
        await (ack({"response_type": "ephemeral", "text": answer}) if answer else ack())

    async def on_press(ack: AsyncAck, body: Mapping[str, Any]) -> None:
        await intake.press(body)
        await ack()

    async def on_other(ack: AsyncAck) -> None:
        """Told, though we never asked; Slack need not tell us again."""
        await ack()

    async def on_error(error: Exception) -> BoltResponse:
        if not isinstance(error, NotTaken):
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
    app.event(_ANY)(on_other)
    app.command(COMMAND)(on_command)
    app.action(re.compile(re.escape(PREFIX)))(on_press)
    for other in (app.command, app.action, app.shortcut, app.view, app.options):
        other(_ANY)(on_other)
    app.error(on_error)
    return app
