"""The rule of raw data: what is a loss, and what is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from emdvc.history.raw.pointers import is_pointer, raw_in
from emdvc.history.raw.removals import Removal, removals, with_removals
from emdvc.history.raw.rules import losses, shrunk

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@dataclass
class Texts:
    """A state of a repository, as plain texts."""

    texts: Mapping[str, str]
    name: str = "some state"

    def text(self, path: str | PurePosixPath) -> str | None:
        return self.texts.get(str(path))

    def pointers(self) -> list[str]:
        return [path for path in self.texts if is_pointer(path)]


def pointer(md5: str | None, path: str = "scan.mib", size: int = 10) -> str:
    said = f"  md5: {md5}\n  hash: md5\n" if md5 else ""
    return f"outs:\n- path: {path}\n  size: {size}\n{said}"


def sidecar(sha: str, *replaced: tuple[str, str | None], size: int = 10) -> str:
    lines = (f"  - {{reason: '{reason}', previous_digest: {before or 'null'}}}\n" for reason, before in replaced)
    entries = "".join(lines)
    files = f"  files:\n  - {{path: scan.mib, sha256: {sha}, size: {size}}}\n"
    return f"source:\n{files}" + (f"  replaced:\n{entries}" if entries else "")


OLD = {"raw/scan.mib.dvc": pointer(A), "raw/scan.mib.em.yaml": sidecar("s1")}


@pytest.mark.parametrize(
    ("new", "how"),
    [
        ({}, "dropped"),
        (OLD | {"raw/scan.mib.dvc": ""}, "dropped"),
        (OLD | {"raw/scan.mib.dvc": "outs: ["}, "dropped"),
        (OLD | {"raw/scan.mib.dvc": pointer(None)}, "emptied"),
        (OLD | {"raw/scan.mib.dvc": pointer(B)}, "changed"),
        # a reason that is empty, one for other bytes, and one that was there before
        (OLD | {"raw/scan.mib.dvc": pointer(B), "raw/scan.mib.em.yaml": sidecar("s2", (" ", "s1"))}, "changed"),
        (OLD | {"raw/scan.mib.dvc": pointer(B), "raw/scan.mib.em.yaml": sidecar("s2", ("why", "s0"))}, "changed"),
        (OLD | {"raw/scan.mib.dvc": pointer(B), "raw/scan.mib.em.yaml": sidecar("s1", ("why", "s1"))}, "changed"),
        # the sidecar speaks of other bytes than the pointer
        ({"raw/scan.mib.dvc": pointer(B, size=7), "raw/scan.mib.em.yaml": sidecar("s2", ("why", "s1"))}, "changed"),
        # moved, and other bytes at the new place
        ({"raw/new.mib.dvc": pointer(B, "new.mib")}, "dropped"),
        ({".emdvc/removed.yaml": with_removals(None, [Removal("raw/scan.mib", B, "other bytes")])}, "dropped"),
        ({".emdvc/removed.yaml": with_removals(None, [Removal("raw/other.mib", A, "another file")])}, "dropped"),
        ({".emdvc/removed.yaml": f"removed:\n- {{path: raw/scan.mib, md5: {A}, reason: ''}}\n"}, "dropped"),
    ],
)
def test_losses(new: dict[str, str], how: str) -> None:
    (loss,) = losses(Texts(OLD), Texts(new), sorted({*OLD, *new} - {".emdvc/removed.yaml"}))
    assert (loss.how, str(loss.raw.path), loss.raw.md5) == (how, "raw/scan.mib", A)


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        OLD | {"raw/scan.mib.dvc": "# a comment\n" + pointer(A)},
        {"raw/new.mib.dvc": pointer(A, "new.mib")},
        {"elsewhere/deep/new.mib.dvc": pointer(A, "new.mib")},
        {"raw/scan.mib.dvc": pointer(B), "raw/scan.mib.em.yaml": sidecar("s2", ("why", "s1"))},
        {"raw/scan.mib.dvc": pointer(C), "raw/scan.mib.em.yaml": sidecar("s3", ("why", "s1"), ("again", "s2"))},
        {".emdvc/removed.yaml": with_removals(None, [Removal("raw/scan.mib", A, "why")])},
        {"raw/.emdvc/removed.yaml": with_removals(None, [Removal("scan.mib", A, "why")])},
    ],
)
def test_no_losses(new: dict[str, str]) -> None:
    assert losses(Texts(OLD), Texts(new), [path for path in {**OLD, **new} if is_pointer(path)]) == []


def test_two_files_that_change_places() -> None:
    old = {"raw/a.mib.dvc": pointer(A, "a.mib"), "raw/b.mib.dvc": pointer(B, "b.mib")}
    new = {"raw/a.mib.dvc": pointer(B, "a.mib"), "raw/b.mib.dvc": pointer(A, "b.mib")}
    assert [loss.how for loss in losses(Texts(old), Texts(new), [*old])] == ["changed", "changed"]


def test_data_of_another_repository_follows_its_source() -> None:
    old = {"raw/theirs.dvc": "deps:\n- path: x\n" + pointer(A, "theirs")}
    assert raw_in(Texts(old), "raw/theirs.dvc") == []
    described = old | {"raw/theirs.em.yaml": sidecar("s1")}
    assert [raw.md5 for raw in raw_in(Texts(described), "raw/theirs.dvc")] == [A]


def test_a_folder_whose_list_the_pointer_holds_itself() -> None:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta
    from dvc_data.hashfile.tree import Tree

    tree = Tree()
    for name, md5 in (("b", B), ("a/x", A)):
        tree.add(tuple(name.split("/")), Meta(), HashInfo("md5", md5))
    tree.digest()
    listed = "".join(f"  - {{relpath: {name}, md5: {md5}}}\n" for name, md5 in (("b", B), ("a/x", A)))
    (raw,) = raw_in(Texts({"d.dvc": f"outs:\n- path: d\n  files:\n{listed}"}), "d.dvc")
    assert raw.md5 == tree.hash_info.value


def test_reasons_are_kept_when_another_is_added() -> None:
    first = with_removals(None, [Removal("a", A, "one")])
    both = with_removals(first, [Removal("b", B, "two: with a colon")])
    assert removals(both) == [Removal("a", A, "one"), Removal("b", B, "two: with a colon")]
    assert removals("removed: 3") == removals("") == removals(None) == []


def test_shrunk() -> None:
    whole = {"a": A, "b": B}
    assert shrunk(whole, {"a": A}) == ["b"]
    assert shrunk(whole, {"a": B}) == []
    assert shrunk(whole, whole) == []
    assert shrunk(None, whole) == []
