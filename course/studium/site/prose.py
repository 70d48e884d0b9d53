"""A lesson's text cells as HTML: Markdown with formulas, tables and headings that can be linked to."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from studium.notebooks.cell_ids import slug_of
from studium.site.code import code_block
from studium.site.maths import formula, roots, why_not, words

_NOTEBOOK = re.compile(r"(?:\./)?([a-z0-9-]+)\.ipynb(#.*)?")
_ROOTS = "roots"  # whether roots in plain text become formulas: a docstring is no place for TeX
_WEB = re.compile(r"(?:https?:)?//")


@dataclass(frozen=True)
class Heading:
    """A heading: level 1 to 6, its anchor, and its content as HTML and as plain text."""

    level: int
    anchor: str
    html: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading (None for anything before the first one) and the HTML and plain text below it."""

    heading: Heading | None
    html: str
    text: str


class Prose:
    """Turns the text cells of one page into sections. Anchors are unique on the page."""

    def __init__(self) -> None:
        self._anchors: set[str] = set()
        self.problems: list[str] = []

    def sections(self, source: str) -> list[Section]:
        """Return the sections of a text cell in order."""
        env = dict[str, Any]()
        tokens = parse(source, env)
        self.problems += [f"the formula ${tex}$ could not be parsed: {why}" for tex, why in _bad_formulas(tokens)]
        starts = [n for n, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0]
        bounds = [*starts, len(tokens)]
        found = [self._section(tokens[start:end], env) for start, end in pairwise(bounds)]
        before = tokens[: bounds[0]]
        return [*([Section(None, _html(before, env), plain_text(before))] if before else []), *found]

    def _section(self, tokens: Sequence[Token], env: dict[str, Any]) -> Section:
        opening, inline, _, *rest = tokens
        text = plain_text([inline])
        anchor = self.anchor(_source_text([inline]))
        heading = Heading(int(opening.tag[1]), anchor, _html([inline], env), text)
        return Section(heading, _html(rest, env), plain_text(rest))

    def anchor(self, text: str) -> str:
        """Return an anchor for a heading: "Into the noise" becomes "into-the-noise", and a second one "…-2"."""
        name = slug_of(text).lower() or "section"
        number = next(n for n in range(1, len(self._anchors) + 2) if _numbered(name, n) not in self._anchors)
        self._anchors.add(_numbered(name, number))
        return _numbered(name, number)


def parse(source: str, env: dict[str, Any] | None = None) -> list[Token]:
    """Return the tokens of a text, including formulas."""
    return _parser().parse(source, env)


def show_block(text: str) -> str:
    """Return paragraphs of Markdown, with code and formulas in them, as HTML. Roots in plain text become formulas."""
    return str(_parser().render(text, {_ROOTS: True}))


def show_inline(text: str) -> str:
    """Return a sentence as HTML in the same way."""
    return str(_parser().renderInline(text, {_ROOTS: True}))


def plain_text(tokens: Sequence[Token]) -> str:
    """Return the text of the tokens for searching: words, inline code and formulas, without markup."""
    return _joined(_texts(tokens, words))


def _source_text(tokens: Sequence[Token]) -> str:
    """Return the same with formulas as TeX, from which anchors are made."""
    return _joined(_texts(tokens, str))


def _joined(texts: list[str]) -> str:
    return re.sub(r"\s+", " ", "".join(texts)).strip()


def _texts(tokens: Sequence[Token], formula_text: Callable[[str], str]) -> list[str]:
    found = []
    for token in tokens:
        if token.children:
            found += _texts(token.children, formula_text)
        elif token.type == "math_inline":
            found.append(formula_text(token.content))
        elif token.type in ("text", "code_inline", "fence", "html_block"):
            found.append(re.sub(r"<[^>]*>", " ", token.content))
        if token.block or token.type in ("softbreak", "hardbreak", "image"):
            found.append(" ")
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _html(tokens: Sequence[Token], env: dict[str, Any]) -> str:
    parser = _parser()
    return str(parser.renderer.render(tokens, parser.options, env))


def _bad_formulas(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    found = []
    for token in tokens:
        if token.type.startswith("math_") and (why := why_not(token.content)):
            found.append((token.content.strip(), why))
        found += _bad_formulas(token.children or ())
    return found


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    parser.core.ruler.after("inline", "roots", _set_roots)
    rules = {
        "math_inline": _inline_formula,
        "math_inline_double": _formula,
        "math_block": _formula,
        "math_block_label": _formula,
        "fence": _fence,
        "link_open": _link,
        "image": _image,
        "table_open": lambda *_: '<div class="scroll"><table>\n',
        "table_close": lambda *_: "</table></div>\n",
    }
    for kind, rule in rules.items():
        parser.add_render_rule(kind, rule)
    return parser


def _set_roots(state: StateCore) -> None:
    if state.env.get(_ROOTS):
        for token in state.tokens:
            token.children = token.children and [part for child in token.children for part in _with_roots(child)]


def _with_roots(token: Token) -> Iterator[Token]:
    if token.type != "text":
        yield token
        return
    for text, root in roots(token.content):
        yield Token("text", "", 0, content=text)
        if root:
            yield Token("math_inline", "math", 0, content=root)


def _inline_formula(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return formula(tokens[index].content, display=False)


def _formula(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return f'<div class="formula scroll">{formula(tokens[index].content.strip(), display=True)}</div>\n'


def _fence(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return code_block(tokens[index].content, tokens[index].info.strip())


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Let a link to another lesson's notebook lead to its page."""
    token = tokens[index]
    if found := _NOTEBOOK.fullmatch(str(token.attrGet("href") or "")):
        token.attrSet("href", f"{found[1]}.html{found[2] or ''}")
    return self.renderToken(tokens, index, options, env)


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Turn a picture on the web into a link, because a page makes no requests of its own."""
    token = tokens[index]
    source, alt = str(token.attrGet("src") or ""), escape(plain_text(token.children or []))
    if _WEB.match(source):
        return f'<a href="{escape(source)}">{alt or "picture"}</a>'
    return f'<img src="{escape(source)}" alt="{alt}">'
