"""What a failed test requires, made of its title: "`echo` should add up the echoes" of "adds up the echoes"."""

import re
from functools import cache

_IRREGULAR = {"is": "be", "has": "have", "does": "do", "goes": "go", "says": "say"}
_ADVERBS = ("never", "also", "always", "still", "only", "then", "either", "neither", "both", "not")
_VERB = re.compile(r"[a-z]+s")
_ES = ("sses", "shes", "ches", "xes", "zes", "oes")
# Verbs that titles join with "and", "or" or "but": an "s" alone may as well make a noun of them.
_JOINED = set(
    """
    adapts adds agrees asks averages brings changes collects comes compares computes copes copies counts decodes depends
    does draws ends fills finds follows gives goes guides has hides ignores interpolates is keeps knows labels learns
    leaves lets looks loses lowers makes moves multiplies names needs normalises overwrites passes projects puts reads
    reaches remains returns rotates runs says scores serves shows shrinks skips spreads starts stays stops subtracts
    survives takes tells trains treats turns uses weighs widens works closes orders prints refuses repeats rounds sees
    sends stands waits writes
    """.split()  # noqa: SIM905
)


def requirement(exercise: str, title: str) -> str:
    """Return what a test requires of an exercise as a sentence; of a title in another form, that the test failed."""
    text = should(title)
    return f"`{exercise}` {text}." if text else f"`{exercise}` fails this test: {title}."


@cache
def should(title: str) -> str:
    """Return a title with "should" and its verbs without their ending, "" where it does not begin with a verb."""
    if title.startswith("should "):
        return title
    words = title.split(" ")
    if words[:2] == ["does", "not"]:
        words = ["not", *words[2:]]
        return f"should {_joined(words)}"
    first = 1 if words[0] in _ADVERBS and len(words) > 1 else 0
    verb = words[first].rstrip(",")
    if not _VERB.fullmatch(verb):
        return ""
    words[first] = _bare(verb) + words[first][len(verb) :]
    return f"should {_joined(words)}"


def _joined(words: list[str]) -> str:
    """Take the ending from the verbs that follow "and", "or", "but" or a comma, with a negation or an adverb."""
    found = list(words)
    for n, word in enumerate(words[:-1]):
        if word not in ("and", "or", "but") and not (word.endswith(",") and words[n + 1] in _JOINED and n):
            continue
        rest = words[n + 1 :]
        if rest[:2] == ["does", "not"]:
            found[n + 1] = ""
            continue
        place = n + 2 if rest[0] in _ADVERBS and len(rest) > 1 else n + 1
        verb = words[place].rstrip(",")
        if verb in _JOINED:
            found[place] = _bare(verb) + words[place][len(verb) :]
    return " ".join(word for word in found if word)


def _bare(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    return verb[:-2] if verb.endswith(_ES) else verb[:-1]
