"""The public edition of a file of exercises: stubs, visible tests and hints, cut from the text of the real one.

Nothing is imported and nothing runs, because the source may be anybody's.
"""

import ast
import builtins
import symtable
from collections.abc import Iterator, Mapping

from studium.errors import ExerciseError
from studium.exercises.definitions import without_first_decorator
from studium.exercises.sources import global_names, is_of_exercise, without_solution
from studium.exercises.starting_code import with_code
from studium.exercises.syntax import parse

from studium_graders.course.shown_mistakes import shown_mistake

HEADER = '"""The exercises in their public edition, generated: prompts, stubs, visible tests and hints."""'


def public_source(source: str, name: str, *, hints: bool = True, in_folder: bool = False) -> str:
    """Return the public edition of the exercises in ``source``; ``name`` is the file's, for messages.

    A file ``in_folder``, one of several, is public without its imports from the others. Raise ExerciseError if that is
    not possible, so nothing secret is published by mistake.
    """
    try:
        module = parse(source)
    except SyntaxError as error:
        raise ExerciseError(f"{name} must be Python: {error.msg} in line {error.lineno}; correct it") from error
    lines = source.splitlines(keepends=True)
    decorator = _decorator_name(module)
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    exercises = {node.name: without_first_decorator(lines, node) for node in functions if _call(node, decorator)}
    stubs = {node: _exercise(module, lines, node, exercises, decorator, name, hints) for node in functions}
    parts = [part for node in functions for part in (stubs[node], _visible_test(lines, node, exercises)) if part]
    needed = global_names("\n".join([*parts, *exercises.values()]))
    unwritten = "\n".join(map(without_solution, exercises.values()))
    called = global_names("\n".join(stubs.values())) - global_names(unwritten)
    imports = list(_imports(module, needed, called, in_folder=in_folder))
    _require_imports_alone("\n".join([*imports, *parts]), name)
    return "\n\n\n".join([HEADER + "\n\n" + "\n".join(imports), *parts]) + "\n"


def _decorator_name(module: ast.Module) -> str:
    """Return the name under which the module imports ``studium.exercise``."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "studium":
            for alias in node.names:
                if alias.name == "exercise":
                    return alias.asname or alias.name
    return "exercise"


def _call(node: ast.FunctionDef, decorator: str) -> ast.Call | None:
    """Return the decorator call ``@exercise(…)`` of a function, also if it is written ``@studium.exercise(…)``."""
    for item in node.decorator_list:
        if isinstance(item, ast.Call) and decorator == getattr(item.func, "id", getattr(item.func, "attr", "")):
            return item
    return None


def _exercise(
    module: ast.Module,
    lines: list[str],
    node: ast.FunctionDef,
    exercises: Mapping[str, str],
    decorator: str,
    name: str,
    hints: bool,
) -> str:
    call = _call(node, decorator)
    if call is None:
        return ""
    stub = without_solution(exercises[node.name])
    if not stub:
        raise ExerciseError(f"{node.name} in {name} needs ### BEGIN SOLUTION and ### END SOLUTION; add the two lines")
    if shows := next((word.value for word in call.keywords if word.arg == "shows"), None):
        stub = with_code(exercises[node.name], shown_mistake(module, lines, node, shows, name))
    words = [word for word in call.keywords if hints or word.arg != "hints"]
    call.keywords = [*words, ast.keyword("public", ast.Constant(True))]
    return f"@{ast.unparse(call)}\n{stub.rstrip()}"


def _visible_test(lines: list[str], node: ast.FunctionDef, exercises: Mapping[str, str]) -> str:
    for item in node.decorator_list:
        target = item.func if isinstance(item, ast.Call) else None
        if isinstance(target, ast.Attribute) and target.attr == "test" and getattr(target.value, "id", "") in exercises:
            return f"@{ast.unparse(item)}\n{without_first_decorator(lines, node).rstrip()}"
    return ""


def _imports(module: ast.Module, needed: set[str], called: set[str], *, in_folder: bool) -> Iterator[str]:
    """Return the import statements whose names are needed, and those from ``__future__``.

    Of the imports from other files of a folder, only exercises that the starting code calls are kept.
    """
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            from_others = in_folder and is_of_exercise(node)
            wanted = called & {(getattr(node, "module", "") or "").rpartition(".")[2]} if from_others else needed
            node.names = [item for item in node.names if future or (item.asname or item.name.split(".")[0]) in wanted]
            if node.names:
                yield ast.unparse(node)


def _require_imports_alone(source: str, name: str) -> None:
    """Raise ExerciseError if the public edition uses something that the real module has and this one lacks."""
    table = symtable.symtable(source, name, "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported() or symbol.is_assigned()}
    if lost := sorted(global_names(source) - defined - set(dir(builtins))):
        raise ExerciseError(
            f"{name} may use only its imports in its public parts: {lost[0]!r} is neither imported nor an exercise; "
            "write it into the function"
        )
