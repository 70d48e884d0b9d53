"""Exercises: a solution, its tests, hints, misconceptions and other correct answers, as ordinary Python.

```python
@exercise(points=3, minutes=8, hints=("What does a pair of equal values count?",), level="warm-up", importance=3)
def inversions(values):
    \"\"\"Count the pairs that stand in the wrong order.\"\"\"
    ### BEGIN SOLUTION
    return sum(left > right for left, right in itertools.combinations(values, 2))
    ### END SOLUTION

@inversions.test("is zero for sorted values", points=1)
def _(inversions): ...

@inversions.hidden("counts every pair of a reversed list", points=2)
def _(inversions, rng): ...
```

A test takes the learner's function under the exercise's own name and, where it wants random data, ``rng``: a seeded
``torch.Generator``. It uses nothing else but the imports of its module, so that it can be written out as a cell.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from studium.errors import ExerciseError
from studium.exercises.edited_solution import MarkedSolution, marked_solution

AnyFunction = Callable[..., Any]
_NAME = re.compile(r"[^\W_A-Z]+(-[^\W_A-Z]+)*")
_FEWEST_WORDS = 5  # words of a name made from a sentence
F = TypeVar("F", bound=AnyFunction)

LEVELS = ("warm-up", "core", "integrative", "stretch")
KINDS = ("write", "find the bug", "derive", "measure", "open")
IMPORTANCE = {1: "good to know", 2: "the lesson uses it", 3: "the lesson's heart"}

_CODE_OR_TAG = re.compile(r"(```.*?```|`[^`]*`)|<(?=[a-z/!])", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Test:
    """One graded test. ``name`` completes the sentence "the function …".

    ``mutates_args`` names the arguments that the function may change; None if the test does not check that.
    ``signature`` is the exercise's name and its parameters: a function in another process cannot be asked for them.
    """

    name: str
    function: AnyFunction
    points: float
    hidden: bool
    mutates_args: tuple[str, ...] | None = None
    signature: tuple[str, tuple[str, ...]] = ("", ())

    @property
    def wants_rng(self) -> bool:
        """Whether the test asks for random data."""
        return "rng" in inspect.signature(self.function).parameters


@dataclass(frozen=True)
class Misconception:
    """A typical wrong answer and the sentence for it. ``name`` is unique within its exercise and never changes.

    ``edits`` are the (old, new) pairs that turn the solution into it; empty if it is a separate function.
    """

    message: str
    make: Callable[[], AnyFunction] = field(repr=False)
    name: str
    edits: tuple[tuple[str, str], ...] = ()

    @functools.cached_property
    def function(self) -> AnyFunction:
        """The wrong answer as a function; one written as edits is compiled on first use."""
        return self.make()


@dataclass
class Exercise:
    """A function that the learner writes. Calling the exercise calls its solution.

    ``public`` marks the edition for student machines, where the solution is a stub and hidden tests are missing.
    ``level`` is one of LEVELS, ``importance`` a key of IMPORTANCE, ``kind`` one of KINDS. ``shows`` names the
    misconception whose code the learner starts from, or is "". ``mutates_args`` names the arguments that may change if
    the statement promises that all others stay the same; None if it does not. ``report`` is what a written report is
    worth that a person reads, besides ``points``, which the tests give; 0 if there is none.
    """

    solution: AnyFunction
    points: float
    minutes: float
    hints: tuple[str, ...] = ()
    public: bool = False
    level: str = "core"
    importance: int = 2
    kind: str = "write"
    shows: str = ""
    mutates_args: tuple[str, ...] | None = None
    report: float = 0
    tests: list[Test] = field(default_factory=list)
    misconceptions: list[Misconception] = field(default_factory=list)
    alternatives: list[AnyFunction] = field(default_factory=list)
    equivalents: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.solution, type):
            raise ExerciseError(
                f"an exercise is a function: got the class {self.solution.__name__}; ask for a function that returns "
                "the object, or for one that does what a method would"
            )
        functools.update_wrapper(self, self.solution)
        for name, known in (("level", LEVELS), ("importance", IMPORTANCE), ("kind", KINDS)):
            _require_known(f"{name} of {self.id}", getattr(self, name), known)
        if self.shows and self.kind != "find the bug":
            raise ExerciseError(
                f'{self.id} shows {self.shows!r}, so its kind must be "find the bug": got {self.kind!r}; change one'
            )

        if self.report < 0 or (self.kind == "open") != (self.report > 0):
            raise ExerciseError(
                f'the kind "open" needs a report, and no other kind has one: got kind {self.kind!r} and '
                f"report={self.report!r} for {self.id}; give both or neither"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.solution(*args, **kwargs)

    @property
    def max_points(self) -> float:
        """The points of the tests that are here: all of them, or in the public edition those that learners see."""
        return sum(test.points for test in self.tests)

    @property
    def id(self) -> str:
        """The name of the function, unique within its topic."""
        return self.solution.__name__

    @property
    def statement(self) -> str:
        """The docstring of the solution as Markdown, with the promise about ``mutates_args``. Anything like a tag is
        text.

        It is "" if there is neither.
        """
        text = _CODE_OR_TAG.sub(lambda match: match[1] or "&lt;", inspect.cleandoc(self.solution.__doc__ or ""))
        return "\n\n".join(filter(None, (text, self.promise)))

    @property
    def promise(self) -> str:
        """The sentence about arguments that stay the same, or "" without ``mutates_args``."""
        if self.mutates_args is None:
            return ""
        changed = " and ".join(f"`{name}`" for name in self.mutates_args)
        return f"The arguments stay as they are{f', except {changed}' if changed else ''}."

    @property
    def shown(self) -> Misconception | None:
        """The misconception whose code the learner starts from; None if there is none, or if it is not registered."""
        return next((known for known in self.misconceptions if known.name == self.shows), None)

    @property
    def file(self) -> Path:
        """The file in which the exercise is written."""
        return Path(inspect.unwrap(self.solution).__code__.co_filename)

    @property
    def file_name(self) -> str:
        """The name of that file in messages: "exercises.py", or "exercises/merge.py"."""
        inside = is_exercise_file(self.solution.__module__)
        return f"exercises/{self.file.name}" if inside else self.file.name

    def facts(self, *, optional: bool = False) -> str:
        """Return level, kind, importance, points and minutes on one line, starting with "optional" if it is."""
        parts = (*(["optional"] if optional else []), self.level, self.kind, IMPORTANCE[self.importance])
        time = f"about {self.minutes:g} minute{'s' if self.minutes != 1 else ''}"
        points = in_points(self.points) + (f" and {self.report:g} for a report" if self.report else "")
        return " · ".join([*parts, points, time])

    def test(self, name: str, *, points: float, mutates_args: Iterable[str] | None = None) -> Callable[[F], F]:
        """Register a test that learners see, worth ``points``.

        With ``mutates_args``, the test also fails if an argument changes that is not named there.
        """
        return self._test(name, points, mutates_args, hidden=False)

    def hidden(self, name: str, *, points: float, mutates_args: Iterable[str] | None = None) -> Callable[[F], F]:
        """Register a test whose code learners never get, worth ``points``; ``mutates_args`` as in ``test``."""
        return self._test(name, points, mutates_args, hidden=True)

    def misconception(self, message: str, *, name: str = "") -> Callable[[F], F]:
        """Register a wrong answer that is recognised by what it returns; ``message`` is the sentence shown for it.

        ``name`` identifies it in records, such as "scaled-by-alpha"; by default it is made from the sentence's words.
        Raise ExerciseError if another misconception of this exercise has that name.
        """
        chosen = name or _name_from(message, {known.name for known in self.misconceptions})
        self._require_new_name(chosen)

        def register(function: F) -> F:
            self.misconceptions.append(Misconception(message, lambda: function, chosen))
            return function

        return register

    def mistake(
        self,
        name: str,
        message: str,
        *,
        replace: str | None = None,
        by: str | None = None,
        edits: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Register a wrong answer that is the solution with ``replace`` replaced ``by`` something else.

        ``edits`` makes several such changes, given as pairs. The replaced code must occur once between the markers;
        line breaks, spaces and comments do not matter. A text of several lines is a block in triple quotes, with any
        indentation. If the solution calls itself, the mistake calls the right one. Raise ExerciseError for an edit that
        does not fit, or if another misconception has that name.
        """
        self._require_new_name(name)
        what = f"the mistake {name!r} of {self.id}"
        one = replace is not None or by is not None
        if one == bool(edits) or (one and None in (replace, by)):
            got = "both" if one and edits else "neither" if not one else "half of the first"
            raise ExerciseError(
                f"{what} needs replace=… and by=…, or edits=[(old, new), …]: got {got}; use one of these forms"
            )
        pairs = tuple(edits) or ((str(replace), str(by)),)
        self.marked.require(what, pairs)
        self.misconceptions.append(Misconception(message, lambda: self.marked.with_edits(name, pairs), name, pairs))

    @functools.cached_property
    def marked(self) -> MarkedSolution:
        """The solution with its text, as edits need it."""
        return marked_solution(self.solution)

    def _require_new_name(self, chosen: str) -> None:
        if not _NAME.fullmatch(chosen):
            raise ExerciseError(
                f"a misconception of {self.id} needs a name such as 'scaled-by-alpha', of lowercase words joined by "
                f"hyphens: got {chosen!r}; change it"
            )
        if any(known.name == chosen for known in self.misconceptions):
            raise ExerciseError(
                f"each misconception of {self.id} needs its own name: {chosen!r} appears twice; rename one"
            )

    def sentence_of(self, mistake: str) -> str:
        """Return the sentence of the misconception whose id ends in its name, or "" if there is none (any more)."""
        name = mistake.rpartition(":")[2]
        return next((known.message for known in self.misconceptions if known.name == name), "")

    def also_correct(self, function: F) -> F:
        """Register another correct answer, in a different style."""
        self.alternatives.append(function)
        return function

    def equivalent(self, line: str, reason: str) -> None:
        """Mark a line produced by mutation testing of the solution as equivalent, and give the reason."""
        if not reason.strip():
            raise ExerciseError(f"an equivalent line of {self.id} needs a reason: got none for {line!r}; explain why")
        self.equivalents[line.strip()] = reason

    def _test(self, name: str, points: float, mutates_args: Iterable[str] | None, *, hidden: bool) -> Callable[[F], F]:
        mutated = _arguments(self.solution, mutates_args)
        signature = self.id, tuple(inspect.signature(self.solution).parameters)

        if any(test.name == name for test in self.tests):
            raise ExerciseError(f"each test of {self.id} needs its own name: {name!r} came twice; rename one")

        def register(function: F) -> F:
            test = Test(name, function, points, hidden, mutated, signature)
            takes = set(inspect.signature(function).parameters)
            if self.id not in takes or takes - {self.id, "rng"}:
                raise ExerciseError(
                    f"test {name!r} must take {self.id} and may take rng: got ({', '.join(sorted(takes))}); rename them"
                )
            self.tests.append(test)
            return function

        return register


