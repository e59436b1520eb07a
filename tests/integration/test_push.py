"""`emdvc push` where plain DVC goes wrong, each time beside it; and two people at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Emdvc
from moving_places import Moved, Place, begin, damaged, end, place, project, run, wait_for_bytes
from s3_servers import CephS3, ceph_s3  # noqa: F401 - fixture

from emdvc.history import notes

SIZES = [20_000] * 8 + [3 << 20]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Moved:
    return project(tmp_path_factory.mktemp("made") / "project", SIZES)


@pytest.fixture
def folder(made: Moved) -> Iterator[Place]:
    """A folder that has everything, pushed by emdvc."""
    with place("folder") as found:
        found.write_settings(made.folder)
        run([sys.executable, "-m", "emdvc", "push"], made.folder)
        yield found


def _object(made: Moved, name: str) -> str:
    """Return the name of the object of a file of the scan."""
    (listed,) = (md5 for md5 in made.objects() if md5.endswith(".dir"))
    entries = json.loads((made.cache / listed[:2] / listed[2:]).read_text())
    return next(str(entry["md5"]) for entry in entries if entry["relpath"] == name)


def _clone(made: Moved, where: Place, target: Path) -> Path:
    run(["git", "clone", "-q", str(made.folder), str(target)], made.folder)
    where.write_settings(target)
    return target


def test_a_lost_object_is_sent_again(made: Moved, folder: Place, tmp_path: Path) -> None:
    run(["dvc", "push", "-q"], made.folder)
    lost = _object(made, "c.3")
    folder.lose(lost)
    assert "up to date" in run(["dvc", "push"], made.folder).stdout
    assert lost not in folder.contents()

    assert "sent 1 file " in run(["emdvc", "push"], made.folder).stdout
    assert damaged(folder.contents()) == []
    assert lost in folder.contents()
    # what DVC remembers of that remote does not keep it from finding the object
    theirs = _clone(made, folder, tmp_path / "theirs")
    run(["dvc", "pull", "-q"], theirs)
    assert (theirs / "raw" / "scan" / "c.3").read_bytes() == (made.folder / "raw" / "scan" / "c.3").read_bytes()


def test_corrupt_objects_are_not_delivered(made: Moved, folder: Place, tmp_path: Path, emdvc: Emdvc) -> None:
    whole = (made.folder / "raw" / "scan" / "c.3").read_bytes()
    folder.overwrite(_object(made, "c.3"), whole[:-1] + bytes([whole[-1] ^ 1]))
    folder.overwrite(_object(made, "c.5"), b"cut short")
    plain = _clone(made, folder, tmp_path / "plain")
    run(["dvc", "pull", "-q"], plain)
    assert (plain / "raw" / "scan" / "c.5").read_bytes() == b"cut short"

    theirs = _clone(made, folder, tmp_path / "theirs")
    done = emdvc("pull", cwd=theirs, status=3)
    assert "EM-DATA-CORRUPT" in done.stderr
    assert "corrupt: raw/scan/c.3, raw/scan/c.5" in done.stderr
    assert not (theirs / "raw" / "scan" / "c.5").exists()
    # what has another size is found by a push, and mended
    assert "  was corrupt there: raw/scan/c.5" in emdvc("push", cwd=made.folder).stdout
    assert damaged(folder.contents()) == [_object(made, "c.3")]


@pytest.mark.server
def test_another_checksum_on_s3_is_corrupt(made: Moved, ceph_s3: CephS3, emdvc: Emdvc) -> None:  # noqa: F811
    with place("s3", ceph=ceph_s3) as where:
        where.write_settings(made.folder)
        emdvc("push", cwd=made.folder)
        whole = (made.folder / "raw" / "scan" / "c.3").read_bytes()
        where.overwrite(_object(made, "c.3"), whole[:-1] + bytes([whole[-1] ^ 1]))
        assert "  was corrupt there: raw/scan/c.3" in emdvc("push", cwd=made.folder).stdout
        assert where.contents() == made.contents()
        assert json.loads(emdvc("push", "--json", cwd=made.folder).stdout)["remotes"][0]["sent"] == 0


@pytest.mark.server
@pytest.mark.slow
def test_a_half_written_upload_is_not_taken_for_the_object(made: Moved, emdvc: Emdvc) -> None:
    with place("wsgidav", mbit=12) as where:
        where.write_settings(made.folder)
        for program, name in ((["dvc", "push"], "dvc"), (["emdvc", "push"], "emdvc")):
            where.clear()
            process = subprocess.Popen(
                program, cwd=made.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert wait_for_bytes(where, where.moved() + 1_500_000, process)
            where.kill()
            process.kill()
            end(process)
            where.start()
            assert bool(damaged(where.contents())) == (name == "dvc")
            if name == "dvc":  # what DVC has left there
                emdvc("push", cwd=made.folder)
                assert where.contents() == made.contents()


def test_what_is_said(made: Moved, emdvc: Emdvc) -> None:
    with place("folder") as where:
        where.write_settings(made.folder)
        done = emdvc("push", "--dry-run", cwd=made.folder)
        assert done.stdout.startswith("would send 10 files (3.")
        assert list((where.store or Path()).iterdir()) == []
        said = json.loads(emdvc("push", "--json", cwd=made.folder).stdout)
        assert said["remotes"][0] == {
            "name": "lab",
            "url": str(where.store),
            "sent": 10,
            "bytes": sum(map(len, made.contents().values())),
            "there": 0,
            "repaired": [],
            "runs": 0,
        }
        assert emdvc("push", cwd=made.folder).stdout == f"nothing to send: lab ({where.store}) has all 10 files\n"
        assert "did you mean lab" in emdvc("push", "-r", "lap", cwd=made.folder, status=2).stderr


def test_what_is_noted_of_the_runs_goes_along(made: Moved, tmp_path: Path) -> None:
    run(["git", "init", "-q", "--bare", str(tmp_path / "hub.git")], tmp_path)
    with place("folder") as where:
        theirs = _clone(made, where, tmp_path / "theirs")
        run(["git", "remote", "set-url", "origin", str(tmp_path / "hub.git")], theirs)
        run(["git", "push", "-q", "origin", "HEAD"], theirs)
        head = run(["git", "rev-parse", "HEAD"], theirs).stdout.strip()
        notes.add(head, "runs", {"path": "results/a.zarr", "step": "mean", "version": 2}, theirs)
        shutil.copytree(made.cache.parents[1], theirs / ".dvc" / "cache")
        run(["emdvc", "push"], theirs)
    shown = run(["git", "notes", "--ref", notes.REF, "show", head], tmp_path / "hub.git").stdout
    assert json.loads(shown)["runs"][0]["version"] == 2


@pytest.mark.server
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_two_clones_push_at_once(kind: str, made: Moved, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ceph = request.getfixturevalue("ceph_s3") if kind == "s3" else None
    with place(kind, ceph=ceph) as where:
        clones = [_clone(made, where, tmp_path / name) for name in ("one", "two")]
        for number, clone in enumerate(clones):
            shutil.copytree(made.cache.parents[1], clone / ".dvc" / "cache")
            (clone / "raw" / f"own{number}").mkdir()
            for chunk in range(20):
                (clone / "raw" / f"own{number}" / str(chunk)).write_bytes(os.urandom(30_000))
            run(["dvc", "add", "-q", f"raw/own{number}"], clone)
        both = [begin(["push"], clone, where.env) for clone in clones]
        assert [end(one)[0] for one in both] == [0, 0]
        wanted = {name: content for clone in clones for name, content in Moved(clone, 0).contents().items()}
        assert where.contents() == wanted


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv"
)
def test_two_unix_users_push_at_once_to_one_folder(made: Moved) -> None:
    """Each in a clone of their own, both in the group to which the folder belongs; each mends what the other sent."""
    group, users = 54321, (54322, 54323)
    home = Path(tempfile.mkdtemp(prefix="emdvc-users-"))  # not below pytest's folder, which is closed to others
    home.chmod(0o755)
    try:
        (home / "store").mkdir()
        os.chown(home / "store", users[0], group)
        (home / "store").chmod(0o2770)
        where = Place("folder", {"url": str(home / "store")}, store=home / "store")
        clones = []
        for user in users:
            clone = _clone(made, where, home / f"clone{user}")
            shutil.copytree(made.cache.parents[1], clone / ".dvc" / "cache")
            own = Moved(clone, 0)
            content = str(user).encode() * 50_000
            _record(own, f"raw/{user}.npy", content)
            run(["chown", "-R", f"{user}:{group}", str(clone)], home)
            clones.append(own)
        both = [_as_user(user, group, clone, home) for user, clone in zip(users, clones, strict=True)]
        for one in both:
            status, said = end(one)
            assert status == 0, said
        assert where.contents() == {**clones[0].contents(), **clones[1].contents()}
        for path in (home / "store" / "files").rglob("*"):
            status = path.stat()
            assert (status.st_gid, status.st_mode & 0o070) == (group, 0o070 if path.is_dir() else 0o040), path
        # what the one has sent and lost, the other sends again, into the other's folder
        md5 = _object(made, "c.3")
        where.overwrite(md5, b"cut short")
        status, said = end(_as_user(users[1], group, clones[1], home))
        assert "was corrupt there: raw/scan/c.3" in said, said
        assert damaged(where.contents()) == []
    finally:
        shutil.rmtree(home)


def _record(clone: Moved, path: str, content: bytes) -> None:
    import hashlib

    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    target = clone.cache / md5[:2] / md5[2:]
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    (clone.folder / f"{path}.dvc").write_text(
        f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: {Path(path).name}\n"
    )


def _as_user(user: int, group: int, clone: Moved, home: Path) -> subprocess.Popen[str]:
    words = [
        "setpriv",
        f"--reuid={user}",
        f"--regid={group}",
        "--clear-groups",
        "--",
        sys.executable,
        "-m",
        "emdvc",
        "push",
    ]
    env = {**os.environ, "HOME": str(home), "GIT_CONFIG_GLOBAL": "", "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        env[name] = str(clone.folder / ".dvc" / "tmp" / name)
    return subprocess.Popen(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *words],
        cwd=clone.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
