"""Virtual detectors of every shape, against plain NumPy masks and analytic areas."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, EmdvcError, StepError
from emdvc.steps.contract import Input, Metadata, Place, Reference
from emdvc.steps.label_plan import Mask, MaskSums
from emdvc.steps.registry import find

from .conftest import dataset, run

SHAPE = (33, 41)


def one(values: NDArray[Any], threads: int = 1, image: NDArray[Any] | None = None, **parameters: Any) -> Any:
    """Return the map of the only detector; `image` is what its mask refers to."""
    step = find("virtual_detector")
    references = {} if image is None else {"mask image": Reference({"m": image}, {"m": ("ky", "kx")}, {}, "mask.npy")}
    result = run_step(
        step,
        step.Parameters(**parameters),
        dataset(values, "frame ky kx"),
        name="scan",
        threads=threads,
        references=references,
    )
    (variable,) = result.variables
    return variable.values


@pytest.fixture
def counts() -> NDArray[np.uint16]:
    """Return eleven random patterns of 33 x 41 px."""
    return np.random.default_rng(1).integers(0, 60000, (11, *SHAPE)).astype(np.uint16)


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f4"])
def test_annuli_are_as_before(counts: NDArray[np.uint16], kind: str) -> None:
    """Hard annuli that overlap: integers of the data's kind, floats added label by label in the order of the labels."""
    frames = (counts % 251).astype(kind)
    found = run(
        "virtual_detector",
        dataset(frames, "frame ky kx"),
        detectors={"bf": {"outer": 8}, "abf": {"inner": 4, "outer": 8}, "all": {"inner": 0}},
        center="16.25,20.5",
    )
    y, x = np.mgrid[0:33, 0:41]
    squared = (y - 16.25) ** 2 + (x - 20.5) ** 2
    # pixels of none but `all` come first, then of bf and all, then of the three: the order of truth values
    labels = [(squared >= 64), (squared < 16), (squared >= 16) & (squared < 64)]
    sums = []
    for label in labels:
        total = np.zeros(11, "f8" if kind == "f4" else "i8")
        for pixel in np.argwhere(label):
            total += frames[:, pixel[0], pixel[1]]
        sums.append(total)
    assert (found["bf"].values == sums[1] + sums[2]).all()
    assert (found["abf"].values == sums[2]).all()
    assert (found["all"].values == (sums[0] + sums[1]) + sums[2]).all()
    assert found["bf"].values.dtype == {"u": "u8", "i": "i8", "f": "f8"}[kind[0]]


def test_azimuth_runs_from_kx_towards_ky() -> None:
    """A spot to the right (+kx) lies at 0 degrees, one below (+ky, the next rows) at 90."""
    frames = np.zeros((4, 33, 33), np.uint8)
    for frame, (y, x) in enumerate(((16, 26), (26, 16), (16, 6), (6, 16))):
        frames[frame, y, x] = 1
    for number, start in enumerate((-45, 45, 135, 225)):
        sector = one(frames, shape="sector", start=start, stop=f"{start + 90} deg", outer=14)
        assert sector.tolist() == [int(frame == number) for frame in range(4)]
    quadrants = run("virtual_detector", dataset(frames, "frame ky kx"), shape="segments", segments=4, rotation="-45")
    assert list(quadrants) == ["image_0", "image_1", "image_2", "image_3"]
    assert [quadrants[f"image_{i}"].values.tolist().index(1) for i in range(4)] == [0, 1, 2, 3]


