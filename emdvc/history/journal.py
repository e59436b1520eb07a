"""The undo journal: what a writing command is about to change is written down first, so that it can be taken back.

An exception or Ctrl-C takes everything back at once. After a SIGKILL or a power cut the journal is still there, and the
next command that writes (and ``emdvc status``, ``emdvc doctor``) takes it back. Each line of the journal is one step,
written and flushed before the step is done; undoing a step that was never done changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emdvc.errors import EnvironmentFault
from emdvc.history import git, git_undo
from emdvc.history.lock import writing
from emdvc.history.project import Project

_NAME = "journal.jsonl"
#: How often, and after how many seconds, a killed command is tried to be taken back.
_TRIES, _PAUSE = 10, 0.1


class Journal:
    """The journal of one command.

    Parameters
    ----------
    project
        The project; everything that is changed lies in it.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._file = project.journal_dir / _NAME
        self._kept = project.journal_dir / "undo"

    def begin(self, command: str) -> None:
        """Start the journal."""
        self._write({"step": "begin", "command": command, "pid": os.getpid()})

    def will_create(self, path: Path) -> None:
        """Note that a file or a folder which is not there now is about to be made."""
        if os.path.lexists(path):
            raise FileExistsError(path)
        # the folders that its making makes are taken back too
        for folder in reversed([parent for parent in path.parents if not parent.exists()]):
            self._write({"step": "create", "path": self._name(folder), "folder": True})
        self._write({"step": "create", "path": self._name(path)})

    def will_change(self, path: Path) -> None:
        """Note that a small file is about to be rewritten or removed; its bytes are kept. Absent: about to be made."""
        if not path.exists():
            self.will_create(path)
            return
        kept = self._place()
        shutil.copy2(path, kept)
        self._write({"step": "change", "path": self._name(path), "kept": self._name(kept)})

    def will_move(self, path: Path, target: Path) -> None:
        """Note that a file or folder is about to be renamed to a place where nothing is."""
        if not target.parent.exists():
            self.will_create(target.parent)
            target.parent.mkdir(parents=True)
        self._write_move(path, target)

    def set_aside(self, path: Path) -> None:
        """Move a file or folder out of the way: back when the command fails, deleted when it succeeds."""
        kept = self._place()
        self._write_move(path, kept)
        path.replace(kept)

    def will_set_modes(self, paths: Iterable[Path]) -> None:
        """Note the permissions of files that are about to be made read-only."""
        modes = {self._name(path): stat.S_IMODE(path.stat().st_mode) for path in paths}
        self._write({"step": "modes", "modes": modes})

    def will_stage(self, paths: Iterable[Path]) -> None:
        """Note what git's index holds of files that are about to be staged."""
        names = [path.relative_to(self.project.git_root).as_posix() for path in paths]
        patterns = [f":(literal){name}" for name in names]
        listed = git.run(["ls-files", "-s", "-z", "--", *patterns], self.project.git_root)
        held: dict[str, list[str]] = {}
        for part in listed.stdout.split(b"\0"):
            if part:
                entry, _, name = os.fsdecode(part).partition("\t")
                held.setdefault(name, []).append(entry)  # of a file in conflict one for each side
        self._write({"step": "stage", "entries": {name: held.get(name) for name in names}})

    def will_rewrite(self, paths: Iterable[Path]) -> None:
        """Note that many small files are about to be written, rewritten or removed; the bytes of those there are kept.

        They may lie anywhere in the git repository, also outside of the project.
        """
        folder, files = self._place(), {}
        folder.mkdir()
        made: dict[str, None] = {}
        for number, path in enumerate(paths):
            kept = folder / str(number)
            if os.path.lexists(path):
                shutil.copy2(path, kept, follow_symlinks=False)
            else:
                made |= {self._name(parent): None for parent in reversed(path.parents) if not parent.exists()}
            files[self._name(path)] = self._name(kept) if os.path.lexists(path) else None
        self._write({"step": "rewrite", "files": files, "folders": list(made)})

    def will_change_index(self) -> None:
        """Note that git's index is about to be changed in whatever way; it is kept as it is."""
        index, kept = git_undo.git_path("index", self.project.git_root), self._place()
        shutil.copy2(index, kept)
        self._write({"step": "index", "path": self._name(index), "kept": self._name(kept)})

    def will_move_head(self, new: str) -> None:
        """Note that the branch that is checked out (or a detached HEAD) is about to be moved to a commit."""
        old = git.git(["rev-parse", "HEAD"], self.project.git_root)
        self._write({"step": "head", "old": old, "new": new})

    def will_add_worktree(self, folder: Path) -> None:
        """Note that a temporary worktree is about to be made in a folder whose name nothing else has."""
        self._write({"step": "worktree", "path": self._name(folder)})

    def done(self) -> None:
        """End the journal: what was done stays."""
        # the rename is the point of no return; what was set aside is deleted after it
        self._file.replace(self._file.with_suffix(".done"))
        self._discard()

    def undo(self) -> str | None:
        """Take back every step, last first, and return the command that was undone; None where there was nothing."""
        steps = self._steps()
        if steps is None:
            self._discard()
            return None
        undone = {int(step["index"]) for step in steps if step["step"] == "undone"}
        for index, step in reversed(list(enumerate(steps))):
            if step["step"] != "undone" and index not in undone:
                self._undo(step)
                # killed while undoing: what was brought back must not be taken for what was made
                self._write({"step": "undone", "index": index})
        self._file.unlink(missing_ok=True)
        self._discard()
        return str(steps[0].get("command", "a command")) if steps else None

    @property
    def interrupted(self) -> bool:
        """Whether a command began here and never ended."""
        return self._file.exists()

    @property
    def at_work(self) -> bool:
        """Whether the command that began here still runs."""
        import psutil

        steps = self._steps() or [{}]
        return bool(psutil.pid_exists(int(steps[0].get("pid", -1))))

    @property
    def unswept(self) -> bool:
        """Whether a command was done, and did not get to delete what it had kept."""
        return self._file.with_suffix(".done").exists()

    def _undo(self, step: dict[str, Any]) -> None:
        root = self.project.root
        match step["step"]:
            case "create":
                _remove(root / step["path"], only_empty=bool(step.get("folder")))
            case "change":
                kept, path = root / step["kept"], root / step["path"]
                if kept.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    kept.replace(path)
            case "move":
                path, target = root / step["path"], root / step["target"]
                # the same file, not one that somebody has put there since
                if not path.exists() and target.exists() and _identity(target) == step["identity"]:
                    target.replace(path)
            case "modes":
                for name, mode in step["modes"].items():
                    with suppress(FileNotFoundError):
                        (root / name).chmod(mode)
            case "stage":
                git_undo.unstage(step["entries"], self.project.git_root)
            case "rewrite":
                _restore({root / name: root / kept if kept else None for name, kept in step["files"].items()})
                for name in reversed(step["folders"]):
                    _remove(root / name, only_empty=True)
            case "index":
                git_undo.put_index_back(root / step["path"], root / step["kept"], self.project.git_root)
            case "head":
                git_undo.move_head_back(step["old"], step["new"], self.project.git_root)
            case "worktree":
                git_undo.remove_worktree(root / step["path"], self.project.git_root)

    def _write_move(self, path: Path, target: Path) -> None:
        names = {"path": self._name(path), "target": self._name(target)}
        self._write({"step": "move", **names, "identity": _identity(path)})

    def _write(self, step: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(step) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _steps(self) -> list[dict[str, Any]] | None:
        try:
            lines = self._file.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None
        steps = []
        for line in lines:
            # a line that was cut off by the kill announces a step that was never begun
            with suppress(json.JSONDecodeError):
                steps.append(json.loads(line))
        return steps

    def _place(self) -> Path:
        self._kept.mkdir(parents=True, exist_ok=True)
        return self._kept / str(len(list(self._kept.iterdir())))

    def _discard(self) -> None:
        _remove(self._kept)
        self._file.with_suffix(".done").unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        # of the git repository also what lies beside the project
        return Path(os.path.relpath(path, self.project.root)).as_posix()


def _restore(files: Mapping[Path, Path | None]) -> None:
    """Put kept files back; what was not there goes."""
    for path, kept in files.items():
        if kept is None:
            _remove(path)
    for path, kept in files.items():
        if kept is not None and os.path.lexists(kept):
            if path.is_dir() and not path.is_symlink():
                _remove(path, only_empty=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            kept.replace(path)


def _identity(path: Path) -> list[int]:
    # a file system gives the number of a deleted file to the next one: the time tells them apart, and survives a rename
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_mtime_ns]


def _remove(path: Path, *, only_empty: bool = False) -> None:
    if only_empty:
        with suppress(OSError):
            path.rmdir()
    elif path.is_dir() and not path.is_symlink():
        for file in path.rglob("*"):
            if os.name == "nt" and file.is_file():  # there a read-only file cannot be deleted
                file.chmod(stat.S_IWRITE)
        shutil.rmtree(path)
    elif os.path.lexists(path):
        if os.name == "nt":
            path.chmod(stat.S_IWRITE)
        path.unlink()


@contextmanager
def transaction(project: Project, command: str) -> Iterator[Journal]:
    """Hold the project's lock and keep a journal: all of what is done inside happens, or nothing.

    What an earlier, killed command left is taken back first.

    Raises
    ------
    EnvironmentFault
        Another emdvc is writing.
    """
    with writing(project, command):
        _recover(project)
        journal = Journal(project)
        journal.begin(command)
        try:
            yield journal
        except BaseException:
            journal.undo()
            raise
        journal.done()


def recover(project: Project) -> str | None:
    """Take back what a killed command left; return that command, or None where there was nothing or it still runs."""
    journal = Journal(project)
    if not (journal.interrupted or journal.unswept):
        return None
    for _ in range(_TRIES):
        try:
            with writing(project, "undoing an interrupted command"):
                return _recover(project)
        except EnvironmentFault:
            if journal.at_work:
                return None
            # what the killed command had started may take a moment to end, and holds the lock or git's until then
            time.sleep(_PAUSE)
    return None


def _recover(project: Project) -> str | None:
    from emdvc.history import dvc

    journal = Journal(project)
    if not journal.interrupted:
        journal.undo()  # only what a success did not get to delete
        return None
    undone = journal.undo()
    dvc.clear_partial_cache(project)
    return undone
