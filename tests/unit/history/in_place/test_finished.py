"""What was read of a source before a kill, and what of it still holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Region
from emdvc.formats.digest import array_digest, content_digest
from emdvc.history.in_place.finished import ARRIVED, Finished, Sums
from emdvc.history.project import Project
from emdvc.history.storage.contract import Stat

FILES = {"a": Stat(3, "one", 1.0), "b": Stat(4, "two", 2.0)}
SUMS = Sums("0" * 32, "1" * 64)


def _sums(project: Project, url: str, listing: str, files: dict[str, Stat]) -> dict[str, Sums]:
    found = Finished(project, url, listing, files)
    found.close()
    return found.sums


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in (".git", ".dvc", ".emdvc"):
        (tmp_path / folder).mkdir()
    return Project(tmp_path, tmp_path)


def test_the_checksums_of_files_that_are_the_same(project: Project) -> None:
    first = Finished(project, "s3://x/y", "listing", FILES)
    first.keep("a", SUMS)
    first.keep("b", SUMS)
    first.close()
    assert _sums(project, "s3://x/y", "listing", FILES) == {"a": SUMS, "b": SUMS}
    assert _sums(project, "s3://x/y", "another", FILES | {"b": Stat(4, "three", 2.0)}) == {"a": SUMS}
    assert _sums(project, "s3://x/other", "listing", FILES) == {}


def test_a_line_that_was_cut_off(project: Project) -> None:
    first = Finished(project, "s3://x/y", "listing", FILES)
    first.keep("a", SUMS)
    first.close()
    path = first.folder / "finished.jsonl"
    path.write_text(path.read_text() + '{"file": "b", "mark": [4, "tw')
    second = Finished(project, "s3://x/y", "listing", FILES)
    assert second.sums == {"a": SUMS}
    second.keep("b", SUMS)
    second.close()
    assert _sums(project, "s3://x/y", "listing", FILES) == {"a": SUMS, "b": SUMS}


def test_what_half_arrived_of_another_content_goes(project: Project) -> None:
    first = Finished(project, "s3://x/y", "listing", FILES)
    first.close()
    (first.folder / ARRIVED).mkdir()
    half = first.folder / ARRIVED / ".a.arriving"
    half.write_bytes(b"12")
    Finished(project, "s3://x/y", "listing", FILES).close()
    assert half.exists()
    Finished(project, "s3://x/y", "another", FILES).close()
    assert not half.exists()


def test_blocks_of_numbers_are_not_read_again(project: Project) -> None:
    """The content digest is that of the array, however often its making was begun."""
    values = np.random.default_rng(0).integers(0, 9, (6, 16, 256, 256)).astype("u2")

    class Counting(MemoryArray):
        reads = 0

        def read(self, region: Region) -> np.ndarray:
            Counting.reads += 1
            if Counting.reads == 3:
                raise KeyboardInterrupt
            return super().read(region)

    array = Counting(values)
    array.chunks = (1, 16, 256, 256)
    first = Finished(project, "s3://x/y", "listing", FILES)
    with pytest.raises(KeyboardInterrupt):
        content_digest(array, threads=1, kept=first.of("counts"))
    first.close()
    second = Finished(project, "s3://x/y", "listing", FILES)
    assert content_digest(array, threads=1, kept=second.of("counts")) == array_digest(values)
    second.close()
    # three blocks: two were read before, one of them while it stopped; the first is not read again
    assert Counting.reads == 3 + 1
