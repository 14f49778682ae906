"""Bolt's stores for an app that many workspaces install, kept in a `Vault`: who has installed it, and which
installations were begun by us. Knows no HTTP.
"""

import logging
import secrets
import time
from datetime import timedelta
from logging import Logger

import msgspec
from slack_bolt.error import BoltError  # noqa: TID251
from slack_sdk.oauth.installation_store import Bot, Installation  # noqa: TID251
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore  # noqa: TID251
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore  # noqa: TID251

from adapters.slack.client import SDK_LOG
from adapters.slack.events import Account
from adapters.slack.vault import Vault
from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

STATE_GOOD_FOR = timedelta(minutes=10)


class Installed(msgspec.Struct, frozen=True):
    """The app in the workspace `team`, since `at`, in seconds since the epoch."""

    team: str
    name: str
    token: str
    user: str
    bot: str
    installer: str
    at: float

    @property
    def account(self) -> Account:
        return Account(self.team, self.user, self.bot)

    def __repr__(self) -> str:
        return f"Installed(team={self.team!r})"


class Installations(AsyncInstallationStore):
    """Those of the app `client_id`: one for each workspace, the newest."""

    def __init__(self, vault: Vault, client_id: str) -> None:
        self._vault = vault
        self._client_id = client_id
        self._beginning = f"slack/{client_id}/"

    @property
    def logger(self) -> Logger:
        return SDK_LOG

    async def of(self, team: str) -> Installed | None:
        """Raises `StoreUnavailable`."""
        kept = await self._vault.get(self._beginning + team)
        return None if kept is None else msgspec.json.decode(kept, type=Installed)

    async def teams(self) -> list[str]:
        """Raises `StoreUnavailable`."""
        return [name.removeprefix(self._beginning) for name in await self._vault.names(self._beginning)]

    async def end(self, team: str, *, before: float) -> None:
        """The workspace has taken the app away: what was installed before that goes. Raises `StoreUnavailable`."""
        kept = await self.of(team)
        if kept is not None and kept.at <= before:
            await self._vault.remove(self._beginning + team)
            log.info("the app was taken away from the workspace %s", team)

    async def async_save(self, installation: Installation) -> None:
        """Raises `BoltError`, which the person who installs is told of."""
        if installation.is_enterprise_install or not installation.team_id or not installation.bot_token:
            raise BoltError("the app is installed in single workspaces only, and as a bot")
        kept = Installed(
            team=installation.team_id,
            name=installation.team_name or "",
            token=installation.bot_token,
            user=installation.bot_user_id or "",
            bot=installation.bot_id or "",
            installer=installation.user_id,
            at=time.time(),
        )
        try:
            await self._vault.put(self._beginning + kept.team, msgspec.json.encode(kept).decode())
        except StoreUnavailable as exc:
            raise BoltError("the store is away; please try again") from exc
        log.info("the app was installed in the workspace %s", kept.team)

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        found = await self.async_find_installation(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        return None if found is None else found.to_bot()

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,  # noqa: ARG002 - a workspace's id says it all
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        kept = None if is_enterprise_install or team_id is None else await self.of(team_id)
        if kept is None or user_id not in {None, kept.installer}:
            return None
        return Installation(
            user_id=kept.installer,
            team_id=kept.team,
            team_name=kept.name,
            bot_token=kept.token,
            bot_id=kept.bot,
            bot_user_id=kept.user,
            installed_at=kept.at,
        )

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:  # noqa: ARG002
        if team_id is not None:
            await self._vault.remove(self._beginning + team_id)

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """Only a bot is installed: what a person alone takes back changes nothing."""
        if user_id is None:
            await self.async_delete_bot(enterprise_id=enterprise_id, team_id=team_id)


class States(AsyncOAuthStateStore):
    """The states of installations that were begun here."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @property
    def logger(self) -> Logger:
        return SDK_LOG

    async def async_issue(self, *args: object, **kwargs: object) -> str:  # noqa: ARG002 - as Bolt has it
        state = secrets.token_urlsafe(24)
        await self._vault.issue(f"slack/{state}", STATE_GOOD_FOR)
        return state

    async def async_consume(self, state: str) -> bool:
        return await self._vault.use(f"slack/{state}")
