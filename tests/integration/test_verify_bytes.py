"""`emdvc verify --bytes`: corrupt copies are named with what they belong to, nothing else is, and the remedies work."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from command_line import Emdvc
from verified_project import contents, copied, damage, dvc, git, locked, made, objects, one_bit, path_of, verdicts_noted

from emdvc.errors import Code, DataMissingError, EnvironmentFault
from emdvc.history.project import Project
from emdvc.history.verify.byte_check import ByteCheck, check_bytes
from emdvc.history.verify.repairing import repair

SCAN, SUM = "raw/scan.npy", "results/sum.zarr"


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = copied(made(tmp_path_factory), tmp_path)
    monkeypatch.chdir(found)
    return found


def _cache(project: Path) -> Path:
    return objects(project / ".dvc" / "cache")


def _store(project: Path) -> Path:
    return objects(project.parent / "store")


def _files(project: Path, path: str) -> dict[str, str]:
    """Return the files of a directory with their md5, as DVC's own list in the remote has them."""
    content = path_of(_store(project), locked(project, path)).read_bytes()
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}


def _checked(project: Path, **options: Any) -> ByteCheck:
    return check_bytes(Project.find(project), options.pop("revisions", [None]), **options)


def _said(emdvc: Emdvc, project: Path, *options: str, status: int) -> dict[str, Any]:
    answer = json.loads(emdvc("verify", "--bytes", "--json", *options, cwd=project, status=status).stdout)
    assert (answer["schema"], answer["version"]) == ("emdvc/verify_bytes", 1)
    return dict(answer)


def test_one_bit_here_and_one_there_are_named_with_their_datasets(project: Path, emdvc: Emdvc) -> None:
    chunk = "sum/0.0"  # the sum pattern has one chunk, 16 x 16
    here, there = locked(project, SCAN), _files(project, SUM)[chunk]
    damage(path_of(_cache(project), here), one_bit)
    damage(path_of(_store(project), there), one_bit)
    before = contents(project), contents(_store(project))
    assert "in sync" in dvc(project, "status", "--cloud")  # DVC sees nothing of it

    said = _said(emdvc, project, "--no-record", status=1)
    assert [(fault["place"], fault["kind"], fault["object"]) for fault in said["faults"]] == [
        ("cache", "corrupt", here),
        ("lab", "corrupt", there),
    ]
    assert [[(one["path"], one["file"], one["region"]) for one in fault["needed_by"]] for fault in said["faults"]] == [
        [(SCAN, None, None)],
        [(SUM, chunk, "sum: ky 0:16, kx 0:16")],
    ]
    assert all(one["revisions"] == ["workspace", "HEAD"] for fault in said["faults"] for one in fault["needed_by"])
    assert (said["lost"], said["unknown"]) == ([], [])
    assert (contents(project, without=("tmp",)), contents(_store(project))) == (
        {path: was for path, was in before[0].items() if "tmp" not in path},
        before[1],
    )

    told = emdvc("verify", "--bytes", "--repair", cwd=project).stdout
    assert f"corrupt in the cache: {path_of(_cache(project), here)}\n  needed by {SCAN}; workspace, HEAD\n" in told
    assert (
        f"corrupt in remote lab: {path_of(_store(project), there)}\n  needed by {SUM}, its file {chunk} (sum: " in told
    )
    assert told.count("needed by") == 2
    assert "repaired from remote lab" in told
    assert "repaired from the cache" in told
    assert hashlib.md5(path_of(_cache(project), here).read_bytes()).hexdigest() == here
    assert hashlib.md5(path_of(_store(project), there).read_bytes()).hexdigest() == there
    # nothing but the two files was written, and nothing was left beside them
    after = contents(project, without=("tmp", ".git")), contents(_store(project))
    written = [path for path, was in before[0].items() if path in after[0] and after[0][path] != was]
    assert written == [path_of(_cache(project), here).relative_to(project).as_posix()]
    assert [path for path, was in before[1].items() if after[1][path] != was] == [f"{there[:2]}/{there[2:]}"]
    assert after[1].keys() == before[1].keys()
    assert _said(emdvc, project, status=0)["ok"]
    noted = verdicts_noted(project)
    assert [(one["scope"], one["ok"], one["places"]) for one in noted] == [("bytes", True, ["cache", "lab"])] * 2
    assert noted[0]["who"] == "Ernst Ruska"


