"""Sidecars as text: only the sections that are needed are parsed. A line takes 0.1 ms, and a vendor's tree has many."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.model.sidecar import Sidecar

# at the top level a key begins its line, and nothing else does
_SECTION = re.compile(r"^(?=[^\s#-])", re.MULTILINE)
#: What makes a mapping a sidecar; a sidecar without it is damaged.
_MARK = "schema_version:"


def sections(text: str) -> list[str]:
    """Return the text of each section of a sidecar."""
    starts = [match.start() for match in _SECTION.finditer(text)]
    return [text[a:b] for a, b in pairwise([*starts, len(text)])]


def differing(before: str, after: str) -> tuple[str, str]:
    """Return two sidecars without the sections that are the same in both."""
    parts = sections(before), sections(after)
    same = {part for part in set(parts[0]).intersection(parts[1]) if not part.startswith(_MARK)}
    old, new = ("".join(part for part in one if part not in same) for one in parts)
    return old, new


def only(name: str, text: str) -> str:
    """Return a sidecar without all sections but one."""
    return "".join(part for part in sections(text) if part.startswith((_MARK, f"{name}:")))


@lru_cache(maxsize=512)
def parsed(text: str) -> Sidecar | None:
    """Return the sidecar that a text holds; None where it is damaged."""
    try:
        return sidecars.parse(text)
    except MetadataError:
        return None
