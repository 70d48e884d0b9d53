"""What can be known of a notebook before anybody's answer: done once, before any fork."""

import ast
import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import CodeType

from studium.exercises import Exercise

from studium_graders.engine.judge.compiling import CompiledTest, compile_statement, compile_test
from studium_graders.engine.judge.data_classes import is_data, is_value
from studium_graders.engine.judge.dotted_names import imported_names
from studium_graders.engine.judge.earlier import Earlier
from studium_graders.engine.judge.exercise_tests import ExerciseTest, exercise_test
from studium_graders.engine.judge.given_modules import GivenModules
from studium_graders.engine.judge.left_by_tests import Left, bound_by, left_by
from studium_graders.engine.judge.names import Statement, changed_names, deleted_names, is_definition
from studium_graders.engine.judge.one_process import Surroundings, reason_for_one_process
from studium_graders.engine.judge.ownership import LIBRARIES, is_compound, owned_by_student, statements_of, unbound
from studium_graders.engine.judge.python_text import parse
from studium_graders.engine.judge.random_state import DRAWING
from studium_graders.engine.judge.slicing import clean_statements, data_of, left_to_student, needed
from studium_graders.engine.material.assignment import Cell, NotebookMaterial


@dataclass(frozen=True)
class PreparedTest:
    """A test cell. ``code`` is None where it cannot run apart, for the reason in ``unverified``.

    ``definitions`` is what later tests may need of it when it is not run here, ``before`` what it needs of earlier
    tests; ``answers`` are the ids of the answer cells that it is about, ``deleted`` the names of
    given functions and classes that it deletes, for answers too.
    """

    cell: Cell
    code: CompiledTest | None
    unverified: str
    definitions: tuple[CodeType, ...]
    before: tuple[Earlier, ...]
    answers: frozenset[str]
    deleted: frozenset[str] = frozenset()
    exercise_test: ExerciseTest | None = None


@dataclass(frozen=True)
class Prepared:
    """A notebook of the material, ready to judge answers. ``as_released`` is the same without its hidden tests."""

    material: NotebookMaterial
    owned: frozenset[str]
    libraries: tuple[CodeType, ...]  # imports of what tests use and nothing in the template imports
    here: Mapping[str, tuple[CodeType, ...]]  # what the judge runs itself of given cells, by cell
    lent: Mapping[str, frozenset[str]]  # names that answers import, by cell
    there: Mapping[str, frozenset[str]]  # names that a given cell makes anew of what the student wrote, by cell
    drawing: frozenset[str]  # given cells that may draw random numbers
    tests: Mapping[str, PreparedTest]
    named: frozenset[str]  # what tests mention
    data_classes: frozenset[str]  # given classes of plain data, whose methods are the judge's own
    made: Mapping[str, frozenset[str]]  # names that tests find in the student's process, by the cell that makes them
    left: Mapping[str, Left]  # what tests leave for answers, by cell
    as_released: "Prepared | None" = None


NO_FILES: Mapping[str, bytes] = {}
Exercises = Callable[[str], Mapping[str, Exercise]]


def prepare(
    material: NotebookMaterial, exercises: Exercises = lambda topic: {}, files: Mapping[str, bytes] = NO_FILES
) -> Prepared:
    """Read a notebook. ``exercises`` gives the exercises of an installed topic by its slug, or raises.

    ``files`` are what the assignment hands out, and lie in the working folder: modules among them can be imported from
    now on, and tests may read them. Imports what the tests need, so that a fork of this process has it already.
    """
    GivenModules(files).install()
    prepared = _prepare(material, exercises, files)
    if not any(cell.hidden for cell in material.cells):
        return prepared
    return replace(prepared, as_released=_prepare(material.as_released(), exercises, files))


