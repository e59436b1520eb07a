"""Taking from an earlier run what did not change: of a block only its changed part is computed, the rest is put around.

Only for plans that give every output probe position by probe position: such a value depends on its frame alone, so that
it is the same whether its frame is read in a large block or in a small one.
"""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.engine.blocks import Blocks
from emdvc.engine.how import Earlier
from emdvc.formats.contract import Region
from emdvc.steps.contract import Partial, Plan


class Reuse:
    """What earlier runs gave for the plans of a pass.

    Parameters
    ----------
    plans
        The plans.
    earlier
        What an earlier run gave for each of them.
    blocks
        How the scan is cut.
    """

    def __init__(self, plans: Sequence[Plan], earlier: Sequence[Earlier], blocks: Blocks) -> None:
        self._pairs = tuple(zip(plans, earlier, strict=True))
        self._blocks = blocks

    @classmethod
    def of(cls, plans: Sequence[Plan], earlier: Sequence[Earlier | None], blocks: Blocks) -> Reuse | None:
        """Return what can be taken from earlier runs; None where one of the plans needs every frame anyway."""
        usable = [
            one
            for one, plan in zip(earlier, plans, strict=True)
            if one is not None and block_by_block(plan) and _fits(one, plan, blocks)
        ]
        return cls(plans, usable, blocks) if len(usable) == len(plans) else None

    def changed(self, region: Region) -> Region | None:
        """Return the part of a block that must be computed, whole groups of probe positions; None for nothing."""
        parts = [part for _, one in self._pairs if (part := one.changed(region)) is not None]
        if not parts:
            return None
        found = []
        for axis, (span, whole) in enumerate(zip(self._blocks.spans, region, strict=True)):
            low = min(part[axis].start for part in parts) - span.start
            high = max(part[axis].stop for part in parts) - span.start
            start, stop = low // span.factor * span.factor, -(-high // span.factor) * span.factor
            found.append(slice(span.start + start, min(span.start + stop, whole.stop)))
        return tuple(found)

    def block(self, region: Region, part: Region | None = None, computed: Sequence[Partial] = ()) -> list[Partial]:
        """Return what a block gives for each plan: what the earlier run has, and within it what was computed now.

        Parameters
        ----------
        region
            The block.
        part, computed
            The part of it that was computed, and what that gave for each plan; None for no part.
        """
        place = self._blocks.result(region)
        found = []
        for number, (plan, one) in enumerate(self._pairs):
            maps = {}
            for output in plan.outputs:
                array = one.arrays[output.name]
                values = array.read((*place, *(slice(0, n) for n in array.shape[len(place) :])))
                if part is not None:
                    inside = _inside(self._blocks.result(part), place)
                    values[inside] = computed[number].maps[output.name].reshape(values[inside].shape)
                maps[output.name] = values.reshape(-1, *values.shape[len(place) :])
            found.append(Partial(maps))
        return found


def block_by_block(plan: Plan) -> bool:
    """Say whether each block gives its part of every output, so that a changed block changes nothing else."""
    kind = type(plan)
    whole = kind.finish is not Plan.finish or kind.following is not Plan.following
    return not whole and all(output.per_probe and not output.ragged for output in plan.outputs)


def _fits(one: Earlier, plan: Plan, blocks: Blocks) -> bool:
    results = blocks.results
    return all(
        output.name in one.arrays and tuple(one.arrays[output.name].shape[: len(results)]) == results
        for output in plan.outputs
    )


def _inside(part: Region, whole: Region) -> Region:
    return tuple(
        slice(inner.start - outer.start, inner.stop - outer.start) for inner, outer in zip(part, whole, strict=True)
    )
