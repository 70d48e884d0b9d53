"""Tests that cannot be judged from outside the student's process, known by their text.

Such a test looks at, or changes, what belongs to a process: its files, its warnings, its figures, a library's
functions. Split, some of them would pass whatever the student wrote. Or it evaluates text or bytes, which the student
may have written: in the judge that would be code with the grader's rights. They run in the student's sandboxed
process, and the result says so. What the text does not tell, the calibration finds out with the reference solution.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from studium_graders.engine.judge.dotted_names import imported_names, is_within, path_of, root_of
from studium_graders.engine.judge.file_use import uses_files
from studium_graders.engine.judge.filling_in import FILL_IN
from studium_graders.engine.judge.identity import asks_for_identity
from studium_graders.engine.judge.python_text import parse

_SHELL = {"get_ipython", "In", "Out", "_ih", "_oh", "_i", "_ii", "__", "___", "exit", "quit"}
_OF_A_PROCESS = (
    "signal", "threading", "multiprocessing", "subprocess", "resource", "tracemalloc", "gc", "concurrent.futures",
    "asyncio", "ctypes", "sys.modules", "sys.settrace", "sys.setprofile", "sys._getframe", "sys.setrecursionlimit",
    "sys.stdin", "pytest.MonkeyPatch", "torch.utils._python_dispatch", "torch.overrides", "matplotlib", "logging",
    "pytest.warns", "pytest.deprecated_call", "numpy.testing.assert_warns", "numpy.testing.assert_no_warnings",
    "numpy.testing.suppress_warnings",
)  # fmt: skip
# What reads files in machine code, or unpacks them anywhere: in the judge they would be the student's.
_READERS = (
    "PIL", "cv2", "imageio", "h5py", "tarfile", "zipfile",
    *(f"pandas.read_{kind}" for kind in ("excel", "feather", "hdf", "orc", "parquet", "sql")),
)  # fmt: skip
_EVALUATORS = {"eval", "exec", "compile"}
_EVALUATING = (
    *(f"builtins.{name}" for name in _EVALUATORS),
    "code", "codeop", "runpy", "timeit", "doctest", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "pandas.read_pickle", "pandas.eval", "numexpr",
    "typing.get_type_hints", "typing.ForwardRef", "sympy.sympify", "sympy.S", "sympy.parse_expr", "sympy.parsing",
    "cProfile.run", "cProfile.runctx", "profile.run", "profile.runctx",
    "yaml.Loader", "yaml.CLoader", "yaml.UnsafeLoader", "yaml.CUnsafeLoader",
    "yaml.unsafe_load", "yaml.unsafe_load_all",
)  # fmt: skip
_OF_LITERALS = {"eval", "exec", "builtins.eval", "builtins.exec"}
_IMPORTERS = {"__import__", "builtins.__import__", "importlib.import_module"}
_OF_NAMES = ("basename", "commonpath", "dirname", "isabs", "join", "normpath", "split", "splitext")
_HARMLESS_OF_OS = ("os.path", *(f"os.path.{name}" for name in _OF_NAMES), "os.fspath", "os.linesep", "os.sep")
_METHODS = {
    "run_in_executor": "it uses run_in_executor",
    **dict.fromkeys(("assertWarns", "assertWarnsRegex", "assertLogs", "assertNoLogs"), "it looks at warnings or logs"),
    **{name: f"it looks at {name}" for name in ("__code__", "__globals__", "__closure__")},
}
_SHOWN = {("sys", "stdout"), ("sys", "stderr")}  # what an answer prints arrives in the judge
_FOR_SHOW = ("sys.stdout", "sys.stderr")
_REPLACES = "it replaces something of a library's"
_FILTERS = ("warnings.simplefilter", "warnings.filterwarnings")


@dataclass(frozen=True)
class Surroundings:
    """What the text of a test is seen with: imported names, the student's names, given data, files handed out."""

    imports: Mapping[str, str]
    owned: Collection[str] = ()
    given: Collection[str] = ()
    files: Collection[str] = ()


def reason_for_one_process(tree: ast.Module | None, around: Surroundings) -> str:
    """Say in a few words why a test must run in the student's process, or "" where it need not."""
    if tree is None:
        return "it is not plain Python"
    if uses_files(tree, around.imports, around.files):
        return "it is about files"
    if asks_for_identity(tree, {*around.owned, *around.given}):
        return "it asks whether two things are one object"
    written = dict(_literals(tree, around.imports))
    own = _bound_in(tree) - around.imports.keys()
    nodes = (node for node in ast.walk(tree) if id(node) not in written)
    reasons = (_reason(node, around, own) for node in nodes)
    inside = (_reason_within(text, around) for text in written.values())
    return next(filter(None, (*reasons, *inside)), "")


