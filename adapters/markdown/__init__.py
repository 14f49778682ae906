"""The model's Markdown: parsed into one tree, cut into messages, and healed while it is being written.

Knows no platform. Each adapter renders the tree in its own form, and says how long that is.
"""

from adapters.markdown.healing import heal
from adapters.markdown.pieces import Piece, cut
from adapters.markdown.tree import parse, plain, text_of, tokens

__all__ = ["Piece", "cut", "heal", "parse", "plain", "text_of", "tokens"]
