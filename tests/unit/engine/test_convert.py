"""A converted dataset holds the same numbers, in the same bytes for any number of threads, whatever its form."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.engine import convert as module
from emdvc.engine.convert import Source, convert, foresee
from emdvc.engine.convert_blocks import LARGEST, ConvertBlocks
from emdvc.engine.frame_sums import FrameSums
from emdvc.errors import Code, ConflictError, FormatError, InternalError, StepError, UsageError
from emdvc.formats.arrays import MemoryArray, ZarrArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.converting import CHUNK, FILES, Form, automatic, automatic_shard, clashing, store_path
from emdvc.formats.dataset import open_lazy
from emdvc.formats.digest import array_digest
from emdvc.formats.region import whole
from emdvc.formats.registry import open_file
from emdvc.formats.sidecar import read
from emdvc.formats.zarr_codecs import Blosc
from emdvc.formats.zarr_keys import chunk_keys
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Quantity

ROLES = {
    "y": Role.SCAN,
    "x": Role.SCAN,
    "ky": Role.DETECTOR,
    "kx": Role.DETECTOR,
    "energy": Role.SPECTRUM,
    "time": Role.STACK,
}


def dataset(values: np.ndarray, dims: str, name: str = "counts", record: dict | None = None) -> Opened:
    axes = {
        dim: Axis(dim, size, ROLES[dim], calibration=CALIBRATED_BY.get((ROLES[dim], dim)))
        for dim, size in zip(dims.split(), values.shape, strict=True)
    }
    if "energy" in axes:
        axes["energy"] = Axis("energy", axes["energy"].size, Role.SPECTRUM, Quantity(0.5, "eV"), Quantity(350.0, "eV"))
    return Opened(
        (Variable(name, tuple(dims.split()), MemoryArray(values), "counts"),), axes, record or {}, {"a": 1}, "x@1"
    )


def source(opened: Opened, tmp_path: Path, **kwargs) -> Source:
    return Source(opened, "raw/scan.mib", kwargs.pop("digests", {}), tmp_path / "raw" / "scan.mib", **kwargs)


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


SCAN = np.random.default_rng(3).poisson(2, (11, 9, 12, 10)).astype("u2")


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(2, 12), st.integers(2, 12), st.integers(4, 13), st.integers(4, 11)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    st.sampled_from(("none", "blosc-lz4", "blosc-zstd-1", "blosc-lz4-9-shuffle", "zstd-1")),
    st.booleans(),
    st.sampled_from(("frame", "pixel")),
    st.sampled_from(("u1", "u2", "i4", "f4", "f8", "c8", "bool")),
)
def test_any_form_holds_the_same_numbers(tmp_path_factory, chunk, times, codec, sharded, layout, dtype) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    values = SCAN.astype(dtype)
    chunk = tuple(min(c, n) for c, n in zip(chunk, values.shape, strict=True))
    shard = tuple("all" if c * t >= n else c * t for c, t, n in zip(chunk, times, values.shape, strict=True))
    form = Form(",".join(map(str, chunk)), codec, ",".join(map(str, shard)) if sharded else "none", layout)
    sidecar = convert(source(dataset(values, "y x ky kx"), tmp_path), tmp_path / "a.zarr", form, threads=2)
    assert sidecar.variables["counts"].digest == array_digest(values)
    stored = zarr.open_group(tmp_path / "a.zarr", mode="r")["counts"]
    assert stored.dtype == values.dtype
    assert stored.chunks == chunk
    assert np.array_equal(stored[...], values), "zarr-python reads it"
    assert stored.metadata.dimension_names == ("y", "x", "ky", "kx")
    ours = open_file(tmp_path / "a.zarr").variable("counts").array
    assert set(chunk_keys(ours, whole(ours))) == {
        f"counts/{p.name}" for p in (tmp_path / "a.zarr/counts").iterdir()
    } - {"counts/zarr.json"}


@pytest.mark.parametrize("form", [Form("3,3,all,all"), Form("3,3,5,5", "blosc-zstd-3", "6,6,all,10", "pixel")])
def test_the_same_bytes_for_any_number_of_threads_and_any_memory(tmp_path: Path, form: Form) -> None:
    opened = dataset(SCAN, "y x ky kx")
    made = []
    for number, (threads, memory) in enumerate(((1, None), (2, None), (5, None), (3, 3 * SCAN.nbytes))):
        out = tmp_path / str(number) / "a.zarr"
        convert(source(opened, tmp_path), out, form, threads=threads, memory=memory)
        made.append(tree(out.parent))
    assert all(one == made[0] for one in made)


def test_bytes_are_those_of_this_version(tmp_path: Path) -> None:
    """What does not pass a compressor is ours to the last byte; a change of it is a change of the step's version."""
    values = np.arange(2 * 3 * 4 * 5, dtype="u2").reshape(2, 3, 4, 5)
    convert(source(dataset(values, "y x ky kx"), tmp_path), tmp_path / "a.zarr", Form("1,2,all,all", "none"))
    assert (tmp_path / "a.zarr/counts/0.1.0.0").read_bytes() == values[0:1, 2:3].tobytes() + bytes(40)
    assert hashlib.md5((tmp_path / "a.zarr/counts/zarr.json").read_bytes()).hexdigest() == MD5_OF_METADATA


