"""Alignment: patterns moved by known distances."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.steps.contract import Input, Metadata, Place, Reference
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom

from .conftest import dataset
from .scan_maps import outputs, reference, reopened, result

PATH = "results/descan.zarr"


def fitted(y: NDArray[Any], x: NDArray[Any], dims: tuple[str, ...] = ("y", "x")) -> dict[str, Reference]:
    """Return a result of descan_fit, as a step reads it."""
    return {"centers": reference({"center_y": y, "center_x": x}, dims)}


@pytest.fixture
def known() -> dict[str, Reference]:
    """Return the true centres of the `disk` scan: (16 + y - 1, 20 + x - 2)."""
    return fitted(16 + np.arange(3)[:, None] - 1 + np.zeros((3, 4)), 20 + np.arange(4)[None, :] - 2 + np.zeros((3, 4)))


def test_whole_pixels_bring_all_disks_to_one_place(disk: NDArray[np.uint16], known: dict[str, Reference]) -> None:
    """Disks moved by whole pixels: afterwards all patterns are the same, to the count."""
    found = outputs("align", dataset(disk, "y x ky kx"), known, centers=PATH, target="16,20px")
    moved = found["counts"].values
    assert moved.dtype == disk.dtype
    assert (moved == disk[1, 2]).all()
    assert (found["lost"].values == 0).all()
    assert found["shift_y"].values[:, 0].tolist() == [1, 0, -1]
    assert found["shift_x"].values[0].tolist() == [2, 1, 0, -1]


def test_every_count_is_kept_or_lost() -> None:
    """Any counts, any shifts: each pixel is NumPy's slice, zeros come in, and kept and lost are all there were."""
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 60_000, (5, 6, 9, 11)).astype(np.uint16)
    shifts = rng.integers(-8, 9, (5, 6, 2))
    found = outputs(
        "align",
        dataset(frames, "y x ky kx"),
        fitted(4.0 - shifts[..., 0], 5.0 - shifts[..., 1]),
        centers=PATH,
        target="4,5px",
    )
    moved = found["counts"].values
    for (i, j), _ in np.ndenumerate(shifts[..., 0]):
        down, right = shifts[i, j]
        padded = np.pad(frames[i, j], 8)
        assert (moved[i, j] == padded[8 - down : 17 - down, 8 - right : 19 - right]).all()
    total = frames.sum(axis=(2, 3), dtype=np.uint64)
    assert (moved.sum(axis=(2, 3), dtype=np.uint64) + found["lost"].values == total).all()
    assert found["lost"].unit == "counts"


@pytest.mark.parametrize("method", ["pixel", "bilinear"])
def test_valid_pixels_are_those_that_every_pattern_has(method: str) -> None:
    """Patterns of ones: a pixel is valid where all moved patterns are one still."""
    rng = np.random.default_rng(2)
    centers = rng.uniform(-1.6, 1.4, (2, 4, 5))
    opened = dataset(np.ones((4, 5, 10, 12), np.uint8), "y x ky kx")
    found = outputs("align", opened, fitted(5 + centers[0], 6 + centers[1]), centers=PATH, target="5,6", method=method)
    assert (found["valid"].values == (found["counts"].values == 1).all(axis=(0, 1))).all()
    assert 0 < found["valid"].values.sum() < 120


def test_fractions_of_a_pixel_move_the_centre_of_mass_exactly(disk: NDArray[np.uint16]) -> None:
    """Bilinear: the centre of mass of a disk that stays on the detector moves by the shift, its counts stay."""
    shifts = np.random.default_rng(3).uniform(-3, 3, (2, 3, 4))
    opened = dataset(disk, "y x ky kx")
    moments = outputs("center_of_mass", opened)
    y, x = moments["com_y"].values, moments["com_x"].values
    moved = result(
        "align", opened, fitted(16 - shifts[0], 20 - shifts[1]), centers=PATH, target="16,20", method="bilinear"
    )
    assert moved.variables[0].values.dtype == np.float32
    after = outputs("center_of_mass", reopened(moved))
    assert np.allclose(after["com_y"].values, y + shifts[0], atol=1e-6)
    assert np.allclose(after["com_x"].values, x + shifts[1], atol=1e-6)
    assert np.allclose(moved.variables[0].values.sum(axis=(2, 3)), disk.sum(axis=(2, 3)), rtol=1e-6)
    assert "lost" not in {variable.name for variable in moved.variables}


def test_linear_descan_is_removed_exactly() -> None:
    """The phantom's descan without noise: after the fit and the alignment the rates' centre stands at the target."""
    phantom = DiffractionPhantom(scan_shape=(4, 6), detector_shape=(64, 64), step=(0.0, 0.0))
    y, x = np.mgrid[0:4, 0:6]
    descan = ((1.0, -2.0), (-1.0, 3.0))  # whole pixels: the disk is not resampled
    shifts = np.stack([per_y * y + per_x * x for per_y, per_x in descan], axis=-1)
    frames = np.array([[phantom.rates(0, (float(a), float(b))) for a, b in row] for row in shifts])
    opened = dataset(frames, "y x ky kx")
    moments = result("center_of_mass", opened)
    fit = outputs("descan_fit", reopened(moments))
    assert np.allclose(fit["slope"].values, descan, atol=1e-12)
    centers = fitted(fit["center_y"].values, fit["center_x"].values)
    for method, tolerance in (("pixel", 1e-12), ("bilinear", 1e-6)):
        found = result("align", opened, centers, centers=PATH, target="30,33", method=method)
        after = outputs("center_of_mass", reopened(found))
        spread = np.ptp(after["com_y"].values), np.ptp(after["com_x"].values)
        assert max(spread) < tolerance
    assert np.allclose(after["com_y"].values, 30, atol=1e-6)


