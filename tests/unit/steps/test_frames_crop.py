"""Parts of a scan: the very counts, at the very coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, ReadOptions, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.describe import describe
from emdvc.formats.results import write_result
from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

from .conftest import dataset, run

DIMS = "y x ky kx"


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    """Return 6 x 8 patterns of 12 x 20 px with any 16-bit counts."""
    return np.random.default_rng(2).integers(0, 65536, (6, 8, 12, 20)).astype(np.uint16)


@pytest.mark.parametrize(
    ("ranges", "part"),
    [
        ({"y": "1,4"}, np.s_[1:4]),
        ({"x": "7, 8 px"}, np.s_[:, 7:8]),
        ({"ky": [2, 12], "kx": "0,1px"}, np.s_[:, :, 2:12, 0:1]),
        ({"y": "2,6", "x": "1,3", "ky": "3,9", "kx": "10,20"}, np.s_[2:6, 1:3, 3:9, 10:20]),
    ],
)
@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_ranges_in_pixels_are_slices(frames: NDArray[np.uint16], ranges: dict[str, Any], part: Any, kind: str) -> None:
    """The values are the input's, bit for bit, in the input's type."""
    values = frames.astype(kind)
    found = run("crop", dataset(values, DIMS), threads=2, **ranges)["counts"]
    assert found.values.dtype == np.dtype(kind)
    assert (found.values == values[part]).all()


def calibrated(frames: NDArray[np.uint16]) -> Opened:
    """Return the scan with steps of (2, 0.5) nm and pixels of 0.02 1/angstrom around (5.5, 10.25)."""
    return dataset(
        frames,
        DIMS,
        scan__step="2,0.5nm",
        diffraction__pixel_size="0.02/angstrom",
        diffraction__center="5.5,10.25px",
        beam__energy="300keV",
    )


@pytest.mark.parametrize(
    ("ranges", "part"),
    [
        ({"y": "2,8nm"}, np.s_[1:4]),  # 2, 4, 6 nm; 8 nm is the first that does not belong
        ({"y": "0.002, 0.0081 um"}, np.s_[1:5]),
        ({"x": "0.4,2.6nm"}, np.s_[:, 1:6]),  # 0.5 to 2.5 nm
        ({"ky": "-0.05,0.05/angstrom"}, np.s_[:, :, 3:8]),  # -0.05 = pixel 3 belongs, 0.05 = pixel 8 does not
        ({"kx": "-0.5,1.3 1/nm"}, np.s_[:, :, :, 8:17]),  # 10.25 - 2.5 = 7.75 and 10.25 + 6.5 = 16.75
        ({"ky": "-1,1mrad"}, np.s_[:, :, 3:9]),  # a pixel is 0.02 * 19.6875 = 0.39375 mrad: 5.5 -+ 2.54
    ],
)
def test_ranges_in_units(frames: NDArray[np.uint16], ranges: dict[str, Any], part: Any) -> None:
    """A sample belongs to a range when its middle does; 300 keV electrons have 1.96875 pm."""
    found = run("crop", calibrated(frames), **ranges)["counts"].values
    assert found.shape == frames[part].shape
    assert (found == frames[part]).all()


@pytest.mark.parametrize(
    ("ranges", "code", "says"),
    [
        ({"y": "2,9"}, Code.STEP_PARAMETER, "0 to 6 px"),
        ({"kx": "-1,9"}, Code.STEP_PARAMETER, "reaches beyond"),
        ({"y": "3,3"}, Code.STEP_PARAMETER, "holds no sample"),
        ({"y": "4,2"}, Code.STEP_PARAMETER, "`start, stop`"),
        ({"y": "1.5,3"}, Code.STEP_PARAMETER, "whole samples"),
        ({"y": "0,13nm"}, Code.STEP_PARAMETER, "-1 to 11 nm"),
        ({"ky": "-0.2,0.1/angstrom"}, Code.STEP_PARAMETER, "-0.12 to 0.12 1/angstrom"),
        ({"x": "0.51,0.9nm"}, Code.STEP_PARAMETER, "holds no sample"),
        ({"frame": "0,1"}, Code.STEP_DIMENSIONS, "y, x, ky, kx"),
    ],
)
def test_what_is_refused(frames: NDArray[np.uint16], ranges: dict[str, Any], code: Code, says: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        run("crop", calibrated(frames), **ranges)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "key"),
    [({"y": "0,2nm"}, "scan.step"), ({"kx": "0,1mrad"}, "diffraction.pixel_size")],
)
def test_units_need_a_calibration(frames: NDArray[np.uint16], ranges: dict[str, Any], key: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        run("crop", dataset(frames, DIMS), **ranges)
    assert caught.value.code == Code.METADATA_MISSING
    assert f"--set {key}" in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [({}, "at least one range"), ({"y": "3"}, "2 numbers"), ({"ky": "1,2 nm"}, "px or 1/angstrom or mrad")],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        find("crop").Parameters(**parameters)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "keys"),
    [
        ({"y": "1,4"}, ("scan.offset",)),
        ({"y": "1,4nm"}, ("scan.offset", "scan.step")),
        ({"ky": "1,4"}, ("diffraction.center",)),
        ({"ky": "-1,4/nm", "x": "0,2"}, ("diffraction", "scan.offset")),
        ({"kx": "-1,4mrad"}, ("beam.energy", "diffraction")),
        ({"tilt": "1,4"}, ("axes.tilt",)),
    ],
)
def test_metadata_read(ranges: dict[str, Any], keys: tuple[str, ...]) -> None:
    """A range in px depends on where the origin lies, and on no calibration."""
    step = find("crop")
    assert step.metadata(step.Parameters(**ranges)) == keys


def test_a_part_of_a_tilt_series() -> None:
    """Tilts that are not evenly spaced stay with their frames."""
    values = np.arange(5 * 4 * 4, dtype=np.uint16).reshape(5, 4, 4)
    opened = dataset(values, "tilt ky kx")
    angles = Quantity((-40, -20, -5, 10, 30), "deg")
    opened.axes["tilt"] = Axis("tilt", 5, Role.STACK, values=angles)
    step = find("crop")
    result = run_step(step, step.Parameters(tilt="1,4"), opened, name="series")
    assert result.axes["tilt"].coordinates() == [-20, -5, 10]
    assert (result.variables[0].values == values[1:4]).all()
    opened.axes["tilt"] = Axis("tilt", 5, Role.STACK, scale=Quantity(0.5, "deg"), offset=Quantity(-1, "deg"))
    even = run_step(step, step.Parameters(tilt="3,5"), opened, name="series")
    assert even.axes["tilt"].coordinates() == [0.5, 1.0]


def test_a_detector_without_a_recorded_centre(frames: NDArray[np.uint16]) -> None:
    """Every step then takes the middle for it: after the cut the same pixels are the same radii."""
    opened = dataset(frames, DIMS)
    before = run("virtual_detector", opened, outer="4px")["image"].values
    step = find("crop")
    result = run_step(step, step.Parameters(ky="1,12", kx="4,16"), opened, name="scan")
    center = rec.quantity(result.own_record, "diffraction.center")
    assert center is not None and center.values == (4.5, 5.5)
    part = dataset(result.variables[0].values, DIMS, diffraction__center="4.5,5.5px")
    assert (run("virtual_detector", part, outer="4px")["image"].values == before).all()
    even = run_step(step, step.Parameters(ky="2,10", kx="4,16"), opened, name="scan")
    assert rec.quantity(even.own_record, "diffraction.center") is None  # the middle is still the middle


def test_one_and_two_threads_give_the_same_bytes(frames: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that begin within a chunk of the file: nothing is lost or read twice."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 10)
    array = MemoryArray(frames)
    array.chunks = (4, 3, 12, 20)
    whole = dataset(frames, DIMS)
    opened = Opened((Variable("counts", ("y", "x", "ky", "kx"), array, "counts"),), whole.axes, whole.record)
    for threads in (1, 2):
        found = run("crop", opened, threads=threads, y="1,6", x="2,8", ky="3,4")["counts"].values
        assert found.tobytes() == np.ascontiguousarray(frames[1:6, 2:8, 3:4]).tobytes()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return a phantom on disk with its sidecar."""
    path = write_zarr(tmp_path / "raw" / "scan.zarr", DiffractionPhantom((8, 6), (32, 32)))
    opened, _ = open_lazy(path)
    sidecars.write(path, describe(opened, options=ReadOptions(), files=[], digests={}))
    opened.close()
    return path