MD5_OF_METADATA = "b989230793001003e9b768d1a104beb2"


def test_a_result_refers_to_its_source(tmp_path: Path) -> None:
    opened = dataset(SCAN, "y x ky kx", record={"beam": {"energy": Quantity(200.0, "keV")}})
    known = array_digest(SCAN)
    inherits = tmp_path / "raw/scan.mib"
    convert(source(opened, tmp_path, inherits=inherits, digests={"counts": known}), tmp_path / "data/a.zarr", Form())
    sidecar = read(tmp_path / "data/a.zarr")
    assert sidecar.inherits == "../raw/scan.mib"
    assert sidecar.record == {} and sidecar.vendor == {}
    assert {axis.calibration for axis in sidecar.axes.values()} == {"scan.step", "diffraction.pixel_size"}
    assert sidecar.kind == "result"
    assert sidecar.provenance["inputs"] == {"raw/scan.mib": {"digest": known}}
    assert sidecar.provenance["parameters"] == {
        "chunks": "auto",
        "codec": Form().codec,
        "shards": "auto",
        "layout": "frame",
    }
    assert sorted(p.name for p in (tmp_path / "data/a.zarr").iterdir()) == ["counts", "zarr.json"]


def test_a_result_that_stands_alone_says_everything(tmp_path: Path) -> None:
    record = {"beam": {"energy": Quantity(200.0, "keV")}, "scan": {"step": Quantity((2.0, 2.0), "nm")}}
    opened = dataset(SCAN[:, :, 0], "y x energy", "eels", record)
    convert(source(opened, tmp_path), tmp_path / "a.zarr", Form())
    sidecar = read(tmp_path / "a.zarr")
    assert sidecar.inherits is None
    assert sidecar.record["beam"]["energy"] is not None and sidecar.vendor == {"a": 1}
    assert sidecar.axes["energy"].scale == Quantity(0.5, "eV")
    (tmp_path / "a.zarr.em.yaml").unlink()
    again, described = open_lazy(tmp_path / "a.zarr")  # without the sidecar the store itself still says it
    assert [variable.name for variable in again.variables] == ["eels"]
    assert again.axes["energy"].coordinates() == [350.0 + 0.5 * i for i in range(10)]
    assert described.record["scan"]["step"] is not None
    assert again.axes["x"].unit == "nm"


def test_what_does_not_read_back_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Blosc.encode
    seen = []

    def broken(self, content):
        seen.append(content)
        content = content.copy()
        content[0] ^= len(seen) == 2  # one bit of one chunk
        return encode(self, content)

    monkeypatch.setattr(Blosc, "encode", broken)
    with pytest.raises(InternalError, match="read back"):
        convert(source(dataset(SCAN, "y x ky kx"), tmp_path), tmp_path / "out/a.zarr", Form("4,4,all,all"))
    assert len(seen) == 9
    assert list((tmp_path / "out").iterdir()) == []