def test_the_record_has_the_target_as_its_centre(disk: NDArray[np.uint16], known: dict[str, Reference]) -> None:
    """By default the whole pixel nearest to the middle of all centres: (15..17, 18..21) gives (16, 20)."""
    found = result("align", dataset(disk, "y x ky kx", diffraction__center="3,4px"), known, centers=PATH)
    center = found.own_record["diffraction"]["center"]
    assert (list(center["value"]), center["unit"], center["origin"]) == ([16.0, 20.0], "px", "derived")
    found = result("align", dataset(disk, "y x ky kx"), known, centers=PATH, target="15.5,20.25")
    assert list(found.own_record["diffraction"]["center"]["value"]) == [15.5, 20.25]


def test_centres_of_mass_align_each_pattern(disk: NDArray[np.uint16]) -> None:
    """With the centres of mass themselves; a pattern without counts has none and stays."""
    disk = disk.copy()
    disk[2, 3] = 0
    opened = dataset(disk, "y x ky kx")
    moments = outputs("center_of_mass", opened)
    centers = {"centers": reference({name: moments[name].values for name in ("com_y", "com_x")})}
    found = outputs("align", opened, centers, centers=PATH, kind="center_of_mass", target="16,20")
    moved = found["counts"].values.reshape(12, 33, 41)
    assert (moved[:11] == disk[1, 2]).all()
    assert not moved[11].any()
    assert found["shift_y"].values[2, 3] == found["shift_x"].values[2, 3] == 0


@pytest.mark.parametrize("method", ["pixel", "bilinear"])
def test_threads_and_blocks_do_not_matter(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks in two threads, few in one: the same bytes."""
    rng = np.random.default_rng(4)
    frames = rng.integers(0, 99, (7, 9, 16, 16)).astype(np.uint16)
    centers = fitted(*rng.uniform(5, 9, (2, 7, 9)))
    found = []
    for threads, size in ((1, 16 << 20), (2, 2048)):
        monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", size)
        monkeypatch.setattr("emdvc.engine.blocks.SMALL_ENOUGH", size)
        found.append(
            outputs("align", dataset(frames, "y x ky kx"), centers, centers=PATH, method=method, threads=threads)
        )
    for name, variable in found[0].items():
        assert variable.values.tobytes() == found[1][name].values.tobytes(), name


def test_the_plan_goes_to_other_processes(known: dict[str, Reference], disk: NDArray[np.uint16]) -> None:
    """Pickled and back, a part of the scan is moved as before."""
    step = find("align")
    metadata = Metadata({}, {}, ())
    source = Input(("y", "x", "ky", "kx"), disk.shape, disk.dtype, metadata, references=known)
    plan = step.prepare(step.Parameters(centers=PATH, target="16,20"), source)
    place = Place((slice(1, 3), slice(0, 2)))
    partial = pickle.loads(pickle.dumps(plan)).block(np.ascontiguousarray(disk[1:3, :2].reshape(4, 33, 41)), place)
    assert (partial.maps["counts"] == disk[1, 2]).all()
    assert partial.maps["shift_y"].tolist() == [0, 0, -1, -1]


@pytest.mark.parametrize("dims", ["frame ky kx", "time y x ky kx"])
def test_any_scan(dims: str) -> None:
    """Stacks and scans in time: the centres have the scan's dimensions."""
    names = tuple(dims.split())[:-2]
    shape = (3, 2, 2)[: len(names)]
    frames = np.arange(np.prod(shape) * 30, dtype=np.uint32).reshape(*shape, 5, 6)
    found = outputs(
        "align",
        dataset(frames, dims),
        fitted(np.full(shape, 1.0), np.full(shape, 2.0), names),
        centers=PATH,
        target="2,2",
    )
    assert (found["counts"].values[..., 1:, :] == frames[..., :-1, :]).all()
    assert found["counts"].dims == tuple(dims.split())


@pytest.mark.parametrize(
    ("y", "target", "code", "says"),
    [
        (np.zeros((2, 2)), None, Code.STEP_DIMENSIONS, "does not fit"),
        (np.full((3, 4), np.nan), None, Code.STEP_COUNTS, "no centre"),
        (np.zeros((3, 4)), "40,20", Code.STEP_PARAMETER, "moved off"),
    ],
)
def test_what_is_refused(
    disk: NDArray[np.uint16], y: NDArray[np.float64], target: str | None, code: Code, says: str
) -> None:
    """Centres of another scan, none at all, or so far away that nothing of a pattern is left."""
    with pytest.raises(StepError) as caught:
        outputs("align", dataset(disk, "y x ky kx"), fitted(y, y), centers=PATH, target=target)
    assert caught.value.code == code
    assert says in str(caught.value)
