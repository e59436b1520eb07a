"""``xarray.open_dataset(path, engine="emdvc")``: every format that emdvc reads, as an xarray backend."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from xarray.backends import BackendEntrypoint

from emdvc.formats import dataset, registry
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions

if TYPE_CHECKING:
    import xarray as xr


class EmdvcBackend(BackendEntrypoint):
    """Electron-microscopy files, and whatever emdvc has under version control."""

    description = "Electron-microscopy files of any instrument, with calibrated dimensions and metadata"
    url = "https://docs.xarray.dev/en/stable/user-guide/io.html"
    open_dataset_parameters = (
        "filename_or_obj",
        "drop_variables",
        "rev",
        "repo",
        "remote",
        "signal",
        *(field.name for field in fields(ReadOptions) if field.name not in ("signal", "store")),
    )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Say whether the file has a sidecar, or an extension that only emdvc reads (other engines keep theirs)."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        data, inner = dataset.locate(os.fspath(filename_or_obj))
        if inner is not None or sidecars.path_of(data).is_file():
            return True
        shared = {".h5", ".hdf5", ".nxs", ".hdf", ".he5", ".zarr", ".nc"}
        suffix = data.suffix.lower()
        return suffix not in shared and any(suffix in info.extensions for info in registry.readers())

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        rev: str | None = None,
        repo: str | None = None,
        remote: str | None = None,
        signal: str | None = None,
        **options: Any,
    ) -> xr.Dataset:
        """Open a dataset; `options` are the fields of :class:`emdvc.formats.contract.ReadOptions`.

        Parameters
        ----------
        filename_or_obj
            A path, as for :func:`emdvc.formats.dataset.open_dataset`, or a dataset that is meant already.
        rev, repo, remote, signal
            As there.
        drop_variables
            Arrays to leave out.

        Raises
        ------
        UsageError, ProjectError, DataMissingError, FormatError, MetadataError, EnvironmentFault
            As :func:`emdvc.formats.dataset.open_dataset`.
        """
        if isinstance(filename_or_obj, str | os.PathLike):
            path, said = os.fspath(filename_or_obj), read_options(options)
            source = dataset.recorded_source(path, rev=rev, repo=repo, remote=remote, options=said, signal=signal)
            source = source or dataset.Source(path, said, signal)
        else:
            source = filename_or_obj
        opened = dataset.as_dataset(source)
        if drop_variables is not None:
            names = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables)
            opened = opened.drop_vars(names, errors="ignore")
        return opened


def read_options(said: dict[str, Any]) -> ReadOptions | None:
    """Return the options that keyword arguments say; None when there are none, so that the sidecar's hold."""
    given = {key: value for key, value in said.items() if value is not None}
    return ReadOptions.from_dict(given) if given else None