def crop_on_disk(source: Path, target: Path, step: str, **parameters: Any) -> None:
    """Run a step from file to file, as a stage does."""
    opened, _ = open_lazy(source)
    chosen = find(step)
    result = run_step(chosen, chosen.Parameters(**parameters), opened, name=source.name, threads=2)
    opened.close()
    write_result(target, result, source=source)


def coordinates(path: Path) -> dict[str, list[float]]:
    """Return the coordinates of a dataset on disk, in nm and 1/angstrom."""
    opened, _ = open_lazy(path)
    opened.close()
    assert [axis.unit for axis in opened.axes.values()] == ["nm", "nm", "1/angstrom", "1/angstrom"]
    return {dim: axis.coordinates() for dim, axis in opened.axes.items()}


def test_a_part_keeps_its_place_on_disk(raw: Path, tmp_path: Path) -> None:
    """From file to file, and a part of that part: every sample keeps its coordinates, as does a map made of it."""
    whole = coordinates(raw)
    first, second = tmp_path / "results" / "part.zarr", tmp_path / "results" / "less.zarr"
    crop_on_disk(raw, first, "crop", y="2,7", x="1,6", ky="4,28", kx="6,30")
    part = coordinates(first)
    for dim, (start, stop) in {"y": (2, 7), "x": (1, 6), "ky": (4, 28), "kx": (6, 30)}.items():
        assert part[dim] == pytest.approx(whole[dim][start:stop], abs=1e-12)
    crop_on_disk(first, second, "crop", y="3,6nm", kx="-0.05,0.1/angstrom")
    less = coordinates(second)
    assert less["y"] == pytest.approx([3.0, 4.5])
    assert less["x"] == part["x"]
    assert less["kx"] == pytest.approx([k for k in whole["kx"] if -0.05 <= k < 0.1])
    opened, sidecar = open_lazy(second)
    counts = opened.variable().array.read(tuple(slice(0, n) for n in opened.variable().array.shape))
    opened.close()
    scan = np.stack(list(DiffractionPhantom((8, 6), (32, 32)).rows()))
    columns = [whole["kx"].index(min(whole["kx"], key=lambda k: abs(k - one))) for one in less["kx"]]
    assert (counts == scan[2:4, 1:6, 4:28][..., columns]).all()
    offset = rec.quantity(sidecar.record, "scan.offset")
    assert offset is not None and offset.values == (2, 1)
    image = tmp_path / "results" / "image.zarr"
    crop_on_disk(second, image, "virtual_image")
    opened, _ = open_lazy(image)
    opened.close()
    assert opened.axes["y"].coordinates() == pytest.approx([3.0, 4.5])


