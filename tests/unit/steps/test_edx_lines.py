"""X-ray lines by name: their energies, their windows, and the counts of a measured spectrum image."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from emdvc.errors import Code, EmdvcError, StepError
from emdvc.formats.contract import Opened
from emdvc.steps.registry import find
from emdvc.steps.xray_lines import line_energy, lines
from emdvc.testing.spectra import EdxPhantom

from .conftest import dataset, run


def test_lines_of_a_measured_image(realdata: Path) -> None:
    """O Ka and Si Ka with windows of two FWHM: the counts that exspy 0.3.2's get_lines_intensity gives, exactly."""
    with h5py.File(realdata / "SiO2_EDS_Spectrum_Image.hspy") as file:
        counts = file["Experiments/EDS Spectrum Image/data"][...]
        scale = float(file["Experiments/EDS Spectrum Image/axis-2"].attrs["scale"]) * 1000
    assert int(counts.sum()) == 823_049
    opened = dataset(counts, "y x energy", energy=(0.0, scale), eds__energy_resolution="130eV")
    maps = run("line_intensity", opened, threads=2, lines="O_Ka,Si_Ka", width=2)
    assert int(maps["O_Ka"].values.sum()) == 170_999
    assert int(maps["Si_Ka"].values.sum()) == 246_289
    assert maps["Si_Ka"].values.dtype.kind == "u"


@pytest.mark.parametrize(
    ("line", "energy", "tolerance"),
    [
        # Bearden, Rev. Mod. Phys. 39, 78 (1967), and the X-ray data booklet's table 1-2 (LBNL)
        ("C_Ka", 277.0, 1.0),
        ("O_Ka", 524.9, 0.1),
        ("Al_Ka", 1486.7, 0.5),
        ("Si_Ka", 1739.98, 0.5),
        ("Ti_Ka", 4510.84, 0.5),
        ("Mn_Ka", 5898.75, 0.5),
        ("Fe_Kb", 7057.98, 0.5),
        ("Cu_Ka", 8047.78, 0.5),
        ("Cu_La", 929.7, 0.5),
        ("Mo_Ka", 17479.34, 0.5),
        ("Ag_La", 2984.31, 0.5),
        ("Au_La", 9713.3, 0.5),
        ("Au_Ma", 2122.9, 2.0),
        ("Pb_Lb1", 12613.7, 1.0),
        ("U_Ma", 3170.8, 0.5),
    ],
)
def test_energies_of_lines(line: str, energy: float, tolerance: float) -> None:
    assert line_energy(line) == pytest.approx(energy, abs=tolerance)


def test_energies_rise_with_the_atomic_number() -> None:
    """Moseley: a line's energy grows from element to element, and so do those of one element's shells."""
    table = lines()
    assert len(table) == 92  # Be to Am
    for name in ("Ka", "Kb", "La", "Lb1", "Lb2", "Lg1", "Ma", "Mb", "Mg"):
        energies = [element[name] for element in table.values() if name in element]
        assert all(np.diff(energies) > 0), name
        assert len(energies) > 35
    for element in table.values():
        shells = [element[name] for name in ("Ma", "La", "Ka") if name in element]
        assert shells == sorted(shells)


@cache
def _phantom() -> tuple[Opened, EdxPhantom]:
    phantom = EdxPhantom(scan_shape=(32, 32))
    counts = np.stack([phantom.row(y) for y in range(32)])
    return dataset(counts, "y x energy", energy=(0, 10), eds__energy_resolution="130eV"), phantom


def test_counts_of_the_phantom() -> None:
    """Planted lines of known counts over a falling background: with the background subtracted they come back.

    A window of two FWHM holds erf(2 sqrt(ln 2)) = 98.15 % of a Gaussian line (less the rounding to channels).
    """
    opened, phantom = _phantom()
    maps = run("line_intensity", opened, lines="Si_Ka,O_Ka,Cu_Ka", background=True, background_distance=1.5)
    held = math.erf(2 * math.sqrt(math.log(2)))
    abundances = phantom.abundances()
    for name, counts in (("Si", 90.0), ("O", 60.0), ("Cu", 70.0)):
        planted = counts * held * abundances[name].sum()
        found = maps[f"{name}_Ka"].values
        noise = math.sqrt((maps[f"{name}_Ka_sigma"].values ** 2).sum())
        assert found.sum() == pytest.approx(planted, abs=4 * noise + 0.02 * planted), name
        assert noise < 0.02 * planted
        assert maps[f"{name}_Ka"].signed
        # and where there is none of it, there is none
        absent = abundances[name] == 0
        assert abs(found[absent].sum()) < 4 * math.sqrt((maps[f"{name}_Ka_sigma"].values[absent] ** 2).sum())


def test_a_straight_background_is_removed_exactly() -> None:
    """Counts that fall in a straight line leave nothing, whatever the windows; a planted line is left whole."""
    energies = 10.0 * np.arange(600)
    straight = np.broadcast_to(6000 - np.arange(600), (3, 600)).astype("u4").copy()
    straight[1, 174] += 1000  # 1740 eV
    opened = dataset(straight, "x energy", energy=(0, 10))
    near = {"left_start": "1.2keV", "left_stop": "1.4keV", "right_start": "2.2keV", "right_stop": "2.23keV"}
    for windows in ({}, {"Si_Ka": near}):
        found = run(
            "line_intensity", opened, lines="Si_Ka", resolution="130eV", background=True, background_windows=windows
        )
        assert found["Si_Ka"].values == pytest.approx([0.0, 1000.0, 0.0], abs=1e-8)
    assert energies[174] == 1740.0


