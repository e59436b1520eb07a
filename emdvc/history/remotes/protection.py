"""How a storage keeps what it holds: versions and locks of a bucket, and the room that is left."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.errors import EmdvcError
from emdvc.history.storage.contract import Storage

#: Answers that mean that a bucket, or a service, has no object lock.
_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "NotImplemented", "501"})


@dataclass(frozen=True, slots=True)
class Protection:
    """How a bucket keeps what it holds.

    Parameters
    ----------
    versioned
        Whether it keeps what is overwritten or deleted.
    locked
        Whether objects can be locked.
    default
        The lock that each new object gets, in words; empty where none.
    """

    versioned: bool
    locked: bool
    default: str = ""


async def protection(storage: Storage) -> Protection | EmdvcError | None:
    """Return how a bucket keeps what it holds; None where the storage is none, the fault where it does not tell."""
    from emdvc.history.storage.s3 import S3Storage

    if not isinstance(storage, S3Storage):
        return None
    try:
        async with storage.asking("asking for versions"):
            versions = await storage.client.get_bucket_versioning(Bucket=storage.bucket)
        lock = await _lock(storage)
    except EmdvcError as error:
        return error
    return Protection(versions.get("Status") == "Enabled", lock is not None, _words(lock or {}))


async def _lock(storage: Any) -> dict[str, Any] | None:
    """Return the default lock of a bucket; None where nothing in it can be locked."""
    from botocore.exceptions import ClientError

    from emdvc.history.storage.s3_faults import code_of

    async with storage.asking("asking for the object lock"):
        try:
            said = await storage.client.get_object_lock_configuration(Bucket=storage.bucket)
        except ClientError as error:
            if code_of(error) in _NO_LOCK:
                return None
            raise
    configuration = said.get("ObjectLockConfiguration") or {}
    if configuration.get("ObjectLockEnabled") != "Enabled":
        return None
    return dict((configuration.get("Rule") or {}).get("DefaultRetention") or {})


def _words(default: dict[str, Any]) -> str:
    if not default:
        return ""
    span = f"{default['Days']} days" if default.get("Days") else f"{default.get('Years')} years"
    return f"each new one is, for {span} ({str(default.get('Mode', '')).lower()})"


async def forget_versions(storage: Storage, key: str) -> None:
    """Remove every version of a file of ours, which a bucket that keeps versions would keep for ever, if we may."""
    from emdvc.history.storage.s3 import S3Storage

    if not isinstance(storage, S3Storage):
        return
    with suppress(EmdvcError):
        name = storage.named(key)["Key"]
        async with storage.asking("looking for versions"):
            found = await storage.client.list_object_versions(Bucket=storage.bucket, Prefix=name)
        for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
            async with storage.asking("removing a version"):
                await storage.client.delete_object(Bucket=storage.bucket, Key=name, VersionId=one["VersionId"])


async def free(storage: Storage) -> float | None:
    """Return the bytes that are free for us; None where the storage does not tell."""
    if storage.settings.scheme == "folder":
        return _free_on_disk(Path(storage.settings.url))
    asked: Any = getattr(storage, "space", None)
    if asked is None:
        return None
    try:
        found = await asked()
    except (EmdvcError, FileNotFoundError):
        return None
    return None if found is None else float(found[0])


def _free_on_disk(folder: Path) -> float | None:
    for place in (folder, folder.parent):
        if place.is_dir():
            return float(shutil.disk_usage(place).free)
    return None
