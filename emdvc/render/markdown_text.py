"""Text from data, safe in Markdown: no pipe ends a cell, no name calls a person, no tag opens."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Letters that mean nothing to Markdown or HTML wherever they stand.
_HARMLESS = re.compile(r"[+-]?[^\W_](?:[\w .,;:=%()/+°×→µ-]| < )*")
#: What a forge makes more of than letters: `:name:`, addresses, `%12`, `GH-12`, a commit's digits, a list within a
#: list, an underscore that is not within a word.
_MORE = re.compile(
    r":\w+:|//|www\.|%\w|GH-\d|\b[0-9a-f]{7,}\b|^\d+[.)]|(?<![^\W_])_|_(?![^\W_])", re.ASCII | re.IGNORECASE
)
#: Letters that need an entity within a tag.
_OBEYED = re.compile(r"[^\w .,;:=()/+°×→µ-]|(?<![^\W_])_|_(?![^\W_])")


def said(sentence: str) -> str:
    """Return a sentence as text where that is safe, else as code: forges look for names and numbers in text only."""
    sentence = " ".join(_arrows(one_line(sentence)).split())
    if _HARMLESS.fullmatch(sentence) and not _MORE.search(sentence):
        return sentence.replace(" < ", " &lt; ")
    return code(sentence)


def code(words: str) -> str:
    """Return a text as code, on one line."""
    words = _arrows(one_line(words)).strip()
    if not words:
        return "(empty)"
    return tagged(words) if re.search(r"[`|<>&\\]", words) else f"`{words}`"


def tagged(words: str) -> str:
    """Return a text as code in a tag, for where no Markdown is understood."""
    return f"<code>{entities(one_line(words))}</code>"


def entities(words: str) -> str:
    """Return a text in which every letter that HTML or Markdown could obey is spelt by its number."""
    return _OBEYED.sub(lambda found: f"&#{ord(found[0])};", words)


def one_line(words: str) -> str:
    """Return a text on one line; what is not printed, such as a line end or half of a pair, becomes a mark."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in words)


def row(cells: Sequence[str]) -> str:
    """Return a row of a table; the cells are safe already."""
    return f"| {' | '.join(cells)} |"


def table(names: Sequence[str]) -> list[str]:
    """Return the first two lines of a table."""
    return [row(names), row(["---"] * len(names))]


def size(words: str) -> int:
    """Return the length of a text as the strictest forge counts it: bytes of UTF-8, never fewer than the letters."""
    return len(words.encode("utf-8"))


def _arrows(words: str) -> str:
    return words.replace(" -> ", " → ")
