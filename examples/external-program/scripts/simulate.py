"""Simulates an EDX spectrum image, in whole numbers, and writes it as HyperSpy does, but for the time of writing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import hyperspy.api as hs
import numpy as np
from rsciio import hspy

# energy of each line in eV, counts at its top, in the particles and in what carries them
LINES = {"C": (277, 30, 90), "O": (525, 160, 20), "Cu L": (930, 60, 12), "Si": (1740, 240, 5), "Cu K": (8040, 90, 15)}
STEP = 10


def main(path: Path) -> None:
    said = json.loads(Path(os.environ["EMDVC_PARAMS"]).read_text(encoding="utf-8"))
    height, width = said["scan_shape"]
    energy = np.arange(said["channels"]) * STEP
    y, x = np.indices((height, width))
    inside = (y - height // 2) ** 2 + (x - width // 3) ** 2 < (height // 3) ** 2
    spectra = []
    for particle in (True, False):
        counts = 40000 // (energy + 2000)  # bremsstrahlung
        for place, within, around in LINES.values():
            distance = np.abs(energy - place)
            counts += np.maximum((within if particle else around) * (120 - distance) // 120, 0)
        spectra.append(counts)
    image = np.where(inside[..., None], spectra[0], spectra[1])
    # whole numbers of a generator whose integers are the same everywhere
    image = image * np.random.default_rng(said["seed"]).integers(64, 193, image.shape) // 128

    signal = hs.signals.Signal1D(image.astype("u2"))
    signal.metadata.General.title = "spectra"
    x, y, channels = *signal.axes_manager.navigation_axes, *signal.axes_manager.signal_axes
    for axis, name, scale, units in ((y, "y", 2, "nm"), (x, "x", 2, "nm"), (channels, "Energy", STEP, "eV")):
        axis.name, axis.scale, axis.units = name, scale, units
    write(path, signal)


def write(path: Path, signal: hs.signals.BaseSignal) -> None:
    """Write a signal as `signal.save` does, without compression and without the time at which that happens."""
    whole = signal._to_dictionary(add_models=True)
    whole["metadata"]["General"].pop("FileIO", None)
    whole["package_info"] = {"package": "hyperspy", "package_version": hs.__version__}
    path.parent.mkdir(exist_ok=True)
    hspy.file_writer(str(path), whole, compression=None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
