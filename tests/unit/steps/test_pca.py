"""Principal components, against NumPy's singular values and against planted spectra."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, EmdvcError
from emdvc.steps import pca
from emdvc.steps.registry import find
from emdvc.testing.spectra import EdxPhantom

from .conftest import dataset, run

SCALINGS = ["poisson", "channels", "none"]


def _planted(seed: int = 1, shape: tuple[int, ...] = (20, 25)) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Return counts of three mixed spectra of 120 channels, and their means."""
    rng = np.random.default_rng(seed)
    channels = np.arange(120)
    spectra = np.stack(
        [
            40.0 * np.exp(-channels / 40.0) + 1.0,
            30.0 * np.exp(-0.5 * ((channels - 60) / 4.0) ** 2),
            20.0 * np.exp(-0.5 * ((channels - 90) / 6.0) ** 2),
        ]
    )
    means = rng.uniform(0.2, 1.0, (*shape, 3)) @ spectra
    return rng.poisson(means).astype("u2"), means


def _scaled(counts: NDArray[Any], scaling: str, center: bool) -> NDArray[np.float64]:
    """Return the scaled spectra, as plain NumPy makes them: one row for each."""
    rows = counts.reshape(-1, counts.shape[-1]).astype("f8")
    columns = np.ones(rows.shape[1]) if scaling == "none" else 1.0 / np.sqrt(rows.mean(axis=0))
    heights = 1.0 / np.sqrt(rows.sum(axis=1)) if scaling == "poisson" else np.ones(rows.shape[0])
    scaled: NDArray[np.float64] = rows * columns * heights[:, None]
    return scaled - scaled.mean(axis=0) if center else scaled


@pytest.mark.parametrize("kind", ["u2", "i4", "f4", "f8"])
@pytest.mark.parametrize(
    ("scaling", "center"),
    [("poisson", False), ("channels", False), ("none", False), ("none", True), ("channels", True)],
)
def test_against_singular_values(scaling: str, center: bool, kind: str) -> None:
    """The components span what numpy.linalg.svd's span, with the same parts of the variance."""
    counts, _ = _planted()
    opened = dataset(counts.astype(kind), "y x energy")
    found = run("pca", opened, components=4, denoise=3, scaling=scaling, center=center)
    left, values, right = np.linalg.svd(_scaled(counts, scaling, center), full_matrices=False)
    assert np.allclose(found["explained_variance"].values, (values**2 / (values**2).sum())[:4], rtol=1e-9)
    # the spectra that three components make are those of the truncated singular value decomposition
    model = (left[:, :3] * values[:3]) @ right[:3]
    rows = counts.reshape(-1, 120).astype("f8")
    if center:
        scaled = rows if scaling == "none" else rows / np.sqrt(rows.mean(axis=0))
        model = model + scaled.mean(axis=0)
    if scaling != "none":
        model = model * np.sqrt(rows.mean(axis=0))
    if scaling == "poisson":
        model = model * np.sqrt(rows.sum(axis=1))[:, None]
    spectra = found["spectra"].values
    assert spectra.dtype == np.float32
    assert np.abs(spectra.reshape(-1, 120) - model).max() < 1e-5 * np.abs(model).max()
    assert found["scores"].dims == ("y", "x", "component")
    assert found["components"].dims == ("component", "energy")
    assert ("mean" in found) == center


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scores_times_components_are_the_spectra(scaling: str) -> None:
    """With all components the data come back."""
    counts, _ = _planted(2, (30,))
    counts = counts[:, :12] + np.uint16(1)
    found = run("pca", dataset(counts, "x energy"), components=12, denoise=12, scaling=scaling)
    product = found["scores"].values @ found["components"].values
    assert np.allclose(product, counts, rtol=1e-9, atol=1e-9)
    assert np.allclose(found["spectra"].values, counts, rtol=1e-5)
    assert found["explained_variance"].values.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_noise_is_taken_away(scaling: str) -> None:
    """Three planted spectra: three components hold them, and the denoised counts lie nearer to the truth.

    With Poisson noise in 120 channels of 500 spectra, three components keep about (3 / 120) of the noise and 3 / 500.
    """
    counts, means = _planted(3)
    found = run("pca", dataset(counts, "y x energy"), components=6, denoise=3, scaling=scaling)
    before = ((counts - means) ** 2).sum()
    after = ((found["spectra"].values - means) ** 2).sum()
    assert after < 0.06 * before
    parts = found["explained_variance"].values
    assert parts[2] > 1.8 * parts[3]
    assert parts[3] < 1.3 * parts[4]
    assert (np.diff(parts) <= 0).all()


