"""How a peer is asked: a request a line on standard input, an answer a line on standard output.

Runs in the peer's own environment: needs Python and NumPy alone.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], dict[str, Any]]


class Case:
    """What is measured: the counts, the images of the detector, and the numbers of ``case.json``."""

    def __init__(self, path: str) -> None:
        self.told = json.loads(Path(path).read_text(encoding="utf-8"))
        with np.load(self.told["images"]) as images:
            self.images = {name: images[name] for name in images.files}
        self._counts: dict[str, Any] = {}

    def counts(self, name: str, rows: int) -> Any:
        """Return some rows of a dataset, in memory; one dataset is held at a time."""
        if name not in self._counts:
            self._counts = {name: np.load(self.told["paths"][name])}
        return self._counts[name][:rows]

    def rings(self) -> Any:
        """Return a mask for each ring, shape (rings, ky, kx)."""
        return np.stack([self.images["labels"] == ring for ring in range(self.told["rings"])])


def converse(packages: tuple[str, ...], operations: dict[str, Callable[[Case, int], Run]]) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    packages
        Names of the distributions whose versions are told.
    operations
        What makes an operation ready for some rows, by name; only what it returns is timed.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints goes elsewhere
    case = Case(sys.argv[1])
    versions = {package: importlib.metadata.version(package) for package in packages}
    print(json.dumps({"versions": versions, "operations": sorted(operations)}), file=answers, flush=True)
    ready: tuple[Any, Run | None] = (None, None)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            wanted = (request["operation"], request["rows"])
            if ready[0] != wanted:
                ready = (None, None)  # the memory of the one before is free before the next is made
                ready = (wanted, operations[wanted[0]](case, wanted[1]))
            assert ready[1] is not None
            start = time.perf_counter()
            found = ready[1]()
            seconds = time.perf_counter() - start
            if request.get("save"):
                np.savez(request["save"], **{name: np.asarray(values) for name, values in found.items()})
            answer = {"seconds": seconds}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=answers, flush=True)
