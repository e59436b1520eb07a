"""Strain maps of lattices whose deformation is known, from peaks that were detected and from exact ones."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import EmdvcError
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import ResultVariable, write_result
from emdvc.model.axis import Axis, Role
from emdvc.steps import lattice
from emdvc.steps.peak_plan import TABLE
from emdvc.steps.registry import find
from emdvc.testing.lattices import Deformation, LatticePhantom

from .conftest import dataset, run

HALF_DEGREE = 0.0043633508  # tangent of a quarter of a degree
PLANTED = (
    Deformation(),
    Deformation(xx=0.01),
    Deformation(yy=-0.01),
    Deformation(xy=0.005),
    Deformation(half_tangent=HALF_DEGREE),
    Deformation(xx=0.01, xy=0.005, half_tangent=-HALF_DEGREE),
)


def table(patterns: list[list[tuple[float, float, float]]], shape: tuple[int, int]) -> Opened:
    """Return peaks (ky, kx, intensity) of each pattern as bragg_disks would give them, in memory."""
    rows = np.array([peak for pattern in patterns for peak in pattern]).reshape(-1, 3)
    count = np.array([len(pattern) for pattern in patterns], np.int32).reshape(shape)
    axes = {"y": Axis("y", shape[0], Role.SCAN), "x": Axis("x", shape[1], Role.SCAN)}
    axes["peak"] = Axis("peak", len(rows), Role.STACK)
    columns = [Variable(n, ("peak",), MemoryArray(np.ascontiguousarray(rows[:, i]))) for i, n in enumerate(TABLE)]
    return Opened((Variable("count", ("y", "x"), MemoryArray(count)), *columns), axes, {})


def exact(phantom: LatticePhantom) -> Opened:
    """Return the true peaks of a phantom."""
    return table([phantom.disks(y, x) for y, x in np.ndindex(phantom.scan_shape)], phantom.scan_shape)


def truth(deformation: Deformation) -> dict[str, float]:
    """Return what the maps must show: the phantom stretches first, then turns, as in the polar decomposition."""
    return {
        "e_xx": deformation.xx,
        "e_yy": deformation.yy,
        "e_xy": deformation.xy,
        "rotation": deformation.degrees,
    }


def bands(maps: dict[str, ResultVariable], phantom: LatticePhantom, name: str, band: int) -> NDArray[Any]:
    return np.asarray(maps[name].values)[phantom.bands() == band]


def test_planted_strain_comes_back(tmp_path: Path) -> None:
    """Strain 1 %, shear 0.5 %, rotation 0.5 degrees at 1000 counts per disk: within 0.05 % and 0.05 degrees.

    So are the means of all bands, and at each probe position the error is below that in root mean square; the table
    goes through its file, as in a pipeline.
    """
    phantom = LatticePhantom((6, 36), deformations=PLANTED)
    counts = np.stack(list(phantom.rows()))
    disks = find("bragg_disks")
    found = run_step(disks, disks.Parameters(radius="5px"), dataset(counts, "y x ky kx"), name="scan", threads=2)
    write_result(tmp_path / "disks.zarr", found)
    opened, _ = open_lazy(tmp_path / "disks.zarr")
    maps = run("strain", opened, region="0,6,0,6")
    opened.close()
    assert maps["e_xx"].dims == ("y", "x")
    for band, deformation in enumerate(PLANTED):
        for name, value in truth(deformation).items():
            off = bands(maps, phantom, name, band) - value
            limit = 0.05 if name == "rotation" else 0.0005
            assert abs(off.mean()) < limit
            assert np.sqrt((off**2).mean()) < limit
    assert np.asarray(maps["indexed"].values).min() > 36
    # about 0.053 px per axis and disk
    assert np.asarray(maps["error"].values).mean() == pytest.approx(math.sqrt(2) * 0.053, rel=0.15)
    origins = np.stack([maps["origin_ky"].values, maps["origin_kx"].values], axis=-1)
    assert np.sqrt(((origins - phantom.origins()) ** 2).mean()) < 0.03


def test_exact_peaks_give_the_exact_strain() -> None:
    """Without noise: the planted deformation, the lattice vectors, the origins, to rounding."""
    phantom = LatticePhantom((4, 12), deformations=PLANTED)
    maps = run("strain", exact(phantom), region="0,4,0,2")
    for band, deformation in enumerate(PLANTED):
        for name, value in truth(deformation).items():
            assert np.abs(bands(maps, phantom, name, band) - value).max() < 1e-9
        ax, ay = deformation.of_reciprocal(phantom.a)
        assert bands(maps, phantom, "a_kx", band) == pytest.approx(ax)
        assert bands(maps, phantom, "a_ky", band) == pytest.approx(ay, abs=1e-9)
    assert np.abs(maps["reference"].values - [[0, 18], [18, 0]]).max() < 1e-9
    assert (
        np.abs(np.stack([maps["origin_ky"].values, maps["origin_kx"].values], axis=-1) - phantom.origins()).max() < 1e-9
    )
    assert np.asarray(maps["error"].values).max() < 1e-9


@settings(deadline=None, max_examples=30)
@given(
    st.floats(-0.04, 0.04),
    st.floats(-0.04, 0.04),
    st.floats(-0.02, 0.02),
    st.floats(-0.05, 0.05),
    st.floats(-180, 180),
    st.booleans(),
)
def test_the_axes_of_the_scan(xx: float, yy: float, xy: float, turn: float, angle: float, flip: bool) -> None:
    """Strain along the scan's axes: the tensor that a crystal has when its patterns are turned (and mirrored) back."""
    deformation = Deformation(xx, yy, xy, turn)
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def on_detector(x: float, y: float) -> tuple[float, float]:
        """Return where a vector along the scan's axes lies on the detector, (ky, kx)."""
        kx, ky = c * x - s * y, s * x + c * y
        return (-ky if flip else ky), kx

    patterns = []
    for one in (Deformation(), deformation):
        (ax, ay), (bx, by) = one.of_reciprocal((17.0, 2.0)), one.of_reciprocal((-3.0, 19.0))
        spots = [(h * ax + k * bx, h * ay + k * by) for h in range(-2, 3) for k in range(-2, 3)]
        spots.sort(key=lambda spot: math.hypot(*spot))
        places = [on_detector(*spot) for spot in spots]
        patterns.append([(60 + y, 60 + x, 1.0 + (i == 0)) for i, (y, x) in enumerate(places)])
    maps = run("strain", table(patterns, (1, 2)), region="0,1,0,1", rotation=f"{angle!r} deg", flip=flip)
    for name, value in truth(deformation).items():
        assert maps[name].values[0, 0] == pytest.approx(0, abs=1e-9)
        assert maps[name].values[0, 1] == pytest.approx(value, abs=1e-9)


