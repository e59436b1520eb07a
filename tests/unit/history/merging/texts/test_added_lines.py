"""Lines that both sides add to .gitignore and .gitattributes: the same in both orders, where no order counts."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.history.merging.contract import Choices, Merged, Merger, Place, Three
from emdvc.history.merging.texts.added_lines import merge_attributes, merge_ignored
from emdvc.history.project import Project


def merged(merger: Merger, place: Place, base: str | None, ours: str, theirs: str) -> Merged:
    """Return what comes of it, after a look at the other order."""
    before = None if base is None else base.encode()
    here, there = (
        merger(Three(PurePosixPath("x"), before, *(text.encode() for text in pair)), place, Choices())
        for pair in ((ours, theirs), (theirs, ours))
    )
    assert len(here.conflicts) == len(there.conflicts)
    assert here.conflicts or here.content == there.content
    return here


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Project(tmp_path, tmp_path))


def test_ignored_files_of_both(place: Place) -> None:
    found = merged(merge_ignored, place, "/a\n/b\n/c\n", "/a\n/b\n/c\n/z\n", "/a\n/c\n/d")
    assert found.content == b"/a\n/c\n/d\n/z\n"
    assert merged(merge_ignored, place, None, "/b\n/a\n", "/a\n/c\n").content == b"/a\n/b\n/c\n"


def test_the_order_of_exceptions_counts(place: Place) -> None:
    assert merged(merge_ignored, place, "*.log\n", "*.log\n!a.log\n", "*.log\n*.txt\n").conflicts


def test_attributes_for_other_patterns_of_both(place: Place) -> None:
    base = "*.png binary\n"
    found = merged(merge_attributes, place, base, f"{base}/b.json merge=emdvc\n", f"{base}/a.csv merge=emdvc\n")
    assert found.content == b"*.png binary\n/a.csv merge=emdvc\n/b.json merge=emdvc\n"
    same = f"{base}*.png merge=emdvc\n"
    found = merged(merge_attributes, place, base, same, f"{same}/a.csv merge=emdvc\n")
    assert found.content == f"{same}/a.csv merge=emdvc\n".encode()


@pytest.mark.parametrize("theirs", ["*.png binary\n*.json text\n", "*.png -diff\n"])
def test_attributes_whose_order_may_count(theirs: str, place: Place) -> None:
    assert merged(merge_attributes, place, "*.png binary\n", "*.png binary\n*.json merge=emdvc\n", theirs).conflicts
