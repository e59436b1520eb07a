"""The best NumPy form of each operation: products of blocks of frames with a matrix of masks, in 32-bit floats.

These beat the packages on several operations, and anyone can write them: so they are peers too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data

Results = dict[str, NDArray[Any]]
#: Channels of a window of energies (start, stop).
Window = tuple[int, int]


def forms() -> dict[str, Callable[[NDArray[Any]], data.Operation]]:
    """Return what makes each operation ready for counts, by name."""
    return {
        "sum": lambda counts: lambda: _sum(counts),
        "detectors": _detectors,
        "mass": _mass,
        "profile": _profile,
        "variance": _variance,
        "pass": _pass,
        "rebin": lambda counts: lambda: _rebin(counts),
        "correct": _correct,
        "background": lambda counts: lambda: _background(counts),
        "edge": lambda counts: lambda: _edge(counts),
        "lines": lambda counts: lambda: _lines(counts),
        "components": lambda counts: lambda: _components(counts),
    }


def _flat(masks: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(masks.reshape(len(masks), -1).T, dtype=np.float32)


def _rings() -> NDArray[np.bool_]:
    return np.stack([data.ring_labels() == ring for ring in range(data.RINGS)])


def _moments() -> NDArray[np.int64]:
    y, x = np.mgrid[: data.DETECTOR, : data.DETECTOR]
    return np.stack([np.ones_like(y), y, x])


def _products(counts: NDArray[Any], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    found = np.concatenate([block.astype(np.float32) @ weights for block in data.blocks(counts)])
    return found.reshape(*counts.shape[:2], -1)


def _sum(counts: NDArray[Any]) -> Results:
    total = np.zeros(counts[0, 0].size, np.uint64)
    largest = np.zeros(counts[0, 0].size, counts.dtype)
    for block in data.blocks(counts, 64):  # as much as a processor's cache holds: both sums read it from there
        total += block.sum(axis=0, dtype=np.uint32)
        np.maximum(largest, block.max(axis=0), out=largest)
    shape = counts.shape[2:]
    return {"sum": total.reshape(shape), "max": largest.reshape(shape)}


def _detectors(counts: NDArray[Any]) -> data.Operation:
    weights = _flat(data.masks())
    return lambda: {f"detector_{i}": image for i, image in enumerate(np.moveaxis(_products(counts, weights), -1, 0))}


def _mass(counts: NDArray[Any]) -> data.Operation:
    weights = _flat(_moments())

    def found() -> Results:
        total, y, x = np.moveaxis(_products(counts, weights), -1, 0)
        return {"com_y": y / total, "com_x": x / total}

    return found


def _profile(counts: NDArray[Any]) -> data.Operation:
    rings = _rings()
    weights = _flat(rings / rings.sum(axis=(1, 2), keepdims=True))
    return lambda: {"profile": _products(counts, weights)}


def _variance(counts: NDArray[Any]) -> data.Operation:
    weights = _flat(_rings())
    pixels = weights.sum(axis=0)

    def found() -> Results:
        parts = []
        for block in data.blocks(counts):
            values = block.astype(np.float32)
            sums = values @ weights
            np.multiply(values, values, out=values)
            with np.errstate(invalid="ignore", divide="ignore"):  # a ring without counts has none
                parts.append((values @ weights) * pixels / (sums * sums) - 1)
        return {"variance": np.concatenate(parts).reshape(*counts.shape[:2], -1)}

    return found


def _pass(counts: NDArray[Any]) -> data.Operation:
    weights = np.concatenate([_flat(data.masks()), _flat(_moments()), _flat(_rings())], axis=1)

    def found() -> Results:
        total = np.zeros(counts[0, 0].size, np.uint64)
        largest = np.zeros(counts[0, 0].size, counts.dtype)
        for block in data.blocks(counts):
            total += block.sum(axis=0, dtype=np.uint32)
            np.maximum(largest, block.max(axis=0), out=largest)
        products = _products(counts, weights)
        detectors = {f"detector_{index}": products[..., index] for index in range(4)}
        mass = {"com_y": products[..., 5] / products[..., 4], "com_x": products[..., 6] / products[..., 4]}
        shape = counts.shape[2:]
        profile = products[..., 7:] / weights[:, 7:].sum(axis=0)
        return {**detectors, **mass, "profile": profile, "sum": total.reshape(shape), "max": largest.reshape(shape)}

    return found


def _rebin(counts: NDArray[Any]) -> Results:
    # neighbours are added as slices: several times as fast as a sum over short axes of a reshaped array
    found = []
    for top, bottom in zip(counts[::2], counts[1::2], strict=True):
        pair = top.astype(np.uint32) + bottom
        joined = pair[::2] + pair[1::2]
        rows = joined[:, ::2] + joined[:, 1::2]
        found.append(rows[:, :, ::2] + rows[:, :, 1::2])
    return {"counts": np.stack(found)}


def _correct(counts: NDArray[Any]) -> data.Operation:
    images = data.correction()
    dark, gain = (images[name].reshape(-1).astype(np.float32) for name in ("dark", "gain"))
    width = data.DETECTOR
    at = np.flatnonzero(images["bad"])
    around = np.stack([at + dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)])

    def found() -> Results:
        total = np.zeros(counts[0, 0].size)
        for block in data.blocks(counts):
            values = (block - dark) * gain
            values[:, at] = values[:, around].mean(axis=1)
            total += values.sum(axis=0, dtype=np.float64)
        return {"sum": total.reshape(counts.shape[2:])}

    return found


def _channels(start: float, stop: float, offset: float, dispersion: float) -> slice:
    first, last = (int(np.ceil((edge - offset) / dispersion)) for edge in (start, stop))
    return slice(first, last)


def _law(counts: NDArray[Any], energies: NDArray[Any], window: slice) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the exponent and A of each spectrum, by Egerton's two areas: closed, and without a loop."""
    middle = (window.start + window.stop) // 2
    low = counts[..., window.start : middle].sum(axis=-1, dtype=np.float64)
    high = counts[..., middle : window.stop].sum(axis=-1, dtype=np.float64)
    step = energies[1] - energies[0]
    first, last = (energies[index] - step / 2 for index in (window.start, window.stop))
    r = 2 * np.log(low / high) / np.log(last / first)
    a = (1 - r) * (low + high) * step / (last ** (1 - r) - first ** (1 - r))
    return r, a