def test_a_source_that_is_not_what_its_sidecar_says(tmp_path: Path) -> None:
    other = source(dataset(SCAN, "y x ky kx"), tmp_path, digests={"counts": array_digest(SCAN + 1)})
    with pytest.raises(FormatError, match="not what its sidecar says"):
        convert(other, tmp_path / "out/a.zarr", Form())
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    opened = dataset(SCAN, "y x ky kx")
    (tmp_path / "raw/scan.mib").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "b.zarr.dvc").touch()
    for out in ("raw/scan.mib", "raw/scan.mib/a.zarr", "raw", "notes", "b.zarr"):
        with pytest.raises(ConflictError) as caught:
            convert(source(opened, tmp_path), tmp_path / out, Form())
        assert caught.value.code == Code.RAW_EXISTS
    convert(source(opened, tmp_path), tmp_path / "a.zarr", Form())
    (tmp_path / "a.zarr/old").touch()
    convert(source(opened, tmp_path), tmp_path / "a.zarr", Form("2,2,all,all"))
    assert not (tmp_path / "a.zarr/old").exists()


def test_an_old_result_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = dataset(SCAN, "y x ky kx")
    convert(source(opened, tmp_path), tmp_path / "out/a.zarr", Form())
    before = tree(tmp_path / "out")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_one_block", fails)
    with pytest.raises(OSError, match="No space"):
        convert(source(opened, tmp_path), tmp_path / "out/a.zarr", Form("2,2,all,all"))
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("form", "says"),
    [
        (Form("8,8,all"), "does not fit"),
        (Form("4,4,all,all", shards="6,8,all,all"), "cuts chunks"),
        (Form(shards="4,4"), "does not fit"),
    ],
)
def test_a_form_that_does_not_fit(tmp_path: Path, form: Form, says: str) -> None:
    with pytest.raises(StepError, match=says) as caught:
        convert(source(dataset(SCAN, "y x ky kx"), tmp_path), tmp_path / "a.zarr", form)
    assert caught.value.evidence and caught.value.hint
    assert not (tmp_path / "a.zarr").exists()


def test_arrays_that_would_lie_in_each_other(tmp_path: Path) -> None:
    opened = dataset(SCAN, "y x ky kx", "a")
    opened.variables = (*opened.variables, Variable("a/b", ("y", "x"), MemoryArray(SCAN[:, :, 0, 0])))
    with pytest.raises(StepError, match="both be stored"):
        convert(source(opened, tmp_path), tmp_path / "a.zarr", Form())
    assert clashing(["a", "ab", "b/a"]) is None
    assert clashing(["A", "a"]) == "a"


def test_several_arrays_in_groups(tmp_path: Path) -> None:
    opened = dataset(SCAN, "y x ky kx", "expt/data")
    opened.variables = (*opened.variables, Variable("expt/sum: 1", ("y", "x"), MemoryArray(SCAN.sum(axis=(2, 3)))))
    sidecar = convert(source(opened, tmp_path), tmp_path / "a.zarr", Form("4,4,all,all", "blosc-zstd-1"))
    assert list(sidecar.variables) == ["expt/data", "expt/sum_ 1"]
    again, _ = open_lazy(tmp_path / "a.zarr")
    assert [v.name for v in again.variables] == ["expt/data", "expt/sum_ 1"]
    assert np.array_equal(again.variables[1].array.read(whole(again.variables[1].array)), SCAN.sum(axis=(2, 3)))


