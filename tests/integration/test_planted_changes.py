"""Planted changes, each with the verdict that a microscopist would give and what must be said of it.

Every change is planted in a dataset of its own in one project: added, committed, changed, committed, and compared.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from command_line import Emdvc
from numpy.typing import NDArray

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.project import ProjectDifference, compare_datasets, compare_revisions
from emdvc.compare.verdict import Verdict
from emdvc.history.adding import Request, add
from emdvc.history.project import Project
from emdvc.testing.phantoms import DiffractionPhantom

Array = NDArray[Any]
Check = Callable[[DatasetDifference], bool]
DIMS = ("y", "x", "ky", "kx")
PHANTOM = DiffractionPhantom(scan_shape=(64, 64), detector_shape=(32, 32), brightness=20.0)
SMALL = DiffractionPhantom(scan_shape=(16, 12), detector_shape=(32, 32), brightness=20.0)


def scan(phantom: DiffractionPhantom = SMALL) -> Array:
    return np.stack(list(phantom.rows()))


def write(path: Path, values: Array, dims: tuple[str, ...] = DIMS, **how: Any) -> None:
    """Write a store, in chunks of whole frames unless told otherwise."""
    shutil.rmtree(path, ignore_errors=True)
    version = how.pop("zarr_format", 3)
    attributes = how.pop("attributes", {})
    chunks = how.pop(
        "chunks", tuple(min(n, 8) if dim in ("y", "x") else n for n, dim in zip(values.shape, dims, strict=True))
    )
    group = zarr.create_group(path, zarr_format=version, attributes=attributes)
    naming = {"dimension_names": dims} if version == 3 else {}
    array = group.create_array("counts", shape=values.shape, dtype=values.dtype, chunks=chunks, **naming, **how)
    if version == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
    array[...] = values


@dataclass(frozen=True)
class Planted:
    """One change.

    Parameters
    ----------
    before, after
        Write the data; an absent `after` leaves the bytes.
    settings
        What is set in the record at the second commit.
    edit
        Changes the sidecar's text at the second commit.
    verdict
        What must be found; None: no difference at all.
    check
        What else must hold.
    suffix
        Of the file.
    """

    verdict: Verdict | None
    before: Callable[[Path], None] = lambda path: write(path, scan())
    after: Callable[[Path], None] | None = None
    settings: tuple[str, ...] = ()
    edit: Callable[[str], str] | None = None
    check: Check = lambda found: True
    suffix: str = ".zarr"


def three_redrawn(path: Path) -> None:
    """Write the scan with three patterns drawn anew from the very same rates."""
    values, again = scan(PHANTOM), replace(PHANTOM, seed=2)
    for y, x in ((3, 5), (40, 17), (63, 63)):
        values[y, x] = again.row(y)[x]
    write(path, values)


def edited(change: Callable[[Array], Any], phantom: DiffractionPhantom = SMALL) -> Callable[[Path], None]:
    def after(path: Path) -> None:
        values = scan(phantom)
        changed = change(values)
        write(path, values if changed is None else np.ascontiguousarray(changed))

    return after


def one(found: DatasetDifference, **expected: Any) -> bool:
    """Say whether the only array's numbers differ as expected."""
    (change,) = found.values
    return all(getattr(change, name) == value for name, value in expected.items())


def float_scan(path: Path, planted: float | None = None, factor: float = 1.0) -> None:
    values = scan().astype("f4") * np.float32(factor)
    if planted is not None:
        values[2, 3, 4, 5] = planted
    write(path, values)


def npy(path: Path, order: Any = "C") -> None:
    np.save(path, np.asarray(scan(), order=order))