def test_a_corrected_calibration_reaches_the_part(raw: Path, tmp_path: Path) -> None:
    """The step of the raw scan is corrected in its sidecar: the part follows at once, its place included."""
    part = tmp_path / "part.zarr"
    crop_on_disk(raw, part, "crop", y="2,7")
    assert coordinates(part)["y"] == pytest.approx([3.0, 4.5, 6.0, 7.5, 9.0])
    kept = sidecars.read(raw)
    rec.put(kept.record, "scan.step", Quantity((2.0, 2.0), "nm"))
    sidecars.write(raw, kept)
    assert coordinates(part)["y"] == pytest.approx([4.0, 6.0, 8.0, 10.0, 12.0])


def test_binning_a_part(raw: Path, tmp_path: Path) -> None:
    """A part, then 2 x 2 x 2 x 2: each block lies in the middle of its samples, in the coordinates of the whole."""
    whole = coordinates(raw)
    part, binned = tmp_path / "part.zarr", tmp_path / "binned.zarr"
    crop_on_disk(raw, part, "crop", y="1,7", x="2,6", ky="4,28", kx="6,30")
    crop_on_disk(part, binned, "rebin", scan=2, detector=2)
    found = coordinates(binned)
    for dim, (start, stop) in {"y": (1, 7), "x": (2, 6), "ky": (4, 28), "kx": (6, 30)}.items():
        middles = np.array(whole[dim][start:stop]).reshape(-1, 2).mean(axis=1)
        assert found[dim] == pytest.approx(middles.tolist(), abs=1e-12)
