"""The widgets of a site as files: a page loads each when it comes into view, and pages elsewhere can embed them."""

import re
from html import unescape
from pathlib import Path

from studium.notebooks.files import write_text

FOLDER = "widgets"
_FRAME = re.compile(r'<div class="widget">(<iframe [^>]*?)srcdoc="([^"]*)"></iframe></div>')


class WidgetFiles:
    """The pages of widgets by the path of their file; the same widget on two pages of a site has one file."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}  # by the text of the page, escaped

    def moved_out(self, html: str, slug: str) -> str:
        """Return the page of a lesson, or of the start page, with frames that load files instead of holding widgets."""
        number = 0

        def move(found: re.Match[str]) -> str:
            nonlocal number
            number += 1
            path = self._paths.setdefault(found[2], f"{FOLDER}/{slug}-{number}.html")
            lazy = 'loading="lazy" ' if number > 1 else ""
            return f'<div class="widget" id="widget.{number}">{found[1]}{lazy}src="{path}"></iframe></div>'

        return _FRAME.sub(move, html)

    def write(self, site: Path) -> None:
        """Write the files below ``site``, and remove those of widgets that no page has any more."""
        for text, path in self._paths.items():
            write_text(unescape(text), site / path)
        for file in (site / FOLDER).glob("*.html"):
            if f"{FOLDER}/{file.name}" not in self._paths.values():
                file.unlink()
