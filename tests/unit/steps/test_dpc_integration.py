"""Integrated differential phase contrast against phases that are known in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.errors import EmdvcError
from emdvc.model.quantity import Quantity
from emdvc.steps.geometry import wavelength
from emdvc.steps.integration import integrate
from emdvc.steps.registry import find
from emdvc.steps.vector_field import Field

from .conftest import dataset
from .scan_maps import maps, outputs, reopened, result

Array = NDArray[np.float64]


def waves(shape: tuple[int, int], seed: int, whole: bool, number: int = 15) -> tuple[Array, Array, Array]:
    """Return a potential of random waves, at most 4 over the scan each way, its slope along y and along x."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    potential, down, right = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for _ in range(number):
        a, b = rng.integers(-4, 5, 2) if whole else rng.uniform(-4, 4, 2)
        phase, height = rng.uniform(0, 2 * np.pi), rng.normal()
        argument = 2 * np.pi * (a * y + b * x) + phase
        potential += height * np.cos(argument)
        down -= height * np.sin(argument) * 2 * np.pi * a / shape[0]
        right -= height * np.sin(argument) * 2 * np.pi * b / shape[1]
    return potential - potential.mean(), down, right


@settings(deadline=None, max_examples=25)
@given(st.integers(9, 40), st.integers(9, 40), st.integers(0, 1000))
def test_periodic_waves_come_back(ny: int, nx: int, seed: int) -> None:
    """Even and odd numbers of samples: the potential up to a constant, to rounding; all of the field is explained."""
    potential, down, right = waves((ny, nx), seed, whole=True)
    found = integrate(Field(down, right), "periodic")
    assert np.allclose(found.potential, potential, atol=1e-12)
    assert found.unexplained < 1e-12


def test_free_edges_need_no_repetition() -> None:
    """Waves that do not repeat: free edges meet them within 1e-3 to the corners, the periodic form cannot."""
    potential, down, right = waves((48, 40), 3, whole=False)
    free = integrate(Field(down, right), "free")
    assert np.abs(free.potential - potential).max() < 1e-3 * potential.std()
    assert free.unexplained < 1e-6
    periodic = integrate(Field(down, right), "periodic")
    assert np.abs(periodic.potential - potential).max() > 0.1 * potential.std()


@settings(deadline=None, max_examples=25)
@given(st.integers(6, 30), st.integers(6, 30), st.lists(st.integers(-3, 3), min_size=9, max_size=9))
def test_free_edges_are_exact_for_polynomials(ny: int, nx: int, numbers: list[int]) -> None:
    """A potential of third degree in y and in x, with unequal steps: to rounding."""
    steps = (0.5, 2.0)
    y, x = np.meshgrid(np.arange(ny) * steps[0], np.arange(nx) * steps[1], indexing="ij")
    powers = [(p, q) for p in range(4) for q in range(4) if 0 < p + q <= 3]
    terms = list(zip(numbers, powers, strict=True))
    potential = np.zeros((ny, nx)) + sum(c * y**p * x**q for c, (p, q) in terms)
    down = np.zeros((ny, nx)) + sum(c * p * y ** max(p - 1, 0) * x**q for c, (p, q) in terms)
    right = np.zeros((ny, nx)) + sum(c * q * y**p * x ** max(q - 1, 0) for c, (p, q) in terms)
    found = integrate(Field(down, right, steps), "free")
    size = max(1.0, np.abs(potential).max())
    assert np.allclose(found.potential, potential - potential.mean(), atol=1e-10 * size)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 5), (4, 2)])
@pytest.mark.parametrize("edges", ["free", "periodic"])
def test_small_scans(shape: tuple[int, int], edges: Any) -> None:
    """Fewer samples than the polynomial has: a constant slope is met by free edges; no field is not divided by."""
    y, x = np.meshgrid(*(np.arange(n) * 1.0 for n in shape), indexing="ij")
    slope = Field(np.full(shape, 2.0), np.full(shape, -3.0))
    found = integrate(slope, edges)
    if edges == "free":
        expected = 2 * y - 3 * x
        assert np.allclose(found.potential, expected - expected.mean(), atol=1e-13)
        assert found.unexplained < 1e-14
    else:
        assert np.allclose(found.potential, 0.0)
        assert found.unexplained == pytest.approx(1.0)
    nothing = integrate(Field(np.zeros(shape), np.zeros(shape)), edges)
    assert (nothing.potential == 0.0).all()
    assert nothing.unexplained == 0.0


@pytest.mark.parametrize(("edges", "low", "high"), [("free", 0.5, 0.65), ("periodic", 0.48, 0.52)])
def test_noise_is_half_explained(edges: Any, low: float, high: float) -> None:
    """Of white noise one component is a gradient, the other a curl; the means between free edges take a little more."""
    noise = np.random.default_rng(1).normal(size=(2, 64, 64))
    assert low < integrate(Field(noise[0], noise[1]), edges).unexplained < high