def test_methods_differ_in_the_second_order() -> None:
    """A rotation of 10 degrees strains nothing; to the first order it gives cos - 1 = -1.5 %, and sin for the angle."""
    angle = math.radians(10)
    phantom = LatticePhantom((1, 2), deformations=(Deformation(), Deformation(half_tangent=math.tan(angle / 2))))
    polar = run("strain", exact(phantom), region="0,1,0,1")
    small = run("strain", exact(phantom), region="0,1,0,1", method="infinitesimal")
    assert polar["e_xx"].values[0, 1] == pytest.approx(0, abs=1e-9)
    assert polar["rotation"].values[0, 1] == pytest.approx(10)
    assert small["e_xx"].values[0, 1] == pytest.approx(math.cos(angle) - 1)
    assert small["e_yy"].values[0, 1] == pytest.approx(math.cos(angle) - 1)
    assert small["rotation"].values[0, 1] == pytest.approx(math.degrees(math.sin(angle)))


def test_references() -> None:
    """Median and mean over a region, given vectors, and the default: the median of all."""
    phantom = LatticePhantom(
        (2, 10), deformations=(Deformation(), Deformation(), Deformation(), Deformation(xx=0.01), Deformation(xx=0.02))
    )
    opened = exact(phantom)
    assert np.abs(run("strain", opened)["e_xx"].values[:, :6]).max() < 1e-9
    given_ = run("strain", opened, a="0,18px", b="18,0px", reference="given", region="0,1,9,10")
    assert given_["e_xx"].values[0].tolist() == pytest.approx([0] * 6 + [0.01] * 2 + [0.02] * 2, abs=1e-9)
    assert given_["reference"].values.tolist() == [[0, 18], [18, 0]]
    mean = run("strain", opened, reference="mean", region=[0, 2, 5, 7])
    assert mean["reference"].values[0, 1] == pytest.approx((18 + 18 / 1.01) / 2)
    found = run("strain", opened, region="0,2,8,10")
    assert found["e_xx"].values[0, 0] == pytest.approx(1 / 1.02 - 1)


