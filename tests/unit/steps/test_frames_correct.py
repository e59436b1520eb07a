"""Dark image, gain, flat field and bad pixels: a detector is simulated, and its truth comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, StepError
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import write_result
from emdvc.model import record as rec
from emdvc.steps.contract import Reference
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom

from .conftest import dataset, run

DIMS = "y x ky kx"


def corrected(
    frames: NDArray[Any] | Opened, threads: int = 1, dims: str = "ky kx", **images: NDArray[Any] | str
) -> NDArray[Any]:
    """Return frames corrected by images in memory; texts are parameters."""
    arrays = {role: image for role, image in images.items() if not isinstance(image, str)}
    names = {role: f"{role}.zarr" for role in arrays}
    texts = {name: text for name, text in images.items() if isinstance(text, str)}
    references = {
        role: Reference({"image": image}, {"image": tuple(dims.split())}, {}, names[role])
        for role, image in arrays.items()
    }
    step = find("correct")
    opened = frames if isinstance(frames, Opened) else dataset(frames, " ".join(DIMS.split()[-frames.ndim :]))
    parameters = step.Parameters(**names, **texts)
    result = run_step(step, parameters, opened, name="scan", references=references, threads=threads)
    (counts,) = result.variables
    return counts.values


@pytest.fixture(scope="module")
def scan() -> NDArray[np.uint16]:
    """Return a phantom: what an ideal detector counts."""
    return np.stack(list(DiffractionPhantom((6, 5), (32, 40)).rows()))


@pytest.mark.parametrize(
    ("kind", "dark", "expected"),
    [
        ("u1", "u1", "i2"),
        ("u2", "u2", "i4"),
        ("u2", "u1", "i4"),
        ("u2", "i4", "i4"),
        ("i2", "u2", "i4"),
        ("i1", "u1", "i2"),
        ("u4", "u4", "i8"),
        ("u2", "f4", "f4"),
        ("f4", "u2", "f4"),
        ("f8", "u2", "f8"),
        ("u8", "u2", "f8"),
    ],
)
def test_dark_subtraction(kind: str, dark: str, expected: str) -> None:
    """What the dark image added goes away exactly, below zero too; whole numbers stay whole."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 40, (4, 7, 9))
    offset = random.integers(0, 60, (7, 9))
    noise = random.integers(-3, 1, truth.shape)
    frames = np.maximum(truth + offset + noise, 0).astype(kind)
    found = corrected(frames, dark=offset.astype(dark))
    assert found.dtype == np.dtype(expected)
    assert (found == frames.astype(np.int64) - offset).all()
    assert found.min() < 0


def test_the_largest_difference_fits() -> None:
    """A dark image at a type's limit: the type of the result is chosen so that nothing wraps around."""
    for level, expected in ((32767, "i2"), (32768, "i4"), (2**31 - 1, "i4"), (2**31, "i8")):
        found = corrected(np.zeros((1, 2, 2), np.uint8), dark=np.full((2, 2), level, np.uint32))
        assert found.dtype == np.dtype(expected)
        assert (found == -level).all()


def test_a_detector_is_undone(scan: NDArray[np.uint16]) -> None:
    """Sensitivities and offsets of a simulated camera: the counts come back to the precision of 32-bit floats."""
    random = np.random.default_rng(3)
    sensitivity = random.uniform(0.8, 1.25, (32, 40))
    dark = random.normal(20.0, 2.0, (32, 40))
    measured = (scan * sensitivity + dark).astype(np.float64)
    flat = 1000.0 * sensitivity
    by_gain = corrected(measured, dark=dark, gain=1 / sensitivity)
    assert by_gain.dtype == np.float64
    assert np.allclose(by_gain, scan, rtol=0, atol=1e-12)
    by_flat = corrected(measured.astype(np.float32), dark=dark, flat=flat)
    assert by_flat.dtype == np.float32
    # a flat field says how pixels differ, not how sensitive they are: its mean is divided out
    assert np.allclose(by_flat, scan * sensitivity.mean(), rtol=1e-6, atol=1e-5)


