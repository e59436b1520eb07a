"""Merlin files of any size, as a Medipix detector writes them: a header of 384 bytes before each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEADER = 384


def write_merlin(path: Path, frames: int, shape: tuple[int, int]) -> None:
    """Write a 12-bit .mib; its frames are those of :func:`frame`."""
    rows, columns = shape
    with path.open("wb") as file:
        for number in range(frames):
            seconds = number % 60 + 0.001
            head = (
                f"MQ1,{number + 1:06d},00384,01,{columns:04d},{rows:04d},U16,   1x1,01,"
                f"2024-07-02 11:46:{seconds:09.6f},0.001000,0,0,0,"
                + ",".join(["1.200000E+1", *["0.000000E+0"] * 7])
                + f",3RX,MQ1A,2024-07-02T11:46:{seconds:09.6f}000Z,1000000ns,12,"
            )
            file.write(head.encode().ljust(HEADER))
            file.write(frame(number, shape)[::-1].astype(">u2").tobytes())


def frame(number: int, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Return a frame as it is read: the file holds its rows from the last to the first."""
    rows, columns = shape
    pattern = (np.arange(rows)[:, None] * 3 + np.arange(columns) * 5) % 1000
    pattern[number % rows] += number % 3000
    return pattern.astype("u2")
