"""One state of one dataset, as a person names it: a path, a path at a revision, a file under no version control.

This is on the way of ``emdvc inspect``, which answers at once: git is asked only for a revision, a file is opened only
where no sidecar tells of it, and the vendor's tree, often most of a sidecar, is parsed only when it is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from emdvc.errors import Code, DataMissingError, suggest
from emdvc.formats import sidecar as sidecars
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.formats.contract import ReadOptions


@dataclass(frozen=True, slots=True)
class State:
    """A dataset as it is somewhere, or was sometime.

    Parameters
    ----------
    path
        The data, as the person named it.
    sidecar
        What is known of it, with what it inherits, every axis calibrated.
    revision
        The revision that was named; None for the workspace.
    recorded
        Whether a sidecar tells of it; else the file itself was read.
    own_keys
        Keys of the record that the dataset's own sidecar holds.
    """

    path: Path
    sidecar: Sidecar
    revision: str | None = None
    recorded: bool = True
    own_keys: frozenset[str] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.as_posix() + (f"@{self.revision}" if self.revision else "")


def find(text: str, options: ReadOptions | None = None, *, vendor: bool = True) -> State:
    """Return the state that a person named.

    Parameters
    ----------
    text
        ``PATH`` or ``PATH@REV``; the path of the data, of its sidecar, of its ``.dvc`` file, or of a file inside a
        directory that is one dataset; also ``file.h5::/path/inside``.
    options
        How to read a file that has no sidecar.
    vendor
        Whether the vendor's tree is wanted.

    Raises
    ------
    DataMissingError
        There is no such dataset.
    UsageError, MetadataError, FormatError
        No such revision; a damaged sidecar; a file that cannot be read.
    """
    if "@" in text:
        from emdvc.history.snapshot import split_revision

        text, revision = split_revision(text)
        if revision is not None:
            return _at(text, revision)
    path = Path(text)
    data = recorded(path)
    if data is not None:
        return _in_workspace(data, vendor)
    return _unrecorded(path, text, options)


def recorded(path: Path) -> Path | None:
    """Return the dataset with a sidecar that a path means, in the workspace; None where there is none."""
    data = sidecars.data_of(path)
    for candidate in (data, *data.parents):  # a file inside a dataset's directory means the dataset
        if candidate.name and sidecars.path_of(candidate).is_file():
            return candidate
    return None


def _in_workspace(data: Path, vendor: bool) -> State:
    folder = data.parent

    def text_of(path: PurePosixPath) -> str | None:
        file = folder / path
        return without_vendor(file.read_text(encoding="utf-8")) if file.is_file() else None

    where = sidecars.path_of(data)
    text = where.read_text(encoding="utf-8")
    own = sidecars.parse(text if vendor else without_vendor(text), where.as_posix())
    resolved = sidecars.resolve(own, PurePosixPath(where.name), text_of)
    return State(data, resolved, own_keys=_keys(own))


def _at(text: str, revision: str) -> State:
    from emdvc.history.project import Project
    from emdvc.history.snapshot import Snapshot

    path = sidecars.data_of(Path(text))
    project = Project.find(path.parent)
    with Snapshot(project, revision) as snapshot:
        relative = project.relative(path)
        own = snapshot.sidecar(relative, resolved=False)
        return State(path, snapshot.sidecar(relative), revision, own_keys=_keys(own))


def _unrecorded(path: Path, text: str, options: ReadOptions | None) -> State:
    from emdvc.formats import describe, registry
    from emdvc.formats.contract import ReadOptions

    file, _ = registry.split_inner(text)
    if not file.exists():
        raise _missing(path, file)
    options = options or ReadOptions()
    opened = registry.open_file(text, options)
    try:
        found = describe.describe(opened, options=options, files=[], digests={})
    finally:
        opened.close()
    return State(path, found.resolved(), recorded=False, own_keys=_keys(found))


def _missing(path: Path, file: Path) -> DataMissingError:
    data = sidecars.data_of(file)
    pointer = data.with_name(data.name + ".dvc")
    if pointer.is_file():
        return DataMissingError(
            f"{data.as_posix()} has no sidecar and is not here",
            code=Code.DATA_MISSING,
            evidence=f"{pointer.as_posix()} records its bytes",
            hint=f"emdvc pull {pointer.as_posix()}, then emdvc add {data.as_posix()}",
        )
    beside = sorted(p.name for p in file.parent.iterdir()) if file.parent.is_dir() else []
    near = suggest(file.name, beside)
    return DataMissingError(
        f"{path.as_posix()} does not exist",
        code=Code.NOT_FOUND,
        evidence=None if file.parent.is_dir() else f"there is no folder {file.parent.as_posix()}",
        hint=f"did you mean {(file.parent / near).as_posix()}?" if near else None,
    )


def without_vendor(text: str) -> str:
    """Return a sidecar's text without its ``vendor`` section.

    At the top level a key begins its line, and nothing else does: the section ends where the next such line begins.
    """
    start = 0 if text.startswith("vendor:") else text.find("\nvendor:") + 1
    if not text.startswith("vendor:", start):
        return text
    end = start
    while True:
        end = text.find("\n", end) + 1
        if end == 0:
            return text[:start]
        if text[end : end + 1] not in (" ", "\n", "\r", "#", "-", ""):
            return text[:start] + text[end:]


def _keys(sidecar: Sidecar) -> frozenset[str]:
    from emdvc.compare.leaves import keys_of

    return keys_of(sidecar.record)