def test_the_flat_field_is_normalised_by_its_good_pixels() -> None:
    """Of 10, 20 and a bad pixel: the mean is 15, and the gains are 1.5 and 0.75."""
    frames = np.array([[[100, 100, 77, 100]]], np.uint16)
    flat, bad = np.array([[10, 20, 0, 15]], np.uint16), np.array([[0, 0, 1, 0]], np.uint8)
    assert corrected(frames, flat=flat, bad=bad)[0, 0].tolist() == [150.0, 75.0, pytest.approx(325 / 3), 100.0]


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f4"])
@pytest.mark.parametrize("method", ["mean", "median"])
def test_repair_alone_keeps_the_type(scan: NDArray[np.uint16], kind: str, method: str) -> None:
    """Good pixels are untouched, bit for bit; a bad one lies within its neighbours."""
    bad = np.random.default_rng(5).random((32, 40)) < 0.03
    frames = scan.astype(kind)
    frames[..., bad] = 99
    found = corrected(frames, bad=bad, repair=method)
    assert found.dtype == np.dtype(kind)
    assert (found[..., ~bad] == frames[..., ~bad]).all()
    for y, x in np.argwhere(bad):
        window = np.s_[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        good = frames[window][..., ~bad[window[1:]]]
        assert (found[..., y, x] >= good.min(axis=-1)).all()
        assert (found[..., y, x] <= good.max(axis=-1)).all()


def test_a_gradient_is_repaired_exactly() -> None:
    """In a linear gradient the mean of the neighbours is what the pixel would have been."""
    y, x = np.mgrid[0:9, 0:11]
    frames = np.stack([3 * y + 5 * x + 2, 40 - y - x]).astype(np.uint16)
    bad = np.zeros((9, 11), np.bool_)
    bad[4, 5] = bad[2, 8] = True
    broken = frames.copy()
    broken[..., bad] = 65535
    assert (corrected(broken, bad=bad) == frames).all()


def test_detect_and_repair(tmp_path: Path) -> None:
    """From file to file: defects are planted, found by bad_pixels, and repaired with its mask and a mean dark image."""
    phantom = DiffractionPhantom((16, 16), (64, 64), brightness=16.0)
    scan = np.stack(list(phantom.rows()))
    dark = np.random.default_rng(7).integers(10, 14, (64, 64))
    frames = (scan + dark).astype(np.uint16)
    planted = [(3, 60), (32, 33), (50, 20)]
    for y, x in planted:
        frames[..., y, x] = 4000
    series = np.stack([dark - 1, dark + 1]).astype(np.uint16)
    for name, values, dims, step in (
        ("bad", frames, DIMS, "bad_pixels"),
        ("dark", series, "frame ky kx", "sum_pattern"),
    ):
        chosen = find(step)
        write_result(tmp_path / f"{name}.zarr", run_step(chosen, chosen.Parameters(), dataset(values, dims), name=name))
    step = find("correct")
    parameters = step.Parameters(dark=f"{tmp_path}/dark.zarr::mean", bad=f"{tmp_path}/bad.zarr")
    result = run_step(step, parameters, dataset(frames, DIMS), name="scan", threads=2)
    write_result(tmp_path / "clean.zarr", result)
    opened, sidecar = open_lazy(tmp_path / "clean.zarr")
    counts = opened.variable().array.read(tuple(slice(0, n) for n in frames.shape))
    opened.close()
    good = np.ones((64, 64), np.bool_)
    for y, x in planted:
        good[y, x] = False
    assert counts.dtype == np.float32
    assert (counts[..., good] == scan[..., good]).all()
    assert np.abs(counts[..., ~good].mean(axis=(0, 1)) - scan[..., ~good].mean(axis=(0, 1))).max() < 1.5
    assert rec.get(sidecar.record, "detector.mask") == {"file": parameters.bad, "applied": True}


def test_references_are_named() -> None:
    """What a stage must depend on: the images that are given, and no others."""
    step = find("correct")
    wanted = step.references(step.Parameters(dark="a.zarr::mean", bad="b.zarr"))
    assert {role: one.path for role, one in wanted.items()} == {"dark": "a.zarr::mean", "bad": "b.zarr"}


@pytest.mark.parametrize(
    ("images", "code", "says"),
    [
        ({"dark": np.zeros((8, 9))}, Code.STEP_DIMENSIONS, "ky x kx = 8 x 8"),
        ({"dark": np.zeros((2, 8, 8))}, Code.STEP_DIMENSIONS, "dark.zarr"),
        ({"dark": np.full((8, 8), np.nan)}, Code.STEP_COUNTS, "ky=0, kx=0: nan; 64 in all"),
        ({"gain": np.eye(8)}, Code.STEP_COUNTS, "ky=0, kx=1: 0.0; 56 in all"),
        ({"flat": np.full((8, 8), -1)}, Code.STEP_COUNTS, "bad=MASK"),
        ({"bad": np.ones((8, 8))}, Code.STEP_PARAMETER, "no pixel is good"),
    ],
)
def test_images_that_cannot_be_applied(images: dict[str, Any], code: Code, says: str) -> None:
    """Each is one error that names the image and the first pixel."""
    (image,) = images.values()
    dims = "ky kx" if image.ndim == 2 else "frame ky kx"
    with pytest.raises(StepError) as caught:
        corrected(np.ones((2, 8, 8), np.uint16), dims=dims, **images)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_an_image_file_of_a_picture_serves_too() -> None:
    """A TIFF of the dark image has dimensions y, x: it is the detector's all the same."""
    frames = np.full((2, 8, 8), 9, np.uint16)
    assert (corrected(frames, dims="y x", dark=np.full((8, 8), 2, np.uint16)) == 7).all()


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "at least one of dark"),
        ({"gain": "a", "flat": "b"}, "not both"),
        ({"bad": "a", "repair": "mode"}, "median"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        find("correct").Parameters(**parameters)
    assert says in str(caught.value)


def test_negative_differences_reach_the_next_step(scan: NDArray[np.uint16]) -> None:
    """They are refused by default, and summed where the person says that they belong there."""
    less = corrected(scan, dark=np.ones((32, 40), np.uint16))
    with pytest.raises(StepError, match="negative counts"):
        run("virtual_image", dataset(less, DIMS))
    image = run("virtual_image", dataset(less, DIMS), negative="allow")["image"].values
    assert (image == scan.sum(axis=(2, 3), dtype=np.int64) - 32 * 40).all()


def test_one_and_two_threads_give_the_same_bytes(scan: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 12)
    array = MemoryArray(scan)
    array.chunks = (1, 2, 32, 40)
    whole = dataset(scan, DIMS)
    opened = Opened((Variable("counts", ("y", "x", "ky", "kx"), array, "counts"),), whole.axes, whole.record)
    random = np.random.default_rng(2)
    images = {"dark": random.normal(1, 0.2, (32, 40)), "gain": random.uniform(0.9, 1.1, (32, 40))}
    bad = random.random((32, 40)) < 0.02
    one, two = (corrected(opened, threads=threads, bad=bad, **images) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    expected = ((scan - images["dark"]) * images["gain"]).astype(np.float32)
    assert (one[..., ~bad] == expected[..., ~bad]).all()
