"""What stands on a page, and what taking and giving back makes of it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from emdvc.errors import Code, ConflictError, UsageError
from emdvc.history.locking.changing import ignored, released, taken
from emdvc.history.locking.note import Lock, Message, Page, Person

ADA, BOB = Person("Ada Lovelace", "ada@example.org"), Person("Bob: #1 'the' \"one\"", "bob@example.org")
LABELS = PurePosixPath("raw/labels.zarr")
HOUR = 3600.0
NOW = 1_800_000_000.0


def _lock(who: Person, path: PurePosixPath = LABELS, array: str | None = None, hours: float = 8, why: str = "") -> Lock:
    return Lock(path, array, who, NOW, NOW + hours * HOUR, why)


def test_a_page_is_read_as_it_was_written() -> None:
    page = Page(
        (_lock(ADA, why="grain 3: corrected\nby hand"), _lock(BOB, PurePosixPath("a b/ü.zarr"), "labels/0")),
        (Message.new(ADA, NOW, "Bob: took # it"),),
    )
    assert Page.parse(page.text()) == page
    for text in ("", "[", "version: 2\n", page.text().replace("email:", "mail:"), page.text().replace("2027-", "x")):
        assert Page.parse(text) is None


def test_somebody_elses_lock_is_refused_and_told() -> None:
    page = taken(Page(), NOW, _lock(ADA, why="grain 3"))
    with pytest.raises(ConflictError) as caught:
        taken(page, NOW + HOUR, _lock(BOB))
    said = str(caught.value)
    assert caught.value.code is Code.LOCKED
    assert "Ada Lovelace <ada@example.org>" in said
    assert '"grain 3"' in said
    assert "2027-01-15 16:00 UTC" in said


def test_folders_datasets_and_arrays_exclude_each_other_only_where_they_meet() -> None:
    page = taken(Page(), NOW, _lock(ADA, array="labels"))
    for other in (
        _lock(BOB),
        _lock(BOB, array="labels"),
        _lock(BOB, PurePosixPath("raw")),
        _lock(BOB, PurePosixPath(".")),
    ):
        with pytest.raises(ConflictError):
            taken(page, NOW, other)
    for other in (_lock(BOB, array="mask"), _lock(BOB, PurePosixPath("raw/labels.zarr2"))):
        assert len(taken(page, NOW, other).locks) == 2


def test_ones_own_lock_is_made_longer_and_keeps_its_beginning_and_its_reason() -> None:
    page = taken(Page(), NOW, _lock(ADA, why="grain 3"))
    later = Lock(LABELS, None, Person("A. Lovelace", "ADA@example.org"), NOW + HOUR, NOW + 99 * HOUR)
    (lock,) = taken(page, NOW + HOUR, later).locks
    assert (lock.since, lock.until, lock.reason) == (NOW, NOW + 99 * HOUR, "grain 3")


def test_an_expired_lock_goes_to_the_next_and_its_owner_is_told() -> None:
    page = taken(Page(), NOW, _lock(ADA, hours=1))
    page = taken(page, NOW + 2 * HOUR, _lock(BOB))
    assert [one.who for one in page.locks] == [BOB]
    assert [(one.to, "had expired" in one.text) for one in page.messages] == [(ADA, True)]


def test_a_lock_is_given_back_by_its_owner_and_taken_away_with_a_reason_only() -> None:
    page = taken(Page(), NOW, _lock(ADA))
    assert released(page, NOW, LABELS, None, ADA, None)[0].locks == ()
    with pytest.raises(ConflictError):
        released(page, NOW, LABELS, None, BOB, None)
    free, gone = released(page, NOW, LABELS, None, BOB, "on leave")
    assert (free.locks, [one.who for one in gone]) == ((), [ADA])
    assert [(one.to, one.text.endswith("away: on leave")) for one in free.messages] == [(ADA, True)]
    assert released(page, NOW + 9 * HOUR, LABELS, None, BOB, None)[0].locks == ()  # it has expired
    with pytest.raises(UsageError, match="is not locked"):
        released(page, NOW, PurePosixPath("other"), None, ADA, None)


def test_what_was_not_heeded_is_told_and_old_messages_go() -> None:
    page = ignored(taken(Page(), NOW, _lock(ADA)), NOW, [_lock(ADA)], BOB, "it was urgent")
    assert [one.text for one in page.messages] == [f"{BOB} saved a change of {LABELS}, which you hold: it was urgent"]
    later = taken(page, NOW + 40 * 24 * HOUR, _lock(BOB, PurePosixPath("x"), hours=9999))
    assert (later.messages, [str(one.path) for one in later.locks]) == ((), ["x"])
