"""A run that was stopped goes on from its finished blocks with the same bytes, whatever lies damaged in its folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import every_output as every
import numpy as np
import pytest

from emdvc.engine import ledger, map_file
from emdvc.engine.block_task import BlockTask
from emdvc.engine.how import How
from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.dataset import open_lazy
from emdvc.steps.contract import Partial

#: Sums, a map, small arrays for each probe position, a table, frames of another scan, and a step on a map.
RECIPE = {
    name: every.PATTERNS[name]
    for name in ("sum_pattern", "frame_statistics", "center_of_mass", "dpc", "radial_profile", "find_peaks", "rebin")
}
SPECTRA = {name: every.SPECTRA[name] for name in ("sum_spectrum", "energy_map", "weighted")}


class StoppedError(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Region]]:
    """Return the blocks that were read and computed, of all passes, in the order of their ends."""
    found: list[Region] = []
    real = BlockTask.__call__

    def counted(self: BlockTask, array: LazyArray, region: Region) -> tuple[int, list[Partial]]:
        result = real(self, array, region)
        found.append(region)
        return result

    monkeypatch.setattr(BlockTask, "__call__", counted)
    yield found


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], None]:
    """Let the block of a number fail, counted over all passes; return what takes this back."""
    real = BlockTask.__call__
    lock, calls = threading.Lock(), iter(range(1 << 30))

    def failing(self: BlockTask, array: LazyArray, region: Region) -> tuple[int, list[Partial]]:
        with lock:
            if next(calls) == number:
                raise StoppedError
        return real(self, array, region)

    monkeypatch.setattr(BlockTask, "__call__", failing)
    return lambda: monkeypatch.setattr(BlockTask, "__call__", real)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("stop", "kind"), [(0, "counts"), (5, "counts"), (4, "floats"), (24, "counts"), (7, "spectra")]
)
@pytest.mark.usefixtures("many_blocks")
def test_a_stopped_run_goes_on(
    threads: int,
    stop: int,
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    computed: list[Region],
) -> None:
    """Same bytes as undisturbed; computed twice: at most the blocks in flight, of which each thread has one."""
    scan: Path = request.getfixturevalue(kind)
    recipe = SPECTRA if kind == "spectra" else RECIPE
    expected = every.digests(every.run(scan, recipe, How(threads=1)))
    blocks = len(computed)
    computed.clear()
    how = How(threads=threads, folder=tmp_path / "kept")
    again = stop_at(monkeypatch, stop)
    with pytest.raises(StoppedError):
        every.run(scan, recipe, how)
    assert stop - 1 <= len(computed) < blocks
    again()
    assert every.digests(every.run(scan, recipe, how)) == expected
    assert len(computed) < blocks + threads


@pytest.mark.usefixtures("many_blocks")
def test_a_finished_run_computes_nothing_again(counts: Path, tmp_path: Path, computed: list[Region]) -> None:
    how = How(threads=2, folder=tmp_path / "kept")
    first = every.digests(every.run(counts, RECIPE, how))
    computed.clear()
    assert every.digests(every.run(counts, RECIPE, how)) == first
    assert computed == []


def damage(path: Path, how: str) -> None:
    """Do to a file what a kill, a power cut or a full disk may do."""
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "torn":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif how == "empty":
        path.write_bytes(b"")
    else:  # blocks of the disk that were never written
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


@pytest.mark.parametrize("how", ["lost", "torn", "empty", "zeros"])
@pytest.mark.parametrize("many_chunks", [False, True])
@pytest.mark.usefixtures("many_blocks")
def test_damage_never_gives_wrong_bytes(
    how: str, many_chunks: bool, floats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every single file of the folder, damaged in every way, with joined sums and without."""
    monkeypatch.setattr(ledger, "_JOIN", 20_000)
    if many_chunks:
        monkeypatch.setattr(map_file, "ONE_CHUNK", 1 << 10)
    recipe = {name: RECIPE[name] for name in ("sum_pattern", "center_of_mass", "find_peaks")}
    expected = every.digests(every.run(floats, recipe, How(threads=1)))
    whole = tmp_path / "whole"
    back = stop_at(monkeypatch, 4)
    with pytest.raises(StoppedError):
        every.run(floats, recipe, How(threads=1, folder=whole))
    back()
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert {"done", "joined"} <= {name.name for name in names}
    kinds: dict[str, Path] = {}
    for name in names:  # of the files of each kind the last
        kinds[f"{name.parent.name.rstrip('0123456789')}/{name.suffix}{name.name.partition('-')[0].strip('0.1')}"] = name
    for name in sorted(set(kinds.values())):
        kept = tmp_path / "kept"
        shutil.copytree(whole, kept)
        damage(kept / name, how)
        found = every.digests(every.run(floats, recipe, How(threads=1, folder=kept)))
        assert found == expected, name
        shutil.rmtree(kept)


