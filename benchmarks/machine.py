"""What the numbers are measured on, and what this process holds. Knows no engine."""

import os
import platform
import resource
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def version(distribution: str) -> str | None:
    """What is installed of a distribution; `None` when nothing is."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def describe(distributions: Iterable[str]) -> list[str]:
    """Processor, memory, system, and the versions of what is installed."""
    versions = (f"{name} {found}" for name in distributions if (found := version(name)) is not None)
    return [
        f"{cores()} cores, {_processor()}, {_memory() / 1e9:.0f} GB of memory",
        f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}",
        ", ".join(versions),
    ]


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def memory_now() -> int:
    """The bytes of memory that this process holds; where the system does not say, the most that it ever held."""
    return _status("VmRSS") or _largest()


def memory_peak() -> int:
    """The most bytes that this process ever held. On Linux `getrusage` counts from what the parent held when it
    started this process, so the kernel's other count is read there."""
    return _status("VmHWM") or _largest()


def _status(name: str) -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(values[name].split()[0]) * 1024


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown processor"
