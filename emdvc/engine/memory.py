"""How much memory a run may take for the blocks that it holds at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

from emdvc.errors import UsageError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
#: A block as it was read, decoded or reordered, and what was computed from it.
COPIES = 3


def parse(text: str) -> int:
    """Return a size as written on the command line, in bytes: ``512MB``, ``4 GiB``, ``2G``.

    Raises
    ------
    UsageError
        It is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", text.lower())
    if match is None or not float(match[1]):
        raise UsageError(f"'{text}' is no size of memory", hint="write it as --memory 512MB or --memory 4GiB")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def installed() -> int:
    """Return the memory of the machine in bytes, or of the container that the process runs in."""
    import psutil

    total = int(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def budget(given: int | None) -> int:
    """Return the bytes that blocks may take: what was given, ``EMDVC_MEMORY``, or a quarter of the machine's memory."""
    if given is not None:
        return given
    text = os.environ.get("EMDVC_MEMORY")
    return parse(text) if text else installed() // 4


def blocks_at_once(block_bytes: int, threads: int, given: int | None) -> int:
    """Return how many blocks may be held at once: one more than there are threads, fewer where memory is short.

    Raises
    ------
    UsageError
        Not even one fits.
    """
    allowed = budget(given)
    fit = allowed // max(1, COPIES * block_bytes)
    if fit < 1:
        raise UsageError(
            "a single block of this dataset does not fit the memory that was allowed",
            evidence=f"a block takes {COPIES * block_bytes / 1e6:.0f} MB, allowed are {allowed / 1e6:.0f} MB",
            hint=f"--memory {-(-COPIES * block_bytes // 10**6)}MB",
        )
    return min(threads + 1, fit)
