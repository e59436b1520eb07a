"""Steps on measured files, against published and peers' values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from .conftest import dataset, run


@pytest.fixture
def merlin(realdata: Path) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return the Merlin scan of pixstem's test data (2 x 2 patterns of 256 x 256) and the sums stored in its file."""
    with h5py.File(realdata / "fpd_merlin_2x2x256x256.hdf5") as file:
        return file["fpd_expt/fpd_data/data"][:, :, 0], {
            name: file[f"fpd_expt/{name}/data"][...].squeeze() for name in ("fpd_sum_im", "fpd_sum_dif")
        }


def test_sums_equal_those_stored_in_the_file(merlin: Any) -> None:
    """fpd stored the sum image and the sum pattern with the data: ours equal them exactly."""
    frames, stored = merlin
    opened = dataset(frames, "y x ky kx")
    image = run("virtual_image", opened)["image"].values
    assert image.tolist() == [[821833, 822375], [821384, 823283]]
    assert (image == stored["fpd_sum_im"]).all()
    pattern = run("sum_pattern", opened)
    assert (pattern["sum"].values == stored["fpd_sum_dif"]).all()
    assert (pattern["mean"].values == stored["fpd_sum_dif"] / 4).all()
    assert (pattern["max"].values == frames.max(axis=(0, 1))).all()


def test_annulus_against_py4dstem(merlin: Any) -> None:
    """py4DSTEM 0.14's annulus is open at both ends: ours is larger by exactly the pixels at r = 30."""
    frames, _ = merlin
    ours = run("virtual_detector", dataset(frames, "y x ky kx"), inner="30px", outer="60px", center="122,127px")
    y, x = np.mgrid[0:256, 0:256]
    ring = (y - 122) ** 2 + (x - 127) ** 2 == 30**2
    assert ring.sum() == 12  # the lattice points on a circle of radius 30
    edge = frames[..., ring].sum(axis=-1, dtype=np.uint64)
    assert (ours["image"].values - edge).tolist() == [[86756, 87054], [86599, 87032]]


def test_centre_of_mass_of_a_measured_pattern(merlin: Any) -> None:
    """The first pattern's centre of mass, as fpd 0.2 and LiberTEM 0.16 give it."""
    found = run("center_of_mass", dataset(merlin[0], "y x ky kx"))
    assert found["com_y"].values[0, 0] == pytest.approx(125.8536, abs=5e-5)
    assert found["com_x"].values[0, 0] == pytest.approx(129.1354, abs=5e-5)


def test_rings_of_gold(realdata: Path) -> None:
    """Au cross grating: rings 111, 220 and 311 at 42, 70 and 82 px, whose ratios are those of the fcc lattice."""
    tifffile = pytest.importorskip("tifffile")
    pattern = tifffile.imread(realdata / "au_xgrating_20cm.tif")
    opened = dataset(pattern, "ky kx")
    # the beam is where the pattern is mirrored onto itself best: here simply the brightest spot's centre of mass
    y, x = np.unravel_index(pattern.argmax(), pattern.shape)
    spot = run("center_of_mass", opened, outer="10px", center=f"{y},{x}px")
    center = f"{float(spot['com_y'].values)},{float(spot['com_x'].values)}px"
    profile = run("radial_profile", opened, center=center)["profile"].values
    rings = [
        int(low + np.argmax(_above_background(profile, low, high))) for low, high in ((36, 47), (64, 75), (76, 88))
    ]
    assert rings == pytest.approx([42, 70, 82], abs=1)
    assert rings[1] / rings[0] == pytest.approx(math.sqrt(8 / 3), abs=1 / 42 * 1.633)
    assert rings[2] / rings[1] == pytest.approx(math.sqrt(11 / 8), abs=1 / 70 * 1.173)


def _above_background(profile: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    # a straight line between the ends of the window stands for the diffuse background under a ring
    part = profile[low:high]
    background: NDArray[Any] = part - np.linspace(part[0], part[-1], part.size)
    return background


def test_x_ray_lines_against_exspy(realdata: Path) -> None:
    """O Ka and Si Ka in windows of two FWHM: the counts that exspy 0.3.2's get_lines_intensity gives."""
    with h5py.File(realdata / "SiO2_EDS_Spectrum_Image.hspy") as file:
        counts = file["Experiments/EDS Spectrum Image/data"][...]
        scale = float(file["Experiments/EDS Spectrum Image/axis-2"].attrs["scale"])
    assert int(counts.sum()) == 823_049
    windows = {}
    for name, line in (("o_ka", 0.5249), ("si_ka", 1.7397)):
        width = math.sqrt(2.5 * (line - 5.8987) * 1000 + 130.0**2) / 1000  # FWHM in keV, for 130 eV at Mn Ka
        # exspy rounds the edges of its window to the nearest channel
        first, last = round((line - width) / scale), round((line + width) / scale)
        windows[name] = {"start": f"{(first - 0.5) * scale!r} keV", "stop": f"{(last - 0.5) * scale!r} keV"}
    opened = dataset(counts, "y x energy", energy=(0.0, scale * 1000))
    maps = run("energy_map", opened, threads=2, windows=windows)
    assert int(maps["o_ka"].values.sum()) == 170_999
    assert int(maps["si_ka"].values.sum()) == 246_289
    spectrum = run("sum_spectrum", opened)["sum"].values
    assert (spectrum == counts.sum(axis=(0, 1))).all()
