"""Bragg disks and template-free peaks on patterns whose truth is known, and what the steps refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, EmdvcError
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import write_result
from emdvc.model.axis import Axis, Role
from emdvc.steps.contract import Reference
from emdvc.steps.peak_plan import TABLE
from emdvc.steps.registry import find
from emdvc.testing.lattices import Deformation, LatticePhantom

from .conftest import dataset, run

DIMS = "y x ky kx"


@pytest.fixture(scope="module")
def phantom() -> LatticePhantom:
    return LatticePhantom((4, 6), (112, 128), (Deformation(), Deformation(xx=0.01, half_tangent=0.01)))


@pytest.fixture(scope="module")
def counts(phantom: LatticePhantom) -> NDArray[np.uint16]:
    return np.stack(list(phantom.rows()))


def rows(found: dict[str, Any], y: int, x: int) -> NDArray[np.float64]:
    """Return the rows (ky, kx, intensity) of one probe position."""
    count = found["count"].values
    start = int(count.reshape(-1)[: y * count.shape[1] + x].sum())
    return np.stack([found[name].values[start : start + count[y, x]] for name in TABLE], axis=1).astype(float)


def errors(phantom: LatticePhantom, found: dict[str, Any]) -> NDArray[np.float64]:
    """Return place (px) and intensity less the truth of every disk; none may lack, and none be there in excess."""
    differences = []
    for y, x in np.ndindex(phantom.scan_shape):
        truth, table = np.array(phantom.disks(y, x)), rows(found, y, x)
        assert len(table) == len(truth)
        nearest = ((truth[:, None, :2] - table[None, :, :2]) ** 2).sum(axis=-1).argmin(axis=1)
        assert len(set(nearest.tolist())) == len(truth)
        differences.append(table[nearest] - truth)
    return np.concatenate(differences)


def soft_disk(shape: tuple[int, int], at: tuple[float, float], radius: float, edge: float) -> NDArray[np.float64]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.clip((radius - np.hypot(y - at[0], x - at[1])) / edge + 0.5, 0, 1)


def test_every_disk_is_found(phantom: LatticePhantom, counts: NDArray[Any]) -> None:
    """1000 counts in a disk of radius 5: places within R / (3 sqrt(N)) = 0.053 px (rms), intensities within 1 %.

    The intensity's own Poisson noise is sqrt(1000) = 3.2 %, of some 800 disks 0.1 % for their mean; the direct disk has
    twice the counts of the others.
    """
    found = run("bragg_disks", dataset(counts, DIMS), radius="5px")
    off = errors(phantom, found)
    assert len(off) > 800
    assert np.sqrt((off[:, :2] ** 2).mean()) < 1.1 * 5 / (3 * math.sqrt(1000))
    assert abs(off[:, :2]).max() < 0.3
    # the disks lie 18 px apart, all at nearly the same place between pixels: what the vertex is off by adds up
    assert np.abs(off[:, :2].mean(axis=0)).max() < 0.021
    assert abs(off[:, 2].mean()) < 10
    assert off[:, 2].std() == pytest.approx(math.sqrt(1000), rel=0.15)
    assert found["peak_ky"].dims == found["peak_kx"].dims == found["intensity"].dims == ("peak",)
    assert found["count"].dims == ("y", "x")
    assert found["peak_ky"].unit == "px"
    for y, x in np.ndindex(phantom.scan_shape):  # the direct disk has twice the counts of the others
        assert np.hypot(*(rows(found, y, x)[0, :2] - phantom.origins()[y, x])) < 0.3


@pytest.mark.parametrize(("edge", "bias"), [(1.0, 0.021), (2.5, 0.008)])
def test_without_noise_the_place_is_nearly_exact(edge: float, bias: float) -> None:
    """81 places between pixels: the rms error that the documentation states, for a sharp edge and a usual one."""
    shifts = [(i / 9 - 0.5, j / 9 - 0.5) for i in range(9) for j in range(9)]
    frames = np.array([soft_disk((41, 41), (20 + dy, 20 + dx), 8, edge) * 50 + 3 for dy, dx in shifts])
    found = run("bragg_disks", dataset(frames, "frame ky kx"), radius="8px")
    assert found["count"].values.tolist() == [1] * 81
    off = np.stack([found["peak_ky"].values, found["peak_kx"].values], axis=1) - 20 - np.array(shifts)
    assert np.sqrt((off**2).mean()) < bias
    # aperture and ring: all counts of the disk, whatever the background
    assert found["intensity"].values == pytest.approx(frames.sum(axis=(1, 2)) - 3 * 41 * 41, rel=0.01)


def test_units_agree(counts: NDArray[Any]) -> None:
    """5.2 px of 0.02 1/angstrom at 300 keV (1.96875 pm) are 0.104 1/angstrom and 2.0475 mrad."""
    opened = dataset(counts[:1], DIMS, diffraction__pixel_size="0.02/angstrom", beam__energy="300keV")
    pixels, reciprocal, angles = (
        run("bragg_disks", opened, radius=radius, min_distance=apart, border=border)
        for radius, apart, border in (
            ("5.2px", "8px", "4.9px"),
            ("0.104/angstrom", "0.16/angstrom", "0.098/angstrom"),
            ("2.0475mrad", "3.15mrad", "1.9294mrad"),
        )
    )
    for name in ("count", *TABLE):
        assert np.allclose(pixels[name].values, reciprocal[name].values, atol=1e-3)
        assert np.allclose(pixels[name].values, angles[name].values, atol=1e-3)


def with_probe(counts: NDArray[Any], image: NDArray[Any], dims: tuple[str, ...] = ("ky", "kx"), **more: Any) -> Any:
    step = find("bragg_disks")
    axes = {dim: Axis(dim, n, Role.DETECTOR) for dim, n in zip(dims, image.shape, strict=True)}
    probe = Reference({"mean": image}, {"mean": dims}, axes, "vacuum.zarr")
    parameters = step.Parameters(probe="vacuum.zarr", **more)
    assert step.references(parameters)["probe"].path == "vacuum.zarr"
    result = run_step(step, parameters, dataset(counts, DIMS), name="scan", references={"probe": probe}, threads=1)
    return {variable.name: variable for variable in result.variables}


def test_a_probe_image_is_a_template(phantom: LatticePhantom, counts: NDArray[Any]) -> None:
    """The probe in vacuum, its middle between pixels and over a background: the same disks at the same places."""
    image = soft_disk((112, 128), (50.3, 61.6), 5, 1) * 90 + 2
    off = errors(phantom, with_probe(counts, image))
    assert np.sqrt((off[:, :2] ** 2).mean()) < 0.065
    assert np.abs(off[:, :2].mean(axis=0)).max() < 0.03
    assert abs(off[:, 2].mean()) < 20


def test_a_patterned_probe() -> None:
    """A probe with a bright cross (Zeltmann et al., Ultramicroscopy 209, 112890 (2020)): placed better than a disk."""
    y, x = np.mgrid[:64, :64]

    def patterned(at: tuple[float, float]) -> NDArray[np.float64]:
        bar = np.clip(1.5 - np.minimum(np.abs(y - at[0]), np.abs(x - at[1])), 0, 1)
        return soft_disk((64, 64), at, 9, 1.5) * (1 + 3 * bar)

    rng = np.random.default_rng(1)
    truth = 32 + rng.uniform(-0.5, 0.5, (60, 2))
    frames = np.array([rng.poisson(patterned((a, b)) * 4 + 0.2) for a, b in truth]).astype(np.uint16)[None]
    off = {}
    for name, found in (
        ("probe", with_probe(frames, patterned((30.2, 33.4)), radius="9px", min_relative=0.1)),
        ("disk", run("bragg_disks", dataset(frames, DIMS), radius="9px", min_relative=0.1)),
    ):
        assert found["count"].values.tolist() == [[1] * 60]
        places = np.stack([found["peak_ky"].values, found["peak_kx"].values], axis=1)
        off[name] = np.sqrt(((places - truth - (places - truth).mean(axis=0)) ** 2).mean())
        assert np.abs((places - truth).mean(axis=0)).max() < 0.03
    assert off["probe"] < 0.065 < 0.95 * off["disk"]


def test_roots_let_bright_structure_weigh_less() -> None:
    """A disk whose one side is three times as bright draws the place that way: by roots less far."""
    x = np.arange(41)
    frames = np.rint(soft_disk((41, 41), (20, 20), 8, 1.5) * np.where(x < 18, 90, 30))[None].astype(np.uint16)
    off = {
        scale: abs(
            run("bragg_disks", dataset(frames, "frame ky kx"), radius="8px", scale=scale)["peak_kx"].values[0] - 20
        )
        for scale in ("linear", "root")
    }
    assert off["linear"] > 0.05
    assert off["root"] < 0.7 * off["linear"]


def test_roots_keep_intensities_in_counts(phantom: LatticePhantom, counts: NDArray[Any]) -> None:
    off = errors(phantom, run("bragg_disks", dataset(counts, DIMS), radius="5px", scale="root"))
    assert np.sqrt((off[:, :2] ** 2).mean()) < 1.1 * 5 / (3 * math.sqrt(1000))
    assert abs(off[:, 2].mean()) < 10


@pytest.mark.parametrize(
    ("step", "parameters"),
    [
        ("bragg_disks", {"radius": "5px", "bragg_map": True}),
        ("bragg_disks", {"radius": "5px", "scale": "root"}),
        ("find_peaks", {"size": 5, "background": 8, "bragg_map": True}),
    ],
)
def test_threads_number_types_and_order_change_nothing(
    counts: NDArray[Any], step: str, parameters: dict[str, Any]
) -> None:
    """1 or 2 threads, integers of any width or whole floats, the scan first or last: the same bytes."""
    parameters = {**parameters, "min_significance": 5}
    first = run(step, dataset(counts, DIMS), **parameters)
    others = [run(step, dataset(counts, DIMS), threads=2, **parameters)]
    others += [run(step, dataset(counts.astype(kind), DIMS), **parameters) for kind in ("i4", "u4")]
    moved = np.ascontiguousarray(counts.transpose(2, 3, 0, 1))
    others.append(run(step, dataset(moved, "ky kx y x"), threads=2, **parameters))
    if parameters.get("scale") != "root":  # roots of whole numbers are rounded down, those of floats are not
        others.append(run(step, dataset(counts.astype("f4"), DIMS), **parameters))
    for other in others:
        assert all(other[name].values.tobytes() == first[name].values.tobytes() for name in first)


@pytest.mark.parametrize("dims", ["ky kx", "frame ky kx", "time y x ky kx"])
def test_any_number_of_scan_dimensions(counts: NDArray[Any], dims: str) -> None:
    shape = {2: (), 3: (24,), 5: (2, 2, 6)}[len(dims.split())]
    values = counts.reshape(24, 112, 128)[: math.prod(shape)].reshape(*shape, 112, 128)
    whole = run("bragg_disks", dataset(counts, DIMS), radius="5px")
    found = run("bragg_disks", dataset(values, dims), radius="5px")
    total = int(whole["count"].values.reshape(-1)[: math.prod(shape)].sum())
    assert found["count"].values.shape == shape
    assert found["peak_ky"].values.tobytes() == whole["peak_ky"].values[:total].tobytes()


def test_the_bragg_map_holds_every_intensity(counts: NDArray[Any]) -> None:
    """The map is the histogram of the table: rounded intensities at rounded places."""
    found = run("bragg_disks", dataset(counts, DIMS), radius="5px", bragg_map=True)
    total = np.zeros((112, 128), np.int64)
    for y, x, counted in zip(*(found[name].values for name in TABLE), strict=True):
        total[round(float(y)), round(float(x))] += round(float(counted))
    assert found["bragg_map"].dims == ("ky", "kx")
    assert np.abs(found["bragg_map"].values - total).max() <= found["count"].values.size  # a float32 rounded twice
    assert found["bragg_map"].values.sum() == pytest.approx(total.sum(), abs=len(found["peak_ky"].values))


def test_which_maxima_are_disks(counts: NDArray[Any]) -> None:
    """Each threshold alone: the strongest, those above an intensity, those apart, those off the border."""
    opened = dataset(counts, DIMS)
    assert (run("bragg_disks", opened, radius="5px", max_peaks=3)["count"].values == 3).all()
    assert (run("bragg_disks", opened, radius="5px", min_intensity=1500)["count"].values == 1).all()
    assert (run("bragg_disks", opened, radius="5px", min_relative=0.8)["count"].values == 1).all()
    assert (run("bragg_disks", opened, radius="5px", min_distance="300px")["count"].values == 1).all()
    assert (run("bragg_disks", opened, radius="5px", min_significance=44)["count"].values <= 1).all()
    inner = run("bragg_disks", opened, radius="5px", border="30px")
    assert inner["peak_ky"].values.min() > 29 and inner["peak_ky"].values.max() < 82
    assert inner["peak_kx"].values.min() > 29 and inner["peak_kx"].values.max() < 98
    noise = np.random.default_rng(1).poisson(3.0, (40, 96, 96)).astype(np.uint16)
    assert run("bragg_disks", dataset(noise, "frame ky kx"), radius="5px")["count"].values.sum() <= 2
    assert run("bragg_disks", dataset(noise, "frame ky kx"), radius="5px", min_significance=0)["count"].values.min() > 9
    empty = run("bragg_disks", dataset(np.zeros((3, 32, 32), np.uint8), "frame ky kx"), radius="5px", bragg_map=True)
    assert empty["count"].values.tolist() == [0, 0, 0]
    assert empty["peak_ky"].values.shape == (0,)
    assert empty["bragg_map"].values.sum() == 0


def test_spots_without_a_template() -> None:
    """Gaussian spots of 2000 counts, sigma 1.2 px, over 2 counts per pixel: sigma / sqrt(N) and the background's part.

    The variance of a centre of mass in 7 x 7 pixels is that of the spot, 1.44 / N, and that of the background's counts
    around it, 2 * 49 * 4 / N^2 (the mean of y^2 over seven pixels is 4), with the ring's mean taken off: 0.038 px.
    """
    rng = np.random.default_rng(5)
    places = [
        (12 + 16 * i + rng.uniform(-0.5, 0.5), 12 + 16 * j + rng.uniform(-0.5, 0.5)) for i in range(5) for j in range(5)
    ]
    y, x = np.mgrid[:88, :88]
    rate = np.full((88, 88), 2.0)
    for py, px in places:
        rate += 2000 / (2 * math.pi * 1.44) * np.exp(-((y - py) ** 2 + (x - px) ** 2) / 2.88)
    frames = rng.poisson(rate, (20, 88, 88)).astype(np.uint16)
    found = run("find_peaks", dataset(frames, "frame ky kx"), size=3, background=6)
    assert (found["count"].values == 25).all()
    table = np.stack([found[name].values for name in TABLE], axis=1).reshape(20, 25, 3).astype(float)
    truth = np.array(places)
    nearest = ((table[:, :, None, :2] - truth) ** 2).sum(axis=-1).argmin(axis=-1)
    off = table[..., :2] - truth[nearest]
    assert np.sqrt((off**2).mean()) == pytest.approx(math.sqrt(1.44 / 2000 + 2 * 49 * 4 / 2000**2), rel=0.15)
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.01
    # 99 % of a Gaussian's counts lie within 3.5 px = 2.9 sigma along both axes
    assert table[..., 2].mean() == pytest.approx(2000, rel=0.02)


@pytest.mark.parametrize(
    ("step", "parameters", "says"),
    [
        ("bragg_disks", {}, "an image of the probe"),
        ("bragg_disks", {"radius": "4px", "ring": 1.05}, "1.1"),
        ("bragg_disks", {"radius": "4 keV"}, "px or 1/angstrom or mrad"),
        ("bragg_disks", {"radius": "4px", "min_relative": 2}, "less than or equal to 1"),
        ("find_peaks", {"size": 4, "background": 4}, "larger than size"),
    ],
)
def test_bad_parameters(step: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        find(step).Parameters(**parameters)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("step", "parameters", "code", "says"),
    [
        ("bragg_disks", {"radius": "20px"}, Code.STEP_PARAMETER, "does not fit the detector"),
        ("bragg_disks", {"radius": "0.2px"}, Code.STEP_PARAMETER, "does not fit the detector"),
        ("bragg_disks", {"radius": "2mrad"}, Code.METADATA_MISSING, "diffraction.pixel_size"),
        ("find_peaks", {"background": 16}, Code.STEP_PARAMETER, "do not fit the detector"),
    ],
)
def test_what_is_refused(step: str, parameters: dict[str, Any], code: Code, says: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        run(step, dataset(np.ones((2, 32, 32), "u2"), "frame ky kx"), **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("image", "dims", "says"),
    [
        (np.zeros((32, 32)), ("ky", "kx"), "empty"),
        (np.eye(32) * (np.arange(32) == 9), ("ky", "kx"), "no whole disk"),
        (soft_disk((32, 32), (4, 16), 6, 1), ("ky", "kx"), "no whole disk"),
        (soft_disk((30, 32), (15, 16), 6, 1), ("ky", "kx"), "does not fit"),
        (soft_disk((32, 32), (15, 16), 6, 1), ("y", "x"), "does not fit"),
    ],
)
def test_which_probe_images_are_refused(image: NDArray[Any], dims: tuple[str, ...], says: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        with_probe(np.ones((1, 1, 32, 32), "u2"), image, dims)
    assert says in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("step", "parameters", "keys"),
    [
        ("bragg_disks", {"radius": "5px", "border": "3px"}, ()),
        ("bragg_disks", {"radius": "0.1/angstrom"}, ("diffraction.pixel_size",)),
        ("bragg_disks", {"radius": "5px", "min_distance": "2mrad"}, ("beam.energy", "diffraction.pixel_size")),
        ("bragg_disks", {"probe": "v.zarr"}, ()),
        ("find_peaks", {}, ()),
        ("find_peaks", {"border": "2mrad"}, ("beam.energy", "diffraction.pixel_size")),
    ],
)
def test_metadata_read(step: str, parameters: dict[str, Any], keys: tuple[str, ...]) -> None:
    found = find(step)
    assert found.metadata(found.Parameters(**parameters)) == keys


def test_the_table_survives_its_file(counts: NDArray[Any], tmp_path: Path) -> None:
    """A table along `peak` beside maps over the scan, also an empty one, is read back as it was written."""
    for name, values in (("some", counts), ("none", np.zeros_like(counts))):
        step = find("bragg_disks")
        result = run_step(step, step.Parameters(radius="5px"), dataset(values, DIMS), name="scan", threads=1)
        write_result(tmp_path / f"{name}.zarr", result)
        opened, sidecar = open_lazy(tmp_path / f"{name}.zarr")
        for written in result.variables:
            read = opened.variable(written.name)
            assert read.dims == written.dims
            whole = read.array.read(tuple(slice(0, n) for n in read.array.shape))
            assert np.asarray(whole).tobytes() == np.asarray(written.values).tobytes()
        assert sidecar.main == "count"
        opened.close()


def test_disks_of_a_measured_pattern(realdata: Path) -> None:
    """The bright-field disk of pixstem's Merlin data: its centre of mass, by fpd 0.2, is (125.8536, 129.1354) px."""
    with h5py.File(realdata / "fpd_merlin_2x2x256x256.hdf5") as file:
        frames = file["fpd_expt/fpd_data/data"][:, :, 0]
    area = int((frames[0, 0] > frames[0, 0].max() / 2).sum())
    radius = math.sqrt(area / math.pi)
    found = run("bragg_disks", dataset(frames, DIMS), radius=f"{radius}px", ring=1.3)
    strongest = rows(found, 0, 0)[0]
    assert strongest[:2] == pytest.approx([125.8536, 129.1354], abs=1.5)
    distance = np.hypot(*(np.mgrid[:256, :256] - np.rint(strongest[:2])[:, None, None]))
    outer = max(1.3 * radius, radius + 2)
    disk = distance <= (radius + outer) / 2
    ring = (distance <= outer) & ~disk
    expected = frames[0, 0][disk].sum() - frames[0, 0][ring].mean() * disk.sum()
    assert strongest[2] == pytest.approx(expected, rel=0.01)
