"""The branches of a conversation: what was said after a message that its writer changed later.

A branch is a list of turns like a conversation's memory, and has a name as if it were a conversation. So whoever
passes through the store (forgetting, retention, export, renewal) meets it as one. It has a list of turns and no
more: nothing is answered in it. It begins with the message as it was before.
"""

from dataclasses import replace

from core.turns import Conversation

MOST = 10
"""How many branches of a conversation are kept. The oldest go."""


def branches(conversation: Conversation) -> list[Conversation]:
    """All that a conversation may have, the oldest first. They lie in its shard."""
    return [branch(conversation, number) for number in range(1, MOST + 1)]


def branch(conversation: Conversation, number: int) -> Conversation:
    """Branch `number` of a conversation; 0 is the conversation itself."""
    return replace(conversation, thread=f"{conversation.thread}\0{number}") if number else conversation


def trunk(conversation: Conversation) -> Conversation:
    """The conversation of which this is a branch; or else itself."""
    return replace(conversation, thread=conversation.thread.partition("\0")[0])


def number_of(conversation: Conversation) -> int:
    """Which branch of its conversation this is; 0: none."""
    return int(conversation.thread.partition("\0")[2] or 0)