def test_segments_see_where_a_disk_goes(disk: NDArray[np.uint16]) -> None:
    """Differences of opposite quadrants have the sign of the disk's shift, as differential phase contrast uses them."""
    quadrants = {"shape": "segments", "segments": 4, "rotation": "-45deg", "edge": "antialiased"}
    maps = run("virtual_detector", dataset(disk, "y x ky kx"), detectors={"dpc": quadrants}, center="16,20")
    right, down, left, up = (maps[f"dpc_{i}"].values for i in range(4))
    # per pixel of shift the disk's rim (R = 6 px, 50 counts a pixel) gains the integral of R cos(phi) over a quadrant
    # on one side and loses it on the other
    gain = 2 * math.sqrt(2) * 6 * 50
    assert (np.rint((right - left) / gain) == np.array([-2, -1, 0, 1])[None, :] + np.zeros((3, 1))).all()
    assert (np.rint((down - up) / gain) == np.array([-1, 0, 1])[:, None] + np.zeros(4)).all()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 12),
    st.one_of(st.floats(-400, 400), st.sampled_from([0.0, 45.0, 90.0, 30.0])),
    st.tuples(st.floats(3, 29), st.floats(3, 37)) | st.just((16.0, 20.0)),
    st.sampled_from(["hard", "antialiased"]),
)
def test_segments_share_every_pixel(number: int, rotation: float, center: tuple[float, float], edge: str) -> None:
    """The segments of an annulus add up to the annulus: exactly with hard edges, to 1/256 px per corner with soft."""
    frames = np.random.default_rng(2).integers(0, 60000, (2, *SHAPE)).astype(np.uint16)
    opened = dataset(frames, "frame ky kx")
    common = {"inner": "2.3px", "outer": "15px", "edge": edge}
    try:
        parts = run(
            "virtual_detector",
            opened,
            center=list(center),
            shape="segments",
            segments=number,
            rotation=rotation,
            **common,
        )
    except StepError as error:  # a segment of some pixels beyond the border may be empty
        assert "holds no pixel" in error.cause
        return
    ring = run("virtual_detector", opened, center=list(center), **common)["image"].values
    total = np.sum([part.values for part in parts.values()], axis=0)
    if edge == "hard":
        assert (total == ring).all()
    else:
        # where a segment's edge crosses the inner or outer circle, or another edge, a weight may be a part too large
        assert (np.abs(total - ring) <= 4 * number * 60000 / 256).all()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 360), min_size=2, max_size=6, unique=True), st.floats(3, 29), st.floats(3, 37))
def test_adjoining_sectors_neither_overlap_nor_leave_a_gap(angles: list[float], cy: float, cx: float) -> None:
    """Sectors around the circle, each from where the last one stops, hold every pixel once."""
    frames = np.random.default_rng(3).integers(0, 60000, (2, *SHAPE)).astype(np.uint16)
    opened = dataset(frames, "frame ky kx")
    angles = sorted(angles)
    total: Any = 0
    for start, stop in itertools.pairwise([*angles, angles[0] + 360]):
        if stop - start < 1e-3 or stop - start > 360 - 1e-3:
            return
        try:
            total += one(frames, shape="sector", start=start, stop=stop, center=[cy, cx])
        except StepError as error:
            assert "holds no pixel" in error.cause
    assert (total == run("virtual_image", opened)["image"].values).all()


def test_rectangle(counts: NDArray[np.uint16]) -> None:
    """The pixels whose middles lie in it, from its lower to below its upper edge; turned by 90 degrees it lies."""
    found = one(counts, shape="rectangle", size="4,7px", center="10,20")
    assert (found == counts[:, 8:12, 17:24].sum(axis=(1, 2), dtype="u8")).all()
    turned = one(counts, shape="rectangle", size="4,6px", center="10,20.5", rotation="90deg")
    assert (turned == counts[:, 7:13, 19:23].sum(axis=(1, 2), dtype="u8")).all()


def test_a_disk_is_an_annulus_without_an_inner_radius(counts: NDArray[np.uint16]) -> None:
    """Two names of one detector."""
    assert (one(counts, shape="disk", outer=7) == one(counts, outer=7)).all()


def test_point(counts: NDArray[np.uint16]) -> None:
    """The pixel whose middle is nearest to the centre."""
    assert (one(counts, shape="point", center="3.4,8.6") == counts[:, 3, 9]).all()
    assert (one(counts, shape="point") == counts[:, 16, 20]).all()


