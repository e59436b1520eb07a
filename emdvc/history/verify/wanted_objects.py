"""Which objects some revisions need: every file and every list of files whose md5 they record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from emdvc.errors import Code, DataMissingError, suggest
from emdvc.history import git
from emdvc.history.declared_outs import declared
from emdvc.history.dvc_manifest import parsed_list
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot

#: What the state of the files that are not committed is called among revisions.
WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class WantedOut:
    """A file or a directory that some revisions record with the same md5.

    Parameters
    ----------
    path
        Relative to the project.
    md5
        Of its bytes, or of the list of its files.
    size
        Recorded bytes; None where unknown.
    stage
        The stage that computes it; None for data that was added.
    revisions
        Those that need it, as they were named.
    """

    path: PurePosixPath
    md5: str
    size: int | None
    stage: str | None
    revisions: tuple[str, ...]

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True, slots=True)
class Use:
    """Where an object is needed.

    Parameters
    ----------
    out
        The file or directory.
    inside
        Path of the object's file in the directory; empty for the file itself and for a directory's list.
    """

    out: WantedOut
    inside: str = ""


@dataclass(slots=True)
class Wanted:
    """All objects that are needed.

    Parameters
    ----------
    outs
        What is recorded.
    lists
        md5 of a directory -> its files and their md5, as far as the list could be read.
    remotes
        Remotes that are named for single outputs.
    """

    outs: tuple[WantedOut, ...]
    remotes: tuple[str, ...] = ()
    lists: dict[str, dict[str, str]] = field(default_factory=dict)

    def directories(self) -> list[str]:
        """Return the md5 of every list of files."""
        return sorted({out.md5 for out in self.outs if out.is_directory})

    def files(self) -> list[str]:
        """Return the md5 of every file, those in directories included."""
        found = {out.md5 for out in self.outs if not out.is_directory}
        for out in self.outs:
            found.update(self.lists.get(out.md5, {}).values())
        return sorted(found)

    def read_list(self, md5: str, content: bytes) -> bool:
        """Take note of the files of a directory; false where the content is no list of files."""
        files = parsed_list(content)
        if files is not None:
            self.lists[md5] = files
        return files is not None

    def uses(self, objects: set[str]) -> dict[str, tuple[Use, ...]]:
        """Return where each of some objects is needed."""
        found: dict[str, list[Use]] = {}
        for out in self.outs:
            if out.md5 in objects:
                found.setdefault(out.md5, []).append(Use(out))
            for inside, md5 in self.lists.get(out.md5, {}).items():
                if md5 in objects:
                    found.setdefault(md5, []).append(Use(out, inside))
        return {md5: tuple(places) for md5, places in found.items()}

    @property
    def size(self) -> int:
        """Recorded bytes of all, each object of the same md5 counted once."""
        return sum({out.md5: out.size or 0 for out in self.outs}.values())


def wanted(project: Project, revisions: Sequence[str | None], paths: Sequence[PurePosixPath] = ()) -> Wanted:
    """Return what some revisions record, git's own files left out.

    Parameters
    ----------
    revisions
        Names of commits; None for the workspace.
    paths
        Datasets, their sidecars or ``.dvc`` files, or folders; none: all.

    Raises
    ------
    UsageError
        There is no such revision.
    DataMissingError
        A path records nothing at any of the revisions.
    MetadataError
        A ``.dvc`` file, dvc.lock or dvc.yaml is no YAML.
    """
    needed: dict[tuple[PurePosixPath, str], tuple[Recorded, list[str]]] = {}
    remotes: list[str] = []
    for revision in revisions:
        with Snapshot(project, revision) as snapshot:
            for entry in kept_by_dvc(snapshot):
                _, names = needed.setdefault((entry.path, entry.md5), (entry, []))
                names.append(WORKSPACE if revision is None else revision)
                remotes += [entry.remote] if entry.remote else []
            remotes += [name for _, said in declared(snapshot) if (name := said.get("remote"))]
    known = {path for path, _ in needed}
    chosen = known if not paths else {path for path in known if is_chosen(path, paths)}
    check_paths(paths, known)
    outs = [
        WantedOut(entry.path, entry.md5, entry.size, entry.stage, tuple(dict.fromkeys(names)))
        for entry, names in needed.values()
        if entry.path in chosen
    ]
    return Wanted(tuple(sorted(outs, key=lambda out: (out.path, out.md5))), tuple(dict.fromkeys(remotes)))


def branches_and_tags(project: Project) -> list[str]:
    """Return the names of every branch and tag of this clone."""
    said = git.git(["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"], project.git_root)
    return said.splitlines()


def kept_by_dvc(snapshot: Snapshot) -> Iterator[Recorded]:
    """Return what is recorded and kept in the cache: not what git keeps, not what dvc.yaml keeps out of the cache."""
    # of the workspace only what git tracks: data whose line in .gitignore was lost is still DVC's
    tracked = git.tracked(snapshot.project.root) if snapshot.oid is None else None
    in_git = set(snapshot.files()) if tracked is None else set(map(PurePosixPath, tracked))
    uncached = [pattern for pattern, said in declared(snapshot) if said.get("cache") is False]
    for path, entry in recorded(snapshot).items():
        if entry.md5 and path not in in_git and not any(pattern.fullmatch(str(path)) for pattern in uncached):
            yield entry


def is_chosen(path: PurePosixPath, paths: Iterable[PurePosixPath]) -> bool:
    """Say whether what is recorded under a path is named by one of some paths."""
    from emdvc.history.snapshot import data_path

    return any(path in (one, data_path(one)) or path.is_relative_to(one) or one.is_relative_to(path) for one in paths)


def check_paths(paths: Sequence[PurePosixPath], known: set[PurePosixPath]) -> None:
    """Refuse paths of which nothing is recorded.

    Raises
    ------
    DataMissingError
        The nearest name is suggested.
    """
    for path in paths:
        if not any(is_chosen(candidate, [path]) for candidate in known):
            near = suggest(str(path), [str(candidate) for candidate in known])
            raise DataMissingError(
                f"no bytes are recorded of {path}",
                code=Code.NOT_FOUND,
                hint=f"did you mean {near}?" if near else "emdvc verify --bytes without a path checks all",
            )
