"""Turn a student's written answer from Markdown into harmless HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from studium_graders.feedback.outputs import clean_html, plain, show_text
from studium_graders.feedback.page_limits import Room

_LONGEST = 20_000  # characters


def show_markdown(text: str, attachments: Mapping[str, Mapping[str, Any]], room: Room) -> str:
    """Return safe HTML. Formulas stay in TeX, pictures must be attached to the cell, headings become bold lines."""
    text = plain(text)
    if len(text) > _LONGEST or not room.takes_markup(len(text)):
        return show_text(text)
    markup = _parser().render(text)
    if not room.takes_markup(len(markup)):
        return show_text(text)
    return clean_html(markup, room, attachments) or show_text(text)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").use(dollarmath_plugin)
    setattr(parser, "validateLink", lambda url: True)  # noqa: B010 - mypy refuses a plain assignment; the cleaner decides
    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_label"):
        parser.add_render_rule(kind, _formula)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    return parser


def _formula(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return f"<code>{escape(tokens[index].content.strip())}</code>"


def _heading(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "<p><strong>" if tokens[index].nesting == 1 else "</strong></p>"
