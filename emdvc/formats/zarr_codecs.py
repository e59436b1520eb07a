"""The compressors of Zarr chunks, both ways, in the calling thread alone.

Each wraps a C library (through numcodecs, or Python's own zlib) that works without holding the interpreter's lock, so
threads decode side by side. Blosc has threads of its own, whose number changes the bytes that it writes: they are never
used here.

Metadata as in the Zarr 3 specification (https://zarr-specs.readthedocs.io/en/latest/v3/codecs/) and, for Zarr 2, as
numcodecs writes them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

#: What anything that holds bytes is to this module.
Buffer = Any

SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
BLOSC_CODECS = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")


class ByteCodec(Protocol):
    """A compressor, or a checksum."""

    def decode(self, content: Buffer) -> Buffer:
        """Return the bytes that were encoded, however many.

        Raises
        ------
        ValueError, RuntimeError
            The content is damaged.
        """

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the bytes that were encoded into memory of exactly their size.

        Raises
        ------
        ValueError, RuntimeError
            The content is damaged, or holds another number of bytes.
        """


class Encoder(ByteCodec, Protocol):
    """A compressor that chunks are also written with."""

    def encode(self, content: Buffer) -> bytes:
        """Return bytes compressed; the same bytes always give the same."""

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in Zarr 3 metadata."""


def decode_into(codecs: tuple[ByteCodec, ...], content: Buffer, out: Bytes) -> None:
    """Undo codecs, given in the order in which they were applied; the last to be undone writes where it belongs.

    Raises
    ------
    ValueError, RuntimeError
        The content is damaged, or holds another number of bytes.
    """
    for codec in codecs[:0:-1]:
        content = codec.decode(content)
    if codecs:
        codecs[0].decode_into(content, out)
    else:
        _copy(content, out)


@dataclass(frozen=True, slots=True)
class Blosc:
    """Blosc 1: a shuffle of bytes or bits, then one of several compressors.

    Parameters
    ----------
    cname, clevel
        The compressor and its level, 0 to 9.
    shuffle
        One of :data:`SHUFFLES`.
    typesize
        Bytes of a number: what the shuffle goes by.
    """

    cname: str = "lz4"
    clevel: int = 5
    shuffle: str = "bitshuffle"
    typesize: int = 1

    def decode(self, content: Buffer) -> Buffer:
        """Return the bytes that were encoded."""
        return _blosc().decompress(content)

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the bytes that were encoded where they belong."""
        if len(content) < 16:
            raise ValueError(f"{len(content)} bytes are no Blosc data")
        _check(int.from_bytes(content[4:8], "little"), out)  # the header's `nbytes`
        _blosc().decompress(content, out)

    def encode(self, content: Buffer) -> bytes:
        """Return bytes compressed, by one thread: more would cut them into other blocks."""
        # the type of the numbers says how the shuffle goes
        numbers = np.frombuffer(content, {1: "u1", 2: "u2", 4: "u4", 8: "u8"}.get(self.typesize, "c16"))
        packed = _blosc().compress(numbers, self.cname.encode(), self.clevel, SHUFFLES.index(self.shuffle), 0)
        return bytes(packed)

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in Zarr 3 metadata."""
        return {
            "name": "blosc",
            "configuration": {
                "typesize": self.typesize,
                "cname": self.cname,
                "clevel": self.clevel,
                "shuffle": self.shuffle,
                "blocksize": 0,
            },
        }


@dataclass(frozen=True, slots=True)
class Zstd:
    """Zstandard frames (RFC 8878)."""

    level: int = 0
    checksum: bool = False

    def decode(self, content: Buffer) -> Buffer:
        """Return the bytes that were encoded."""
        from numcodecs import zstd

        return zstd.decompress(content)

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the bytes that were encoded where they belong."""
        from numcodecs import zstd

        if _frame_size(content) == out.size:
            zstd.decompress(content, out)
        else:
            _copy(zstd.decompress(content), out)

    def encode(self, content: Buffer) -> bytes:
        """Return bytes compressed."""
        from numcodecs import zstd

        return bytes(zstd.compress(content, self.level, self.checksum))

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in Zarr 3 metadata."""
        return {"name": "zstd", "configuration": {"level": self.level, "checksum": self.checksum}}


@dataclass(frozen=True, slots=True)
class Deflate:
    """zlib streams (RFC 1950) or gzip files of any number of members (RFC 1952); only read."""

    def decode(self, content: Buffer) -> Buffer:
        """Return the bytes that were encoded."""
        parts, rest = [], content
        while len(rest):
            stream = zlib.decompressobj(wbits=47)  # zlib or gzip, as the header says
            parts.append(stream.decompress(rest))
            if not stream.eof:
                raise ValueError("the compressed data end too early")
            rest = stream.unused_data.lstrip(b"\0")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the bytes that were encoded where they belong."""
        _copy(self.decode(content), out)


