"""The texts that git shows: the same for the same content, another for another, and plain bytes for all else."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.formats.sidecar import dump_yaml, load_yaml
from emdvc.history.textconv import texts as git_texts
from emdvc.model import units
from emdvc.render.textconv import decimal_units
from emdvc.render.textconv import leaves as textconv_leaves
from emdvc.render.textconv.text import text_of

SIDECAR = """\
axes:
  energy:
    offset: {value: -20.0, unit: eV, origin: file}
    role: spectrum
    scale: {value: 0.5, unit: eV, origin: file}
    size: 1024
  x: {calibration: scan.step, role: scan, size: 8}
  y: {calibration: scan.step, role: scan, size: 4}
beam:
  current:
  energy: {value: 0.2, unit: MV, origin: user}
data:
  main: counts
  variables:
    counts:
      digest: sha256-units:07fdc856f4da6be9e2da28fbd89bcf7adb84a992c94e6d9db6f0970024e57e6c
      dims: [y, x, energy]
      dtype: uint16
      shape: [4, 8, 1024]
      unit: counts
provenance:
  inputs:
    raw/scan.mib: {digest: 'sha256-units:17fdc856f4da6be9e2da28fbd89bcf7adb84a992c94e6d9db6f0970024e57e6c'}
  parameters: {outer: 30 px}
  step: crop
scan:
  step: {value: [250, 250], unit: pm, origin: calibrated}
schema_version: 1
source:
  files:
  - {path: b.mib, sha256: 55b969b4fe54e1b072fc551251926cb05864cf0aa48d58d15f05b19597327793, size: 7}
  - {path: a.hdr, size: 5}
  reader: merlin@1
statistics:
  counts: {max: 12, mean: 0.25}
vendor:
  Counter: '8'
  Gains: [{a: 1}, {a: 2}]
  Note: "two\\nlines"
  volts: {value: full, unit: ''}
"""

LOCK = """\
schema: '2.0'
stages:
  vd:
    cmd: emdvc run virtual_detector raw/a.mib results/v.zarr
    deps:
    - {path: raw/a.mib, hash: md5, md5: a2dc6b8a5f7d70fefeb41223583faa65.dir, size: 529408, nfiles: 2}
    params:
      params.yaml: {vd: {outer: 30px}}
      raw/a.mib.em.yaml:
        diffraction.center:
        beam.energy: {value: 200, unit: kV, origin: user}
    outs:
    - {path: results/v.zarr.em.yaml, hash: md5, md5: 03183f28c52887365719cc267a6ab655, size: 763}
    - {path: results/v.zarr, hash: md5, md5: 32fcb7914b05d2b38eb8c565b5a9ffeb.dir, size: 720, nfiles: 3}
"""

#: Change it together with the form: what is kept under the old form would else be compared with the new one.
TEXT_OF_FORM = (
    1,
    """\
dataset:
  what: result, spectrum image
record:
  beam.current: unknown
  beam.energy: 200 keV (user)
  scan.step: (0.25, 0.25) nm (calibrated)
axes:
  y.size: 4
  y.role: scan
  y.scale: 0.25 nm (by scan.step)
  y.offset: 0 nm (by scan.step)
  y.field of view: 1 nm
  x.size: 8
  x.role: scan
  x.scale: 0.25 nm (by scan.step)
  x.offset: 0 nm (by scan.step)
  x.field of view: 2 nm
  energy.size: 1024
  energy.role: spectrum
  energy.scale: 0.5 eV (file)
  energy.offset: -20 eV (file)
  energy.field of view: 512 eV
array counts:
  dims: y, x, energy
  shape: 4 x 8 x 1024
  dtype: uint16
  unit: counts
  digest: sha256-units:07fdc856
  max: 12
  mean: 0.25
provenance:
  inputs.raw/scan.mib.digest: sha256-units:17fdc856
  parameters.outer: 30 px
  step: crop
source:
  reader: merlin@1
  file a.hdr: size 5
  file b.mib: sha256 55b969b4, size 7
vendor:
  Counter: '8'
  Gains[0].a: 1
  Gains[1].a: 2
  Note: two\\nlines
  volts: [unit: '', value: full]
