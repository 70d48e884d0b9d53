"""The light colours of the site (site.css) as numbers."""

from studium.site.cards.raster import Colour

PAPER: Colour = (253, 253, 251)
GROUND: Colour = (243, 244, 240)
RAISED: Colour = (255, 255, 255)
INK: Colour = (29, 32, 36)
QUIET: Colour = (86, 92, 100)
ACCENT: Colour = (48, 81, 127)
PARTS = {"learned": ACCENT, "wrong": (138, 82, 0), "right": (27, 100, 51), "frozen": QUIET, "context": QUIET}


def pale(colour: Colour) -> Colour:
    """Return the colour inside a shape with an outline of this colour."""
    red, green, blue = (round(0.2 * own + 0.8 * paper) for own, paper in zip(colour, PAPER, strict=True))
    return red, green, blue
