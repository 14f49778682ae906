"""The one reader of files and environment.

Environment beats file beats default. Each key has one name, `section.key`, written `TRIALOGUE_SECTION__KEY` in the
environment; tokens are also read under the names that people already have (`DISCORD_TOKEN` and its like).
Unknown keys are errors that name the nearest known one. No error and no repr ever shows a value.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from platformdirs import user_config_path, user_data_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from core.access import LISTED
from core.errors import CoreError
from core.scope import Scope
from core.store.sealing import decode_key
from core.turns import WhenBusy

PREFIX = "TRIALOGUE_"
FILE_NAME = "trialogue.toml"

COMMON_NAMES: Mapping[str, tuple[str, str]] = {
    "DISCORD_TOKEN": ("discord", "token"),
    "TELEGRAM_BOT_TOKEN": ("telegram", "token"),
    "SLACK_BOT_TOKEN": ("slack", "bot_token"),
    "SLACK_APP_TOKEN": ("slack", "app_token"),
    "SLACK_SIGNING_SECRET": ("slack", "signing_secret"),
    "SLACK_CLIENT_ID": ("slack", "client_id"),
    "SLACK_CLIENT_SECRET": ("slack", "client_secret"),
}

# In the environment with our prefix, and no setting: where the file is, and what only the tests read.
_NOT_SETTINGS = {"TRIALOGUE_CONFIG", "TRIALOGUE_TEST_SPECS"}


class BadSettings(CoreError):
    """What was configured cannot be used. The text names each key and what is wrong, and no value."""


def _url(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return url

    return AfterValidator(check)


def _redis_url(url: SecretStr) -> SecretStr:
    schemes = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
    value = url.get_secret_value()
    if value != "embedded" and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f'must be "embedded" or begin with one of {", ".join(f"{s}://" for s in schemes)}')
    return url


def _token(token: SecretStr) -> SecretStr:
    value = token.get_secret_value().strip()
    if any(char.isspace() for char in value):
        raise ValueError("has a space or a line break in it; copy it again")
    return SecretStr(value)


# A path is added to it. The gateway's address is connected to as it is.
HttpUrl = Annotated[str, _url("http", "https"), AfterValidator(lambda url: url.rstrip("/"))]
Token = Annotated[SecretStr, AfterValidator(_token)]
NoSecret = SecretStr("")


def _chosen_name(name: str) -> str:
    if name == "default":
        raise ValueError("`default` always names the configured model and persona")
    return name


# In lower case, as the environment's names are read.
BOT_NAME = r"^[a-z0-9_-]{1,32}$"
ChosenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$"), AfterValidator(_chosen_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


class Discord(_Section):
    token: Token = NoSecret
    api_base: HttpUrl = "https://discord.com/api/v10"
    gateway_url: Annotated[str, _url("ws", "wss")] | None = None
    shards: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"


class TelegramBot(_Section):
    token: Token
    persona: str = ""


class Telegram(_Section):
    token: Token = NoSecret
    bots: dict[Annotated[str, Field(pattern=BOT_NAME)], TelegramBot] = {}
    api_base: HttpUrl = "https://api.telegram.org"
    mode: Literal["polling", "webhook"] = "polling"
    webhook_url: HttpUrl | None = None
    webhook_secret: Token = NoSecret
    in_doubt: Literal["resend", "skip"] = "resend"
    debounce: float = Field(1.0, ge=0, le=10)
    drafts: bool = False
    debounce_from: int = Field(2048, ge=0, le=4096)

    @model_validator(mode="after")
    def _each_bot_once(self) -> Self:
        ids = [token.get_secret_value().partition(":")[0] for token in self.tokens.values()]
        if len(set(ids)) < len(ids):
            raise ValueError("two of the tokens are of the same bot")
        return self

    @property
    def tokens(self) -> dict[str, SecretStr]:
        """Those that are set, by the bots' names; the first one's is empty."""
        named = {"": self.token, **{name: bot.token for name, bot in self.bots.items()}}
        return {name: token for name, token in named.items() if token.get_secret_value()}


class Slack(_Section):
    bot_token: Token = NoSecret
    client_id: Token = NoSecret
    client_secret: Token = NoSecret
    app_token: Token = NoSecret
    signing_secret: Token = NoSecret
    api_base: HttpUrl = "https://slack.com/api/"
    mode: Literal["socket", "http"] = "socket"
    stream: Literal["auto", "edits"] = "auto"


class Http(_Section):
    host: str = "127.0.0.1"
    port: int | None = Field(None, ge=0, le=65535)
    names: tuple[str, ...] = ()


class Instruments(_Section):
    otlp_url: HttpUrl | None = None
    otlp_ratio: float = Field(1.0, ge=0, le=1)
    otlp_per_second: float = Field(5.0, ge=0)
    logs: Literal["auto", "console", "json"] = "auto"


def _encryption_keys(keys: SecretStr) -> SecretStr:
    for key in filter(None, keys.get_secret_value().split(",")):
        decode_key(key)
    return keys


class Redis(_Section):
    url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("embedded")
    fsync: Literal["always", "everysec"] = "always"
    shards: int = Field(16, ge=1, le=1024)
    encryption_keys: Annotated[SecretStr, AfterValidator(_encryption_keys)] = NoSecret
    prefix: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,64}$")


class Choice(_Section):
    name: str = Field(min_length=1)
    url: HttpUrl | None = None
    api_key: Token = NoSecret
    context: int = Field(8192, ge=256)
    bytes_per_token: float = Field(1.0, ge=1, le=8)
    sees: bool = False
    tools: bool = False

    @model_validator(mode="after")
    def _only_a_server_is(self) -> Self:
        if self.url is None and self.sees:
            raise ValueError("sees is for a model behind an url: those that run here take no pictures")
        if self.url is None and self.tools:
            raise ValueError("tools is for a model behind an url: those that run here say it by their template")
        return self


class Fallback(Choice):
    url: HttpUrl


class Model(Choice):
    name: str = Field("default", min_length=1)
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    kv_cache_gb: float = Field(3.0, gt=0)
    max_running: int = Field(64, ge=1, le=1024)
    max_waiting: int = Field(256, ge=0, le=100_000)
    fallbacks: tuple[Fallback, ...] = ()
    delay: float = Field(0.0, ge=0, le=60)
    max_tokens: int = Field(512, ge=1)
    temperature: float = Field(0.2, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    min_p: float = Field(0.0, ge=0, le=1)
    repetition_penalty: float = Field(1.1, ge=1, le=2)
    candidates: int = Field(1, ge=1, le=16)
    judge: Path | None = None


class Embeddings(_Section):
    name: str = ""
    url: HttpUrl | None = None
    api_key: Token = NoSecret

    @model_validator(mode="after")
    def _a_server_has_many_models(self) -> Self:
        if self.url is not None and not self.name:
            raise ValueError("url needs a name: the model that the server shall use")
        return self


class Memory(_Section):
    window: int = Field(2048, ge=128)
    summaries: bool = False
    max_turns: int = Field(2000, ge=2)
    keep_days: int = Field(365, ge=0, le=36500)
    agreed: tuple[Annotated[str, Field(pattern=r"^[a-z]+/.+$")], ...] = ()


class Files(_Section):
    max_mb: float = Field(10.0, gt=0, le=1000)
    max_tokens: int = Field(4000, ge=0, le=1_000_000)
    transcribe_url: HttpUrl | None = None
    transcribe_key: Token = NoSecret
    transcribe_model: str = Field("whisper-1", min_length=1)


class Chat(_Section):
    buttons: bool = True
    when_busy: WhenBusy = "queue"
    file_after: int = Field(0, ge=0, le=100)
    scope: Scope = "thread"


Listed = Annotated[str, Field(pattern=LISTED)]


class Access(_Section):
    allow: frozenset[Listed] = frozenset()
    deny: frozenset[Listed] = frozenset()
    admins: frozenset[Annotated[str, Field(pattern=r"^[a-z]+/.+$")]] = frozenset()


class Limits(_Section):
    person_turns_per_minute: int = Field(0, ge=0)
    person_turns_per_day: int = Field(0, ge=0)
    person_tokens_per_minute: int = Field(0, ge=0)
    person_tokens_per_day: int = Field(0, ge=0)
    place_turns_per_minute: int = Field(0, ge=0)
    place_turns_per_day: int = Field(0, ge=0)
    place_tokens_per_minute: int = Field(0, ge=0)
    place_tokens_per_day: int = Field(0, ge=0)


class Moderation(_Section):
    url: HttpUrl | None = None
    api_key: Token = NoSecret
    model: str = Field("omni-moderation-latest", min_length=1)
    answers: bool = True


class Settings(BaseSettings):
    """All that can be set. README lists the keys with what they do."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )
    file: ClassVar[Path | None] = None

    name: str = Field("Trialogue", min_length=1, max_length=64)
    persona: str = ""
    tell_time: bool = False
    data_dir: Path = Field(default_factory=lambda: user_data_path("trialogue"))
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_seconds: float = Field(20.0, ge=0, le=3600)
    personas: dict[ChosenName, str] = {}
    models: dict[ChosenName, Choice] = {}
    discord: Discord = Discord()
    telegram: Telegram = Telegram()
    slack: Slack = Slack()
    http: Http = Http()
    instruments: Instruments = Instruments()
    redis: Redis = Redis()
    model: Model = Model()
    embeddings: Embeddings = Embeddings()
    memory: Memory = Memory()
    chat: Chat = Chat()
    access: Access = Access()
    limits: Limits = Limits()
    moderation: Moderation = Moderation()
    extensions: tuple[str, ...] = ()
    files: Files = Files()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        common = InitSettingsSource(settings_cls, init_kwargs=dict(_common_names(os.environ)))
        toml = TomlConfigSettingsSource(settings_cls, toml_file=cls.file)
        return init_settings, env_settings, common, toml

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms whose tokens are set."""
        has = {
            "discord": self.discord.token.get_secret_value(),
            "telegram": self.telegram.tokens,
            "slack": self.slack.bot_token.get_secret_value() or self.slack.client_id.get_secret_value(),
        }
        return tuple(platform for platform, tokens in has.items() if tokens)


def load(path: Path | None = None) -> Settings:
    """Read the settings from `path`, or the first file that there is, and the environment.

    Raises `BadSettings`.
    """
    file = path or _find_file()
    if path is not None and not path.is_file():
        raise BadSettings(f"there is no settings file {path}")
    _check_environment(os.environ)
    source = type("Settings", (Settings,), {"file": file, "__module__": __name__})
    try:
        settings = source()
    except tomllib.TOMLDecodeError as exc:
        raise BadSettings(f"{file} is not TOML: {exc}") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"{file} cannot be read: {type(exc).__name__}") from None
    except SettingsError as exc:
        raise BadSettings(f"the environment: {exc}") from None
    except ValidationError as exc:
        raise BadSettings("\n".join(_explain(exc))) from None
    assert isinstance(settings, Settings)
    return settings


def terminal_locale() -> str:
    """The locale of whoever sits at this terminal, as gettext finds it; empty: none is set."""
    names = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    found = next(filter(None, map(os.environ.get, names)), "")
    return found.partition(":")[0].partition(".")[0]  # the first of a list, without its encoding


def _find_file() -> Path | None:
    if named := os.environ.get("TRIALOGUE_CONFIG"):
        if not Path(named).is_file():
            raise BadSettings(f"TRIALOGUE_CONFIG names {named}, and there is no such file")
        return Path(named)
    places = (Path.cwd() / FILE_NAME, user_config_path("trialogue") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _common_names(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, (section, key) in COMMON_NAMES.items():
        if environ.get(name):
            found.setdefault(section, {})[key] = environ[name]
    return found


def _check_environment(environ: Mapping[str, str]) -> None:
    """pydantic-settings passes over a variable with our prefix that names no section of ours."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in environ:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in _NOT_SETTINGS and upper.split("__")[0] not in known:
            nearest = _nearest(upper, [_variable(key) for key in known_keys()])
            raise BadSettings(f"the environment sets {name}, which is no setting{nearest}")


def known_keys() -> list[str]:
    """Every key there is, as `section.key`."""

    def keys() -> Iterator[str]:
        for name, field in Settings.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
                yield from (f"{name}.{key}" for key in field.annotation.model_fields)
            else:
                yield name

    return list(keys())


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", "__")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _explain(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            known = known_keys() if "." in key else list(Settings.model_fields)
            yield f"{key} is no setting{_nearest(key, known)}"
        else:
            yield f"{key}: {_sentence(error)}"


def _sentence(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]
