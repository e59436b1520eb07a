"""py4DSTEM."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import py4DSTEM
from conversation import Case, Run, converse


def cube(case: Case, source: str, rows: int) -> Any:
    """Return a datacube."""
    return py4DSTEM.DataCube(case.counts(source, rows))


def total(case: Case, rows: int) -> Run:
    """Mean (times the number of patterns) and maximum of all patterns."""
    scan = cube(case, "scan", rows)
    count = scan.data.shape[0] * scan.data.shape[1]
    return lambda: {"sum": scan.get_dp_mean().data * count, "max": scan.get_dp_max().data}


def image(scan: Any, mask: Any) -> Any:
    """Return the sums over a mask."""
    return scan.get_virtual_image(mode="mask", geometry=mask, verbose=False).data


def detectors(case: Case, rows: int) -> Run:
    """Four virtual detectors."""
    scan, masks = cube(case, "scan", rows), case.images["masks"]
    return lambda: {f"detector_{index}": image(scan, mask) for index, mask in enumerate(masks)}


def mass(case: Case, rows: int) -> Run:
    """Centre of mass, from three virtual images."""
    scan = cube(case, "scan", rows)
    y, x = np.mgrid[: scan.data.shape[2], : scan.data.shape[3]]

    def run() -> dict[str, Any]:
        counts = image(scan, np.ones(y.shape))
        return {"com_y": image(scan, y) / counts, "com_x": image(scan, x) / counts}

    return run


def statistics(case: Case, rows: int) -> Any:
    """Return means and standard deviations over rings, from the polar transform of each pattern."""
    scan, middle = cube(case, "scan", rows), case.told["center"]
    scan.calibration.set_origin((middle, middle))
    polar = py4DSTEM.PolarDatacube(scan, qmin=0.5, qmax=case.told["rings"] + 0.5, qstep=1.0, n_annular=180)

    def run() -> Any:
        polar.calculate_radial_statistics(progress_bar=False)
        return np.asarray(polar.radial_all), np.asarray(polar.radial_all_std)

    return run


def profile(case: Case, rows: int) -> Run:
    """Radial profile."""
    run = statistics(case, rows)
    return lambda: {"profile": run()[0]}


def variance(case: Case, rows: int) -> Run:
    """Variance within rings: of interpolated values."""
    run = statistics(case, rows)

    def found() -> dict[str, Any]:
        mean, deviation = run()
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"variance": (deviation / mean) ** 2}

    return found


def disks(case: Case, rows: int, subpixel: str = "multicorr") -> Run:
    """Places of Bragg disks, by correlation with a synthetic probe; without the strain."""
    scan, radius = cube(case, "lattice", rows), case.told["disk"]
    shape = scan.data.shape[2:]
    probe = py4DSTEM.Probe.generate_synthetic_probe(radius=radius, width=1, Qshape=shape)
    kernel = probe.get_kernel(mode="sigmoid", origin=(shape[0] / 2, shape[1] / 2), radii=(radius, radius * 1.5))

    def run() -> dict[str, Any]:
        found = scan.find_Bragg_disks(
            template=getattr(kernel, "data", kernel),
            corrPower=1,
            sigma_cc=0,
            subpixel=subpixel,
            upsample_factor=16,
            minRelativeIntensity=0.02,
            minPeakSpacing=radius,
            edgeBoundary=int(radius),
            maxNumPeaks=70,
        )
        tables = [found.raw[at].data for at in np.ndindex(scan.data.shape[:2])]
        places = [np.concatenate([table[axis] for table in tables]) for axis in ("qx", "qy")]
        return {"count": [len(table) for table in tables], "peak_ky": places[0], "peak_kx": places[1]}

    return run


if __name__ == "__main__":
    converse(
        ("py4DSTEM",),
        {
            "sum": total,
            "detectors": detectors,
            "mass": mass,
            "profile": profile,
            "variance": variance,
            "disks": disks,
            "coarse": partial(disks, subpixel="poly"),
        },
    )
