"""Which driver moves the data of which kind of URL."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from emdvc.history.storage.contract import RemoteSettings, Storage

#: Scheme -> module and class; each module is imported only for a remote of its kind.
DRIVERS: dict[str, tuple[str, str]] = {
    "folder": ("emdvc.history.storage.folder", "FolderStorage"),
    "s3": ("emdvc.history.storage.s3", "S3Storage"),
    "ssh": ("emdvc.history.storage.ssh", "SshStorage"),
    "webdav": ("emdvc.history.storage.webdav", "WebdavStorage"),
    "webdavs": ("emdvc.history.storage.webdav", "WebdavStorage"),
    "http": ("emdvc.history.storage.http", "HttpStorage"),
    "https": ("emdvc.history.storage.http", "HttpStorage"),
}
#: What serves every other scheme that DVC has a package for.
THROUGH_DVC = ("emdvc.history.dvc_storage", "DvcStorage")


def storage_of(settings: RemoteSettings) -> Storage:
    """Return the storage of a remote, not yet open.

    Raises
    ------
    EnvironmentFault
        The package for this kind is not installed.
    """
    module, name = DRIVERS.get(settings.scheme, THROUGH_DVC)
    driver: Any = getattr(import_module(module), name)
    found: Storage = driver(settings)
    return found
