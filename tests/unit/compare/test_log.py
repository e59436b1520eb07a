"""The history of a dataset, from texts written by hand and committed to a real git repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emdvc.compare.log import find as log_find
from emdvc.compare.log.gather import Log
from emdvc.compare.log.last import last_change
from emdvc.errors import DataMissingError, UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.history import notes
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar
from emdvc.render import log as rendered

SCAN, IMAGE = "raw/scan.mib", "results/image.zarr"


class Repository:
    """A project that is written by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("")
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, **more: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True, env=_environment(more)
        )
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str | None], **more: str) -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message, **more)
        return self.git("rev-parse", "HEAD")

    def log(self, path: str = SCAN, **options: Any) -> Log:
        name, mark, revision = path.partition("@")
        return log_find.find(f"{self.root / name}{mark}{revision}", **options)

    def lines(self, path: str = SCAN, **options: Any) -> list[tuple[str, str]]:
        found = self.log(path, **options).entries
        return [(rendered.word(entry), rendered.what(entry)) for entry in found]


def _environment(more: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **more}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def pointer(content: str, name: str = "scan.mib", directory: bool = False) -> str:
    return f"outs:\n- md5: {md5(content)}{'.dir' if directory else ''}\n  hash: md5\n  path: {name}\n"


def lock(**outs: str) -> str:
    lines = ["schema: '2.0'", "stages:"]
    for name, content in outs.items():
        lines += [
            f"  {name}:",
            f"    cmd: run {name}",
            "    params:",
            "      params.yaml:",
            f"        {name}: {content}",
        ]
        lines += ["    outs:", f"    - path: results/{name}.zarr", "      hash: md5", f"      md5: {md5(content)}.dir"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def scan(raw: Callable[..., Sidecar]) -> Callable[..., str]:
    """Return the text of a scan's sidecar, with other values of the record, or other parts."""

    def text(changes: dict[str, Any] | None = None, **parts: Any) -> str:
        return sidecars.dump_yaml(raw(changes, **parts).to_dict())

    return text


def digest(sidecar: Sidecar, letter: str) -> dict[str, Any]:
    return {"data": replace(sidecar.variables["data"], digest=letter * 64)}


def test_each_kind_of_change_has_its_verdict(repository: Repository, scan: Any, raw: Any) -> None:
    step = {"diffraction.pixel_size": Quantity(0.022, "1/angstrom")}
    other = digest(raw(), "c")
    wider = {"data": replace(raw().variables["data"], dtype="uint32", digest="d" * 64)}
    repository.commit("new", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    repository.commit("unrelated", {"notes.txt": "x"})
    repository.commit("calibrated", {f"{SCAN}.em.yaml": scan(step)})
    repository.commit("who", {f"{SCAN}.em.yaml": scan({**step, "operator": "Knoll"})})
    repository.commit("packed", {f"{SCAN}.dvc": pointer("2")})
    repository.commit("redone", {f"{SCAN}.em.yaml": scan(step, variables=other), f"{SCAN}.dvc": pointer("3")})
    repository.commit("widened", {f"{SCAN}.em.yaml": scan(step, variables=wider), f"{SCAN}.dvc": pointer("4")})
    repository.commit("gone", {f"{SCAN}.em.yaml": None, f"{SCAN}.dvc": None})
    assert repository.lines() == [
        ("removed", ""),
        ("structure", "data: uint16 -> uint32"),
        ("values", "the numbers differ"),
        ("encoding only", "other bytes, the same numbers"),
        ("metadata", "operator B. v. Borries -> Knoll"),
        ("calibration", "diffraction.pixel_size 0.02 -> 0.022 1/Å (+10 %)"),
        ("added", "4D-STEM scan, 8 x 8 x 64 x 64 uint16"),
    ], "the operator was set back with the redone scan, too: the numbers come first"
    subjects = [entry.commit.subject for entry in repository.log().entries]
    assert subjects == ["gone", "widened", "redone", "packed", "who", "calibrated", "new"]


def test_only_the_entry_of_the_dataset_itself_counts_in_the_lock(repository: Repository) -> None:
    repository.commit("both", {"dvc.lock": lock(image="1", other="1")})
    repository.commit("other", {"dvc.lock": lock(image="1", other="2")})
    repository.commit("moved", {"dvc.lock": lock(other="2", image="1")})
    repository.commit("image", {"dvc.lock": lock(other="2", image="2")})
    assert [entry.commit.subject for entry in repository.log(IMAGE).entries] == ["image", "both"]
    assert [entry.commit.subject for entry in repository.log("results/other.zarr").entries] == ["other", "both"]
    newest = repository.log(IMAGE).entries[0]
    assert (str(newest.verdict), newest.difference.kind) == ("values", "result"), "nothing says that they are the same"
    assert [cause.key for cause in newest.difference.causes] == ["image"]


def test_how_many_chunks(repository: Repository, scan: Any, raw: Any) -> None:
    names = ["zarr.json", *(f"data/c.{n}" for n in range(64))]
    for letter, changed in (("a", ()), ("b", (3, 5, 9))):
        content = {name: md5(name) for name in names} | {f"data/c.{n}": md5(letter) for n in changed}
        content["zarr.json"] = md5(letter)
        directory = md5(letter) + ".dir"
        listed = json.dumps([{"relpath": name, "md5": one} for name, one in content.items()])
        place = repository.root / ".dvc" / "cache" / "files" / "md5" / directory[:2] / directory[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(listed)
        files = {
            f"{SCAN}.em.yaml": scan(variables=digest(raw(), letter)),
            f"{SCAN}.dvc": pointer(letter, directory=True),
            ".gitignore": ".dvc/cache\n",
        }
        repository.commit(letter, files)
    (newest, _) = repository.log().entries
    assert newest.chunks is not None and newest.chunks.to_dict() == {"changed": 3, "total": 64}
    assert repository.lines()[0] == ("values", "3 of 64 chunks")


def test_a_rename_is_followed(repository: Repository, scan: Any) -> None:
    new = "raw/au_grid.mib"
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1"), "raw/b.mib.dvc": pointer("2")})
    repository.commit("calibrated", {f"{SCAN}.em.yaml": scan({"beam.energy": Quantity(300.0, "keV")})})
    text = scan({"beam.energy": Quantity(300.0, "keV"), "operator": "Knoll"})
    moved = {f"{new}.em.yaml": text, f"{new}.dvc": pointer("1", "au_grid.mib")}
    repository.commit("moved", {**moved, f"{SCAN}.em.yaml": None, f"{SCAN}.dvc": None, "raw/b.mib.dvc": None})
    assert repository.lines(new) == [
        ("renamed", "renamed from raw/scan.mib; operator B. v. Borries -> Knoll"),
        ("calibration", "beam.energy 200 -> 300 keV (+100 keV, +50 %)"),
        ("added", "4D-STEM scan, 8 x 8 x 64 x 64 uint16"),
    ]
    assert [str(entry.difference.path) for entry in repository.log(new).entries] == [new, SCAN, SCAN]


def test_a_copy_is_new(repository: Repository, scan: Any) -> None:
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    repository.commit("copy", {"raw/copy.mib.em.yaml": scan(), "raw/copy.mib.dvc": pointer("1", "copy.mib")})
    assert [word for word, _ in repository.lines("raw/copy.mib")] == ["added"]


def test_a_merge_tells_only_what_neither_side_had(repository: Repository, scan: Any) -> None:
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), "dvc.lock": lock(image="1", other="1")})
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("theirs", {"dvc.lock": lock(image="2", other="1")}, GIT_AUTHOR_NAME="Max Knoll")
    repository.git("checkout", "-q", "main")
    repository.commit("ours", {"dvc.lock": lock(image="1", other="2"), f"{SCAN}.em.yaml": scan({"operator": "x"})})
    repository.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "side")
    repository.commit("merged", {"dvc.lock": lock(image="2", other="2")})
    authors = {
        path: [(entry.commit.subject, entry.commit.author) for entry in repository.log(path).entries]
        for path in (IMAGE, "results/other.zarr", SCAN)
    }
    ruska = "Ernst Ruska"
    assert authors == {
        IMAGE: [("theirs", "Max Knoll"), ("first", ruska)],
        "results/other.zarr": [("ours", ruska), ("first", ruska)],
        SCAN: [("ours", ruska), ("first", ruska)],
    }
    # a merge that made a third state
    repository.git("checkout", "-q", "-b", "again", "side")
    repository.commit("3", {"dvc.lock": lock(image="3", other="1")})
    repository.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "main")
    repository.commit("both", {"dvc.lock": lock(image="4", other="2")})
    assert repository.log(IMAGE).entries[0].commit.subject == "both"


