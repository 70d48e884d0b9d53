"""What a diagram may be drawn with, and what its file says about itself. diagram_markup.js has the same lists."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

__all__ = ["ATTRIBUTES", "CLASSES", "ELEMENTS", "LARGEST", "DiagramError", "Markup", "read"]

SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 65_536  # characters of a file
WIDEST = 720  # units of a viewBox

ELEMENTS = (
    *("svg", "title", "desc", "g", "rect", "circle", "ellipse", "line", "polyline", "polygon", "path", "text", "tspan"),
)
ATTRIBUTES = (
    *("class", "viewBox", "x", "y", "width", "height", "rx", "ry", "cx", "cy", "r", "x1", "y1", "x2", "y2", "dx", "dy"),
    *("d", "points", "transform", "text-anchor", "dominant-baseline", "textLength"),
)
CLASSES = (
    *("title", "label", "small", "maths", "sub", "on"),  # text
    *("box", "data", "learned", "wrong", "right", "frozen", "context", "fill"),  # shapes
    *("line", "arrow", "dashed"),  # lines
)


class DiagramError(ValueError):
    """A diagram that cannot be used: what was needed, what came, what to do, in one sentence."""


@dataclass(frozen=True)
class Markup:
    """The two texts of a diagram: its title, and the description for people who cannot see it."""

    title: str
    description: str


def read(svg: str) -> Markup:
    """Return the title and description of a diagram.

    Raise DiagramError for anything that is not SVG, or that uses something not on the lists above.
    """
    if len(svg) > LARGEST:
        raise DiagramError(f"a diagram needs at most {LARGEST:,} characters, got {len(svg):,}: simplify its paths")
    if "<!DOCTYPE" in svg.upper() or "<?xml-" in svg:
        raise DiagramError("a diagram needs plain SVG, got a document type or a style sheet: start with <svg")
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314  # it has no document type, so no entities
    except ElementTree.ParseError as error:
        raise DiagramError(f"a diagram needs well-formed SVG, got {error}: correct that line") from None
    for problem in (*_of_root(root), *_of_parts(root)):
        raise DiagramError(problem)
    return Markup(*(" ".join((root.findtext(f"{SVG}{name}") or "").split()) for name in ("title", "desc")))


def _of_root(root: ElementTree.Element) -> Iterator[str]:
    if root.tag != f"{SVG}svg":
        yield f'a diagram needs <svg xmlns="http://www.w3.org/2000/svg" …> around it, got <{_name(root.tag)}>: add it'
    for name, what in (
        ("title", "one line that names it"),
        ("desc", "one or two sentences for those who cannot see it"),
    ):
        if not (root.findtext(f"{SVG}{name}") or "").strip():
            yield f"a diagram needs <{name}>, {what}, as a child of <svg>, got none: write it"
    box = re.fullmatch(r"\s*(?:-?[\d.]+[\s,]+){2}([\d.]+)[\s,]+([\d.]+)\s*", root.get("viewBox", ""))
    if box is None:
        yield f'a diagram needs viewBox="0 0 width height", got {root.get("viewBox", "none")!r}: write it'
    elif not 0 < float(box[1]) <= WIDEST or float(box[2]) <= 0:
        yield f"a diagram needs a viewBox from 1 to {WIDEST} units wide, got {box[1]} × {box[2]}: lay it out again"
    if given := {"width", "height"} & set(root.keys()):
        yield f"a diagram's size is set by the page, got {' and '.join(sorted(given))} on <svg>: remove it"


def _of_parts(root: ElementTree.Element) -> Iterator[str]:
    for part in root.iter():
        name = _name(part.tag)
        if part.tag != f"{SVG}{name}" or name not in ELEMENTS:
            yield f"a diagram is drawn with {', '.join(ELEMENTS[3:])}, got <{name}>: remove it"
        if strange := sorted(set(part.attrib) - set(ATTRIBUTES)):
            advice = "colours, fonts and strokes come from classes"
            yield f"<{name}> of a diagram may have only geometry and a class, got {_name(strange[0])}: {advice}"
        for word in part.get("class", "").split():
            if word not in CLASSES:
                near = difflib.get_close_matches(word, CLASSES, n=1, cutoff=0.5)
                advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(CLASSES)}"
                yield f"a diagram needs classes of the palette, got {word!r}: {advice}"


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]
