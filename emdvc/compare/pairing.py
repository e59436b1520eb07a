"""Which dataset of one revision is which of another: by name, and where a name is new, by the very same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from emdvc.errors import Code, DataMissingError, suggest
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.recorded import Recorded
from emdvc.history.snapshot import Snapshot, data_path

Records = Mapping[PurePosixPath, Recorded]


def chosen(known: set[PurePosixPath], paths: Sequence[PurePosixPath]) -> set[PurePosixPath]:
    """Return the datasets that paths mean: data, sidecars, ``.dvc`` files, folders; all where there is no path.

    Raises
    ------
    DataMissingError
        A path means none of them; the nearest is suggested.
    """
    if not paths:
        return known
    found: set[PurePosixPath] = set()
    for path in paths:
        data = data_path(path)
        below = {candidate for candidate in known if candidate in (path, data) or candidate.is_relative_to(path)}
        if not below:
            near = suggest(str(path), [str(candidate) for candidate in known])
            raise DataMissingError(
                f"no dataset {path} is recorded at either revision",
                code=Code.NOT_FOUND,
                hint=f"did you mean {near}?" if near else "emdvc diff without a path compares all",
            )
        found |= below
    return found


def plain_files(names: set[PurePosixPath], records: tuple[Records, Records]) -> set[PurePosixPath]:
    """Return the recorded files and directories without a sidecar whose bytes differ.

    Parameters
    ----------
    names
        The datasets, which have one.
    records
        What DVC recorded at each revision.
    """
    stems = {path.with_suffix("") for path in names}
    found = set()
    for path in records[0].keys() | records[1].keys():
        # a result's sidecar and its picture are outputs of its stage too, and no results of their own
        beside = path.name.endswith(SUFFIX) or (path.suffix == ".png" and path.with_suffix("") in stems)
        md5s = [record.md5 if record is not None else None for record in (side.get(path) for side in records)]
        if path not in names and not beside and md5s[0] != md5s[1]:
            found.add(path)
    return found


def renamed(
    old: Snapshot, new: Snapshot, names: tuple[set[PurePosixPath], set[PurePosixPath]], records: tuple[Records, Records]
) -> dict[PurePosixPath, PurePosixPath]:
    """Return the datasets that have another name: new name -> old name.

    Parameters
    ----------
    old, new
        The revisions.
    names
        Their datasets.
    records
        What DVC recorded at each.
    """
    gone, come = sorted(names[0] - names[1]), sorted(names[1] - names[0])
    if not gone or not come:
        return {}
    kept: dict[object, PurePosixPath] = {}
    for path in reversed(gone):
        kept |= dict.fromkeys(_marks(old, path, records[0]), path)
    found: dict[PurePosixPath, PurePosixPath] = {}
    for path in come:
        before = next((kept[mark] for mark in _marks(new, path, records[1]) if mark in kept), None)
        if before is not None and before not in found.values():
            found[path] = before
    return found


def _marks(snapshot: Snapshot, path: PurePosixPath, records: Records) -> list[object]:
    """Return what tells a dataset from others: its bytes, its numbers."""
    marks: list[object] = []
    record = records.get(path)
    if record is not None and record.md5:
        marks.append(record.md5)
    digests = {name: info.digest for name, info in snapshot.sidecar(path).variables.items()}
    if digests and all(digests.values()):
        marks.append(tuple(sorted(digests.items())))
        if len(digests) == 1:  # an array may be called after its file
            marks.append(next(iter(digests.values())))
    return marks
