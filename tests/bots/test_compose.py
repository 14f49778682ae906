"""docker-compose.yml, read beside what the command line and the settings offer."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from bots.app import END_SECONDS
from bots.cli import cli
from bots.settings import COMMON_NAMES, PREFIX, known_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


@pytest.fixture(params=["listen", "work"])
def bot(services: dict[str, dict[str, Any]], request: pytest.FixtureRequest) -> dict[str, Any]:
    return services[request.param]


def test_each_command_is_one_that_the_program_takes(bot: dict[str, Any]) -> None:
    name, *arguments = bot["command"]
    command = typer.main.get_command(cli)
    with command.make_context("trialogue", [name, *arguments]) as context:
        _, run, rest = command.resolve_command(context, bot["command"])  # type: ignore[attr-defined]
        parsed = run.make_context(name, list(rest), parent=context)
    assert parsed.params["role"] == bot["command"][-1]


def test_command_with_an_unknown_role_would_be_refused() -> None:
    answer = CliRunner().invoke(cli, ["run", "--role", "sing"])
    assert answer.exit_code == 2


def test_environment_has_settings_that_exist_and_no_secret_of_its_own(bot: dict[str, Any]) -> None:
    variables = {PREFIX + key.upper().replace(".", "__") for key in known_keys()}
    for name, value in bot["environment"].items():
        assert name in variables or name in COMMON_NAMES
        if name in COMMON_NAMES:
            assert value == f"${{{name}:-}}"
    assert COMMON_NAMES.keys() <= bot["environment"].keys()


def test_all_meet_in_the_same_store_once_it_is_there(
    services: dict[str, dict[str, Any]], bot: dict[str, Any]
) -> None:
    assert bot["environment"]["TRIALOGUE_REDIS__URL"].startswith("redis://redis:")
    assert bot["depends_on"]["redis"]["condition"] == "service_healthy"
    command = services["redis"]["command"]
    assert "--appendonly yes --appendfsync always --maxmemory-policy noeviction" in command


def test_stop_is_given_the_time_that_a_drain_takes(bot: dict[str, Any]) -> None:
    grace = re.fullmatch(r"(\d+)s", bot["stop_grace_period"])
    assert grace is not None
    assert int(grace[1]) >= float(bot["environment"]["TRIALOGUE_DRAIN_SECONDS"]) + END_SECONDS + 5


def test_each_is_asked_for_its_health_where_it_serves_it(bot: dict[str, Any]) -> None:
    assert f":{bot['environment']['TRIALOGUE_HTTP__PORT']}/healthz" in bot["healthcheck"]["test"][-1]


def test_two_workers_can_become_more_and_only_the_page_is_reachable_from_outside(
    services: dict[str, dict[str, Any]],
) -> None:
    assert services["work"]["scale"] == 2
    assert not {"ports", "container_name"} & services["work"].keys()
    assert services["listen"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in services["redis"]