@dataclass(frozen=True, slots=True)
class Lz4:
    """LZ4 blocks after four bytes that say how much they hold: Zarr 2's form of numcodecs; only read."""

    def decode(self, content: Buffer) -> Buffer:
        """Return the bytes that were encoded."""
        from numcodecs import lz4

        return lz4.decompress(content)

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the bytes that were encoded where they belong."""
        from numcodecs import lz4

        _check(int.from_bytes(content[:4], "little"), out)
        lz4.decompress(content, out)


@dataclass(frozen=True, slots=True)
class Crc32c:
    """The content, followed by its CRC32C checksum (RFC 3720, B.4)."""

    def decode(self, content: Buffer) -> Buffer:
        """Return the content without its checksum, which must be right."""
        kept, said = content[:-4], int.from_bytes(content[-4:], "little")
        found = checksum(kept)
        if len(content) < 4 or found != said:
            raise ValueError(f"the checksum is {found:08x}, the file says {said:08x}")
        return kept

    def decode_into(self, content: Buffer, out: Bytes) -> None:
        """Put the content without its checksum where it belongs."""
        _copy(self.decode(content), out)

    def encode(self, content: Buffer) -> bytes:
        """Return the content with its checksum."""
        return bytes(content) + checksum(content).to_bytes(4, "little")

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in Zarr 3 metadata."""
        return {"name": "crc32c"}


def checksum(content: Buffer) -> int:
    """Return the CRC32C of bytes."""
    import google_crc32c

    return int(google_crc32c.value(bytes(content)))


def from_metadata(name: str, configuration: Mapping[str, Any]) -> ByteCodec | None:
    """Return the codec that metadata name (``id`` in Zarr 2); None for one that this module does not read."""
    if name == "blosc" and configuration.get("cname") in BLOSC_CODECS:
        shuffle = configuration.get("shuffle")
        return Blosc(str(configuration["cname"]), shuffle=shuffle if shuffle in SHUFFLES else "noshuffle")
    if name == "zstd":
        return Zstd(int(configuration.get("level") or 0), bool(configuration.get("checksum")))
    if name in ("gzip", "zlib"):
        return Deflate()
    if name == "lz4":
        return Lz4()
    return Crc32c() if name == "crc32c" else None


def named(text: str, itemsize: int) -> Encoder | None:
    """Return the codec that a person names, for numbers of `itemsize` bytes; None for ``none``.

    ``blosc-lz4``, ``blosc-zstd-3`` (with the level), ``blosc-zstd-3-shuffle`` (instead of bits), ``zstd-1``.

    Raises
    ------
    ValueError
        It names none; the message says what can be named.
    """
    if text == "none":
        return None
    if match := re.fullmatch(rf"blosc-({'|'.join(BLOSC_CODECS)})(?:-([0-9]))?(?:-({'|'.join(SHUFFLES)}))?", text):
        cname, level, shuffle = match.groups()
        if cname == "snappy":  # not in every build of Blosc
            raise ValueError("blosc-snappy is read, not written")
        return Blosc(cname, int(level) if level else 5, shuffle or "bitshuffle", itemsize)
    if (match := re.fullmatch(r"zstd(?:-([0-9]{1,2}))?", text)) and int(match[1] or 3) <= 22:
        return Zstd(int(match[1] or 3))
    raise ValueError("name none, zstd-LEVEL, or blosc-CODEC[-LEVEL][-SHUFFLE], as in blosc-lz4 or blosc-zstd-3")


def _blosc() -> Any:
    from numcodecs import blosc

    # else it works through one state of the whole process when the main thread calls; zarr-python sets it too
    blosc.use_threads = False
    return blosc


def _frame_size(content: Buffer) -> int | None:
    """Return how many bytes a Zstandard frame says that it holds (RFC 8878, 3.1.1.1); None where it does not say."""
    if len(content) < 14:
        return None
    flag = content[4] >> 6
    single, dictionary = content[4] >> 5 & 1, (0, 1, 2, 4)[content[4] & 3]
    width = (1 if single else 0, 2, 4, 8)[flag]
    start = 5 + (0 if single else 1) + dictionary
    said = int.from_bytes(content[start : start + width], "little") + (256 if width == 2 else 0)
    return said if width else None


def _check(size: int, out: Bytes) -> None:
    if size != out.size:
        raise ValueError(f"the chunk holds {size} bytes, not {out.size}")


def _copy(content: Buffer, out: Bytes) -> None:
    held = np.frombuffer(content, np.uint8)
    _check(held.size, out)
    out[...] = held
