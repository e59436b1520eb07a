"""What still fits into a report's page, and what did not."""

from __future__ import annotations

from dataclasses import dataclass, field

from emdvc.render.page import Html
from emdvc.render.report.facts import counted

#: Rows of a table at most; what is beyond is counted.
ROWS = 1500


def more(count: int) -> Html:
    """Return the sentence below a table that was cut."""
    return Html(f"<p>And {count} more.</p>") if count > 0 else Html("")


@dataclass(slots=True)
class Room:
    """What still fits into a page.

    Parameters
    ----------
    left
        Bytes.
    pictures, changes, datasets
        How many were left out because they did not fit.
    full
        Whether a picture did not fit: no more are drawn then.
    """

    left: int
    pictures: int = 0
    changes: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    full: bool = False

    def takes(self, part: str) -> bool:
        """Say whether a part fits, and count it if so."""
        size = len(part.encode("utf-8"))
        if size > self.left:
            return False
        self.left -= size
        return True

    def said(self) -> str:
        """Return what was left out; empty where nothing was."""
        parts = [
            counted(self.pictures, "picture") if self.pictures else "",
            f"what changed in {counted(len(self.changes), 'dataset')}" if self.changes else "",
            f"the details of {counted(len(self.datasets), 'dataset')}" if self.datasets else "",
        ]
        named = ", ".join(part for part in parts if part)
        return f"Left out, to keep this file below 10 MB: {named}." if named else ""
