"""Two people and one array that both edit by hand: who locks it has it, on every kind of remote that can tell."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from command_line import Emdvc
from pushed_project import PushedProject, pushed_project
from s3_servers import CephS3
from ssh_dav_servers import DavServer, SshServer
from web_servers import WebServer

from emdvc.errors import Code, ConflictError, EmdvcError, EnvironmentFault
from emdvc.history import edited
from emdvc.history.locking import refusing
from emdvc.history.locking.locking import lock, unlock
from emdvc.history.locking.looking import heard, look
from emdvc.history.locking.note import Lock, Page, Person
from emdvc.history.locking.pages import FOLDER, Pages
from emdvc.history.locking.refusing import refuse_locked
from emdvc.history.locking.setting import setting, usual
from emdvc.history.project import Project
from emdvc.history.saving import save
from emdvc.history.status import status
from emdvc.history.storage import loop
from emdvc.history.storage.remote import close_all, connection_to
from emdvc.history.storage.settings import remote_settings

LABELS = PurePosixPath("labels.zarr")
FILES = {"zarr.json": b"{}", "labels/zarr.json": b"{}", "labels/c/0": b"0", "mask/zarr.json": b"{}", "mask/c/0": b"1"}


@contextmanager
def _as(name: str) -> Iterator[None]:
    """Be somebody else for git."""
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", name)
            patch.setenv(f"GIT_{who}_EMAIL", f"{name.lower()}@example.org")
        yield


@dataclass
class Two:
    """Two clones of one project, ``ada`` and ``bob``."""

    ada: Project
    bob: Project
    made: PushedProject

    def edit(self, project: Project, name: str, content: bytes) -> None:
        """Change one file of the labels, and record it as `emdvc add` does."""
        files = {**FILES, name: content}
        made = PushedProject(project, project.root / ".dvc" / "cache" / "files" / "md5", self.made.store)
        made.record("labels.zarr", FILES)  # what was pulled
        made.record("labels.zarr", files)
        edited.write(project.root / "labels.zarr.dvc", edited.Edited(("labels",)))


@pytest.fixture
def two(tmp_path: Path) -> Two:
    made = pushed_project(tmp_path)
    (made.root / ".emdvc").mkdir()
    (made.root / ".emdvc" / "config.yaml").write_text("# Settings of emdvc in this project.\nversion: 1\n")
    made.record("labels.zarr", FILES)
    edited.write(made.root / "labels.zarr.dvc", edited.Edited(("labels",)))
    made.record("other.npy", b"other")
    made.commit("first")
    origin, bob = tmp_path / "origin.git", tmp_path / "bob"
    _git("clone", "-q", "--bare", made.root, origin, cwd=tmp_path)
    _git("remote", "add", "origin", origin, cwd=made.root)
    _git("push", "-q", "-u", "origin", "main", cwd=made.root)
    _git("clone", "-q", origin, bob, cwd=tmp_path)
    return Two(made.project, Project(bob, bob), made)


def _git(*words: object, cwd: Path) -> str:
    return subprocess.run(["git", *map(str, words)], cwd=cwd, check=True, capture_output=True, text=True).stdout


def _use(two: Two, url: str, options: dict[str, str]) -> None:
    """Let both clones have another remote."""
    lines = "".join(f"    {key} = {value}\n" for key, value in options.items())
    for project in (two.ada, two.bob):
        (project.root / ".dvc" / "config").write_text(
            "[core]\n    remote = lab\n['remote \"lab\"']\n" + f"    url = {url}\n"
        )
        (project.root / ".dvc" / "config.local").write_text(f"['remote \"lab\"']\n{lines}")


def _story(two: Two) -> None:
    """Ada locks, Bob is refused, Ada unlocks, Bob saves."""
    with _as("Ada"):
        taken = lock(two.ada, LABELS, reason="grain 3")
        assert (taken.setting, taken.renewed) == (True, False)
        two.edit(two.ada, "labels/c/0", b"ada")
        refuse_locked(two.ada, [PurePosixPath("labels.zarr.dvc")])  # it is her own
    with _as("Bob"):
        # nobody has told Bob's clone that locks are used; what is declared as edited is asked for all the same
        two.edit(two.bob, "labels/c/0", b"bob")
        assert setting(two.bob) is None
        with pytest.raises(ConflictError) as caught:
            refuse_locked(two.bob, [PurePosixPath("labels.zarr.dvc")])
        assert caught.value.code is Code.LOCKED
        assert "Ada <ada@example.org>" in caught.value.cause
        assert '"grain 3"' in str(caught.value.evidence)
        assert refuse_locked(two.bob, [PurePosixPath("other.npy.dvc")]).notes == ()
        with pytest.raises(ConflictError):
            lock(two.bob, LABELS)
        with pytest.raises(ConflictError):
            unlock(two.bob, LABELS)
    with _as("Ada"):
        assert lock(two.ada, LABELS, ends="3d").renewed
        assert [one.reason for one in unlock(two.ada, LABELS)] == ["grain 3"]
    with _as("Bob"):
        assert refuse_locked(two.bob, [PurePosixPath("labels.zarr.dvc")]).ignored == ()
        assert lock(two.bob, LABELS, array="mask").lock.array == "mask"


def test_a_folder(two: Two) -> None:
    _story(two)


@pytest.mark.server
def test_ssh(two: Two, ssh_server: SshServer) -> None:
    _use(two, ssh_server.url(), ssh_server.settings().options)
    _story(two)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["wsgidav", "apache"])
def test_webdav(two: Two, kind: str, request: pytest.FixtureRequest) -> None:
    server: DavServer = request.getfixturevalue(kind)
    _use(two, server.url(), server.settings().options)
    _story(two)


@pytest.mark.server
def test_ceph(two: Two, ceph_s3: CephS3) -> None:
    _use(two, f"s3://{ceph_s3.bucket}/locks", ceph_s3.options())
    _story(two)


@pytest.mark.server
def test_a_web_server_says_that_it_cannot(two: Two, plain_web: WebServer) -> None:
    _use(two, plain_web.url, {})
    with pytest.raises(EnvironmentFault, match="cannot keep locks") as caught:
        lock(two.ada, LABELS)
    assert "over HTTP nothing can be written" in str(caught.value.evidence)
    assert setting(two.ada) is None  # nothing is left half written


def test_the_command_line(two: Two, emdvc: Emdvc) -> None:
    """The same as people see it: lock, status, save refused, against the lock with a reason, taken away, told once."""
    env = {name: {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
                  for what, text in (("NAME", name), ("EMAIL", f"{name.lower()}@example.org"))}
           for name in ("Ada", "Bob")}  # fmt: skip
    ada, bob = two.ada.root, two.bob.root
    assert "would be" in emdvc("lock", "labels.zarr", "--dry-run", cwd=ada, env=env["Ada"]).stderr
    assert not (two.made.store / FOLDER).exists()
    said = emdvc("lock", "labels.zarr.dvc", "--reason", "grain 3", "--until", "8h", cwd=ada, env=env["Ada"]).stdout
    assert "labels.zarr is yours until" in said
    assert 'emdvc save -m "Use locks"' in said
    emdvc("save", "-m", "Use locks", cwd=ada, env=env["Ada"])
    _git("pull", "-q", cwd=bob)
    content = json.loads(emdvc("status", "--json", cwd=bob, env=env["Bob"]).stdout)["locks"]
    assert [(one["path"], one["mine"], one["reason"]) for one in content["locks"]] == [
        ("labels.zarr", False, "grain 3")
    ]
    two.edit(two.bob, "labels/c/0", b"bob")
    for more in ((), ("--dry-run",)):
        said = emdvc("save", "-m", "mine", *more, cwd=bob, env=env["Bob"], status=4).stderr
        assert "error[EM-LOCKED]: labels.zarr is locked by Ada <ada@example.org>" in said
    emdvc("save", "-m", "mine", "--ignore-locks", "it was urgent", cwd=bob, env=env["Bob"])
    message = _git("log", "-1", "--format=%B", cwd=bob).strip()
    assert message == "mine\n\nLock-not-heeded: labels.zarr of Ada <ada@example.org>: it was urgent"
    told = "Bob <bob@example.org> saved a change of labels.zarr, which you hold: it was urgent"
    assert told in emdvc("status", cwd=ada, env=env["Ada"]).stdout
    assert told not in emdvc("status", cwd=ada, env=env["Ada"]).stdout
    emdvc("unlock", "labels.zarr", "--force", cwd=bob, env=env["Bob"], status=2)
    emdvc("unlock", "labels.zarr", "--force", "--reason", "on leave", cwd=bob, env=env["Bob"])
    assert "took your lock on labels.zarr away: on leave" in emdvc("lock", cwd=ada, env=env["Ada"]).stdout
    assert json.loads(emdvc("lock", "--json", cwd=ada, env=env["Ada"]).stdout)["locks"] == []


def test_one_array_of_a_dataset(two: Two) -> None:
    with _as("Ada"):
        lock(two.ada, LABELS, array="labels")
    with _as("Bob"):
        two.edit(two.bob, "mask/c/0", b"bob")
        assert refuse_locked(two.bob, [PurePosixPath("labels.zarr.dvc")]).ignored == ()
        two.edit(two.bob, "labels/c/0", b"bob")
        with pytest.raises(ConflictError, match=r"labels.zarr \[labels\] is locked"):
            refuse_locked(two.bob, [PurePosixPath("labels.zarr.dvc")])
        with pytest.raises(EmdvcError, match="has no array masks"):
            lock(two.bob, LABELS, array="masks")


def test_what_was_committed_before_is_looked_at_when_it_is_pushed(two: Two) -> None:
    with _as("Bob"):
        two.edit(two.bob, "labels/c/0", b"bob")
        save(two.bob, "mine", push=False)
    with _as("Ada"):
        lock(two.ada, LABELS)
        save(two.ada, "Use locks")
    with _as("Bob"):
        _git("pull", "-q", "--no-rebase", "--no-edit", cwd=two.bob.root)
        with pytest.raises(ConflictError, match="is locked by Ada"):
            save(two.bob, None)
        save(two.bob, None, ignore_locks="it was urgent")


def test_a_merge_of_the_holders_own_work_is_not_refused(two: Two) -> None:
    with _as("Ada"):
        lock(two.ada, LABELS)
        two.edit(two.ada, "labels/c/0", b"ada")
        save(two.ada, "grain 3")
    with _as("Bob"):
        (two.bob.root / "notes.txt").write_text("bob\n")
        save(two.bob, "notes", push=False)
        _git("fetch", "-q", cwd=two.bob.root)
        _git("merge", "-q", "--no-commit", "--no-ff", "origin/main", cwd=two.bob.root)
        assert save(two.bob, "merged").pushed_to == "origin/main"


def test_two_projects_on_one_remote_and_two_branches_of_one(two: Two, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    other = pushed_project(tmp_path / "second")
    other.record("labels.zarr", FILES)
    other.commit("another project")
    (other.root / ".dvc" / "config").write_text((two.ada.root / ".dvc" / "config").read_text())
    with _as("Ada"):
        lock(two.ada, LABELS)
    with _as("Bob"):
        lock(other.project, LABELS)
        _git("switch", "-q", "-c", "side", cwd=two.bob.root)
        with pytest.raises(ConflictError):
            lock(two.bob, LABELS)
    assert len(list((two.made.store / FOLDER).iterdir())) == 2


def test_a_project_without_locks_asks_nobody(two: Two) -> None:
    two.made.store.rename(two.made.store.with_name("away"))  # whoever asked would be told
    assert status(two.ada, ask_remote=False).locks is None
    assert refuse_locked(two.ada, [PurePosixPath("other.npy.dvc")]).notes == ()


def test_what_was_seen_last_serves_where_nobody_answers(two: Two) -> None:
    with _as("Ada"):
        lock(two.ada, LABELS)
        save(two.ada, "Use locks")
    with _as("Bob"):
        _git("pull", "-q", cwd=two.bob.root)
        assert status(two.bob).locks is not None
        two.edit(two.bob, "labels/c/0", b"bob")
        two.made.store.rename(two.made.store.with_name("away"))
        two.made.store.write_text("no folder any more")
        found = status(two.bob, ask_remote=False).locks
        assert found is not None
        assert [lock.name for lock in found.locks] == ["labels.zarr"]
        saved = save(two.bob, "on the road", push=False)
        assert saved.commit is not None
        (note,) = saved.notes
        assert note.startswith("locks were not looked at: remote lab")
        assert "ago labels.zarr was locked by Ada" in note


@pytest.mark.server
def test_a_frozen_server_is_waited_for_a_few_seconds_only(
    two: Two, ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusing, "PATIENCE", 1.0)
    _use(two, ssh_server.url(), ssh_server.settings().options)
    with _as("Ada"):
        lock(two.ada, LABELS)
    two.edit(two.ada, "labels/c/0", b"ada")
    close_all()
    ssh_server.freeze()
    try:
        begun = time.monotonic()
        (note,) = save(two.ada, "on the road", push=False).notes
        assert "did not answer in time" in note
        found = look(two.ada, 1.0)
        assert time.monotonic() - begun < 6
        assert found is not None
        assert [lock.name for lock in found.locks] == ["labels.zarr"]
        assert found.looks[0].problem
    finally:
        ssh_server.thaw()
        close_all()


_ONE = """
import json, os, sys
from pathlib import Path, PurePosixPath
from emdvc.errors import ConflictError
from emdvc.history.locking import locking
from emdvc.history.locking.pages import Pages
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.remote import connection_to
from emdvc.history.storage.settings import remote_settings
root = Path(sys.argv[1])
project = Project(root, root)
loop.run(connection_to(remote_settings(project)).storage())
print("ready", flush=True)
sys.stdin.readline()
try:
    locking.lock(project, PurePosixPath(sys.argv[2]))
    print("won")
