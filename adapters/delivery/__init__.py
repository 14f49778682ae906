"""The delivery planner: shows a reply in a room at the platform's pace. Knows no platform and no SDK."""

from adapters.delivery.beside import beside
from adapters.delivery.budget import Pace, Rate
from adapters.delivery.channel import Channel, Limited, MessageGone, Unavailable
from adapters.delivery.planner import Planner, Undelivered
from adapters.delivery.script import SURPLUS

__all__ = [
    "SURPLUS",
    "Channel",
    "Limited",
    "MessageGone",
    "Pace",
    "Planner",
    "Rate",
    "Unavailable",
    "Undelivered",
    "beside",
]
