"""Where the project is: found by walking up, without git, dvc, or anything else that takes time to import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emdvc.errors import Code, ProjectError, UsageError


@dataclass(frozen=True, slots=True)
class Project:
    """A folder under version control.

    Parameters
    ----------
    root
        Folder that holds ``.dvc``; absolute. Paths in sidecars, stages and messages are relative to it.
    git_root
        Folder that holds ``.git``: `root` itself or one above it.
    """

    root: Path
    git_root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project that a folder or a file belongs to.

        Parameters
        ----------
        start
            Folder or file to begin at (it need not exist); the current folder by default.

        Raises
        ------
        ProjectError
            Neither it nor any folder above it is a project.
        """
        start = Path(os.path.abspath(start or Path.cwd()))  # noqa: PTH100  (resolve() would follow links out of the project)
        for folder in (start, *start.parents):
            if (folder / ".dvc").is_dir():
                git_root = git_root_of(folder)
                if git_root is None:
                    raise ProjectError(
                        f"{folder} is a DVC repository without git",
                        code=Code.PROJECT_BROKEN,
                        evidence="there is no .git in it or above it",
                        hint=f"emdvc init {shown(folder)}",
                    )
                return cls(folder, git_root)
        raise ProjectError(
            "this is not an emdvc project", evidence=f"no .dvc folder in {start} or above it", hint="emdvc init"
        )

    @classmethod
    def find_or_none(cls, start: Path | None = None) -> Project | None:
        """Return the project that a folder or a file belongs to, or None."""
        try:
            return cls.find(start)
        except ProjectError:
            return None

    @classmethod
    def of_pipeline(cls) -> Project | None:
        """Return the project seen from the nearest folder with a ``dvc.yaml``, as a stage sees it that DVC runs there.

        A repository may hold several pipelines, each in a folder with its own dvc.yaml and params.yaml.
        """
        project = cls.find_or_none()
        if project is None:
            return None
        here = Path.cwd()
        folders = [folder for folder in (here, *here.parents) if folder.is_relative_to(project.root)]
        nearest = next((folder for folder in folders if (folder / "dvc.yaml").is_file()), project.root)
        return cls(nearest, project.git_root)

    @property
    def prefix(self) -> PurePosixPath:
        """The project's own path inside the git repository; ``.`` when both roots are the same."""
        return PurePosixPath(self.root.relative_to(self.git_root).as_posix())

    @property
    def dvc_dir(self) -> Path:
        """The folder of DVC's settings."""
        return self.root / ".dvc"

    @property
    def journal_dir(self) -> Path:
        """Where emdvc keeps its lock and its undo journal: inside DVC's temporary folder, which git ignores."""
        return self.root / ".dvc" / "tmp" / "emdvc"

    def relative(self, path: Path | str) -> PurePosixPath:
        """Return a path as the project speaks of it: relative to its root, with forward slashes.

        Parameters
        ----------
        path
            Absolute, or relative to the current folder.

        Raises
        ------
        UsageError
            The path lies outside the project.
        """
        absolute = Path(os.path.abspath(path))  # noqa: PTH100
        for root, inside in ((self.root, absolute), (self.root.resolve(), absolute.resolve())):
            if inside.is_relative_to(root):
                return PurePosixPath(inside.relative_to(root).as_posix())
        raise UsageError(f"{path} lies outside the project", evidence=f"the project is {self.root}")

    def path(self, relative: PurePosixPath | str) -> Path:
        """Return where a path of the project lies on this machine."""
        return self.root / relative

    def in_git(self, relative: PurePosixPath | str) -> str:
        """Return a path of the project as git speaks of it: relative to the git repository's root."""
        return (self.prefix / relative).as_posix()


def git_root_of(folder: Path) -> Path | None:
    """Return the folder that holds ``.git`` (a folder, or a file in a worktree), at or above a folder; None without."""
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            return parent
    return None


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative to the current folder where that is shorter."""
    try:
        return path.relative_to(Path.cwd()).as_posix() if path.is_absolute() else path.as_posix()
    except ValueError:
        return str(path)


def main_root(root: Path) -> Path:
    """Return the project that DVC runs an experiment for in a folder of its own; any other project as it is.

    Parameters
    ----------
    root
        Folder of a project: that of an experiment lies in ``.dvc/tmp/exps`` of the project that it belongs to, is
        removed after the run, and has copies of DVC's settings.
    """
    for folder in root.parents:
        if folder.name == "exps" and folder.parent.name == "tmp" and folder.parent.parent.name == ".dvc":
            return folder.parent.parent.parent
    return root
