"""A student's Python with light syntax colours, as HTML."""

from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from studium_graders.feedback.outputs import plain
from studium_graders.feedback.page_limits import Room

_LONGEST_COLOURED = 20_000  # characters; beyond that, colours cost more than they help
_LONGEST = 100_000


def show_code(source: str, room: Room) -> str:
    """Return the source in ``pre`` and ``code``."""
    source = plain(source).rstrip()
    if not source:
        return "<p>Empty.</p>"
    if len(source) > _LONGEST_COLOURED or not room.takes_markup(len(source)):
        more = f"\n… {len(source) - _LONGEST} more characters" if len(source) > _LONGEST else ""
        return f"<pre><code>{escape(source[:_LONGEST] + more)}</code></pre>"
    coloured = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return f"<pre><code>{coloured.rstrip()}</code></pre>"
