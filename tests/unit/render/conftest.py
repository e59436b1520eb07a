"""A PNG decoder of its own: Python's zlib and the five filters of the standard, nothing of emdvc."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass
class Png:
    """A decoded file: samples (height, width, channels) as stored, and the colours they stand for."""

    samples: NDArray[np.uint8]
    rgb: NDArray[np.uint8]


def _decode(data: bytes) -> Png:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, []
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        (crc,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        assert crc == zlib.crc32(kind + body), f"checksum of {kind!r}"
        chunks.append((kind, body))
        position += 12 + length
    assert chunks[0][0] == b"IHDR" and chunks[-1] == (b"IEND", b"")
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, compression, filters, interlace) == (8, 0, 0, 0)
    channels = {0: 1, 2: 3, 3: 1}[colour]
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    lines = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * channels)
    samples = np.zeros((height, width * channels), np.uint8)
    above = np.zeros(width * channels, np.uint8)
    for row, line in enumerate(lines):
        assert line[0] in (0, 2), "only the filters none and up are expected"
        samples[row] = line[1:] + (above if line[0] == 2 else 0)
        above = samples[row]
    samples = samples.reshape(height, width, channels)
    if colour == 3:
        palette = np.frombuffer(dict(chunks)[b"PLTE"], np.uint8).reshape(-1, 3)
        return Png(samples, palette[samples[..., 0]])
    return Png(samples, samples.repeat(3, axis=2) if colour == 0 else samples)


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], Png]:
    return _decode
