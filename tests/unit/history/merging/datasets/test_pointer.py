"""``.dvc`` files: raw data never merges, edited data does, and what people wrote beside merges by key."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from edited_project import EditedProject, made, painted

from emdvc.history import edited, yaml_files
from emdvc.history.dvc_manifest import manifest
from emdvc.history.merging.contract import ABSENT, NEITHER, Choices, Edited, Side
from emdvc.history.merging.datasets import recorded_bytes
from emdvc.history.merging.datasets.manifests import keep_list, keep_object

ONE = painted(np.s_[0, 0], 1)
TWO = painted(np.s_[0, 0], 2)


@pytest.fixture
def lab(tmp_path: Path) -> EditedProject:
    return EditedProject(tmp_path / "project")


def _three(lab: EditedProject, declared: list[str] | None) -> list[bytes]:
    return [lab.pointer(lab.state(made(), *edits), declared) for edits in ((), (ONE,), (painted(np.s_[7, 7], 2),))]


def test_raw_data_never_merges(lab: EditedProject) -> None:
    three = _three(lab, None)
    (conflict,) = lab.both_ways(*three).conflicts
    assert conflict.key == "md5"
    assert conflict.why.startswith("raw data never merges: both sides record other bytes as scan.zarr")
    for side, pointer in zip(Side, three, strict=True):
        assert lab.merge(three, Choices({"md5": side})).content == pointer


def test_raw_data_that_one_side_replaced_is_taken(lab: EditedProject) -> None:
    base, ours, _ = _three(lab, None)
    described = base + b"desc: a scan\n"
    assert lab.both_ways(base, ours, described).content == ours + b"desc: a scan\n"


def test_only_one_side_declares_it_edited(lab: EditedProject) -> None:
    base, ours, _ = _three(lab, None)
    declared = lab.pointer(lab.state(made(), painted(np.s_[7, 7], 2)), ["labels"])
    (conflict,) = lab.both_ways(base, ours, declared).conflicts
    assert "only" in conflict.why
    same_bytes = lab.pointer(lab.state(made()), ["labels"])
    merged = lab.both_ways(base, ours, same_bytes)
    assert merged.conflicts == ()
    said = recorded_bytes.read(merged.content)
    assert said is not None
    assert said.declared == edited.Edited(("labels",))
    assert said.md5 == recorded_bytes.read(ours).md5  # type: ignore[union-attr]


def test_declarations_are_united(lab: EditedProject) -> None:
    base, ours, theirs = (lab.state(made(), *edits) for edits in ((), (ONE,), (painted(np.s_[7, 7], 2),)))
    names = (["labels", "old"], ["labels", "mask", "old"], ["labels", "peaks"])
    merged = lab.both_ways(*map(lab.pointer, (base, ours, theirs), names))
    assert merged.conflicts == ()
    assert recorded_bytes.declared(merged.content) == edited.Edited(("labels", "mask", "peaks"))


def test_what_people_wrote_merges_by_key(lab: EditedProject) -> None:
    base, ours, theirs = (lab.pointer(lab.state(made(), *edits)) for edits in ((), (ONE,), (painted(np.s_[3, 3], 2),)))
    with_labels = theirs.replace(b"meta:\n", b"meta:\n  sample: gold\n")
    merged = lab.both_ways(base, ours + b"desc: corrected by hand\n", with_labels)
    assert merged.conflicts == ()
    content = recorded_bytes.mapping(merged.content)
    assert content["desc"] == "corrected by hand"
    assert content["meta"]["sample"] == "gold"
    assert lab.array(merged.content)[:4, :4].diagonal().tolist() == [1, 0, 0, 2]


def test_a_conflict_of_a_key_does_not_hide_that_of_the_data(lab: EditedProject) -> None:
    base, ours, theirs = (lab.pointer(lab.state(made(), *edits)) for edits in ((), (ONE,), (TWO,)))
    three = [base, ours + b"desc: mine\n", theirs + b"desc: theirs\n"]
    merged = lab.both_ways(*three)
    assert [conflict.key for conflict in merged.conflicts] == ["labels[0:1, 0:1]", "desc"]
    settled = lab.merge(three, Choices({"labels[0:1, 0:1]": Side.OURS, "desc": Side.THEIRS}))
    assert settled.content == ours + b"desc: theirs\n"


def test_an_open_conflict_is_no_yaml(lab: EditedProject, tmp_path: Path) -> None:
    from emdvc.errors import ProjectError

    merged = lab.merge(_three(lab, None))
    file = tmp_path / "open.dvc"
    file.write_bytes(merged.content or b"")
    with pytest.raises(ProjectError, match="not valid YAML"):
        yaml_files.read(file)


def test_removed_against_changed_is_a_conflict(lab: EditedProject) -> None:
    base, ours, _ = _three(lab, ["labels"])
    merged = lab.merge([base, ours, None])
    (conflict,) = merged.conflicts
    assert conflict.key == ""
    assert conflict.theirs is ABSENT
    assert conflict.why == "theirs removed scan.zarr, ours changed it"
    assert b"<<<<<<< ours" in (merged.content or b"")
    assert lab.merge([base, ours, None], Choices({"": Side.OURS})).content == ours
    assert lab.merge([base, ours, None], Choices({"": Side.THEIRS})).content is None
    assert lab.merge([base, base, None]).content is None


def test_a_single_file_that_both_edited_is_taken_as_a_whole(lab: EditedProject) -> None:
    def pointer(content: bytes) -> bytes:
        md5 = keep_object(lab.cache, content)
        out = f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: scan.zarr\n"
        return f"{out}meta:\n  emdvc_edited: {{}}\n".encode()

    three = [pointer(content) for content in (b"1", b"22", b"333")]
    (conflict,) = lab.both_ways(*three).conflicts
    assert conflict.key == "md5"
    assert "single file" in conflict.why
    assert lab.merge(three, Choices({"md5": Side.THEIRS})).content == three[2]
    (lab.project.root / "scan.zarr").write_bytes(b"4444")
    assert lab.merge(three, Choices({"md5": Edited()})).content == pointer(b"4444")


def test_the_checksums_of_blocks_stay_with_their_bytes(lab: EditedProject) -> None:
    base, ours, _ = _three(lab, None)
    kept = b"meta:\n  emdvc:\n    md5: abc\n    files: {}\n"
    merged = lab.both_ways(base, ours + kept, base + b"meta:\n  sample: gold\n")
    assert merged.conflicts == ()
    assert recorded_bytes.mapping(merged.content)["meta"] == {"emdvc": {"md5": "abc", "files": {}}, "sample": "gold"}


def test_an_import_that_both_updated_is_one_conflict(lab: EditedProject) -> None:
    def imported(revision: str, md5: str) -> bytes:
        return (
            f"md5: {md5 * 2}\nfrozen: true\ndeps:\n- path: scan.zarr\n  repo:\n    url: https://example.org/scans\n"
            f"    rev_lock: {revision}\nouts:\n- md5: {md5 * 4}\n  size: 3\n  hash: md5\n  path: scan.zarr\n"
        ).encode()

    three = [imported("a" * 40, "0a0b0c0d"), imported("b" * 40, "1a1b1c1d"), imported("c" * 40, "2a2b2c2d")]
    (conflict,) = lab.both_ways(*three).conflicts
    assert "from its source" in conflict.why
    assert lab.merge(three, Choices({"md5": Side.THEIRS})).content == three[2]
    assert lab.both_ways(three[0], three[1], three[0] + b"desc: scans\n").content == three[1] + b"desc: scans\n"


def test_neither_of_raw_data_is_no_side_in_either_order(lab: EditedProject) -> None:
    base, ours, theirs = _three(lab, None)
    one = lab.merge([base, ours, theirs], Choices(rest=NEITHER)).content
    assert one == lab.merge([base, theirs, ours], Choices(rest=NEITHER)).content
    md5s = {recorded_bytes.read(content).md5 for content in (base, ours, theirs, one)}  # type: ignore[union-attr]
    assert len(md5s) == 4


def test_lists_of_100_000_files_take_less_than_two_seconds(lab: EditedProject) -> None:
    """The driver's whole work on two such datasets; what other processes took of the machine does not count."""
    names = [f"labels/c.{y}.{x}" for y in range(316) for x in range(317)]
    base = {name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names}
    sides = [dict(base), dict(base)]
    for number in range(0, 1000, 2):
        for side, other in enumerate(sides):
            other[names[number * 97 + side]] = hashlib.md5(
                bytes([side, number % 256]), usedforsecurity=False
            ).hexdigest()
    three = []
    for files in (base, *sides):
        md5 = keep_list(lab.cache, files)
        text = f"outs:\n- md5: {md5}\n  nfiles: {len(files)}\n  hash: md5\n  path: scan.zarr\n"
        three.append((text + "meta:\n  emdvc_edited: {by_element: [labels]}\n").encode())
    start = time.process_time()
    merged = lab.merge(three)
    assert time.process_time() - start < 2.0
    assert merged.conflicts == ()
    said = recorded_bytes.read(merged.content)
    assert said is not None
    assert manifest(lab.cache, said.md5) == base | {
        name: md5 for side in sides for name, md5 in side.items() if base[name] != md5
    }
