"""Settings: where they come from, what is refused, and that no value is ever shown."""

import os
import re
from pathlib import Path

import pytest

from bots.settings import COMMON_NAMES, PREFIX, BadSettings, known_keys, load, terminal_locale

SECRET = "xoxb-very-secret"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in os.environ:
        if name in COMMON_NAMES or name.startswith(PREFIX):
            monkeypatch.delenv(name)


def write(text: str) -> None:
    Path("trialogue.toml").write_text(text, encoding="utf-8")


def test_without_any_setting_only_the_page_runs() -> None:
    assert load().platforms == ()
    assert load().redis.url.get_secret_value() == "embedded"


def test_environment_beats_common_name_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[telegram]\ntoken = "file"\nmode = "webhook"')
    assert load().telegram.token.get_secret_value() == "file"
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "common")
    assert load().telegram.token.get_secret_value() == "common"
    monkeypatch.setenv("TRIALOGUE_TELEGRAM__TOKEN", "own")
    assert load().telegram.token.get_secret_value() == "own"
    assert load().telegram.mode == "webhook"


@pytest.mark.parametrize(("name", "place"), COMMON_NAMES.items())
def test_names_that_people_already_have_are_read(
    name: str, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)
    section, key = place
    assert getattr(getattr(load(), section), key).get_secret_value() == SECRET


def test_the_fixed_names_are_there() -> None:
    fixed = """
        discord.token telegram.token slack.bot_token slack.app_token slack.signing_secret
        discord.api_base discord.gateway_url telegram.api_base telegram.mode telegram.webhook_url
        telegram.webhook_secret slack.api_base slack.mode http.host http.port data_dir redis.url
        model.name model.url model.delay persona
    """
    assert set(fixed.split()) <= set(known_keys())


def test_readme_lists_every_key() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    listed = {name.split(".")[-1] for name in re.findall(r"`([a-z_.]+)`", readme)}
    assert {key.split(".")[-1] for key in known_keys()} <= listed


def _bots(*lines: str) -> str:
    return "\n".join(["[telegram.bots.support]", *lines])


def test_bots_of_telegram_have_tokens_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    write(_bots("token = '77:one'", "persona = 'Be brief.'"))
    assert load().platforms == ("telegram",)
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "76:first")
    monkeypatch.setenv("TRIALOGUE_TELEGRAM__BOTS__SALES__TOKEN", "78:two")
    tokens = {name: token.get_secret_value() for name, token in load().telegram.tokens.items()}
    assert tokens == {"": "76:first", "support": "77:one", "sales": "78:two"}
    assert load().telegram.bots["support"].persona == "Be brief."


def test_two_tokens_of_one_bot_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write(_bots("token = '77:one'"))
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "77:other")
    with pytest.raises(BadSettings, match="two of the tokens are of the same bot") as caught:
        load()
    assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[telegrm]\ntoken = 'x'", "telegrm is no setting; did you mean telegram?"),
        ("[telegram]\ntokn = 'x'", "telegram.tokn is no setting; did you mean telegram.token?"),
        ("persna = 'x'", "persna is no setting; did you mean persona?"),
    ],
)
def test_unknown_key_in_the_file_names_the_nearest(text: str, nearest: str) -> None:
    write(text)
    with pytest.raises(BadSettings, match=nearest):
        load()


@pytest.mark.parametrize("text", ['[personas]\ndefault = "a pirate"', '[models.default]\nname = "echo"'])
def test_default_names_nothing_but_the_configured_model(text: str) -> None:
    write(text)
    with pytest.raises(BadSettings, match="always names the configured model"):
        load()


def test_only_a_model_behind_an_address_sees_and_calls_tools() -> None:
    for able in ("sees", "tools"):
        write(f"[model]\n{able} = true")
        with pytest.raises(BadSettings, match="behind an url"):
            load()
    write("[model]\nsees = true\ntools = true\nurl = 'http://127.0.0.1:1/v1'")
    assert (load().model.sees, load().model.tools) == (True, True)


def test_an_embeddings_server_needs_to_know_which_of_its_models() -> None:
    write("[embeddings]\nurl = 'http://127.0.0.1:1/v1'")
    with pytest.raises(BadSettings, match="url needs a name"):
        load()


@pytest.mark.parametrize("name", ["TRIALOGUE_TELEGRM__TOKEN", "TRIALOGUE_TELEGRAM__TOKN"])
def test_unknown_name_in_the_environment_names_the_nearest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(BadSettings, match=r"(?i)did you mean (TRIALOGUE_)?TELEGRAM(__|\.)TOKEN"):
        load()


@pytest.mark.parametrize(
    "text",
    [
        f"[slack]\nbot_token = ['{SECRET}']",
        f"[discord]\ntoken = '{SECRET} {SECRET}'",
        f"[redis]\nurl = 'mysql://user:{SECRET}@host'",
        f"[slack]\nbot_tokn = '{SECRET}'",
        f"[slack]\nbot_token = '{SECRET}'\n[http]\nport = 'eighty'",
    ],
)
def test_no_error_shows_a_value(text: str) -> None:
    write(text)
    with pytest.raises(BadSettings) as caught:
        load()
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_repr_shows_a_secret() -> None:
    write(
        f"[slack]\nbot_token = '{SECRET}'\n[redis]\nurl = 'redis://:{SECRET}@host'\n[model]\napi_key = '{SECRET}'"
    )
    settings = load()
    assert "very-secret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_token_copied_with_a_line_break_at_its_end_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", " token\n")
    assert load().discord.token.get_secret_value() == "token"


def test_file_that_is_not_toml_is_a_clear_error() -> None:
    write("[telegram")
    with pytest.raises(BadSettings, match=r"trialogue\.toml is not TOML"):
        load()


def test_named_file_that_is_not_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSettings, match="there is no settings file"):
        load(Path("nowhere.toml"))
    monkeypatch.setenv("TRIALOGUE_CONFIG", "nowhere.toml")
    with pytest.raises(BadSettings, match="TRIALOGUE_CONFIG names"):
        load()


def test_section_given_as_text_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALOGUE_HTTP", SECRET)
    with pytest.raises(BadSettings, match="http") as caught:
        load()
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("set_", "locale"),
    [
        ({}, ""),
        ({"LANG": "de_DE.UTF-8"}, "de_DE"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "es_ES.UTF-8"}, "es_ES"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8", "LC_MESSAGES": "es_ES"}, "C"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh:de"}, "zh"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, "de_DE"),
    ],
)
def test_terminals_locale_is_what_gettext_would_take(
    set_: dict[str, str], locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    assert terminal_locale() == locale
