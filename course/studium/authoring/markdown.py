"""The links, images and headings in a lesson's text, in Markdown and in HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser

from markdown_it.token import Token

from studium.site.prose import parse, plain_text


@dataclass(frozen=True)
class Link:
    """A link: its text and its target."""

    text: str
    target: str


@dataclass(frozen=True)
class Image:
    """An image and its alternative text, which is "" if it has none."""

    alt: str


@dataclass(frozen=True)
class Title:
    """A heading and its level."""

    level: int
    text: str


Item = Link | Image | Title


def items_in(source: str) -> list[Item]:
    """Return the links, images and headings of a text in order."""
    return list(_items(parse(source)))


def _items(tokens: Sequence[Token]) -> Iterator[Item]:
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            yield Title(int(token.tag[1]), plain_text([tokens[number + 1]]))
        elif token.type == "link_open":
            end = next(n for n in range(number, len(tokens)) if tokens[n].type == "link_close")
            yield Link(plain_text(tokens[number:end]), str(token.attrGet("href") or ""))
        elif token.type == "image":
            yield Image(plain_text(token.children or []))
        elif token.type in ("html_block", "html_inline"):
            yield from _Html(token.content).found
        if token.type == "inline":
            yield from _items(token.children or [])


class _Html(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Item] = []
        self._grows = False  # whether text belongs to the last item
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self._open(Link("", given["href"]))
        elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self._open(Title(int(tag[1]), ""))
        elif tag == "img":
            self.found.append(Image(given.get("alt", "")))
        elif tag == "svg" and given.get("aria-hidden") != "true":
            self.found.append(Image(given.get("aria-label", "")))
        elif tag == "title" and self.found and self.found[-1] == Image(""):
            self.found[-1] = Image("its title")

    def handle_endtag(self, tag: str) -> None:
        self._grows = False

    def handle_data(self, data: str) -> None:
        last = self.found[-1] if self._grows else None
        if isinstance(last, Link | Title):
            self.found[-1] = replace(last, text=last.text + data)

    def _open(self, item: Item) -> None:
        self.found.append(item)
        self._grows = True
