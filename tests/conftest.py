"""What every test gets: its own git and DVC, the command line as a process, and the measured files where they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Emdvc
from own_machine import own_machine
from s3_servers import ceph_s3  # noqa: F401 - fixture
from servers import s3_remote, s3_server, ssh_remote  # noqa: F401 - fixtures
from ssh_dav_servers import apache, shared_ssh_server, ssh_server, wsgidav  # noqa: F401 - fixtures
from web_servers import nginx, plain_web  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep git and DVC away from this machine's settings, and each test away from the others."""
    with own_machine(tmp_path_factory.mktemp("machine")):
        yield


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Keep git and DVC of a project that the tests of a module share away from this machine's settings."""
    with own_machine(tmp_path_factory.mktemp("machine")) as patch:
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


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that `emdvc init` has made a project, to be copied."""
    folder = tmp_path_factory.mktemp("initialised")
    with own_machine(folder / "machine"):
        Emdvc(folder)("init", folder / "project")
    return folder / "project"


@pytest.fixture
def project(tmp_path: Path, new_project: Path) -> Path:
    """Return a folder that `emdvc init` has made a project."""
    return shutil.copytree(new_project, tmp_path / "project", symlinks=True)