@pytest.mark.usefixtures("many_blocks")
def test_everything_gone_but_the_list(counts: Path, tmp_path: Path) -> None:
    """A result that was moved to its place, and a kill just then: the list says finished, the arrays are gone."""
    how = How(threads=1, folder=tmp_path / "kept")
    expected = every.digests(every.run(counts, RECIPE, how))
    for path in (tmp_path / "kept").rglob("*"):
        if path.is_file() and path.name not in ("done", "joined"):
            path.unlink()
    assert every.digests(every.run(counts, RECIPE, how)) == expected


@pytest.mark.usefixtures("many_blocks")
def test_a_second_line_after_a_torn_one(counts: Path, tmp_path: Path, computed: list[Region]) -> None:
    """What was half written does not spoil what follows it."""
    how = How(threads=1, folder=tmp_path / "kept")
    recipe = {"virtual_image": {}}
    every.run(counts, recipe, how)
    blocks = len(computed)
    done = tmp_path / "kept" / "pass-0" / "done"
    done.write_bytes(done.read_bytes()[:-9])
    computed.clear()
    every.run(counts, recipe, how)
    assert len(computed) == 1
    every.run(counts, recipe, how)
    assert len(computed) == 1
    assert blocks > 5


@pytest.mark.usefixtures("many_blocks")
def test_sums_are_joined_and_their_files_removed(
    counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[Region]
) -> None:
    """The folder does not grow with the scan: the sums of many blocks become those of one."""
    expected = every.digests(every.run(counts, {"sum_pattern": {}}, How(threads=1)))
    blocks = len(computed)
    monkeypatch.setattr(ledger, "_JOIN", 4 * 32 * 32 * 8)
    how = How(threads=2, folder=tmp_path / "kept")
    back = stop_at(monkeypatch, blocks - 1)
    with pytest.raises(StoppedError):
        every.run(counts, {"sum_pattern": {}}, how)
    back()
    left = list((tmp_path / "kept" / "pass-0").glob("*.npz"))
    assert len([path for path in left if path.name.startswith("joined")]) == 1
    assert len(left) < blocks // 2
    assert every.digests(every.run(counts, {"sum_pattern": {}}, how)) == expected


@pytest.mark.parametrize("scan_shape", [(7, 9), (1, 5), (5, 1)])
def test_maps_of_every_form(scan_shape: tuple[int, int], tmp_path: Path) -> None:
    """One file or one for each block, blocks at the edges: each gives back what was put, and its checksum."""
    from emdvc.engine.blocks import Blocks
    from emdvc.formats.chunk_files import in_memory
    from emdvc.steps.contract import Span

    values = np.random.default_rng(5).random((*scan_shape, 3))
    blocks = Blocks(tuple(Span(0, n) for n in scan_shape), (2, 4))
    for number, one_chunk in enumerate((1 << 20, 1)):
        for folder in (None, tmp_path / str(number)):
            chunks = map_file.ONE_CHUNK
            try:
                map_file.ONE_CHUNK = one_chunk
                grown = map_file.open_map(folder, "profile", values.shape, values.dtype, blocks)
            finally:
                map_file.ONE_CHUNK = chunks
            for region in blocks:
                part = values[region]
                grown.put(region, part.reshape(-1, 3))
                assert grown.checksum(region) == map_file.checksum(part.reshape(-1, 3))
            assert np.array_equal(in_memory(grown.result()), values)


def test_the_source_is_what_was_written(counts: Path) -> None:
    """The scan of these tests has the counts that its phantom says: nothing here compares zeros with zeros."""
    opened, _ = open_lazy(counts)
    array = opened.variable().array
    assert array.read(tuple(slice(0, n) for n in array.shape)).sum() > 100_000
    opened.close()
