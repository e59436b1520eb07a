from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from emdvc.formats import sidecar as files
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar
from emdvc.testing import strategies

# the isolation of git and DVC is per test, not per example, and need not be more
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@relaxed
@given(strategies.sidecars())
def test_a_sidecar_survives_its_file(sidecar: Sidecar) -> None:
    text = files.dump_yaml(sidecar.to_dict())
    again = files.parse(text)
    assert files.dump_yaml(again.to_dict()) == text
    assert again.axes == sidecar.axes
    assert again.variables == sidecar.variables


@relaxed
@given(strategies.records())
def test_records_pass_the_check(record: rec.Record) -> None:
    rec.check(record)
    assert {key for key, value in rec.leaves(record) if not isinstance(value, dict)} <= _keys_and_below(record)


def _keys_and_below(record: rec.Record) -> set[str]:
    return {key for key, _ in rec.leaves(record) if any(key == k or key.startswith(f"{k}.") for k in rec.BY_KEY)}


@relaxed
@given(strategies.quantities())
def test_a_quantity_is_the_same_in_every_unit_of_its_kind(quantity: Quantity) -> None:
    group = next(units for units in strategies.UNITS if quantity.unit in units)
    assert all(quantity.same(quantity.to(unit)) for unit in group)


@relaxed
@given(strategies.scans(highest=300))
def test_scans_hold_what_was_asked_for(scan: NDArray[np.unsignedinteger]) -> None:
    assert scan.ndim == 4
    assert scan.dtype.kind == "u"
    assert scan.max() <= 300
