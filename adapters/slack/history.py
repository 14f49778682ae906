"""What stands in a channel or in a thread of it, page by page. Knows not what it is read for."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

PAGE = 100
"""Messages in one answer. Slack gives fewer to apps that are sold outside of its marketplace."""

Messages = list[dict[str, Any]]


async def read_page(
    client: AsyncWebClient,
    channel: str,
    thread: str | None,
    *,
    oldest: str,
    cursor: str | None = None,
    metadata: bool = False,
) -> tuple[Messages, str | None]:
    """Messages after the ts `oldest`, and the cursor of the next page; None after the last one.

    A channel's messages come without those in threads, and in no order to rely on. A thread's come with the one
    that it stands under, however old that is. Raises what `client.FAILURES` names.
    """
    if thread is None:
        answer = await client.conversations_history(
            channel=channel, oldest=oldest, limit=PAGE, include_all_metadata=metadata, cursor=cursor
        )
    else:
        answer = await client.conversations_replies(
            channel=channel, ts=thread, oldest=oldest, limit=PAGE, include_all_metadata=metadata, cursor=cursor
        )
    messages, more = answer.get("messages"), answer.get("response_metadata")
    following = more.get("next_cursor") if isinstance(more, dict) else None
    found = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return found, following or None