def _literals(tree: ast.Module, imports: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the texts that stand in a test and are evaluated as they are, by the ``id()`` of what evaluates them."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func, [ast.Constant(str(text)), *_]) if path_of(func, imports) in _OF_LITERALS:
                yield id(func), text


def _reason_within(text: str, around: Surroundings) -> str:
    tree = parse(text)
    imports = {**around.imports, **imported_names([tree] if tree else [])}
    return reason_for_one_process(tree, Surroundings(imports, around.owned, around.given, around.files))


def _bound_in(tree: ast.Module) -> set[str]:
    """Return the names that a test binds itself: a variable called ``signal`` is not the module."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def _reason(node: ast.AST, around: Surroundings, own: Collection[str]) -> str:
    match node:
        case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.AsyncFunctionDef():
            return "it awaits something"
        case ast.ClassDef(bases=bases) if any(root_of(base) in around.owned for base in bases):
            return "it extends a class of the answer's"
        case ast.Name(name) if name in _SHELL and isinstance(node.ctx, ast.Load):
            return "it uses the notebook's shell"
        case ast.keyword("eval_str"):
            return "it evaluates annotations"
        case ast.Call():
            return _reason_of_call(node, around.imports)
        case ast.Attribute(_, name) if name in _METHODS:
            return _METHODS[name]
        case ast.Attribute() | ast.Name():
            return _reason_of_name(node, around.imports, own)
    return ""


def _reason_of_name(node: ast.Attribute | ast.Name, imports: Mapping[str, str], own: Collection[str]) -> str:
    path = path_of(node, imports)
    if is_within(path, (*_OF_A_PROCESS, *_READERS)):
        return "" if root_of(node) in own else f"it uses {path}"
    if isinstance(node, ast.Name) and node.id in _EVALUATORS - imports.keys():
        return "" if node.id in own else f"it uses {node.id}"
    if is_within(path, _EVALUATING) and root_of(node) in imports:
        return f"it uses {path}"
    if path.startswith("os.") and not is_within(path, _HARMLESS_OF_OS):
        return f"it uses {path}"
    replaced = isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    return f"it replaces {path}" if replaced and root_of(node) in imports and not path.startswith(_FOR_SHOW) else ""


def _reason_of_call(node: ast.Call, imports: Mapping[str, str]) -> str:
    path = path_of(node.func, imports)
    first = node.args[0] if node.args else None
    if path in _IMPORTERS and not isinstance(first, ast.Constant):
        return "it imports what only a value names"
    if path == "operator.attrgetter" and not all(isinstance(name, ast.Constant) for name in node.args):
        return "it reads attributes that only a value names"
    if path in ("operator.methodcaller", "getattr") and _names(node, FILL_IN):
        return "it fills in a text by the name of the method"
    if _hears_warnings(path, node):
        return "it looks at warnings or logs"
    return _REPLACES if first is not None and _replaces(path, first, node, imports) else ""


def _names(call: ast.Call, words: tuple[str, ...]) -> bool:
    return any(isinstance(item, ast.Constant) and item.value in words for item in call.args[:2])


def _hears_warnings(path: str, call: ast.Call) -> bool:
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords)]
    quiet = any(isinstance(item, ast.Constant) and item.value in ("ignore", "default") for item in given)
    return (path == "warnings.catch_warnings" and bool(call.keywords)) or (path in _FILTERS and not quiet)


def _replaces(path: str, first: ast.expr, call: ast.Call, imports: Mapping[str, str]) -> bool:
    """Return whether a call puts something in the place of what a library has."""
    if path == "unittest.mock.patch":
        place = str(first.value) if isinstance(first, ast.Constant) else ""
        return not _is_shown(*place.rpartition(".")[::2], call, 1)
    if path == "unittest.mock.patch.object" and len(call.args) > 1:
        name = str(call.args[1].value) if isinstance(call.args[1], ast.Constant) else ""
        return root_of(first) in imports and not _is_shown(path_of(first, imports), name, call, 2)
    if path in ("unittest.mock.patch.dict", "setattr", "delattr"):
        return root_of(first) in imports or isinstance(first, ast.Constant)
    return False


def _is_shown(module: str, attribute: str, patch: ast.Call, named: int) -> bool:
    """Return whether what is replaced is the student's own, or what the call itself gives for the streams here."""
    if (module, attribute) in _SHOWN:
        return len(patch.args) > named or any(item.arg in ("new", "new_callable") for item in patch.keywords)
    return module == "__main__"
