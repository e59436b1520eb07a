"""Sending a large file to an S3 service in parts: side by side, and going on where a broken try has ended.

The service itself remembers what has arrived; nothing is noted here. Parts are cut by the size of the file alone, so
that any client, on any machine, cuts them alike: an unfinished upload of the same key is gone on with, whoever began
it. Two clients that send the same object at once may therefore share an upload. Neither can spoil the other's, since
each part is accepted only with its md5; whoever comes too late to finish finds the object there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import Advance, InterruptedFault, fault, not_its_name
from emdvc.history.storage.s3_client import marks_are_md5
from emdvc.history.storage.s3_faults import code_of
from emdvc.history.storage.stream import FilePart
from emdvc.history.workspace.hashing import file_md5

if TYPE_CHECKING:
    from emdvc.history.storage.s3 import S3Storage

#: Bytes from which a file is sent in parts.
FROM = 64 << 20
#: Bytes of a part, and how many parts an object may have: a larger file has larger parts.
_PART = 16 << 20
_MOST_PARTS = 8000
#: Parts of one file that are sent side by side.
_SIDE_BY_SIDE = 8
#: Unfinished uploads of one key that are looked at.
_LOOKED_AT = 5
#: Answers to finishing an upload of which a part is not what we took it for.
_BAD_PART = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


def part_size(size: int) -> int:
    """Return how many bytes each part of a file has, the last one excepted."""
    part = _PART
    while part * _MOST_PARTS < size:
        part *= 2
    return part


@dataclass(frozen=True, slots=True)
class _Kept:
    """A part that the service has."""

    size: int
    mark: str


class _GoneError(Exception):
    """The upload is no more, somebody finished it or gave it up; or it cannot be finished as it is."""


class PartedUpload:
    """One file on its way.

    Parameters
    ----------
    storage
        Open.
    source, key, size
        The file, its place and its bytes.
    md5
        That it must have; None where unknown.
    advance
        Called with the bytes that were sent; parts that were there already are not counted.
    """

    def __init__(
        self, storage: S3Storage, source: Path, key: str, size: int, md5: str | None, advance: Advance
    ) -> None:
        self._storage = storage
        self._source = source
        self._key = key
        self._size = size
        self._md5 = md5
        self._advance = advance
        self._part = part_size(size)
        self._count = -(-size // self._part)
        self._digests: dict[int, bytes] = {}

    async def run(self) -> None:
        """Send the file.

        Raises
        ------
        EnvironmentFault
            It did not arrive; what did arrive of it is gone on with at the next try.
        """
        hashing = asyncio.ensure_future(self._hashed())
        try:
            for _ in range(3):
                try:
                    await self._once(hashing)
                except _GoneError:
                    if not await self._finished():
                        continue  # with a new one
                await self._tidy()
                return
        finally:
            hashing.cancel()
            await asyncio.gather(hashing, return_exceptions=True)
        raise fault(
            self._storage.settings,
            "gave up our upload each time",
            f"{self._key}: NoSuchUpload",
            "does somebody else remove unfinished uploads there? then try again later",
            kind=InterruptedFault,
        )

    async def _once(self, hashing: asyncio.Future[str | None]) -> None:
        upload, kept = await self._begun()
        marks = await self._send_parts(upload, kept)
        found = await hashing
        if self._md5 is not None and found != self._md5:
            await self._abort(upload)
            raise not_its_name(self._source, str(found), self._md5)
        await self._complete(upload, marks)

    async def _hashed(self) -> str | None:
        return None if self._md5 is None else await asyncio.to_thread(file_md5, str(self._source))

    async def _begun(self) -> tuple[str, dict[int, _Kept]]:
        """Return the upload to go on with and the parts that it has; a new one where there is none."""
        best: tuple[str, dict[int, _Kept]] | None = None
        for upload in (await self._unfinished())[:_LOOKED_AT]:
            with suppress(_GoneError):
                kept = await self._kept(upload)
                if best is None or len(kept) > len(best[1]):
                    best = upload, kept
        if best is not None:
            return best
        storage = self._storage
        async with storage.asking(f"writing {self._key}"):
            answer = await storage.client.create_multipart_upload(
                **storage.named(self._key), **storage.new_objects, **storage.all_objects
            )
        return answer["UploadId"], {}

    async def _unfinished(self) -> list[str]:
        """Return the unfinished uploads of the key, the newest first; none where we may not know."""
        storage, named = self._storage, self._storage.named(self._key)
        try:
            async with storage.asking(f"looking for unfinished uploads of {self._key}"):
                answer = await storage.client.list_multipart_uploads(Bucket=named["Bucket"], Prefix=named["Key"])
        except InterruptedFault:
            raise
        except EnvironmentFault:
            return []
        ours = [each for each in answer.get("Uploads", ()) if each["Key"] == named["Key"]]
        ours.sort(key=lambda each: each["Initiated"], reverse=True)
        return [each["UploadId"] for each in ours]

    async def _kept(self, upload: str) -> dict[int, _Kept]:
        more, found = dict[str, Any](), dict[int, _Kept]()
        while True:
            try:
                answer = await self._told("list_parts", f"looking for parts of {self._key}", UploadId=upload, **more)
            except InterruptedFault:
                raise
            except EnvironmentFault:
                return {}
            for each in answer.get("Parts", ()):
                found[int(each["PartNumber"])] = _Kept(int(each["Size"]), str(each["ETag"]).strip('"'))
            if not answer.get("IsTruncated") or not answer.get("Parts"):
                return found
            more = {"PartNumberMarker": answer["NextPartNumberMarker"]}

    async def _send_parts(self, upload: str, kept: dict[int, _Kept]) -> dict[int, str]:
        """Send what is missing; at a failure, those under way come to their end, so that they are not sent again."""
        numbers, marks, failed = iter(range(1, self._count + 1)), dict[int, str](), list[Exception]()

        async def one_after_another() -> None:
            for number in numbers:
                try:
                    marks[number] = await self._send_part(upload, number, kept.get(number))
                except (EmdvcError, _GoneError, OSError) as error:
                    failed.append(error)
                if failed:
                    return

        work = [asyncio.ensure_future(one_after_another()) for _ in range(min(_SIDE_BY_SIDE, self._count))]
        try:
            await asyncio.gather(*work)
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        if failed:
            raise failed[0]
        return marks

    async def _send_part(self, upload: str, number: int, kept: _Kept | None) -> str:
        storage, digest, (start, size) = self._storage, await self._digest(number), self._span(number)
        if kept is not None and kept.size == size and self._is_ours(kept, digest):
            return kept.mark
        doing = f"writing {self._key}, part {number} of {self._count}"
        async with storage.asking(doing) as alive:

            def moved(count: int) -> None:
                alive()
                self._advance(count)

            body = FilePart(self._source, start, size, moved)
            try:
                answer = await self._unless_gone(
                    storage.client.upload_part(
                        **storage.named(self._key),
                        UploadId=upload,
                        PartNumber=number,
                        Body=body,
                        ContentLength=size,
                        ContentMD5=base64.b64encode(digest).decode(),
                        **storage.all_objects,
                    )
                )
            finally:
                body.close()
        return str(answer["ETag"]).strip('"')

    def _span(self, number: int) -> tuple[int, int]:
        """Return where a part begins and how long it is."""
        start = (number - 1) * self._part
        return start, min(self._part, self._size - start)

    async def _digest(self, number: int) -> bytes:
        if number not in self._digests:
            self._digests[number] = await asyncio.to_thread(_part_md5, self._source, *self._span(number))
        return self._digests[number]

    def _is_ours(self, kept: _Kept, digest: bytes) -> bool:
        """Return whether a part that the service has is that of our file."""
        if kept.mark == digest.hex():
            return True
        # the mark of an encrypted part says nothing; the key does, where it is the md5 of the content
        return self._md5 is not None and not marks_are_md5(self._storage.settings)

    async def _complete(self, upload: str, marks: dict[int, str]) -> None:
        parts = [{"PartNumber": number, "ETag": f'"{marks[number]}"'} for number in sorted(marks)]
        try:
            answer = await self._told(
                "complete_multipart_upload", f"finishing {self._key}", UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except _GoneError as error:
            if str(error) in _BAD_PART:
                await self._abort(upload)
            raise
        await self._storage.compare(self._key, self._size, self._mark(), str(answer.get("ETag") or "").strip('"'))

    def _mark(self) -> str:
        """Return the mark of the whole, as most services make it: the md5 of the parts' md5s, and their number."""
        digests = b"".join(self._digests[number] for number in sorted(self._digests))
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{self._count}"

    async def _finished(self) -> bool:
        """Return whether somebody else has brought the same object there meanwhile."""
        found = await self._storage.stat(self._key)
        if found is None or found.size != self._size:
            return False
        for number in range(1, self._count + 1):
            await self._digest(number)
        return found.etag == self._mark() or not marks_are_md5(self._storage.settings)

    async def _tidy(self) -> None:
        """Give up older uploads of the object, which is there now; their parts cost room."""
        with suppress(EmdvcError):
            for upload in await self._unfinished():
                await self._abort(upload)

    async def _abort(self, upload: str) -> None:
        with suppress(EmdvcError, _GoneError):
            await self._told("abort_multipart_upload", f"giving up {self._key}", UploadId=upload)

    async def _told(self, operation: str, doing: str, **said: Any) -> dict[str, Any]:
        """Return the answer to a request about the upload.

        Raises
        ------
        _GoneError
            It is no more, or cannot be finished as it is.
        """
        storage = self._storage
        async with storage.asking(doing):
            return await self._unless_gone(getattr(storage.client, operation)(**storage.named(self._key), **said))

    async def _unless_gone(self, request: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = await request
        except ClientError as error:
            if code_of(error) in ("NoSuchUpload", *_BAD_PART):
                raise _GoneError(code_of(error)) from error
            raise
        return answer


def _part_md5(source: Path, start: int, size: int) -> bytes:
    """Return the md5 of a part of a file.

    Raises
    ------
    EnvironmentFault
        The file ends before.
    """
    digest, left = hashlib.md5(usedforsecurity=False), size
    with source.open("rb") as file:
        file.seek(start)
        while left and (piece := file.read(min(1 << 20, left))):
            digest.update(piece)
            left -= len(piece)
    if left:
        raise EnvironmentFault(
            f"{source.name} became shorter while it was sent",
            code=Code.SOURCE_CHANGED,
            evidence=f"it ends before byte {start + size}",
            hint="let the program that writes it finish, then try again",
        )
    return digest.digest()
