"""Large files of instruments read in parts from a remote: only the blocks come that hold what is asked for."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pytest
from command_line import Emdvc
from line import Line
from merlin_file import HEADER, frame, write_merlin
from servers import S3Server

from emdvc.errors import Code, DataMissingError
from emdvc.formats import dataset
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.region import whole
from emdvc.history import blocks
from emdvc.history.adding import Request, add
from emdvc.history.lazy.opening import open_recorded
from emdvc.history.project import Project
from emdvc.history.storage.remote import close_all

BLOCK = 64 << 10
FRAME = (64, 64)
BYTES = HEADER + 64 * 64 * 2


@dataclass
class Shared:
    """A project whose data lies on a remote, and a clone of it with nothing pulled."""

    origin: Path
    clone: Path
    store: Path

    def object(self, md5: str) -> Path:
        """Return an object on the remote."""
        return self.store / "files" / "md5" / md5[:2] / md5[2:]

    def open(self, path: str, revision: str | None = None) -> Opened:
        """Open a dataset in the clone."""
        return open_recorded(Project.find(self.clone), PurePosixPath(path), revision)[0]

    def came(self) -> int:
        """Return how many bytes of blocks came into the clone."""
        kept = Project.find(self.clone).journal_dir / "blocks"
        return sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())


def git(folder: Path, *words: object) -> None:
    subprocess.run(["git", *map(str, words)], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Return a project that `emdvc init` has made, to be copied."""
    folder = tmp_path_factory.mktemp("initialised")
    Emdvc(folder)("init", folder / "origin", "--remote", f"lab={folder / 'store'}")
    return folder / "origin"


