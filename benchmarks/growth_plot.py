"""A small SVG of lines on two logarithmic axes, readable on light and dark pages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 178, 34, 42
COLOURS = ("#2f7ed8", "#d9822b", "#3a9d5d", "#c2475c", "#8a63c9", "#12939a", "#9a7d2e")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.g{stroke:#8884}.t{font-size:13px;font-weight:600}"
    "path{fill:none;stroke-width:2}.d{stroke-dasharray:3 4;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)
Line = tuple[str, Sequence[float], Sequence[float], Sequence[float]]
"""Name, sizes, our cost, the database's."""


def plot(title: str, lines: Sequence[Line]) -> str:
    """The picture. Solid: our CPU time, dashed in the same colour: the database's."""
    sizes = lines[0][1]
    costs = [value for _, _, ours, _ in lines for value in ours]
    costs += [value for _, _, ours, database in lines if matters(ours, database) for value in database]
    low, high = max(-2, math.floor(math.log10(min(costs)))), math.ceil(math.log10(max(costs)))

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])

    def y(cost: float) -> float:
        place = (math.log10(max(cost, 10**low)) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * place

    def path(costs: Sequence[float]) -> str:
        return "M" + "L".join(f"{x(s):.0f},{y(c):.1f}" for s, c in zip(sizes, costs, strict=True))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>CPU time a request by {escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{LEFT}" y="18" class="t">CPU ms a request by {escape(title)}</text>',
        f'<text x="{WIDTH - 8}" y="18" text-anchor="end">solid: Tabulary · dashed: PostgreSQL</text>',
    ]
    for power in range(low, high + 1):
        height = y(10.0**power)
        parts.append(f'<path class="g" d="M{LEFT},{height:.0f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{height + 4:.0f}" text-anchor="end">{10.0**power:g}</text>')
    for size in sizes:
        parts.append(f'<text x="{x(size):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(size)}</text>')
    places = spread([y(ours[-1]) for _, _, ours, _ in lines])
    for (name, _, ours, database), colour, place in zip(lines, COLOURS, places, strict=False):
        parts.append(f'<path stroke="{colour}" d="{path(ours)}"/>')
        if matters(ours, database):
            parts.append(f'<path class="d" stroke="{colour}" d="{path(database)}"/>')
        label = f'x="{WIDTH - RIGHT + 10}" y="{place + 4:.0f}"'
        parts.append(f'<text {label} style="fill:{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def matters(ours: Sequence[float], database: Sequence[float]) -> bool:
    """Whether the database does anything for it: a line of next to nothing would only show noise."""
    return max(database) > 0.02 * max(ours)


def spread(places: Sequence[float], distance: float = 15) -> list[float]:
    """The places of labels, moved apart where they would lie on one another."""
    found = list(places)
    order = sorted(range(len(found)), key=found.__getitem__)
    for above, below in itertools.pairwise(order):
        found[below] = max(found[below], found[above] + distance)
    over = max(0.0, max(found) - (HEIGHT - BOTTOM))
    return [place - over for place in found]


def short(size: float) -> str:
    """1,000 as 1k."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return f"{size:g}"
