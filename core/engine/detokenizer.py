"""Token ids in, text out that never changes later. Knows neither models nor readers: decoding is passed in."""

from collections.abc import Callable, Sequence

_INCOMPLETE = "\ufffd"  # what decoders put in the place of bytes that are no character, or not one yet
_MOST_TOKENS = 16  # in a row that can still become a character; one of UTF-8 has four bytes


class Detokenizer:
    """One completion's text, piece by piece.

    A character may take several tokens, and some tokenizers drop the space of a text's first token. So a new
    token is decoded behind the piece before it, and nothing is handed out while the text ends in half a character.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._before: list[int] = []  # the tokens of the last piece that was handed out
        self._before_length = 0  # of their text, decoded by themselves
        self._tokens: list[int] = []  # what came after it

    @property
    def holds_back(self) -> bool:
        """Whether a token was added whose text was not handed out."""
        return bool(self._tokens)

    def add(self, token_id: int) -> str:
        """The text that is final now and was not before."""
        self._tokens.append(token_id)
        if self._is_no_text_for_long:
            return ""
        piece = self._piece()
        if not piece or piece.endswith(_INCOMPLETE):
            return ""
        self._hand_out()
        return piece

    def flush(self) -> str:
        """What is left at the end, without half a character: where one is left out, its tokens stay held back."""
        piece = self._piece()
        text = piece.rstrip(_INCOMPLETE)
        if text == piece:
            self._hand_out()
        return text

    @property
    def _is_no_text_for_long(self) -> bool:
        """Bytes that are no text are looked at whenever there are twice as many: the cost stays linear in them."""
        held = len(self._tokens)
        return held > _MOST_TOKENS and held & (held - 1) != 0

    def _piece(self) -> str:
        return self._decode(self._before + self._tokens)[self._before_length :]

    def _hand_out(self) -> None:
        self._before, self._tokens = self._tokens, []
        self._before_length = len(self._decode(self._before))
