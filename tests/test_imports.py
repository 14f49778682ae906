"""Who may import what. Ruff bans the SDKs; this holds the rule between our own packages."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SDKS = {"discord": "discord", "telegram": "telegram", "slack": "slack_sdk slack_bolt"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("file", modules("core"), ids=lambda file: str(file.relative_to(ROOT)))
def test_core_knows_no_adapter_and_no_composition(file: Path) -> None:
    assert not [name for name in imports(file) if within(name, "adapters", "bots")]


@pytest.mark.parametrize("file", modules("core/engine"), ids=lambda file: str(file.relative_to(ROOT)))
def test_engine_serves_models_and_knows_nobody_who_trains_them(file: Path) -> None:
    assert not [name for name in imports(file) if within(name, "core.training")]


@pytest.mark.parametrize("file", modules("adapters"), ids=lambda file: str(file.relative_to(ROOT)))
def test_adapter_knows_only_itself_and_the_seam(file: Path) -> None:
    parts = file.relative_to(ROOT).parts
    own = f"adapters.{parts[1]}" if len(parts) > 2 else "adapters"
    shared = (
        "adapters.delivery",
        "adapters.features",
        "adapters.fetching",
        "adapters.gap",
        "adapters.markdown",
        "adapters.recording",
        "adapters.wire",
    )
    for name in imports(file):
        if within(name, "core"):
            assert name.removeprefix("core.") in {"turns", "errors", "commands", "controls", "languages"}
        assert not within(name, "bots", "torch", "transformers", "redis")
        if within(name, "adapters") and name != "adapters":
            assert within(name, own, *shared)
        for platform, sdk in SDKS.items():
            if within(name, *sdk.split()):
                assert parts[1] == platform


@pytest.mark.parametrize("file", modules("core/turns"), ids=lambda file: str(file.relative_to(ROOT)))
def test_turns_need_the_standard_library_only(file: Path) -> None:
    for name in imports(file):
        assert name.split(".")[0] in sys.stdlib_module_names or within(name, "core.turns")
