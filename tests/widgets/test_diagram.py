"""Diagram: what a file may hold, what is left of a saved one, and how it is seen, read and kept small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from studium_widgets import Diagram
from studium_widgets.diagram_markup import ATTRIBUTES, CLASSES, ELEMENTS
from traitlets import TraitError

MARKUP = "widgets/studium_widgets/diagram_markup.js"
HEAD = "<title>Two boxes</title><desc>Box A leads to box B.</desc>"


PAGE = (Path(__file__).parents[2] / "docs" / "diagrams.md").read_text("utf-8")


def svg(inside: str = "", head: str = HEAD, box: str = 'viewBox="0 0 300 100"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{head}{inside}</svg>'


def test_the_alternative_text_is_title_and_description():
    assert Diagram(svg=svg()).alt == "Two boxes. Box A leads to box B."


def test_a_description_without_a_full_stop_gets_one():
    assert Diagram(svg=svg(head="<title>A:</title><desc>B</desc>")).alt == "A. B."


def test_what_is_no_diagram_is_answered_with_one_sentence():
    for text, sentence in [
        ("", "a diagram needs well-formed SVG, got no element found"),
        (svg("<g>"), "a diagram needs well-formed SVG, got mismatched tag"),
        ("<svg/>", 'a diagram needs <svg xmlns="http://www.w3.org/2000/svg" …> around it'),
        (svg(head="<desc>B.</desc>"), "a diagram needs <title>, one line that names it"),
        (svg(head="<title>A</title><desc> </desc>"), "a diagram needs <desc>, one or two sentences"),
        (svg(box=""), "a diagram needs viewBox=\"0 0 width height\", got 'none'"),
        (svg(box='viewBox="0 0 900 10"'), "a diagram needs a viewBox from 1 to 720 units wide, got 900 × 10"),
        (svg(box='viewBox="0 0 9 9" width="9"'), "size is set by the page, got width on <svg>"),
        (svg("<script>x</script>"), "a diagram is drawn with g, rect"),
        (svg("<foreignObject/>"), "got <foreignObject>: remove it"),
        (svg('<image href="x.png"/>'), "got <image>: remove it"),
        (svg('<rect onclick="x()"/>'), "<rect> of a diagram may have only geometry and a class, got onclick"),
        (svg('<rect style="fill: red"/>'), "got style: colours, fonts and strokes come from classes"),
        (svg('<path fill="#f00"/>'), "got fill: colours, fonts and strokes come from classes"),
        (svg('<rect class="box lernt"/>'), "a diagram needs classes of the palette, got 'lernt': did you mean"),
        (svg('<rect xmlns:o="urn:o" o:x="1"/>'), "<rect> of a diagram may have only geometry and a class, got x"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("&a;"), "a diagram needs plain SVG, got a document type"),
        (svg(" " * 70_000), "a diagram needs at most 65,536 characters"),
    ]:
        with pytest.raises(TraitError, match=re.escape(sentence)):
            Diagram(svg=text)


def test_a_file_that_is_missing_is_named():
    for package, file, reason in [
        ("studium_widgets", "flo.svg", "does not exist"),
        ("no_such_package", "flow.svg", "does not exist"),
        ("studium_widgets", "controls", "does not exist"),
    ]:
        with pytest.raises(TraitError, match=f"{file} in {package} {reason}; check both names"):
            Diagram.from_package(package, file)


def test_a_file_that_is_no_diagram_is_named(tmp_path, monkeypatch):
    (tmp_path / "drawn_here").mkdir()
    (tmp_path / "drawn_here" / "__init__.py").touch()
    (tmp_path / "drawn_here" / "flow.svg").write_text(svg(head="<title>A</title>"))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TraitError, match=r"flow\.svg in drawn_here: a diagram needs <desc>"):
        Diagram.from_package("drawn_here", "flow.svg")


def test_the_page_for_authors_shows_a_diagram_and_lists_every_class():
    (shown,) = re.findall(r"```xml\n(.*?)```", PAGE, re.DOTALL)
    assert Diagram(svg=shown).alt.startswith("A residual block. The input goes")
    first_column = [cell for line in PAGE.splitlines() if line.startswith("| `") for cell in [line.split("|")[1]]]
    assert set(re.findall("`(.+?)`", " ".join(first_column))) == set(CLASSES)


@pytest.mark.browser
def test_python_and_the_browser_allow_the_same(open_page):
    page = open_page()
    lists = page.evaluate(
        f"import('/{MARKUP}').then(({{ ELEMENTS, ATTRIBUTES, CLASSES }}) => [ELEMENTS, ATTRIBUTES, CLASSES])"
    )
    assert lists == [list(ELEMENTS), list(ATTRIBUTES), list(CLASSES)]


@pytest.mark.browser
def test_of_a_saved_diagram_only_what_is_allowed_is_shown(mount):
    hostile = svg(
        '<script>document.title = "caught"</script><foreignObject><p>x</p></foreignObject>'
        '<image href="https://example.org/x.png"/><use href="https://example.org/x.svg#a"/>'
        '<a href="javascript:alert(1)"><text>link</text></a><style>* { display: none }</style>'
        '<rect class="box st-hidden" style="fill: red" onclick="x()" fill="url(https://example.org/y)" width="9"/>'
        '<g><text class="label" onload="x()">kept</text></g>'
    )
    widget = Diagram.example()
    snapshot = widget.snapshot()
    snapshot["state"]["svg"] = hostile
    page = mount(_Saved(widget, snapshot), kernel=False)
    shown = page.locator(".st-diagram svg").inner_html()
    assert "kept" in shown
    assert not re.search("script|foreign|image|use|href|style|onclick|onload|fill=|st-hidden|link", shown)
    assert page.locator(".st-diagram rect").get_attribute("class") == "box"
    assert page.outside == []
    assert page.title() != "caught"


class _Saved:
    """A widget whose saved state somebody has changed."""

    def __init__(self, widget: Diagram, snapshot: dict) -> None:
        self.module, self.snapshot = widget.module, lambda: snapshot


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("text", ["<svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", "x" * 70_000])
def test_a_saved_text_that_is_no_diagram_ends_in_a_sentence(mount, text):
    widget = Diagram.example()
    snapshot = widget.snapshot()
    snapshot["state"]["svg"] = text
    page = mount(_Saved(widget, snapshot), kernel=False)
    assert page.get_by_role("alert").inner_text().startswith("This picture failed: a diagram needs")
    page.errors.clear()


@pytest.mark.browser
def test_an_arrow_has_a_head_in_the_colour_of_its_line_and_each_view_its_own(mount):
    inside = '<path class="arrow" d="M0 0H9"/><path class="arrow learned" d="M0 9H9"/><line class="line" x2="9"/>'
    page = mount(Diagram(svg=svg(inside)), Diagram(svg=svg(inside)))
    found = page.evaluate(
        """() => [...document.querySelectorAll(".arrow")].map((arrow) => {
          const marker = document.querySelector(arrow.getAttribute("marker-end").slice(4, -1));
          return [marker.id, getComputedStyle(marker.firstChild).fill === getComputedStyle(arrow).stroke];
        })"""
    )
    assert len({name for name, _ in found}) == 4
    assert all(same for _, same in found)
    assert page.locator(".line").first.get_attribute("marker-end") is None


CONTRASTS = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const rgb = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => rgb(colour).reduce((sum, c, i) => sum + linear(c / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const fill = (element) => getComputedStyle(element).fill;
  const found = (text) => [text.textContent, ratio(fill(text), fill(text.previousElementSibling))];
  return [...document.querySelectorAll("text")].map(found);
}"""


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_each_text_can_be_read_on_each_shape(mount, dark):
    shapes = ["box", "data", "learned", "wrong", "right", "frozen", "context"]
    plain = [(shape, text) for shape in shapes for text in ("label", "small")]
    full = [(f"{shape} fill", "on") for shape in shapes[2:]]
    inside = "".join(
        f'<rect class="{shape}"/><text class="{text}">{shape}, {text}</text>' for shape, text in plain + full
    )
    found = mount(Diagram(svg=svg(inside)), dark=dark).evaluate(CONTRASTS)
    assert len(found) == len(plain) + len(full)
    assert [(name, round(ratio, 2)) for name, ratio in found if ratio < 4.5] == []


