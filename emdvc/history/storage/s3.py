"""A remote that is an S3 service: AWS, Ceph, MinIO, or whatever a facility runs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage.contract import (
    Advance,
    InterruptedFault,
    RemoteSettings,
    Stat,
    fault,
    not_its_name,
    not_kept,
    time_of,
    too_short,
    unseen,
)
from emdvc.history.storage.patience import patient
from emdvc.history.storage.s3_client import client_of, for_all_objects, for_new_objects, place
from emdvc.history.storage.s3_creating import created
from emdvc.history.storage.s3_faults import code_of, faults, no_s3
from emdvc.history.storage.s3_multipart import FROM, PartedUpload
from emdvc.history.storage.stream import FilePart, append

#: Up to here an object is sent from memory in one go: without the question whether the server is ready for it.
_FROM_MEMORY = 1 << 20


class S3Storage:
    """Objects of a bucket below a prefix."""

    parallel = 16

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self.bucket, self._prefix = place(settings)
        self.new_objects = for_new_objects(settings)
        self.all_objects = for_all_objects(settings)
        self.client: Any = None
        self._stack: AsyncExitStack | None = None
        jobs = settings.options.get("jobs", "")
        self._connections = max(self.parallel, int(jobs) if jobs.isdigit() else 0)
        self._room = asyncio.Semaphore(self._connections)
        self._looks_at_conditions = False

    async def open(self) -> None:
        """Find the keys and ask the service for its first object: whatever is wrong shows here, with its name."""
        stack = AsyncExitStack()
        try:
            with faults(self.settings, "connecting"):
                self.client = await client_of(self.settings, self._connections, stack)
            answer = await self._first()
        except BaseException:
            await stack.aclose()
            raise
        if answer is not None and "Name" not in answer:
            await stack.aclose()
            raise no_s3(self.settings, "its list of objects has not the form of S3")
        self._stack = stack

    async def close(self) -> None:
        """Let the connections go."""
        stack, self._stack, self.client = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    @asynccontextmanager
    async def asking(self, doing: str, key: str | None = None) -> AsyncIterator[Callable[[], None]]:
        """Yield what is called whenever something moved, while a request is under way.

        Parameters
        ----------
        doing
            What for: ``reading files/md5/ab/cd``.
        key
            Where given, an answer that there is no such object is FileNotFoundError.
        """
        async with self._room, patient(self.settings, doing) as alive:
            with faults(self.settings, doing, key):
                yield alive

    def named(self, key: str) -> dict[str, str]:
        """Return what names an object in a request."""
        return {"Bucket": self.bucket, "Key": self._prefix + key}

    async def stat(self, key: str) -> Stat | None:
        """Ask for the head of an object."""
        try:
            async with self.asking(f"looking for {key}", key):
                answer = await self.client.head_object(**self.named(key), **self.all_objects)
        except FileNotFoundError:
            return None
        version = answer.get("VersionId")
        return Stat(
            int(answer["ContentLength"]),
            mark(answer),
            answer["LastModified"].timestamp() if answer.get("LastModified") else None,
            None if version == "null" else version,
        )

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every object below a folder, by pages of usually 1000."""
        top = self._prefix + (f"{folder.strip('/')}/" if folder.strip("/") else "")
        found: dict[str, Stat] = {}
        more: dict[str, str] = {}
        while True:
            async with self.asking(f"listing {folder}"):
                answer = await self.client.list_objects_v2(Bucket=self.bucket, Prefix=top, **more)
            for entry in answer.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # a folder, as some clients make them
                    key = entry["Key"].removeprefix(self._prefix)
                    found[key] = Stat(int(entry["Size"]), mark(entry), entry["LastModified"].timestamp())
            if not answer.get("IsTruncated") or not answer.get("NextContinuationToken"):
                return found
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of an object by one request."""
        last = "" if stop is None else str(max(stop, start + 1) - 1)
        span = None if start == 0 and stop is None else f"bytes={start}-{last}"
        content = bytearray()
        async with self._getting(key, span) as (_, pieces):
            async for piece in pieces:
                content += piece
        if stop is not None:
            if len(content) < stop - start:
                raise too_short(self.settings, key, start + len(content), stop)
            del content[max(0, stop - start) :]
        return bytes(content)

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch an object into a file, from where the file ends."""
        held = target.stat().st_size if target.exists() else 0
        async with self._getting(key, f"bytes={held}-" if held else None) as (alive, pieces):
            await append(target, pieces, alive, advance)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Put a file: small ones in one request with their md5, large ones in parts."""
        size = source.stat().st_size
        if size >= FROM:
            await PartedUpload(self, source, key, size, md5, advance).run()
            return
        content, digest = await asyncio.to_thread(_content, source)
        if md5 is not None and digest.hex() != md5:
            raise not_its_name(source, digest.hex(), md5)
        async with self.asking(f"writing {key}") as alive:

            def moved(count: int) -> None:
                alive()
                advance(count)

            body: bytes | FilePart = FilePart(source, 0, size, moved) if content is None else content
            try:
                answer = await self.client.put_object(
                    **self.named(key),
                    Body=body,
                    ContentLength=size,
                    ContentMD5=base64.b64encode(digest).decode(),
                    **self.new_objects,
                    **self.all_objects,
                )
            finally:
                if isinstance(body, FilePart):
                    body.close()
        if content is not None:
            advance(size)
        await self.compare(key, size, digest.hex(), mark(answer))

    async def create(self, key: str, content: bytes) -> bool:
        """Put a small object where there is none, by a condition; not every service looks at it."""
        made = await created(self, key, content, proven=self._looks_at_conditions)
        self._looks_at_conditions |= made
        return made

    async def clock(self) -> float | None:
        """Return the service's time, in seconds since 1970; None where it does not say."""
        async with self.asking("asking for the time"):
            answer = await self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        return time_of(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))

    async def remove(self, key: str) -> None:
        """Remove an object; in a bucket that keeps versions, older ones stay."""
        async with self.asking(f"removing {key}"):
            await self.client.delete_object(**self.named(key))

    async def compare(self, key: str, size: int, sent: str, kept: str | None) -> None:
        """See that what was sent lies there now.

        Parameters
        ----------
        key, size
            The object.
        sent
            The mark that it has where a mark is the md5 of the bytes.
        kept
            The mark that the service gave it. The bytes had their md5 with them: where the mark is another one, as that
            of encrypted objects is, only the size is left to compare.

        Raises
        ------
        InterruptedFault
            It does not.
        """
        if kept == sent:
            return
        found = await self.stat(key)
        if found is None or found.size != size:
            raise not_kept(self.settings, key, found, size)

    async def _first(self) -> dict[str, Any] | None:
        """Return the answer to a request for the first object; None where we may not list, only read perhaps."""
        try:
            async with self.asking("looking into the bucket"):
                answer: dict[str, Any] = await self.client.list_objects_v2(
                    Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1
                )
                return answer
        except EnvironmentFault as error:
            if error.code is Code.REMOTE_REFUSED and "AccessDenied" in str(error.evidence):
                return None
            raise

    @asynccontextmanager
    async def _getting(
        self, key: str, span: str | None
    ) -> AsyncIterator[tuple[Callable[[], None], AsyncIterator[bytes]]]:
        """Ask for (a span of) the bytes of an object and yield them as they arrive; none where it ends before them."""
        from botocore.exceptions import ClientError

        async with self.asking(f"reading {key}", key) as alive:
            asked = {} if span is None else {"Range": span}
            try:
                answer = await self.client.get_object(**self.named(key), **asked, **self.all_objects)
            except ClientError as error:
                if code_of(error) not in ("InvalidRange", "416"):
                    raise
                yield alive, _nothing()
                return
            skip = 0
            if span is not None and answer["ResponseMetadata"]["HTTPStatusCode"] == 200:  # spans are not known there
                skip = int(span.removeprefix("bytes=").split("-")[0])
            async with answer["Body"] as body:
                yield alive, self._pieces(key, body.raw_stream.content, int(answer["ContentLength"]), skip, alive)

    async def _pieces(
        self, key: str, content: Any, size: int, skip: int, alive: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        arrived = 0
        async for piece in content.iter_any():
            alive()
            before, arrived = arrived, arrived + len(piece)
            if arrived > skip:
                yield piece[max(0, skip - before) :]
        if arrived != size:
            raise fault(
                self.settings,
                "broke off in the middle of an object",
                f"{key}: {arrived} of {size} bytes arrived",
                f"the same command goes on; or: emdvc remote check {self.settings.name}",
                kind=InterruptedFault,
            )


def mark(answer: dict[str, Any]) -> str | None:
    """Return the service's mark of an object (its ETag) without the quotes."""
    found = answer.get("ETag")
    return str(found).strip('"') if found else None


def _content(source: Path) -> tuple[bytes | None, bytes]:
    """Return a file's content, where it is small enough to be sent from memory, and its md5."""
    with source.open("rb") as file:
        content = file.read(_FROM_MEMORY + 1)
        digest = hashlib.md5(content, usedforsecurity=False)
        if len(content) <= _FROM_MEMORY:
            return content, digest.digest()
        while piece := file.read(_FROM_MEMORY):
            digest.update(piece)
    return None, digest.digest()


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece
