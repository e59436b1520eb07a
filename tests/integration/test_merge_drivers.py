"""What `git merge` does between two clones: with DVC's own driver or none, and with emdvc's.

Each trap is shown twice: what goes wrong without emdvc, and what comes of the same merge with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import zarr
from command_line import Emdvc
from dvc.utils.serialize import dumps_yaml
from ruamel.yaml import YAML

POINTER, LOCK, SIDECAR = "raw/labels.zarr.dvc", "dvc.lock", "raw/labels.zarr.em.yaml"
CHUNKS = ("labels/0.0", "labels/0.1", "labels/1.0", "labels/1.1")
PIPELINE = """\
stages:
  rings:
    cmd: run rings
    deps: [raw/labels.zarr]
    params: [rings]
    outs: [results/rings.zarr, results/table.csv]
    plots: [{results/rings.png: {cache: false}}]
  vdet:
    cmd: run vdet
    deps: [raw/labels.zarr]
    params: [vdet]
    outs: [results/vdet.zarr]
"""

posix = pytest.mark.skipif(os.name == "nt", reason="the program is replaced by a shell script")


class Clone:
    """A clone of the project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *words: str, status: int | None = 0, path: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "GIT_EDITOR": "true", **({"PATH": path} if path is not None else {})}
        command = ["git", *words]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--no-verify", "-m", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def merge(self, there: Clone, *, status: int | None = 0, path: str | None = None) -> str:
        """Merge what another clone has committed, and return what was said."""
        self.git("fetch", "-q", str(there.root), "main:refs/remotes/there/main")
        done = self.git("merge", "-m", "merged", "there/main", status=status, path=path)
        return done.stdout + done.stderr

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str | bytes) -> None:
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def lock(self, **stages: dict[str, object]) -> None:
        """Write a dvc.lock as DVC does."""
        self.write(LOCK, dumps_yaml({"schema": "2.0", "stages": stages}))

    @property
    def locked(self) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = YAML(typ="safe").load(self.text(LOCK))["stages"]
        return found

    @property
    def conflicts(self) -> list[str]:
        return self.git("diff", "--name-only", "--diff-filter=U").stdout.split()

    # --- the dataset ---

    @property
    def files(self) -> dict[str, bytes]:
        """The dataset that the pointer records, by the name of each file."""
        md5 = re.search(r"md5: (\w+\.dir)", self.text(POINTER))
        assert md5 is not None
        listed = json.loads(self.object(md5[1]).read_bytes())
        return {one["relpath"]: self.object(one["md5"]).read_bytes() for one in listed}

    def record(self, change: Mapping[str, bytes | None], *, also: Path | None = None, desc: str = "") -> None:
        """Record the dataset with some files changed as `dvc add` does, in the cache or in a remote's folder alone."""
        files = {**self.files}
        for name, content in change.items():
            if content is None:
                del files[name]
            else:
                files[name] = content
        place = also if also is not None else self.root / ".dvc" / "cache"
        md5s = {name: keep(place, content) for name, content in files.items()}
        listed = json.dumps([{"md5": md5s[name], "relpath": name} for name in sorted(files)])
        md5 = keep(place, listed.encode(), ".dir")
        text = re.sub(r"md5: \w+\.dir", f"md5: {md5}", self.text(POINTER))
        text = re.sub(r"size: \d+", f"size: {sum(map(len, files.values()))}", text)
        text = re.sub(r"nfiles: \d+", f"nfiles: {len(files)}", text)
        self.write(POINTER, text.replace("  path: ", f"  desc: {desc}\n  path: ") if desc else text)

    def object(self, md5: str) -> Path:
        return self.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def keep(place: Path, content: bytes, ending: str = "") -> str:
    """Keep bytes as DVC's cache and remotes do, and return their md5."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
    file = place / "files" / "md5" / md5[:2] / md5[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(content)
    return md5


def stage(name: str, raw: str = "a", outs: str = "0", table: str = "0", **params: int) -> dict[str, object]:
    """Return the entry of a stage."""
    written = {"results/table.csv": table} if name == "rings" else {}
    return {
        "cmd": f"run {name}",
        "deps": [recorded("raw/labels.zarr", raw)],
        "params": {"params.yaml": {name: {"inner": 1, "outer": 1, "width": 1, **params}}},
        "outs": [recorded(path, said) for path, said in ({f"results/{name}.zarr": outs} | written).items()],
    }


def recorded(path: str, content: str) -> dict[str, object]:
    """Return how dvc.lock records a file."""
    md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    return {"path": path, "hash": "md5", "md5": md5, "size": 3}


def chunk(*first: int) -> bytes:
    """Return the bytes of a chunk of 4 x 4 labels that begins with some values."""
    values = np.zeros(16, "<u2")
    values[: len(first)] = first
    return values.tobytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Return a project with labels that people edit, two stages, and their results."""
    place = tmp_path_factory.mktemp("made")
    emdvc = Emdvc(place)
    emdvc("init", place / "project")
    labels = zarr.create_array(
        place / "labels.zarr", name="labels", shape=(8, 8), chunks=(4, 4), dtype="uint16", zarr_format=2,
        compressors=None, fill_value=0, config={"write_empty_chunks": True},
    )  # fmt: skip
    labels[:] = 0
    zarr.consolidate_metadata(place / "labels.zarr")
    emdvc("add", place / "labels.zarr", "--mergeable", "labels", cwd=place / "project")
    clone = Clone(place / "project")
    clone.write("dvc.yaml", PIPELINE)
    clone.write("params.yaml", "rings: {inner: 1, outer: 1, width: 1}\nvdet: {inner: 1, outer: 1, width: 1}\n")
    clone.lock(rings=stage("rings"), vdet=stage("vdet"))
    clone.write("results/rings.png", b"\x89PNG\x00 base")
    emdvc("git", "install", cwd=clone.root)
    clone.commit("base")
    return clone.root


