"""What a sidecar says of the bytes of edited data, made anew for a merged dataset as ``emdvc add`` would write it.

Git asks for the sidecar and for the ``.dvc`` file in an order of its own. Each time the dataset is merged from the same
commits with the same answers, so both come to the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.history.merging.asking import asked
from emdvc.history.merging.contract import NEITHER, Choices, Neither, Place, Side, Three
from emdvc.history.merging.datasets import recorded_bytes
from emdvc.history.merging.datasets.pointer import merge_bytes
from emdvc.history.merging.datasets.recorded_bytes import RecordedBytes
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path, sidecar_path
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.formats.contract import Opened, ReadOptions

#: Why raw data of a side is given up in a merge: the choice itself stands in the history, by whom and when.
_CHOSEN = "chosen in a merge: the other side's bytes"
#: The keys of a sidecar that follow from the bytes.
KEYS = ("data", "source", "statistics", "vendor")


def derived_parts(three: Three, place: Place, choices: Choices) -> dict[str, Any] | None:
    """Return ``data``, ``source``, ``statistics`` and ``vendor`` of a dataset's sidecar for the merged bytes.

    Parameters
    ----------
    three
        The sidecar on the three sides.
    place
        Where the merge happens; its commits say which ``.dvc`` files belong to it.
    choices
        What was chosen in the sidecar.

    Returns
    -------
    A key that is not in it stands in no merged sidecar. None where the data is no data of a ``.dvc`` file, or where its
    own merge is still open.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        The merged dataset cannot be read.
    """
    path = data_path(three.path)
    pointers = pointer_of(path, place)
    if recorded_bytes.read(pointers.ours) is None or recorded_bytes.read(pointers.theirs) is None:
        return None
    merged = _settled(pointers, place)
    if merged is None:
        merged = merge_bytes(pointers, place, _choices(pointers, place, choices)).said
    return None if merged is None else _parts(path, merged, pointers, three, place)


def sidecars_anew(
    project: Project, done: Mapping[PurePosixPath, tuple[bytes | None, Place]]
) -> dict[PurePosixPath, bytes]:
    """Return the sidecars that speak of other bytes than the ``.dvc`` files beside them, with their parts made anew.

    Parameters
    ----------
    project
        The project.
    done
        Files (relative to the git root) that are settled now and not written yet -> what they hold, and where the merge
        happens: ``.dvc`` files and sidecars; the other one of each dataset is read from the workspace.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        A merged dataset cannot be read.
    """
    from emdvc.formats.sidecar import dump_yaml

    found = {}
    for path in dict.fromkeys(data_path(name) for name in done if data_path(name) != name):
        pointer, sidecar = path.with_name(f"{path.name}.dvc"), sidecar_path(path)
        place = next(done[name][1] for name in (pointer, sidecar) if name in done)
        texts = [done[name][0] if name in done else _in_workspace(project, name) for name in (pointer, sidecar)]
        said, content = recorded_bytes.read(texts[0]), _mapping(texts[1])
        if said is None or "data" not in content:
            continue  # it is removed, or still open
        sides = Three(sidecar, *(place.blob(side, sidecar) for side in (Side.BASE, Side.OURS, Side.THEIRS)))
        parts = _parts(path, said, pointer_of(path, place), sides, place)
        anew = {key: value for key, value in content.items() if key not in KEYS} | parts
        if anew != content:
            found[sidecar] = dump_yaml(anew).encode()
    return found


def _in_workspace(project: Project, name: PurePosixPath) -> bytes | None:
    try:
        return (project.git_root / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _settled(pointers: Three, place: Place) -> RecordedBytes | None:
    """Return what a person, or an answer, has settled of the data already; None where nothing."""
    from emdvc.history.merging.asking.unmerged import settled

    content = place.settled.get(pointers.path)
    if content is None:
        before = settled(place.project).get(pointers.path)
        # git remembers what was settled by its sides; another merge has others
        if before is None or not all(
            side in before and _is_blob(before[side][1], pointers.side(side)) for side in (Side.OURS, Side.THEIRS)
        ):
            return None
        content = _in_workspace(place.project, pointers.path)
    return recorded_bytes.read(content)


def _is_blob(oid: str, content: bytes | None) -> bool:
    """Say whether git names a content so."""
    if content is None:
        return False
    made = hashlib.sha1(usedforsecurity=False) if len(oid) == 40 else hashlib.sha256()
    made.update(b"blob %d\0" % len(content) + content)
    return made.hexdigest() == oid


def _parts(path: PurePosixPath, merged: RecordedBytes, pointers: Three, three: Three, place: Place) -> dict[str, Any]:
    """Return the derived parts for some bytes: those of the side that records them, else made anew."""
    sides = {side: _mapping(three.side(side)) for side in Side}
    known = {side: recorded_bytes.read(pointers.side(side)) for side in Side}
    replaced = [*_reasons(sides), *_given_up(merged, known, sides)]
    for side in (Side.OURS, Side.THEIRS, Side.BASE):
        said = known[side]
        if said is not None and said.identity == merged.identity and sides[side]:
            found = {key: sides[side][key] for key in KEYS if key in sides[side]}
            return _with_reasons(found, replaced)
    return _with_reasons(_anew(path, merged, place.project, _options(sides)), replaced)


def pointer_of(path: PurePosixPath, place: Place) -> Three:
    """Return the ``.dvc`` file of a dataset on the three sides.

    Parameters
    ----------
    path
        Of the data, relative to the git root.
    place
        Where the merge happens.
    """
    pointer = path.with_name(f"{path.name}.dvc")
    return Three(pointer, *(place.blob(side, pointer) for side in (Side.BASE, Side.OURS, Side.THEIRS)))


def _choices(pointers: Three, place: Place, said: Choices) -> Choices:
    """Return what was chosen for the data: its own conflict file tells it."""
    if isinstance(said.rest, Neither):
        return Choices(rest=NEITHER)
    from emdvc.history.merging.asking import conflict_file

    file = place.project.git_root / asked.place_of(pointers.path)
    return conflict_file.read(file).choices() if file.is_file() else Choices()


def _mapping(content: bytes | None) -> dict[str, Any]:
    return dict(recorded_bytes.mapping(content))


def _reasons(sides: Mapping[Side, Mapping[str, Any]]) -> list[Any]:
    """Return why data was replaced, of all sides: what they have in common first, then in an order of their own."""
    from emdvc.history.merging.texts.values import canonical

    lists = {side: _replaced(said) for side, said in sides.items()}
    base = lists[Side.BASE]
    news = [one for side in (Side.OURS, Side.THEIRS) for one in lists[side] if one not in base]
    return [*base, *sorted({canonical(one): one for one in news}.values(), key=canonical)]


def _given_up(
    merged: RecordedBytes, known: Mapping[Side, RecordedBytes | None], sides: Mapping[Side, Mapping[str, Any]]
) -> list[Any]:
    """Return why raw data of a side is not in the merged state: a person chose the other side's, or other bytes."""
    if merged.declared is not None:
        return []
    base = known[Side.BASE]
    gone = [
        side
        for side in (Side.OURS, Side.THEIRS)
        if (said := known[side]) is not None
        and said.declared is None
        and said.identity not in (merged.identity, base.identity if base is not None else "")
    ]
    files = {side: (sides[side].get("source") or {}).get("files") or [{}] for side in gone}
    return [{"reason": _CHOSEN, "previous_digest": files[side][0].get("sha256")} for side in gone]


