"""How commands speak: data to stdout, progress and notes to stderr, JSON with a schema version."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(text: str = "") -> None:
    """Print a line of the answer."""
    print(text)


def note(text: str) -> None:
    """Print a line about the work, not of the answer."""
    print(text, file=sys.stderr)


def as_json(kind: str, content: dict[str, Any], version: int = 1) -> None:
    """Print an answer as JSON.

    Parameters
    ----------
    kind
        Name of the schema, such as ``inspect``; documented in docs/reference/json.md.
    content
        Plain values.
    version
        Version of the schema.
    """
    print(json.dumps({"schema": f"emdvc/{kind}", "version": version, **content}, indent=2, ensure_ascii=False))


def on_terminal() -> bool:
    """Say whether a person reads stdout."""
    return sys.stdout.isatty()