@pytest.mark.heavy
@pytest.mark.browser
def test_a_wide_diagram_on_a_narrow_page_scrolls_and_can_have_the_focus(mount):
    page = mount(Diagram.example(), width=400)
    frame = page.get_by_role("group", name="Diagram")
    assert frame.get_attribute("tabindex") == "0"
    assert frame.evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.heavy
@pytest.mark.browser
def test_a_diagram_on_a_wide_page_is_one_image_with_its_description(mount):
    page = mount(Diagram(svg=svg()), width=900)
    assert page.get_by_role("group", name="Diagram").get_attribute("tabindex") is None
    assert page.get_by_role("img").get_attribute("aria-label") == "Two boxes. Box A leads to box B."
    assert page.locator(".st-summary").inner_text() == "Two boxes"


@pytest.mark.heavy
@pytest.mark.browser
def test_the_table_has_the_words_in_the_order_of_the_file(mount):
    page = mount(Diagram(svg=svg('<text>first <tspan>line</tspan></text><text class="maths learned">x</text>')))
    page.get_by_text("Show as table").click()
    page.locator("tbody tr").first.wait_for()
    cells = page.locator("tbody :is(th, td)").all_inner_texts()
    assert cells == ["1", "first line", "label", "2", "x", "maths, learned"]
