"""Where the lesson's links lead, as far as that can be checked offline; above all, links to papers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from studium.authoring.findings import Finding
from studium.authoring.markdown import Link, Title, items_in
from studium.authoring.subject import Subject
from studium.errors import suggestion
from studium.notebooks.cell_ids import slug_of

_PAPER = re.compile(r"https?://(?:www\.)?arxiv\.org/(?:abs|pdf)/(?P<id>[^?#]*?)(?:v\d+)?(?:\.pdf)?/?")
_MENTION = re.compile(r"arXiv:? ?(?P<id>\d[\d.]*\d)", re.IGNORECASE)
_ID = re.compile(r"(?P<month>\d\d(?:0[1-9]|1[0-2]))\.(?P<number>\d{4,5})")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_FIRST, _FIVE_DIGITS = "0704", "1501"  # the month in which such ids began, and the month in which they got five digits
_MOST = 50_000  # far more papers than arXiv receives in a month
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::\d+)?", re.IGNORECASE)
_DOI = re.compile(r"/10\.\d{4,9}/\S+")
_NOTEBOOK = re.compile(r"(?:\./)?(?P<slug>[a-z0-9-]+)\.ipynb")


def papers(subject: Subject) -> Finding:
    """Check that the lesson links to each of the topic's papers, and that arXiv ids agree with the years given."""
    return Finding(list(_papers(subject)), "the lesson links to each paper of the topic")


def _papers(subject: Subject) -> Iterator[str]:
    text = _text(subject)
    cited = [(link, found["id"]) for link in _links(text) if (found := _PAPER.fullmatch(link.target))]
    for paper in subject.topic.papers:
        if paper.arxiv and paper.arxiv not in [number for _, number in cited]:
            yield (
                f"the lesson must link to its paper {paper.title!r}: it does not; write "
                f"[…](https://arxiv.org/abs/{paper.arxiv})"
            )
        if _is_id(paper.arxiv) and not 0 <= paper.year - _year(paper.arxiv) <= 5:
            yield (
                f"the paper {paper.title!r} is from {paper.year}, but its id {paper.arxiv} is from another year; "
                f"correct one"
            )
    known = [paper.arxiv for paper in subject.topic.papers if paper.arxiv]
    mentioned = [found["id"] for found in _MENTION.finditer(text)]
    for number in sorted({*(number for _, number in cited), *mentioned, *known}):
        if not _is_id(number):
            yield (
                f"an arXiv id is the year, month and number of an existing paper, such as 2106.09685: got {number!r}; "
                "correct it"
            )
    for link, number in cited:
        years = [int(year) for year in _YEAR.findall(_ID.sub("", link.text))]
        if years and _is_id(number) and not any(abs(year - _year(number)) <= 1 for year in years):
            yield f"the link {link.text!r} must agree with its paper {number} about the year; correct one"


def _is_id(number: str) -> bool:
    found = _ID.fullmatch(number)
    if not found or not _FIRST <= found["month"] <= datetime.now(UTC).strftime("%y%m"):
        return False
    return len(found["number"]) == (4 if found["month"] < _FIVE_DIGITS else 5) and 0 < int(found["number"]) < _MOST


def _year(number: str) -> int:
    return 2000 + int(number[:2])


def links(subject: Subject) -> Finding:
    """Check that each link leads somewhere: to a web address, another lesson, or a heading of this one."""
    found = _links(_text(subject))
    problems = [problem for link in found if (problem := _astray(link, subject))]
    return Finding(problems, f"{len(found)} links lead somewhere")


def _astray(link: Link, subject: Subject) -> str:
    """Describe what is wrong with a link, or return ""."""
    what, (scheme, host, path, _, anchor) = f"the link {link.text!r} to {link.target!r}", urlsplit(link.target)
    if not link.text.strip() and not link.target.startswith("#"):
        return f"{what} must say where it leads: it has no text; add some"
    if scheme in ("http", "https"):
        if not _HOST.fullmatch(host) or (host in ("doi.org", "dx.doi.org") and not _DOI.fullmatch(path)):
            return f"{what} must be a valid web address; correct it"
        return ""
    if scheme == "mailto":
        return ""
    slugs = [topic.slug for topic in subject.catalogue.topics]
    if notebook := _NOTEBOOK.fullmatch(path):
        slug = notebook["slug"]
        return "" if slug in slugs else f"{what} leads to a topic that is not installed; {suggestion(slug, slugs)}"
    if path or not anchor:
        return (
            f"{what} leads nowhere, because a notebook is handed out on its own; link to the web, to TOPIC.ipynb "
            f"or to a #heading"
        )
    anchors = {slug_of(item.text).lower() for item in items_in(_text(subject)) if isinstance(item, Title)}
    anchors |= {f"exercise-{name}" for name in subject.topic.exercises}
    if slug_of(unquote(anchor)).lower() not in anchors:
        return f"{what} leads to a heading that the lesson does not have; write the heading in lowercase, with hyphens"
    return ""


def _links(text: str) -> list[Link]:
    return [item for item in items_in(text) if isinstance(item, Link)]


def _text(subject: Subject) -> str:
    return "\n\n".join(cell.source for cell in subject.lesson.cells if cell.cell_type == "markdown")
