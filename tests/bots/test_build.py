"""From settings to engines."""

from pathlib import Path

import pytest

from bots import build
from bots.settings import BadSettings, load
from core.engine.fallback import FallbackEngine
from core.engine.scripted import ScriptedEngine

FALLBACKS = """
[model]
name = "echo"

[[model.fallbacks]]
url = "https://one.example.org/v1"
name = "first"
api_key = "sk-very-secret"

[[model.fallbacks]]
url = "https://two.example.org/v1"
name = "second"
context = 4096
bytes_per_token = 3.0
"""


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def write(text: str) -> None:
    Path("trialogue.toml").write_text(text, encoding="utf-8")


async def test_one_model_is_one_engine() -> None:
    write('model.name = "echo"')
    engine = await build.engine(load(), lambda _what, _share: None)
    assert isinstance(engine, ScriptedEngine)


async def test_fallbacks_stand_behind_the_model_in_their_order() -> None:
    write(FALLBACKS)
    settings = load()
    engines = await build.engines(settings, lambda _what, _share: None)
    assert [engine.name for engine in engines] == ["echo", "first", "second"]
    assert [engine.context for engine in engines[1:]] == [8192, 4096]
    whole = await build.engine(settings, lambda _what, _share: None)
    assert isinstance(whole, FallbackEngine)
    assert (whole.name, whole.context) == ("echo", 4096)
    assert "very-secret" not in f"{settings!r}"


def test_a_fallback_without_a_url_is_refused() -> None:
    write('[[model.fallbacks]]\nname = "first"')
    with pytest.raises(BadSettings, match="url"):
        load()