def _prepare(material: NotebookMaterial, exercises: Exercises, files: Mapping[str, bytes]) -> Prepared:
    owned = owned_by_student(material.cells)
    trees = {cell.id: parse(cell.source) for cell in material.cells if cell.kind in ("given", "test")}
    texts = {cell.id: statements_of(cell) for cell in material.cells if cell.kind in ("given", "test")}
    clean = clean_statements(texts, owned)
    data_classes = _data_classes(material, clean)
    of_answers = _imports_of_answers(material)
    here = _run_here(material, texts, clean, data_classes) | of_answers
    _import(item.node for items in here.values() for item in items)
    libraries = [f"import {LIBRARIES[name]} as {name}" for name in sorted(unbound(material.cells) & LIBRARIES.keys())]
    codes = {cell: tuple(compile_statement(item.node, cell) for item in items) for cell, items in here.items()}
    answered = {cell.id: owned_by_student([cell]) for cell in material.cells if cell.kind == "answer"}
    imported = imported_names(tree for tree in trees.values() if tree is not None)
    data = {cell: _data(items) for cell, items in here.items() if cell not in answered}
    notebook = _Notebook(material, trees, imported, texts, clean, owned, answered, data, exercises, frozenset(files))
    tests = {cell.id: notebook.test(cell, codes.get(cell.id, ())) for cell in material.cells if cell.kind == "test"}
    imports = tuple(compile_statement(ast.parse(line).body[0], "libraries") for line in libraries)
    elsewhere = bound_by(material.cells)
    left = {cell.id: left_by(cell, owned, elsewhere) for cell in material.cells if cell.kind == "test"}
    named = notebook.named()
    lent = {cell: frozenset(name for item in items for name in item.imports) for cell, items in of_answers.items()}
    given = (cell.id for cell in material.cells if cell.kind == "given")
    known = frozenset[str]().union(*(_data(items) for items in clean.values()))
    there = {cell: left_to_student(texts[cell], clean[cell], known) for cell in given}
    made = {cell.id: answered.get(cell.id, frozenset()) | lent.get(cell.id, frozenset()) for cell in material.cells}
    made |= there
    drawing = _drawing(material)
    return Prepared(material, owned, imports, codes, lent, there, drawing, tests, named, data_classes, made, left)


def _data_classes(material: NotebookMaterial, clean: Mapping[str, list[Statement]]) -> frozenset[str]:
    given = (item.node for cell in material.cells if cell.kind == "given" for item in clean.get(cell.id, ()))
    return frozenset(
        node.name for node in given if isinstance(node, ast.ClassDef) and (is_data(node) or is_value(node))
    )


def _data(items: Iterable[Statement]) -> frozenset[str]:
    return frozenset(name for item in items for name in data_of(item))


def _run_here(
    material: NotebookMaterial,
    texts: Mapping[str, list[Statement]],
    clean: Mapping[str, list[Statement]],
    data_classes: frozenset[str],
) -> dict[str, list[Statement]]:
    """Return, by cell, what the judge runs itself: of given cells what tests need, of tests what they define."""
    tests = {cell.id for cell in material.cells if cell.kind == "test"}
    wanted = {name for cell in tests for item in texts.get(cell, ()) for name in item.reads | item.later}
    given = needed(
        (item for cell, items in clean.items() if cell not in tests for item in items), wanted | data_classes
    )
    kept = {id(item) for item in given} | {id(item) for cell in _drawing(material) for item in clean.get(cell, ())}
    return {
        cell: [item for item in items if id(item) in kept or (cell in tests and item.binds | item.imports)]
        for cell, items in clean.items()
    }


def _drawing(material: NotebookMaterial) -> frozenset[str]:
    given = (cell for cell in material.cells if cell.kind == "given")
    return frozenset(cell.id for cell in given if _may_draw(cell))


def _may_draw(cell: Cell) -> bool:
    return any(word in cell.source for word in DRAWING)


def _imports_of_answers(material: NotebookMaterial) -> dict[str, list[Statement]]:
    """Return the import statements of the template's answer cells, on which tests may count."""
    answers = (cell for cell in material.cells if cell.kind == "answer")
    return {cell.id: [item for item in statements_of(cell) if item.imports] for cell in answers}


