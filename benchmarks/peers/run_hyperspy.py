"""HyperSpy with pyxem (diffraction) and exspy (spectra), and scikit-learn's principal components."""

from __future__ import annotations

import itertools
import os
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

import exspy
import hyperspy.api as hs
import numpy as np
import pyxem
from conversation import Case, Run, converse

hs.preferences.General.show_progressbar = False


def patterns(case: Case, source: str, rows: int) -> Any:
    """Return a diffraction signal; its axes count pixels from the middle of the first."""
    return pyxem.signals.Diffraction2D(case.counts(source, rows))


def total(case: Case, rows: int) -> Run:
    """Sum and maximum of all patterns."""
    signal = patterns(case, "scan", rows)
    axes = signal.axes_manager.navigation_axes
    return lambda: {"sum": signal.sum(axis=axes).data, "max": signal.max(axis=axes).data}


def detectors(case: Case, rows: int) -> Run:
    """Four virtual detectors, as regions of interest."""
    # half a pixel is added to the centre; no pixel's square lies within 0.5 of a border's: a row is saved from rounding
    signal, middle = patterns(case, "scan", rows), case.told["center"] - 0.5001
    borders = case.told["borders"]
    regions = [
        hs.roi.CircleROI(cx=middle, cy=middle, r=np.hypot(outer, 0.5), r_inner=inner)
        for inner, outer in itertools.pairwise(borders)
    ]
    return lambda: {f"detector_{i}": signal.get_integrated_intensity(r).data for i, r in enumerate(regions)}


def mass(case: Case, rows: int) -> Run:
    """Centre of mass."""
    signal = patterns(case, "scan", rows)
    height, width = signal.data.shape[2:]

    def run() -> dict[str, Any]:
        shifts = signal.get_direct_beam_position(method="center_of_mass", lazy_output=False).data
        return {"com_y": height / 2 - shifts[..., 1], "com_x": width / 2 - shifts[..., 0]}

    return run


def calibrated(case: Case, rows: int) -> Any:
    """Return the scan with its centre."""
    signal = patterns(case, "scan", rows)
    signal.calibration(center=(case.told["center"], case.told["center"]))
    return signal


def profile(case: Case, rows: int) -> Run:
    """Radial profile: pixels are split between rings."""
    signal, count = calibrated(case, rows), case.told["rings"]
    return lambda: {"profile": radial_mean(signal, count)}


def radial_mean(signal: Any, count: int) -> Any:
    """Return the means over rings."""
    return signal.get_azimuthal_integral1d(npt=count, radial_range=(0, count), mean=True).data


def variance(case: Case, rows: int) -> Run:
    """Variance within rings: from the profiles of the patterns and of their squares."""
    signal, count = calibrated(case, rows), case.told["rings"]

    def run() -> dict[str, Any]:
        squares = pyxem.signals.Diffraction2D(signal.data.astype(np.float32) ** 2)
        squares.calibration(center=(case.told["center"], case.told["center"]))
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"variance": radial_mean(squares, count) / radial_mean(signal, count) ** 2 - 1}

    return run


def rebin(case: Case, rows: int) -> Run:
    """Rebin by 2 x 2 x 2 x 2."""
    signal = patterns(case, "scan", rows)
    return lambda: {"counts": signal.rebin(scale=(2, 2, 2, 2)).data}


def disks(case: Case, rows: int) -> Run:
    """Places of Bragg disks: normalised correlation with a disk, maxima, then the centre of mass of each."""
    signal, radius = patterns(case, "lattice", rows), int(case.told["disk"])

    def run() -> dict[str, Any]:
        matched = signal.template_match_disk(disk_r=radius, subtract_min=False, lazy_output=False)
        found = matched.get_diffraction_vectors(
            method="local_max", threshold_abs=0.4, min_distance=radius, center=(0, 0)
        )
        refined = found.subpixel_refine(signal=matched, method="center-of-mass", square_size=radius // 2 * 2)
        tables = [refined.data[place] for place in np.ndindex(refined.data.shape)]
        places = np.concatenate([np.asarray(table)[:, :2] for table in tables])
        count = [len(table) for table in tables]
        return {"count": count, "peak_ky": places[:, 0], "peak_kx": places[:, 1]}

    return run


def spectra(case: Case, source: str, rows: int, kind: Any) -> Any:
    """Return a spectrum image of 32-bit floats with its energy axis."""
    told = case.told[source]
    signal = kind(case.counts(source, rows).astype(np.float32))
    axis = signal.axes_manager.signal_axes[0]
    axis.scale, axis.offset, axis.units, axis.name = told["dispersion"], told["offset"], "eV", "E"
    return signal


def background(case: Case, rows: int) -> Run:
    """Spectra less a power law, estimated from two areas (the fast way)."""
    signal, told = spectra(case, "eels", rows, exspy.signals.EELSSpectrum), case.told["eels"]

    def run() -> dict[str, Any]:
        found = subtracted(signal, told)
        return {"spectra": found.isig[told["fit_start"] :].data}

    return run


def subtracted(signal: Any, told: dict[str, float]) -> Any:
    """Return spectra less their background; the last channel of a range of energies is left out."""
    return signal.remove_background(
        signal_range=(told["fit_start"], told["fit_stop"]), background_type="Power law", fast=True, zero_fill=False
    )


def edge(case: Case, rows: int) -> Run:
    """Map of an edge above its background."""
    signal, told = spectra(case, "eels", rows, exspy.signals.EELSSpectrum), case.told["eels"]
    return lambda: {"C": subtracted(signal, told).isig[told["start"] : told["stop"]].sum(axis=-1).data}


def lines(case: Case, rows: int) -> Run:
    """Map X-ray lines less the background, from windows on both sides."""
    signal, told = spectra(case, "edx", rows, exspy.signals.EDSTEMSpectrum), case.told["edx"]
    axis = signal.axes_manager.signal_axes[0]
    axis.scale, axis.offset, axis.units = told["dispersion"] / 1000, told["offset"] / 1000, "keV"
    signal.set_microscope_parameters(beam_energy=200, energy_resolution_MnKa=told["resolution"])
    names = list(told["lines"])
    windows = np.array([told["lines"][name] for name in names]) / 1000

    def run() -> dict[str, Any]:
        found = signal.get_lines_intensity(names, integration_windows=2.0, background_windows=windows)
        return {name: image.data for name, image in zip(names, found, strict=True)}

    return run


def components(case: Case, rows: int) -> Run:
    """Principal components after Poisson scaling, with scikit-learn's randomised solver."""
    signal = spectra(case, "edx", rows, hs.signals.Signal1D)
    count = case.told["components"]

    def run() -> dict[str, Any]:
        signal.decomposition(
            normalize_poissonian_noise=True,
            algorithm="SVD",
            output_dimension=count,
            svd_solver="randomized",
            print_info=False,
        )
        return {"ratios": ratios(signal.learning_results.explained_variance[:count])}

    return run


def ratios(values: Any) -> Any:
    """Return variances relative to the first."""
    return np.asarray(values) / values[0]


if __name__ == "__main__":
    converse(
        ("hyperspy", "pyxem", "exspy", "scikit-learn"),
        {
            "sum": total,
            "detectors": detectors,
            "mass": mass,
            "profile": profile,
            "variance": variance,
            "rebin": rebin,
            "coarse": disks,
            "background": background,
            "edge": edge,
            "lines": lines,
            "components": components,
        },
    )
