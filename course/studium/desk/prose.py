"""The text of lessons: search it for words, and list the terms that lessons introduce."""

import re
from collections.abc import Iterator, Mapping

import msgspec
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue
from studium.desk.description import Description

_MOST = 20  # results
_TERM = re.compile(r"<dfn>(.+?)</dfn>", re.DOTALL)  # where a lesson defines a word, marked as HTML does
_BLOCK = re.compile(r"\n\s*\n|^[*-] |^#+ .*$", re.MULTILINE)  # between paragraphs, bullets and headings
_TABLE = re.compile(r"\||```")  # rows and code, which make no sense joined into a line
_SENTENCE = re.compile(r"(?:(?<=[.!?])|(?<=[.!?]\*\*))\s+(?=[A-Z$*<])")


class Place(msgspec.Struct, frozen=True):
    """A place in a lesson where the words occur; ``text`` is a sentence from there, as Markdown."""

    slug: str
    title: str
    section: str
    cell: str
    path: str
    text: str


class Term(msgspec.Struct, frozen=True):
    """A word, the sentence that introduces it, and where that is."""

    term: str
    sentence: str
    slug: str
    cell: str
    path: str


def search(catalogue: Catalogue, described: Mapping[str, Description], words: str) -> list[Place]:
    """Return the cells whose prose contains all the words, in reading order, headings first."""
    wanted = words.lower().split()
    if not wanted:
        return []
    found = []
    for topic in catalogue.topics:
        for section, cell in _prose(described[topic.slug]):
            text = cell.source.lower()
            if all(word in text or word in topic.title.lower() for word in wanted):
                path = f"{topic.slug}.ipynb"
                found.append(Place(topic.slug, topic.title, section, cell.id, path, _passage(cell.source, wanted)))
    found.sort(key=lambda place: not all(word in f"{place.title} {place.section}".lower() for word in wanted))
    return found[:_MOST]


def glossary(described: Mapping[str, Description]) -> list[Term]:
    """Return the words that lessons define, by name, each with the first sentence that does so."""
    terms: dict[str, Term] = {}
    for slug, description in described.items():
        for _, cell in _prose(description):
            for sentence in _sentences(cell.source):
                for name in _TERM.findall(sentence):
                    told = _TERM.sub(r"\1", sentence).rstrip(" ,:;.") + "."
                    term = Term(name, told[0].upper() + told[1:], slug, cell.id, f"{slug}.ipynb")
                    terms.setdefault(name.lower(), term)
    return sorted(terms.values(), key=lambda term: term.term.lower())


def _sentences(text: str) -> Iterator[str]:
    for block in _BLOCK.split(text):
        yield from _SENTENCE.split(" ".join(block.split()))


def _prose(description: Description) -> Iterator[tuple[str, NotebookNode]]:
    section = ""
    if description.problem:
        return
    for cell in description.lesson().cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^#{1,3} +(.+)$", cell.source, re.MULTILINE)
            section = heading[1] if heading else section
            yield section, cell


def _passage(source: str, words: list[str]) -> str:
    """Return the first sentence with the most of these words, as self-contained Markdown."""
    sentences = [sentence for sentence in _sentences(source) if sentence and not _TABLE.match(sentence)]
    return max(sentences, key=lambda sentence: sum(word in sentence.lower() for word in words), default="")
