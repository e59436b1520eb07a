from __future__ import annotations

import pytest

from emdvc.render import columns as text


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (524288, "512 KiB"), (5 << 40, "5 TiB")]
)
def test_sizes(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("change", "shown"),
    [(10.0, "+10 %"), (-0.5254, "-0.53 %"), (12.345, "+12.3 %"), (0.0, "+0.0e+00 %"), (1e-5, "+1.0e-05 %"), (None, "")],
)
def test_percent(change: float | None, shown: str) -> None:
    assert text.percent(change) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1204331, "1 204 331"),
        (-12345, "-12 345"),
        (9999, "9999"),
        (0.1 + 0.2, "0.3"),
        (2.0, "2"),
        (float("nan"), "nan"),
    ],
)
def test_figures(value: float, shown: str) -> None:
    assert text.figure(value) == shown


def test_values() -> None:
    assert text.value(None) == "unknown" and text.value(True) == "yes" and text.value(["Au", 2]) == "Au, 2"
    assert text.value("sha256-units:" + "ab" * 32) == "sha256-units:abababab..."
    assert len(text.value("word " * 100)) <= 72
    assert "\x1b" not in text.value("\x1b[31mred"), "a file's text cannot steer the terminal"


@pytest.mark.parametrize(("dtype", "count"), [("uint16", 2), ("float64", 8), ("complex128", 16), ("bool", 1)])
def test_item_bytes(dtype: str, count: int) -> None:
    assert text.item_bytes(dtype) == count


def test_columns_are_aligned() -> None:
    assert text.columns([("a", "bb", "c"), ("aaa", "b")]) == ["  a    bb  c", "  aaa  b"]
    assert text.columns([]) == []
