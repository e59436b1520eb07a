"""Lists of files merged by name, and written as DVC writes them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.history.cache_place import object_path
from emdvc.history.dvc_manifest import parsed_list
from emdvc.history.merging.datasets import manifests
from emdvc.history.merging.datasets.manifests import Entry, merge_lists

A, B, C, D = (letter * 32 for letter in "abcd")
_LISTS = st.dictionaries(st.sampled_from("pqrstu"), st.sampled_from([A, B, C]))


def test_what_one_side_changed_added_or_removed_is_taken() -> None:
    base = {"changed": A, "removed": A, "same": A}
    ours = {"changed": B, "removed": A, "same": A, "added": C}
    theirs = {"changed": A, "same": A, "also": D}
    merged = merge_lists(base, ours, theirs)
    assert merged.files == {"changed": B, "same": A, "added": C, "also": D}
    assert merged.undecided == {}


def test_what_both_did_alike_is_fine() -> None:
    base = {"changed": A, "removed": A}
    both = {"changed": B, "added": C}
    merged = merge_lists(base, both, both)
    assert merged.files == both
    assert merged.undecided == {}


def test_what_both_did_differently_is_left_undecided() -> None:
    base = {"changed": A, "gone": A}
    merged = merge_lists(base, {"changed": B, "gone": B, "new": B}, {"changed": C, "new": C})
    assert merged.files == {}
    assert merged.undecided == {"changed": Entry(A, B, C), "gone": Entry(A, B, None), "new": Entry(None, B, C)}


@given(_LISTS, _LISTS, _LISTS)
def test_each_name_is_merged_by_itself_and_in_either_order(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    merged, other = merge_lists(base, ours, theirs), merge_lists(base, theirs, ours)
    assert merged.files == other.files
    assert merged.undecided.keys() == other.undecided.keys()
    for name in {*base, *ours, *theirs}:
        was, here, there = base.get(name), ours.get(name), theirs.get(name)
        expected = here if here == there or there == was else there if here == was else "undecided"
        assert merged.files.get(name, "undecided" if name in merged.undecided else None) == expected


@given(
    st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()), st.sampled_from([A, B]))
)
def test_a_list_has_the_bytes_and_the_md5_of_dvc(files: dict[str, str]) -> None:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    files = {name: md5 for name, md5 in files.items() if "/" not in name.strip("/") and "//" not in name}
    tree = Tree()
    for name, md5 in files.items():
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    content = manifests.list_bytes(files)
    assert content == tree.as_bytes()
    assert manifests.list_md5(content) == tree.oid
    assert parsed_list(content) == files


@pytest.mark.parametrize("name", ["labels/c/0/10", "labels/c/0/2", "ä ö.csv", 'quoted "name"', "labels.zarr/zarr.json"])
def test_names_in_folders_are_written_as_dvc_does(name: str) -> None:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    tree = Tree()
    files = {name: A, "labels/c/0/1": B, "labels-2/c": C, "Z": D}
    for one, md5 in files.items():
        tree.add(tuple(one.split("/")), None, HashInfo("md5", md5))
    assert manifests.list_bytes(files) == tree.as_bytes()


def test_a_kept_object_is_whole_and_read_only(tmp_path: Path) -> None:
    md5 = manifests.keep_object(tmp_path, b"numbers")
    file = object_path(tmp_path, md5)
    assert file.read_bytes() == b"numbers"
    assert not stat.S_IMODE(file.stat().st_mode) & 0o222
    assert manifests.keep_object(tmp_path, b"numbers") == md5
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_neither_is_no_side_and_the_same_in_either_order() -> None:
    one, other = manifests.neither(Entry(A, B, C)), manifests.neither(Entry(A, C, B))
    assert one == other
    assert one not in (A, B, C)
    assert len(one) == 32