@pytest.mark.parametrize(
    ("a", "b"),
    [((18.0, 0.0), (0.0, 18.0)), ((20.0, 0.0), (10.0, 17.32)), ((0.0, -12.0), (25.0, 3.0)), ((14.0, 5.0), (3.0, 24.0))],
)
def test_the_lattice_is_found(a: tuple[float, float], b: tuple[float, float]) -> None:
    """Square, hexagonal, rectangular, oblique; a third of the peaks lacks and as many stray ones are there."""
    rng = np.random.default_rng(8)
    phantom = LatticePhantom((4, 8), deformations=(Deformation(),), a=a, b=b)
    patterns = []
    for y, x in np.ndindex(phantom.scan_shape):
        direct, *others = phantom.disks(y, x)
        kept = [(p + rng.normal(0, 0.05), q + rng.normal(0, 0.05), n) for p, q, n in others if rng.random() < 0.67]
        strays = [(*rng.uniform(8, 120, 2), 500.0) for _ in range(len(others) // 3)]
        patterns.append([direct, *kept, *strays])
    maps = run("strain", table(patterns, (4, 8)))
    found = [(v[1], v[0]) for v in maps["reference"].values.tolist()]
    determinant = found[0][0] * found[1][1] - found[0][1] * found[1][0]
    assert determinant == pytest.approx(abs(a[0] * b[1] - a[1] * b[0]), rel=0.01)
    inverse = np.linalg.inv(np.array([a, b]).T)
    indices = np.array(found) @ inverse.T
    assert np.abs(indices - np.rint(indices)).max() < 0.01
    assert np.abs(maps["e_xx"].values).max() < 0.005
    assert np.asarray(maps["indexed"].values).min() > 12


def test_a_basis_is_written_in_one_way() -> None:
    """Shortest vectors, a along kx, b from there towards ky, whichever basis of the lattice was found."""
    for first, second in (((0.0, 18.0), (17.0, 1.0)), ((17.0, 19.0), (0.0, -18.0)), ((-17.0, -1.0), (17.0, 19.0))):
        a, b = lattice.oriented(*lattice.reduced(first, second))
        assert a == pytest.approx((0, 18))
        assert b == pytest.approx((17, 1))


def test_what_is_not_determined_is_nan() -> None:
    """No peaks, too few, all on one line: NaN in every map but the number of indexed peaks; the others unharmed."""
    phantom = LatticePhantom((1, 8), deformations=(Deformation(),))
    patterns = [phantom.disks(0, x) for x in range(8)]
    direct = patterns[5][0]
    patterns[3] = []
    patterns[4] = patterns[4][:3]
    patterns[5] = [(direct[0], direct[1] + 18 * h, 5.0 - abs(h)) for h in (0, -1, 1, 2, -2)]
    maps = run("strain", table(patterns, (1, 8)))
    lost = np.array([[False] * 3 + [True] * 3 + [False] * 2])
    for name in ("e_xx", "e_yy", "e_xy", "rotation", "error", "a_ky", "origin_kx"):
        assert (np.isnan(maps[name].values) == lost).all()
    assert maps["indexed"].values[0, 3:6].tolist() == [0, 3, 5]


def test_weights() -> None:
    """One weak peak a pixel off: with intensities as weights it moves the lattice a hundred times less."""
    phantom = LatticePhantom((1, 4), deformations=(Deformation(),))
    patterns = [phantom.disks(0, x) for x in range(4)]
    at = max(range(len(patterns[2])), key=lambda i: patterns[2][i][1])
    ky, kx, counts = patterns[2][at]
    patterns[2][at] = (ky, kx + 1.0, counts / 100)
    off = {
        weights: abs(run("strain", table(patterns, (1, 4)), weights=weights)["e_xx"].values[0, 2])
        for weights in ("intensity", "equal")
    }
    assert off["equal"] > 5e-4
    assert off["intensity"] < off["equal"] / 80


def test_a_series_of_scans() -> None:
    """Any dimensions beside y and x: the maps have those of the table."""
    phantom = LatticePhantom((2, 6), deformations=(Deformation(), Deformation(xx=0.01)))
    opened = exact(phantom)
    count = opened.variables[0].array.read((slice(0, 2), slice(0, 6)))
    stacked = [Variable("count", ("time", "y", "x"), MemoryArray(np.stack([count, count])))]
    for variable in opened.variables[1:]:
        rows = variable.array.read((slice(0, variable.array.shape[0]),))
        stacked.append(Variable(variable.name, ("peak",), MemoryArray(np.concatenate([rows, rows]))))
    axes = {**opened.axes, "time": Axis("time", 2, Role.STACK), "peak": Axis("peak", 2 * int(count.sum()), Role.STACK)}
    maps = run("strain", Opened(tuple(stacked), axes, {}), region="0,2,0,3")
    assert maps["e_xx"].dims == ("time", "y", "x")
    assert maps["e_xx"].values[:, 0, 5] == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"a": "0,18px"}, "both lattice vectors"),
        ({"reference": "given"}, "needs the lattice vectors"),
        ({"region": "0,1,2"}, "region"),
        ({"rotation": "3px"}, "deg"),
        ({"min_peaks": 2}, "greater than or equal to 3"),
        ({"tolerance": 0.7}, "less than or equal to 0.5"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        find("strain").Parameters(**parameters)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"region": "0,3,0,2"}, "does not lie within the scan"),
        ({"region": "1,1,0,2"}, "does not lie within the scan"),
        ({"a": "0,18px", "b": "0,-36px"}, "parallel"),
        ({"a": "0,0px", "b": "0,18px"}, "parallel"),
        ({"region": "0,2,0,1"}, "no lattice"),
        ({"region": "0,2,1,2"}, "no peaks"),
        ({"region": "0,2,2,4", "min_peaks": 60}, "could be indexed"),
    ],
)
def test_what_is_refused(parameters: dict[str, Any], says: str) -> None:
    phantom = LatticePhantom((2, 4), deformations=(Deformation(),))
    patterns = [phantom.disks(y, x) if x > 1 else phantom.disks(y, x)[: 1 - x] for y, x in np.ndindex(2, 4)]
    with pytest.raises(EmdvcError) as caught:
        run("strain", table(patterns, (2, 4)), **parameters)
    assert says in str(caught.value)
    assert caught.value.exit_status == 2


