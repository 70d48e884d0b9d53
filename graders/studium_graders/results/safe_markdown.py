"""A student's Markdown made harmless: no tags, no links to scripts, no images from elsewhere.

Formgrader turns Markdown into HTML with nbconvert and lets every tag and every link through. Each rule here inserts a
space that takes the meaning away, so the person who marks still reads what was written.
"""

import re
from collections.abc import Collection

_PLAIN_TAGS = "b|br|code|del|em|i|ins|kbd|s|small|strong|sub|sup|u"
_TAG = re.compile(rf"<(?=[A-Za-z/!?])(?!/?(?:{_PLAIN_TAGS}) ?/?>)", re.IGNORECASE)
_RELATIVE = r"[\w./%#?=+~-]*(?=[\s)]|\Z)"
_LINK = re.compile(rf"\](?=[(:])(?!.\s*+(?:https?://|mailto:|attachment:|{_RELATIVE}))", re.IGNORECASE)
_ATTACHED = re.compile(r"\](?=\(\s*+attachment:([^\s)]*))", re.IGNORECASE)
# nbconvert fails on the whole page at a name that it encodes or does not find.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]+")
_IMAGE = re.compile(r"!(?=\[)(?!\[[^\[\]]*\]\((?:attachment:|(?!/|[^\s)]*\.\.)[\w./%~-]+[\s)]))")


def inert(source: str, attachments: Collection[str] = ()) -> str:
    """Return Markdown that looks like ``source``, except for what could run or load something.

    Tags other than plain ones such as <sub> become text. A link may lead to the web, to a mail address or to a file
    next to the notebook; an image must be next to the notebook or one of the ``attachments`` of its cell, by name.
    """
    source = _TAG.sub("< ", source)
    source = _LINK.sub("] ", source)
    source = _IMAGE.sub("! ", source)
    known = {name for name in attachments if _PLAIN_NAME.fullmatch(name)}
    return _ATTACHED.sub(lambda found: "]" if found[1] in known else "] ", source)