def test_limit_since_revision_and_all_branches(repository: Repository, scan: Any) -> None:
    days = [f"2026-05-0{day}T12:00:00+02:00" for day in (1, 2, 3)]
    for day in days:
        date = {"GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day}
        repository.commit(day, {f"{SCAN}.em.yaml": scan({"operator": day})}, **date)
    repository.git("checkout", "-q", "-b", "side", "HEAD~1")
    repository.commit("side", {f"{SCAN}.em.yaml": scan({"operator": "side"})})
    repository.git("checkout", "-q", "main")

    def subjects(path: str = SCAN, **options: Any) -> list[str]:
        return [entry.commit.subject for entry in repository.log(path, **options).entries]

    assert subjects() == days[::-1]
    assert subjects(limit=2) == days[:0:-1] and repository.log(limit=2).more and not repository.log(limit=3).more
    assert subjects(since="2026-05-02T00:00:00+02:00") == days[:0:-1]
    assert subjects(f"{SCAN}@HEAD~1") == days[1::-1]
    assert subjects(everything=True) == ["side", *days[::-1]]
    with pytest.raises(UsageError):
        repository.log(f"{SCAN}@HEAD", everything=True)
    first = repository.log().entries[0]
    assert (rendered.date(first.commit.date), first.commit.author) == ("2026-05-03 12:00", "Ernst Ruska")


@pytest.mark.parametrize("path", [f"{SCAN}.em.yaml", f"{SCAN}.dvc", f"{SCAN}/part/frame.bin", SCAN])
def test_a_dataset_by_any_of_its_names(repository: Repository, scan: Any, path: str) -> None:
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    assert str(repository.log(path).path) == SCAN


def test_an_unknown_dataset(repository: Repository, scan: Any) -> None:
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    with pytest.raises(DataMissingError) as error:
        repository.log("raw/scam.mib")
    assert error.value.hint == f"did you mean {SCAN}?"
    with pytest.raises(UsageError):
        repository.log(f"{SCAN}@nowhere")


def test_a_name_in_another_encoding_and_settings_of_git(repository: Repository, scan: Any) -> None:
    for setting in (
        "log.follow=true",
        "log.showSignature=true",
        "diff.renames=copies",
        "core.abbrev=5",
        "log.date=raw",
    ):
        repository.git("config", *setting.split("="))
    repository.git("config", "i18n.logOutputEncoding", "latin1")
    repository.commit("first", {f"{SCAN}.em.yaml": scan(), "dvc.lock": lock(image="1")}, GIT_AUTHOR_NAME="Ernst Brüche")
    repository.commit("second", {"dvc.lock": lock(image="2")})
    assert [entry.commit.author for entry in repository.log().entries] == ["Ernst Brüche"]
    assert len(repository.log(IMAGE).entries) == 2


def test_what_is_not_committed(repository: Repository, scan: Any) -> None:
    (repository.root / "raw").mkdir()
    sidecar = repository.root / f"{SCAN}.em.yaml"
    sidecar.write_text(scan(), encoding="utf-8")
    assert (repository.log().entries, repository.log().uncommitted) == ((), True), "before the first commit"
    repository.commit("first", {})
    assert not repository.log().uncommitted
    sidecar.write_text(scan({"operator": "x"}), encoding="utf-8")
    assert repository.log().uncommitted and not repository.log(f"{SCAN}@HEAD").uncommitted
    found = last_change(repository.root / SCAN)
    assert found is not None and found.uncommitted and found.entry is not None
    assert found.entry.commit.subject == "first"


def test_a_verification_marks_every_commit_with_the_same_bytes(repository: Repository) -> None:
    first = repository.commit("one", {"dvc.lock": lock(image="1", other="1")})
    repository.commit("two", {"dvc.lock": lock(image="2", other="1")})
    later = repository.commit("other", {"dvc.lock": lock(image="2", other="2")})
    stages = {"image": "bit-identical", "other": "different"}
    for commit, when, word in ((later, "2026-05-01", "failed"), (later, "2026-05-02", "bit-identical")):
        entry = {"when": when, "who": "Knoll", "scope": "stages", "stages": {**stages, "image": word}, "ok": False}
        notes.add(commit, "verified", entry, repository.root)
    two, one = repository.log(IMAGE).entries
    assert one.commit.oid == first and one.verified is None
    assert two.verified is not None and (two.verified.verdict, two.verified.ok) == ("bit-identical", True)
    assert rendered.sentence(two).endswith("[verified: bit-identical]")
    (other, _) = repository.log("results/other.zarr").entries
    assert rendered.sentence(other).endswith("[NOT REPRODUCED: different]")
    found = last_change(repository.root / IMAGE)
    assert found is not None
    assert rendered.last_rows(found)[1:] == [("verified", "2026-05-02, Knoll: bit-identical")]


def test_the_last_change_is_the_first_of_the_log(repository: Repository, scan: Any) -> None:
    image = sidecars.dump_yaml(Sidecar(provenance={"step": "sum", "version": 1}).to_dict())
    repository.commit("one", {"dvc.lock": lock(image="1"), f"{IMAGE}.em.yaml": image, f"{SCAN}.em.yaml": scan()})
    repository.commit("other bytes", {"dvc.lock": lock(image="2")})
    repository.commit("unrelated", {"dvc.lock": lock(image="2", other="1"), "x": "y"})
    for path in (IMAGE, SCAN):
        found = last_change(repository.root / path)
        assert found is not None and found.entry is not None
        assert found.entry.commit.oid == repository.log(path).entries[0].commit.oid
    assert last_change(repository.root.parent / "nowhere.mib") is None, "outside a project"


def test_a_conflict_that_was_committed_hides_nothing(repository: Repository, scan: Any) -> None:
    repository.commit("one", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    repository.commit("conflict", {f"{SCAN}.em.yaml": "<<<<<<< ours\n", f"{SCAN}.dvc": "<<<<<<< ours\n"})
    repository.commit("mended", {f"{SCAN}.em.yaml": scan(), f"{SCAN}.dvc": pointer("1")})
    assert [entry.commit.subject for entry in repository.log().entries] == ["mended", "conflict", "one"]
