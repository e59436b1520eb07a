"""Until when: as it is typed, and as it is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from emdvc.errors import UsageError

#: How long a lock holds where nothing is said.
USUAL = "7d"
#: A lock that everybody has forgotten is to end by itself.
_LONGEST = timedelta(days=366)
_UNITS = {"min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_HINT = "as in --until 8h, 3d, 2w, 2026-12-01 or 2026-12-01T18:00"


def until(text: str, now: float) -> float:
    """Return the time that a text names, in seconds since 1970.

    Parameters
    ----------
    text
        A span (``30min``, ``8h``, ``3d``, ``2w``), a day (to its end) or a time, both as the clocks here show them.
    now
        When it begins.

    Raises
    ------
    UsageError
        It is none of these, it is over, or more than a year away.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)", text.strip())
    if found:
        ends = now + float(found[1]) * _UNITS[found[2]]
    else:
        try:
            said = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise UsageError("until when is not clear", evidence=f"--until '{text}'", hint=_HINT) from error
        if re.fullmatch(r"[\d-]+", text.strip()):
            said = datetime.combine(said.date(), time(23, 59, 59))
        ends = said.timestamp()
    if ends <= now:
        raise UsageError("that is over already", evidence=f"--until {text} is {day(ends)}", hint=_HINT)
    if ends > now + _LONGEST.total_seconds():
        hint = "choose a nearer day; the same command makes it longer when it is needed"
        raise UsageError("a lock ends within a year", evidence=f"--until {text} is {day(ends)}", hint=hint)
    return ends


def day(seconds: float) -> str:
    """Return a time for people: ``2026-12-01 18:00 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(seconds: float) -> str:
    """Return a length of time in one number: ``3 days``, ``36 hours``."""
    for name, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(seconds, 0):.0f} seconds"
