"""Plain text in columns, and figures as they stand in it. No imports: the commands that print it answer at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from emdvc.model.quantity import Quantity

_DIGEST = re.compile(r"^((?:[\w-]+:)?[0-9a-f]{8})[0-9a-f]{24,}$")
_ITEM_BITS = re.compile(r"(\d+)$")
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
#: Longer texts are cut in a table; --json gives them whole.
_LONGEST = 72


def columns(rows: Sequence[Sequence[str]], indent: str = "  ", gap: str = "  ") -> list[str]:
    """Return rows of cells as aligned lines; the last column is not padded."""
    count = max(map(len, rows), default=0)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(count)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append((indent + gap.join(cells)).rstrip())
    return lines


def size(count: float) -> str:
    """Return a number of bytes for a reader: ``512 MiB``."""
    power = 0
    while count >= 1024 and power < len(_BYTES) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.3g} {_BYTES[power]}" if count < 1000 else f"{count:.0f} {_BYTES[power]}"


def item_bytes(dtype: str) -> int:
    """Return the bytes of one number of a type such as ``uint16``; 1 for types that name no width."""
    found = _ITEM_BITS.search(dtype)
    return max(1, int(found.group(1)) // 8) if found else 1


def shape(numbers: Sequence[int]) -> str:
    """Return a shape as ``64 x 64 x 256 x 256``; of no dimensions: ``one value``."""
    return " x ".join(str(n) for n in numbers) if numbers else "one value"


def figure(value: float) -> str:
    """Return a number with its thousands set apart, fractions to six figures."""
    if isinstance(value, int) or (value == value and abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}".replace(",", " ") if abs(value) >= 10_000 else str(int(value))
    return f"{value:.6g}"


def value(leaf: Any) -> str:
    """Return a leaf of a metadata tree on one line."""
    if leaf is None:
        return "unknown"
    if isinstance(leaf, Quantity):
        return str(leaf)
    if isinstance(leaf, bool):
        return "yes" if leaf else "no"
    if isinstance(leaf, int | float):
        return figure(leaf)
    if isinstance(leaf, list | tuple):
        return shortened(", ".join(value(part) for part in leaf))
    return shortened(str(leaf))


def shortened(text: str) -> str:
    """Return a text on one line; checksums by their first digits, long texts cut."""
    digest = _DIGEST.match(text)
    if digest:
        return digest.group(1) + "..."
    # what a file says may hold bytes that a terminal would obey
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3].rstrip() + "..."


def percent(change: float | None) -> str:
    """Return a relative change as ``+10 %``; empty where it is unknown."""
    if change is None:
        return ""
    digits = 1 if abs(change) >= 10 else 2
    text = f"{change:+.{digits}f}".rstrip("0").rstrip(".")
    if text in ("+0", "-0", "+", "-"):
        text = f"{change:+.1e}"
    return f"{text} %"
