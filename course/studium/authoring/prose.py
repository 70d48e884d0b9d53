"""The lesson as a text: spelling, alternative texts, headings, and reading time."""

import contextlib
import io
import itertools
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec

from nbformat import NotebookNode

from studium.authoring.findings import Finding
from studium.authoring.markdown import Image, Title, items_in
from studium.authoring.subject import Subject
from studium.exercises.definitions import definition
from studium.notebooks.editions import exercise_of, is_optional, role

_NUMBERED = re.compile(r" {0,3}(\d{1,4})[.)] ")
WORDS_A_MINUTE = 180  # a text with formulas and code is read more slowly than a novel
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\]\([^)]*\)|https?://\S+", re.MULTILINE | re.DOTALL)
_NOTHING_SAID = re.compile(
    r"|(?:an? |the )?(?:image|picture|figure|plot|diagram)(?: \d+)?|\S+\.(?:png|jpe?g|gif|svg|webp)", re.IGNORECASE
)


def paragraphs(subject: Subject) -> list[tuple[str, str]]:
    """Return each piece of prose and its place: markdown cells, prompts, hints and messages."""
    found = [(subject.place(str(cell.id)), cell.source) for cell in subject.lesson.cells if _is_prose(cell)]
    for exercise in subject.exercises:
        found.append((f"the prompt of {exercise.id}", exercise.solution.__doc__ or ""))
        found += [(f"a hint of {exercise.id}", hint) for hint in exercise.hints]
        found += [(f"a misconception of {exercise.id}", item.message) for item in exercise.misconceptions]
    return [*found, ("the summary", subject.topic.summary), ("the title", subject.topic.title)]


def _small_print(subject: Subject) -> Iterator[tuple[str, str]]:
    """Return what else learners read: names and messages of tests, claims, and comments and strings in the lesson's
    code.
    """
    for exercise in subject.exercises:
        for test in exercise.tests:
            yield f"the test {test.name!r} of {exercise.id}", f"{test.name} {_texts_of(definition(test.function))}"
    for claim in subject.topic.claims:
        yield "a claim", claim.text
        if published := claim.published:
            words = (*published.values, published.unit, published.our_unit, published.differs)
            yield "what a claim has of its paper", " ".join(words)
    for cell in subject.lesson.cells:
        if cell.cell_type == "code":
            yield subject.place(str(cell.id)), _texts_of(cell.source)


def _texts_of(code: str) -> str:
    """Return the comments in some Python code, and its strings of several words."""
    texts = []
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "COMMENT" or (kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
                texts.append(token.string)
    return " ".join(texts)


def spelling(subject: Subject) -> Finding:
    """Look for known misspellings with codespell, outside code and formulas."""
    if not find_spec("codespell_lib"):
        return Finding(["spelling needs codespell, which is not installed; pip install 'studium[author]'"], "")
    texts = [
        (where, re.sub(r"\s+", " ", without_code(text)))
        for where, text in (*paragraphs(subject), *_small_print(subject))
    ]
    command = [sys.executable, "-m", "codespell_lib", "--config", "/dev/null", "-"]
    told = "\n".join(text for _, text in texts)
    done = subprocess.run(command, input=told, capture_output=True, text=True, encoding="utf-8", check=False)
    found = re.findall(r"^(\d+): .*\n\s+(\w+) ==> (.+)$", done.stdout, re.MULTILINE)
    problems = [f"{texts[int(line) - 1][0]} has {wrong!r}: write {right.strip()}" for line, wrong, right in found]
    return Finding(problems, f"{sum(len(text.split()) for _, text in texts)} words, without any known misspelling")


def without_code(text: str) -> str:
    """Return a text without code, formulas and addresses."""
    return _CODE.sub(" ", text)


def alternative_texts(subject: Subject) -> Finding:
    """Check that each image has a text that describes it."""
    problems = [
        f"{where} has an image without an alternative text; describe in a sentence what it shows: ![…](…)"
        for where, text in paragraphs(subject)
        for item in items_in(text)
        if isinstance(item, Image) and _NOTHING_SAID.fullmatch(item.alt.strip())
    ]
    return Finding(problems, "each image has an alternative text")


def headings(subject: Subject) -> Finding:
    """Check that there is one title, at the top, that no level is skipped, and that headings are unique.

    Also check that a number at the start of a line does not turn a sentence into a list.
    """
    problems = [*_headings(subject), *_false_lists(subject)]
    return Finding(problems, "one title, headings in order, each with unique words")


def _headings(subject: Subject) -> Iterator[str]:
    text = "\n\n".join(cell.source for cell in subject.lesson.cells if cell.cell_type == "markdown")
    found = [item for item in items_in(text) if isinstance(item, Title)]
    titles = [item.text for item in found if item.level == 1]
    if len(titles) != 1 or found[0].level != 1:
        yield (
            f"the lesson needs exactly one heading with a single #, before all others: got {titles}; start with `# "
            f"title`"
        )
    for text, times in Counter(item.text for item in found).items():
        if times > 1:
            yield f"each heading needs unique words: {text!r} appears {times} times; links lead only to the first"
    for before, item in itertools.pairwise(found):
        if item.level > before.level + 1:
            yield (
                f"the heading {item.text!r} may be at most one level below the one before it: it is "
                f"{item.level - before.level} below"
            )
        if not item.text.strip():
            yield f"a heading of level {item.level} needs a text: it is empty; remove it"


def _false_lists(subject: Subject) -> Iterator[str]:
    """Find a number wrapped to the start of a line, where Markdown may take it for the number of a list item."""
    for cell in subject.lesson.cells:
        if cell.cell_type != "markdown":
            continue
        last = 0  # the number of the previous item in this block of lines
        before = ""
        for line in _without_fences(cell.source).splitlines():
            last = last if line.strip() else 0
            if found := _NUMBERED.match(line):
                number = int(found[1])
                if before.strip() and (number != last + 1 or (last == 0 and before.rstrip()[-1] not in ":*")):
                    yield (
                        f"{subject.place(str(cell.id))} has a line that begins with {found[0].strip()!r}, which "
                        f"Markdown takes for a list item; break the lines elsewhere"
                    )
                last = number
            before = line


def reading_time(subject: Subject) -> Finding:
    """Compare the time that the topic states with its words and its exercises."""
    core = [cell for cell in subject.lesson.cells if not is_optional(cell)]
    words = sum(len(_without_fences(cell.source).split()) for cell in core if _is_prose(cell))
    placed = {exercise_of(cell) for cell in core}
    writing = sum(exercise.minutes for exercise in subject.exercises if exercise.id in placed)
    reading = words / WORDS_A_MINUTE
    estimate, said = reading + writing, subject.topic.minutes
    summary = f"{words} words and {writing:g} minutes of exercises are about {estimate:.0f} minutes; it says {said}"
    if estimate / 2 <= said <= max(2 * estimate, estimate + 15):
        return Finding([], summary)
    return Finding([f"minutes must be roughly right: {summary}; change minutes in __init__.py"], "")


def _is_prose(cell: NotebookNode) -> bool:
    """Return whether a cell is text of the lesson; a prompt belongs to its exercise."""
    return cell.cell_type == "markdown" and role(cell) != "prompt"


def _without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
