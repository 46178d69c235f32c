"""Two voices over time as a picture: an SVG file, one row of a minute under the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ROW_S: Final = 60.0
PX_PER_S: Final = 20
ROW_PX, BAR_PX, LEFT_PX = 56, 18, 70
COLOURS: Final = {"user": "#1f5fa8", "sightline": "#b4540a"}


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody's voice from one time to another, s."""

    who: str
    start_s: float
    end_s: float


def timeline_svg(spans: Sequence[Span]) -> str:
    """The user above, Sightline below, in each row."""
    n_rows = max(1, math.ceil(max((span.end_s for span in spans), default=0.0) / ROW_S))
    width, height = LEFT_PX + round(ROW_S * PX_PER_S) + 10, n_rows * ROW_PX + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for row in range(n_rows):
        top = row * ROW_PX + 8
        parts.append(f'<text x="4" y="{top + 14}" font-size="12">{round(row * ROW_S)} s</text>')
        for place, who in enumerate(COLOURS):
            y = top + place * (BAR_PX + 2)
            parts.append(f'<line x1="{LEFT_PX}" x2="{width - 10}" y1="{y + BAR_PX}" y2="{y + BAR_PX}" stroke="#ccc"/>')
            for span in spans:
                start_s, end_s = max(span.start_s, row * ROW_S), min(span.end_s, (row + 1) * ROW_S)
                if span.who == who and start_s < end_s:
                    x = LEFT_PX + (start_s - row * ROW_S) * PX_PER_S
                    parts.append(
                        f'<rect x="{x:.1f}" y="{y}" width="{(end_s - start_s) * PX_PER_S:.1f}" height="{BAR_PX}" '
                        f'fill="{COLOURS[who]}"><title>{who} {span.start_s:.2f} to {span.end_s:.2f} s</title></rect>'
                    )
    return "\n".join([*parts, "</svg>"]) + "\n"