def _eels_energies(counts: NDArray[Any]) -> NDArray[Any]:
    from emdvc.testing.spectra import EelsPhantom

    return EelsPhantom.offset + EelsPhantom.dispersion * np.arange(counts.shape[-1])


def _window(start: str, stop: str) -> slice:
    from emdvc.testing.spectra import EelsPhantom

    return _channels(data.EELS[start], data.EELS[stop], EelsPhantom.offset, EelsPhantom.dispersion)


def _background(counts: NDArray[Any]) -> Results:
    energies, fit = _eels_energies(counts), _window("fit_start", "fit_stop")
    r, a = _law(counts, energies, fit)
    logs = np.log(energies[fit.start :]).astype(np.float32)
    found = np.empty((*counts.shape[:2], logs.size), np.float32)
    for row, (exponent, height) in enumerate(zip(r.astype(np.float32), np.log(a).astype(np.float32), strict=True)):
        np.exp(height[:, None] - exponent[:, None] * logs, out=found[row])
        np.subtract(counts[row, :, fit.start :], found[row], out=found[row])
    return {"spectra": found, "r": r}


def _edge(counts: NDArray[Any]) -> Results:
    energies, fit, signal = _eels_energies(counts), _window("fit_start", "fit_stop"), _window("start", "stop")
    r, a = _law(counts, energies, fit)
    step = energies[1] - energies[0]
    first, last = energies[signal.start] - step / 2, energies[signal.stop] - step / 2
    below = a / step * (last ** (1 - r) - first ** (1 - r)) / (1 - r)
    return {"C": counts[..., signal].sum(axis=-1, dtype=np.float64) - below, "C_r": r}


def _lines(counts: NDArray[Any]) -> Results:
    from emdvc.steps.xray_lines import line_energy
    from emdvc.testing.spectra import EdxPhantom

    flat = counts.reshape(-1, counts.shape[-1])
    step, found = EdxPhantom.dispersion, {}
    for line, edges in data.EDX.items():
        energy = line_energy(line)
        half = np.sqrt(data.RESOLUTION**2 + 2.5 * (energy - 5898.7))
        ends = [round(float(edge) / step) for edge in (energy - half, energy + half, *edges)]
        window, left, right = (slice(*ends[at : at + 2]) for at in (0, 2, 4))
        parts = [flat[:, part].sum(axis=1, dtype=np.uint32).astype(np.float64) for part in (window, left, right)]
        middles = [(part.start + part.stop - 1) / 2 for part in (window, left, right)]
        share = (middles[0] - middles[1]) / (middles[2] - middles[1])
        size = window.stop - window.start
        below = size * (
            (1 - share) * parts[1] / (left.stop - left.start) + share * parts[2] / (right.stop - right.start)
        )
        found[line] = (parts[0] - below).reshape(counts.shape[:2])
    return found


def _components(counts: NDArray[Any]) -> Results:
    spectra = counts.reshape(-1, counts.shape[-1]).astype(np.float32)
    total, mean = spectra.sum(axis=1), spectra.mean(axis=0)
    weights = np.where(mean > 0, 1 / np.sqrt(np.maximum(mean, 1e-30)), 0).astype(np.float32)
    scaled = spectra * weights / np.sqrt(total)[:, None]
    values, vectors = np.linalg.eigh((scaled.T @ scaled).astype(np.float64))
    chosen = vectors[:, : -data.COMPONENTS - 1 : -1].astype(np.float32)
    scores = scaled @ chosen
    return {"ratios": values[: -data.COMPONENTS - 1 : -1] / values[-1], "scores": scores}
