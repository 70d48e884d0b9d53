"""How much a page takes: no notebook makes one that is slow to write or to open, whatever somebody handed in."""

from html import escape

_MARKUP = 500_000  # characters of Markdown, HTML and coloured code; the slowest take 6 s
_PICTURES = 20_000_000  # characters of base64 or SVG
_PLAIN = "This notebook is more than a page shows in full: some of what stands here is plain text."
_NO_PICTURE = f"A picture is left out here: a page shows at most {_PICTURES // 1_000_000} MB of them."


def note(text: str) -> str:
    """Return a sentence about what is shown, as HTML."""
    return f'<p class="note">{escape(text)}</p>'


class Room:
    """What a page still takes, and what was refused since somebody asked."""

    def __init__(self) -> None:
        self._markup, self._pictures = _MARKUP, _PICTURES
        self._refusals: list[str] = []

    def takes_markup(self, size: int) -> bool:
        """Return whether so many characters may still be rendered. What is too much ends it for the whole page."""
        self._markup -= size
        return self._markup >= 0 or self._refuse(_PLAIN)

    def takes_picture(self, size: int) -> bool:
        """Return whether a picture of so many characters may still be put in."""
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