except ConflictError as error:
    print(error.code, error.cause)
"""


def _race(project: Project, paths: list[str]) -> list[str]:
    """Let processes of different people lock at once; return what each says."""
    racing = []
    for number, path in enumerate(paths):
        who = {f"GIT_{one}_EMAIL": f"p{number}@example.org" for one in ("AUTHOR", "COMMITTER")}
        racing.append(
            subprocess.Popen(
                [sys.executable, "-c", _ONE, str(project.root), path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **who},
            )
        )
    try:
        for one in racing:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in racing:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return [one.communicate(timeout=60)[0].strip() for one in racing]
    finally:
        for one in racing:
            one.kill()
            one.communicate()


def _pages(project: Project) -> Pages:
    said = setting(project)
    assert said is not None
    return Pages(connection_to(remote_settings(project)), said.project)


@pytest.mark.parametrize("kind", ["folder", pytest.param("apache", marks=pytest.mark.server)])
def test_of_eight_at_once_one_has_it(two: Two, kind: str, request: pytest.FixtureRequest) -> None:
    if kind != "folder":
        server: DavServer = request.getfixturevalue(kind)
        _use(two, server.url(), server.settings().options)
    with _as("Ada"):
        lock(two.ada, PurePosixPath("other.npy"))  # the project uses locks
    said = _race(two.ada, ["labels.zarr"] * 8)
    assert said.count("won") == 1
    assert all(one == "won" or "labels.zarr is locked by" in one for one in said)
    if kind != "folder":
        return
    # the same where the lock of somebody who went home has expired
    ended = Page((Lock(LABELS, None, Person("Eve", "eve@example.org"), time.time() - 60, time.time() - 5),))
    loop.run(_pages(two.ada).change(lambda page, now: ended))
    said = _race(two.ada, ["labels.zarr"] * 8)
    assert said.count("won") == 1
    (held,) = loop.run(_pages(two.ada).newest()).page.locks
    assert held.who.email == f"p{said.index('won')}@example.org"


def test_eight_who_lock_different_things_at_once_all_have_them(two: Two) -> None:
    names = [f"f{number}.txt" for number in range(8)]
    for name in names:
        (two.ada.root / name).write_text(name)
    with _as("Ada"):
        save(two.ada, "files", push=False)
        lock(two.ada, LABELS)
    assert _race(two.ada, names) == ["won"] * 8
    held = loop.run(_pages(two.ada).newest()).page.locks
    assert sorted(str(one.path) for one in held) == [*names, "labels.zarr"]


def test_what_expired_by_the_clock_of_the_remote_holds_nothing(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    with _as("Ada"):
        lock(two.ada, LABELS, ends="1h")
    with _as("Bob"):
        two.edit(two.bob, "labels/c/0", b"bob")
        ahead = time.time() + 2 * 3600
        with monkeypatch.context() as patch:  # a clock here that goes wrong
            patch.setattr(time, "time", lambda: ahead)
            with pytest.raises(ConflictError):
                refuse_locked(two.bob, [PurePosixPath("labels.zarr.dvc")])
        found = look(two.bob, 5.0, usual(two.bob))
        assert found is not None
        assert [one.holds(ahead) for one in found.locks] == [False]
        heard(two.bob, found.told)


@pytest.mark.slow
def test_dvc_and_gc_leave_the_notes_alone(two: Two, emdvc: Emdvc) -> None:
    with _as("Ada"):
        lock(two.ada, LABELS)
        save(two.ada, "Use locks")
    before = _notes(two.made.store)
    assert before
    dvc = [sys.executable, "-m", "dvc"]
    for words in (["push", "-q"], ["gc", "-q", "-w", "-c", "-f"], ["pull", "-q"], ["status", "-q", "-c"]):
        subprocess.run([*dvc, *words], cwd=two.ada.root, check=True)
    said = json.loads(emdvc("gc", "--remote", "lab", "--json", cwd=two.ada.root).stdout)
    assert "emdvc-locks" not in json.dumps(said)
    emdvc("gc", "--remote", "lab", "--yes", cwd=two.ada.root)
    assert _notes(two.made.store) == before


def _notes(store: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (store / FOLDER).rglob("*.yaml")}
