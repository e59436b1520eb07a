"""The same bytes whatever processor the kernels are compiled for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import every_output as every
import pytest

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EelsPhantom
from emdvc.testing.write import write_zarr

_PROGRAM = """
import json, sys
import every_output as every
from pathlib import Path
found = {}
for path, recipe in ((sys.argv[1], every.PATTERNS), (sys.argv[2], every.SPECTRA)):
    found.update(every.digests(every.run(Path(path), every.known(recipe))))
print(json.dumps(found))
"""


@pytest.mark.slow
def test_generic_and_native(tmp_path: Path) -> None:
    """Compiled for the oldest processor of this kind (no AVX, no fused multiply-add) and for the one at hand."""
    patterns = write_zarr(tmp_path / "p.zarr", DiffractionPhantom((14, 10), (32, 32), brightness=60.0))
    spectra = write_zarr(tmp_path / "s.zarr", EelsPhantom((9, 8)))
    native = {}
    for path, recipe in ((patterns, every.PATTERNS), (spectra, every.SPECTRA)):
        native.update(every.digests(every.run(path, every.known(recipe))))
    env = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, patterns, spectra], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list((tmp_path / "numba").rglob("*.nbi")), "nothing was compiled"
    assert {name: md5 for name, md5 in found.items() if native[name] != md5} == {}
    assert found.keys() == native.keys()
