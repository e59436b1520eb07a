"""NumPy's .npy and headerless files."""

from __future__ import annotations

import numpy as np
import pytest

from emdvc.errors import Code, FormatError

SCAN = (np.arange(3 * 4 * 10 * 12) % 1009).astype("u2").reshape(3, 4, 10, 12)


@pytest.mark.parametrize("values", [SCAN, np.asfortranarray(SCAN), SCAN.astype(">u2"), SCAN.astype("f8")])
def test_npy(tmp_path, opening, values_of, values):
    np.save(tmp_path / "scan.npy", values)
    opened = opening(tmp_path / "scan.npy")
    assert (opened.variables[0].name, opened.variables[0].dims) == ("scan", ("y", "x", "ky", "kx"))
    np.testing.assert_array_equal(values_of(opened), values)
    assert values_of(opened).dtype.isnative


def test_a_person_says_scan_shape_and_dimensions(tmp_path, opening, values_of):
    np.save(tmp_path / "frames.npy", SCAN.reshape(12, 10, 12))
    assert opening(tmp_path / "frames.npy").variables[0].dims == ("frame", "ky", "kx")
    scan = opening(tmp_path / "frames.npy", scan_shape=(3, 4))
    assert scan.variables[0].dims == ("y", "x", "ky", "kx")
    np.testing.assert_array_equal(values_of(scan), SCAN)
    spectra = opening(tmp_path / "frames.npy", dims=("y", "x", "energy"))
    assert [str(spectra.axes[dim].role) for dim in ("y", "x", "energy")] == ["scan", "scan", "spectrum"]
    with pytest.raises(FormatError) as caught:
        opening(tmp_path / "frames.npy", scan_shape=(5, 4))
    assert caught.value.code == Code.SCAN_SHAPE
    with pytest.raises(FormatError, match="does not fit"):
        opening(tmp_path / "frames.npy", dims=("y", "x"))


def test_npy_with_pickled_objects_is_refused_unread(tmp_path, opening):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="no numbers"):
        opening(tmp_path / "evil.npy")


@pytest.mark.parametrize("kept", [3, 40, 1000])
def test_truncated_npy(tmp_path, opening, kept):
    np.save(tmp_path / "scan.npy", SCAN)
    (tmp_path / "scan.npy").write_bytes((tmp_path / "scan.npy").read_bytes()[:kept])
    with pytest.raises(FormatError):
        opening(tmp_path / "scan.npy")


def test_raw(tmp_path, opening, values_of):
    (tmp_path / "scan.raw").write_bytes(b"twelve bytes" + SCAN.astype(">u2").tobytes())
    opened = opening(tmp_path / "scan.raw", shape=SCAN.shape, dtype=">u2", offset=12)
    assert opened.variables[0].dims == ("y", "x", "ky", "kx")
    np.testing.assert_array_equal(values_of(opened), SCAN)


@pytest.mark.parametrize("known", [{}, {"shape": (3, 4)}, {"dtype": "<u2"}])
def test_raw_needs_shape_and_type(tmp_path, opening, known):
    (tmp_path / "scan.raw").write_bytes(SCAN.tobytes())
    with pytest.raises(FormatError) as caught:
        opening(tmp_path / "scan.raw", **known)
    assert caught.value.code == Code.FORMAT_UNKNOWN
    for option in ("--shape", "--dtype", "--offset"):
        assert option in str(caught.value)


@pytest.mark.parametrize(
    ("known", "evidence"),
    [
        ({"shape": (3, 4, 10, 13), "dtype": "<u2"}, "is truncated"),
        ({"shape": (3, 4, 10, 11), "dtype": "<u2"}, "longer than said"),
        ({"shape": (3, 4, 10, 12), "dtype": "<u2", "offset": 2}, "is truncated"),
        ({"shape": (3, 4, 10, 12), "dtype": "uint61"}, "no number type"),
        ({"shape": (3, 4, 10, 12), "dtype": "O"}, "impossible"),
        ({"shape": (3, -4, -10, 12), "dtype": "<u2"}, "impossible"),
    ],
)
def test_raw_must_fit_the_file(tmp_path, opening, known, evidence):
    (tmp_path / "scan.raw").write_bytes(SCAN.tobytes())
    with pytest.raises(FormatError) as caught:
        opening(tmp_path / "scan.raw", **known)
    assert evidence in str(caught.value)
