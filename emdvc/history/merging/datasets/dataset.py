"""Three states of a dataset that people edit as one: by its list of files, then by what each undecided file is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from emdvc.history.edited import Edited as Declared
from emdvc.history.merging.contract import ABSENT, Choice, Choices, Conflict, Edited, Neither, Side
from emdvc.history.merging.datasets import zarr_metadata, zarr_nodes
from emdvc.history.merging.datasets.chunks import Coder, ElementMerge, whole_chunks
from emdvc.history.merging.datasets.manifests import Entry, MergedList, merge_lists
from emdvc.history.merging.datasets.reach import Reach
from emdvc.history.merging.datasets.undecided_files import Bytes, Settled, chosen_file, file_conflict
from emdvc.history.merging.datasets.zarr_nodes import ArrayNode

#: Name -> md5 of a directory's files, on each side; empty where a side has none.
Lists = Mapping[Side, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class MergedDataset:
    """What came of a dataset.

    Parameters
    ----------
    files
        Name -> md5; what is open is as on no side.
    conflicts
        What is open.
    """

    files: dict[str, str]
    conflicts: tuple[Conflict, ...] = field(default_factory=tuple)


def merge_dataset(lists: Lists, declared: Declared, stem: str, reach: Reach, choices: Choices) -> MergedDataset:
    """Return three states of a directory as one.

    Parameters
    ----------
    lists
        Its files on each side.
    declared
        Which of its arrays merge element by element.
    stem
        What an array is called that is the whole store.
    reach
        Brings and keeps bytes.
    choices
        What was chosen.

    Raises
    ------
    DataMissingError, EnvironmentFault
        What must be looked into is neither here nor on the remote; the remote did not answer.
    FormatError
        A chunk or its metadata are damaged.
    """
    return _DatasetMerge(lists, declared, stem, reach, choices).settle()


@dataclass(slots=True)
class _Array:
    """An array that both sides touched: its node on each side, and its metadata files."""

    name: str
    folder: str
    nodes: dict[Side, ArrayNode | None]
    metadata: dict[Side, bytes | None]

    @property
    def cores(self) -> dict[Side, str | None]:
        return {side: node.core if node else None for side, node in self.nodes.items()}


class _DatasetMerge:
    def __init__(self, lists: Lists, declared: Declared, stem: str, reach: Reach, choices: Choices) -> None:
        self._lists, self._declared, self._stem = lists, declared, stem
        self._reach, self._choices = reach, choices
        self._bytes = Bytes(reach.read, reach.keep, reach.now)
        self._merged: MergedList = merge_lists(lists[Side.BASE], lists[Side.OURS], lists[Side.THEIRS])
        self._files = self._merged.files
        self._left = dict(self._merged.undecided)
        self._answer = Settled()

    def settle(self) -> MergedDataset:
        if self._left or self._both_touched():
            if any(zarr_nodes.is_store(files) for files in self._lists.values()):
                self._store()
            self._others()
        self._put()
        return MergedDataset(self._files, tuple(self._answer.conflicts))

    def _both_touched(self) -> bool:
        base = self._lists[Side.BASE].items()
        return all(self._lists[side].items() != base for side in (Side.OURS, Side.THEIRS))

    # --- Zarr stores ---

    def _store(self) -> None:
        nodes: dict[str, str] = {}
        for side in (Side.BASE, Side.OURS, Side.THEIRS):
            nodes |= zarr_nodes.nodes_of(self._lists[side])
        contested = self._contested(nodes)
        self._bring(contested)
        chosen: dict[str, Choice] = {}
        by_folder: dict[str, dict[str, Entry]] = defaultdict(dict)
        for name, entry in self._left.items():
            folder = zarr_nodes.owner(name, nodes)
            if folder is not None and not zarr_nodes.is_metadata(name):
                by_folder[folder][name] = entry
        for folder in contested:
            array = self._array(folder)
            if self._reshaped(array, contested[folder]):
                self._whole_array(array, chosen)
            elif by_folder.get(folder):
                self._chunks(array, by_folder[folder])
        self._metadata(chosen)
        self._put()
        if not self._answer.conflicts:
            self._complete()

    def _contested(self, nodes: Mapping[str, str]) -> dict[str, dict[Side, set[str]]]:
        """Return folder -> side -> what it changed there, of every node that both sides touched."""
        touched: dict[str, dict[Side, set[str]]] = defaultdict(lambda: {Side.OURS: set(), Side.THEIRS: set()})
        for side in (Side.OURS, Side.THEIRS):
            changed = {name for name, _ in self._lists[side].items() ^ self._lists[Side.BASE].items()}
            for name in changed:
                folder = zarr_nodes.owner(name, nodes)
                if folder is not None:
                    touched[folder][side].add(name)
        return {folder: found for folder, found in sorted(touched.items()) if all(found.values())}

    def _bring(self, folders: Iterable[str]) -> None:
        """Fetch at once what will be looked into: the metadata of contested arrays, and what is undecided."""
        wanted: dict[Side, dict[str, str]] = {side: {} for side in Side}
        for side in Side:
            files = self._lists[side]
            for folder in folders:
                prefix = f"{folder}/" if folder else ""
                for last in (*zarr_nodes.NODES, ".zattrs"):
                    if (md5 := files.get(f"{prefix}{last}")) is not None:
                        wanted[side][md5] = f"{prefix}{last}"
        for name, entry in self._left.items():
            if self._is_looked_into(name):
                for side, md5 in ((Side.BASE, entry.base), (Side.OURS, entry.ours), (Side.THEIRS, entry.theirs)):
                    if md5 is not None:
                        wanted[side][md5] = name
        self._reach.bring(wanted[Side.OURS] | wanted[Side.THEIRS])
        self._reach.try_to_bring(wanted[Side.BASE])

    def _is_looked_into(self, name: str) -> bool:
        if zarr_nodes.is_metadata(name):
            return True
        return any(name.startswith(f"{one}/") or one == self._stem for one in self._declared.by_element)

    def _array(self, folder: str) -> _Array:
        nodes: dict[Side, ArrayNode | None] = {}
        metadata: dict[Side, bytes | None] = {}
        prefix = f"{folder}/" if folder else ""
        for side in Side:
            files = self._lists[side]
            node = next((f"{prefix}{last}" for last in zarr_nodes.NODES if f"{prefix}{last}" in files), None)
            content = self._reach.maybe(files[node]) if node is not None else None
            beside = self._reach.maybe(files[f"{prefix}.zattrs"]) if f"{prefix}.zattrs" in files else None
            metadata[side] = content
            nodes[side] = zarr_nodes.array_node(folder, content, beside) if content is not None else None
        return _Array(folder or self._stem, folder, nodes, metadata)

    def _reshaped(self, array: _Array, touched: Mapping[Side, set[str]]) -> bool:
        """Say whether a side changed how an array is stored while the other one changed its numbers, or that, too."""
        cores = array.cores
        if cores[Side.OURS] == cores[Side.THEIRS]:
            return False
        numbers = {
            side: cores[side] != cores[Side.BASE] or any(not zarr_nodes.is_metadata(name) for name in touched[side])
            for side in (Side.OURS, Side.THEIRS)
        }
        return all(numbers.values())

    def _whole_array(self, array: _Array, chosen: dict[str, Choice]) -> None:
        """Ask which side's array it is to be: chunks of two layouts are never mixed."""
        prefix = f"{array.folder}/" if array.folder else ""
        inside = {
            name
            for side in Side
            for name in self._lists[side]
            if name.startswith(prefix) and not zarr_nodes.is_metadata(name)
        }
        for name in inside:
            self._left.pop(name, None)
        choice = self._choices.of(array.name)
        if choice is None:
            base, ours, theirs = (_shape(array.nodes[side]) for side in (Side.BASE, Side.OURS, Side.THEIRS))
            why = f"both changed the array {array.name}, and its shape or storage differs: it is taken as a whole"
            self._answer.conflicts.append(Conflict(array.name, base, ours, theirs, why))
            self._left = {
                name: entry for name, entry in self._left.items() if zarr_nodes.folder_of(name) != array.folder
            }
            return
        if isinstance(choice, Edited):
            now = self._reach.all_now(array.folder)
            for name in inside | set(now):
                self._left.pop(name, None)
                self._answer.files[name] = now.get(name)
            return
        side = self._side(choice, array)
        chosen[array.folder] = side
        for name in inside:
            self._answer.files[name] = self._lists[side].get(name)

    def _side(self, choice: Choice, array: _Array) -> Side:
        if isinstance(choice, Side):
            return choice
        assert isinstance(choice, Neither)
        if array.nodes[Side.BASE] is not None:
            return Side.BASE
        return min((Side.OURS, Side.THEIRS), key=lambda side: str(sorted(self._lists[side].items())))

    def _chunks(self, array: _Array, undecided: dict[str, Entry]) -> None:
        for name in undecided:
            self._left.pop(name, None)
        ours = array.nodes[Side.OURS]
        cores = array.cores
        metadata = array.metadata[Side.OURS]
        why = f"--mergeable {array.name} would merge it element by element"
        if ours is None or ours.keys is None or metadata is None:
            why = "how its chunks are stored is not known here"
        elif array.name in self._declared.by_element:
            why = "its shape or storage was changed on both sides"
            strange = {name: one for name, one in undecided.items() if ours.keys.region(name) is None}
            lost = any(one.base is not None and self._reach.maybe(one.base) is None for one in undecided.values())
            if lost:
                why = "its earlier state is not to be had"
            elif not strange and cores[Side.BASE] in (cores[Side.OURS], None):
                merge = ElementMerge(array.name, ours, Coder(ours, metadata), undecided, self._bytes)
                self._answer.take(merge.settle(self._choices))
                return
        self._answer.take(whole_chunks(array.name, ours, undecided, self._bytes, self._choices, why))

    def _metadata(self, chosen: Mapping[str, Choice]) -> None:
        for name in [name for name in self._left if zarr_nodes.is_metadata(name)]:
            entry = self._left.pop(name)
            if name == zarr_metadata.LISTED:
                # made anew from the nodes below; whose list it is until then does not matter
                kept = min(md5 for md5 in (entry.ours, entry.theirs, entry.base) if md5 is not None)
                self._answer.files[name] = kept
                self._reach.bring({kept: name})
                continue
            choice = chosen.get(zarr_nodes.folder_of(name))
            side = choice if isinstance(choice, Side) else None
            self._answer.take(zarr_metadata.merge_metadata(name, entry, self._bytes, self._choices, side, side))
        for folder, choice in chosen.items():
            # what one side alone changed was taken already; how the array is stored must fit its chunks
            if isinstance(choice, Side):
                self._fit(folder, choice)

    def _fit(self, folder: str, side: Side) -> None:
        prefix = f"{folder}/" if folder else ""
        for last in ("zarr.json", ".zarray", ".zattrs"):
            name = f"{prefix}{last}"
            entry = Entry(*(self._lists[one].get(name) for one in (Side.BASE, Side.OURS, Side.THEIRS)))
            if name not in self._answer.files and entry != Entry(None, None, None):
                core = side if last != ".zattrs" else None
                found = zarr_metadata.merge_metadata(name, entry, self._bytes, self._choices, core, side)
                self._answer.take(found)

    def _complete(self) -> None:
        """Bring back groups that arrays still lie in, and list the nodes anew where the store has such a list."""
        sides = (self._lists[Side.BASE], self._lists[Side.OURS], self._lists[Side.THEIRS])
        self._files.update(zarr_nodes.restored_groups(self._files, sides))
        metadata = _metadata_of(self._files)
        if any(metadata == _metadata_of(self._lists[side]) for side in (Side.OURS, Side.THEIRS)):
            return
        tops = {name: self._files[name] for name in (zarr_metadata.LISTED, "zarr.json") if name in self._files}
        self._reach.bring({md5: name for name, md5 in tops.items()})
        if zarr_metadata.LISTED in tops or b"consolidated_metadata" in self._reach.read(next(iter(tops.values()))):
            self._reach.bring({md5: name for name, md5 in metadata.items()})
            self._files.update(zarr_metadata.listed_anew(self._files, self._bytes))

    # --- any other file ---

    def _others(self) -> None:
        for name, entry in self._left.items():
            choice = self._choices.of(name)
            if choice is None:
                self._answer.conflicts.append(file_conflict(name, entry, f"the file {name}; it is taken as a whole"))
            else:
                self._answer.files[name] = chosen_file(name, entry, choice, self._bytes)
        self._left = {}

    def _put(self) -> None:
        for name, md5 in self._answer.files.items():
            if md5 is None:
                self._files.pop(name, None)
            else:
                self._files[name] = md5
        self._answer.files.clear()


def _metadata_of(files: Mapping[str, str]) -> dict[str, str]:
    return {name: md5 for name, md5 in files.items() if PurePosixPath(name).name in zarr_nodes.METADATA}


def _shape(node: ArrayNode | None) -> object:
    if node is None:
        return ABSENT
    return f"{' x '.join(map(str, node.keys.shape))} samples" if node.keys is not None else "an array"
