"""A Zarr store, its picture and its sidecar, written aside and put in place at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from emdvc.errors import Code, ConflictError
from emdvc.formats import publishing, zarr_writer
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.stored_array import StoredArray
from emdvc.model.axis import INHERITED
from emdvc.model.sidecar import Sidecar, VariableInfo


class StoreFiles:
    """The files of a store that replaces whatever was there before, or appears not at all.

    Parameters
    ----------
    path
        Where the store goes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = path

    def check(self, source: Path) -> None:
        """Check that nothing is lost when the store is written.

        Raises
        ------
        ConflictError
            The place belongs to the source, to raw data, or to something that is no Zarr store.
        """
        evidence = None
        if _overlap(self.path, source):
            evidence = f"it would replace {source}, which is read"
        elif self.path.with_name(f"{self.path.name}.dvc").exists():
            evidence = f"{self.path}.dvc tracks it: it is raw data"
        elif self.path.exists() and not (self.path / "zarr.json").is_file():
            evidence = "it exists and holds no zarr.json: emdvc did not write it"
        if evidence is not None:
            raise ConflictError(
                f"{self.path} cannot be written", code=Code.RAW_EXISTS, evidence=evidence, hint="give another OUTPUT"
            )

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield the folder to write the store into; what is not published is removed at the end."""
        with publishing.writing(self.path) as store:
            self._store = zarr_writer.create_group(store)
            yield store

    def describe(self, opened: Opened) -> None:
        """Write the record and the coordinates into the store too, for what reads no sidecar."""
        from emdvc.formats.dataset import attributes

        store = self._store
        shutil.rmtree(store)
        zarr_writer.create_group(store, {"emdvc": {"record": attributes(opened.record)}})
        used = {dim for variable in opened.variables for dim in variable.dims}
        names = {variable.name for variable in opened.variables}
        for dim, axis in sorted(opened.axes.items()):
            if dim in used and dim not in names:
                import numpy as np

                coordinates = np.asarray(axis.coordinates(), dtype="f8")
                zarr_writer.write_array(store / dim, coordinates, (dim,), {"units": axis.unit})

    def publish(self, sidecar: Sidecar, picture: bytes | None) -> None:
        """Put everything in place."""
        publishing.publish(self.path, sidecar, picture)


def converted_sidecar(
    out: Path,
    opened: Opened,
    stored: Sequence[StoredArray],
    digests: Sequence[str],
    provenance: Mapping[str, Any],
    source: Path | None,
) -> Sidecar:
    """Return the sidecar of a dataset that was stored anew.

    Parameters
    ----------
    out
        Where it lies.
    opened, stored, digests
        The dataset, how its arrays are stored, and their content digests.
    provenance
        How it came to be.
    source
        The data whose sidecar holds for it too; without one it says everything itself.
    """
    from emdvc.formats.describe import describe

    said = describe(opened, options=ReadOptions(), files=[], digests={})
    variables = {
        array.path: VariableInfo(array.dims, array.shape, array.dtype.name, digest, array.unit)
        for array, digest in zip(stored, digests, strict=True)
    }
    whole = replace(said, source={}, variables=variables, main=stored[0].path, provenance=dict(provenance))
    if source is None:
        return whole
    return replace(
        whole,
        record={},
        vendor={},
        axes={dim: replace(axis, calibration=axis.calibration or INHERITED) for dim, axis in opened.axes.items()},
        inherits=os.path.relpath(source, out.parent).replace(os.sep, "/"),
    )


def _overlap(first: Path, second: Path) -> bool:
    one, other = first.absolute().resolve(), second.absolute().resolve()
    return one == other or one in other.parents or other in one.parents
