"""What every test gets: its own git and DVC, the command line as a process, and the measured files where they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Emdvc
from servers import s3_remote, s3_server, ssh_remote  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parent.parent

# numba reads this when the kernels are imported; kept between sessions, so that only changed kernels are compiled
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".pytest_cache" / "numba"))


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep git and DVC away from this machine's settings, and each test away from the others."""
    home = tmp_path_factory.mktemp("machine")
    for name in list(os.environ):
        if name.startswith(("AWS_", "DVC_", "GIT_")):
            monkeypatch.delenv(name)
    for name, folder in {
        "DVC_SITE_CACHE_DIR": "dvc-site",
        "DVC_GLOBAL_CONFIG_DIR": "dvc-global",
        "DVC_SYSTEM_CONFIG_DIR": "dvc-system",
    }.items():
        (home / folder).mkdir()
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    # a stage's command is `emdvc`, found as in an activated environment
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    (home / "gitconfig").write_text("[init]\n\tdefaultBranch = main\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ernst Ruska")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ruska@example.org")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Keep git and DVC of a project that the tests of a module share away from this machine's settings."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("machine")
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
            patch.setenv(name, str(home / name.lower()))
        (home / "gitconfig").write_text("[init]\n\tdefaultBranch = main\n", encoding="utf-8")
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Ernst Ruska")
            patch.setenv(f"GIT_{who}_EMAIL", "ruska@example.org")
        yield patch


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder with measured files, or skip: they have licences of their own and are not part of a clone."""
    folder = Path(os.environ.get("EMDVC_REALDATA") or ROOT.parent / "shared" / "realdata")
    if not folder.is_dir():
        pytest.skip("the measured files are not here: set EMDVC_REALDATA to their folder")
    return folder


@pytest.fixture
def emdvc(tmp_path: Path) -> Emdvc:
    """Return the command line; it works in the test's own folder unless told otherwise."""
    return Emdvc(tmp_path)


@pytest.fixture
def project(tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return a folder that `emdvc init` has made a project."""
    folder = tmp_path / "project"
    emdvc("init", folder)
    return folder
