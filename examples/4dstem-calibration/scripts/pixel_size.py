"""Measures the size of a detector pixel by the rings of gold in the film, and compares it with the recorded one."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

import emdvc

GOLD = 4.0786  # lattice parameter, angstrom (JCPDS 04-0784)
RINGS = {"220": 8, "311": 11}  # h^2 + k^2 + l^2 of rings that stand alone


def main(profile: Path, answer: Path) -> None:
    yaml = YAML(typ="safe")
    said = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))["pixel_size"]
    with emdvc.open_dataset(profile) as results:
        first, last = said["film_rows"]
        film = results["profile"].isel(y=slice(first, last)).mean(("y", "x")).values
        radius = results["k"].values
        recorded = results.attrs["diffraction"]["pixel_size"]["value"]
    sizes = []
    for name, squares in RINGS.items():
        near = np.abs(radius - said["near"][name]) < said["half_width"]
        sizes.append(math.sqrt(squares) / GOLD / peak(radius[near], film[near]))
    measured = sum(sizes) / len(sizes)
    text = {
        # rounded to what the measurement can tell, so that the last bits of another processor do not show
        "measured_per_angstrom": float(f"{measured:.4g}"),
        "recorded_per_angstrom": float(f"{recorded:.4g}"),
        "recorded_is_larger_by_percent": round(100 * (recorded / measured - 1), 1),
    }
    with answer.open("w", encoding="utf-8", newline="\n") as file:
        YAML().dump(text, file)


def peak(radius: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return the centre of mass of a peak above the straight line between its ends."""
    line = counts[0] + (counts[-1] - counts[0]) * (radius - radius[0]) / (radius[-1] - radius[0])
    above = np.maximum(counts - line, 0.0)
    return float((above * radius).sum() / above.sum())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
