"""What `import emdvc` and the quick commands must not pull in: their speed depends on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import emdvc

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


def test_gpl_code_is_loaded_by_one_module() -> None:
    loads = re.compile(r"""import_module\(f?["']rsciio|^\s*(import|from) rsciio""", re.MULTILINE)
    package = Path(emdvc.__file__).parent
    found = [file for file in package.rglob("*.py") if loads.search(file.read_text(encoding="utf-8"))]
    assert found == [package / "formats" / "readers" / "rosettasciio.py"]
