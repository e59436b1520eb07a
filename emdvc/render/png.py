"""PNG files whose bytes depend on the pixels alone.

A picture is a stage's output and its md5 stands in dvc.lock, so the same pixels must give the same bytes with every
library and on every machine. zlib promises no such thing of its compressor (zlib-ng and each release may find other
matches); so the compressed stream is written here: run lengths with the fixed Huffman code of RFC 1951, section 3.2.6,
after PNG's own "up" filter. Drawn pictures, whose pixels repeat along rows and from row to row, shrink well by it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE = 0, 2, 3

# RFC 1951, 3.2.5: length code -> shortest length and extra bits
_LENGTH_BASE = (
    *(3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227),
    258,
)
_LENGTH_EXTRA = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
_LONGEST = 258


def encode(
    pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, text: Mapping[str, str] | None = None
) -> bytes:
    """Return an image as a PNG file.

    Parameters
    ----------
    pixels
        Shape (height, width): grey, or indices where a palette is given; or (height, width, 3): red, green, blue.
    palette
        Shape (n, 3) with n up to 256: red, green, blue.
    text
        Keyword -> text that the file carries unseen (Latin 1; others are written with escapes).

    Raises
    ------
    ValueError
        The array is none of these.
    """
    form = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not form or not pixels.size:
        what = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"a picture is uint8 of shape (height, width) or (height, width, 3), not {what}")
    height, width = pixels.shape[:2]
    kind = _RGB if pixels.ndim == 3 else _GREY if palette is None else _PALETTE
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    colours = _chunk(b"PLTE", np.ascontiguousarray(palette, np.uint8).tobytes()) if palette is not None else b""
    body = _zlib_stream(_filtered(pixels.reshape(height, -1)))
    notes = b"".join(_chunk(b"tEXt", _latin(key) + b"\0" + _latin(value)) for key, value in (text or {}).items())
    return _SIGNATURE + _chunk(b"IHDR", header) + colours + notes + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _latin(text: str) -> bytes:
    return text.encode("latin-1", errors="backslashreplace")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filtered(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # filter type 2 ("up"): each byte minus the one above, so that repeated rows become zeros
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    marked = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    marked[:, 0] = 2
    marked[:, 1:] = rows - above
    return marked.ravel()


def _zlib_stream(content: NDArray[np.uint8]) -> bytes:
    # 0x78 0x01: deflate with a 32 KiB window; no preset dictionary
    return b"\x78\x01" + deflate(content) + struct.pack(">I", zlib.adler32(content.tobytes()))


def deflate(content: NDArray[np.uint8]) -> bytes:
    """Return bytes as one deflate block (RFC 1951) of literals and runs, in the fixed Huffman code."""
    codes, lengths = _tokens(content)
    # block header: last block (1), fixed code (01, low bit first); end of block is seven zeros
    codes = np.concatenate(([0b011], codes, [0]))
    lengths = np.concatenate(([3], lengths, [7]))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    bits = np.zeros(int(ends[-1]), np.uint8)
    for position in range(int(lengths.max())):
        wide = lengths > position
        bits[starts[wide] + position] = (codes[wide] >> position) & 1
    return np.packbits(bits, bitorder="little").tobytes()


def _tokens(content: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes, first bit lowest, and their lengths in bits: a run is its first byte and then copies of it."""
    literal_code, literal_length, run_code, run_length = _tables()
    changes = np.flatnonzero(content[1:] != content[:-1]) + 1
    starts = np.concatenate(([0], changes))
    copies = np.diff(np.concatenate((starts, [content.size]))) - 1
    full, rest = np.divmod(copies, _LONGEST)
    short = rest * (rest < 3)  # one or two copies are cheaper as literals; a match has at least three
    tail = rest * (rest >= 3)
    # each run becomes: 1 literal, `full` longest matches, up to one shorter match, up to two literals
    counts = 1 + full + (tail > 0) + short
    first = np.cumsum(counts) - counts
    run = np.repeat(np.arange(starts.size), counts)
    place = np.arange(int(counts.sum())) - first[run]
    value = content[starts][run].astype(np.int64)
    copied = np.where(place <= full[run], _LONGEST, tail[run])
    is_match = (place > 0) & (place <= (full + (tail > 0))[run])
    codes = np.where(is_match, run_code[copied], literal_code[value])
    lengths = np.where(is_match, run_length[copied], literal_length[value])
    return codes, lengths


def _tables() -> tuple[NDArray[np.int64], ...]:
    literals = [_fixed(symbol) for symbol in range(256)]
    matches = [(0, 0)] * (_LONGEST + 1)
    for index, (base, extra) in enumerate(zip(_LENGTH_BASE, _LENGTH_EXTRA, strict=True)):
        code, width = _fixed(257 + index)
        for more in range(1 << extra):
            # extra bits follow low bit first; then five zero bits: distance 1
            if base + more <= _LONGEST:
                matches[base + more] = (code | more << width, width + extra + 5)
    return tuple(np.array(column, np.int64) for table in (literals, matches) for column in zip(*table, strict=True))


def _fixed(symbol: int) -> tuple[int, int]:
    """Return the code of a symbol in the fixed Huffman code, first bit lowest, and its length (RFC 1951, 3.2.6)."""
    if symbol < 144:
        code, width = 0x30 + symbol, 8
    elif symbol < 256:
        code, width = 0x190 + symbol - 144, 9
    elif symbol < 280:
        code, width = symbol - 256, 7
    else:
        code, width = 0xC0 + symbol - 280, 8
    return int(format(code, f"0{width}b")[::-1], 2), width
