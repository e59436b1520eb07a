"""Which blocks of a pass are finished, and what they gave: kept so that a killed run goes on where it was.

A block's maps lie in the map files, its sums and lists in a file of its own; one line in ``done`` then says that it is
finished, with the checksum of everything. After a kill, a power cut or a full disk a block counts as finished only if
its line is whole and what lies there has these checksums.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine import map_file
from emdvc.engine.blocks import Blocks
from emdvc.engine.map_file import Map
from emdvc.errors import FormatError
from emdvc.formats.chunk_files import ChunkFiles, in_memory
from emdvc.formats.contract import Region
from emdvc.steps.contract import Partial, Plan

#: Sums of blocks are joined into one file when they take this much.
_JOIN = 64 << 20

Sums = tuple[NDArray[Any], ...]


class Ledger:
    """What the finished blocks of a pass gave, for each of its plans.

    Parameters
    ----------
    folder
        Where it is kept; None to keep it in memory, for this process alone.
    plans
        The plans of the pass.
    blocks
        How the scan is cut.
    """

    def __init__(self, folder: Path | None, plans: Sequence[Plan], blocks: Blocks) -> None:
        self._folder, self._plans, self._blocks = folder, plans, blocks
        self._lock = threading.Lock()
        self._maps: list[dict[str, Map]] = [{} for _ in plans]
        self._lists: list[dict[int, dict[str, NDArray[Any]]]] = [{} for _ in plans]
        self._waiting: dict[int, list[Sums | None]] = {}
        self._merged: list[Sums | None] = [None] * len(plans)
        self._merged_to = 0
        self._unjoined = 0
        self._regions = dict(enumerate(blocks))
        self.finished: frozenset[int] = frozenset()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.finished = frozenset(self._resume(folder))

    def keep(self, index: int, partials: Sequence[Partial]) -> None:
        """Keep what a block gave; may be called from several threads."""
        region = self._blocks.result(self._regions[index])
        sums = {}
        for number, partial in enumerate(partials):
            for name, values in partial.maps.items():
                self._map(number, name, values).put(region, values)
            for place, array in enumerate(partial.reduction or ()):
                sums[f"{number}.{place}"] = array
        lists = {
            f"{number}.{name}": rows for number, partial in enumerate(partials) for name, rows in partial.ragged.items()
        }
        if self._folder is not None:
            line = {"block": index, "maps": self._checksums(partials)}
            for kind, arrays in (("sums", sums), ("lists", lists)):
                if arrays:
                    line[kind] = _save(self._folder / f"{kind}-{index}.npz", arrays)
            with self._lock:
                _append(self._folder / "done", line)
        with self._lock:
            self._waiting[index] = [partial.reduction for partial in partials]
            for number, partial in enumerate(partials):
                if partial.ragged:
                    self._lists[number][index] = partial.ragged

    def merge(self, index: int) -> None:
        """Join the sums of a finished block to those of all before it; called for every block, in their order."""
        if index < self._merged_to:
            return  # they were joined before the run was killed
        with self._lock:
            sums = self._waiting.pop(index, None)
        if sums is None:
            sums = self._saved_sums(index)
        for number, (plan, new) in enumerate(zip(self._plans, sums, strict=True)):
            old = self._merged[number]
            if new is not None:
                self._merged[number] = new if old is None else plan.merge(old, new)
                self._unjoined += sum(array.nbytes for array in new)
        self._merged_to = index + 1
        if self._folder is not None and self._unjoined > _JOIN:
            self._join(self._folder)

    def maps(self, number: int) -> dict[str, NDArray[Any] | ChunkFiles]:
        """Return the maps of a plan, and its lists in C order of the probe positions."""
        found = {name: one.result() for name, one in self._maps[number].items()}
        if self._lists[number]:
            counts = in_memory(found["count"])
            names = {name for rows in self._lists[number].values() for name in rows}
            for name in sorted(names):
                parts = [
                    (self._blocks.result(self._regions[index]), rows[name])
                    for index, rows in sorted(self._lists[number].items())
                ]
                found[name] = _in_scan_order(counts, parts)
        return found

    def sums(self, number: int) -> Sums | None:
        """Return the sums of a plan over all blocks that were merged."""
        return self._merged[number]

    def close(self) -> None:
        """Close its files; what they hold stays."""
        for maps in self._maps:
            for one in maps.values():
                one.close()

    def _map(self, number: int, name: str, values: NDArray[Any]) -> Map:
        with self._lock:
            if name not in self._maps[number]:
                shape = (*self._blocks.results, *values.shape[1:])
                self._maps[number][name] = map_file.open_map(
                    self._maps_folder(number), name, shape, values.dtype, self._blocks
                )
            return self._maps[number][name]

    def _maps_folder(self, number: int) -> Path | None:
        return self._folder / f"maps-{number}" if self._folder is not None else None

    def _checksums(self, partials: Sequence[Partial]) -> dict[str, int]:
        return {
            f"{number}.{name}": map_file.checksum(values)
            for number, partial in enumerate(partials)
            for name, values in partial.maps.items()
        }

    def _resume(self, folder: Path) -> set[int]:
        """Return the blocks that an earlier run finished; what is damaged counts as not finished."""
        try:
            for number in range(len(self._plans)):
                self._maps[number] = map_file.begun(folder / f"maps-{number}", self._blocks)
            self._read_joined(folder)
        except (OSError, ValueError, KeyError):
            return set()
        return {line["block"] for line in _lines(folder / "done") if self._whole(folder, line)}

    def _whole(self, folder: Path, line: Mapping[str, Any]) -> bool:
        index = line["block"]
        region = self._blocks.result(self._regions[index]) if index in self._regions else None
        try:
            if region is None or any(
                self._maps[int(key.partition(".")[0])][key.partition(".")[2]].checksum(region) != value
                for key, value in line["maps"].items()
            ):
                return False
            if "sums" in line and index >= self._merged_to and _checksum(folder / f"sums-{index}.npz") != line["sums"]:
                return False
            if "lists" in line:
                path = folder / f"lists-{index}.npz"
                if _checksum(path) != line["lists"]:
                    return False
                for key, rows in _load(path).items():
                    number, _, name = key.partition(".")
                    self._lists[int(number)].setdefault(index, {})[name] = rows
        except (OSError, ValueError, LookupError, FormatError):
            return False
        return True

    def _saved_sums(self, index: int) -> list[Sums | None]:
        path = self._folder / f"sums-{index}.npz" if self._folder is not None else None
        arrays = _load(path) if path is not None and path.is_file() else {}
        return _by_plan(arrays, len(self._plans))

    def _join(self, folder: Path) -> None:
        """Write the sums of all merged blocks as one file, and remove theirs."""
        arrays = {
            f"{number}.{place}": array
            for number, sums in enumerate(self._merged)
            for place, array in enumerate(sums or ())
        }
        name = f"joined-{self._merged_to}.npz"
        checksum = _save(folder / name, arrays)
        _append(folder / "joined", {"blocks": self._merged_to, "file": name, "checksum": checksum})
        for path in folder.glob("joined-*.npz"):
            if path.name != name:
                path.unlink(missing_ok=True)
        for index in range(self._merged_to):
            (folder / f"sums-{index}.npz").unlink(missing_ok=True)
        self._unjoined = 0

    def _read_joined(self, folder: Path) -> None:
        lines = _lines(folder / "joined")
        if not lines:
            return
        last = lines[-1]
        if _checksum(folder / last["file"]) != last["checksum"]:
            raise ValueError("the joined sums are damaged")
        self._merged = _by_plan(_load(folder / last["file"]), len(self._plans))
        self._merged_to = int(last["blocks"])


def _by_plan(arrays: Mapping[str, NDArray[Any]], plans: int) -> list[Sums | None]:
    found: list[Sums | None] = [None] * plans
    for number in range(plans):
        own = [key for key in arrays if key.startswith(f"{number}.")]
        if own:
            found[number] = tuple(arrays[f"{number}.{place}"] for place in range(len(own)))
    return found


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write arrays, whole or not at all, and return the checksum of the file."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    found = _checksum(partial)
    partial.replace(path)
    return found


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found = zlib.crc32(piece, found)
    return found


def _append(path: Path, line: Mapping[str, Any]) -> None:
    text = json.dumps(line, sort_keys=True)
    data = f"{text}\t{zlib.crc32(text.encode()):08x}\n".encode()
    with path.open("ab", buffering=0) as file:
        if os.fstat(file.fileno()).st_size:
            data = b"\n" + data  # a torn line before it stays alone
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines that are whole."""
    found = []
    try:
        texts = path.read_bytes().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    for line in texts:
        text, _, checksum = line.rpartition("\t")
        if text and checksum == f"{zlib.crc32(text.encode()):08x}":
            found.append(json.loads(text))
    return found


def _in_scan_order(counts: NDArray[Any], parts: Sequence[tuple[Region, NDArray[Any]]]) -> NDArray[Any]:
    """Return the rows of all blocks in C order of the probe positions."""
    starts = (np.cumsum(counts.reshape(-1)) - counts.reshape(-1)).reshape(counts.shape)
    rows = np.empty((int(counts.sum()), *parts[0][1].shape[1:]), parts[0][1].dtype)
    for region, values in parts:
        place = 0
        for start, count in zip(starts[region].reshape(-1), counts[region].reshape(-1), strict=True):
            rows[start : start + count] = values[place : place + count]
            place += count
    return rows
