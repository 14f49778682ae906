"""The waiting line: who is next. Knows no place, no step and no clock.

Fair between users, and then between their conversations. First is the user with the fewest running; of those the
one who has waited longest, since it came or was last served. Of its conversations one is chosen alike, and of a
conversation's sequences the one that came first. So of somebody with ten chats one is served, and the next when
everybody who waited by then had a turn, also where only one runs at a time. And nobody waits for ever: whoever
comes, or was served, stands behind all others who have as many running.

A caller without a name is a user of its own. Whoever does not wait for what it asked comes after all who do.
"""

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from core.engine.sequence import Sequence

_User = str | int
_Conversation = tuple[_User, str]
# Whether nobody waits for it; running and since of the user, of the conversation; the sequence's number.
_Rank = tuple[bool, int, int, int, int, int]
_FEW = 64


@dataclass(slots=True)
class _Share:
    """What a user or a conversation has. `since`: the turn in which it came or was last served."""

    running: int = 0
    waiting: int = 0
    since: int = 0

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting


class Line:
    """Sequences that wait, and how many run for whom. A change costs as much as its user has waiting."""

    def __init__(self) -> None:
        self._waiting: dict[int, Sequence] = {}
        self._held: set[int] = set()
        self._turn = 0
        self._users: dict[_User, _Share] = {}
        self._conversations: dict[_Conversation, _Share] = {}
        self._of_user: dict[_User, dict[int, _Conversation]] = {}  # those of its sequences that wait, by number
        self._first: dict[_User, _Rank] = {}  # the best of a user's that are not held
        self._ranks: list[tuple[_Rank, _User]] = []  # a heap of these, and of some that hold no more

    def __len__(self) -> int:
        return len(self._waiting)

    def copy(self) -> "Line":
        """The same line, with nobody held."""
        line = Line()
        line._waiting = self._waiting.copy()
        line._turn = self._turn
        line._users = {user: replace(share) for user, share in self._users.items()}
        line._conversations = {conversation: replace(share) for conversation, share in self._conversations.items()}
        line._of_user = {user: numbers.copy() for user, numbers in self._of_user.items()}
        for user in line._of_user:
            line._rank(user)
        return line

    def get(self, number: int) -> Sequence | None:
        """The one that waits under this number."""
        return self._waiting.get(number)

    def beside(self, sequence: Sequence) -> int:
        """How many of the same user wait."""
        return len(self._of_user.get(_keys(sequence)[0], ()))

    def led_by(self, number: int) -> list[Sequence]:
        """Those that wait for another to read their prompt, in the order in which they came."""
        return [sequence for sequence in self._waiting.values() if sequence.leader == number]

    def first(self) -> Sequence | None:
        """Who is next of those that are not held."""
        while self._ranks:
            rank, user = self._ranks[0]
            if self._first.get(user) == rank:
                return self._waiting[rank[-1]]
            heappop(self._ranks)
        return None

    def join(self, sequence: Sequence) -> None:
        user, conversation = _keys(sequence)
        self._turn += 1
        shares = self._users.setdefault(user, _Share()), self._conversations.setdefault(conversation, _Share())
        for share in shares:
            if not share.waiting:
                share.since = self._turn
            share.waiting += 1
        self._waiting[sequence.number] = sequence
        self._of_user.setdefault(user, {})[sequence.number] = conversation
        self._rank(user)

    def leave(self, sequence: Sequence) -> None:
        """It waits no more."""
        user, conversation = _keys(sequence)
        self._users[user].waiting -= 1
        self._conversations[conversation].waiting -= 1
        self._held.discard(sequence.number)
        del self._waiting[sequence.number]
        del self._of_user[user][sequence.number]
        self._tidy(user, conversation)

    def begin(self, sequence: Sequence) -> None:
        """It waits no more, and runs."""
        user, conversation = _keys(sequence)
        self._turn += 1
        for share in (self._users[user], self._conversations[conversation]):
            share.running += 1
            share.since = self._turn
        self.leave(sequence)

    def end(self, sequence: Sequence) -> None:
        """It runs no more."""
        user, conversation = _keys(sequence)
        self._users[user].running -= 1
        self._conversations[conversation].running -= 1
        self._tidy(user, conversation)

    def hold(self, sequence: Sequence) -> None:
        """It keeps its place in line, but is not next until it is let go."""
        self._held.add(sequence.number)
        self._rank(_keys(sequence)[0])

    def let_go(self, sequence: Sequence) -> None:
        self._held.discard(sequence.number)
        self._rank(_keys(sequence)[0])

    def _tidy(self, user: _User, conversation: _Conversation) -> None:
        """Nothing is kept of a user or a conversation that has nothing here."""
        if self._conversations[conversation].idle:
            del self._conversations[conversation]
        if not self._users[user].waiting:
            self._of_user.pop(user, None)
        if self._users[user].idle:
            del self._users[user]
        self._rank(user)

    def _rank(self, user: _User) -> None:
        ranks = []
        for number, conversation in self._of_user.get(user, {}).items():
            if number not in self._held:
                share = self._conversations[conversation]
                idle = not self._waiting[number].caller.waits
                ranks.append((idle, share.running, share.since, number))
        before = self._first.pop(user, None)
        if ranks:
            share = self._users[user]
            idle, running, since, number = min(ranks)
            self._first[user] = rank = (idle, share.running, share.since, running, since, number)
            if rank != before:
                heappush(self._ranks, (rank, user))
        if len(self._ranks) > 2 * len(self._first) + _FEW:
            self._ranks = [(rank, user) for user, rank in self._first.items()]
            heapify(self._ranks)


def _keys(sequence: Sequence) -> tuple[_User, _Conversation]:
    user = sequence.caller.user or sequence.number
    return user, (user, sequence.caller.conversation)
