"""Hot and dead pixels: everything that is planted into a scan is found, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.testing.phantoms import DiffractionPhantom

from .conftest import dataset, run

PHANTOM = DiffractionPhantom((16, 16), (128, 128), seed=5)


@pytest.fixture(scope="module")
def scan() -> NDArray[np.uint16]:
    """Return a phantom with a bright-field disk, Bragg disks and rings that move with the descan."""
    return np.stack(list(PHANTOM.rows()))


def test_the_structures_of_a_scan_are_no_defects(scan: NDArray[np.uint16]) -> None:
    """Edges of the bright-field disk, of Bragg disks, rings and faint corners: none is flagged."""
    found = run("bad_pixels", dataset(scan, "y x ky kx"))
    assert not found["mask"].values.any()
    assert (int(found["hot"].values), int(found["dead"].values)) == (0, 0)
    assert (found["mean"].values == scan.sum(axis=(0, 1), dtype=np.uint64) / 256).all()


@pytest.mark.parametrize("size", [32, 48, 64, 96])
def test_small_detectors(size: int) -> None:
    """The same structures, down to disks of 2 px radius and rings that are narrower than a pixel."""
    for seed in (1, 2):
        phantom = DiffractionPhantom((16, 16), (size, size), seed=seed)
        found = run("bad_pixels", dataset(np.stack(list(phantom.rows())), "y x ky kx"))
        assert not found["mask"].values.any()


def planted(scan: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return a scan with defects and the mask that is true."""
    random = np.random.default_rng(8)
    frames, truth = scan.copy(), np.zeros((128, 128), np.uint8)
    y0, x0 = (round(value) for value in PHANTOM.center)
    hot = [(0, 0), (17, 90), (17, 91), (100, 5), (101, 5), (100, 6), (101, 6), (y0, x0 + 8), (y0 + 24, x0), (120, 127)]
    for y, x in hot:  # six counts on average more than what arrives there; on the disk's edge and within a Bragg disk
        frames[..., y, x] += random.poisson(40.0 if abs(y - y0) < 30 else 6.0, (16, 16)).astype(np.uint16)
        truth[y, x] = 1
    frames[..., 77] = 65535  # a column that is stuck at its limit
    truth[:, 77] = 1
    for y, x in [(y0, x0), (y0 - 3, x0 + 3), (y0 - 2, x0 + 3), (y0 + 6, x0 - 2)]:
        frames[..., y, x] = 0
        truth[y, x] = 2
    frames[..., y0 + 2, x0 - 4] = 7  # stuck within the range of its neighbours
    truth[y0 + 2, x0 - 4] = 2
    return frames, truth


def test_all_planted_defects_are_found_and_none_elsewhere(scan: NDArray[np.uint16]) -> None:
    """Single pixels, a pair, a square, a column; in the disk, on its edge, in the faint corners, on the border."""
    frames, truth = planted(scan)
    found = run("bad_pixels", dataset(frames, "y x ky kx"))
    assert np.argwhere(found["mask"].values != truth).tolist() == []
    assert int(found["hot"].values) == np.count_nonzero(truth == 1)
    assert int(found["dead"].values) == np.count_nonzero(truth == 2)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_other_number_types(scan: NDArray[np.uint16], kind: str) -> None:
    """The same defects from signed and floating-point frames; the largest sample is left out of each alike."""
    frames, truth = planted(scan)
    counts = np.minimum(frames, 255 if kind == "u1" else 32767).astype(kind)
    found = run("bad_pixels", dataset(counts, "y x ky kx"))["mask"].values
    assert np.argwhere(found != truth).tolist() == []


def test_dark_subtracted_frames(scan: NDArray[np.uint16]) -> None:
    """Read noise around zero, negative samples included, on a third of the counts."""
    frames, truth = planted(scan)
    noise = np.random.default_rng(2).normal(0, 0.5, frames.shape).round().astype(np.int32)
    noise[..., truth > 0] = 0
    found = run("bad_pixels", dataset(frames + noise, "y x ky kx"), negative="allow")["mask"].values
    # without counts a dead pixel is seen only by its silence: those in the light are, and no others are flagged
    assert (found[truth > 0] > 0).all()
    assert not found[truth == 0].any()


def test_x_rays_are_no_defects(scan: NDArray[np.uint16]) -> None:
    """Fifty pixels that were each hit once by 3000 counts."""
    frames = scan.copy()
    random = np.random.default_rng(4)
    for pixel in random.choice(128 * 128, 50, replace=False):
        frames[random.integers(16), random.integers(16), pixel // 128, pixel % 128] += 3000
    assert not run("bad_pixels", dataset(frames, "y x ky kx"))["mask"].values.any()


def test_a_measured_pattern(realdata: Path) -> None:
    """Merlin scan of pixstem's test data: two pixels say 0 among hundreds of counts, and planted ones are found too."""
    with h5py.File(realdata / "fpd_merlin_2x2x256x256.hdf5") as file:
        frames: Any = file["fpd_expt/fpd_data/data"][:, :, 0]
    dead = [(119, 133), (142, 145)]
    for y, x in dead:
        around = frames[..., y - 1 : y + 2, x - 1 : x + 2]
        assert not around[..., 1, 1].any()
        assert np.count_nonzero(around == 0) == 4  # in each of the four frames this one and no other
    assert np.argwhere(run("bad_pixels", dataset(frames, "y x ky kx"))["mask"].values == 2).tolist() == [
        [119, 133],
        [142, 145],
    ]
    frames = frames.copy()
    bad = [(127, 131), (90, 100), (30, 40), (31, 40), (200, 220), (0, 128)]
    for y, x in bad:
        frames[..., y, x] = 0 if frames[..., y, x].mean() > 50 else 900
    found = run("bad_pixels", dataset(frames, "y x ky kx"))["mask"].values
    assert np.argwhere(found).tolist() == sorted(map(list, bad + dead))


def test_a_single_frame_and_a_tiny_detector() -> None:
    """One pattern shows a hot pixel against its neighbours; a detector without neighbours shows nothing."""
    pattern = np.full((12, 12), 9, np.uint16)
    pattern[4, 5] = 4000
    assert np.argwhere(run("bad_pixels", dataset(pattern, "ky kx"))["mask"].values).tolist() == [[4, 5]]
    assert not run("bad_pixels", dataset(np.array([[[1, 900]]] * 4, np.uint16), "frame ky kx"))["mask"].values.any()


def test_one_and_two_threads_give_the_same_bytes(scan: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks of integers and of floats, summed by one thread and by two."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 17)
    for kind in ("u2", "f4"):
        opened = small_blocks(planted(scan)[0].astype(kind))
        one, two = (run("bad_pixels", opened, threads=threads) for threads in (1, 2))
        assert {name: v.values.tobytes() for name, v in one.items()} == {
            name: v.values.tobytes() for name, v in two.items()
        }


def small_blocks(frames: NDArray[Any]) -> Opened:
    """Return a scan whose rows are read one at a time."""
    opened = dataset(frames, "y x ky kx")
    array = MemoryArray(frames)
    array.chunks = (1, *frames.shape[1:])
    return Opened((Variable("counts", ("y", "x", "ky", "kx"), array, "counts"),), opened.axes, opened.record)
