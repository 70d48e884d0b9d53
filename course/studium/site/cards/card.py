"""The image of a lesson's card: its title, and its first diagram in the light colours of the site."""

from xml.etree import ElementTree

from studium.site.cards.diagram import draw
from studium.site.cards.lettering import letters, lines, width
from studium.site.cards.palette import ACCENT, INK, PAPER, RAISED
from studium.site.cards.raster import Image

WIDTH, HEIGHT = 1200, 630  # what the services that show cards ask for
_EDGE, _PANEL = 56, 480  # the margin, and where the diagram's panel begins
_SIZES = (84, 72, 60, 52)  # of the title, the largest first that fits


def card(title: str, above: str, svg: str) -> bytes:
    """Return a PNG with a few words, a title and, on its right, a diagram: SVG text or "".

    A diagram that has curves or transformed parts is left out.
    """
    try:
        return _card(title, above, svg)
    except (ValueError, IndexError):
        return _card(title, above, "")


def _card(title: str, above: str, svg: str) -> bytes:
    image = Image(WIDTH, HEIGHT, PAPER)
    room = (_PANEL if svg else WIDTH) - 2 * _EDGE
    image.fill(letters(above, _EDGE, 92, 28), ACCENT)
    y = 116.0
    size = next((size for size in _SIZES if _fits(title, size, room)), _SIZES[-1])
    for line in lines(title, size, room):
        y += 1.14 * size
        image.fill(letters(line, _EDGE, y, size), INK)
    if svg:
        image.pixels[:, _PANEL:] = RAISED
        box = (_PANEL + _EDGE / 2, _EDGE, WIDTH - _PANEL - _EDGE, HEIGHT - 2 * _EDGE)
        draw(image, ElementTree.fromstring(svg), box)  # noqa: S314  # a diagram was checked when it was made
    return image.png()


def _fits(title: str, size: float, room: float) -> bool:
    broken = lines(title, size, room)
    return len(broken) * 1.14 * size < HEIGHT - 116 - _EDGE and all(width(line, size) <= room for line in broken)
