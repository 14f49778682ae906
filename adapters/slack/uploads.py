"""Texts as files of Slack's. A message gets one by an edit; before that nobody sees it."""

import logging

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import File, Unattached

log = logging.getLogger(__name__)


class Uploads:
    """Uploads to addresses that begin with `base`: https://docs.slack.dev/messaging/working-with-files"""

    def __init__(self, client: AsyncWebClient, base: str) -> None:
        self._client = client
        self._base = base

    async def upload(self, file: File) -> str:
        """The file's id. Raises `FAILURES`, and `Unattached` for an address that is not Slack's."""
        data = file.text.encode()
        place = await self._client.files_getUploadURLExternal(filename=file.name, length=len(data))
        url, number = str(place["upload_url"]), str(place["file_id"])
        if not url.startswith(self._base) or self._client.session is None:
            log.warning("Slack wants a file at another place than its own")
            raise Unattached
        async with self._client.session.post(url, data=data) as answer:
            answer.raise_for_status()
        await self._client.files_completeUploadExternal(files=[{"id": number, "title": file.name}])
        return number