SHARDED = {"chunks": (4, 4, 32, 32), "shards": (8, 12, 32, 32)}
TABLE = {
    "unit_spelling": Planted(None, settings=("beam.energy=0.2MeV",)),
    "kilovolt": Planted(None, edit=lambda text: text.replace("value: 200, unit: keV", "value: 200, unit: kV")),
    "step_ten_percent": Planted(
        Verdict.CALIBRATION, settings=("scan.step=0.88,0.88nm",),
        check=lambda d: d.record[0].percent == pytest.approx((10.0, 10.0)) and {a.dim for a in d.axes} == {"y", "x"},
    ),
    "center": Planted(Verdict.CALIBRATION, settings=("diffraction.center=15,16px",)),
    "energy": Planted(
        Verdict.CALIBRATION, settings=("beam.energy=300keV",), check=lambda d: d.record[0].percent == (50.0,)
    ),
    "operator": Planted(
        Verdict.METADATA, settings=("operator=M. Knoll",), check=lambda d: d.record[0].key == "operator"
    ),
    "elements": Planted(Verdict.METADATA, settings=("sample.elements=Au,C",)),
    "origin": Planted(Verdict.METADATA, settings=("beam.energy=200keV",), check=lambda d: d.record[0].origin_only),
    "volatile": Planted(None, settings=("acquired_at=2020-02-02T10:00:00+01:00",)),
    "dead_column": Planted(
        Verdict.VALUES, after=edited(lambda x: x.__setitem__((..., 16), 0)),
        check=lambda d: one(d, positions=16 * 12, nan_after=0) and d.values[0].noise.p_value < 1e-9,
    ),
    "three_redrawn": Planted(
        Verdict.NOISE_EQUIVALENT, before=lambda p: write(p, scan(PHANTOM)), after=three_redrawn,
        check=lambda d: one(d, positions=3, chunks=3, box=(("y", 3, 63), ("x", 5, 63))),
    ),
    "one_count_more": Planted(
        Verdict.VALUES, after=edited(lambda x: x.__setitem__((9, 4, 2, 3), x[9, 4, 2, 3] + 1)),
        check=lambda d: one(d, positions=1, differing=1, largest=1.0, box=(("y", 9, 9), ("x", 4, 4)), chunks=1),
    ),
    "recompressed": Planted(
        Verdict.ENCODING, after=lambda p: write(p, scan(), compressors=zarr.codecs.GzipCodec(level=1)),
        check=lambda d: one(d, differing=0, compared=scan().size),
    ),
    "rechunked": Planted(Verdict.ENCODING, after=lambda p: write(p, scan(), chunks=(16, 3, 16, 32))),
    "resharded": Planted(Verdict.ENCODING, after=lambda p: write(p, scan(), **SHARDED)),
    "zarr_2": Planted(Verdict.ENCODING, after=lambda p: write(p, scan(), zarr_format=2)),
    "big_endian": Planted(
        Verdict.ENCODING,
        after=lambda p: write(p, scan(), serializer=zarr.codecs.BytesCodec(endian="big")),
    ),
    "npy_order": Planted(Verdict.ENCODING, before=npy, after=lambda p: npy(p, "F"), suffix=".npy"),
    "transposed": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x.swapaxes(0, 1)),
        check=lambda d: one(d, arrangement="y and x exchanged"),
    ),
    "detector_transposed": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x.swapaxes(2, 3)),
        check=lambda d: one(d, arrangement="ky and kx exchanged"),
    ),
    "flipped": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x[:, :, ::-1]), check=lambda d: one(d, arrangement="ky reversed")
    ),
    "widened": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x.astype("u4")),
        check=lambda d: one(d, differing=0) and d.variables[0].aspects[0] == "dtype",
    ),
    "cropped": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x[:-1]), check=lambda d: one(d, arrangement="cut to y 0:15")
    ),
    "binned": Planted(
        Verdict.STRUCTURE, after=edited(lambda x: x.reshape(16, 12, 16, 2, 16, 2).sum(axis=(3, 5))),
        check=lambda d: not d.values,
    ),
    "nan": Planted(
        Verdict.VALUES, before=float_scan, after=lambda p: float_scan(p, np.nan),
        check=lambda d: one(d, nan_before=0, nan_after=1, differing=1, positions=1),
    ),
    "within_tolerance": Planted(
        Verdict.WITHIN_TOLERANCE, before=float_scan, after=lambda p: float_scan(p, None, 1.0 + 1e-6),
        check=lambda d: d.values[0].outside == 0 and d.values[0].tolerance.rtol == 1e-5,
    ),
    "beyond_tolerance": Planted(
        Verdict.VALUES, before=float_scan, after=lambda p: float_scan(p, None, 1.0 + 1e-4),
        check=lambda d: d.values[0].outside > 0,
    ),
    "vendor_key": Planted(
        Verdict.METADATA, before=lambda p: write(p, scan(), attributes={"Gain": 1, "Shutter": "open"}),
        after=lambda p: write(p, scan(), attributes={"Gain": 2, "Shutter": "open"}),
        check=lambda d: [c.key for c in d.vendor] == ["attributes.Gain"] and not d.values,
    ),
    "unchanged": Planted(None),
}  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> ProjectDifference:
    """Return the difference of a project before and after everything was planted."""
    top = tmp_path_factory.mktemp("planted")
    Emdvc(top)("init", top / "project")
    machine.chdir(top / "project")
    settings = (
        "beam.energy=200keV",
        "scan.step=0.8,0.8nm",
        "diffraction.center=15.25,16.25px",
        "operator=B. v. Borries",
    )
    for name, change in TABLE.items():
        source = top / f"{name}{change.suffix}"
        change.before(source)
        # the file itself says 200 keV where only the origin is planted
        add(Request(str(source), settings=(*settings, "acquired_at=2020-02-02T09:00:00+01:00")))
    for name in ("deleted", "renamed"):
        write(top / f"{name}.zarr", scan() + (name == "deleted"))
        add(Request(str(top / f"{name}.zarr"), settings=settings))
    config = Path(".emdvc/config.yaml")
    said = "compare:\n  volatile: [acquired_at]\n  tolerance:\n    raw/*_tolerance.zarr: {rtol: 1.0e-5}\n"
    config.write_text(config.read_text() + said)
    origin = Path("raw/origin.zarr.em.yaml")
    origin.write_text(
        origin.read_text().replace("value: 200, unit: keV, origin: user", "value: 200, unit: keV, origin: file")
    )
    commit("before")
    for name, change in TABLE.items():
        source = top / f"{name}{change.suffix}"
        if change.after is not None:
            change.after(source)
            add(Request(str(source), replace="planted"))
        if change.settings:
            add(Request(f"raw/{source.name}", settings=change.settings))
        if change.edit is not None:
            sidecar = Path(f"raw/{source.name}.em.yaml")
            text = sidecar.read_text()
            assert change.edit(text) != text
            sidecar.write_text(change.edit(text))
    for name in ("deleted", "renamed"):
        for file in (f"raw/{name}.zarr.em.yaml", f"raw/{name}.zarr.dvc"):
            Path(file).unlink()
    shutil.copytree(top / "renamed.zarr", top / "new_name.zarr")
    add(Request(str(top / "new_name.zarr"), settings=settings))
    write(top / "added.zarr", scan() + 2)
    add(Request(str(top / "added.zarr"), settings=settings))
    commit("after")
    return compare_revisions(Project.find(), "HEAD~1", "HEAD")


