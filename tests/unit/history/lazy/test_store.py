"""The recorded files of a store as zarr-python reads them, and how objects arrive."""

from __future__ import annotations

import os
import stat
import threading
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import zarr
from recorded_store import SCAN, Lab, new_lab, numbers, write_scan, write_shards

from emdvc.errors import Code, DataMissingError
from emdvc.history.lazy.opening import dataset_at, open_recorded
from emdvc.history.lazy.recorded_dataset import RecordedDataset
from emdvc.history.lazy.store_files import RecordedFiles
from emdvc.history.project import Project
from emdvc.history.storage.remote import Remote

SPARSE = (slice(4, 8), slice(0, 4))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Lab:
    lab = new_lab(tmp_path_factory.mktemp("lab"))
    write_scan(lab.project / SCAN, fill=SPARSE)
    lab.add(SCAN, "a scan")
    for name in ("checked", "unchecked"):
        write_shards(lab.project / "raw" / f"{name}.zarr", checked=name == "checked")
        lab.add(f"raw/{name}.zarr", name)
    return lab


@pytest.fixture
def clone(lab: Lab, tmp_path: Path) -> Project:
    return Project.find(lab.clone(tmp_path / "clone"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What the remote was asked for: whole objects by ``fetch``, parts by ``read``, with the bytes of the parts."""
    counts: Counter[str] = Counter()
    fetch, read = Remote.fetch, Remote.read

    async def counted_fetch(self, md5, *rest):
        counts["fetch"] += 1
        return await fetch(self, md5, *rest)

    async def counted_read(self, md5, start=0, stop=None):
        counts["read"] += 1
        found = await read(self, md5, start, stop)
        counts["bytes"] += len(found)
        return found

    monkeypatch.setattr(Remote, "fetch", counted_fetch)
    monkeypatch.setattr(Remote, "read", counted_read)
    return counts


def dataset(project: Project, name: str = SCAN) -> RecordedDataset:
    return dataset_at(project, PurePosixPath(name), "HEAD")


def test_zarr_python_reads_it(clone: Project) -> None:
    store = RecordedFiles(dataset(clone)).zarr_store()
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    assert sorted(group.array_keys()) == ["counts", "kx", "ky", "x", "y"]
    expected = numbers()
    expected[SPARSE] = 0
    np.testing.assert_array_equal(group["counts"][:], expected)
    np.testing.assert_array_equal(group["ky"][1:3], [3.5, 4.0])
    with pytest.raises((PermissionError, ValueError)):
        zarr.open_group(store, mode="a")["counts"][0, 0] = 1


def test_zarr_python_reads_shards_of_it(clone: Project) -> None:
    # its own reader asks for parts of the file: they come from the whole, which was checked
    ours = zarr.open_group(RecordedFiles(dataset(clone, "raw/unchecked.zarr")).zarr_store(), mode="r")["counts"]
    theirs = zarr.open_group(RecordedFiles(dataset(clone, "raw/checked.zarr")).zarr_store(), mode="r")["counts"]
    np.testing.assert_array_equal(ours[31:34, 30:40], theirs[31:34, 30:40])


def test_what_arrived_is_in_the_cache_as_dvc_has_it(clone: Project) -> None:
    found = dataset(clone)
    md5 = found.files["counts/0.0.0.0"]
    path = found.arriving.wait({md5: "counts/0.0.0.0"})[md5]
    assert path == clone.dvc_dir / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o444 or os.name == "nt"
    assert not list(path.parents[1].rglob("*.part"))


def test_many_who_want_the_same_cause_one_request(clone: Project, asked: Counter[str]) -> None:
    found = dataset(clone)
    asked.clear()
    arrived = []
    wanted = {found.files["counts/1.1.0.0"]: "counts/1.1.0.0"}
    threads = [threading.Thread(target=lambda: arrived.append(found.arriving.wait(wanted))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(arrived) == 16 and asked["fetch"] == 1


def test_what_still_lies_in_the_workspace_is_taken_there(lab: Lab, clone: Project, asked: Counter[str]) -> None:
    found = dataset(clone)
    asked.clear()
    name = "counts/0.1.0.0"
    lies = found.beside(name)
    lies.parent.mkdir(parents=True)
    lies.write_bytes(lab.objects()[name].read_bytes())
    found.arriving.wait({found.files[name]: name}, {found.files[name]: lies})
    assert asked["fetch"] == 0
    other = found.beside("counts/0.0.0.0")
    other.write_bytes(b"changed meanwhile")
    path = found.arriving.wait({found.files["counts/0.0.0.0"]: "c"}, {found.files["counts/0.0.0.0"]: other})
    assert asked["fetch"] == 1 and b"changed" not in next(iter(path.values())).read_bytes()


def test_one_pattern_of_a_shard(clone: Project, lab: Lab, asked: Counter[str]) -> None:
    opened, _ = open_recorded(clone, PurePosixPath("raw/checked.zarr"), "HEAD")
    array = opened.variable().array
    whole = lab.objects("raw/checked.zarr")["counts/1.0.0.0"].stat().st_size
    asked.clear()
    pattern = array.read((slice(40, 41), slice(3, 4), slice(0, 16), slice(0, 16)))
    assert (asked["fetch"], asked["read"]) == (0, 2)  # the index at its end, and the chunk
    assert asked["bytes"] < whole / 20
    assert pattern.sum() == zarr.open(lab.project / "raw" / "checked.zarr")["counts"][40, 3].sum()
    array.read((slice(40, 41), slice(5, 6), slice(0, 16), slice(0, 16)))
    assert (asked["fetch"], asked["read"]) == (0, 3)
    # a region over four shards: their indices and their chunks, each at the same time
    array.read((slice(30, 34), slice(30, 34), slice(0, 16), slice(0, 16)))
    assert asked["fetch"] == 0
    opened.close()


def test_who_reads_most_of_a_shard_gets_it_whole(clone: Project, lab: Lab, asked: Counter[str]) -> None:
    opened, _ = open_recorded(clone, PurePosixPath("raw/checked.zarr"), "HEAD")
    array = opened.variable().array
    asked.clear()
    array.read((slice(0, 32), slice(0, 32), slice(0, 16), slice(0, 16)))
    assert (asked["fetch"], asked["read"]) == (1, 0)
    asked.clear()
    for y in range(32, 64):  # row by row, it is soon cheaper
        array.read((slice(y, y + 1), slice(0, 32), slice(0, 16), slice(0, 16)))
    assert asked["fetch"] >= 1
    assert asked["bytes"] < 0.7 * lab.objects("raw/checked.zarr")["counts/1.0.0.0"].stat().st_size
    opened.close()


def test_a_shard_without_checksums_comes_whole(clone: Project, asked: Counter[str]) -> None:
    opened, _ = open_recorded(clone, PurePosixPath("raw/unchecked.zarr"), "HEAD")
    asked.clear()
    opened.variable().array.read((slice(0, 1), slice(0, 1), slice(0, 16), slice(0, 16)))
    assert (asked["fetch"], asked["read"]) == (1, 0)
    opened.close()


@pytest.mark.parametrize("part", ["chunk", "index", "cut"])
def test_a_damaged_part_of_a_shard_is_an_error_that_names_it(lab: Lab, clone: Project, part: str) -> None:
    file = lab.objects("raw/checked.zarr")["counts/1.1.0.0"]
    good = file.read_bytes()
    bad = bytearray(good)
    if part == "cut":
        bad = bad[: len(bad) // 2]
    else:
        bad[100 if part == "chunk" else -100] ^= 1
    file.chmod(0o644)
    file.write_bytes(bad)
    try:
        opened, _ = open_recorded(clone, PurePosixPath("raw/checked.zarr"), "HEAD")
        with pytest.raises(DataMissingError) as told:
            opened.variable().array.read((slice(32, 33), slice(32, 33), slice(0, 16), slice(0, 16)))
        opened.close()
    finally:
        file.write_bytes(good)
    assert told.value.code == Code.DATA_CORRUPT
    assert "raw/checked.zarr@HEAD" in told.value.cause and "counts/1.1.0.0" in str(told.value.evidence)