def test_image_masks(counts: NDArray[np.uint16]) -> None:
    """Truth values take pixels, whole numbers weigh them, fractions are rounded to 1/4096 of the power of two above."""
    random = np.random.default_rng(4)
    truth = random.random(SHAPE) < 0.3
    assert (one(counts, image=truth, shape="mask", mask="m.npy") == counts[:, truth].sum(axis=1, dtype="u8")).all()
    whole = random.integers(0, 256, SHAPE).astype(np.uint8)
    exact = (counts.astype(object) * whole).sum(axis=(1, 2))
    found = one(counts, image=whole, shape="mask", mask="m.npy")
    assert found.dtype == np.uint64 and (found == exact).all()
    signed = random.integers(-9, 9, SHAPE)
    found = one(counts, image=signed, shape="mask", mask="m.npy")
    assert found.dtype == np.int64 and (found == (counts.astype(object) * signed).sum(axis=(1, 2))).all()
    fractions = random.random(SHAPE)
    fractions[3, 4] = 1.0
    found = one(counts, image=fractions, shape="mask", mask="m.npy")
    rounded = np.rint(fractions * 4096).astype("i8")
    assert (found == (counts.astype("i8") * rounded).sum(axis=(1, 2)) / 4096).all()
    assert np.allclose(found, (counts * fractions).sum(axis=(1, 2)), rtol=1e-4)
    eighths = np.rint(fractions * 8) * 10 / 8  # weights up to 10: multiples of 1/256 are exact
    found = one(counts, image=eighths, shape="mask", mask="m.npy")
    assert (found == (counts * eighths).sum(axis=(1, 2))).all()


def test_a_mask_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: NDArray[Any]) -> None:
    """The path is a reference of the step, read by the format's reader; its dimensions may be those of a picture."""
    monkeypatch.chdir(tmp_path)
    mask = np.random.default_rng(6).random(SHAPE) < 0.5
    np.save("mask.npy", mask.astype(np.uint8))
    step = find("virtual_detector")
    parameters = step.Parameters(detectors={"m": {"shape": "mask", "mask": "mask.npy"}, "bf": {"outer": 5}})
    assert {role: wanted.path for role, wanted in step.references(parameters).items()} == {"mask m": "mask.npy"}
    maps = run("virtual_detector", dataset(disk, "y x ky kx"), **parameters.model_dump(exclude_defaults=True))
    assert (maps["m"].values == disk[..., mask].sum(axis=-1)).all()


@pytest.mark.parametrize(
    ("image", "code", "says"),
    [
        (np.ones((33, 40), bool), Code.STEP_DIMENSIONS, "33 x 41"),
        (np.zeros(SHAPE), Code.STEP_PARAMETER, "zero everywhere"),
        (np.full(SHAPE, np.nan), Code.STEP_PARAMETER, "ky=0, kx=0: nan"),
        (np.full(SHAPE, 2**40), Code.STEP_PARAMETER, "no weight"),
        (np.full(SHAPE, "a"), Code.STEP_PARAMETER, "holds no weights"),
    ],
)
def test_masks_that_are_refused(image: NDArray[Any], code: Code, says: str) -> None:
    """Each is one error with its cause and evidence."""
    with pytest.raises(EmdvcError) as caught:
        one(np.ones((2, *SHAPE), np.uint8), image=image, shape="mask", mask="m.npy")
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("radius", [0.5, 3.0, 7.5, 12.25, 15.9])
@pytest.mark.parametrize("center", ["16,20", "16.3,19.8"])
def test_an_antialiased_disk_has_its_area(radius: float, center: str) -> None:
    """On an even pattern the sum is pi R^2 counts: within the 1 / (100 R) that its documentation states."""
    found = one(np.ones((1, *SHAPE), np.uint16), outer=radius, center=center, edge="antialiased")
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(math.pi * radius**2, rel=1 / (100 * radius))
    assert found[0] * 256 == int(found[0] * 256)


