"""A project with edited data for tests of merging: states of a store as DVC keeps them, without a commit for each."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import zarr

from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest
from emdvc.history.merging.contract import Choices, Merged, Place, Three
from emdvc.history.merging.datasets import manifests, recorded_bytes
from emdvc.history.merging.datasets.pointer import merge_pointer
from emdvc.history.project import Project
from emdvc.history.protection import files_of

#: Changes a dataset that lies in a folder.
Edit = Callable[[Path], object]
POINTER = PurePosixPath("scan.zarr.dvc")


class EditedProject:
    """States of ``scan.zarr`` in a project's cache, and merges of them.

    Parameters
    ----------
    folder
        Where to make the project.
    """

    def __init__(self, folder: Path) -> None:
        (folder / ".dvc").mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
        self.project = Project(folder, folder)
        self.cache = cache_folder(self.project)
        self._count = 0

    def state(self, *edits: Edit) -> Path:
        """Return a folder with the dataset that some edits make, one after the other."""
        self._count += 1
        place = self.project.root / ".dvc" / "states" / str(self._count)
        place.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # consolidated metadata are no part of the Zarr 3 specification
            for edit in edits:
                edit(place)
        return place

    def pointer(self, place: Path, declared: Sequence[str] | None = ("labels",), extra: str = "") -> bytes:
        """Return the ``.dvc`` file of a state; `declared` None makes it raw data."""
        files, size = {}, 0
        for file in files_of(place):
            content = file.read_bytes()
            size += len(content)
            files[file.relative_to(place).as_posix()] = manifests.keep_object(self.cache, content)
        md5 = manifests.keep_list(self.cache, files)
        text = f"{extra}outs:\n- md5: {md5}\n  size: {size}\n  nfiles: {len(files)}\n  hash: md5\n  path: scan.zarr\n"
        if declared is not None:
            text += f"meta:\n  emdvc_edited: {{by_element: [{', '.join(declared)}]}}\n"
        return text.encode()

    def merge(self, three: Sequence[bytes | None], choices: Choices | None = None) -> Merged:
        """Return what comes of three ``.dvc`` files: base, ours, theirs."""
        return merge_pointer(Three(POINTER, *three), Place(self.project), choices if choices is not None else Choices())

    def both_ways(self, base: bytes | None, ours: bytes, theirs: bytes) -> Merged:
        """Return what comes of three ``.dvc`` files, the same in either order."""
        merged, other = self.merge([base, ours, theirs]), self.merge([base, theirs, ours])
        assert [conflict.key for conflict in merged.conflicts] == [conflict.key for conflict in other.conflicts]
        assert merged.conflicts or merged.content == other.content
        return merged

    def files(self, pointer: bytes | None) -> dict[str, bytes]:
        """Return the files of the dataset that a ``.dvc`` file records, from the cache; its numbers are checked."""
        said = recorded_bytes.read(pointer)
        assert said is not None
        listed = manifest(self.cache, said.md5)
        assert listed is not None
        found = {name: object_path(self.cache, md5).read_bytes() for name, md5 in listed.items()}
        assert said.out["nfiles"] == len(found)
        assert said.size == sum(map(len, found.values()))
        return found

    def laid_out(self, pointer: bytes | None) -> Path:
        """Return a folder with the dataset that a ``.dvc`` file records."""

        def put(place: Path) -> None:
            for name, content in self.files(pointer).items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)

        return self.state(put)

    def array(self, pointer: bytes | None, name: str = "labels") -> Any:
        """Return an array of the dataset that a ``.dvc`` file records."""
        return zarr.open_array(self.laid_out(pointer) / name, mode="r")


def made(name: str = "labels", *, version: int = 3, listed: bool = False, **options: Any) -> Edit:
    """Return the edit that makes a store with one array."""
    said = {"shape": (8, 8), "chunks": (4, 4), "dtype": "u1", "fill_value": 0} | options

    def make(place: Path) -> None:
        group = zarr.open_group(place, mode="a", zarr_format=version)
        group.create_array(name, **said)
        if listed:
            zarr.consolidate_metadata(place)

    return make


def painted(region: Any, value: Any, name: str = "labels") -> Edit:
    """Return the edit that gives a region of an array a value."""

    def paint(place: Path) -> None:
        zarr.open_array(place / name, mode="r+")[region] = value

    return paint


def noted(name: str = "labels", *, listed: bool = False, **attributes: Any) -> Edit:
    """Return the edit that sets attributes of an array."""

    def note(place: Path) -> None:
        zarr.open_array(place / name, mode="r+").attrs.update(attributes)
        if listed:
            zarr.consolidate_metadata(place)

    return note


def written(name: str, text: str) -> Edit:
    """Return the edit that writes a file."""

    def write(place: Path) -> None:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")

    return write
