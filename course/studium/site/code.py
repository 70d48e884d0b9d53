"""Python and other source text, with syntax colours."""

from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound


def code_block(source: str, language: str = "python") -> str:
    """Return the source in ``pre`` and ``code``, without colours if the language is unknown."""
    source = source.rstrip()
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
        coloured = highlight(source, lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
    except ClassNotFound:
        coloured = escape(source)
    return f'<pre class="code scroll"><code>{coloured}</code></pre>'
