from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emdvc.compare import state
from emdvc.errors import DataMissingError
from emdvc.formats import sidecar as sidecars
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar


@pytest.fixture
def scan(tmp_path: Path, raw: Callable[..., Sidecar], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    data = Path("raw/scan.mib")
    sidecars.write(data, raw())
    return data


@pytest.mark.parametrize("name", ["raw/scan.mib", "raw/scan.mib.em.yaml", "raw/scan.mib.dvc", "raw/scan.mib/part.mib"])
def test_every_name_of_a_dataset_leads_to_it(scan: Path, name: str) -> None:
    found = state.find(name)
    assert found.path == scan and found.recorded and found.revision is None
    assert found.sidecar.axes["kx"].scale == Quantity(0.02, "1/angstrom"), "the axes are calibrated"
    assert "beam.energy" in found.own_keys


def test_a_result_inherits(scan: Path) -> None:
    Path("results").mkdir()
    sidecars.write(Path("results/vdet.zarr"), Sidecar(inherits="../raw/scan.mib", provenance={"step": "sum_pattern"}))
    found = state.find("results/vdet.zarr")
    assert found.sidecar.record["operator"] == "B. v. Borries" and found.own_keys == frozenset()


def test_the_vendors_tree_only_when_it_is_wanted(scan: Path) -> None:
    assert state.find(str(scan)).sidecar.vendor != {}
    assert state.find(str(scan), vendor=False).sidecar.vendor == {}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a: 1\nvendor:\n  b: 2\n  c:\n  - d\n", "a: 1\n"),
        ("a: 1\nvendor:\n- b\n\n# note\nzoo: 3\n", "a: 1\nzoo: 3\n"),
        ("vendor: {}\na: 1\n", "a: 1\n"),
        ("a:\n  vendor:\n    b: 1\n", "a:\n  vendor:\n    b: 1\n"),
        ("a: 1\nvendor: {b: 2}", "a: 1\n"),
        ("vendors: 1\n", "vendors: 1\n"),
    ],
)
def test_the_vendors_section_is_cut_out_whole(text: str, rest: str) -> None:
    assert state.without_vendor(text) == rest


def test_a_file_under_no_version_control_is_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((4, 5), np.uint16))
    found = state.find(str(tmp_path / "image.npy"))
    assert not found.recorded
    assert found.sidecar.variables[found.sidecar.main].shape == (4, 5)


def test_what_is_not_there_is_said_with_the_nearest_name(scan: Path) -> None:
    with pytest.raises(DataMissingError) as caught:
        state.find("raw/scn.mib")
    assert caught.value.hint == "did you mean raw/scan.mib.em.yaml?"


def test_a_pointer_without_data_names_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.mib.dvc").write_text("outs: []\n", encoding="utf-8")
    with pytest.raises(DataMissingError, match="has no sidecar and is not here"):
        state.find(str(tmp_path / "a.mib"))
