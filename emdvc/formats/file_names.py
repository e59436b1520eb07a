"""The names of the files that stand beside a dataset; apart, because some commands need nothing else of the formats."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

#: Ending of a sidecar: ``X.em.yaml`` describes ``X``.
SUFFIX = ".em.yaml"


def picture_path(path: Path) -> Path:
    """Return where the picture of a result lies: ``vdet.zarr`` has ``vdet.png``."""
    return path.with_suffix(".png")


def inherited_path(path: PurePosixPath, inherits: str) -> PurePosixPath:
    """Return the path of the sidecar that another one, at `path`, inherits from."""
    return PurePosixPath(os.path.normpath(path.parent / (inherits + SUFFIX)).replace(os.sep, "/"))
