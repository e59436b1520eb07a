"""Power-law backgrounds and elemental maps, on spectra whose truth is known."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.errors import Code, EmdvcError
from emdvc.formats.contract import Opened
from emdvc.formats.dataset import open_lazy
from emdvc.steps.registry import find
from emdvc.testing.spectra import EelsPhantom

from .conftest import dataset, run

METHODS = ["likelihood", "two_area", "log_fit"]
ENERGIES = 200.0 + 0.5 * np.arange(512)
CARBON = {"fit_start": "205eV", "fit_stop": "282eV", "start": "284eV", "stop": "350eV"}
SIGNAL = (ENERGIES >= 284.0) & (ENERGIES < 350.0)


def _power_law(counts_at_start: float, r: float) -> NDArray[np.float64]:
    law: NDArray[np.float64] = counts_at_start * (ENERGIES / 200.0) ** -r
    return law


def _edge(counts_at_onset: float) -> NDArray[np.float64]:
    edge: NDArray[np.float64] = np.where(ENERGIES < 284.0, 0.0, counts_at_onset * (ENERGIES / 284.0) ** -2.0)
    return edge


@cache
def _phantom(side: int = 12) -> tuple[Opened, EelsPhantom]:
    phantom = EelsPhantom(scan_shape=(side, side))
    counts = np.stack([phantom.row(y) for y in range(side)])
    return dataset(counts, "y x energy", energy=(phantom.offset, phantom.dispersion)), phantom


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("r", [1.5, 3.2, 5.0])
def test_a_noise_free_law_comes_back(method: str, r: float) -> None:
    """Without noise A, r and the extrapolated counts are exact in every method."""
    law = _power_law(1e4, r)
    found = run("elemental_map", dataset(law[None], "x energy", energy=(200, 0.5)), method=method, edges={"C": CARBON})
    assert found["C_r"].values[0] == pytest.approx(r, abs=1e-9)
    assert found["C_A"].values[0] == pytest.approx(1e4 * 200.0**r, rel=1e-8)
    assert abs(found["C"].values[0]) < 1e-8 * law[SIGNAL].sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_and_r_under_noise(method: str) -> None:
    """A and r of 400 noisy spectra, each within 1 % on the average, and spread as Poisson statistics say.

    The row "EELS background" of the validation table. sigma(r) = 1 / (sqrt(n) s), s the deviation of ln E; ln A errs
    by ln(E) times as much, with E the middle of the window.
    """
    counts = np.random.default_rng(7).poisson(_power_law(2e5, 3.2), (400, 512)).astype("u4")
    found = run("elemental_map", dataset(counts, "x energy", energy=(200, 0.5)), method=method, edges={"C": CARBON})
    r, a = found["C_r"].values, found["C_A"].values
    fitted = (ENERGIES >= 205.0) & (ENERGIES < 282.0)
    law, x = _power_law(2e5, 3.2)[fitted], np.log(ENERGIES[fitted])
    sigma = 1.0 / math.sqrt(law.sum() * (np.average(x * x, weights=law) - np.average(x, weights=law) ** 2))
    assert r.mean() == pytest.approx(3.2, abs=4 * sigma / 20 * 1.2)
    assert a.mean() / (2e5 * 200.0**3.2) == pytest.approx(1.0, abs=0.01)
    assert r.mean() / 3.2 == pytest.approx(1.0, abs=0.01)
    # 400 draws: the deviation itself is known to 3.5 %
    assert r.std() == pytest.approx(sigma * {"likelihood": 1.0, "two_area": 1.15, "log_fit": 1.02}[method], rel=0.12)


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_edge(method: str) -> None:
    """The counts of an edge over a power law come back within 1 % (row "EELS background" of the validation table)."""
    counts = np.random.default_rng(8).poisson(_power_law(2e4, 3.2) + _edge(6e3), (200, 512)).astype("u4")
    found = run("elemental_map", dataset(counts, "x energy", energy=(200, 0.5)), method=method, edges={"C": CARBON})
    assert found["C"].values.mean() == pytest.approx(_edge(6e3)[SIGNAL].sum(), rel=0.01)


@pytest.mark.parametrize("method", ["likelihood", "two_area"])
def test_the_edge_of_the_phantom(method: str) -> None:
    """40 counts a channel and less: the planted carbon within 1 % over the disk, none outside of it."""
    opened, phantom = _phantom(48)
    maps = run("elemental_map", opened, method=method, edges={"C": CARBON})
    planted = phantom.abundances()["C"] * phantom.components()["C"][SIGNAL].sum()
    inside, outside = planted > 0, planted == 0
    carbon = maps["C"].values
    assert carbon[inside].sum() == pytest.approx(planted[inside].sum(), rel=0.01)
    assert abs(carbon[outside].mean()) < 4 * carbon[outside].std() / math.sqrt(outside.sum())
    assert maps["C_r"].values.mean() == pytest.approx(3.0, rel=0.01)


def test_logarithms_of_few_counts_are_biased() -> None:
    """What the documentation says: at 5 counts a channel the logarithmic fit is off by percents, the others are not."""
    counts = np.random.default_rng(9).poisson(_power_law(5.0, 3.0), (3000, 512)).astype("u2")
    opened = dataset(counts, "x energy", energy=(200, 0.5))
    mean = {
        method: run("elemental_map", opened, method=method, edges={"C": CARBON})["C_r"].values.mean()
        for method in METHODS
    }
    assert mean["likelihood"] == pytest.approx(3.0, abs=0.05)
    assert mean["two_area"] == pytest.approx(3.0, abs=0.05)
    assert abs(mean["log_fit"] - 3.0) > 0.3


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.5, 6.0), st.floats(3.0, 3000.0))
def test_what_the_fits_solve(seed: int, r: float, height: float) -> None:
    """The likeliest law has the spectrum's sum and its sum of N ln E; that of two areas has the sums of both halves."""
    counts = np.random.default_rng(seed).poisson(_power_law(height, r), (3, 512)).astype("u4")
    opened = dataset(counts, "x energy", energy=(200, 0.5))
    fitted = (ENERGIES >= 205.0) & (ENERGIES < 282.0)
    energies, rows = ENERGIES[fitted], counts[:, fitted].astype("f8")
    for method in METHODS[:2]:
        found = run("elemental_map", opened, method=method, r_min=-20.0, r_max=25.0, edges={"C": CARBON})
        law = found["C_A"].values[:, None] * energies ** -found["C_r"].values[:, None]
        if method == "likelihood":
            x = np.log(energies / energies[0])
            assert np.allclose(law.sum(axis=1), rows.sum(axis=1), rtol=1e-8)
            assert np.allclose(law @ x, rows @ x, rtol=1e-5)  # whole-number weights of ln E: 16 bits
        else:
            for half in (slice(0, energies.size // 2), slice(energies.size // 2, None)):
                assert np.allclose(law[:, half].sum(axis=1), rows[:, half].sum(axis=1), rtol=1e-8)


def test_several_edges_may_overlap() -> None:
    """Each edge's maps are those of the edge alone."""
    opened, _ = _phantom()
    other = {"fit_start": "220eV", "fit_stop": "270eV", "start": "300eV", "stop": "400eV"}
    both = run("elemental_map", opened, edges={"C": CARBON, "late": other})
    for name, edge in (("C", CARBON), ("late", other)):
        alone = run("elemental_map", opened, edges={name: edge})
        for output, variable in alone.items():
            assert both[output].values.tobytes() == variable.values.tobytes()


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine cut small data into many blocks."""
    monkeypatch.setattr("emdvc.engine.blocks.SMALL_ENOUGH", 1 << 16)
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 15)


@pytest.mark.parametrize("method", METHODS)
def test_any_number_of_threads_gives_the_same_bytes(many_blocks: None, method: str) -> None:
    opened, _ = _phantom()
    for step, parameters in (
        ("elemental_map", {"edges": {"C": CARBON}}),
        ("power_law_background", {"fit_start": "205eV", "fit_stop": "282eV"}),
    ):
        one, two = (run(step, opened, threads=n, method=method, **parameters) for n in (1, 2))
        for name, variable in one.items():
            assert variable.values.tobytes() == two[name].values.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_subtracted_spectra_agree_with_the_map(method: str) -> None:
    """The spectra less their law, summed over the edge's window, are the elemental map."""
    opened, _ = _phantom()
    maps = run("elemental_map", opened, method=method, edges={"C": CARBON})
    found = run("power_law_background", opened, method=method, fit_start="205eV", fit_stop="282eV")
    assert found["A"].values.tobytes() == maps["C_A"].values.tobytes()
    assert found["r"].values.tobytes() == maps["C_r"].values.tobytes()
    spectra = found["spectra"]
    assert spectra.dims == ("y", "x", "energy")
    assert spectra.values.dtype == np.float32
    kept = ENERGIES[ENERGIES >= 205.0]
    assert spectra.values.shape[-1] == kept.size
    window = (kept >= 284.0) & (kept < 350.0)
    assert np.allclose(spectra.values[..., window].sum(axis=-1, dtype="f8"), maps["C"].values, atol=1e-3)


def test_the_axis_of_subtracted_spectra() -> None:
    """It starts at the first channel that is kept, in eV, and the maps alone have none."""
    from emdvc.engine.run import run_step

    step = find("power_law_background")
    counts = np.full((2, 512), 100, np.uint16)
    chosen = step.Parameters(fit_start="205eV", fit_stop="0.28keV", start="270.2eV", stop="300eV")
    axis = run_step(step, chosen, dataset(counts, "x energy", energy=(200, 0.5)), name="scan").axes["energy"]
    assert (axis.size, axis.unit, axis.extent()) == (59, "eV", (270.5, 299.5))
    maps = run(
        "power_law_background",
        dataset(counts, "x energy", energy=(200, 0.5)),
        fit_start="205eV",
        fit_stop="280eV",
        spectra=False,
    )
    assert list(maps) == ["A", "r"]


@pytest.mark.parametrize("method", METHODS)
def test_spectra_without_a_law(method: str) -> None:
    """No counts: nothing is subtracted. Rising counts: the smallest exponent that is allowed, with their sum kept."""
    rising = np.arange(512) + 1
    counts = np.stack([np.zeros(512, int), np.where(ENERGIES < 283.0, 0, 7), rising]).astype("u2")
    opened = dataset(counts, "x energy", energy=(200, 0.5))
    found = run("elemental_map", opened, method=method, edges={"C": CARBON})
    assert np.isnan(found["C_r"].values[:2]).all()
    assert found["C_A"].values[:2].tolist() == [0.0, 0.0]
    assert found["C"].values[:2].tolist() == [0.0, 7.0 * SIGNAL.sum()]
    assert found["C_r"].values[2] == 0.0
    fitted = (ENERGIES >= 205.0) & (ENERGIES < 282.0)
    flat = np.exp(np.log(rising[fitted].astype("f8")).mean()) if method == "log_fit" else rising[fitted].mean()
    assert found["C_A"].values[2] == pytest.approx(flat, rel=1e-12)
    spectra = run("power_law_background", opened, method=method, fit_start="205eV", fit_stop="282eV")["spectra"].values
    assert (spectra[:2] == counts[:2, ENERGIES >= 205.0]).all()


def test_negative_sums_have_no_law() -> None:
    """Dark-subtracted spectra whose counts cancel are left as they are, without a warning."""
    counts = np.where(np.arange(512) % 2, -6, 4).astype("i2")[None]
    for method in METHODS[:2]:
        found = run(
            "elemental_map",
            dataset(counts, "x energy", energy=(200, 0.5)),
            negative="allow",
            method=method,
            edges={"C": CARBON},
        )
        assert np.isnan(found["C_r"].values[0])
        assert found["C"].values[0] == counts[0, SIGNAL].sum()


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["u1", "u2", "u4", "i4", "f4", "f8"]), st.sampled_from(METHODS), st.integers(0, 2**31))
def test_types_agree(kind: str, method: str, seed: int) -> None:
    """The same counts in any type give the same maps."""
    counts = np.random.default_rng(seed).poisson(_power_law(50.0, 3.0), (5, 512))
    maps = [
        run(
            "elemental_map",
            dataset(counts.astype(one), "x energy", energy=(200, 0.5)),
            method=method,
            edges={"C": CARBON},
        )
        for one in ("u2", kind)
    ]
    for name, variable in maps[0].items():
        assert variable.values.tobytes() == maps[1][name].values.tobytes()


