"""A student's outputs as harmless HTML: no scripts, events, requests or styles."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from html import escape
from typing import Any
from urllib.parse import unquote

import nh3

from studium_graders.feedback.page_limits import Room, note

_LONGEST_TEXT = 20_000  # characters of one output
_LONGEST_MARKUP = 300_000
_DEEPEST = 100  # elements that may be open at once; the time for cleaning grows with the square
_VOID = ("br", "col", "hr", "img", "input", "link", "meta", "source", "wbr")
_BIGGEST_PICTURE = 2_000_000  # at most this many bytes, line breaks included
_LONGEST_PICTURE = 2_800_000  # characters, line breaks included
_MOST_OUTPUTS = 40  # of one cell
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif));base64,([A-Za-z0-9+/=\s]+)")
_ATTACHED = "attachment:"
_TAGS = frozenset(
    re.findall(
        r"\w+",
        """a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure hr i img ins
        kbd li ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var wbr""",
    )
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_WITHHELD = "This output is not shown here because it repeats lines of a hidden test."


def show_outputs(outputs: Iterable[Mapping[str, Any]], is_secret: Callable[[str], bool], room: Room) -> list[str]:
    """Return safe HTML for the nbformat outputs of a cell; ``is_secret`` decides which text must not be shown."""
    outputs = list(outputs)
    shown = [html for output in outputs[:_MOST_OUTPUTS] if (html := _show(output, is_secret, room))]
    if len(outputs) > _MOST_OUTPUTS:
        shown.append(note(f"{len(outputs) - _MOST_OUTPUTS} more outputs are not shown here."))
    return shown


def show_text(text: str) -> str:
    """Return plain text as HTML, without terminal colours and overwritten lines."""
    text = plain(text)
    more = f"\n… {len(text) - _LONGEST_TEXT} more characters" if len(text) > _LONGEST_TEXT else ""
    return f"<pre>{escape(text[:_LONGEST_TEXT] + more)}</pre>"


def plain(text: str) -> str:
    """Return the text without terminal codes and control characters, keeping the final state of overwritten lines."""
    lines = _ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return _UNPRINTABLE.sub("\ufffd", "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


def traceback_of(output: Mapping[str, Any]) -> str:
    """Return the traceback of an error output as text, without its separator line."""
    lines = output.get("traceback")
    text = plain("\n".join(map(str, lines if isinstance(lines, list) else ())))
    return re.sub(r"^-{20,}\s*", "", text) or f"{output.get('ename')}: {output.get('evalue')}"


def clean_html(markup: str, room: Room, attachments: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return HTML reduced to tables, lists, text and pictures contained in it; "" if nothing remains.

    Also "" for markup nested so deeply that parsing it would take too long. ``attachments`` are pictures that come with
    it.
    """
    if len(markup) > _LONGEST_MARKUP or _is_deep(markup):
        return ""
    safe = nh3.clean(
        markup,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=partial(_attribute, room=room, attachments=attachments or {}),
        clean_content_tags={"script", "style", "svg", "math", "iframe", "object", "template", "noscript", "title"},
        url_schemes={"http", "https", "mailto", "data", "attachment"},
        link_rel="noopener noreferrer nofollow",
    )
    if "<img" not in safe and not re.sub(r"<[^>]*>|\s|&nbsp;", "", safe):
        return ""
    safe = re.sub(r"<img(?![^>]*\salt=)", '<img alt="picture"', safe)
    return re.sub(r"<th([^>]*)>\s*</th>", r"<td\1></td>", safe)  # an empty heading is useless


def _is_deep(markup: str) -> bool:
    """Return whether more than a hundred elements may be open at once."""
    still_open: Counter[str] = Counter()
    depth = 0
    for slash, name in re.findall(r"<(/?)([a-z][^\s/>]*)", markup.lower()):
        if name in _VOID or (slash and not still_open[name]):
            continue
        step = -1 if slash else 1
        still_open[name] += step
        depth += step
        if depth > _DEEPEST:
            return True
    return False


def _attribute(tag: str, name: str, value: str, room: Room, attachments: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Let links lead to the web, and pictures come only from the page itself."""
    if name == "href":
        return value if re.match(r"(?:https?://|mailto:)", value, re.IGNORECASE) else None
    if name != "src":
        return value
    if value.startswith(_ATTACHED):
        attached = attachments.get(unquote(value.removeprefix(_ATTACHED)), {})
        pictures = [(mime, attached[mime]) for mime in _SIGNATURES if mime in attached]
    else:
        pictures = _DATA_URL.findall(value.strip())
    return next(filter(None, (_picture_url(mime, _joined(data), room) for mime, data in pictures)), None)


def _show(output: Mapping[str, Any], is_secret: Callable[[str], bool], room: Room) -> str:
    kind = output.get("output_type")
    texts: Mapping[Any, Any]
    if kind == "stream":
        texts = {"text/plain": output.get("text", "")}
    elif kind == "error":
        texts = {"text/plain": traceback_of(output)}
    else:
        data = output.get("data")
        texts = data if isinstance(data, Mapping) else {}
    texts = {mime: _joined(value) for mime, value in texts.items() if isinstance(value, str | list)}
    if any(is_secret(plain(text)) for mime, text in texts.items() if mime not in _SIGNATURES):
        return note(_WITHHELD)
    label = {"error": "error", "stream": str(output.get("name", ""))}.get(str(kind), "")
    return _labelled(label, _best(texts, room))


def _labelled(label: str, html: str) -> str:
    word = {"error": "Error", "stderr": "Printed to standard error"}.get(label)
    return f'<p class="label">{word}</p>{html}' if word and html else html


def _best(texts: Mapping[str, str], room: Room) -> str:
    """Show the richest format that can be shown safely."""
    alt = f"picture in the output: {plain(texts.get('text/plain', ''))[:150]}".rstrip(": ")
    for mime in (*_SIGNATURES, "image/svg+xml"):
        if mime in texts and (url := _picture_url(mime, texts[mime], room)):
            return f'<img src="{url}" alt="{escape(alt)}">'
    markup = texts.get("text/html", "")
    if 0 < len(markup) <= _LONGEST_MARKUP and room.takes_markup(len(markup)) and (safe := clean_html(markup, room)):
        return f'<div class="markup">{safe}</div>'
    for mime in ("text/plain", "text/markdown", "text/latex"):
        if texts.get(mime, "").strip():
            return show_text(texts[mime])
    return note("This kind of output cannot be shown here.") if texts else ""


def _picture_url(mime: str, content: str, room: Room) -> str:
    """Return a data URL, or "" for any other content. An SVG in an img element neither runs nor loads anything."""
    if len(content) > _LONGEST_PICTURE or not room.takes_picture(len(content)):
        return ""
    if mime == "image/svg+xml":
        data = _UNPRINTABLE.sub("", content).encode()
        fits = b"<svg" in data[:2000]
    else:
        try:
            data = base64.b64decode(re.sub(r"\s", "", content), validate=True)
        except (binascii.Error, ValueError):
            return ""
        fits = data.startswith(_SIGNATURES[mime])
    if not fits or len(data) > _BIGGEST_PICTURE:
        return ""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else ""