def exercise(
    *,
    points: float,
    minutes: float,
    hints: tuple[str, ...] = (),
    level: str = "core",
    importance: int = 2,
    kind: str = "write",
    shows: str = "",
    mutates_args: Iterable[str] | None = None,
    report: float = 0,
    public: bool = False,
) -> Callable[[AnyFunction], Exercise]:
    """Turn a solution into an Exercise worth ``points`` that takes about ``minutes``.

    ``level`` is "warm-up" (a few decisions: operations, calls, indexings, branches), "core" (7 or more), "integrative"
    (18 or more, built from the earlier parts) or "stretch". ``importance`` is 1 (good to know), 2 (the lesson uses it)
    or 3 (the lesson's heart). ``kind`` is "write", "find the bug", "derive", "measure" or "open". Raise ExerciseError
    for any other value, and for a class. ``shows`` is for "find the bug": it names one of the exercise's mistakes, and
    the learner's cell starts with that mistake's code. ``mutates_args`` adds to the statement that all arguments except
    those it names stay as they are; tests that have it too check this. "open" sets a goal that tests measure;
    ``report`` is what the learner's written report is worth on top, which a person reads.
    """
    if isinstance(hints, str):
        raise ExerciseError("hints must be a tuple of sentences: got one string; add a comma after it")
    return lambda function: Exercise(
        function,
        points,
        minutes,
        tuple(hints),
        public,
        level,
        importance,
        kind,
        shows,
        _arguments(function, mutates_args),
        report,
    )


