"""What `import emdvc` and the quick commands must not pull in: their speed depends on it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("dvc", "numba", "xarray", "numpy", "pint", "pydantic", "zarr", "h5py", "rich", "dask", "rsciio", "hypothesis")


@pytest.mark.parametrize(
    "module",
    [
        "emdvc",
        "emdvc.errors",
        "emdvc.model.record",
        "emdvc.model.sidecar",
        "emdvc.model.units",
        "emdvc.formats.sidecar",
        "emdvc.cli.main",
    ],
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    if module == "emdvc.cli.main":
        loaded -= {"rich", "pydantic"}  # typer's own, where it asks for them
    assert loaded == set()
