"""A simulated class: answers from a topic's registered right answers, misconceptions and mutants, with planted cases.

Each distinct answer is judged once, in this process; students then draw from these answers by ability. Nothing of a
course folder is needed: the result is the plain data that the report is made of.
"""

import ast
import inspect
import random
from collections.abc import Callable, Iterator
from functools import cache
from math import exp

import msgspec
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.exercises.definitions import definition
from studium.exercises.model import Exercise as TopicExercise
from studium.exercises.mutation import mutants_of
from studium.exercises.sources import solved, stub
from studium_graders.engine.material.results import TestResult
from studium_graders.report.class_data import Answer, ClassData, Exercise, Item

SLUG = "rope"
_MUTANTS = 6  # of each exercise
_OTHER_NAMES = ("tmp", "res", "val", "aux", "first", "second", "left", "right", "part", "acc", "u", "w", "z", "k2")


class Pool(msgspec.Struct):
    """The answers to one exercise: as each is written, with its test results."""

    exercise: Exercise
    right: list[Answer]
    mistakes: list[Answer]
    mutants: list[Answer]
    untouched: Answer


@cache
def pools() -> list[Pool]:
    """Return the answers to each exercise of the topic but open ones, of which a mutant may be another right answer.

    They are judged once in a session.
    """
    return [_pool(exercise) for exercise in load_catalogue()[SLUG].exercises.values() if not exercise.report]


def _pool(exercise: TopicExercise) -> Pool:
    items = tuple(Item(f"{exercise.id}-{n}", t.name, t.points, t.hidden) for n, t in enumerate(exercise.tests))
    right = [solved(exercise), *(_renamed(exercise, item) for item in exercise.alternatives)]
    known = Exercise("rope", exercise.id, items, SLUG, (stub(exercise),), tuple(right))
    module = inspect.getmodule(exercise.solution)
    mistakes = [_renamed(exercise, item.function) for item in exercise.misconceptions]
    chosen = random.Random(exercise.id).sample(found := _mutants(exercise), min(_MUTANTS, len(found)))
    judged = [_judged(exercise, known, source, vars(module)) for source in (*mistakes, *chosen)]
    wrong, changed = judged[: len(mistakes)], judged[len(mistakes) :]
    passed = {item.grade_id: _result(known, item, "passed") for item in items}
    blank = {item.grade_id: _result(known, item, "not attempted") for item in items}
    return Pool(
        known,
        [Answer(source, passed) for source in right],
        [answer for answer in wrong if answer.mistakes],
        [answer for answer in changed if answer.is_unnamed],
        Answer(stub(exercise), blank),
    )


def _mutants(exercise: TopicExercise) -> list[str]:
    text = inspect.getsource(inspect.getmodule(exercise.solution))
    sources = (mutant.source for mutant in mutants_of(text, exercise.id) if "while" not in mutant.source)
    return [ast.unparse(_function(source, exercise.id)) for source in sources]


def _function(source: str, name: str) -> ast.FunctionDef:
    function = next(node for node in ast.parse(inspect.cleandoc(source)).body if isinstance(node, ast.FunctionDef))
    function.decorator_list, function.name = [], name
    return function


def _renamed(exercise: TopicExercise, function: Callable) -> str:
    return definition(function).replace("def _(", f"def {exercise.id}(", 1)


def _judged(exercise: TopicExercise, known: Exercise, source: str, names: dict) -> Answer:
    space = dict(names)
    exec(compile(source, "<answer>", "exec"), space)
    result = check(SLUG, exercise, space[exercise.id])
    outcomes = {test.name: test for test in result.tests}
    tests = {
        item.grade_id: _result(
            known,
            item,
            "passed" if outcomes[item.name].passed else "failed",
            outcomes[item.name].message,
            "" if outcomes[item.name].passed else result.mistake_id,
        )
        for item in known.items
    }
    return Answer(source, tests)


def _result(exercise: Exercise, item: Item, outcome: str, message: str = "", mistake: str = "") -> TestResult:
    points = item.points if outcome == "passed" else 0.0
    return TestResult(
        exercise.id, item.name, points, item.points, outcome, message, mistake, exercise.notebook, item.grade_id
    )


def honest_class(students: int = 200, seed: int = 0) -> tuple[ClassData, list[float]]:
    """Return students who answer by ability, each in a style of their own, and their abilities."""
    rng = random.Random(seed)
    abilities = [rng.gauss(0, 1) for _ in range(students)]
    hardness = [rng.uniform(-1.2, 0.6) for _ in pools()]
    answers = {}
    for number, ability in enumerate(abilities):
        style = _Style(rng)
        row = (
            style.written(_drawn(pool, 1.6 * (ability - hard), rng))
            for pool, hard in zip(pools(), hardness, strict=True)
        )
        answers[f"s{number:04}"] = tuple(row)
    return ClassData("ps1", tuple(pool.exercise for pool in pools()), answers, "A term"), abilities


def _drawn(pool: Pool, advantage: float, rng: random.Random) -> Answer:
    if rng.random() < 1 / (1 + exp(-advantage)):
        return rng.choice(pool.right)
    kind = rng.random()
    if kind < 0.12:
        return pool.untouched
    return rng.choice((pool.mutants if kind > 0.7 else pool.mistakes) or pool.mistakes)


