"""Limits on a page's size: no notebook can make one that is slow to write or to open, whatever was handed in."""

from html import escape

_MARKUP = 500_000  # characters of Markdown, HTML and coloured code; the slowest take 6 s
_PICTURES = 20_000_000  # characters of base64 or SVG
_PLAIN = "This notebook is too large to show in full, so parts of it appear as plain text."
_NO_PICTURE = f"A picture is missing here: a page shows at most {_PICTURES // 1_000_000} MB of them."


def note(text: str) -> str:
    """Return a sentence about what is shown, as HTML."""
    return f'<p class="note">{escape(text)}</p>'


class Room:
    """How much more fits on a page, and what was refused since the last call of ``notes``."""

    def __init__(self) -> None:
        self._markup, self._pictures = _MARKUP, _PICTURES
        self._refusals: list[str] = []

    def takes_markup(self, size: int) -> bool:
        """Return whether this many characters may still be rendered. The first refusal ends rendering for the whole
        page.
        """
        self._markup -= size
        return self._markup >= 0 or self._refuse(_PLAIN)

    def takes_picture(self, size: int) -> bool:
        """Return whether a picture of this many characters may still be included."""
        if size > self._pictures:
            return self._refuse(_NO_PICTURE)
        self._pictures -= size
        return True

    def notes(self) -> list[str]:
        """Return what was refused since the last call, each sentence once, as HTML."""
        found = [note(sentence) for sentence in dict.fromkeys(self._refusals)]
        self._refusals.clear()
        return found

    def _refuse(self, sentence: str) -> bool:
        self._refusals.append(sentence)
        return False