@pytest.fixture
def clones(made: Path, tmp_path: Path) -> tuple[Clone, Clone]:
    """Return two clones with emdvc's drivers."""
    return copied(Clone(made), tmp_path / "here"), copied(Clone(made), tmp_path / "there")


def copied(clone: Clone, folder: Path) -> Clone:
    """Return a copy of a clone."""
    return Clone(Path(shutil.copytree(clone.root, folder, symlinks=True)))


def without_drivers(clone: Clone) -> None:
    """Let a clone know nothing of emdvc: what `git clone` alone gives."""
    for section in ("merge.emdvc", "merge.emdvc-base", "mergetool.emdvc"):
        clone.git("config", "--remove-section", section)
    shutil.rmtree(clone.root / ".git" / "hooks")
    (clone.root / ".git" / "hooks").mkdir()


def plain_git(clone: Clone) -> Clone:
    """Return a copy of a clone that knows nothing of emdvc."""
    copy = copied(clone, clone.root.with_name("plain"))
    without_drivers(copy)
    return copy


Change = Callable[[Clone], object]


def each_commits(clones: tuple[Clone, Clone], here: Change, there: Change) -> None:
    """Change each clone, share the cache, and commit."""
    for clone, change in zip(clones, (here, there), strict=True):
        change(clone)
        clone.commit(clone.root.name)
    caches = [clone.root / ".dvc" / "cache" for clone in clones]
    shutil.copytree(caches[1], caches[0], dirs_exist_ok=True)
    shutil.copytree(caches[0], caches[1], dirs_exist_ok=True)


# --- dvc.lock -------------------------------------------------------------------------------------------------------