@pytest.fixture
def start(tmp_path: Path, initialised: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    """Return a project with a folder as its remote, and the place of the clone."""
    found = Shared(tmp_path / "origin", tmp_path / "clone", tmp_path / "store")
    found.store.mkdir()
    shutil.copytree(initialised, found.origin)
    config = found.origin / ".dvc" / "config"
    config.write_text(f"[core]\n    remote = lab\n['remote \"lab\"']\n    url = {found.store}\n", encoding="utf-8")
    monkeypatch.chdir(found.origin)
    yield found
    close_all()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files have blocks, too: what happens is the same, in less time."""
    monkeypatch.setattr(blocks, "LEAST_FILE", 1)
    monkeypatch.setattr(blocks, "SMALLEST", BLOCK)


def share(found: Shared) -> Shared:
    """Put the objects on the remote, as a push does, and make the clone."""
    shutil.copytree(found.origin / ".dvc" / "cache" / "files", found.store / "files", dirs_exist_ok=True)
    git(found.origin.parent, "clone", "-q", found.origin, found.clone)
    return found


@pytest.fixture
def scan(start: Shared, small_blocks: None) -> Shared:
    """Return a Merlin scan of 34 blocks on the remote, and a clone without it."""
    write_merlin(start.origin / "scan.mib", 256, FRAME)
    add(Request("scan.mib", options=ReadOptions(scan_shape=(16, 16))))
    commit(start.origin, "scan")
    return share(start)


def md5_of(folder: Path, name: str) -> str:
    from emdvc.history import yaml_files

    return blocks.recorded_md5(yaml_files.read(folder / f"{name}.dvc"))


def pattern(array: LazyArray, y: int, x: int) -> np.ndarray:
    return array.read((slice(y, y + 1), slice(x, x + 1), *(slice(0, n) for n in array.shape[2:])))[0, 0]


def test_one_pattern_and_a_region(scan: Shared) -> None:
    opened = scan.open("scan.mib")
    array = opened.variables[0].array
    assert opened.variables[0].dims == ("y", "x", "ky", "kx")
    assert scan.came() == 0
    assert np.array_equal(pattern(array, 3, 7), frame(3 * 16 + 7, FRAME))
    assert scan.came() == BLOCK
    values = array.read((slice(4, 7), slice(2, 5), slice(10, 20), slice(0, 64)))
    expected = np.stack([[frame(y * 16 + x, FRAME)[10:20] for x in range(2, 5)] for y in range(4, 7)])
    assert np.array_equal(values, expected)
    opened.close()
    shutil.rmtree(scan.store)  # what came once is kept
    opened = scan.open("scan.mib")
    assert np.array_equal(pattern(opened.variables[0].array, 3, 7), frame(3 * 16 + 7, FRAME))
    opened.close()


def test_xarray_reads_the_same(scan: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    import emdvc as package

    monkeypatch.chdir(scan.clone)
    with package.open_dataset("scan.mib", rev="HEAD", chunks={}) as found:
        assert found.diffraction.shape == (16, 16, *FRAME)
        assert np.array_equal(found.diffraction[9, 2].values, frame(9 * 16 + 2, FRAME))
    assert scan.came() <= 2 * BLOCK


def test_a_revision_back(scan: Shared) -> None:
    write_merlin(scan.origin / "other.mib", 300, (50, 64))
    add(Request("other.mib", "scan.mib", options=ReadOptions(scan_shape=(20, 15)), replace="the first was cut off"))
    commit(scan.origin, "again")
    shutil.rmtree(scan.clone)
    share(scan)
    for revision, shape in (("HEAD~1", (16, 16, 64, 64)), ("HEAD", (20, 15, 50, 64)), (None, (20, 15, 50, 64))):
        opened = scan.open("scan.mib", revision)
        array = opened.variables[0].array
        assert array.shape == shape
        assert np.array_equal(pattern(array, 5, 3), frame(5 * shape[1] + 3, shape[2:]))
        opened.close()
    assert scan.came() <= 4 * BLOCK


def damage(path: Path, place: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_one_flipped_bit_on_the_remote_is_named(scan: Shared) -> None:
    damage(scan.object(md5_of(scan.clone, "scan.mib")), 9 * BLOCK + 20)
    opened = scan.open("scan.mib")
    array = opened.variables[0].array
    number = (9 * BLOCK + 20) // BYTES
    with pytest.raises(DataMissingError) as caught:
        pattern(array, *divmod(number, 16))
    assert caught.value.code == Code.DATA_CORRUPT
    assert "scan.mib" in caught.value.cause
    assert f"scan.mib, bytes {9 * BLOCK} to {10 * BLOCK}" in str(caught.value.evidence)
    # the rest of it can be read
    assert np.array_equal(pattern(array, 0, 1), frame(1, FRAME))
    opened.close()


def test_an_object_that_was_cut_off_is_named(scan: Shared) -> None:
    path = scan.object(md5_of(scan.clone, "scan.mib"))
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(30 * BLOCK - 5)
    opened = scan.open("scan.mib")
    with pytest.raises(DataMissingError) as caught:
        pattern(opened.variables[0].array, *divmod((30 * BLOCK - 20) // BYTES, 16))
    assert caught.value.code == Code.DATA_CORRUPT
    assert f"scan.mib, bytes {29 * BLOCK} to" in str(caught.value.evidence)
    opened.close()


def test_an_object_that_is_not_there(scan: Shared) -> None:
    scan.object(md5_of(scan.clone, "scan.mib")).unlink()
    opened = scan.open("scan.mib")
    with pytest.raises(DataMissingError, match="neither in the cache nor on the remote lab"):
        pattern(opened.variables[0].array, 0, 0)
    opened.close()


def test_a_block_that_was_damaged_here_comes_again(scan: Shared) -> None:
    for _ in range(2):
        opened = scan.open("scan.mib")
        assert np.array_equal(pattern(opened.variables[0].array, 0, 2), frame(2, FRAME))
        opened.close()
        (block,) = (Project.find(scan.clone).journal_dir / "blocks").rglob("000000")
        damage(block, 3 * BYTES - 100)


def test_all_blocks_make_the_object(scan: Shared) -> None:
    opened = scan.open("scan.mib")
    array = opened.variables[0].array
    for y in range(16):
        row = array.read((slice(y, y + 1), *(slice(0, n) for n in array.shape[1:])))[0]
        assert np.array_equal(row[5], frame(y * 16 + 5, FRAME))
    opened.close()
    assert scan.came() == 0
    md5 = md5_of(scan.clone, "scan.mib")
    here = scan.clone / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    assert here.stat().st_size == (scan.origin / "scan.mib").stat().st_size
    shutil.rmtree(scan.store)  # nothing more is needed from there
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q"], cwd=scan.clone, check=True)
    assert (scan.clone / "scan.mib").read_bytes() == (scan.origin / "scan.mib").read_bytes()


def test_the_workspace_serves_blocks_too(scan: Shared) -> None:
    # in the workspace but neither in the cache nor on the remote
    shutil.copyfile(scan.origin / "scan.mib", scan.clone / "scan.mib")
    shutil.rmtree(scan.store)
    opened = scan.open("scan.mib", "HEAD")
    assert np.array_equal(pattern(opened.variables[0].array, 7, 7), frame(7 * 16 + 7, FRAME))
    opened.close()


def test_data_that_was_added_without_checksums(scan: Shared, caplog: pytest.LogCaptureFixture) -> None:
    pointer = scan.origin / "scan.mib.dvc"
    with_sums = pointer.read_text(encoding="utf-8")
    pointer.write_text(with_sums.partition("meta:")[0], encoding="utf-8")
    commit(scan.origin, "as it was added by an older release")
    git(scan.clone, "pull", "-q")
    with caplog.at_level(logging.WARNING, "emdvc"):
        opened = scan.open("scan.mib")
    assert np.array_equal(pattern(opened.variables[0].array, 2, 2), frame(34, FRAME))
    opened.close()
    assert "fetching 2.2 MB for scan.mib: no checksums of its parts are known" in caplog.text
    again = add(Request("scan.mib"))
    assert again.action == "recorded"
    assert "parts of it can be read without pulling it" in again.notes[0]
    assert pointer.read_text(encoding="utf-8") == with_sums
    assert add(Request("scan.mib")).action == "unchanged"


def test_read_in_another_way_its_places_are_others(scan: Shared) -> None:
    add(Request("scan.mib", options=ReadOptions(scan_shape=(8, 32))))
    commit(scan.origin, "the scan was wider")
    git(scan.clone, "pull", "-q")
    opened = scan.open("scan.mib")
    array = opened.variables[0].array
    assert array.shape == (8, 32, *FRAME)
    assert np.array_equal(pattern(array, 3, 20), frame(3 * 32 + 20, FRAME))
    opened.close()
    assert scan.came() <= 2 * BLOCK


def test_dvc_keeps_what_is_known_and_reruns_nothing(scan: Shared) -> None:
    def dvc(*words: str) -> str:
        command = [sys.executable, "-m", "dvc", *words]
        return subprocess.run(command, cwd=scan.origin, check=True, capture_output=True, text=True).stdout

    before = (scan.origin / "scan.mib.dvc").read_text(encoding="utf-8")
    assert "up to date" in dvc("status")
    dvc("commit", "-f", "scan.mib.dvc")
    dvc("checkout", "scan.mib.dvc")
    dvc("add", "scan.mib")
    found = blocks.read(scan.origin / "scan.mib.dvc")
    assert found is not None and found.arrays
    assert "crc32c" in before
    # other bytes by plain DVC: what was known is of no use, and does no harm
    (scan.origin / "scan.mib").chmod(0o644)
    damage(scan.origin / "scan.mib", 5 * BLOCK)
    dvc("add", "scan.mib")
    assert blocks.read(scan.origin / "scan.mib.dvc") is None


def test_a_set_of_files(start: Shared, small_blocks: None) -> None:
    write_merlin(start.origin / "long.mib", 200, FRAME)
    (start.origin / "long.hdr").write_text(
        "HDR,\r\nFrames in Acquisition (Number):\t200\r\nFrames per Trigger (Number):\t20\r\nEnd\t\r\n", newline=""
    )
    add(Request("long.mib", "raw/"))
    commit(start.origin, "set")
    share(start)
    opened = start.open("raw/long")
    array = opened.variables[0].array
    assert array.shape == (10, 20, *FRAME)
    assert np.array_equal(pattern(array, 4, 11), frame(91, FRAME))
    opened.close()
    assert 0 < start.came() <= 2 * BLOCK


def test_chunks_of_hdf5(start: Shared, small_blocks: None) -> None:
    values = np.random.default_rng(4).integers(0, 1 << 16, (24, 24, 32, 32), dtype="u2")
    with h5py.File(start.origin / "scan.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(1, 4, 32, 32), compression="lzf")
    add(Request("scan.h5::/data"))
    commit(start.origin, "hdf5")
    share(start)
    opened = start.open("scan.h5")
    array = opened.variables[0].array
    assert array.chunks == (1, 4, 32, 32)
    assert np.array_equal(pattern(array, 13, 9), values[13, 9])
    assert start.came() <= 8 * BLOCK
    region = (slice(3, 5), slice(8, 16), slice(0, 32), slice(5, 16))
    assert np.array_equal(array.read(region), values[region])
    opened.close()


#: Measured files, how they are read, and whether parts of them can be.
MEASURED = [
    ("fpd_merlin_2x2x256x256.hdf5::/fpd_expt/fpd_data/data", ReadOptions(), True),
    ("merlin_4x2_6bit.mib", ReadOptions(), True),
    ("astar_3x2x144x144.blo", ReadOptions(), True),
    ("ebsd_ni_3x3x60x60.h5::/Scan 1/EBSD/Data/patterns", ReadOptions(scan_shape=(3, 3)), True),
    ("arina/test_00_master.h5", ReadOptions(), True),
    ("au_xgrating_20cm.tif", ReadOptions(dims=("ky", "kx")), True),
    ("bi_polycryst.dm4", ReadOptions(), True),
    ("eels_si_49x6x1024.dm3", ReadOptions(), True),
    ("SiO2_EDS_Spectrum_Image.hspy", ReadOptions(), True),
    ("SiO2_HAADF_Image.hspy", ReadOptions(), True),
    ("tilt_HAADF.mrc", ReadOptions(), True),
    ("serialem_test_000.mrc", ReadOptions(), True),
    # Velox: its reader decodes the spectra from a stream of events
    ("fei_SI_EDS-HAADF-4detectors_2frames.emd", ReadOptions(), False),
]


@pytest.mark.parametrize(("source", "options", "in_parts"), MEASURED, ids=[Path(row[0]).name for row in MEASURED])
def test_measured_files(
    source: str,
    options: ReadOptions,
    in_parts: bool,
    start: Shared,
    small_blocks: None,
    realdata: Path,
) -> None:
    """Every array that is read by range is what its reader gives; the others come with the whole file."""
    added = add(Request(str(realdata / source), options=options))
    commit(start.origin, "measured")
    share(start)
    expected, _ = dataset.open_lazy(start.origin / added.path)
    opened = start.open(str(added.path))
    assert [variable.name for variable in opened.variables] == [variable.name for variable in expected.variables]
    for variable in expected.variables:
        found = opened.variable(variable.name)
        assert found.dims == variable.dims
        here, there = (one.array.read(whole(one.array)) for one in (variable, found))
        assert here.dtype == there.dtype
        assert here.tobytes() == there.tobytes()
    known = blocks.read(start.origin / f"{added.path}.dvc")
    assert known is not None
    assert sorted(known.arrays) == sorted(variable.name for variable in expected.variables if in_parts)
    opened.close()
    expected.close()


def on_s3(folder: Path, server: S3Server, endpoint: str, place: str) -> None:
    """Set a place on S3 as the remote of a project."""
    (folder / ".dvc" / "config").write_text(
        f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{server.bucket}/{place}\n"
        f"    endpointurl = {endpoint}\n    region = us-east-1\n"
        "    access_key_id = testing\n    secret_access_key = testing\n",
        encoding="utf-8",
    )


@pytest.mark.server
@pytest.mark.slow
def test_one_pattern_from_s3_costs_one_percent(
    start: Shared, s3_server: S3Server, emdvc: Emdvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 1 % of the bytes and 20 requests, counted on the line; the same requests for a region."""
    monkeypatch.setattr(blocks, "SMALLEST", 1 << 20)  # a scan of 135 MB instead of half a GB
    write_merlin(start.origin / "scan.mib", 32 * 32, (256, 256))
    size = (start.origin / "scan.mib").stat().st_size
    add(Request("scan.mib", options=ReadOptions(scan_shape=(32, 32))))
    on_s3(start.origin, s3_server, s3_server.endpoint, start.origin.parent.name)
    commit(start.origin, "scan")
    subprocess.run([sys.executable, "-m", "dvc", "push", "-q"], cwd=start.origin, check=True)
    git(start.origin.parent, "clone", "-q", start.origin, start.clone)
    with Line("127.0.0.1", int(s3_server.endpoint.rpartition(":")[2])) as line:
        on_s3(start.clone, s3_server, f"http://{line.address}", start.origin.parent.name)
        done = emdvc("inspect", "scan.mib@HEAD", "--pattern", "21,17", "--picture", "pattern.png", cwd=start.clone)
        total = int(frame(21 * 32 + 17, (256, 256)).sum())
        assert f"{total:,}".replace(",", " ") in done.stdout
        assert (start.clone / "pattern.png").stat().st_size > 1000
        assert 0 < line.received <= size / 100
        assert 0 < len(line.requests) <= 20
        line.reset()
        opened = start.open("scan.mib")
        region = opened.variables[0].array.read((slice(20, 30), slice(10, 20), slice(0, 256), slice(0, 256)))
        assert np.array_equal(region[7, 3], frame(27 * 32 + 13, (256, 256)))
        opened.close()
        assert len(line.requests) <= 20
        assert line.received <= 31 << 20  # ten lines of the scan, each in three blocks at most
