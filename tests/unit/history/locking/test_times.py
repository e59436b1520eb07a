"""Until when: as it is typed."""

from __future__ import annotations

from datetime import datetime

import pytest

from emdvc.errors import UsageError
from emdvc.history.locking.times import day, span, until

NOW = datetime(2026, 11, 22, 12).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30min", 1800), ("8h", 8 * 3600), ("1.5h", 5400), ("3d", 3 * 86400), ("2w", 14 * 86400), (" 7 d ", 7 * 86400)],
)
def test_spans(text: str, seconds: float) -> None:
    assert until(text, NOW) == NOW + seconds


def test_a_day_counts_to_its_end_and_a_time_is_that_of_the_clock_here() -> None:
    assert until("2026-12-01", NOW) == datetime(2026, 12, 1, 23, 59, 59).timestamp()
    assert until("2026-12-01T18:00", NOW) == datetime(2026, 12, 1, 18).timestamp()
    assert day(until("2026-12-01T18:00+00:00", NOW)) == "2026-12-01 18:00 UTC"
    assert until("2026-11-22", NOW) > NOW  # today is not over


@pytest.mark.parametrize("text", ["soon", "", "8", "3 months", "-3d", "2026-13-01", "0h", "2026-11-21", "400d"])
def test_what_is_no_time_ahead_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        until(text, NOW)
    assert caught.value.hint


def test_a_length_is_told_in_one_number() -> None:
    assert [span(x) for x in (3, 200, 7300, 3 * 86400)] == ["3 seconds", "3 minutes", "2 hours", "3 days"]