def test_soft_weights_are_areas() -> None:
    """Each weight is within 1/512 of the part of its pixel that the detector covers (1600 points a pixel)."""
    shape = (21, 21)
    weights = np.stack(
        [
            one(
                (np.arange(441) == p).reshape(1, *shape).astype("u1"),
                edge="antialiased",
                shape="sector",
                start=20,
                stop=130,
                outer=8.3,
                center="10.2,9.7",
            )
            for p in range(441)
            if p // 21 < 19 and p % 21 > 1
        ]
    )
    fine = (np.arange(40) + 0.5) / 40 - 0.5
    y, x = ((np.arange(21)[:, None] + fine - c).reshape(-1) for c in (10.2, 9.7))
    phi = np.degrees(np.arctan2(y[:, None], x)) % 360
    inside = (y[:, None] ** 2 + x**2 < 8.3**2) & (phi >= 20) & (phi < 130)
    parts = inside.reshape(21, 40, 21, 40).mean(axis=(1, 3))
    kept = np.array([parts.reshape(-1)[p] for p in range(441) if p // 21 < 19 and p % 21 > 1])
    assert np.abs(weights[:, 0] - kept).max() < 4 / 512 + 1 / 40  # four roundings at a corner; the points' own error
    assert 0 < ((weights > 0) & (weights < 1)).sum() < 80


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.5, 20), min_size=2, max_size=5, unique=True), st.floats(3, 29), st.floats(3, 37))
def test_adjoining_soft_annuli_share_every_pixel(radii: list[float], cy: float, cx: float) -> None:
    """What one annulus leaves of a pixel the next one takes: together they are the disk, to the last part."""
    frames = np.random.default_rng(5).integers(0, 60000, (2, *SHAPE)).astype(np.uint16)
    edges = [0.0, *sorted(radii)]
    rings = {
        f"r{i}": {"inner": a, "outer": b, "edge": "antialiased"} for i, (a, b) in enumerate(itertools.pairwise(edges))
    }
    opened = dataset(frames, "frame ky kx")
    whole = {"whole": {"outer": edges[-1], "edge": "antialiased"}}
    try:
        maps = run("virtual_detector", opened, detectors=rings | whole, center=[cy, cx])
    except StepError as error:
        assert "holds no pixel" in error.cause
        return
    total = np.sum([maps[name].values for name in rings], axis=0)
    assert (total == maps["whole"].values).all()


def test_a_soft_rectangle_has_its_area() -> None:
    """Height times width, turned or not."""
    even = np.ones((1, *SHAPE), np.uint8)
    for rotation in (0, 27):
        found = one(
            even, shape="rectangle", size=[6.5, 9.25], rotation=rotation, center="16.1,20.3", edge="antialiased"
        )
        assert found[0] == pytest.approx(6.5 * 9.25, abs=0.1)