def test_a_curl_is_not_explained() -> None:
    """The slopes of a stream function, swapped and one reversed, have no divergence: nothing of them is a gradient."""
    _, down, right = waves((18, 21), 5, whole=True)
    found = integrate(Field(-right, down), "periodic")
    assert found.unexplained == pytest.approx(1.0, abs=1e-12)
    assert np.abs(found.potential).max() < 1e-12


def test_least_squares_of_the_periodic_form() -> None:
    """For any field no other potential of these waves has a nearer gradient: NumPy's least squares over all of them."""
    ny, nx = 5, 6
    down, right = np.random.default_rng(2).normal(size=(2, ny, nx))
    identity = np.eye(ny * nx).reshape(-1, ny, nx)
    # slopes of every unit potential, by Fourier transform; the shortest wave of an even side has none
    fy, fx = np.fft.fftfreq(ny) * 2 * np.pi, np.fft.fftfreq(nx) * 2 * np.pi
    fx[nx // 2] = 0.0
    spectra = np.fft.fft2(identity)
    matrix = np.concatenate(
        [
            np.fft.ifft2(1j * factor * spectra).real.reshape(ny * nx, -1).T
            for factor in (fy[:, None] + 0 * fx, fx + 0 * fy[:, None])
        ]
    )
    expected = np.linalg.lstsq(matrix, np.concatenate([down.ravel(), right.ravel()]), rcond=1e-10)[0].reshape(ny, nx)
    found = integrate(Field(down, right), "periodic").potential
    assert np.allclose(found, expected - expected.mean(), atol=1e-10)


@pytest.mark.parametrize("edges", ["free", "periodic"])
def test_high_pass(edges: str) -> None:
    """A wave of 12 probe positions under a high-pass of 20 keeps 1 / (1 + (12 / 20)^4) of its height (Butterworth)."""
    x = np.arange(48) + 0.5
    wave = np.cos(2 * np.pi * x / 12)[None, :] + np.zeros((6, 1))
    slope = -np.sin(2 * np.pi * x / 12)[None, :] * 2 * np.pi / 12 + np.zeros((6, 1))
    opened = maps({"deflection_y": np.zeros((6, 48)), "deflection_x": slope})
    found = outputs("idpc", opened, unit="px", edges=edges, high_pass="20px")["phase"].values
    assert np.allclose(found, wave / (1 + (12 / 20) ** 4), atol=3e-3)


def test_high_pass_in_nm_is_the_same() -> None:
    """20 probe positions of 0.3 nm are 6 nm, whatever the unit of the phase; below 0 there is no length."""
    rng = np.random.default_rng(4)
    arrays = {"deflection_y": rng.normal(size=(12, 16)), "deflection_x": rng.normal(size=(12, 16))}
    opened = maps(arrays, scan__step="0.3nm", diffraction__pixel_size="0.1/angstrom")
    for unit in ("px", "rad"):
        near = outputs("idpc", opened, unit=unit, high_pass="20px")["phase"].values
        assert np.allclose(near, outputs("idpc", opened, unit=unit, high_pass="6nm")["phase"].values, rtol=1e-10)
        assert not np.allclose(near, outputs("idpc", opened, unit=unit)["phase"].values, rtol=1e-3)
    step = find("idpc")
    with pytest.raises(ValueError, match="above 0"):
        step.Parameters(high_pass="-1nm")


def test_the_phase_does_not_depend_on_the_unit_of_the_deflection() -> None:
    """grad(phase) / 2 pi in px, 1/angstrom and mrad: one phase, in rad, the one that was put in."""
    potential, down, right = waves((24, 30), 7, whole=True)
    step, pixel = (2.0, 5.0), 0.01  # angstrom; 1/angstrom
    y, x = down / step[0] / (2 * math.pi), right / step[1] / (2 * math.pi)  # 1/angstrom
    theta = wavelength(Quantity(300, "keV")) * 1000
    record = {"scan__step": "0.2,0.5nm", "beam__energy": "300keV", "diffraction__pixel_size": "0.01/angstrom"}
    for unit, factor in (("1/angstrom", 1.0), ("px", 1 / pixel), ("mrad", theta)):
        opened = maps({"deflection_y": y * factor, "deflection_x": x * factor}, unit, **record)
        found = outputs("idpc", opened, edges="periodic")["phase"]
        assert found.unit == "rad"
        assert np.allclose(found.values, potential, atol=1e-12)


def thin_specimen(n: int, spacing: float, aperture: float) -> tuple[Array, Array, Array]:
    """Simulate a scan of a weak phase object, one probe position a sample, periodic.

    Returns
    -------
    phase
        Of the specimen, rad, shape (n, n).
    blurred
        The same, averaged over the intensity of the probe (what the centre of mass sees).
    patterns
        Intensities, shape (n, n, n, n), zero frequency at pixel n / 2; a pixel is 1 / (n spacing).
    """
    y, x = np.mgrid[0:n, 0:n] / n
    phase = 0.05 * ((1 + np.cos(4 * np.pi * y)) * (1 + np.cos(2 * np.pi * (x + 0.1))) + np.sin(2 * np.pi * (y + 2 * x)))
    frequency = np.fft.fftfreq(n, spacing)
    inside = frequency[:, None] ** 2 + frequency[None, :] ** 2 <= aperture**2
    probe = np.fft.ifft2(inside / np.sqrt(inside.sum())) * n
    patterns = np.empty((n, n, n, n))
    for i in range(n):
        for j in range(n):
            wave = np.roll(probe, (i, j), (0, 1)) * np.exp(1j * phase)
            patterns[i, j] = np.fft.fftshift(np.abs(np.fft.fft2(wave)) ** 2)
    weight = np.abs(probe) ** 2 / (np.abs(probe) ** 2).sum()
    blurred = np.fft.ifft2(np.fft.fft2(phase) * np.conj(np.fft.fft2(weight))).real
    return phase, blurred, patterns


def test_weak_phase_object() -> None:
    """From the patterns of a simulated scan to its phase, in rad, up to a constant.

    The centre of mass of a thin specimen's pattern is the gradient of its phase over 2 pi, averaged over the intensity
    of the probe (Lazic, Bosch and Lazar, Ultramicroscopy 160, 265 (2016)): the phase that comes back is the
    phase averaged in the same way. What is left, 1e-7 rad, is intensity scattered beyond the simulated frequencies.
    """
    n, spacing = 24, 0.4  # angstrom
    phase, blurred, patterns = thin_specimen(n, spacing, aperture=0.45)
    assert np.ptp(blurred) > 0.3 * np.ptp(phase)
    # a detector whose rows and columns are swapped against the scan
    opened = dataset(
        patterns.swapaxes(2, 3),
        "y x ky kx",
        beam__energy="200keV",
        diffraction__pixel_size=f"{1 / (n * spacing)!r}/angstrom",
        scan__step="0.04nm",
    )
    moments = reopened(result("center_of_mass", opened))
    found = result("dpc", moments, half_turn="atoms").own_record["diffraction"]
    assert found["flip"] is True
    assert found["rotation"]["value"] == pytest.approx(90.0, abs=0.5)
    for unit in ("mrad", "1/angstrom", "px"):
        deflected = reopened(result("dpc", moments, rotation=90, flip=True, unit=unit))
        periodic = outputs("idpc", deflected, edges="periodic")
        assert np.abs(periodic["phase"].values - (blurred - blurred.mean())).max() < 2e-7
        assert periodic["unexplained"].values < 1e-8
        free = outputs("idpc", deflected)["phase"].values
        assert np.abs(free - (blurred - blurred.mean())).max() < 2e-3 * np.ptp(blurred)


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({}, ("beam.energy", "diffraction.pixel_size", "scan.step")),
        ({"unit": "px"}, ()),
        ({"unit": "px", "high_pass": "20px"}, ()),
        ({"unit": "px", "high_pass": "20nm"}, ("scan.step",)),
    ],
)
def test_metadata_read(parameters: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Only what a setting needs is declared; the engine refuses any other key."""
    step = find("idpc")
    assert step.metadata(step.Parameters(**parameters)) == keys


FULL = {"scan__step": "1nm", "beam__energy": "200keV", "diffraction__pixel_size": "0.1/angstrom"}


@pytest.mark.parametrize(
    ("unit", "lacks", "changes", "parameters", "says"),
    [
        ("px", "scan__step", {}, {}, "scan.step"),
        ("px", "diffraction__pixel_size", {}, {}, "diffraction.pixel_size"),
        ("mrad", "beam__energy", {}, {}, "beam.energy"),
        ("px", "", {"diffraction__pixel_size": "0.1,0.2/angstrom"}, {}, "not square"),
        ("mrad", "", {}, {"unit": "px"}, "not in px"),
        ("counts", "", {}, {}, "no deflection"),
        ("px", "scan__step", {}, {"unit": "px", "high_pass": "3nm"}, "scan.step"),
    ],
)
def test_what_is_refused(unit: str, lacks: str, changes: dict[str, str], parameters: dict[str, Any], says: str) -> None:
    """A calibration that lacks, or a deflection in an unfitting unit, is one error that says so."""
    record = {key: value for key, value in {**FULL, **changes}.items() if key != lacks}
    opened = maps({"deflection_y": np.ones((4, 5)), "deflection_x": np.ones((4, 5))}, unit, **record)
    with pytest.raises(EmdvcError, match=says) as caught:
        outputs("idpc", opened, **parameters)
    assert caught.value.hint


def test_what_is_no_number_is_refused() -> None:
    """A NaN would spread over the whole phase."""
    hole = np.ones((4, 5))
    hole[1, 2] = np.nan
    with pytest.raises(EmdvcError, match="no number"):
        outputs("idpc", maps({"deflection_y": hole, "deflection_x": hole}), unit="px")