def test_different_stages(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    one, other = stage("com", outs="c"), stage("fit", outs="f")
    each_commits(
        clones,
        lambda clone: clone.lock(rings=stage("rings"), vdet=stage("vdet"), fit=other),
        lambda clone: clone.lock(rings=stage("rings"), vdet=stage("vdet"), com=one),
    )
    plain = plain_git(here)
    plain.merge(there, status=1)
    assert plain.conflicts == [LOCK]
    here.merge(there)
    assert here.locked == {"rings": stage("rings"), "vdet": stage("vdet"), "com": one, "fit": other}
    plain.git("merge", "--abort")
    there.merge(plain)
    assert there.text(LOCK) == here.text(LOCK)


def test_the_same_stage_is_not_blended(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    each_commits(
        clones,
        lambda clone: clone.lock(rings=stage("rings", raw="b", outs="1"), vdet=stage("vdet")),
        lambda clone: clone.lock(rings=stage("rings", width=2, table="2"), vdet=stage("vdet")),
    )
    plain = plain_git(here)
    # git alone sees no conflict: an entry that says of a result what nobody ever computed
    plain.merge(there)
    assert plain.locked["rings"] == stage("rings", raw="b", width=2, outs="1", table="2")
    said = here.merge(there)
    assert here.locked == {"vdet": stage("vdet")}
    assert (
        "emdvc: stage rings: computed on both sides with different inputs (raw/labels.zarr here, "
        "params rings.width there): dvc repro rings" in said
    )


def test_a_picture_follows_the_entry_of_its_stage(clones: tuple[Clone, Clone]) -> None:
    here, there = clones

    def change(width: int, picture: bytes) -> Callable[[Clone], None]:
        def write(clone: Clone) -> None:
            clone.lock(rings=stage("rings", width=width, outs=str(len(picture))), vdet=stage("vdet"))
            clone.write("results/rings.png", picture)

        return write

    each_commits(clones, change(2, b"\x89PNG\x00 wider"), change(1, b"\x89PNG\x00 the same, drawn anew"))
    plain = plain_git(here)
    plain.merge(there, status=1)
    assert "results/rings.png" in plain.conflicts
    here.merge(there)
    assert (here.root / "results" / "rings.png").read_bytes() == b"\x89PNG\x00 wider"
    assert here.locked["rings"] == stage("rings", width=2, outs="11")


DvcsOwn = Callable[[Clone], Clone]


# --- the pointer of a directory -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dvcs_driver(made: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the merge driver that `dvc install` writes."""
    clone = copied(Clone(made), tmp_path_factory.mktemp("installed") / "clone")
    without_drivers(clone)
    subprocess.run([sys.executable, "-m", "dvc", "install"], cwd=clone.root, check=True, capture_output=True)
    return clone.git("config", "merge.dvc.driver").stdout.strip()


@pytest.fixture
def plain_dvc(dvcs_driver: str) -> DvcsOwn:
    """Return what copies a clone and gives it DVC's own driver; the attribute that this needs is by hand."""

    def with_driver(clone: Clone) -> Clone:
        copy = copied(clone, clone.root.with_name("with dvc"))
        without_drivers(copy)
        copy.git("config", "merge.dvc.driver", dvcs_driver)
        copy.write(".git/info/attributes", "*.dvc merge=dvc\n")
        return copy

    return with_driver


def test_different_chunks_merge_with_both(clones: tuple[Clone, Clone], plain_dvc: DvcsOwn) -> None:
    here, there = clones
    each_commits(clones, lambda c: c.record({CHUNKS[0]: chunk(1)}), lambda c: c.record({CHUNKS[3]: chunk(2)}))
    plain = plain_dvc(here)
    plain.merge(there)
    here.merge(there)
    assert here.files == plain.files
    assert (here.files[CHUNKS[0]], here.files[CHUNKS[3]]) == (chunk(1), chunk(2))


def test_the_same_chunk_changed_by_both(clones: tuple[Clone, Clone], plain_dvc: DvcsOwn) -> None:
    here, there = clones
    each_commits(
        clones, lambda c: c.record({CHUNKS[0]: chunk(0, 0, 7)}), lambda c: c.record({CHUNKS[0]: chunk(5, 0, 0)})
    )
    plain = plain_dvc(here)
    ours = plain.text(POINTER)
    plain.merge(there, status=1)
    # the trap: ours without a mark, and `git add` settles it
    assert plain.text(POINTER) == ours
    plain.git("add", POINTER)
    plain.git("commit", "-q", "--no-verify", "-m", "theirs are lost")
    assert plain.files[CHUNKS[0]] == chunk(0, 0, 7)
    here.merge(there)
    assert here.files[CHUNKS[0]] == chunk(5, 0, 7)


def test_the_same_label_changed_by_both(clones: tuple[Clone, Clone], emdvc: Emdvc) -> None:
    here, there = clones
    each_commits(clones, lambda c: c.record({CHUNKS[0]: chunk(7)}), lambda c: c.record({CHUNKS[0]: chunk(5)}))
    said = here.merge(there, status=1)
    assert f"emdvc: {POINTER}: changed on both sides" in said
    assert here.conflicts == [POINTER]
    for mark in ("<<<<<<< ours", "||||||| base", "=======", ">>>>>>> theirs"):
        assert f"\n{mark}\n" in f"\n{here.text(POINTER)}"
    asked = YAML(typ="safe").load(here.text(f"{POINTER}.conflict.yaml"))
    assert [one["key"] for one in asked["conflicts"]] == ["labels[0:1, 0:1]"]
    # neither `git add` nor a commit of everything passes it off as settled, and the conflict file stays here
    here.git("add", "--all")
    assert f"{POINTER}.conflict.yaml" not in here.git("diff", "--cached", "--name-only").stdout
    refused = here.git("commit", "-qm", "settled?", status=1).stderr
    assert f"error[EM-MERGE-CONFLICT]: {POINTER} holds a conflict that is not resolved" in refused
    assert f"hint: emdvc merge --resolve {POINTER} ours|theirs|edit" in refused
    assert "EM-MERGE-CONFLICT" in emdvc("save", "-m", "settled?", "--no-push", cwd=here.root, status=4).stderr
    emdvc("merge", "--check-index", cwd=here.root, status=4)
    emdvc("merge", "--resolve", POINTER, "theirs", cwd=here.root)
    here.git("commit", "-qm", "settled")
    assert here.files[CHUNKS[0]] == chunk(5)


def test_both_deleted(clones: tuple[Clone, Clone], plain_dvc: DvcsOwn) -> None:
    here, there = clones
    each_commits(
        clones,
        lambda c: c.record({CHUNKS[0]: None, CHUNKS[1]: chunk(1)}),
        lambda c: c.record({CHUNKS[0]: None, CHUNKS[2]: chunk(2)}),
    )
    assert plain_dvc(here).merge(there, status=1)
    here.merge(there)
    assert CHUNKS[0] not in here.files
    assert (here.files[CHUNKS[1]], here.files[CHUNKS[2]]) == (chunk(1), chunk(2))


def test_deleted_and_changed(clones: tuple[Clone, Clone], plain_dvc: DvcsOwn) -> None:
    here, there = clones
    # a note beside the labels is no array: as a whole
    for clone in clones:
        clone.record({"notes.txt": b"first\n"})
        clone.commit("a note")
    each_commits(clones, lambda c: c.record({"notes.txt": None}), lambda c: c.record({"notes.txt": b"second\n"}))
    assert "unexpected error - ('notes.txt',)" in plain_dvc(here).merge(there, status=1)
    said = here.merge(there, status=1)
    assert "Traceback" not in said
    assert "notes.txt" in said
    assert here.conflicts == [POINTER]
    assert "<<<<<<< ours" in here.text(POINTER)


def test_differing_descriptions(clones: tuple[Clone, Clone], plain_dvc: DvcsOwn) -> None:
    here, there = clones
    each_commits(
        clones,
        lambda c: c.record({CHUNKS[0]: chunk(1)}, desc="grains, by hand"),
        lambda c: c.record({CHUNKS[3]: chunk(2)}),
    )
    assert plain_dvc(here).merge(there, status=1)
    here.merge(there)
    assert "  desc: grains, by hand\n" in here.text(POINTER)
    assert (here.files[CHUNKS[0]], here.files[CHUNKS[3]]) == (chunk(1), chunk(2))


@pytest.fixture
def remote(clones: tuple[Clone, Clone], tmp_path: Path) -> Path:
    """Return the folder of a remote that both clones have."""
    store = tmp_path / "store"
    for clone in clones:
        (clone.root / ".dvc" / "config.local").write_text(
            f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store.as_posix()}\n"
        )
    return store


def test_their_list_is_not_in_the_cache(clones: tuple[Clone, Clone], remote: Path, plain_dvc: DvcsOwn) -> None:
    here, there = clones
    here.record({CHUNKS[0]: chunk(1)})
    here.commit("here")
    there.record({CHUNKS[3]: chunk(2)}, also=remote)
    there.commit("there")
    assert plain_dvc(here).merge(there, status=1)
    here.merge(there)
    md5s = {name: hashlib.md5(content).hexdigest() for name, content in ((CHUNKS[3], chunk(2)), (CHUNKS[0], chunk(1)))}
    text = here.text(POINTER)
    listed = re.search(r"md5: (\w+\.dir)", text)
    assert listed is not None
    names = json.loads(here.object(listed[1]).read_bytes())
    assert {one["relpath"]: one["md5"] for one in names if one["relpath"] in md5s} == md5s


def test_their_list_is_nowhere(clones: tuple[Clone, Clone], tmp_path: Path) -> None:
    here, there = clones
    here.record({CHUNKS[0]: chunk(1)})
    here.commit("here")
    there.record({CHUNKS[3]: chunk(2)}, also=tmp_path / "nowhere")
    there.commit("there")
    said = here.merge(there, status=1)
    assert "error[EM-DATA-MISSING]" in said
    assert "is therefore merged line by line" in said
    assert here.conflicts == [POINTER]
    assert "<<<<<<< ours" in here.text(POINTER)


# --- sidecars and parameters ----------------------------------------------------------------------------------------


def test_two_edits_of_one_quantity_are_never_half_of_each(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    quantity = "rings:\n  energy:\n    value: 200\n\n\n    unit: kV\n"
    for clone in clones:
        clone.write("params.yaml", quantity)
        clone.commit("in kV")
    each_commits(
        clones,
        lambda c: c.write("params.yaml", quantity.replace("200", "300")),
        lambda c: c.write("params.yaml", quantity.replace("kV", "keV")),
    )
    plain = plain_git(here)
    plain.merge(there)
    assert YAML(typ="safe").load(plain.text("params.yaml"))["rings"]["energy"] == {"value": 300, "unit": "keV"}
    here.merge(there, status=1)
    assert here.conflicts == ["params.yaml"]


# --- rebase, cherry-pick, criss-cross -------------------------------------------------------------------------------


def test_rebase_and_cherry_pick(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    picture = b"\x89PNG\x00 theirs"

    def theirs(clone: Clone) -> None:
        clone.lock(rings=stage("rings", width=2, outs="2"), vdet=stage("vdet"))
        clone.write("results/rings.png", picture)

    def ours(clone: Clone) -> None:
        clone.lock(rings=stage("rings", outs="1"), vdet=stage("vdet", outs="1"))
        clone.write("results/rings.png", b"\x89PNG\x00 drawn again")

    each_commits(clones, ours, theirs)
    wanted = {"rings": stage("rings", width=2, outs="2"), "vdet": stage("vdet", outs="1")}
    for words in (["rebase", "-q", "main", "picked"], ["cherry-pick", "there/main"]):
        clone = copied(here, here.root.with_name(words[0]))
        clone.git("fetch", "-q", str(there.root), "main:refs/remotes/there/main")
        clone.git("branch", "picked", "there/main")
        clone.git(*words)
        assert clone.locked == wanted
        assert (clone.root / "results" / "rings.png").read_bytes() == picture


def test_criss_cross(clones: tuple[Clone, Clone]) -> None:
    here, there = clones

    def lock(clone: Clone, width: int) -> None:
        clone.lock(rings=stage("rings", outs=str(width), width=width), vdet=stage("vdet"))

    each_commits(clones, lambda c: lock(c, 2), lambda c: lock(c, 3))
    for clone in clones:
        clone.git("branch", "first")
    here.git("fetch", "-q", str(there.root), "first:refs/remotes/there/first")
    there.git("fetch", "-q", str(here.root), "first:refs/remotes/there/first")
    for clone, width in ((here, 2), (there, 3)):
        clone.git("merge", "-q", "-m", "each other's", "there/first")
        assert "rings" not in clone.locked
        # each computes again, with what it had
        lock(clone, width)
        clone.commit("again")
    said = here.merge(there)
    assert "rings" not in here.locked
    assert "dvc repro rings" in said


# --- where emdvc is not ---------------------------------------------------------------------------------------------


def both_change_the_width(clones: tuple[Clone, Clone]) -> None:
    text = "rings: {inner: 1, outer: 1, width: %d}\nvdet: {inner: 1, outer: 1, width: 1}\n"
    each_commits(clones, lambda c: c.write("params.yaml", text % 2), lambda c: c.write("params.yaml", text % 3))


READABLE = """\
<<<<<<< ours
rings: {inner: 1, outer: 1, width: 2}
||||||| base
rings: {inner: 1, outer: 1, width: 1}
=======
rings: {inner: 1, outer: 1, width: 3}
>>>>>>> theirs
vdet: {inner: 1, outer: 1, width: 1}
"""


def test_a_clone_without_the_settings_gets_a_readable_conflict(
    clones: tuple[Clone, Clone], tmp_path: Path, emdvc: Emdvc
) -> None:
    here, there = clones
    both_change_the_width(clones)
    subprocess.run(["git", "clone", "-q", str(here.root), str(tmp_path / "bare of it")], check=True)
    fresh = Clone(tmp_path / "bare of it")
    fresh.merge(there, status=1)
    assert fresh.text("params.yaml").splitlines()[:5] == [
        "<<<<<<< HEAD",
        "rings: {inner: 1, outer: 1, width: 2}",
        "=======",
        "rings: {inner: 1, outer: 1, width: 3}",
        ">>>>>>> there/main",
    ]
    # nothing keeps it from being committed there; the check in CI does
    fresh.commit("markers and all")
    refused = emdvc("verify", "--raw", "HEAD~1..HEAD", cwd=fresh.root, status=1).stdout
    assert "error[EM-MERGE-CONFLICT]: params.yaml holds a conflict that is not resolved" in refused


@pytest.fixture
def bare_path() -> str:
    """Return a PATH with git and the system's programs on which emdvc is not."""
    program = shutil.which("git")
    assert program is not None
    path = os.pathsep.join(dict.fromkeys([str(Path(program).parent), "/usr/bin", "/bin"]))
    if shutil.which("emdvc", path=path):
        pytest.skip("emdvc lies beside git")
    return path


def forget_interpreter(clone: Clone) -> None:
    script = clone.root / ".git" / "emdvc" / "merge"
    script.write_text(re.sub(r"(?m)^emdvc_python=.*$", "emdvc_python=/gone/bin/python", script.read_text()))


@posix
def test_the_script_finds_emdvc_or_merges_line_by_line(clones: tuple[Clone, Clone], bare_path: str) -> None:
    here, there = clones
    both_change_the_width(clones)
    # the remembered interpreter alone
    said = here.merge(there, status=1, path=bare_path)
    assert "emdvc merge --resolve params.yaml" in said
    here.git("merge", "--abort")
    # emdvc on PATH alone
    forget_interpreter(here)
    assert "emdvc merge --resolve params.yaml" in here.merge(there, status=1)
    here.git("merge", "--abort")
    # neither: readable all the same, and no silent ours
    said = here.merge(there, status=1, path=bare_path)
    assert "emdvc is not to be found: params.yaml is merged line by line" in said
    assert here.text("params.yaml") == READABLE
    here.git("merge", "--abort")
    # not even the script: a clone copied by hand
    (here.root / ".git" / "emdvc" / "merge").unlink()
    here.merge(there, status=1, path=bare_path)
    assert here.text("params.yaml") == READABLE
    here.git("merge", "--abort")


@posix
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_the_script_in_each_shell(shell: str, clones: tuple[Clone, Clone], bare_path: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    clone = clones[0]
    forget_interpreter(clone)
    for name, text in (("o", "a\n\nb\n"), ("a", "A\n\nb\n"), ("b", "a\n\nB\n"), ("c", "C\n\nb\n")):
        clone.write(f"{name}.tmp", text)
    command = clone.git("config", "merge.emdvc.driver").stdout.strip()
    for theirs, status, expected in (("b.tmp", 0, "A\n\nB\n"), ("c.tmp", 1, "<<<<<<< ours\nA\n")):
        clone.write("a.tmp", "A\n\nb\n")
        filled = command.replace("%O", "o.tmp").replace("%A", "a.tmp").replace("%B", theirs)
        filled = filled.replace("%P", "'a file.yaml'").replace("%L", "7")
        done = subprocess.run([*words, "-c", filled], cwd=clone.root, env={"PATH": bare_path}, check=False)
        assert done.returncode == status
        assert clone.text("a.tmp").startswith(expected)


@posix
def test_an_emdvc_that_fails_leaves_no_silent_ours(clones: tuple[Clone, Clone], tmp_path: Path, bare_path: str) -> None:
    here, there = clones
    both_change_the_width(clones)
    forget_interpreter(here)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "emdvc").write_text("#!/bin/sh\necho it broke >&2\nexit 1\n")
    (broken / "emdvc").chmod(0o755)
    here.merge(there, status=1, path=f"{broken}{os.pathsep}{bare_path}")
    assert here.text("params.yaml") == READABLE


def test_a_damaged_file_is_an_error_and_a_readable_conflict(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    each_commits(clones, lambda c: c.write(LOCK, "schema: '2.0'\nstages: ]\n"), lambda c: c.write(LOCK, "a: 1\n"))
    said = here.merge(there, status=1)
    assert "error[EM-" in said
    assert "Traceback" not in said
    assert "<<<<<<< ours\nschema: '2.0'\nstages: ]\n||||||| base\n" in here.text(LOCK)


# --- ignored files, installing --------------------------------------------------------------------------------------


def test_both_put_something_under_version_control(clones: tuple[Clone, Clone]) -> None:
    here, there = clones
    name = "raw/.gitignore"
    before = here.text(name)
    each_commits(clones, lambda c: c.write(name, f"{before}/b.mib\n"), lambda c: c.write(name, f"{before}/a.mib\n"))
    plain = plain_git(here)
    plain.merge(there, status=1)
    here.merge(there)
    assert here.text(name) == f"{before}/a.mib\n/b.mib\n"


def test_results_of_any_kind_are_given_to_emdvc(clones: tuple[Clone, Clone], emdvc: Emdvc) -> None:
    clone = clones[0]
    attributes = clone.text(".gitattributes")
    assert "*.png merge=emdvc\n" in attributes
    assert "*.em.yaml text eol=lf diff=emdvc merge=emdvc\n" in attributes
    clone.write("dvc.yaml", PIPELINE + "    metrics: [{results/all of it.json: {cache: false}}, kept.json]\n")
    said = emdvc("git", "status", cwd=clone.root).stdout
    assert 'lacks       attribute merge=emdvc of "/results/all of it.json"' in said
    emdvc("git", "install", cwd=clone.root)
    assert emdvc("git", "install", cwd=clone.root).stdout == "installed already: nothing to do\n"
    assert clone.text(".gitattributes") == attributes + '"/results/all of it.json" merge=emdvc\n'
    assert "merge: emdvc" in clone.git("check-attr", "merge", "results/all of it.json").stdout
    findings = json.loads(emdvc("doctor", "--no-remote", "--json", cwd=clone.root).stdout)["findings"]
    assert next(one["verdict"] for one in findings if one["check"] == "git merge") == "ok"
    emdvc("git", "uninstall", "--attributes", cwd=clone.root)
    assert "merge=emdvc" not in clone.text(".gitattributes")
    assert clone.git("config", "--get-regexp", r"^merge\.emdvc", status=1).stdout == ""
    assert "*.conflict.yaml" not in clone.text(".git/info/exclude")
