"""What was read of a source so far, so that adding it goes on after a kill where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from emdvc.formats.digest import Digests
from emdvc.history.project import Project
from emdvc.history.storage.contract import Stat

#: Raised when the file is written otherwise.
_FORMAT = 1
#: Folder of files that are here for a while.
ARRIVED = "data"


class Sums(NamedTuple):
    """The checksums of a file."""

    md5: str
    sha256: str


class Finished:
    """The files whose checksums are known, and the blocks of arrays whose digests are; kept line by line.

    Parameters
    ----------
    project
        The project; the folder lies in its temporary files.
    url
        Of the source.
    listing
        Digest of what the source lists now. Digests of blocks hold only as long as it is the same; the checksums of a
        file as long as that file's own size and mark are.
    files
        What it lists.
    """

    def __init__(self, project: Project, url: str, listing: str, files: Mapping[str, Stat]) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        #: Where files may lie that must be here for a while.
        self.folder = project.journal_dir / "in-place" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / "finished.jsonl"
        self._lock = threading.Lock()
        self._marks = {file: _mark(stat) for file, stat in files.items()}
        self.sums: dict[str, Sums] = {}
        self._blocks: dict[tuple[str, str], Digests] = {}
        if not self._load(listing):
            # what has half arrived may be of another content
            shutil.rmtree(self.folder / ARRIVED, ignore_errors=True)
        self._file = self._path.open("a", encoding="utf-8")
        self._write({"format": _FORMAT, "listing": listing})

    def keep(self, file: str, sums: Sums) -> None:
        """Keep the checksums of a file."""
        self.sums[file] = sums
        self._write({"file": file, "mark": self._marks[file], "sums": sums})

    def of(self, array: str) -> FinishedBlocks:
        """Return what is known of the blocks of an array."""
        return FinishedBlocks(self, array)

    def block(self, array: str, lead: str) -> Digests | None:
        """Return the digests of a block, as :func:`emdvc.formats.digest.content_digest` made them."""
        return self._blocks.get((array, lead))

    def keep_block(self, array: str, lead: str, digests: Digests) -> None:
        """Keep the digests of a block."""
        self._write({"array": array, "lead": lead, "units": [[number, one.hex()] for number, one in digests]})

    def close(self) -> None:
        """Let the file go; what it holds stays for the next time."""
        self._file.close()

    def remove(self) -> None:
        """Remove everything: the dataset is recorded."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, said: Mapping[str, object]) -> None:
        line = json.dumps(said)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def _load(self, listing: str) -> bool:
        """Take over what still holds, and say whether the source listed the same the last time."""
        same = False
        with suppress(FileNotFoundError):
            lines = self._path.read_text(encoding="utf-8").split("\n")
            if lines[-1]:  # cut off by the kill; what follows begins a line of its own
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(os.linesep)
            for line in lines:
                with suppress(ValueError, KeyError, TypeError):
                    said = json.loads(line)
                    if "format" in said:
                        same = said["format"] == _FORMAT and said["listing"] == listing
                    elif "file" in said and said["mark"] == self._marks.get(said["file"]):
                        self.sums[said["file"]] = Sums(*said["sums"])
                    elif "array" in said and same:
                        units = [(int(number), bytes.fromhex(one)) for number, one in said["units"]]
                        self._blocks[said["array"], said["lead"]] = units
        return same


class FinishedBlocks(NamedTuple):
    """The blocks of one array."""

    finished: Finished
    array: str

    def get(self, lead: tuple[slice, ...]) -> Digests | None:
        """Return the digests of a block that was read before."""
        return self.finished.block(self.array, _text(lead))

    def keep(self, lead: tuple[slice, ...], digests: Digests) -> None:
        """Keep the digests of a block."""
        self.finished.keep_block(self.array, _text(lead), digests)


def _text(lead: tuple[slice, ...]) -> str:
    return ",".join(f"{part.start}:{part.stop}" for part in lead)


def _mark(stat: Stat) -> list[object]:
    return [stat.size, stat.etag, stat.modified]