def test_memory_too_small_for_a_block(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="memory"):
        convert(source(dataset(SCAN, "y x ky kx"), tmp_path), tmp_path / "a.zarr", Form(), memory=1000)
    assert not (tmp_path / "a.zarr").exists()


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    opened = dataset(SCAN, "y x ky kx")
    for digests, times in (({}, 3), ({"counts": array_digest(SCAN)}, 2)):
        counted: list[int] = []
        made = source(opened, tmp_path, digests=digests)
        convert(made, tmp_path / "a.zarr", Form("2,2,all,all"), threads=2, advance=counted.append)
        assert sum(counted) == made.work == times * SCAN.nbytes


def test_the_picture_shows_the_sum_of_all_patterns(tmp_path: Path) -> None:
    shown = []

    def draw(result) -> bytes:
        shown.append(result)
        return b"picture"

    for dims, values, expected in (
        ("y x ky kx", SCAN, SCAN.sum(axis=(0, 1))),
        ("y x energy", SCAN[:, :, 0], SCAN[:, :, 0].sum(axis=(0, 1))),
        ("ky kx", SCAN[0, 0], SCAN[0, 0]),
        ("time y x", SCAN[:, :, 0], SCAN[:, :, 0].sum(axis=0)),
        ("y x", SCAN[:, :, 0, 0] > 2, SCAN[:, :, 0, 0] > 2),
        ("energy y x", SCAN[:, :, 0].astype("f2"), SCAN[:, :, 0].sum(axis=(1, 2))),
    ):
        convert(source(dataset(values, dims), tmp_path), tmp_path / "a.zarr", Form(), draw=draw)
        assert np.array_equal(shown[-1].variables[0].values, expected), dims
        assert (tmp_path / "a.png").read_bytes() == b"picture"


def test_sums_of_pieces_are_those_of_the_whole() -> None:
    sums = FrameSums(("y", "x", "ky", "kx"), SCAN.shape, (0, 1))
    for start in range(0, 12, 5):
        part = FrameSums(("y", "x", "ky", "kx"), SCAN.shape, (0, 1))
        region = (slice(0, 11), slice(0, 9), slice(start, min(start + 5, 12)), slice(0, 10))
        part.add((slice(0, 4), *region[1:]), SCAN[region][:4])
        part.add((slice(4, 11), *region[1:]), SCAN[region][4:])
        sums.merge(part)
    assert np.array_equal(sums.total(), SCAN.sum(axis=(0, 1)))


def test_nothing_is_written_by_a_look_ahead(tmp_path: Path) -> None:
    assert foresee(dataset(SCAN, "y x ky kx"), Form("4,4,all,all", "blosc-lz4")) == [
        "counts: chunks of 4 x 4 x 12 x 10 in 9 files, blosc-lz4"
    ]


# --- the cut --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dims", "chunk"),
    [
        ((256, 256, 128, 128), "y x ky kx", (8, 8, 128, 128)),
        ((256, 256, 256, 256), "y x ky kx", (4, 4, 256, 256)),
        ((5, 256, 128, 128), "y x ky kx", (5, 8, 128, 128)),
        ((64, 64, 2048), "y x energy", (16, 32, 2048)),
        ((10, 32, 32, 64, 64), "time y x ky kx", (1, 16, 16, 64, 64)),
        ((10, 2, 2, 64, 64), "time y x ky kx", (10, 2, 2, 64, 64)),
        ((3, 4096, 4096), "time ky kx", (1, 4096, 4096)),
        ((), "", ()),
        ((0, 4), "y x", (1, 4)),
    ],
)
def test_automatic_chunks_are_whole_frames_of_a_square(shape, dims: str, chunk) -> None:
    axes = {dim: Axis(dim, n, ROLES[dim]) for dim, n in zip(dims.split(), shape, strict=True)}
    found = automatic(shape, np.dtype("u2"), tuple(dims.split()), axes)
    assert found == chunk
    frame = math.prod(n for dim, n in zip(dims.split(), shape, strict=True) if ROLES[dim] != Role.SCAN)
    assert math.prod(found) * 2 <= max(CHUNK, 2 * frame)


