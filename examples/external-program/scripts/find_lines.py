"""Adds up neighbouring spectra, and finds the lines in the sum of all: both by HyperSpy."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import hyperspy.api as hs
from simulate import write


def main(image: Path, binned: Path, table: Path) -> None:
    said = json.loads(Path(os.environ["EMDVC_PARAMS"]).read_text(encoding="utf-8"))
    signal = hs.load(image)
    energy = signal.axes_manager["Energy"]
    write(binned, signal.rebin(scale=(said["bin"], said["bin"], 1)))

    total = signal.sum(axis=("y", "x"))
    found = total.find_peaks1D_ohaver(amp_thresh=said["least_counts"], medfilt_radius=5, maxpeakn=20)[0]
    rows = ["energy_eV,counts"]
    for peak in sorted(found, key=lambda one: one["position"]):
        # to a whole channel, and the counts there: a position between channels would hang on the last digit
        channel = round((float(peak["position"]) - energy.offset) / energy.scale)
        rows.append(f"{round(energy.offset + channel * energy.scale)},{int(total.data[channel])}")
    table.write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(rows) - 1} lines")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
