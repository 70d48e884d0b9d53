"""Promises in a statement that no test notices, found by running the tests on versions that break them."""

import inspect
import re
from collections.abc import Iterator

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.authoring.tried_versions import EXCHANGED, Tried
from studium.exercises.model import Exercise

_SENTENCE = re.compile(r"(?<=[.;:])\s+|\n\s*\n")
_UNCHANGED = re.compile(
    r"\b(?:stays?|leaves?|left|kept?) (?:\w+ ){0,2}as (?:it|they) (?:is|are|was|were)\b|\bunchanged\b"
)
_RETURNS = re.compile(r"\b[Rr]eturns?\b")
# What a sentence says about the result, and the versions that must then fail a test.
_PROMISES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\b[Rr]eturns? (?:a|one|the)(?: new)? tensor\b", ("NumPy", ".item()")),
    (r"\bbool(?:s|ean|eans)?\b", ("float", "int")),
    (r"\b(?:long|int64)\b", ("float", "int")),
    (r"\b(?:float64|double precision)\b", ("float", "half")),
    (r"\balone\b|\band nothing else\b", ("in a tuple",)),
    (r"\bin (?:the|their) (?:same |given )?order(?: given| in which| of)?\b", ("back to front",)),
)
_GRADIENTS = re.compile(r"\b[Gg]radients? (?:flow|pass|reach|go)|\bdifferentiable\b|\btrained through\b")
_EDGES = re.compile(
    r"(?:^|[,:|] |\b(?:is|are|[Rr]eturns?|gives?|as|or|and) )(?:0|zero|NaN|nan) (?:where|if|when)\b"
    r"|\b(?:not|never|without|no) (?:NaN|nan)\b"
)
_LOSS = re.compile(r"(?:\b|_)loss\b", re.IGNORECASE)


def promises(subject: Subject) -> Finding:
    """Run versions of each solution through its tests, and report each promise of a statement that they all miss."""
    advice = [said for exercise in subject.exercises for said in _unnoticed(exercise, subject.versions[exercise.id])]
    return Finding([], _table(subject.versions), advice=advice)


def _unnoticed(exercise: Exercise, tried: dict[str, Tried]) -> Iterator[str]:
    text = re.sub(r"[ \t]+", " ", exercise.solution.__doc__ or "")
    survivors = {name for name, found in tried.items() if found.survives}
    if tried and EXCHANGED not in tried:
        survivors.add(EXCHANGED)  # none of the tests has a result with such a value
    for sentence in (re.sub(r"\s+", " ", part).strip() for part in _SENTENCE.split(text)):
        for promise, version in _promised(sentence):
            if version in survivors:
                yield _say(exercise, promise, f"gives its result {_WORDS.get(version, f'as {version}')}")
        if found := _UNCHANGED.search(sentence):
            for name in _named(exercise, sentence):
                if f"changes {name}" in survivors:
                    yield _say(exercise, found[0], f"changes `{name}`")
    if exercise.mutates_args is not None:
        for name in inspect.signature(exercise.solution).parameters:
            if name not in exercise.mutates_args and f"changes {name}" in survivors:
                yield _say(exercise, exercise.promise, f"changes `{name}`")
    if "no_grad" in survivors and ".item()" in tried and _LOSS.search(f"{exercise.id} {text}"):
        yield (
            f"{exercise.id} is a loss, but a version that computes it without its gradient earns full marks; add a "
            "test that looks at the gradient [standard.md#promises]"
        )


def _promised(sentence: str) -> Iterator[tuple[str, str]]:
    """Return what a sentence promises about the result, with each version that breaks the promise."""
    for pattern, version in ((_GRADIENTS, "no_grad"), (_EDGES, EXCHANGED)):
        if found := pattern.search(sentence):
            yield found[0], version
    for kind, versions in _PROMISES if _RETURNS.search(sentence) else ():
        if found := re.search(kind, sentence):
            yield from ((found[0], version) for version in versions)


_WORDS = {
    "no_grad": "without its gradient",
    "in a tuple": "in a tuple",
    "back to front": "back to front",
    EXCHANGED: "with NaN for each 0 and 0 for each NaN",
}


def _say(exercise: Exercise, promise: str, breach: str) -> str:
    return (
        f"the statement of {exercise.id} says “{promise}”, but the tests miss a version that {breach}; add a test, or "
        f"remove the promise from the statement [standard.md#promises]"
    )


def _named(exercise: Exercise, sentence: str) -> list[str]:
    """Return the arguments that a sentence names, or all of them if it names none."""
    names = list(inspect.signature(exercise.solution).parameters)
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", sentence)] or names


def _table(tried: dict[str, dict[str, Tried]]) -> str:
    """Return a line for each exercise with versions that pass every test they reach."""
    passing = {name: [how for how, found in versions.items() if found.survives] for name, versions in tried.items()}
    rows = [f"{name}: {', '.join(versions)}" for name, versions in passing.items() if versions]
    count, whole = sum(map(len, tried.values())), sum(map(len, passing.values()))
    return "\n".join([f"versions of the solutions that the tests miss: {whole} of {count}", *rows])
