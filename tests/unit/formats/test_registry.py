from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from emdvc.errors import Code, DataMissingError, FormatError
from emdvc.formats import registry
from emdvc.formats.contract import ReadOptions
from emdvc.formats.readers import table


def test_listing_imports_no_package_that_reads():
    code = (
        "import sys; from emdvc.formats.registry import readers; found = readers();"
        "assert len(found) > 15, found; assert all(r.module and r.formats and r.extensions for r in found);"
        "[r.installed for r in found];"
        "bad = {'numpy', 'h5py', 'zarr', 'tifffile', 'mrcfile', 'rsciio', 'xarray', 'dask'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_unique_and_each_reader_is_where_the_table_says():
    infos = registry.readers()
    assert len({info.name for info in infos}) == len(infos)
    for info in infos:
        if info.installed:
            reader = registry._load(info, Path("x"))
            assert (reader.name, reader.formats, reader.extensions, reader.lazy) == (
                info.name, info.formats, info.extensions, info.lazy,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("SiO2_EDS_Spectrum_Image.hspy", "hspy"),
        ("arina/test_00_master.h5", "dectris"),
        ("astar_3x2x144x144.blo", "blockfile"),
        ("au_xgrating_20cm.tif", "tiff"),
        ("bi_polycryst.dm4", "digitalmicrograph"),
        ("ebsd_ni_3x3x60x60.h5", "hdf5"),
        ("eels_si_49x6x1024.dm3", "digitalmicrograph"),
        ("fei_SI_EDS-HAADF-4detectors_2frames.emd", "velox"),
        ("fpd_merlin_2x2x256x256.hdf5", "emd1"),
        ("merlin_4x2_6bit.mib", "merlin"),
        ("serialem_test_000.mrc", "mrc"),
    ],
)
def test_measured_files_find_their_reader_even_without_extension(realdata, tmp_path, name, reader):
    assert registry._claims(table.NATIVE, realdata / name) or registry._foreign_claims(
        realdata / name, Path(name).suffix
    ) or reader == "hdf5"  # fmt: skip
    # what is asked is only the name: a missing package is not the question here
    try:
        found = registry.find(realdata / name).name
    except FormatError as error:
        assert error.code == Code.READER_MISSING
        found = str(error).split("the reader '")[1].split("'")[0]
    assert found == reader


def test_content_wins_over_the_extension(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    (tmp_path / "a.npy").rename(tmp_path / "a.tif")
    assert registry.find(tmp_path / "a.tif").name == "npy"


def test_the_person_wins_over_both(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    assert registry.find(tmp_path / "a.npy", ReadOptions(reader="raw")).name == "raw"
    with pytest.raises(FormatError) as caught:
        registry.find(tmp_path / "a.npy", ReadOptions(reader="hsyp"))
    assert caught.value.code == Code.FORMAT_UNKNOWN and "--reader hspy" in str(caught.value)


def test_what_two_readers_claim_is_asked(tmp_path):
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        file.create_group("Experiments")
        group = file.create_group("data/a")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.zeros((3, 3))
    with pytest.raises(FormatError) as caught:
        registry.find(tmp_path / "both.h5")
    assert caught.value.code == Code.FORMAT_AMBIGUOUS
    assert "emd1, hspy" in str(caught.value) and "--reader emd1" in str(caught.value)


def test_an_unknown_file_says_what_would_be_needed(tmp_path):
    (tmp_path / "notes.txt").write_text("a text", encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        registry.open_file(tmp_path / "notes.txt")
    assert caught.value.code == Code.FORMAT_UNKNOWN
    assert "--reader" in str(caught.value) and "--shape" in str(caught.value)
    (tmp_path / "a.hsyp").write_bytes(b"")
    with pytest.raises(FormatError, match=r"is it a \.hspy file\?"):
        registry.find(tmp_path / "a.hsyp")


@pytest.mark.parametrize(("name", "content"), [("a.tif", b"II*\0"), ("a.mrc", bytes(2000)), ("a.mib", b"MQ1,0")])
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, name, content):
    (tmp_path / name).write_bytes(content)
    real = table.find_spec
    gone = {"tifffile", "mrcfile", "rsciio"}
    monkeypatch.setattr(table, "find_spec", lambda package: None if package in gone else real(package))
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None if package in gone else real(package))
    with pytest.raises(FormatError) as caught:
        registry.find(tmp_path / name)
    assert caught.value.code == Code.READER_MISSING
    assert "pip install 'emdvc[formats]'" in str(caught.value)
    assert not any(info.installed for info in registry.readers() if set(info.packages) & gone)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match="does not exist") as caught:
        registry.open_file(tmp_path / "no.h5")
    assert caught.value.code == Code.NOT_FOUND
    (tmp_path / "gone.h5.dvc").write_text("outs:\n", encoding="utf-8")
    with pytest.raises(DataMissingError, match="emdvc pull"):
        registry.open_file(tmp_path / "gone.h5")


def test_a_path_inside_a_file():
    assert registry.split_inner("raw/f.h5::/a/b") == (Path("raw/f.h5"), "/a/b")
    assert registry.split_inner("f.h5::a::b") == (Path("f.h5"), "a::b")
    assert registry.split_inner("C:/raw/f.h5") == (Path("C:/raw/f.h5"), None)
    assert registry.split_inner("f.h5::") == (Path("f.h5"), None)


def test_the_folder_of_a_set(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    with pytest.raises(FormatError, match="not a dataset"):
        registry.main_file(folder)
    for names, main in (
        (["a.mib", "a.hdr"], "a.mib"),
        (["s.xml", "s.raw"], "s.xml"),
        (["t.mrc", "t.mrc.mdoc", "t.rawtlt"], "t.mrc"),
        (["e_1.ser", "e_2.ser", "e.emi"], "e.emi"),
    ):
        for name in names:
            (folder / name).write_bytes(b"")
        assert registry.main_file(folder).name == main
        for name in names:
            (folder / name).unlink()
    for name in ("a.npy", "b.npy"):
        (folder / name).write_bytes(b"")
    with pytest.raises(FormatError, match="no single file"):
        registry.main_file(folder)


def test_the_unit_of_a_single_file_and_of_a_store(tmp_path, scan):
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    assert registry.unit(tmp_path / "a.npy") == (tmp_path / "a.npy",)
    assert registry.unit(scan) == (scan,)


def test_a_reader_that_fails_in_its_own_way_gives_our_error(tmp_path, monkeypatch):
    from emdvc.formats.readers import npy

    np.save(tmp_path / "a.npy", np.zeros((3, 3)))

    def fail(path, options):
        raise RuntimeError("something\n  inside")

    monkeypatch.setattr(npy.READER, "open", fail)
    with pytest.raises(FormatError) as caught:
        registry.open_file(tmp_path / "a.npy")
    assert caught.value.code == Code.FORMAT_BROKEN
    assert str(tmp_path / "a.npy") in str(caught.value) and "RuntimeError: something inside" in str(caught.value)