@dataclass(frozen=True)
class _Notebook:
    """A notebook's text, taken apart."""

    material: NotebookMaterial
    trees: Mapping[str, ast.Module | None]
    imports: Mapping[str, str]
    texts: Mapping[str, list[Statement]]
    clean: Mapping[str, list[Statement]]
    owned: frozenset[str]
    answered: Mapping[str, frozenset[str]]
    data: Mapping[str, frozenset[str]]
    exercises: Exercises
    files: frozenset[str]

    def test(self, cell: Cell, definitions: tuple[CodeType, ...]) -> PreparedTest:
        tree = self.trees[cell.id]
        found = exercise_test(cell, self.exercises)
        around = Surroundings(self.imports, self.owned, self._given(cell), self.files)
        reason = reason_for_one_process(tree, around)
        code = None
        if tree is not None and not reason:
            code = compile_test(tree, cell.source, cell.id, self.owned, show=not cell.hidden)
        answers, deleted = self._answers(cell), self._deleted(tree)
        return PreparedTest(cell, code, reason, definitions, self._before(cell), answers, deleted, found)

    def _deleted(self, tree: ast.Module | None) -> frozenset[str]:
        cells = [other.id for other in self.material.cells if other.kind == "given"]
        items = [item for cell in cells for item in self.clean.get(cell, ()) if is_definition(item.node)]
        deleted = deleted_names(tree) if tree is not None else set()
        return frozenset(name for item in items for name in item.binds if name in deleted)

    def named(self) -> frozenset[str]:
        """Return the names that occur in tests."""
        items = [item for cell in self.material.cells if cell.kind == "test" for item in self.texts.get(cell.id, ())]
        return frozenset(name for item in items for name in item.reads | item.later)

    def _answers(self, cell: Cell) -> frozenset[str]:
        reads = {name for item in self.texts.get(cell.id, ()) for name in item.reads | item.later}
        return frozenset(answer for answer, names in self.answered.items() if names & reads)

    def _given(self, cell: Cell) -> frozenset[str]:
        """Return the names of data of given cells that a test reads, and does not bind itself."""
        own = self.texts.get(cell.id, ())
        reads = {name for item in own for name in item.reads | item.later}
        data = {name for other in self.material.cells if other.kind == "given" for name in self.data.get(other.id, ())}
        return frozenset(reads & data - {name for item in own for name in item.binds})

    def _before(self, cell: Cell) -> tuple[Earlier, ...]:
        """Return the statements of earlier tests without which a test cannot run by itself."""
        tests = [other for other in self.material.cells if other.kind == "test"]
        earlier = tests[: tests.index(cell)]
        own = self.texts.get(cell.id, ())
        items = needed((item for other in earlier for item in self._bringing(other)), _open_reads(own), set_up=False)
        kept = {id(item) for item in items}
        return tuple(
            self._earlier(other, item) for other in earlier for item in self.texts.get(other.id, ()) if id(item) in kept
        )

    def _bringing(self, cell: Cell) -> Iterator[Statement]:
        """Yield the statements of a test, but for those that take a given name away or put it back.

        It leads to the student's process while the test runs: what became of the name is there already.
        """
        deleted = self._deleted(self.trees[cell.id])
        for item in self.texts.get(cell.id, ()):
            names = item.binds | item.imports | deleted_names(item.node) | changed_names(item.node)
            if not names or names - deleted:
                yield item

    def _earlier(self, cell: Cell, item: Statement) -> Earlier:
        """Describe a statement. A library's state is the judge's own."""
        clean = any(item is other for other in self.clean[cell.id])
        source = ast.unparse(item.node)
        names = (item.binds | changed_names(item.node) - self.imports.keys()) - self.owned
        sets_up = clean and not names and not any(word in source for word in DRAWING)
        by_text = is_definition(item.node) or bool(item.imports) or sets_up
        return Earlier(cell.id, source, cell.hidden, by_text)


def _open_reads(items: Iterable[Statement]) -> set[str]:
    """Return the names that a test reads or changes and has not bound itself before."""
    reads, later, bound = set[str](), set[str](), set[str]()
    for item in items:
        reads |= (item.reads | changed_names(item.node)) - bound
        later |= item.later
        if not is_compound(item.node):  # else it may bind nothing
            bound |= item.binds | item.imports
    return reads | (later - bound)


def _import(nodes: Iterable[ast.stmt]) -> None:
    for node in nodes:
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