def commit(message: str) -> None:
    # past the hook, which refuses what some of these changes do: dropping raw data
    for command in (["add", "-A"], ["commit", "-q", "--no-verify", "-m", message]):
        subprocess.run(["git", *command], check=True)


def found_in(difference: ProjectDifference, name: str) -> DatasetDifference | None:
    return next((d for d in difference.datasets if PurePosixPath(d.path).stem == name), None)


@pytest.mark.parametrize("name", TABLE)
def test_planted(planted: ProjectDifference, name: str) -> None:
    change, found = TABLE[name], found_in(planted, name)
    if change.verdict is None:
        assert found is None, found
        return
    assert found is not None and not found.unread, found
    assert found.verdict is change.verdict, found
    assert change.check(found), found


def test_deleted_renamed_added(planted: ProjectDifference) -> None:
    deleted, renamed, added = (found_in(planted, name) for name in ("deleted", "new_name", "added"))
    assert deleted is not None and (deleted.status, deleted.verdict) == ("removed", Verdict.STRUCTURE)
    assert added is not None and (added.status, added.verdict) == ("added", Verdict.STRUCTURE)
    assert renamed is not None and (renamed.status, renamed.verdict) == ("renamed", Verdict.METADATA)
    assert str(renamed.before_path) == "raw/renamed.zarr" and found_in(planted, "renamed") is None


def test_nothing_else_is_reported(planted: ProjectDifference) -> None:
    expected = {name for name, change in TABLE.items() if change.verdict is not None} | {"deleted", "new_name", "added"}
    assert {PurePosixPath(d.path).stem for d in planted.datasets} == expected
    assert planted.compared == len(TABLE) + 3


