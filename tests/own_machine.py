"""Settings of git and DVC of their own: for each test, and for what is made once for several tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def own_machine(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Keep git and DVC away from this machine's settings; their own lie in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "DVC_", "GIT_"))]:
            patch.delenv(name)
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
            (folder / name.lower()).mkdir(parents=True, exist_ok=True)
            patch.setenv(name, str(folder / name.lower()))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        # a stage's command is `emdvc`, found as in an activated environment
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
        (folder / "gitconfig").write_text("[init]\n\tdefaultBranch = main\n", encoding="utf-8")
        patch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Ernst Ruska")
            patch.setenv(f"GIT_{who}_EMAIL", "ruska@example.org")
        yield patch
