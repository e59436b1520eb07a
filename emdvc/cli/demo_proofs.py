"""What the demo measures to hold emdvc to its word."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from emdvc.errors import InternalError


def require(held: bool, promise: str, evidence: str) -> None:
    """Stop when a promise was not kept.

    Raises
    ------
    InternalError
        It was not.
    """
    if not held:
        raise InternalError(f"a promise was not kept: {promise}", evidence=evidence or None, hint="please report it")


def fingerprints(project: Path, stages: Iterable[str]) -> dict[str, str]:
    """Return the MD5 of all bytes of each stage's output, read from the disk: names and contents of its files."""
    found = {}
    for stage in stages:
        store = project / "results" / f"{stage}.zarr"
        digest = hashlib.md5(usedforsecurity=False)
        for file in sorted(path for path in store.rglob("*") if path.is_file()):
            digest.update(file.relative_to(store).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
        found[f"results/{stage}.zarr"] = digest.hexdigest()
    return found


def pixel_size_by_gold(profile: Path) -> float:
    """Return the size of a detector pixel by gold's ring (311), as the simulated film shows it.

    The last three rows of the simulated scan hold film only. The ring is the brightest beyond 30 px; its radius is the
    centre of mass of the peak above the straight line between its ends.

    Parameters
    ----------
    profile
        Result of ``radial_profile`` with k in px.

    Returns
    -------
    float
        Size of a pixel, in 1/angstrom.
    """
    import numpy as np

    from emdvc.formats.dataset import open_dataset
    from emdvc.testing.phantoms import GOLD

    with open_dataset(profile) as results:
        film = results["profile"][-3:].mean(("y", "x")).values
        radius = results["k"].values
    outside = radius > 30
    ring = int(np.flatnonzero(outside)[0]) + int(np.argmax(film[outside]))
    peak, at = film[ring - 3 : ring + 4], radius[ring - 3 : ring + 4]
    above = np.maximum(peak - np.interp(at, at[[0, -1]], peak[[0, -1]]), 0.0)
    return float(np.sqrt(11.0)) / GOLD / float((above * at).sum() / above.sum())
