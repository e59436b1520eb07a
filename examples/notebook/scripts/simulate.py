"""Simulates what the instrument would have written, and describes it beside, where that is not done yet."""

from __future__ import annotations

import sys
from pathlib import Path

from ruamel.yaml import YAML

from emdvc.formats import registry, sidecar
from emdvc.formats.contract import ReadOptions
from emdvc.formats.describe import describe
from emdvc.formats.digest import content_digest
from emdvc.testing.spectra import EdxPhantom
from emdvc.testing.write import write_zarr


def main(path: Path) -> None:
    said = YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))["simulate"]
    image = EdxPhantom(tuple(said["scan_shape"]), said["seed"])
    write_zarr(path, image, compressed=False)
    opened = registry.open_file(path)
    digests = {variable.name: content_digest(variable.array) for variable in opened.variables}
    found = describe(opened, options=ReadOptions(), files=[], digests=digests)
    opened.close()
    if not sidecar.path_of(path).exists():
        sidecar.write(path, found)
    elif sidecar.read(path).variables != found.variables:
        # the record in the sidecar holds corrections: it is never overwritten, but it must speak of these numbers
        sys.exit(f"{sidecar.path_of(path)} speaks of other data: remove it, and set its corrections again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
