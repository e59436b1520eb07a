"""Lines of .gitattributes: a pattern, and what git is told of the files that it fits; those there are completed."""

from __future__ import annotations

import re
from collections.abc import Iterable


def has(text: str, line: str) -> bool:
    """Say whether a text gives a pattern all that a line gives it, in one line or in several."""
    pattern, *wanted = line.split()
    said: set[str] = set()
    for one in text.splitlines():
        words = one.split()
        if words and words[0] == pattern:
            said.update(words[1:])
    return said.issuperset(wanted)


def completed(text: str, patterns: Iterable[str], attribute: str) -> str:
    """Return a text that gives some patterns an attribute, each in the line that is there, else in a new one.

    Parameters
    ----------
    text
        Of a .gitattributes.
    patterns
        As they stand at the beginning of a line.
    attribute
        Such as ``merge=emdvc``.
    """
    lines = text.splitlines()
    for pattern in patterns:
        at = next((index for index, line in enumerate(lines) if _open(line, pattern, attribute)), None)
        if at is None:
            lines.append(f"{pattern} {attribute}")
        else:
            lines[at] = f"{lines[at].rstrip()} {attribute}"
    return "".join(f"{line}\n" for line in lines)


def without(text: str, attribute: str) -> tuple[str, list[str]]:
    """Return a text without an attribute, and the patterns that had it; a line with nothing else goes."""
    lines, had = [], []
    for line in text.splitlines():
        words = line.split()
        if attribute in words and not line.startswith("#"):
            had.append(words[0])
            rest = re.sub(rf"[ \t]+{re.escape(attribute)}(?=[ \t]|$)", "", line)
            if len(rest.split()) > 1:
                lines.append(rest)
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines), had


def _open(line: str, pattern: str, attribute: str) -> bool:
    """Say whether a line is a pattern's, and says nothing of an attribute: `binary` says that nothing is merged."""
    words = line.split()
    said = {word.lstrip("-!").partition("=")[0] for word in words[1:]}
    return bool(words) and words[0] == pattern and not said & {attribute.partition("=")[0], "binary"}
