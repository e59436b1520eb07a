"""The same numbers as chunked, compressed Zarr: a step by name and parameters; the engine has a driver of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from emdvc.formats.zarr_codecs import named
from emdvc.steps import contract
from emdvc.steps.contract import Output, Step


def _words(value: Any) -> Any:
    if value is None:  # what `none` on the command line becomes
        return "none"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _lengths(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    if text not in ("auto", "none") and not all(part == "all" or (part.isdigit() and int(part)) for part in parts):
        raise ValueError("give a number or `all` for each dimension, as in 16,16,all,all")
    return ",".join(parts)


def _codec(text: str) -> str:
    named(text, 1)
    return text


#: Lengths along each dimension, slowest first.
Lengths = Annotated[str, BeforeValidator(_words), AfterValidator(_lengths)]
Codec = Annotated[str, BeforeValidator(_words), AfterValidator(_codec)]


class Convert(Step):
    """The same numbers as a Zarr 3 store whose chunks hold a small area of the scan, compressed.

    What a vendor's file holds frame after frame is cut into chunks of neighbouring probe positions, each compressed
    without loss; the whole scan then reads faster than from the vendor's file, takes a fraction of the space, and a
    change of some probe positions costs only their chunks. No number changes: the content digest of the result is
    compared with that of the input before the result appears. The record, the axes and the vendor's metadata stay with
    the input and hold for the result too.

    The same input gives the same bytes, for any number of threads, as long as the compressor is of the same release.
    The format is that of the Zarr 3 specification; the default layout was chosen by measurement.
    """

    name = "convert"
    version = 1
    summary = "the same numbers as chunked, compressed Zarr"
    core = ()
    gives = (Output("counts", ("y", "x", "ky", "kx"), "counts", title="the input's numbers"),)

    class Parameters(contract.Parameters):
        """How the numbers are stored."""

        chunks: Lengths = "auto"
        """Shape of a chunk, a number or `all` for each dimension, as in `16,16,all,all`; `auto`: whole frames of a
        square of probe positions, 2 MiB at most."""

        codec: Codec = "blosc-lz4"
        """How a chunk is compressed: `none`, `zstd-LEVEL`, or `blosc-CODEC-LEVEL` as in `blosc-lz4`, `blosc-zstd-3`."""

        shards: Lengths = "auto"
        """Shape of a file that holds many chunks, in the form of `chunks`; `none`: each chunk is a file; `auto`: that
        too, but for a scan of more than 4096 chunks."""

        layout: Literal["frame", "pixel"] = "frame"
        """Order of the numbers in a chunk: frame after frame, or of each detector pixel all probe positions."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: the numbers are stored as they are."""
        return ()
