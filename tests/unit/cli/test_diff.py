from __future__ import annotations

from typing import Any

import pytest

from emdvc.formats import sidecar as sidecars
from emdvc.model.quantity import Origin, Quantity


def test_two_revisions_read_as_science(science: Any, emdvc: Any) -> None:
    text = emdvc("diff", "HEAD~1", "HEAD", cwd=science.root).stdout
    assert text == (
        "raw/scan01.mib     calibration\n"
        "  diffraction.pixel_size  0.02 -> 0.022 1/Å  (+10 %)\n"
        "    ky, kx: field of view 1.28 -> 1.408 1/Å\n"
        "results/vdet.zarr  values\n"
        "  because: diffraction.pixel_size of raw/scan01.mib 0.02 -> 0.022 1/Å  (+10 %)\n"
        "  image  sum 1 204 331 -> 1 198 003 (-0.53 %)\n"
    )


def test_nothing_changed(science: Any, emdvc: Any) -> None:
    assert emdvc("diff", "--exit-code", cwd=science.root).stdout == (
        "no difference in 2 datasets between HEAD and the workspace\n"
    )


def test_the_workspace_is_compared_by_default(science: Any, emdvc: Any, answer: Any) -> None:
    pixel = Quantity(0.24, "1/nm", Origin.CALIBRATED)
    science.set_raw(beam__energy=Quantity(0.2, "MeV"), diffraction__pixel_size=pixel)
    found = answer("diff", cwd=science.root)
    assert found["verdict"] == "calibration" and found["schema"] == "emdvc/diff"
    (dataset,) = [d for d in found["datasets"] if d["kind"] == "raw"]
    assert [change["key"] for change in dataset["record"]] == ["diffraction.pixel_size"], "0.2 MeV is 200 keV"


def test_a_scan_step_holds_for_results_without_a_recompute(science: Any, answer: Any) -> None:
    science.set_raw(
        diffraction__pixel_size=Quantity(0.022, "1/angstrom", Origin.CALIBRATED), scan__step=Quantity((1.0, 1.0), "nm")
    )
    found = answer("diff", cwd=science.root)
    raw, image = found["datasets"]
    assert (raw["verdict"], image["verdict"]) == ("calibration", "calibration")
    assert [(axis["dim"], axis["because"]) for axis in image["axes"]] == [("y", ["scan.step"]), ("x", ["scan.step"])]
    assert image["record"][0]["inherited"] is True and raw["record"][0]["inherited"] is False


def test_exit_codes(science: Any, emdvc: Any) -> None:
    emdvc("diff", "HEAD~1", cwd=science.root, status=0)
    emdvc("diff", "HEAD~1", "--exit-code", cwd=science.root, status=1)
    emdvc("diff", "HEAD~1..HEAD", "--exit-code", "--stat", cwd=science.root, status=1)
    emdvc("diff", "HEAD..HEAD", "--exit-code", cwd=science.root, status=0)


@pytest.mark.parametrize("words", [["raw/scan01.mib"], ["raw"], ["raw/scan01.mib.em.yaml"], ["raw/scan01.mib.dvc"]])
def test_paths_choose_datasets(science: Any, answer: Any, words: list[str]) -> None:
    for arguments in (["HEAD~1", *words], ["HEAD~1", "--", *words], ["HEAD~1", "HEAD", *words]):
        found = answer("diff", *arguments, cwd=science.root)
        assert [dataset["path"] for dataset in found["datasets"]] == ["raw/scan01.mib"]
        assert found["compared"] == 1


def test_a_path_alone_is_a_path(science: Any, answer: Any) -> None:
    found = answer("diff", "results/vdet.zarr", cwd=science.root)
    assert (found["before"], found["after"], found["compared"]) == ("HEAD", None, 1)