""",
)


class Nothing:
    """No cache at all."""

    def manifest(self, md5: str) -> dict[str, str] | None:
        return None

    def content(self, md5: str) -> bytes | None:
        return None


class Folder:
    """A folder as a cache that has all its files, but those that are lost."""

    def __init__(self, folder: Path, lost: tuple[str, ...] = ()) -> None:
        self.files, self.bytes = {}, {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                md5 = hashlib.md5(path.read_bytes()).hexdigest()
                self.files[path.relative_to(folder).as_posix()] = md5
                if path.name not in lost:
                    self.bytes[md5] = path.read_bytes()

    def manifest(self, md5: str) -> dict[str, str] | None:
        return self.files

    def content(self, md5: str) -> bytes | None:
        return self.bytes.get(md5)


POINTER = (
    b"outs:\n- md5: a2dc6b8a5f7d70fefeb41223583faa65.dir\n  size: 7\n  nfiles: 2\n  hash: md5\n  path: scan.zarr\n"
)


def told(text: str) -> str:
    return text_of(text.encode(), Nothing()).content.decode()


# --- sidecars -------------------------------------------------------------------------------------------------------


def test_a_sidecar_leaf_by_leaf() -> None:
    assert (git_texts.FORM, told(SIDECAR)) == TEXT_OF_FORM
    assert text_of(SIDECAR.encode(), Nothing()).lasting


def test_the_same_measurement_reads_the_same() -> None:
    for energy in ("{value: 200, unit: keV, origin: user}", "{value: 200.0, unit: kV, origin: user}"):
        assert told(SIDECAR.replace("{value: 0.2, unit: MV, origin: user}", energy)) == told(SIDECAR)
    # another origin, or the last digit of a number, is another line
    for other in ("{value: 0.2, unit: MV, origin: file}", "{value: 200.0000000000001, unit: keV, origin: user}"):
        assert told(SIDECAR.replace("{value: 0.2, unit: MV, origin: user}", other)) != told(SIDECAR)


def test_order_and_layout_of_the_yaml_do_not_matter() -> None:
    mapping = load_yaml(SIDECAR, "")
    assert told(dump_yaml(mapping)) == told(SIDECAR)
    backwards = json.dumps({key: mapping[key] for key in reversed(mapping)})  # JSON is YAML
    assert told(backwards) == told(SIDECAR)


def test_powers_of_ten_are_those_of_pint() -> None:
    names = [*decimal_units._POWERS, *(f"1/{name}" for name in decimal_units._POWERS)]
    for one, other in itertools.product(names, names):
        power = decimal_units.power_of_ten(one, other)
        # an angle is a pure number to pint, and one over it, too
        assert (power is not None) == (units.compatible(one, other) and ("1/" in one) == ("1/" in other))
        if power is not None:
            assert 10.0**power == pytest.approx(units.factor(one, other), rel=1e-12), (one, other)


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_another_number_is_another_text(one: float, other: float) -> None:
    assert (textconv_leaves.number(one) == textconv_leaves.number(other)) == (one == other)


@settings(deadline=None)
@given(st.text(max_size=400), st.text(max_size=400))
def test_another_text_is_another_line(one: str, other: str) -> None:
    shown = [textconv_leaves.plain(text) for text in (one, other)]
    assert all("\n" not in text and text.isprintable() for text in shown)
    if one != other and "\\" not in one + other:
        assert shown[0] != shown[1]


def test_a_text_that_looks_like_a_number_is_told_from_it() -> None:
    for text, value in (("8", 8), ("true", True), ("unknown", None), ("1e3", 1000.0)):
        assert textconv_leaves.plain(text) != textconv_leaves.plain(value)


def test_long_leaves_are_cut_but_not_alike() -> None:
    long = SIDECAR.replace("Counter: '8'", f"Counter: '{'8 ' * 500}'")
    assert max(map(len, told(long).splitlines())) < 200
    assert told(long) != told(long.replace("8 '", "9 '"))


# --- pointers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zarr_format", "keys", "shards"),
    [
        (3, {"name": "default", "separator": "/"}, None),
        (3, {"name": "default", "separator": "."}, None),
        (3, {"name": "v2", "separator": "."}, None),
        (3, {"name": "default", "separator": "/"}, (4, 4, 6)),
        (2, {"name": "v2", "separator": "."}, None),
        (2, {"name": "v2", "separator": "/"}, None),
    ],
)
def test_chunk_files_by_the_region_they_hold(
    zarr_format: int, keys: dict[str, str], shards: tuple[int, ...] | None, tmp_path: Path
) -> None:
    group = zarr.open_group(tmp_path / "s", mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    names = (
        {"dimension_names": ("y", "x", "k")} if zarr_format == 3 else {"attributes": {"_ARRAY_DIMENSIONS": list("yxk")}}
    )
    array = group.create_array(
        "group/counts", shape=(5, 4, 6), chunks=(2, 2, 6), shards=shards, dtype="u2", chunk_key_encoding=keys, **names
    )  # type: ignore[call-overload]
    array[:] = 7
    before = Folder(tmp_path / "s")
    old = text_of(POINTER, before).content.decode().splitlines()
    array[4, 3, 1] = 8
    text = text_of(POINTER, Folder(tmp_path / "s"))
    assert text.lasting
    new = text.content.decode().splitlines()
    held = (4, 4, 6) if shards else (2, 2, 6)
    assert f"array group/counts: uint16, y 5, x 4, k 6; a file holds y {held[0]}, x {held[1]}, k {held[2]}" in new
    chunks = [line.rsplit("  ", 1)[0].strip() for line in new if line.startswith("  y ")]
    assert chunks == [
        f"y {y}:{min(y + held[0], 5)}, x {x}:{x + held[1]}, k 0:6"
        for y in range(0, 5, held[0])
        for x in range(0, 4, held[1])
    ]
    # the sample (4, 3, 1) lies in the last of them
    assert [a.split("  ")[1] for a, b in zip(old, new, strict=True) if a != b] == [chunks[-1]]


def test_other_directories_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "b.hdr").write_bytes(b"b")
    (tmp_path / "d" / "a.mib").write_bytes(b"a")
    text = text_of(POINTER.replace(b"scan.zarr", b"pair"), Folder(tmp_path / "d"))
    # md5 of the letters, RFC 1321 and md5sum
    assert text.content.decode() == (
        "data pair:\n  bytes: 7\n  files: 2\n  md5: a2dc6b8a.dir\nfiles:\n  a.mib  0cc175b9\n  sub/b.hdr  92eb5ffe\n"
    )


def test_what_is_not_in_the_cache_is_said_and_not_kept(tmp_path: Path) -> None:
    text = text_of(POINTER, Nothing())
    assert b"which files it holds is not in the cache: dvc fetch scan.zarr.dvc" in text.content
    assert not text.lasting
    group = zarr.open_group(tmp_path / "s", mode="w")
    group.create_array("counts", shape=(2,), dtype="u2")[:] = 1
    text = text_of(POINTER, Folder(tmp_path / "s", lost=("zarr.json",)))
    assert b"metadata of its arrays is not in the cache" in text.content
    assert b"\n  counts/c/0  " in text.content
    assert not text.lasting


def test_a_single_file_and_what_else_a_pointer_says() -> None:
    pointer = (
        "deps:\n- path: s3://b/a.mib\n  etag: abc\n"
        "outs:\n- md5: 0cc175b9c0f1b6a831c399e269772661\n  size: 1\n  path: a.mib\n  remote: lab\n"
    )
    text = text_of(pointer.encode(), Nothing())
    assert text.lasting
    assert text.content.decode() == (
        "data a.mib:\n  bytes: 1\n  md5: 0cc175b9\n  remote: lab\n"
        "pointer:\n  deps[0].etag: abc\n  deps[0].path: s3://b/a.mib\n"
    )


@pytest.mark.parametrize("damage", [b"{", b'{"node_type": "array"}', b"[]", b'"text"', b"\xff"])
def test_damaged_metadata_of_an_array(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "s" / "counts").mkdir(parents=True)
    (tmp_path / "s" / "counts" / "zarr.json").write_bytes(damage)
    (tmp_path / "s" / "counts" / "0.0").write_bytes(b"1")
    said = text_of(POINTER, Folder(tmp_path / "s")).content.decode()
    assert "\nfiles:\n  counts/0.0  c4ca4238\n  counts/zarr.json  " in said


# --- all else -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"text",
        b"a: 1\n",
        b"- 1\n",
        b"\xff\xfe\x00",
        b"outs: []\n",
        b"outs: [1]\n",
        b"stages: {a: {cmd: b}}\n",
        b"schema: '2.0'\nstages: [a]\n",
        b"schema: '2.0'\nstages: {a: b}\n",
        b"schema_version: x\n",
        b"schema_version: 1\naxes: 3\n",
        b"schema_version: 1\nsource: [1]\nvendor: 3\n" + b"<<<<<<< a\n",
        b"a: 1\na: 2\n",
        SIDECAR.replace("schema_version: 1", "schema_version: 2").encode(),
        SIDECAR.replace("size: 1024", "size: many").encode(),
        b"<<<<<<< ours\n" + SIDECAR.encode() + b"=======\n]:[\n>>>>>>> theirs\n",
    ],
)
def test_what_is_not_understood_stays_as_it_is(raw: bytes) -> None:
    assert text_of(raw, Nothing()) == (raw, False)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(raw: bytes) -> None:
    assert text_of(raw, Nothing()).content == raw


def _places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    names = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for name in names:
        yield (*above, name)
        yield from _places(node[name], (*above, name))


_FOREIGN = [None, 0, -1, 1.5, 1e400, 10**400, "", "x", [], {}, [1], [None], [[1]], True]
_FOREIGN += [{"value": value, "unit": unit} for value in (1, [], "x", True, None) for unit in ("zz", 5, "kV")]


@pytest.mark.parametrize("text", [SIDECAR, POINTER.decode(), LOCK])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_value_of_another_kind_breaks_nothing(text: str, data: st.DataObject) -> None:
    mapping = load_yaml(text, "")
    *above, last = data.draw(st.sampled_from(list(_places(mapping))))
    node = mapping
    for name in above:
        node = node[name]
    node[last] = data.draw(st.sampled_from(_FOREIGN))
    raw = dump_yaml(mapping).encode()
    shown = text_of(raw, Nothing())
    assert shown.lasting or shown.content == raw or b"is not in the cache" in shown.content


def test_a_conflict_is_shown_line_by_line() -> None:
    energy = "  energy: {value: 0.2, unit: MV, origin: user}\n"
    theirs = energy.replace("0.2", "0.3")
    conflict = SIDECAR.replace(energy, f"<<<<<<< HEAD\n{energy}||||||| base\n=======\n{theirs}>>>>>>> them\n")
    text = text_of(conflict.encode(), Nothing())
    line = "  beam.energy: {} keV (user)\n"
    both = f"<<<<<<< HEAD\n{line.format(200)}=======\n{line.format(300)}>>>>>>> them\n"
    assert text.content.decode() == TEXT_OF_FORM[1].replace(line.format(200), both)
    assert not text.lasting


def test_dvc_lock() -> None:
    text = text_of(LOCK.encode(), Nothing())
    assert text.lasting
    assert text.content.decode() == (
        "stage vd:\n"
        "  cmd: emdvc run virtual_detector raw/a.mib results/v.zarr\n"
        "  dep raw/a.mib: a2dc6b8a.dir, 2 files, 529408 bytes\n"
        "  param params.yaml vd.outer: 30px\n"
        "  param raw/a.mib.em.yaml beam.energy: 200 keV (user)\n"
        "  param raw/a.mib.em.yaml diffraction.center: unknown\n"
        "  out results/v.zarr: 32fcb791.dir, 3 files, 720 bytes\n"
        "  out results/v.zarr.em.yaml: 03183f28, 763 bytes\n"
    )


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    heavy = ("dvc", "numba", "xarray", "numpy", "pint", "pydantic", "zarr", "h5py", "rich", "dask")
    (tmp_path / "a.em.yaml").write_text(SIDECAR, encoding="utf-8")
    (tmp_path / "a.dvc").write_bytes(POINTER)
    code = (
        "import sys; from emdvc.cli.main import main;"
        "assert all(main(['git', 'textconv', '--', name]) == 0 for name in sys.argv[1:]);"
        f"print(*sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "a.em.yaml", "a.dvc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith(TEXT_OF_FORM[1])


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_the_oldest_texts_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_texts, "MOST", 20)
    now = time.time()
    for number in range(25):
        path = tmp_path / ("0" if number < 3 else "1") / f"{number:02}"
        git_texts.keep(path, b"text")
        os.utime(path, (now - 100 + number, now - 100 + number))
    before = git_texts.bound(tmp_path)
    assert (before.count, before.size, before.busy) == (25, 100, False)
    # three quarters of twenty, the newest, of whatever form
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [f"{n:02}" for n in range(10, 25)]
    monkeypatch.setattr(git_texts, "MOST_BYTES", 40)
    git_texts.bound(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [f"{n:02}" for n in range(18, 25)]
    git_texts.keep(tmp_path / "1" / "new", b"text")
    assert git_texts.kept(tmp_path).busy
    git_texts.forget(tmp_path)
    assert git_texts.kept(tmp_path) == git_texts.Kept()


def test_a_text_that_cannot_be_kept_is_given_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"a file where a folder is needed")
    git_texts.keep(tmp_path / "1" / "abc", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_checksums_of_blocks_are_one_line() -> None:
    meta = b"meta:\n  group: mine\n  emdvc:\n    md5: abc\n    files: {.: {size: 9, block: 4, crc32c: AAAA}}\n"
    arrays = b"    arrays: {tilts: [{flip: [1]}]}\n"
    text = text_of(b"outs:\n- md5: " + b"a" * 32 + b"\n  path: s.mib\n" + meta + arrays, Nothing())
    assert text.content.decode() == (
        "data s.mib:\n  md5: aaaaaaaa\nreadable in parts: tilts\npointer:\n  meta.group: mine\n"
    )