@pytest.mark.parametrize(
    ("change", "kind"),
    [(one_bit, "corrupt"), (lambda content: content[:-1], "truncated"), (lambda content: b"", "empty")],
)
@pytest.mark.parametrize("place", ["cache", "lab"])
def test_what_is_wrong_with_a_copy(project: Path, change: Callable[[bytes], bytes], kind: str, place: str) -> None:
    md5 = locked(project, SCAN)
    damage(path_of(_cache(project) if place == "cache" else _store(project), md5), change)
    check = _checked(project)
    assert [(fault.md5, fault.place, fault.kind) for fault in check.faults()] == [(md5, place, kind)]
    assert [one.place for one in repair(check)] == [place]
    assert not check.faults()
    assert not _checked(project).faults()


def test_a_copy_that_cannot_be_read(project: Path) -> None:
    path = path_of(_cache(project), locked(project, SCAN))
    path.unlink()
    path.mkdir()  # a folder cannot be opened as a file, even by a person who may read everything
    (fault,) = _checked(project).faults()
    assert fault.kind == "unreadable"
    assert fault.copy.detail


def test_a_corrupt_list_of_files(project: Path) -> None:
    md5 = locked(project, SUM)
    damage(path_of(_cache(project), md5), one_bit)
    check = _checked(project)
    assert [(fault.md5, fault.place) for fault in check.faults()] == [(md5, "cache")]
    assert set(check.wanted.lists[md5]) == set(_files(project, SUM))  # read from the remote
    list(repair(check))
    assert not _checked(project).faults()


def test_no_good_list_of_files_leaves_them_unknown(project: Path, emdvc: Emdvc) -> None:
    md5 = locked(project, SUM)
    for place in (_cache(project), _store(project)):
        damage(path_of(place, md5), one_bit)
    said = _said(emdvc, project, "--no-record", status=1)
    assert [(fault["place"], fault["good_copies"]) for fault in said["faults"]] == [("cache", []), ("lab", [])]
    assert [one["object"] for one in said["unknown"]] == [md5]


def test_bytes_that_are_recorded_and_are_no_list(project: Path) -> None:
    content = b'{"not": "a list"}'
    md5 = hashlib.md5(content).hexdigest() + ".dir"
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text().replace(locked(project, SUM), md5))
    path_of(_cache(project), md5).parent.mkdir(exist_ok=True)
    path_of(_cache(project), md5).write_bytes(content)
    check = _checked(project)
    assert [(fault.md5, fault.kind) for fault in check.faults()] == [(md5, "no list of files")]
    assert check.unknown() == [md5]


def test_only_here_is_no_fault_and_lost_is_named(project: Path, emdvc: Emdvc) -> None:
    md5 = locked(project, SCAN)
    path_of(_store(project), md5).unlink()
    told = emdvc("verify", "--bytes", cwd=project).stdout
    assert "1 is only here" in told
    assert "every copy is as recorded" in told

    path_of(_cache(project), md5).unlink()
    (lost,) = _checked(project).lost()
    assert (lost.md5, lost.uses[0].out.path, lost.good) == (md5, PurePosixPath(SCAN), ("workspace",))
    assert _checked(project, ask_remotes=False).lost() == []  # what the cache alone lacks is not lost
    assert [one.source for one in repair(_checked(project))] == ["workspace"]
    assert hashlib.md5(path_of(_cache(project), md5).read_bytes()).hexdigest() == md5

    path_of(_cache(project), md5).unlink()
    (project / SCAN).unlink()
    told = emdvc("verify", "--bytes", cwd=project, status=1).stdout
    assert f"lost: {md5} is neither in the cache nor on remote lab" in told
    assert "whoever has one runs in their own clone" in told


def test_the_commands_that_are_said_to_help_do(project: Path, emdvc: Emdvc) -> None:
    md5 = _files(project, SUM)["sum/0.0"]
    copies = [path_of(place, md5) for place in (_cache(project), _store(project))]
    for path in (*copies, project / SUM / "sum" / "0.0"):
        damage(path, one_bit)
    told = emdvc("verify", "--bytes", cwd=project, status=1).stdout
    line = next(line for line in told.splitlines() if "compute it again: " in line)
    first, second = line.partition("compute it again: ")[2].split(" && ")
    dvc(project, *shlex.split(first)[1:])
    emdvc(*shlex.split(second)[1:], cwd=project)
    assert all(hashlib.md5(path.read_bytes()).hexdigest() == md5 for path in copies)
    emdvc("verify", "--bytes", cwd=project)

    # and DVC's own way for the cache, as docs/how-to/verify.md has it
    damage(copies[0], one_bit)
    copies[0].unlink()
    dvc(project, "fetch", SUM)
    assert not _checked(project).faults()


