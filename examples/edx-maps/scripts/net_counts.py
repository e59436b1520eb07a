"""Element maps: the counts of each line's window less those of two windows, half as wide, beside it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import Result, ResultVariable, write_result
from emdvc.render.picture import draw


def main(windows: Path, answer: Path) -> None:
    elements = YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))["elements"]
    opened, _ = open_lazy(windows)

    def counts(name: str) -> np.ndarray:
        array = opened.variable(name).array
        return array.read(tuple(slice(0, n) for n in array.shape)).astype(np.int64)

    maps = tuple(
        ResultVariable(
            element,
            ("y", "x"),
            counts(element) - counts(f"{element}_below") - counts(f"{element}_above"),
            "counts",
            title=f"{element} K line, net",
        )
        for element in elements
    )
    opened.close()
    axes = {dim: replace(axis) for dim, axis in opened.axes.items() if dim in ("y", "x")}
    provenance = {"script": "scripts/net_counts.py", "inputs": {windows.as_posix(): {}}}
    result = Result(maps, axes, provenance=provenance, title="net counts of each element")
    write_result(answer, result, source=windows, picture=draw(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
