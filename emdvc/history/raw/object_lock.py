"""Raw data on a remote that locks objects: nobody removes or overwrites it before its time, not even by mistake.

Object lock belongs to S3: a bucket made with it keeps every version of an object, and lets go of none before the day
that the object names. Governance mode is used: who runs the storage can still lift it, a user cannot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from emdvc.errors import Code
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.contract import Storage, fault
from emdvc.history.storage.remote import key_of, together
from emdvc.history.storage.trying import trying

_T = TypeVar("_T")

_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest", "NotImplemented")
#: A lock that runs out by so much earlier than asked for is not set anew: it was set today.
_SLACK = timedelta(days=1)


def lock(storage: Storage, md5s: Iterable[str], days: int) -> int:
    """Lock objects from now on for some days; return how many were not locked so long yet.

    Parameters
    ----------
    storage
        The remote's, open.
    md5s
        Objects that lie there.
    days
        That they are to stay.

    Raises
    ------
    EnvironmentFault
        The remote does not lock objects, or does not let us.
    """
    if not _can(storage) or not _enabled(storage):
        raise fault(
            storage.settings,
            "does not lock objects",
            "its bucket was made without object lock" if _can(storage) else "only S3 does",
            f"make a bucket with object lock, or take lock_days of {storage.settings.name} out of .emdvc/config.yaml",
            code=Code.REMOTE_PLACE,
        )
    until = datetime.now(UTC) + timedelta(days=days)

    async def one(key: str) -> bool:
        head = await _head(storage, key)
        held = head.get("ObjectLockRetainUntilDate")
        if held is not None and held >= until - _SLACK:
            return False
        s3: Any = storage
        async with s3.asking(f"locking {key}", key):
            retention = {"Mode": head.get("ObjectLockMode") or "GOVERNANCE", "RetainUntilDate": until}
            await s3.client.put_object_retention(**s3.named(key), Retention=retention)
        return True

    return sum(_each(storage, [key_of(md5) for md5 in dict.fromkeys(md5s)], one))


def locked(storage: Storage, keys: Iterable[str]) -> dict[str, str]:
    """Return those of some objects that the remote does not let go yet, and until when."""
    keys = list(keys)
    if not keys or not _can(storage) or not _enabled(storage):
        return {}

    async def one(key: str) -> tuple[str, str]:
        try:
            head = await _head(storage, key)
        except FileNotFoundError:
            return key, ""
        until = head.get("ObjectLockRetainUntilDate")
        if head.get("ObjectLockLegalHoldStatus") == "ON":
            return key, "by a legal hold"
        if until is not None and until > datetime.now(UTC):
            return key, f"until {until:%Y-%m-%d} ({str(head.get('ObjectLockMode')).lower()})"
        return key, ""

    return {key: said for key, said in _each(storage, keys, one) if said}


def brought_back(storage: Storage, md5s: Iterable[str]) -> list[str]:
    """Bring back objects that were removed from a bucket that keeps versions; return those that are there again.

    A removal there only puts a marker before the versions; without the marker the last of them is the object again.
    """
    if not _can(storage):
        return []
    s3: Any = storage

    async def one(md5: str) -> str | None:
        key = key_of(md5)
        named = s3.named(key)
        async with s3.asking(f"looking for versions of {key}"):
            said = await s3.client.list_object_versions(Bucket=named["Bucket"], Prefix=named["Key"])
        versions = [version for version in said.get("Versions", ()) if version["Key"] == named["Key"]]
        markers = [one for one in said.get("DeleteMarkers", ()) if one["Key"] == named["Key"]]
        if not versions or not any(one.get("IsLatest") for one in markers):
            return None
        for marker in markers:
            async with s3.asking(f"bringing back {key}"):
                await s3.client.delete_object(**named, VersionId=marker["VersionId"])
        return md5

    return [md5 for md5 in _each(storage, list(md5s), one) if md5]


def revive(project: Project, remotes: Iterable[str], md5s: Iterable[str]) -> dict[str, list[str]]:
    """Bring back objects on some remotes of a project; return remote -> what is there again."""
    from emdvc.history.collecting.place import remote_place

    md5s = list(md5s)
    found = {}
    for name in remotes:
        place = remote_place(project, name)
        if place.settings.scheme == "s3":
            try:
                found[name] = brought_back(place.storage(), md5s)
            finally:
                place.close()
    return {name: back for name, back in found.items() if back}


def _can(storage: Storage) -> bool:
    return storage.settings.scheme == "s3" and hasattr(storage, "client")


def _enabled(storage: Storage) -> bool:
    """Say whether the bucket locks objects; where we may not even ask, it does not for us."""
    from botocore.exceptions import ClientError

    from emdvc.history.storage.patience import patient

    s3: Any = storage

    async def asked() -> bool:
        # not by `asking`: that there is no such thing is an answer here, no fault
        async with patient(storage.settings, "asking for object lock"):
            try:
                said = await s3.client.get_object_lock_configuration(Bucket=s3.bucket)
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code"))
                if code in (*_NO_LOCK, "AccessDenied", "MethodNotAllowed", "404", "NoSuchKey"):
                    return False
                raise fault(
                    storage.settings,
                    "does not say whether it locks objects",
                    error,
                    f"emdvc remote check {storage.settings.name}",
                ) from error
        return bool(said.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")

    return loop.run(asked())


async def _head(storage: Storage, key: str) -> dict[str, Any]:
    s3: Any = storage
    async with s3.asking(f"looking for {key}", key):
        answer: dict[str, Any] = await s3.client.head_object(**s3.named(key), **s3.all_objects)
        return answer


def _each(storage: Storage, keys: list[str], work: Callable[[str], Awaitable[_T]]) -> list[_T]:
    found: list[_T] = []
    for start in range(0, len(keys), storage.parallel):
        part = keys[start : start + storage.parallel]
        found += loop.run(together([trying(partial(work, key)) for key in part]))
    return found