def _arguments(function: AnyFunction, mutates_args: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of arguments that may change; raise ExerciseError if the function has no such argument."""
    if mutates_args is None:
        return None
    names = (mutates_args,) if isinstance(mutates_args, str) else tuple(mutates_args)
    for name in names:
        _require_known(f"what mutates_args of {function.__name__} names", name, inspect.signature(function).parameters)
    return names


def _require_known(what: str, value: object, known: Iterable[object]) -> None:
    known = list(known)
    if value not in known or isinstance(value, bool):
        raise ExerciseError(f"{what} must be one of {', '.join(map(repr, known))}: got {value!r}; choose one of them")


def mistake_id(topic: str, exercise: str, name: str) -> str:
    """Return the id of a misconception in every record, such as "lora.merge:scaled-by-alpha"."""
    return f"{topic}.{exercise}:{name}"


def in_points(points: float) -> str:
    """Format a number of points: "1 point", "2.5 points"."""
    return f"{points:g} point{'s' if points != 1 else ''}"


def is_exercise_file(module: str) -> bool:
    """Return whether a module is a file in a folder ``exercises``, such as "lora.exercises.merge"."""
    return module.split(".")[-2:-1] == ["exercises"]


def exercises_of(module: ModuleType) -> dict[str, Exercise]:
    """Collect the exercises of a module in order of definition; of a package, in the order of its tuple ``exercises``.

    Raise ExerciseError if points do not add up, if a shown mistake does not exist, or if a package lacks that tuple or
    has a module of the same name next to it.
    """
    values = _listed(module) if hasattr(module, "__path__") else vars(module).values()
    found = {value.id: value for value in values if isinstance(value, Exercise)}
    for item in found.values():
        total = item.max_points
        if not item.public and abs(total - item.points) > 1e-9:
            raise ExerciseError(
                f"the tests of {item.id} must add up to its {item.points:g} points: got {total:g}; change one of them"
            )
        if item.shows and not item.public and item.shown is None:
            names = ", ".join(repr(known.name) for known in item.misconceptions)
            raise ExerciseError(
                f"{item.id} can only show one of its mistakes, {names or 'but it has none'}: got {item.shows!r}; "
                "name one of them, or write it"
            )
    return found


def _listed(package: ModuleType) -> tuple[Exercise, ...]:
    name = package.__name__
    for folder in map(Path, package.__path__):
        if folder.with_suffix(".py").is_file():
            raise ExerciseError(
                f"{name} must be either a folder or a file: {folder.name}/ and {folder.name}.py both exist; delete one"
            )
    listed = vars(package).get("exercises")
    if not isinstance(listed, tuple) or not all(isinstance(item, Exercise) for item in listed):
        raise ExerciseError(
            f"{name} needs exercises = (…), a tuple of its exercises in the lesson's order: got "
            f"{type(listed).__name__ if listed is not None else 'none'}; write it into its __init__.py"
        )
    if twice := next((item.id for item in listed if [other.id for other in listed].count(item.id) > 1), ""):
        raise ExerciseError(f"{name} must list each exercise once: {twice} appears twice; remove one")
    return listed


def _name_from(sentence: str, taken: set[str]) -> str:
    """Return the first words of a sentence as a name: five, or more if needed to tell it from the names in use."""
    words = re.findall(r"[^\W_]+", sentence.lower())
    names = ("-".join(words[:count]) for count in range(_FEWEST_WORDS, len(words) + 1))
    return next((name for name in names if name not in taken), "-".join(words))