@pytest.mark.parametrize(
    ("shape", "chunk", "shard"),
    [
        ((256, 256, 128, 128), (8, 8, 128, 128), None),
        ((512, 512, 128, 128), (8, 8, 128, 128), None),
        ((512, 520, 128, 128), (8, 8, 128, 128), (8, 16, 128, 128)),
        ((2048, 2048, 256, 256), (4, 4, 256, 256), (32, 32, 256, 256)),
        ((9, 8), (1, 8), None),
    ],
)
def test_automatic_shards_keep_the_files_few(shape, chunk, shard) -> None:
    found = automatic_shard(shape, chunk, (0, 1))
    assert found == shard
    assert math.prod(-(-n // s) for n, s in zip(shape, found or chunk, strict=True)) <= FILES


def test_a_chunk_of_the_source_is_read_once() -> None:
    """A source whose chunks hold a few pixels of many probe positions is read in blocks of all those positions."""

    class Source:
        shape, dtype, chunks = (64, 64, 128, 128), np.dtype("u2"), (32, 32, 32, 32)

    stored = Form("8,8,all,all").of(Variable("counts", ("y", "x", "ky", "kx"), Source()), AXES)
    blocks = ConvertBlocks.of(Source(), stored)
    assert blocks.block == (32, 32, 128, 128)
    assert sum(1 for _ in blocks) == 4
    assert [index for region in blocks for index in blocks.files(region)][-1] == (7, 7, 0, 0)
    assert sorted(index for region in blocks for index in blocks.files(region)) == list(stored.keys.indices())


AXES = {dim: Axis(dim, n, ROLES[dim]) for dim, n in zip(("y", "x", "ky", "kx"), (64, 64, 128, 128), strict=True)}


def test_a_shard_larger_than_a_block_is_read_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Large:
        shape, dtype, chunks = (64, 64, 128, 128), np.dtype("u2"), (1, 64, 128, 128)

    stored = Form("8,8,all,all", shards="all,all,all,all").of(Variable("counts", ("y", "x", "ky", "kx"), Large()), AXES)
    blocks = ConvertBlocks.of(Large(), stored)
    assert blocks.chunk_by_chunk and math.prod(blocks.block) * 2 > LARGEST
    assert blocks.nbytes == 8 * 8 * 128 * 128 * 2

    monkeypatch.setattr("emdvc.engine.convert_blocks.LARGEST", 4000)
    read = []

    class Watched(MemoryArray):
        def read(self, region):
            read.append(math.prod(part.stop - part.start for part in region) * 2)
            return super().read(region)

    opened = dataset(SCAN, "y x ky kx")
    opened.variables = (Variable("counts", ("y", "x", "ky", "kx"), Watched(SCAN), "counts"),)
    form = Form("4,4,all,all", "blosc-lz4", "all,all,all,all")
    known = {"counts": array_digest(SCAN)}
    convert(source(opened, tmp_path, digests=known), tmp_path / "a.zarr", form)
    assert max(read) == 4 * 4 * 120 * 2
    assert len(read) == 9


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("counts", "counts"),
        ("a/b c", "a/b c"),
        ("../x", "x"),
        ("a:b?", "a_b_"),
        ("", "data"),
        ("a//b.", "a/b"),
        ("/", "data"),
    ],
)
def test_names_that_any_file_system_takes(name: str, path: str) -> None:
    assert store_path(name) == path


def test_a_zarr_store_is_converted_too(tmp_path: Path) -> None:
    convert(source(dataset(SCAN, "y x ky kx"), tmp_path), tmp_path / "a.zarr", Form("2,2,all,all"))
    opened, sidecar = open_lazy(tmp_path / "a.zarr")
    again = Source(opened, "a.zarr", {"counts": sidecar.variables["counts"].digest}, tmp_path / "a.zarr")
    convert(again, tmp_path / "b.zarr", Form("all,all,3,3", "none"))
    assert np.array_equal(
        ZarrArray(zarr.open_array(tmp_path / "b.zarr/counts")).read(tuple(map(slice, [0] * 4, SCAN.shape))), SCAN
    )
