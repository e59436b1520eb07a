"""The chunks of one Zarr array that both sides changed: element by element where that is declared, else one by one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emdvc.errors import FormatError
from emdvc.history.merging.asking import regions_seen
from emdvc.history.merging.contract import Choice, Choices, Conflict, Edited, Neither, Region, Side
from emdvc.history.merging.datasets import elements
from emdvc.history.merging.datasets.elements import Box
from emdvc.history.merging.datasets.manifests import Entry
from emdvc.history.merging.datasets.undecided_files import Bytes, Settled, chosen_file, file_conflict
from emdvc.history.merging.datasets.zarr_nodes import ArrayNode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Dimensions of images and spectra. A table of two dimensions has none of them first: its rows are elements.
_GRID = frozenset({"y", "x", "z", "ky", "kx", "energy", "k", "tilt", "time", "frame", ""})


class Coder:
    """Decodes and encodes single chunks of an array with zarr itself, in memory.

    Parameters
    ----------
    node
        The array.
    metadata
        Content of its ``zarr.json`` or ``.zarray``.
    """

    def __init__(self, node: ArrayNode, metadata: bytes) -> None:
        import zarr
        from zarr.core.buffer import default_buffer_prototype

        assert node.keys is not None
        self._buffer = default_buffer_prototype().buffer
        self._files: dict[str, Any] = {}
        self.keys = node.keys
        self._inner = len(node.folder) + 1 if node.folder else 0
        name = "zarr.json" if node.version == 3 else ".zarray"
        self._files[name] = self._buffer.from_bytes(metadata)
        store = zarr.storage.MemoryStore(self._files)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a type that other programs may not read is its owner's matter
            self.array: Any = zarr.open_array(
                store,
                mode="r+",
                zarr_format=3 if node.version == 3 else 2,
                # a chunk of nothing but the fill value is left out, as zarr does by default
                config={"write_empty_chunks": False},
            )

    def region(self, key: str) -> tuple[slice, ...]:
        """Return the region of the array that a chunk's file holds."""
        found = self.keys.region(key)
        assert found is not None
        return found

    def decode(self, key: str, content: bytes | None) -> Array:
        """Return the numbers of a chunk; one that is not there holds the fill value."""
        import numpy as np

        inner = key[self._inner :]
        if content is None:
            self._files.pop(inner, None)
        else:
            self._files[inner] = self._buffer.from_bytes(content)
        try:
            with _named(key):
                return np.array(self.array[self.region(key)])
        finally:
            self._files.pop(inner, None)

    def encode(self, key: str, values: Array) -> bytes | None:
        """Return the bytes of a chunk with the array's own codecs; None where it holds only the fill value."""
        inner = key[self._inner :]
        self._files.pop(inner, None)
        try:
            with _named(key):
                self.array[self.region(key)] = values
            made = self._files.get(inner)
            return None if made is None else bytes(made.to_bytes())
        finally:
            self._files.pop(inner, None)