def test_the_largest_channel_is_positive() -> None:
    counts, _ = _planted(4)
    for scaling in SCALINGS:
        components = run("pca", dataset(counts, "y x energy"), components=5, scaling=scaling)["components"].values
        largest = np.abs(components).argmax(axis=1)
        assert (components[np.arange(5), largest] > 0).all()


def test_empty_spectra_and_channels_stay_empty() -> None:
    counts, _ = _planted(5)
    counts[3, 4] = 0
    counts[..., 17] = 0
    for scaling in SCALINGS:
        found = run("pca", dataset(counts, "y x energy"), components=3, denoise=3, scaling=scaling)
        for variable in found.values():
            assert np.isfinite(variable.values).all()
        assert not found["spectra"].values[3, 4].any()
        assert np.abs(found["spectra"].values[..., 17]).max() < 1e-6
    nothing = run("pca", dataset(np.zeros((4, 6), "u2"), "x energy"), components=2, denoise=1)
    assert not nothing["explained_variance"].values.any()
    assert not nothing["spectra"].values.any()


def test_a_part_of_the_channels() -> None:
    counts, _ = _planted(6)
    step = find("pca")
    opened = dataset(counts, "y x energy", energy=(100, 5))
    result = run_step(step, step.Parameters(components=2, start="200eV", stop="0.4keV", denoise=2), opened, name="scan")
    part = run("pca", dataset(np.ascontiguousarray(counts[..., 20:60]), "y x energy"), components=2, denoise=2)
    for variable in result.variables:
        assert variable.values.tobytes() == part[variable.name].values.tobytes()
    assert result.axes["energy"].extent() == (200.0, 395.0)
    assert result.axes["component"].coordinates() == [1.0, 2.0]


