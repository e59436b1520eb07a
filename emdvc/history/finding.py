"""What one check found: its verdict, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check
        What was looked at.
    verdict
        ``ok``; ``warn``: works, but may not as wished; ``fail``: something will not work or data is in danger.
    text
        What was found.
    remedy
        The command that mends it.
    """

    check: str
    verdict: Verdict
    text: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return plain values."""
        return {"check": self.check, "verdict": self.verdict, "text": self.text, "remedy": self.remedy}
