"""The app in one workspace: its client, and how answers are delivered there. Knows nothing of listening."""

from collections.abc import Callable

import aiohttp

from adapters.delivery import Pace, Planner, in_file_after
from adapters.slack.channel import SlackChannel
from adapters.slack.client import web_client
from adapters.slack.events import Account, Address
from adapters.slack.settings import SlackSettings
from adapters.slack.statuses import Statuses
from adapters.slack.streaming import StreamChannel
from adapters.slack.streams import Streams
from adapters.slack.uploads import Uploads
from adapters.wire import Wire
from core.turns import Event, Fleet, Reply


class Workspace:
    """That of the bot's account `me`, which has `token` there."""

    def __init__(
        self,
        settings: SlackSettings,
        session: aiohttp.ClientSession,
        token: str,
        me: Account,
        fleet: Fleet,
        *,
        pace: Pace,
        stream_pace: Pace,
        clock: Callable[[], float],
        wire: Wire,
    ) -> None:
        self.token = token
        self.me = me
        self.client = web_client(session, token=token, api_base=settings.api_base)
        self._file_after = settings.file_after
        self._statuses = Statuses(self.client)
        self._uploads = Uploads(self.client, settings.file_base)
        self._streams = Streams(fleet, clock, never=settings.stream == "edits")
        # A message whose sending was cut off is found again, so that sending it again is safe.
        name = f"slack/{me.id}"
        self._planner = Planner(name, pace, fleet, in_doubt="resend", wire=wire)
        self._streaming = Planner(name, stream_pace, fleet, in_doubt="resend", wire=wire)

    async def deliver(self, event: Event, reply: Reply) -> None:
        address = Address.of(event.room)
        asker = event.speaker.id
        plain = SlackChannel(
            self.client,
            self._statuses,
            self._uploads,
            address,
            user=self.me.user,
            asker=asker,
            replaces=bool(reply.replaces),
        )
        in_file = in_file_after(self._file_after, event.locale)
        if address.thread is None or not self._streams.allow(address.channel):
            await self._planner.show(reply, plain, room=address.channel, in_file=in_file)
            return
        keys = {part.message: reply.key(number) for number, part in enumerate(reply.parts) if part.message}
        channel = StreamChannel(
            self.client, self._streams, plain, address, me=self.me, asker=asker, keys=keys, stopped=reply.stop
        )
        await self._streaming.show(reply, channel, room=address.channel, in_file=in_file)
