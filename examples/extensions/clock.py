"""A tool for models that can call some (`model.tools`): what time it is, anywhere."""

from datetime import datetime
from zoneinfo import ZoneInfo

from core.extension import Extension

extension = Extension()


@extension.tool
def time_in(zone: str) -> str:
    """What time it is now in a time zone, such as Europe/Lisbon."""
    return f"{datetime.now(ZoneInfo(zone)):%A, %H:%M}"
