"""A small line of figures over time, as coordinates for a picture that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

WIDTH = 240
HEIGHT = 48
_EDGE = 4


@dataclass(frozen=True, slots=True)
class Trend:
    """A line.

    Attributes:
        points: Its points, as SVG writes them.
        last: The last point.
        low: The lowest figure, at the lower edge.
        high: The highest figure, at the upper edge.
        first: When the first figure is of.
        width: Of the picture.
        height: Of the picture.
    """

    points: str
    last: tuple[str, str]
    low: Decimal
    high: Decimal
    first: datetime
    width: int = WIDTH
    height: int = HEIGHT

    @classmethod
    def of(cls, figures: Sequence[tuple[datetime, Decimal]], *, upper: Decimal | None = None) -> Trend | None:
        """Return the line of figures, oldest first; None where there are fewer than two.

        Args:
            figures: Moments and figures.
            upper: What the upper edge stands for; the highest figure where None.
        """
        if len(figures) < 2:
            return None
        values = [value for _, value in figures]
        low, high = min(values), max(values) if upper is None else upper
        span = high - low
        places = []
        for number, value in enumerate(values):
            across = _EDGE + Decimal(number) * (WIDTH - 2 * _EDGE) / (len(values) - 1)
            # Figures that never change are a line in the middle.
            share = (value - low) / span if span else Decimal("0.5")
            places.append((f"{across:.1f}", f"{HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE):.1f}"))
        points = " ".join(f"{x},{y}" for x, y in places)
        return cls(points, places[-1], low, high, figures[0][0])
