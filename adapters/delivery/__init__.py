"""The delivery planner: shows a reply in a room at the platform's pace. Knows no platform and no SDK."""

from adapters.delivery.beside import beside
from adapters.delivery.budget import Pace, Rate
from adapters.delivery.channel import Channel, File, Limited, MessageGone, Unattached, Unavailable
from adapters.delivery.in_file import in_file_after
from adapters.delivery.planner import Planner, Undelivered
from adapters.delivery.script import SURPLUS, InFile

__all__ = [
    "SURPLUS",
    "Channel",
    "File",
    "InFile",
    "Limited",
    "MessageGone",
    "Pace",
    "Planner",
    "Rate",
    "Unattached",
    "Unavailable",
    "Undelivered",
    "beside",
    "in_file_after",
]
