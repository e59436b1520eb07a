"""Chunk files are read as zarr-python reads them, whatever their codec, order, naming and shards."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numcodecs import blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec

from emdvc.errors import Code, FormatError
from emdvc.formats.arrays import Flipped, Guarded, MemoryArray, ZarrArray
from emdvc.formats.region import extent, whole
from emdvc.formats.registry import open_file
from emdvc.formats.zarr_chunks import ZarrChunks
from emdvc.formats.zarr_codecs import BLOSC_CODECS, SHUFFLES, Blosc, Crc32c, Zstd, checksum, named
from emdvc.formats.zarr_keys import chunk_keys, region_of_key
from emdvc.formats.zarr_layout import chunks_of

DTYPES = ("bool", "u1", "<u2", ">u2", "i4", "<u8", "f2", "f4", ">f8", "c8", "c16")
#: What this build of Blosc can write; snappy is left out of numcodecs' wheels.
WRITTEN = tuple(name for name in BLOSC_CODECS if name in blosc.list_compressors())


@st.composite
def compressors(draw):
    """Bytes-to-bytes codecs of Zarr 3, from none to two and a checksum."""
    kinds = {
        "blosc": st.builds(
            BloscCodec,
            typesize=st.sampled_from((1, 2, 4, 8)),
            cname=st.sampled_from(WRITTEN),
            clevel=st.integers(0, 9),
            shuffle=st.sampled_from(SHUFFLES),
            blocksize=st.sampled_from((0, 0, 256)),
        ),
        "zstd": st.builds(ZstdCodec, level=st.integers(-5, 12), checksum=st.booleans()),
        "gzip": st.builds(GzipCodec, level=st.integers(0, 9)),
    }
    chosen = [draw(kinds[name]) for name in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=2))]
    return [*chosen, Crc32cCodec()] if draw(st.booleans()) else chosen


@st.composite
def shapes(draw):
    """Shape, chunk and the number of chunks in a shard, along each dimension; the last chunks may be cut."""
    axes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 3)), min_size=0, max_size=4))
    return tuple(tuple(axis[i] for axis in axes) for i in range(3))


@st.composite
def arrays(draw):
    """The arguments of an array for zarr-python, and numbers for it."""
    shape, chunk, per_shard = draw(shapes())
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    values = rng.integers(0, 7, shape).astype(dtype.newbyteorder("="))
    fill = draw(st.sampled_from((0, 1)))
    if draw(st.booleans()):
        kinds = [None, numcodecs.Zlib(3), numcodecs.GZip(1), numcodecs.LZ4(), numcodecs.Zstd(2), numcodecs.Blosc("lz4")]
        made = {
            "zarr_format": 2,
            "dtype": dtype,
            "chunks": chunk,
            "compressors": draw(st.sampled_from(kinds)),
            "filters": None,
            "order": draw(st.sampled_from("CF")),
            "chunk_key_encoding": {"name": "v2", "separator": draw(st.sampled_from("./"))},
        }
    else:
        order = draw(st.permutations(range(len(shape))))
        turned = [TransposeCodec(order=tuple(order))] if draw(st.booleans()) and shape else []
        endian = draw(st.sampled_from(("little", "big")))
        codecs = [*turned, BytesCodec(endian=endian), *draw(compressors())]
        if shape and draw(st.booleans()):
            location = draw(st.sampled_from(("start", "end")))
            index = [BytesCodec(endian=draw(st.sampled_from(("little", "big"))))]
            index += [Crc32cCodec()] if draw(st.booleans()) else []
            codecs = [ShardingCodec(chunk_shape=chunk, codecs=codecs, index_codecs=index, index_location=location)]
            chunk = tuple(c * n for c, n in zip(chunk, per_shard, strict=True))
        made = {"zarr_format": 3, "dtype": dtype.newbyteorder("="), "chunks": chunk, "codecs": codecs}
        naming = draw(st.sampled_from(("default", "v2")))
        made["chunk_key_encoding"] = {"name": naming, "separator": draw(st.sampled_from("./"))}
    return made, values, fill


def make(path: Path, made: dict, values: np.ndarray, fill: int):
    """Write an array by zarr-python; a Zarr 3 one from its metadata, so that each codec stands as it was drawn."""
    kwargs = dict(made)
    if kwargs["zarr_format"] == 2:
        array = zarr.create_array(path, shape=values.shape, fill_value=fill, **kwargs)
    else:
        codecs = kwargs.pop("codecs")
        array = zarr.create(store=path, shape=values.shape, fill_value=fill, codecs=codecs, **kwargs)
    array[...] = values
    return array


@st.composite
def cases(draw):
    made, values, fill = draw(arrays())
    region = []
    for n in values.shape:
        start = draw(st.integers(0, n))
        region.append(slice(start, draw(st.integers(start, n))))
    return made, values, fill, tuple(region), draw(st.integers(0, 3)), draw(st.randoms(use_true_random=False))


PIXEL_MAJOR = (
    {
        "zarr_format": 3,
        "dtype": np.dtype("u2"),
        "chunks": (4, 4, 64, 64),
        "codecs": [TransposeCodec(order=(2, 3, 0, 1)), BytesCodec(), BloscCodec(typesize=2, cname="lz4")],
        "chunk_key_encoding": {"name": "v2", "separator": "."},
    },
    np.arange(5 * 6 * 64 * 64).astype("u2").reshape(5, 6, 64, 64),
    0,
    (slice(0, 5), slice(1, 6), slice(0, 64), slice(0, 64)),
    0,
    None,
)


@settings(max_examples=400, deadline=None)
@given(cases())
@example(PIXEL_MAJOR)
def test_a_region_reads_as_zarr_python_reads_it(case) -> None:
    made, values, fill, region, lost, random = case
    folder = Path(tempfile.mkdtemp())
    try:
        array = make(folder / "a.zarr", made, values, fill)
        files = sorted(p for p in (folder / "a.zarr").rglob("*") if p.is_file() and p.name[0] not in "z.")
        for path in random.sample(files, min(lost, len(files))) if lost else []:
            path.unlink()
        ours = chunks_of(array)
        assert ours is not None
        out = np.full(extent(region), 3, values.dtype)
        ours.read_into(region, out)
        expected = np.asarray(array[region] if region else array[()])
        assert out.tobytes() == np.ascontiguousarray(expected, values.dtype).tobytes()
        if not lost:
            assert out.tobytes() == np.ascontiguousarray(values[region]).tobytes()
        # into a part of a larger array too: the numbers do not lie side by side there
        larger = np.zeros(tuple(2 * n + 1 for n in out.shape), values.dtype)
        view = larger[(*(slice(1, None, 2) for _ in out.shape), ...)]
        ours.read_into(region, view)
        assert view.tobytes() == out.tobytes()
    finally:
        shutil.rmtree(folder)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_keys_name_the_files_that_zarr_python_writes(case) -> None:
    made, values, _, region, _, _ = case
    folder = Path(tempfile.mkdtemp())
    try:
        values = np.ones_like(values)  # so that no chunk is left out
        array = ZarrArray(make(folder / "group" / "a", made, values, 0))
        store = folder / "group" / "a"
        written = {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}
        chunks = written - {"zarr.json", ".zarray", ".zattrs"}
        assert set(chunk_keys(array, whole(array))) == chunks
        covered = np.zeros(values.shape, int)
        for key in chunks:
            place = region_of_key(array, key)
            covered[place] += 1
            assert chunk_keys(array, place) == [key]
        assert np.all(covered == 1), "each number lies in one file"
        wanted = set(chunk_keys(array, region))
        for key in chunks:
            overlap = all(
                a.start < b.stop and b.start < a.stop for a, b in zip(region, region_of_key(array, key), strict=True)
            )
            empty = any(part.start == part.stop for part in region)
            assert (key in wanted) == (overlap and not empty)
        for other in ("zarr.json", ".zarray", "b/0.0", "c/zarr.json", "00", "0.x", "-1", "c", "9999.9999", ""):
            assert region_of_key(array, other) is None or other in chunks
    finally:
        shutil.rmtree(folder)


def scan(path: Path, **kwargs):
    values = np.random.default_rng(1).poisson(2, (12, 10, 16, 16)).astype("u2")
    group = zarr.open_group(path, mode="w")
    kwargs = {
        "chunks": (4, 4, 16, 16),
        "compressors": BloscCodec(typesize=2, cname="lz4", shuffle="bitshuffle"),
    } | kwargs
    array = group.create_array(
        "counts", shape=values.shape, dtype="u2", dimension_names=["y", "x", "ky", "kx"], **kwargs
    )
    array[...] = values
    return array, values


def test_keys_are_relative_to_the_store_through_the_registry(tmp_path: Path) -> None:
    scan(tmp_path / "s.zarr", chunk_key_encoding={"name": "v2", "separator": "."})
    array = open_file(tmp_path / "s.zarr").variable().array
    region = (slice(0, 5), slice(9, 10), slice(0, 16), slice(0, 16))
    assert chunk_keys(array, region) == ["counts/0.2.0.0", "counts/1.2.0.0"]
    assert region_of_key(array, "counts/1.2.0.0") == (slice(4, 8), slice(8, 10), slice(0, 16), slice(0, 16))
    assert region_of_key(array, "counts/zarr.json") is None
    assert region_of_key(array, "counts/3.0.0.0") is None, "beyond the edge"


def test_other_views_name_no_files(tmp_path: Path) -> None:
    array = ZarrArray(scan(tmp_path / "s.zarr")[0])
    assert chunk_keys(Guarded(array, "s"), whole(array)) is not None
    assert chunk_keys(Flipped(array, (0,)), whole(array)) is None
    assert region_of_key(MemoryArray(np.zeros(3)), "0") is None


def test_threads_read_the_same(tmp_path: Path) -> None:
    store, values = scan(tmp_path / "s.zarr", shards=(8, 8, 16, 16))
    array = ZarrArray(store)
    regions = [(slice(y, y + 3), slice(0, 10), slice(0, 16), slice(0, 16)) for y in range(9)] * 20
    with ThreadPoolExecutor(4) as pool:
        for region, read in zip(regions, pool.map(array.read, regions), strict=True):
            assert np.array_equal(read, values[region])


def test_a_chunk_is_decoded_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, values = scan(tmp_path / "s.zarr")
    targets = []
    decode_into = Blosc.decode_into

    def seen(self, content, out):
        targets.append(out.__array_interface__["data"][0])
        decode_into(self, content, out)

    monkeypatch.setattr(Blosc, "decode_into", seen)
    ours = chunks_of(store)
    out = np.empty((4, 4, 16, 16), "u2")
    ours.read_into((slice(4, 8), slice(4, 8), slice(0, 16), slice(0, 16)), out)
    assert targets == [out.__array_interface__["data"][0]]
    assert np.array_equal(out, values[4:8, 4:8])


def test_blosc_keeps_to_the_calling_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = scan(tmp_path / "s.zarr")
    seen = []
    decompress = blosc.decompress

    def spied(*arguments):
        seen.append((threading.current_thread() is threading.main_thread(), blosc._get_use_threads()))
        return decompress(*arguments)

    monkeypatch.setattr(blosc, "decompress", spied)
    monkeypatch.setattr(blosc, "use_threads", True)
    ZarrArray(store).read(whole(ZarrArray(store)))
    assert seen == [(True, False)] * 9


def test_what_is_not_known_is_left_to_zarr_python(tmp_path: Path) -> None:
    values = np.arange(60).reshape(6, 10)
    made = {
        "filters": {"zarr_format": 2, "filters": [numcodecs.Delta("i8")], "compressors": None},
        "bz2": {"zarr_format": 2, "compressors": numcodecs.BZ2(1)},
        "nested shards": {
            "codecs": [
                ShardingCodec(chunk_shape=(3, 5), codecs=[ShardingCodec(chunk_shape=(1, 5), codecs=[BytesCodec()])])
            ]
        },
    }
    for name, kwargs in made.items():
        create = zarr.create if "codecs" in kwargs else zarr.create_array
        array = create(store=tmp_path / name, shape=values.shape, chunks=(3, 5), dtype="i8", **kwargs)
        array[...] = values
        assert chunks_of(array) is None, name
        assert np.array_equal(ZarrArray(array).read((slice(1, 5), slice(2, 9))), values[1:5, 2:9])
    memory = zarr.create_array(zarr.storage.MemoryStore(), shape=values.shape, chunks=(3, 5), dtype="i8")
    memory[...] = values
    assert np.array_equal(ZarrArray(memory).read((slice(1, 5), slice(2, 9))), values[1:5, 2:9])


@pytest.mark.parametrize("codec", [BloscCodec(typesize=2), ZstdCodec(), GzipCodec(), Crc32cCodec(), None])
@pytest.mark.parametrize("harm", ["cut", "emptied", "longer", "another size"])
def test_a_damaged_chunk_is_named(tmp_path: Path, codec, harm: str) -> None:
    array, values = scan(tmp_path / "s.zarr", compressors=codec, chunk_key_encoding={"name": "v2", "separator": "."})
    victim = tmp_path / "s.zarr/counts/1.0.0.0"
    content = victim.read_bytes()
    smaller = zarr.create_array(
        tmp_path / "small", shape=(9,), dtype="u2", chunks=(9,), compressors=codec, fill_value=1
    )
    smaller[...] = 7
    harmed = {
        "cut": content[: len(content) // 2],
        "emptied": b"",
        "longer": content + content[:16],
        "another size": (tmp_path / "small/c/0").read_bytes(),
    }
    victim.write_bytes(harmed[harm])
    ours = ZarrArray(array)
    assert ours._direct is not None
    if (harm, type(codec)) in (("longer", BloscCodec),):
        return  # Blosc knows its own length: what follows is not its concern, as zarr-python has it
    with pytest.raises(FormatError) as caught:
        ours.read(whole(ours))
    assert caught.value.code == Code.FORMAT_BROKEN
    assert "s.zarr cannot be read: its chunk counts/1.0.0.0 is damaged" in str(caught.value)
    assert np.array_equal(ours.read((slice(0, 4), *whole(ours)[1:])), values[:4]), "the others are still read"


def test_a_shard_that_ends_before_its_chunks_is_named(tmp_path: Path) -> None:
    array, _ = scan(tmp_path / "s.zarr", shards=(8, 8, 16, 16))
    victim = next(p for p in (tmp_path / "s.zarr/counts/c/0").rglob("*") if p.is_file())
    content = victim.read_bytes()
    index = 4 * 16 + 4
    for harmed in (content[:100], content[100:-1], content[: -index + 3] + b"\xff" + content[-index + 4 :], b""):
        victim.write_bytes(harmed)
        with pytest.raises(FormatError, match="damaged"):
            ZarrArray(array).read(whole(ZarrArray(array)))


def test_crc32c_is_the_published_one() -> None:
    # the check value of CRC-32C (Castagnoli): RFC 3720, B.4 and the catalogue of CRC algorithms
    assert checksum(b"123456789") == 0xE3069283
    assert checksum(bytes(32)) == 0x8A9136AA
    assert Crc32c().encode(b"abc")[-4:] == google_crc32c.value(b"abc").to_bytes(4, "little")
    assert bytes(Crc32c().decode(Crc32c().encode(b"abc"))) == b"abc"


@settings(max_examples=100, deadline=None)
@given(
    st.binary(min_size=0, max_size=4000).map(lambda b: b[: len(b) // 8 * 8]), st.sampled_from((1, 2, 4, 8)), st.data()
)
def test_what_is_encoded_is_decoded_by_zarr_python(content: bytes, itemsize: int, data) -> None:
    text = data.draw(
        st.sampled_from(
            ("blosc-lz4", "blosc-zstd-3", "blosc-zstd-1-shuffle", "blosc-zlib-1", "zstd-1", "blosc-lz4-9-noshuffle")
        )
    )
    codec = named(text, itemsize)
    packed = codec.encode(content)
    assert packed == codec.encode(content)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(codec.encode, content).result() == packed, "the same bytes from any thread"
    values = np.frombuffer(content, f"u{itemsize}")
    folder = Path(tempfile.mkdtemp())
    try:
        written = zarr.create_array(folder / "a", shape=values.shape, chunks=(max(1, values.size),), dtype=values.dtype)
        metadata = json.loads((folder / "a/zarr.json").read_bytes())
        metadata["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}, codec.to_dict()]
        (folder / "a/zarr.json").write_text(json.dumps(metadata))
        (folder / "a/c").mkdir(exist_ok=True)
        (folder / "a/c/0").write_bytes(packed)
        assert np.array_equal(zarr.open_array(folder / "a", mode="r")[...], values)
        assert written.shape == values.shape
    finally:
        shutil.rmtree(folder)


def test_zstd_without_a_content_size_is_read() -> None:
    import zlib

    # a frame from the format's own specification by hand: magic, no content size, one raw block "abc", last
    frame = bytes.fromhex("28b52ffd") + b"\x00\x58" + (3 << 3 | 1).to_bytes(3, "little") + b"abc"
    assert bytes(Zstd().decode(frame)) == b"abc"
    out = np.empty(3, "u1")
    Zstd().decode_into(frame, out)
    assert out.tobytes() == b"abc"
    assert zlib.crc32(out.tobytes()) == 0x352441C2


@pytest.mark.parametrize("text", ["lz4", "blosc", "blosc-lz5", "zstd-99", "blosc-snappy", "gzip-1", "blosc-lz4-12"])
def test_a_codec_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="blosc"):
        named(text, 2)


def test_what_reads_is_a_value(tmp_path: Path) -> None:
    import pickle

    array, values = scan(tmp_path / "s.zarr")
    ours = pickle.loads(pickle.dumps(chunks_of(array)))
    assert isinstance(ours, ZarrChunks)
    out = np.empty(values.shape, "u2")
    ours.read_into(tuple(slice(0, n) for n in values.shape), out)
    assert np.array_equal(out, values)