def test_no_false_alarm_on_a_hundred_encodings(tmp_path: Path) -> None:
    """A hundred random ways to store the same numbers: never more than encoding only."""
    rng = np.random.default_rng(2)
    values = rng.poisson(2.0, (6, 5, 16, 16)).astype("u2")
    write(tmp_path / "scan.zarr", values)
    wrong = []
    for number in range(100):
        how = random_encoding(rng, values.shape)
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder / "scan.zarr", values, **how)
        found = compare_datasets(str(tmp_path / "scan.zarr"), str(folder / "scan.zarr"))
        if found.verdict is not Verdict.ENCODING:
            wrong.append((found.verdict, how))
        shutil.rmtree(folder)
    assert wrong == []


def random_encoding(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    inner = tuple(int(rng.integers(1, n + 1)) for n in shape)
    compressors: list[Any] = [
        None,
        zarr.codecs.ZstdCodec(level=int(rng.integers(1, 6))),
        zarr.codecs.GzipCodec(level=int(rng.integers(1, 6))),
        zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle", clevel=int(rng.integers(1, 6))),
        zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle", clevel=3),
    ]
    if rng.random() < 0.2:
        import numcodecs

        return {
            "zarr_format": 2,
            "chunks": inner,
            "order": str(rng.choice(["C", "F"])),
            "compressors": numcodecs.Zlib(3),
        }
    how: dict[str, Any] = {
        "chunks": inner,
        "compressors": compressors[rng.integers(len(compressors))],
        "serializer": zarr.codecs.BytesCodec(endian=str(rng.choice(["big", "little"]))),
        "fill_value": int(rng.integers(0, 3)),
    }
    if rng.random() < 0.3:
        how["shards"] = tuple(c * int(rng.integers(1, 3)) for c in inner)
    if rng.random() < 0.3:
        how["filters"] = [zarr.codecs.TransposeCodec(order=tuple(int(i) for i in rng.permutation(len(shape))))]
    return how


# --- measured files --------------------------------------------------------------------------------------------------


def _pixel_in_hdf5(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        data = file["fpd_expt/fpd_data/data"]
        data[1, 0, 0, 100, 100] = int(data[1, 0, 0, 100, 100]) + 9


def _recompressed_hdf5(path: Path) -> None:
    again = path.with_name("again.h5")
    with h5py.File(path) as old, h5py.File(again, "w") as new:

        def copy(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                how = {"compression": "lzf", "chunks": True} if node.ndim > 1 else {}
                new.create_dataset(name, data=node[()], **how)
            else:
                new.require_group(name)
            new[name].attrs.update(node.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    again.replace(path)


def _byte(path: Path, place: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([value]))


MEASURED: dict[str, tuple[str, Callable[[Path], None], Verdict, Check]] = {
    "one pixel of a Merlin scan": (
        "fpd_merlin_2x2x256x256.hdf5", _pixel_in_hdf5, Verdict.VALUES,
        lambda d: any(c.positions == 1 and c.box == (("y", 1, 1), ("x", 0, 0)) for c in d.values),
    ),
    "a spectrum image compressed anew": (
        "SiO2_EDS_Spectrum_Image.hspy", _recompressed_hdf5, Verdict.ENCODING, lambda d: d.values[0].differing == 0
    ),
    "one byte of a blockfile's last pattern": (
        "astar_3x2x144x144.blo", lambda path: _byte(path, path.stat().st_size - 1000, 255), Verdict.VALUES,
        lambda d: d.values[0].positions == 1 and d.values[0].differing == 1,
    ),
    "one byte of a tilt series": (
        "tilt_HAADF.mrc", lambda path: _byte(path, path.stat().st_size - 1, 127), Verdict.VALUES,
        lambda d: d.values[0].differing == 1 and d.values[0].scan[0] == ("tilt", 77),
    ),
    "the same file": ("bi_polycryst.dm4", lambda path: None, Verdict.IDENTICAL, lambda d: True),
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_measured_files(realdata: Path, tmp_path: Path, name: str) -> None:
    file, change, verdict, check = MEASURED[name]
    paths = [tmp_path / folder / file for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        shutil.copyfile(realdata / file, path)
    change(paths[1])
    # the Merlin file holds many arrays: which one is meant must be said
    inner = "::/fpd_expt/fpd_data/data" if file.startswith("fpd") else ""
    found = compare_datasets(*(f"{path}{inner}" for path in paths))
    assert found.verdict is verdict, found
    if verdict is not Verdict.IDENTICAL:
        assert check(found.datasets[0]), found
    assert [path.name for path in paths[0].parent.iterdir()] == [file]
