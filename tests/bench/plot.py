"""Phases as bars, in SVG. Plain text: small, the same on every machine, and readable in light and dark."""

from __future__ import annotations

from collections.abc import Mapping

COLOURS = ("#8a8f98", "#b0843c", "#4c78a8", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f", "#ff9da7")
WIDTH, BAR, GAP, LEFT = 760, 34, 26, 60


def phases(found: Mapping[str, Mapping[str, float]]) -> str:
    """One bar for each path, its phases one after the other, with a legend; the width is seconds."""
    longest = max(sum(one.values()) for one in found.values())
    scale = (WIDTH - LEFT - 80) / longest
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    colour = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    rows = []
    for number, (path, one) in enumerate(found.items()):
        top, left = GAP + number * (BAR + GAP), float(LEFT)
        rows.append(f'<text x="{LEFT - 8}" y="{top + 22}" text-anchor="end">{path}</text>')
        for name, seconds in one.items():
            width = max(seconds * scale, 0.0)
            title = f"<title>{name} {seconds:.2f} s</title>"
            rows.append(
                f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour[name]}">{title}</rect>'
            )
            left += width
        rows.append(f'<text x="{left + 6:.0f}" y="{top + 22}">{sum(one.values()):.2f} s</text>')
    top = GAP + len(found) * (BAR + GAP)
    for number, name in enumerate(names):
        x, y = LEFT + number % 5 * 136, top + number // 5 * 22
        rows.append(
            f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour[name]}"/><text x="{x + 18}" y="{y + 11}">{name}</text>'
        )
    height = top + (len(names) + 4) // 5 * 22 + 8
    style = "<style>text{font:14px sans-serif;fill:#57606a}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="seconds by phase">'
    return "\n".join([head, style, *rows, "</svg>", ""])