def test_a_name_that_is_both_is_asked_about(science: Any, emdvc: Any) -> None:
    science.git("branch", "raw")
    done = emdvc("diff", "raw", cwd=science.root, status=2)
    assert "'raw' is both a revision and a path" in done.stderr and "emdvc diff -- raw" in done.stderr
    emdvc("diff", "raw", "--", cwd=science.root)
    emdvc("diff", "--", "raw", cwd=science.root)


def test_an_unknown_revision(science: Any, emdvc: Any) -> None:
    science.git("branch", "experiment")
    done = emdvc("diff", "experimnet", cwd=science.root, status=2)
    assert "error[EM-REVISION-UNKNOWN]" in done.stderr and "did you mean experiment?" in done.stderr


def test_an_unknown_path(science: Any, emdvc: Any) -> None:
    done = emdvc("diff", "--", "raw/scan02.mib", cwd=science.root, status=3)
    assert "did you mean raw/scan01.mib?" in done.stderr


def test_added_and_removed_datasets(science: Any, emdvc: Any) -> None:
    (science.root / "results/vdet.zarr.em.yaml").rename(science.root / "results/adf.zarr.em.yaml")
    lines = emdvc("diff", cwd=science.root).stdout.splitlines()
    assert lines[0].split()[:2] == ["results/adf.zarr", "renamed"], "the same numbers under another name"
    sidecar = science.root / "results/adf.zarr.em.yaml"
    digest = next(line for line in sidecar.read_text(encoding="utf-8").splitlines() if "digest: " in line)
    sidecar.write_text(sidecar.read_text(encoding="utf-8").replace(digest, digest[:-4] + "0000"), encoding="utf-8")
    lines = emdvc("diff", cwd=science.root).stdout.splitlines()
    assert [line.split() for line in lines] == [["results/adf.zarr", "added"], ["results/vdet.zarr", "removed"]]


def test_two_datasets_outside_a_project(science: Any, emdvc: Any, tmp_path: Any) -> None:
    text = (science.root / "raw/scan01.mib.em.yaml").read_text(encoding="utf-8")
    (tmp_path / "a.mib.em.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "b.mib.em.yaml").write_text(text.replace("Borries", "Bories"), encoding="utf-8")
    out = emdvc("diff", "a.mib.em.yaml", "b.mib.em.yaml", cwd=tmp_path).stdout
    assert out == "b.mib  metadata\n  operator  B. v. Borries -> B. v. Bories\n"


def test_one_dataset_at_two_revisions(science: Any, emdvc: Any) -> None:
    out = emdvc("diff", "--between", "raw/scan01.mib@HEAD~1", "raw/scan01.mib", cwd=science.root).stdout
    assert "diffraction.pixel_size  0.02 -> 0.022 1/Å  (+10 %)" in out
    emdvc("diff", "--between", "raw/scan01.mib", cwd=science.root, status=2)


def test_the_vendors_tree_is_counted_or_listed(science: Any, emdvc: Any) -> None:
    path = science.root / "raw/scan01.mib.em.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("as it was", "as it is"), encoding="utf-8")
    assert "vendor: 1 key differs (--vendor)" in emdvc("diff", cwd=science.root).stdout
    assert "vendor.Acquisition.Comment  as it was -> as it is" in emdvc("diff", "--vendor", cwd=science.root).stdout


def test_step_version_and_parameters(science: Any, emdvc: Any) -> None:
    provenance = {"step": "virtual_detector", "version": 2, "parameters": {"outer": "25.0 mrad"}}
    science.set_result(1198003, provenance=provenance)
    out = emdvc("diff", cwd=science.root).stdout
    assert "results/vdet.zarr  metadata" in out
    assert "parameters.outer  20.0 mrad -> 25.0 mrad" in out and "version           1 -> 2" in out


def test_a_damaged_sidecar_is_named(science: Any, emdvc: Any) -> None:
    sidecars.path_of(science.root / "raw/scan01.mib").write_text("axes: [\n", encoding="utf-8")
    assert "error[EM-SIDECAR-BROKEN]: raw/scan01.mib.em.yaml" in emdvc("diff", cwd=science.root, status=2).stderr