def _replaced(said: Mapping[str, Any]) -> list[Any]:
    source = said.get("source")
    found = source.get("replaced") if isinstance(source, dict) else None
    return found if isinstance(found, list) else []


def _with_reasons(found: dict[str, Any], replaced: list[Any]) -> dict[str, Any]:
    source = {key: value for key, value in (found.get("source") or {}).items() if key != "replaced"}
    return found | {"source": source | ({"replaced": replaced} if replaced else {})}


def _options(sides: Mapping[Side, Mapping[str, Any]]) -> ReadOptions:
    """Return how to read the dataset: as the side does that changed it, else the smaller in sorted order."""
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.merging.texts.values import canonical

    said = {side: (sides[side].get("source") or {}).get("options") or {} for side in Side}
    news = [said[side] for side in (Side.OURS, Side.THEIRS) if said[side] != said[Side.BASE]]
    return ReadOptions.from_dict(min(news, key=canonical) if news else said[Side.BASE])


def _anew(path: PurePosixPath, merged: RecordedBytes, project: Project, options: ReadOptions) -> dict[str, Any]:
    """Return what ``emdvc add`` would write of the bytes; what is lacking of them is fetched."""
    from emdvc.history.adding_record import described
    from emdvc.history.lazy.opening import open_files
    from emdvc.history.lazy.recorded_dataset import RecordedDataset, recorded_dataset
    from emdvc.history.progress import silent
    from emdvc.history.recorded import Recorded

    inside = path.relative_to(project.prefix)
    files, pointer = merged.out.get("nfiles"), inside.with_name(f"{inside.name}.dvc")
    record = Recorded(inside, merged.md5, merged.size, files, pointer, remote=merged.remote)
    dataset: RecordedDataset = recorded_dataset(project, inside, record, None)
    entries = _entries(dataset)
    opened: Opened = open_files(dataset, options)
    try:
        made: Sidecar = described(opened, options, silent, entries)
    finally:
        opened.close()
    content = made.to_dict()
    return {key: content[key] for key in KEYS if key in content}


def _entries(dataset: Any) -> list[dict[str, Any]]:
    """Return what the sidecar says of the files, as :mod:`emdvc.history.adding_files` has it: name, size, SHA-256."""
    from emdvc.formats.digest import file_sha256, listing_sha256

    places = dataset.arriving.wait(
        {md5: name for name, md5 in dataset.files.items()},
        {md5: dataset.beside(name) for name, md5 in dataset.files.items()},
    )
    digests = {name: file_sha256(places[md5]) for name, md5 in dataset.files.items()}
    sizes = [places[md5].stat().st_size for md5 in dataset.files.values()]
    total: dict[str, Any] = {"path": dataset.path.name, "size": sum(sizes)}
    if not dataset.directory:
        return [total | {"sha256": next(iter(digests.values()))}]
    return [total | {"sha256": listing_sha256(digests), "files": len(digests)}]
