"""The image of a lesson's card: its title, and its first diagram in the light colours of the site."""

from xml.etree import ElementTree

from studium.site.cards.diagram import draw
from studium.site.cards.lettering import letters, lines, width
from studium.site.cards.palette import ACCENT, INK, PAPER, RAISED
from studium.site.cards.raster import Colour, Image

WIDTH, HEIGHT = 1200, 630  # what the services that show cards ask for
_EDGE, _PANEL = 56, 480  # the margin, and where the diagram's panel begins
_ABOVE, _SIZES = 28, (84, 72, 60, 52, 44)  # of the words above, and of the title: the largest first that fits
_LINE, _TOP = 1.14, 150  # a line's height in sizes, and what the words above may take


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
    y = _text(image, above, _ABOVE, 60.0, room, ACCENT) + 24
    size = next((size for size in _SIZES if _fits(title, size, room)), _SIZES[-1])
    _text(image, title, size, y, room, INK)
    if svg:
        image.pixels[:, _PANEL:] = RAISED
        box = (_PANEL + _EDGE / 2, _EDGE, WIDTH - _PANEL - _EDGE, HEIGHT - 2 * _EDGE)
        draw(image, ElementTree.fromstring(svg), box)  # noqa: S314  # a diagram was checked when it was made
    return image.png()


def _text(image: Image, text: str, size: float, y: float, room: float, colour: Colour) -> float:
    """Write a text in as many lines as it needs below ``y``, and return where the last one stands."""
    for line in lines(text, size, room):
        y += _LINE * size
        image.fill(letters(line, _EDGE, y, size), colour)
    return y


def _fits(title: str, size: float, room: float) -> bool:
    broken = lines(title, size, room)
    return len(broken) * _LINE * size < HEIGHT - _TOP - _EDGE and all(width(line, size) <= room for line in broken)