class _Style:
    """How one student writes: names, comments, and whether a result gets a name before it is returned."""

    def __init__(self, rng: random.Random) -> None:
        self.renames, self.names_results, self.comments = rng.random() < 0.6, rng.random() < 0.3, rng.random() < 0.5
        self.seed = rng.random()

    def written(self, answer: Answer) -> Answer:
        if answer.outcome == "not attempted":
            return answer
        source = answer.source
        source = name_results(source) if self.names_results else source
        source = rename(source, self.seed) if self.renames else source
        return msgspec.structs.replace(answer, source=comment(source, self.seed) if self.comments else source)


def rename(source: str, seed: float = 1.0) -> str:
    """Return the code with other names for its variables; parameters stay, for tests may name them."""
    tree, rng = ast.parse(source), random.Random(seed)
    own = sorted({n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)})
    new = dict(zip(own, rng.sample(_OTHER_NAMES, len(_OTHER_NAMES)), strict=False))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
    return ast.unparse(tree) + "\n"


def name_results(source: str) -> str:
    """Return the code with ``return x`` written as two statements."""
    return ast.unparse(ast.fix_missing_locations(_NamedResults().visit(ast.parse(source)))) + "\n"


class _NamedResults(ast.NodeTransformer):
    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        if node.value is None or isinstance(node.value, ast.Name):
            return [node]
        name = ast.Name("answer", ast.Store())
        return [ast.Assign([name], node.value, lineno=0), ast.Return(ast.Name("answer", ast.Load()))]


def comment(source: str, seed: float = 1.0) -> str:
    """Return the code with comments and blank lines of somebody's own."""
    rng = random.Random(seed)
    lines = []
    for line in source.splitlines():
        if line.startswith("    ") and rng.random() < 0.4:
            lines += ["", f"{line[: len(line) - len(line.lstrip())]}# {rng.choice(_OTHER_NAMES)}: see the paper"]
        lines.append(line)
    try:
        ast.parse("\n".join(lines))
    except SyntaxError:  # it was put into a string
        return source
    return "\n".join(lines) + "\n"


def reorder(source: str) -> str:
    """Return the code with the statements that make something in reverse order; it may not run any more."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            made = [part for part in node.body if isinstance(part, ast.Assign)]
            backwards = iter(made[::-1])
            node.body = [next(backwards) if part in made else part for part in node.body]
    return ast.unparse(tree) + "\n"


DISGUISES = (rename, reorder, lambda source: comment(source, 0.123))


def planted_copies(data: ClassData) -> tuple[ClassData, list[tuple[str, str]]]:
    """Let three students hand in what three others wrote: renamed, reordered, and with other comments.

    The others are those with the most answers that are no registered right ones, for nobody can tell who copied these.
    """
    own = {student: sum(_is_own(answer) for answer in row) for student, row in data.answers.items()}
    sources = sorted(own, key=lambda student: -own[student])[:3]
    takers = [student for student in data.students if student not in sources][:3]
    answers = dict(data.answers)
    for taker, source, disguise in zip(takers, sources, DISGUISES, strict=True):
        answers[taker] = tuple(
            msgspec.structs.replace(answer, source=disguise(answer.source)) for answer in answers[source]
        )
    pairs = [tuple(sorted(pair)) for pair in zip(takers, sources, strict=True)]
    return msgspec.structs.replace(data, answers=answers), pairs


def _is_own(answer: Answer | None) -> bool:
    return answer is not None and answer.outcome == "wrong"


def planted_items(data: ClassData, abilities: list[float], bad: str, negative: str, seed: int = 1) -> ClassData:
    """Let two tests say nothing and the opposite: ``bad`` by a coin, ``negative`` the likelier, the weaker one is."""
    rng = random.Random(seed)
    chances = {bad: lambda ability: 0.5, negative: lambda ability: 1 / (1 + exp(1.5 * ability))}
    answers = {
        student: tuple(_with_outcomes(answer, chances, ability, rng) for answer in row)
        for (student, row), ability in zip(data.answers.items(), abilities, strict=True)
    }
    return msgspec.structs.replace(data, answers=answers)


def _with_outcomes(answer: Answer, chances: dict, ability: float, rng: random.Random) -> Answer:
    tests = dict(answer.tests)
    for name in chances.keys() & tests.keys():
        passed = rng.random() < chances[name](ability)
        points = tests[name].max_points if passed else 0.0
        tests[name] = msgspec.structs.replace(tests[name], outcome="passed" if passed else "failed", points=points)
    return msgspec.structs.replace(answer, tests=tests)


def planted_mistake(data: ClassData, index: int, share: float = 0.12, seed: int = 2) -> tuple[ClassData, list[str]]:
    """Let a share of the students make the same mistake without a name in one exercise, each in an own style."""
    rng = random.Random(seed)
    makers = sorted(rng.sample(data.students, round(share * len(data.students))))
    wrong = pools()[index].mutants[0]
    answers = dict(data.answers)
    for maker in makers:
        row = list(answers[maker])
        row[index] = _Style(rng).written(wrong)
        answers[maker] = tuple(row)
    return msgspec.structs.replace(data, answers=answers), makers


def lines_of_hidden_tests() -> Iterator[str]:
    """Return the lines of the topic's hidden tests that are long enough to be told."""
    for exercise in load_catalogue()[SLUG].exercises.values():
        shown = "\n".join(definition(test.function) for test in exercise.tests if not test.hidden)
        for test in exercise.tests:
            for line in map(str.strip, definition(test.function).splitlines() if test.hidden else ()):
                if len(line) >= 40 and line not in shown:
                    yield line