@pytest.mark.parametrize(
    ("energy", "edge", "code", "says"),
    [
        (None, CARBON, Code.METADATA_MISSING, "axes.energy.scale"),
        ((-30.0, 0.5), {**CARBON, "fit_start": "-10eV", "fit_stop": "50eV"}, Code.STEP_PARAMETER, "positive"),
        ((200.0, 0.5), {**CARBON, "fit_start": "281eV"}, Code.STEP_PARAMETER, "holds 2 channels, and needs 4"),
        ((200.0, 0.5), {**CARBON, "start": "800eV", "stop": "900eV"}, Code.STEP_PARAMETER, "holds no channel"),
        ((200.0, -0.5), CARBON, Code.STEP_DIMENSIONS, "do not ascend"),
    ],
)
def test_what_is_refused(energy: Any, edge: dict[str, str], code: Code, says: str) -> None:
    opened = dataset(np.ones((2, 512), "u2"), "x energy", energy=energy)
    with pytest.raises(EmdvcError) as caught:
        run("elemental_map", opened, edges={"C": edge})
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("step", "parameters", "says"),
    [
        ("elemental_map", {"edges": {}}, "at least one edge"),
        ("elemental_map", {"edges": {"C": {**CARBON, "fit_stop": "290eV"}}}, "must ascend"),
        ("elemental_map", {"edges": {"C": CARBON, "C_A": CARBON}}, "one name"),
        ("elemental_map", {"edges": {"C": CARBON}, "r_min": 5.0, "r_max": 2.0}, "below r_max"),
        ("elemental_map", {"edges": {"C": CARBON}, "method": "magic"}, "method"),
        ("power_law_background", {"fit_start": "300eV", "fit_stop": "200eV"}, "empty"),
        ("power_law_background", {"fit_start": "3 nm", "fit_stop": "200eV"}, "eV"),
    ],
)
def test_bad_parameters(step: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        find(step).Parameters(**parameters)


def test_metadata_read() -> None:
    for name, parameters in (
        ("elemental_map", {"edges": {"C": CARBON}}),
        ("power_law_background", {"fit_start": "1eV", "fit_stop": "2eV"}),
    ):
        step = find(name)
        assert step.metadata(step.Parameters(**parameters)) == ("axes.energy",)


def test_measured_spectra_against_a_plain_fit(realdata: Path) -> None:
    """Spectra of 350 to 862 eV of a silicon specimen: the logarithmic fit is numpy.polyfit's, one by one."""
    pytest.importorskip("rsciio")
    opened, _ = open_lazy(realdata / "eels_si_49x6x1024.dm3")
    try:
        variable = opened.variable(None)
        counts = variable.array.read(tuple(slice(0, n) for n in variable.array.shape))[:8].copy()
    finally:
        opened.close()
    energies = 350.0 + 0.5 * np.arange(1024)
    oxygen = {"fit_start": "480eV", "fit_stop": "525eV", "start": "530eV", "stop": "570eV"}
    fitted, signal = (energies >= 480) & (energies < 525), (energies >= 530) & (energies < 570)
    found = run(
        "elemental_map", dataset(counts, "y x energy", energy=(350, 0.5)), method="log_fit", edges={"O": oxygen}
    )
    for index in np.ndindex(counts.shape[:2]):
        spectrum = counts[index].astype("f8")
        slope, height = np.polyfit(np.log(energies[fitted]), np.log(spectrum[fitted]), 1)
        assert found["O_r"].values[index] == pytest.approx(-slope, abs=1e-6)
        background = np.exp(height + slope * np.log(energies[signal]))
        assert found["O"].values[index] == pytest.approx(
            (spectrum[signal] - background).sum(), abs=1e-4 * background.sum()
        )