def test_what_git_keeps_is_not_looked_for(project: Path) -> None:
    outs = {str(out.path) for out in _checked(project, revisions=[None, "HEAD"]).wanted.outs}
    assert outs == {SCAN, SUM, "results/random.npy", "results/tiny.npy"}
    assert locked(project, f"{SUM}.em.yaml")  # though dvc.lock records them
    assert locked(project, "results/mean.yaml")


def test_paths_and_older_revisions(project: Path, emdvc: Emdvc) -> None:
    chunk = _files(project, SUM)["sum/0.0"]
    git(project, "tag", "first")
    git(project, "rm", "--quiet", "dvc.lock")
    git(project, "commit", "--quiet", "--message", "no result")
    damage(path_of(_store(project), chunk), one_bit)

    both: list[str | None] = [None, "HEAD"]
    assert not _checked(project, revisions=both).faults()
    (fault,) = _checked(project, revisions=[*both, "main", "first"]).faults()
    assert [use.out.revisions for use in fault.uses] == [("first",)]
    assert [fault["needed_by"][0]["revisions"] for fault in _said(emdvc, project, "--all", status=1)["faults"]] == [
        ["first"]
    ]
    assert [one["ok"] for one in verdicts_noted(project)] == [True]  # of the last commit nothing is corrupt
    assert not _checked(project, revisions=["first"], paths=[PurePosixPath("raw")]).faults()
    assert _checked(project, revisions=["first"], paths=[PurePosixPath("results")]).faults()
    with pytest.raises(DataMissingError, match="no bytes are recorded of raw/scam"):
        _checked(project, paths=[PurePosixPath("raw/scam.npy")])


def test_a_remote_that_is_away(project: Path, emdvc: Emdvc) -> None:
    dvc(project, "remote", "modify", "lab", "url", str(project.parent / "unmounted" / "store"))
    with pytest.raises(EnvironmentFault) as error:
        _checked(project)
    assert error.value.code == Code.REMOTE_PLACE
    emdvc("verify", "--bytes", "--no-remote", cwd=project)


@pytest.mark.server
def test_s3(project: Path, s3_remote: str, emdvc: Emdvc) -> None:
    import s3fs

    dvc(project, "remote", "add", "cloud", s3_remote)
    dvc(project, "push", "--remote", "cloud")
    md5 = _files(project, SUM)["sum/0.0"]
    where = f"{s3_remote}/files/md5/{md5[:2]}/{md5[2:]}"
    storage = s3fs.S3FileSystem(skip_instance_cache=True)
    storage.pipe_file(where, one_bit(storage.cat_file(where)))

    (fault,) = _said(emdvc, project, "--remote", "cloud", status=1)["faults"]
    assert (fault["where"], fault["needed_by"][0]["file"]) == (where, "sum/0.0")
    emdvc("verify", "--bytes", "--repair", "--remote", "cloud", cwd=project)
    storage.invalidate_cache()
    assert hashlib.md5(storage.cat_file(where)).hexdigest() == md5


@pytest.mark.server
def test_ssh(project: Path, ssh_remote: str, emdvc: Emdvc) -> None:
    dvc(project, "remote", "add", "server", ssh_remote)
    dvc(project, "push", "--remote", "server")
    md5 = locked(project, SCAN)
    path = path_of(objects(Path("/" + ssh_remote.split("/", 3)[3])), md5)
    beside = sorted(path.parent.iterdir())
    damage(path, one_bit)

    (fault,) = _said(emdvc, project, "--remote", "server", status=1)["faults"]
    assert (fault["place"], fault["object"]) == ("server", md5)
    emdvc("verify", "--bytes", "--repair", "--remote", "server", cwd=project)
    assert hashlib.md5(path.read_bytes()).hexdigest() == md5
    assert sorted(path.parent.iterdir()) == beside
