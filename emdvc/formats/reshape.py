"""What a person says about an open file: its scan shape, its dimensions, the signal that is meant."""

from __future__ import annotations

from dataclasses import replace

from emdvc.errors import Code, FormatError
from emdvc.formats.contract import Opened, ReadOptions, Variable
from emdvc.formats.dimensions import FileAxis, settle
from emdvc.formats.views import Reshaped
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.sidecar import calibrate

_DETECTOR = ("ky", "kx")


def apply(opened: Opened, options: ReadOptions) -> Opened:
    """Return an open file as the options say it is to be understood.

    Raises
    ------
    FormatError
        There is no such signal, the scan shape does not fit, or the dimensions are of the wrong number.
    """
    if options.signal is not None:
        opened = _choose(opened, options.signal)
    # dimensions may be said as they lie in the file (frame,ky,kx) or as they are with the scan shape (y,x,ky,kx)
    dims = options.dims
    if dims is not None and options.scan_shape is not None and len(dims) == len(opened.variables[0].dims) + 1:
        dims = ("frame", *dims[2:])
    if dims is not None:
        opened = _rename(opened, dims)
    if options.scan_shape is not None:
        opened = _scan(opened, options.scan_shape)
    if options.dims is not None and dims != options.dims:
        opened = _rename(opened, options.dims)
    return opened


def _choose(opened: Opened, signal: str) -> Opened:
    variable = opened.variable(signal)
    return replace(opened, variables=(variable,), axes={dim: opened.axes[dim] for dim in variable.dims})


def _scan(opened: Opened, scan_shape: tuple[int, int]) -> Opened:
    """Split the frames of the main array, and of every other array with the same frames, into a scan (ny, nx)."""
    main = opened.variables[0]
    lead = len(main.dims) - _core(main.dims)
    if lead not in (1, 2):
        raise FormatError(
            f"a scan shape cannot be given to an array with the dimensions {', '.join(main.dims)}",
            code=Code.SCAN_SHAPE,
            evidence=f"its shape is {main.array.shape}",
            hint="--dims frame,ky,kx (or frame,energy) says what it holds",
        )
    leading = main.dims[:lead]
    variables, axes = [], dict(opened.axes)
    for variable in opened.variables:
        if variable.dims[:lead] != leading:
            variables.append(variable)
            continue
        rest = variable.dims[lead:]
        if rest == ("y", "x"):  # frames of a scan are diffraction patterns
            for old, new in zip(("y", "x"), _DETECTOR, strict=True):
                axes[new] = Axis(
                    new, opened.axes[old].size, Role.DETECTOR, calibration=CALIBRATED_BY[Role.DETECTOR, new]
                )
            rest = _DETECTOR
        array = Reshaped(variable.array, scan_shape, lead)
        variables.append(replace(variable, dims=("y", "x", *rest), array=array))
    for dim, size in zip(("y", "x"), scan_shape, strict=True):
        axes[dim] = Axis(dim, size, Role.SCAN, calibration=CALIBRATED_BY[Role.SCAN, dim])
    return replace(opened, variables=tuple(variables), axes=_used(axes, variables))


def _core(dims: tuple[str, ...]) -> int:
    """Return how many trailing dimensions one frame has."""
    if dims[-1] in ("energy", "k"):
        return 1
    return min(2, len(dims) - 1)


def _rename(opened: Opened, dims: tuple[str, ...]) -> Opened:
    main = opened.variables[0]
    if len(dims) != len(main.dims) or len(set(dims)) != len(dims):
        raise FormatError(
            f"--dims {','.join(dims)} does not fit this array",
            evidence=f"it has {len(main.dims)} dimensions: {', '.join(main.dims)} {main.array.shape}",
            hint="name each of them once, slowest first",
        )
    if dims == main.dims:
        return opened
    new = dict(zip(main.dims, dims, strict=True))
    record = dict(opened.record)
    described = [_described(calibrate(opened.axes[dim], record)) for dim in main.dims]
    for key, section, name in (("scan.step", "scan", "step"), ("diffraction.pixel_size", "diffraction", "pixel_size")):
        # the step of an axis that is now something else is its own again
        if any(opened.axes[old].calibration == key and old != now for old, now in new.items()):
            record[section] = {k: v for k, v in record.get(section, {}).items() if k not in (name, "center")}
    axes = settle(dims, described, record)
    variables: list[Variable] = []
    for variable in opened.variables:
        if all(dim in new for dim in variable.dims):
            variables.append(replace(variable, dims=tuple(new[dim] for dim in variable.dims)))
        elif not set(variable.dims) & set(new) and not set(variable.dims) & set(dims):
            variables.append(variable)
            axes.update({dim: opened.axes[dim] for dim in variable.dims})
        else:
            raise FormatError(
                "--dims needs --signal where a file holds arrays of several kinds",
                code=Code.FORMAT_AMBIGUOUS,
                evidence=f"{variable.name} has the dimensions {', '.join(variable.dims)}",
                hint=f"--signal {main.name}",
            )
    return replace(opened, variables=tuple(variables), axes=axes, record=record)


def _described(axis: Axis) -> FileAxis:
    if axis.values is not None:
        return FileAxis(axis.size, unit=axis.unit, values=tuple(float(v) for v in axis.values.values))
    if axis.scale is None:
        return FileAxis(axis.size)
    start, _ = axis.extent()
    return FileAxis(axis.size, scale=float(axis.scale.values[0]), offset=start, unit=axis.unit)


def _used(axes: dict[str, Axis], variables: list[Variable]) -> dict[str, Axis]:
    used = {dim for variable in variables for dim in variable.dims}
    return {dim: axis for dim, axis in axes.items() if dim in used}
