"""Checksums of the blocks of large files, so that a part of one can be fetched alone and still be checked.

They stand with the places of the arrays' numbers in the ``.dvc`` file, under ``meta: emdvc:``. DVC keeps what stands
there and never looks at it, so nothing is run again for it. They hold for the md5 that they name, and for no other::

    meta:
      emdvc:
        md5: 05caa804521089338b7f33d178feb86e
        files:
          .: {size: 2147500032, block: 4194304, crc32c: 9R5Z7erC...}
        arrays:
          diffraction: [{file: ., offset: 384, dtype: '<u2', shape: [64, 64, 512, 512]}]
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emdvc.formats.strides import Placement

#: Bytes of the smallest block: what a far line brings in about the time of one request.
SMALLEST = 4 << 20
#: Blocks of a file at most: their checksums make 22 kB of text.
MOST = 4096
#: A smaller file is fetched whole, and needs none.
LEAST_FILE = 16 << 20
#: What the only file of a dataset is called that is no directory: the dataset may be renamed.
ALONE = "."


@dataclass(frozen=True, slots=True)
class BlockSums:
    """The checksums of a file.

    Parameters
    ----------
    size
        Bytes of the file.
    block
        Bytes of a block; the last one may be shorter.
    sums
        CRC-32C of each block, four bytes each, the highest first.
    """

    size: int
    block: int
    sums: bytes

    @property
    def count(self) -> int:
        """Number of blocks."""
        return -(-self.size // self.block)

    def span(self, number: int) -> tuple[int, int]:
        """Return where a block starts, and where it stops."""
        return number * self.block, min(self.size, (number + 1) * self.block)

    def holds(self, number: int, content: bytes) -> bool:
        """Say whether a content is that of a block."""
        import google_crc32c

        start, stop = self.span(number)
        expected = int.from_bytes(self.sums[4 * number : 4 * number + 4], "big")
        return len(content) == stop - start and google_crc32c.value(content) == expected

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"size": self.size, "block": self.block, "crc32c": base64.b64encode(self.sums).decode("ascii")}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> BlockSums:
        """Return the checksums that plain values hold.

        Raises
        ------
        ValueError
            They are damaged.
        """
        try:
            text = "".join(str(mapping["crc32c"]).split())
            found = cls(int(mapping["size"]), int(mapping["block"]), base64.b64decode(text, validate=True))
        except (KeyError, TypeError, binascii.Error) as error:
            raise ValueError(str(error)) from error
        if found.block < 1 or found.size < 0 or len(found.sums) != 4 * found.count:
            raise ValueError(f"{len(found.sums)} bytes of checksums for {found.size} bytes")
        return found


class Summing:
    """Makes the checksums of a file whose bytes pass by, one part after the other.

    Parameters
    ----------
    size
        Bytes of the file.
    block
        Bytes of a block; by default as :func:`block_size`.
    """

    def __init__(self, size: int, block: int | None = None) -> None:
        self._size = size
        self._block = block or block_size(size)
        self._sums = bytearray()
        self._crc, self._held, self._seen = 0, 0, 0

    def update(self, part: memoryview | bytes) -> None:
        """Take the next bytes."""
        import google_crc32c

        view = memoryview(part)
        self._seen += len(view)
        while view:
            taken = view[: self._block - self._held]
            self._crc = google_crc32c.extend(self._crc, bytes(taken))  # it takes nothing that may change
            self._held += len(taken)
            view = view[len(taken) :]
            if self._held == self._block:
                self._end()

    def result(self) -> BlockSums:
        """Return the checksums.

        Raises
        ------
        ValueError
            The file was longer or shorter than said.
        """
        if self._seen != self._size:
            raise ValueError(f"{self._seen} bytes, not {self._size}")
        if self._held:
            self._end()
        return BlockSums(self._size, self._block, bytes(self._sums))

    def _end(self) -> None:
        self._sums += self._crc.to_bytes(4, "big")
        self._crc, self._held = 0, 0


def block_size(size: int) -> int:
    """Return the bytes of a block of a file: a power of two, :data:`MOST` blocks at most."""
    block = SMALLEST
    while block * MOST < size:
        block *= 2
    return block


@dataclass(frozen=True, slots=True)
class Ranges:
    """What is known of a dataset's large files, so that parts of them can be read alone.

    Parameters
    ----------
    files
        Name in the dataset (:data:`ALONE` for a single file) -> checksums.
    arrays
        Name of the variable -> where its numbers lie.
    """

    files: Mapping[str, BlockSums] = field(default_factory=dict)
    arrays: Mapping[str, Placement] = field(default_factory=dict)


def parsed(kept: Any, md5: str) -> Ranges | None:
    """Return what ``meta: emdvc:`` of a ``.dvc`` file says of data with this md5; None where it says nothing of it.

    Who edits such a file by hand loses the parts, not the data: what is damaged says nothing.
    """
    if not isinstance(kept, Mapping) or kept.get("md5") != md5:
        return None
    try:
        files = {str(name): BlockSums.from_dict(said) for name, said in kept["files"].items()}
        arrays = {str(name): [dict(step) for step in steps] for name, steps in (kept.get("arrays") or {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return Ranges(files, arrays)


def read(pointer: Path) -> Ranges | None:
    """Return what a ``.dvc`` file in the workspace says of the data that it records now; None where nothing."""
    from emdvc.history import yaml_files

    content = yaml_files.read(pointer)
    meta = content.get("meta")
    return parsed(meta.get("emdvc"), recorded_md5(content)) if isinstance(meta, dict) else None


def recorded_md5(content: Mapping[str, Any]) -> str:
    """Return the md5 that the content of a ``.dvc`` file records."""
    outs = content.get("outs") or [{}]
    return str(outs[0].get("md5") or "")


def write(pointer: Path, ranges: Ranges) -> None:
    """Write into a ``.dvc`` file what is known of the data that it records now; what else stands there stays.

    Parameters
    ----------
    pointer
        The file.
    ranges
        What is known; where it has no file, what was known of other bytes is taken out.
    """
    from emdvc.history.yaml_files import YamlFile, flow

    text = pointer.read_text(encoding="utf-8")
    if not ranges.files and "meta:" not in text:
        return  # nothing to write or to take out: DVC's own file stays as it is
    file = YamlFile(pointer)
    meta = file.content.get("meta")
    if not isinstance(meta, dict):
        meta = file.content["meta"] = {}
    meta.pop("emdvc", None)
    if ranges.files:
        meta["emdvc"] = {
            "md5": recorded_md5(file.content),
            "files": {name: flow(sums.to_dict()) for name, sums in sorted(ranges.files.items())},
            "arrays": {name: flow(steps) for name, steps in sorted(ranges.arrays.items())},
        }
    if not meta:
        del file.content["meta"]
    file.write()