@contextmanager
def _named(key: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zarr's codecs raise errors of many kinds
        raise FormatError(
            f"the chunk {key} cannot be merged: it is damaged",
            evidence=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            hint="emdvc verify --bytes",
        ) from error


class ElementMerge:
    """The undecided chunks of one array, merged element by element.

    Parameters
    ----------
    name
        Of the array.
    node
        How it is kept, on all sides alike.
    coder
        For its chunks.
    undecided
        File -> its three md5s.
    files
        Where bytes come from and go to.
    """

    def __init__(self, name: str, node: ArrayNode, coder: Coder, undecided: Mapping[str, Entry], files: Bytes) -> None:
        self.name, self.node, self._coder, self._undecided, self._files = name, node, coder, undecided, files
        self._rows = len(node.dims) == 2 and node.dims[0] not in _GRID

    def settle(self, choices: Choices) -> Settled:
        """Return what comes of the chunks."""
        answer, disputed = Settled(), {}
        for key in self._undecided:
            base, ours, theirs = self._sides(key)
            found = elements.merge_elements(base, ours, theirs, rows=self._rows)
            if found.disputed.any():
                origin = [part.start for part in self._coder.region(key)]
                disputed[key] = elements.box_of(found.disputed, origin)
            else:
                answer.files[key] = self._md5(key, found.values, base, ours, theirs)
        if disputed:
            self._choose(disputed, choices, answer)
        return answer

    def _choose(self, disputed: Mapping[str, Box], choices: Choices, answer: Settled) -> None:
        # who answered a part of a region has cut it in pieces; of a table whole rows only
        cuts = [] if self._rows else regions_seen.named(choices, self.name)
        asked = [_Asked(box) for box in regions_seen.split(elements.united(disputed.values()), cuts)]
        for key in disputed:
            base, ours, theirs = self._sides(key)
            found = elements.merge_elements(base, ours, theirs, rows=self._rows)
            for one, part in self._parts(asked, key):
                one.take(found.disputed[part], base[part], ours[part], theirs[part])
        asked = [one for one in asked if one.count]
        chosen: dict[Box, Choice] = {}
        for one in asked:
            region = Region(self.name, one.box, self.node.dims, one.count)
            choice = choices.of(str(region))
            if choice is None:
                answer.conflicts.append(one.conflict(region, rows=self._rows))
            else:
                chosen[one.box] = choice
        for key in disputed:
            touched = list(self._parts(asked, key))
            if all(one.box in chosen for one, _ in touched):
                answer.files[key] = self._chosen(key, [(chosen[one.box], part) for one, part in touched])

    def _chosen(self, key: str, parts: list[tuple[Choice, tuple[slice, ...]]]) -> str | None:
        import numpy as np

        base, ours, theirs = self._sides(key)
        found = elements.merge_elements(base, ours, theirs, rows=self._rows)
        values = found.values
        for choice, part in parts:
            match choice:
                case Side.OURS:
                    taken = ours[part]
                case Side.THEIRS:
                    taken = theirs[part]
                case Side.BASE:
                    taken = base[part]
                case Neither():
                    taken = elements.neither(ours[part], theirs[part])
                case Edited():
                    taken = self._coder.decode(key, self._files.now(key))[part]
            np.copyto(values[part], taken, where=found.disputed[part])
        return self._md5(key, values, base, ours, theirs)

    def _parts(self, asked: list[_Asked], key: str) -> Iterator[tuple[_Asked, tuple[slice, ...]]]:
        place = tuple((part.start, part.stop) for part in self._coder.region(key))
        for one in asked:
            part = elements.within(one.box, place)
            if part is not None:
                yield one, part

    def _sides(self, key: str) -> tuple[Array, Array, Array]:
        entry = self._undecided[key]
        base, ours, theirs = (
            self._coder.decode(key, None if md5 is None else self._files.read(md5))
            for md5 in (entry.base, entry.ours, entry.theirs)
        )
        return base, ours, theirs

    def _md5(self, key: str, values: Array, *sides: Array) -> str | None:
        """Return what names the chunk: a file that is there already where it holds just these numbers."""
        entry, content = self._undecided[key], values.tobytes()
        held = [
            md5
            for md5, side in zip((entry.base, entry.ours, entry.theirs), sides, strict=True)
            if side.tobytes() == content
        ]
        if held:
            return min(held, key=lambda md5: md5 or "")
        made = self._coder.encode(key, values)
        return None if made is None else self._files.keep(made)


class _Asked:
    """A region that both sides changed, and what it holds on each."""

    def __init__(self, box: Box) -> None:
        self.box, self.count = box, 0
        self._held: list[list[Array]] = [[], [], []]

    def take(self, disputed: Array, *sides: Array) -> None:
        import numpy as np

        self.count += int(np.count_nonzero(disputed))
        for held, side in zip(self._held, sides, strict=True):
            values = side[disputed]
            held.append(values if values.dtype.names else np.unique(values))

    def conflict(self, region: Region, *, rows: bool) -> Conflict:
        import numpy as np

        base, ours, theirs = (elements.in_words(np.concatenate(held)) for held in self._held)
        size = 1
        for start, stop in self.box:
            size *= stop - start
        what = "numbers of rows" if rows else "samples"
        part = f"{self.count} of {size} {what}" if self.count < size else f"these {what}"
        many = "this sample" if size == 1 else part
        why = f"{many}: {ours} here, {theirs} there, {base} before" if len(ours + theirs) < 80 else many
        return Conflict(str(region), base, ours, theirs, f"both changed {why}", region)


def whole_chunks(
    name: str, node: ArrayNode | None, undecided: Mapping[str, Entry], files: Bytes, choices: Choices, why: str
) -> Settled:
    """Return what comes of chunks that do not merge: each is asked about, or all at once where they are many.

    Parameters
    ----------
    name
        Of the array.
    node
        How it is kept; None where that is not known.
    undecided
        File -> its three md5s.
    files
        Where bytes come from and go to.
    choices
        What was chosen.
    why
        Why its elements are not merged, in words.
    """
    answer = Settled()
    many = len(undecided) > elements.MOST
    open_: dict[str, Entry] = {}
    for key, entry in undecided.items():
        choice = choices.of(name if many else key)
        if choice is None:
            open_[key] = entry
        else:
            answer.files[key] = chosen_file(key, entry, choice, files)
    if many and open_:
        boxes = [box for box in (_box(node, key) for key in open_) if box is not None]
        whole = elements.united(boxes, 1)
        region = Region(name, whole[0], node.dims if node else ()) if whole else None
        said = f"{len(open_)} chunks"
        why = f"both changed {said} of {name}; {why}"
        answer.conflicts.append(Conflict(name, said, f"{said}, changed", f"{said}, changed", why, region))
    elif open_:
        for key, entry in open_.items():
            box = _box(node, key)
            region = Region(name, box, node.dims if node else ()) if box else None
            answer.conflicts.append(file_conflict(key, entry, f"this chunk of {name}; {why}", region))
    return answer


def _box(node: ArrayNode | None, key: str) -> Box | None:
    region = node.keys.region(key) if node is not None and node.keys is not None else None
    return None if not region else tuple((part.start, part.stop) for part in region)