@cache
def _phantom() -> NDArray[np.uint16]:
    phantom = EdxPhantom(scan_shape=(24, 32))
    return np.stack([phantom.row(y) for y in range(24)])


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine cut small data into many blocks."""
    monkeypatch.setattr("emdvc.engine.blocks.SMALL_ENOUGH", 1 << 16)
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 15)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_any_number_of_threads_gives_the_same_bytes(many_blocks: None, scaling: str) -> None:
    opened = dataset(_phantom(), "y x energy", energy=(0, 10))
    one, two = (run("pca", opened, threads=n, components=4, denoise=3, scaling=scaling) for n in (1, 2))
    assert list(one) == ["scores", "components", "explained_variance", "spectra"]
    for name, variable in one.items():
        assert variable.values.tobytes() == two[name].values.tobytes()


@pytest.mark.parametrize("scaling", ["channels", "none"])
def test_integers_do_not_depend_on_how_they_are_cut(scaling: str) -> None:
    """Exact sums: one block of all spectra or many of few give the same bytes; with a plan that was pickled."""
    counts = _planted(7)[0].reshape(-1, 120)
    step = find("pca")
    opened = dataset(counts, "x energy")

    def maps(cuts: list[int]) -> dict[str, bytes]:
        from emdvc.engine.run import prepare

        plan = prepare(step, step.Parameters(components=3, scaling=scaling), opened, opened.variable(None), "scan")
        plan = pickle.loads(pickle.dumps(plan))
        total: Any = None
        for start, stop in zip([0, *cuts], [*cuts, 500], strict=True):
            part = plan.block(counts[start:stop], None).reduction  # type: ignore[arg-type]
            total = part if total is None else plan.merge(total, part)
        last = plan.following(total, 500)
        assert last is not None
        last = pickle.loads(pickle.dumps(last))
        found = last.finish({}, None, 500)
        found["scores"] = last.block(counts, None).maps["scores"]  # type: ignore[arg-type]
        return {name: values.tobytes() for name, values in found.items()}

    assert maps([]) == maps([1, 7, 8, 300])


#: Every step of spectra on small data, and one digest of all that comes out.
_SCRIPT = """
import numpy as np
from emdvc.kernels.eigen import leading_eigenpairs
from emdvc.kernels.exact_math import exps, logs
from emdvc.kernels.products import scaled_products, square
from emdvc.kernels import power_law
import hashlib
rng = np.random.Generator(np.random.PCG64(1))
counts = rng.integers(0, 400, (40, 64)).astype("u2")
scales = 1.0 / np.sqrt(counts.sum(axis=1))
matrix = square(scaled_products(counts, scales))
x = logs(np.arange(200.0, 264.0))
r, log_a = np.empty(40), np.empty(40)
power_law.log_fits(counts, 0, x, 0.0, 12.0, r, log_a)
found = np.empty((40, 64), "f4")
power_law.subtract_power_laws(counts, 0, x, r, log_a, found)
table = power_law.log_power_sums(x, x, np.arange(0.0, 12.0, 0.25))
digest = hashlib.sha256()
for array in (matrix, *leading_eigenpairs(matrix, 5), x, r, log_a, found, table, exps(-x)):
    digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_the_bits_do_not_depend_on_the_processor(tmp_path: Any) -> None:
    """Compiled for this processor and for the plainest one of its kind, the kernels give the same bits."""
    digests = set()
    for name in ("", "generic"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / (name or "native"))}
        if name:
            environment |= {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 64


@pytest.mark.parametrize(
    ("values", "parameters", "code", "says"),
    [
        (np.ones((3, 40), "u2"), {"components": 4}, Code.STEP_PARAMETER, "components=3"),
        (np.ones((30, 5), "u2"), {"components": 6}, Code.STEP_PARAMETER, "components=5"),
        (np.ones((2, 5000), "u1"), {"components": 1}, Code.STEP_DIMENSIONS, "start=ENERGY"),
        (
            np.ones((9, 40), "u2"),
            {"start": "3.5eV", "stop": "4 eV", "components": 1},
            Code.STEP_PARAMETER,
            "no channel",
        ),
        (
            np.full((9, 4), 4_000_000_000, "u4"),
            {"components": 1, "scaling": "none"},
            Code.STEP_COUNTS,
            "scaling=poisson",
        ),
    ],
)
def test_what_is_refused(values: NDArray[Any], parameters: dict[str, Any], code: Code, says: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        run("pca", dataset(values, "x energy", energy=(0.25, 1.0)), **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_sums_of_many_blocks_cannot_overflow_unseen() -> None:
    """Two blocks whose squares add up beyond 64 bits are refused when they are merged."""
    values = np.full((1, 3), 2_100_000_000, "u4")
    step = find("pca")
    opened = dataset(values, "x energy")
    from emdvc.engine.run import prepare

    plan = prepare(step, step.Parameters(components=1, scaling="none"), opened, opened.variable(None), "scan")
    part = plan.block(values, None).reduction  # type: ignore[arg-type]
    assert part is not None
    twice = plan.merge(part, part)  # 8.8e18 < 2^63
    with pytest.raises(EmdvcError, match="too large"):
        plan.merge(twice, part)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"components": 0}, "greater than 0"),
        ({"components": 3, "denoise": 4}, "4 of 3"),
        ({"center": True}, "center goes with"),
        ({"scaling": "log"}, "scaling"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        find("pca").Parameters(**parameters)


def test_metadata_read() -> None:
    step = find("pca")
    assert step.metadata(step.Parameters()) == ("axes.energy",)
    assert isinstance(step, pca.PrincipalComponents)
