"""Taking masks out of a plan where the item rule already answers them.

A row that a query returns satisfies one of the rules in its ``rows`` condition. A mask that lists at least those rules
is therefore always true for it, and would only cost time and keep indexes from serving ``sort``.
"""

from __future__ import annotations

from dataclasses import replace

from tabulary.items.conditions import AllOf, AnyOf, Compare, Condition, Member, Step, Target
from tabulary.items.plan import Grouping, Node, Order, Output


def pruned(node: Node) -> Node:
    """The same plan without masks that every visible row of the node satisfies."""
    if node.rows is None:
        return node
    known = _Known(node.rows)
    return replace(
        node,
        outputs=tuple(known.output(output) for output in node.outputs),
        filter=None if node.filter is None else known.condition(node.filter),
        searchable=tuple((field, known.mask(mask)) for field, mask in node.searchable),
        order=tuple(Order(known.target(entry.target), entry.descending) for entry in node.order),
        grouping=None if node.grouping is None else known.grouping(node.grouping),
    )


class _Known:
    """What holds for every visible row: one of these rules."""

    def __init__(self, rows: Condition) -> None:
        self.rules = _alternatives(rows)

    def mask(self, mask: Condition | None) -> Condition | None:
        """None when the mask is satisfied anyway."""
        if mask is None:
            return None
        allowed = _alternatives(mask)
        # By identity first: a plan resolves each rule once, and comparing all with all grows with policies squared.
        same = set(map(id, allowed))
        return None if all(id(rule) in same or rule in allowed for rule in self.rules) else mask

    def output(self, output: Output) -> Output:
        return output if output.mask is None else replace(output, mask=self.mask(output.mask))

    def target(self, target: Target) -> Target:
        if not target.steps:
            return target if target.mask is None else replace(target, mask=self.mask(target.mask))
        return replace(target, steps=self.steps(target.steps))

    def steps(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Only the first step leaves from the row itself."""
        return steps if not steps else (replace(steps[0], mask=self.mask(steps[0].mask)), *steps[1:])

    def condition(self, condition: Condition) -> Condition:
        if isinstance(condition, Compare):
            return replace(condition, target=self.target(condition.target))
        if isinstance(condition, Member):
            if condition.steps:
                return replace(condition, steps=self.steps(condition.steps))
            return replace(condition, child=replace(condition.child, mask=self.mask(condition.child.mask)))
        children = tuple(self.condition(child) for child in condition.children)
        return AllOf(children) if isinstance(condition, AllOf) else AnyOf(children)

    def grouping(self, grouping: Grouping) -> Grouping:
        return replace(
            grouping,
            groups=tuple((key, self.target(target)) for key, target in grouping.groups),
            aggregates=tuple(
                a if a.target is None else replace(a, target=self.target(a.target)) for a in grouping.aggregates
            ),
        )


def _alternatives(condition: Condition) -> tuple[Condition, ...]:
    return condition.children if isinstance(condition, AnyOf) else (condition,)