def test_sigma_is_the_spread_of_repeated_measurements() -> None:
    rate = np.full(600, 4.0)
    rate[170:178] += 20.0
    counts = np.random.default_rng(3).poisson(rate, (4000, 600)).astype("u2")
    found = run(
        "line_intensity",
        dataset(counts, "x energy", energy=(0, 10)),
        lines="Si_Ka",
        resolution="130eV",
        background=True,
    )
    sigma = found["Si_Ka_sigma"].values
    assert found["Si_Ka"].values.std() == pytest.approx(math.sqrt((sigma**2).mean()), rel=0.05)
    assert found["Si_Ka"].values.mean() == pytest.approx(160.0, abs=4 * sigma.mean() / math.sqrt(4000))


def test_windows_are_rounded_to_channels() -> None:
    """A single count: it is in the window from round((E - w) / s) to below round((E + w) / s), and not beyond.

    FWHM at Si Ka (1740.0 eV) of a 130 eV detector: sqrt(130^2 + 2.5 (1740.0 - 5898.7)) = 80.6 eV.
    """
    half = math.sqrt(130.0**2 + 2.5 * (1740.0 - 5898.7))
    assert half == pytest.approx(80.65, abs=0.01)
    for offset in (0.0, 3.0, -204.0):
        counts = np.eye(500, dtype=np.uint8)
        found = run(
            "line_intensity", dataset(counts, "x energy", energy=(offset, 10)), lines="Si_Ka", resolution="0.13keV"
        )["Si_Ka"].values
        first, last = round((1740.0 - half - offset) / 10), round((1740.0 + half - offset) / 10)
        assert np.flatnonzero(found).tolist() == list(range(first, last))


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine cut small data into many blocks."""
    monkeypatch.setattr("emdvc.engine.blocks.SMALL_ENOUGH", 1 << 16)
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 15)


@pytest.mark.parametrize("background", [False, True])
def test_any_number_of_threads_gives_the_same_bytes(many_blocks: None, background: bool) -> None:
    opened, _ = _phantom()
    one, two = (
        run("line_intensity", opened, threads=n, lines="Si_Ka,O_Ka,Cu_La", background=background) for n in (1, 2)
    )
    for name, variable in one.items():
        assert variable.values.tobytes() == two[name].values.tobytes()


def test_names_as_people_write_them() -> None:
    step = find("line_intensity")
    assert step.Parameters(lines="Si_Ka, O Ka").lines == ("Si_Ka", "O_Ka")
    assert step.Parameters(lines=["Au_Ma"]).lines == ("Au_Ma",)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"lines": "Sy_Ka"}, "Si_Ka|no X-ray lines of 'Sy'"),
        ({"lines": "Si_Kc"}, "Si has no X-ray line 'Kc'; Si has Si_Ka, Si_Kb"),
        ({"lines": "Si"}, "which X-ray line of Si"),
        ({"lines": "Si_Ka,Si_Ka"}, "each once"),
        ({"lines": []}, "at least one line"),
        ({"lines": 3}, "by name"),
        ({"lines": "Si_Ka", "width": 0}, "greater than 0"),
        ({"lines": "Si_Ka", "background_windows": {"O_Ka": {}}}, "Field required"),
        (
            {
                "lines": "Si_Ka",
                "background_windows": {
                    "Si_Ka": {"left_start": 1, "left_stop": 2, "right_start": 3, "right_stop": 4},
                },
            },
            "background=true",
        ),
        (
            {
                "lines": "Si_Ka",
                "background": True,
                "background_windows": {
                    "O_Ka": {"left_start": 1, "left_stop": 2, "right_start": 3, "right_stop": 4},
                },
            },
            "not among the lines",
        ),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        find("line_intensity").Parameters(**parameters)


@pytest.mark.parametrize(
    ("energy", "record", "parameters", "code", "says"),
    [
        (None, {}, {"resolution": "130eV"}, Code.METADATA_MISSING, "axes.energy.scale"),
        ((0, 10), {}, {}, Code.METADATA_MISSING, "--set eds.energy_resolution=130eV"),
        ((0, 2), {}, {"resolution": "130eV"}, Code.STEP_PARAMETER, "does not lie on the energy axis"),
        ((0, 500), {}, {"resolution": "130eV", "width": 0.1}, Code.STEP_PARAMETER, "holds no channel"),
        ((0, 10), {}, {"resolution": "50eV"}, Code.STEP_PARAMETER, "no width"),
        (
            (1500, 10),
            {"eds__energy_resolution": "130eV"},
            {"background": True, "background_distance": 4},
            Code.STEP_PARAMETER,
            "background_windows.Si_Ka.left_start",
        ),
    ],
)
def test_what_is_refused(
    energy: Any, record: dict[str, str], parameters: dict[str, Any], code: Code, says: str
) -> None:
    opened = dataset(np.ones((2, 400), "u2"), "x energy", energy=energy, **record)
    with pytest.raises(EmdvcError) as caught:
        run("line_intensity", opened, lines="Si_Ka", **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_an_unknown_element_suggests_the_nearest() -> None:
    with pytest.raises(StepError) as caught:
        line_energy("AU_Ma")
    assert "Au_Ma" in (caught.value.hint or "")


def test_metadata_read() -> None:
    step = find("line_intensity")
    assert step.metadata(step.Parameters(lines="Si_Ka")) == ("axes.energy", "eds.energy_resolution")
    assert step.metadata(step.Parameters(lines="Si_Ka", resolution="130eV")) == ("axes.energy",)
