"""A user's function with all that its decorator says: what it reads, takes and gives, and where it is found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import EmdvcError
from emdvc.steps import geometry, user_script
from emdvc.steps.contract import Input
from emdvc.steps.user_calibration import Calibration
from emdvc.steps.user_errors import code_of, failed
from emdvc.steps.user_parameters import Signature, UserParameters
from emdvc.steps.user_returns import Returns

Per = Literal["frame", "block", "whole"]
#: Where a definition is found in another process: path of the script, name of the function, digest of the script.
Address = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function that is a step.

    Parameters
    ----------
    function
        Plain, or compiled by numba.
    signature
        What it takes.
    returns
        What it gives.
    core
        Dimensions of a frame; of a step on whole arrays, dimensions that these have.
    per
        What it is called with: one frame, a block of frames, or whole arrays.
    metadata
        Keys that it reads whatever its parameters.
    arrays
        Names of the input's arrays that a step on whole arrays takes; empty for the main one.
    version
        Part of the result's provenance.
    """

    function: Callable[..., Any]
    signature: Signature
    returns: Returns
    core: tuple[str, ...]
    per: Per
    metadata: tuple[str, ...]
    arrays: tuple[str, ...]
    version: int

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.returns.name

    @property
    def code(self) -> CodeType:
        """The code of the function."""
        return code_of(self.function)

    @property
    def path(self) -> Path:
        """The script."""
        return Path(self.code.co_filename)

    @property
    def address(self) -> Address:
        """Where the definition is found in another process."""
        return str(self.path), self.name, user_script.digest_of(self.path)

    def keys(self, parameters: Any) -> tuple[str, ...]:
        """Return the metadata keys that are read: those that are named, and what the units of the parameters need."""
        groups = [self.metadata]
        if self.signature.calibration is not None:
            for name in self.signature.radii:
                radius = getattr(parameters, name)
                if radius is not None:
                    groups.append(geometry.metadata_for(geometry.radius_unit(radius), None))
            if any(getattr(parameters, name) is not None for name in self.signature.energies):
                groups.append(("axes.energy",))
        return geometry.union(*groups)

    def arguments(self, parameters: Any, source: Input) -> dict[str, Any]:
        """Return what the function is called with besides the data."""
        found = {name: getattr(parameters, name) for name in self.signature.model.model_fields if name != "negative"}
        for name in self.signature.references:
            if found[name] is not None:
                found[name] = read_only(next(iter(source.references[name].arrays.values())))
        if self.signature.calibration is not None:
            found[self.signature.calibration] = Calibration(source)
        return found

    def call(self, data: tuple[NDArray[Any], ...], arguments: Mapping[str, Any], where: Callable[[], str]) -> Any:
        """Call the function.

        Parameters
        ----------
        where
            Says what the data are; asked only when the function fails.

        Raises
        ------
        StepError
            It raised an exception: the error shows its lines.
        """
        try:
            return self.function(*data, **arguments)
        except (EmdvcError, MemoryError):  # emdvc's own words, as of a calibration that the record lacks
            raise
        except (Exception, SystemExit) as error:
            files = {str(path) for path in user_script.sources(self.path)}
            raise failed(f"{self.name} failed {where()}", error, files, self.code) from error


def restored(path: str, name: str, digest: str) -> Definition:
    """Return a definition in another process, where its script is loaded anew.

    Raises
    ------
    StepError
        The script is not the one that the run began with.
    """
    return definitions(user_script.load_exactly(Path(path), digest))[name]


def definitions(script: user_script.Script) -> dict[str, Definition]:
    """Return the steps that a script defines itself, by the names of their functions."""
    found = {}
    for value in vars(script.module).values():
        definition = getattr(value, "definition", None)
        if isinstance(definition, Definition) and definition.path == script.path:
            found[definition.name] = definition
    return found


def parameters_of(path: str, name: str, digest: str) -> type[UserParameters]:
    """Return the parameters of a step in another process."""
    return restored(path, name, digest).signature.model


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of an array that cannot be written to: other steps see the same memory."""
    view = array.view()
    view.flags.writeable = False
    return view


def made_up(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return frames of small positive counts, neither constant nor zero: a function shows on them what it gives."""
    counts = 1 + np.arange(int(np.prod(shape))) * 7 % 5
    return read_only(counts.astype(dtype).reshape(shape))