def test_every_detector_has_its_own_centre_and_unit(counts: NDArray[np.uint16]) -> None:
    """The common centre serves those that say none."""
    opened = dataset(counts, "frame ky kx", diffraction__pixel_size="0.02/angstrom")
    maps = run(
        "virtual_detector",
        opened,
        center="10,12",
        detectors={"a": {"outer": 3}, "b": {"outer": "0.0602/angstrom", "center": "20,30"}, "c": {"shape": "point"}},
    )
    y, x = np.mgrid[0:33, 0:41]
    assert (maps["a"].values == counts[:, (y - 10) ** 2 + (x - 12) ** 2 < 9].sum(axis=1, dtype="u8")).all()
    assert (maps["b"].values == counts[:, (y - 20) ** 2 + (x - 30) ** 2 < 9.06].sum(axis=1, dtype="u8")).all()
    assert (maps["c"].values == counts[:, 10, 12]).all()


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({"shape": "mask", "mask": "m.npy"}, ()),
        ({"shape": "point"}, ("diffraction.center",)),
        ({"shape": "point", "center": "1,2"}, ()),
        ({"shape": "sector", "start": 0, "stop": 90, "outer": "3mrad"}, ("beam.energy", "diffraction")),
        ({"detectors": {"a": {"outer": 3, "center": "1,2"}}}, ()),
        ({"detectors": {"a": {"outer": 3, "center": "1,2"}, "b": {"outer": 3}}}, ("diffraction.center",)),
        ({"shape": "rectangle", "size": "1,2 1/nm", "center": "1,2"}, ("diffraction",)),
    ],
)
def test_metadata_read(parameters: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Only what a shape needs."""
    step = find("virtual_detector")
    assert step.metadata(step.Parameters(**parameters)) == keys


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"shape": "sector", "start": 10, "outer": 5}, "needs `stop`"),
        ({"shape": "sector", "start": 10, "stop": 370}, "empty"),
        ({"shape": "disk", "inner": 3, "outer": 5}, "belongs to the shape annulus or sector or segments"),
        ({"outer": 5, "start": 3}, "belongs to the shape sector"),
        ({"shape": "segments", "segments": 1}, "greater than or equal to 2"),
        ({"shape": "rectangle", "size": [0, 4]}, "empty"),
        ({"shape": "rectangle", "size": 4}, "2 numbers"),
        ({"shape": "point", "edge": "antialiased"}, "no edge"),
        ({"shape": "star"}, "annulus"),
        ({"detectors": {"a": {"shape": "mask"}}}, "needs `mask`"),
        ({"detectors": {"a": {"inner": None}}}, "inner radius, an outer radius"),
        ({"edge": "antialiased", "detectors": {"a": {"outer": 3}}}, "not both"),
        ({"shape": "sector", "start": "3 nm", "stop": 5}, "deg"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    """A shape that lacks something, or is given what belongs to another, is refused before anything is read."""
    with pytest.raises(ValidationError) as caught:
        find("virtual_detector").Parameters(**parameters)
    assert says in str(caught.value)


def test_names_of_segments_must_be_free() -> None:
    """A detector cannot have the name of another one's segment."""
    detectors = {"a": {"shape": "segments", "segments": 2}, "a_1": {"outer": 3}}
    with pytest.raises(StepError, match="a_1"):
        run("virtual_detector", dataset(np.ones((1, 8, 8), "u1"), "frame ky kx"), detectors=detectors)


def _source(kind: str, pixels: int) -> Input:
    return Input(("frame", "energy"), (4, pixels), np.dtype(kind), Metadata({}, {}, ()))


@settings(deadline=None)
@given(st.sampled_from(["u1", "u2", "i2"]), st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_weighted_masks_are_exact(kind: str, pixels: int, number: int, seed: int) -> None:
    """Any whole weights, overlapping: the sums are those of integers of any size."""
    random = np.random.default_rng(seed)
    frames = random.integers(0, np.iinfo(kind).max, (3, pixels)).astype(kind)
    masks = {f"m{i}": random.integers(-3, 4, pixels) * random.integers(0, 300) for i in range(number)}
    plan = MaskSums(_source(kind, pixels), {name: Mask(mask) for name, mask in masks.items()}, {})
    maps = plan.block(frames, Place((slice(0, 3),))).maps
    for name, mask in masks.items():
        assert (maps[name] == (frames.astype(object) * mask).sum(axis=1)).all()


def test_sums_too_large_for_64_bits_become_floats() -> None:
    """32-bit counts with large weights on many pixels: the result is right to the last bits of a float."""
    frames = np.full((2, 4096), 2**32 - 1, np.uint32)
    weights = np.full(4096, 2**30)
    plan = MaskSums(_source("u4", 4096), {"m": Mask(weights)}, {})
    total = plan.block(frames, Place((slice(0, 2),))).maps["m"]
    assert total.dtype == np.float64
    assert total[0] == pytest.approx((2**32 - 1) * 2**42, rel=1e-15)


def test_soft_edges_cost_few_labels() -> None:
    """Pixels of equal weights share a label: a disk around a pixel's middle has eight-fold symmetry."""
    step = find("virtual_detector")
    source = Input(("frame", "ky", "kx"), (4, 129, 129), np.dtype("u2"), Metadata({}, {}, ()))
    plan = step.prepare(step.Parameters(outer=40, center="64,64", edge="antialiased"), source)  # type: ignore[attr-defined]
    assert plan.count < 60  # of 5000 pixels, some 320 at the edge


def test_threads_do_not_matter(counts: NDArray[np.uint16]) -> None:
    """One and two threads: the same bytes, of integers and of floats."""
    detectors = {
        "soft": {"outer": 9, "edge": "antialiased"},
        "quad": {"shape": "segments", "segments": 4, "inner": 3, "edge": "antialiased"},
        "box": {"shape": "rectangle", "size": [5, 9]},
    }
    for frames in (counts, counts.astype(np.float32) / 7):
        scan = np.broadcast_to(frames, (40, *frames.shape)).reshape(40, 11, *SHAPE)
        first, second = (
            run("virtual_detector", dataset(scan, "y x ky kx"), threads=n, detectors=detectors) for n in (1, 2)
        )
        assert len(first) == 6
        assert all(first[name].values.tobytes() == second[name].values.tobytes() for name in first)
