"""Putting an object of an S3 service where there is none, by a condition that the service looks at."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from emdvc.errors import EmdvcError
from emdvc.history.storage.contract import InterruptedFault, fault
from emdvc.history.storage.creating import cannot_create
from emdvc.history.storage.s3_faults import code_of

if TYPE_CHECKING:
    from emdvc.history.storage.s3 import S3Storage

_THERE = frozenset({"PreconditionFailed", "412"})
_AT_ONCE = frozenset({"ConditionalRequestConflict", "409"})
_UNKNOWN = frozenset({"NotImplemented", "501", "InvalidArgument"})


async def created(storage: S3Storage, key: str, content: bytes, *, proven: bool) -> bool:
    """Put an object where there is none; return whether there was none.

    Parameters
    ----------
    storage
        The service.
    key
        Of the object.
    content
        Its bytes.
    proven
        Whether it is known already that the service looks at the condition. Else the object is put twice: a service
        that takes it twice does not look.

    Raises
    ------
    EnvironmentFault
        Among others: it does not look; then the object is removed again.
    """
    if not await _put(storage, key, content):
        return False
    if not proven and await _put(storage, key, content):
        with suppress(EmdvcError):
            await storage.remove(key)
        why = "the S3 service overwrites an object although it is told not to (If-None-Match)"
        raise cannot_create(storage.settings, why)
    return True


async def _put(storage: S3Storage, key: str, content: bytes) -> bool:
    from botocore.exceptions import ClientError

    digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    async with storage.asking(f"writing {key}"):
        try:
            await storage.client.put_object(
                **storage.named(key),
                Body=content,
                ContentLength=len(content),
                ContentMD5=digest,
                IfNoneMatch="*",
                **storage.new_objects,
                **storage.all_objects,
            )
        except ClientError as error:
            if code_of(error) in _THERE:
                return False
            if code_of(error) in _AT_ONCE:
                hint = "the same command tries again"
                raise fault(storage.settings, "is just taking it", error, hint, kind=InterruptedFault) from error
            if code_of(error) in _UNKNOWN:
                why = "the S3 service knows no conditions for what is put (If-None-Match)"
                raise cannot_create(storage.settings, why) from error
            raise
    return True
