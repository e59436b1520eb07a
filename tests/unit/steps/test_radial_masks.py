"""Masks of pixels that do not count: a beam stop must not show in anything that is read along rings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.errors import EmdvcError, StepError
from emdvc.steps.registry import find

from .conftest import dataset, run

STEPS = (
    "radial_profile",
    "azimuthal_profile",
    "polar_transform",
    "ring_variance",
    "fem_variance",
    "angular_correlation",
)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return eight patterns with rings, and the same behind a beam stop, whose mask is the file stop.npy."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[0:41, 0:41] - 20.0
    rings = 20 + 15 * np.cos(np.hypot(y, x) / 3)
    frames = np.random.default_rng(1).poisson(rings * np.linspace(0.5, 1.5, 8)[:, None, None]).astype(np.uint16)
    stop = (np.abs(x) < 2.5) & (y > -3)
    np.save("stop.npy", (~stop).astype(np.uint8))
    return frames, np.where(stop, 60000, frames)


@pytest.mark.parametrize("name", STEPS)
def test_what_lies_behind_a_mask_does_not_matter(name: str, stopped: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """With the mask the results are the same whatever is counted there; without it they are not."""
    one, other = (run(name, dataset(frames, "frame ky kx"), mask="stop.npy") for frames in stopped)
    plain = run(name, dataset(stopped[1], "frame ky kx"))
    same = {"variance_image"}  # shows every pixel
    for output in set(one) - same:
        assert np.array_equal(one[output].values, other[output].values, equal_nan=True)
    differ = [name for name in plain if not np.array_equal(plain[name].values, other[name].values, equal_nan=True)]
    assert len(differ) >= len(plain) - 2  # not the number of patterns, nor the image of every pixel
    step = find(name)
    assert step.references(step.Parameters(mask="stop.npy"))["mask"].path == "stop.npy"


def test_means_behind_a_stop(stopped: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """Ring means are those of the pixels that are left, exactly."""
    found = run("radial_profile", dataset(stopped[1], "frame ky kx"), mask="stop.npy")
    y, x = np.mgrid[0:41, 0:41] - 20.0
    ring = np.where(np.load("stop.npy") > 0, np.floor(np.hypot(y, x) + 1e-9), -1)
    for index in range(found["pixels"].values.size):
        assert found["pixels"].values[index] == (ring == index).sum()
        if (ring == index).any():
            assert found["profile"].values[:, index] == pytest.approx(
                stopped[0][:, ring == index].mean(axis=1), rel=1e-14
            )
        else:
            assert np.isnan(found["profile"].values[:, index]).all()


@pytest.mark.parametrize(
    ("mask", "says"), [(np.zeros((41, 41), "u1"), "zero everywhere"), (np.ones((40, 41), "u1"), "41 x 41")]
)
def test_masks_that_are_refused(stopped: tuple[NDArray[Any], NDArray[Any]], mask: NDArray[Any], says: str) -> None:
    """One that leaves nothing, or belongs to another detector."""
    np.save("bad.npy", mask)
    for name in STEPS:
        with pytest.raises(EmdvcError) as caught:
            run(name, dataset(stopped[0], "frame ky kx"), mask="bad.npy")
        assert says in str(caught.value)


def test_a_mask_that_leaves_no_ring(stopped: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """Pixels that count, but none on a ring."""
    corner = np.zeros((41, 41), bool)
    corner[0, 0] = True
    np.save("corner.npy", corner)
    with pytest.raises(StepError, match="no pixel lies on any ring"):
        run("radial_profile", dataset(stopped[0], "frame ky kx"), mask="corner.npy")
