"""The colours of the heat map: from black over violet, red and orange to a bright yellow. Pure.

The stops are those of matplotlib's "inferno" (CC0), which is perceived as evenly growing brighter, also by people who do not
tell red from green, and in print without colours.
"""

from typing import Final

Colour = tuple[int, int, int]

_STOPS: Final[tuple[Colour, ...]] = (
    (0, 0, 4),
    (27, 12, 65),
    (74, 12, 107),
    (120, 28, 109),
    (165, 44, 96),
    (207, 68, 70),
    (237, 105, 37),
    (251, 155, 6),
    (247, 209, 61),
    (252, 255, 164),
)
GAP_COLOUR: Final[Colour] = (58, 62, 70)
HATCH_COLOUR: Final[Colour] = (104, 110, 122)


def colour(share: float) -> Colour:
    """The colour at 0 (dark) to 1 (bright)."""
    place = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    lower = min(int(place), len(_STOPS) - 2)
    pairs = zip(_STOPS[lower], _STOPS[lower + 1], strict=True)
    red, green, blue = (round(low + (high - low) * (place - lower)) for low, high in pairs)
    return red, green, blue


def palette(levels: int) -> list[Colour]:
    """The colours of the levels: that of gaps, then `levels` colours from dark to bright."""
    return [GAP_COLOUR, *(colour(at / (levels - 1)) for at in range(levels))]
