"""A project with two lines of work, made once and copied: what tests of merges begin with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from command_line import Emdvc


@dataclass(frozen=True)
class Clone:
    """A folder that is a git repository, and the commands that a person gives there."""

    folder: Path

    def git(self, *words: str, status: int | None = 0) -> str:
        """Run git and return what it printed."""
        done = subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert status is None or done.returncode == status, f"git {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout.rstrip("\n")

    def emdvc(self, *words: object, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run emdvc."""
        return Emdvc(self.folder)(*words, status=status)

    def dvc(self, *words: str) -> str:
        """Run dvc and return what it printed."""
        command = [sys.executable, "-m", "dvc", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def commit(self, message: str, **files: str | None) -> None:
        """Write files (``a_txt`` is a.txt; None: remove it), and commit everything."""
        for name, text in files.items():
            file = name.replace("_", ".")
            if text is None:
                (self.folder / file).unlink()
            else:
                self.write(file, text)
        self.git("add", "--all")
        self.git("commit", "-qm", message)

    def copy(self, folder: Path) -> Clone:
        """Return a copy of everything, the git directory too."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clone(folder)

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    @property
    def tree(self) -> str:
        """What the commit holds."""
        return self.git("rev-parse", "HEAD^{tree}")

    def state(self) -> dict[str, object]:
        """Return everything that a merge may touch: refs, index, files with their rights, and git's own of a merge."""
        git_dir = self.folder / ".git"
        files = {
            path.relative_to(self.folder).as_posix(): (path.stat().st_mode, path.read_bytes())
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not {".git", "tmp", "cache"} & set(path.relative_to(self.folder).parts)
        }
        names = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "worktrees", "index.lock", "HEAD.lock")
        return {
            "refs": self.git("for-each-ref", "--format=%(refname) %(objectname)"),
            "head": (git_dir / "HEAD").read_text(encoding="utf-8"),
            "index": self.git("ls-files", "-s"),
            "status": self.git("status", "--porcelain", "--untracked-files=all"),
            "files": files,
            "merge": {
                name: (git_dir / name).read_bytes() if (git_dir / name).is_file() else b""
                for name in names
                if (git_dir / name).exists()
            },
        }


def scan(folder: Path, name: str, seed: int) -> Path:
    """Write a small scan."""
    path = folder / name
    np.save(path, np.random.default_rng(seed).poisson(2, (4, 5, 16, 16)).astype("u2"))
    return path


def made(folder: Path) -> Clone:
    """Make a project with a scan on ``main``; ``tilt`` has a second scan and a text, ``main`` another text since."""
    Emdvc(folder)("init", "project", "--remote", f"lab={folder / 'store'}")
    project = Clone(folder / "project")
    project.emdvc("add", scan(folder, "first.npy", 1))
    project.commit("first", shared_txt="one\ntwo\nthree\nfour\nfive\n", old_txt="old\n")
    project.git("switch", "-qc", "tilt")
    project.emdvc("add", scan(folder, "second.npy", 2))
    project.emdvc("add", "raw/first.npy", "--set", "operator=Ruska")
    project.commit("second scan", tilt_txt="theirs\n", old_txt=None, shared_txt="one\ntwo\nthree\nfour\nFIVE\n")
    project.emdvc("push")
    project.git("switch", "-q", "main")
    (project.folder / "raw" / "second.npy").unlink()
    project.commit("a text", main_txt="ours\n", shared_txt="ONE\ntwo\nthree\nfour\nfive\n")
    return project