def test_it_needs_a_table_of_peaks() -> None:
    """A file without the table is refused in one error that names what lacks."""
    opened = dataset(np.ones((2, 3, 4, 5), np.uint8), "y x ky kx")
    with pytest.raises(EmdvcError) as caught:
        run("strain", opened)
    assert "count" in str(caught.value)


def test_the_phantoms_truth_is_self_consistent() -> None:
    """F maps real-space vectors, its inverse transpose reciprocal ones: their products stay whole."""
    deformation = Deformation(0.03, -0.02, 0.01, 0.05)
    a, b = np.array([18.0, 1.0]), np.array([-2.0, 17.0])
    real = np.linalg.inv(np.stack([a, b])).T  # rows dual to a and b
    moved = real @ deformation.gradient().T
    reciprocal = np.array([deformation.of_reciprocal((a[0], a[1])), deformation.of_reciprocal((b[0], b[1]))])
    np.testing.assert_allclose(moved @ reciprocal.T, np.eye(2), atol=1e-12)
    phantom = LatticePhantom((2, 2), (64, 64))
    again = replace(phantom, seed=1)
    assert phantom.row(1).tobytes() == again.row(1).tobytes()
    assert phantom.row(1).tobytes() != replace(phantom, seed=2).row(1).tobytes()
    # all counts: 9 disks, the direct one double, and the background
    assert phantom.expected(0)[0].sum() == pytest.approx(10_000 + 0.05 * 64 * 64, rel=0.01)
