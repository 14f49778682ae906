"""Which adapter a conversation is for."""

from core.names import Names
from core.turns import Conversation, Room


def talk(platform: str, bot: str) -> Conversation:
    return Conversation.of(Room(platform, bot, {}), "chat")


def test_platform_with_one_adapter_is_called_after_it_whatever_the_account() -> None:
    assert Names().of(talk("discord", "1")) == "discord"


def test_each_account_that_is_known_has_its_adapter_and_another_one_has_none() -> None:
    names = Names()
    names.know("telegram/1", "telegram")
    names.know("telegram/2", "telegram/support")
    assert names.of(talk("telegram", "1")) == "telegram"
    assert names.of(talk("telegram", "2")) == "telegram/support"
    assert names.of(talk("telegram", "3")) == "telegram/3"
    assert names.of(talk("discord", "1")) == "discord"
