"""Tests that cannot be judged from outside the student's process, known by their text.

Such a test looks at, or changes, what belongs to a process: its files, its shell, its loggers, a library's functions.
Split, some of them would pass whatever the student wrote. Or it evaluates text or bytes, which the student may have
written: in the judge that would be code with the grader's rights. They run in the student's sandboxed process, and the
result says so. What the text does not tell, the calibration finds out with the reference solution.
"""

import ast
from collections.abc import Collection, Iterator, Mapping

from studium_graders.engine.judge.dotted_names import imported_names, is_within, path_of, root_of
from studium_graders.engine.judge.environment_use import is_environ, uses_others
from studium_graders.engine.judge.file_use import OF_FILES
from studium_graders.engine.judge.filling_in import FILL_IN
from studium_graders.engine.judge.listening import looks_at_loggers
from studium_graders.engine.judge.python_text import parse
from studium_graders.engine.judge.replaceable import SHOWN, followed_targets, is_replaceable

_SHELL = {"get_ipython", "In", "Out", "_ih", "_oh", "_i", "_ii", "__", "___", "exit", "quit"}
_OF_A_PROCESS = (
    "signal", "threading", "multiprocessing", "subprocess", "resource", "tracemalloc", "gc", "concurrent.futures",
    "asyncio.to_thread", "ctypes", "sys.modules", "sys.settrace", "sys.setprofile", "sys._getframe",
    "sys.setrecursionlimit", "sys.stdin", "pytest.MonkeyPatch",
    "torch.utils._python_dispatch", "torch.overrides",
)  # fmt: skip
# What reads files in machine code, or unpacks them anywhere: in the judge they would be the student's.
_READERS = (
    "PIL", "cv2", "imageio", "h5py", "tarfile", "zipfile", "matplotlib.image", "matplotlib.pyplot.imread",
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
_HARMLESS_OF_OS = (
    "os.environ",
    "os.getenv",
    *(f"os.path.{name}" for name in _OF_NAMES),
    "os.fspath",
    "os.linesep",
    "os.sep",
)
_METHODS = {"run_in_executor"}
_INSIDE = {"__code__", "__globals__", "__closure__"}
_FOR_SHOW = ("matplotlib", "sys.stdout", "sys.stderr")


def reason_for_one_process(tree: ast.Module | None, imports: Mapping[str, str]) -> str:
    """Say in a few words why a test must run in the student's process, or "" where it need not.

    ``imports`` say what imported names stand for.
    """
    if tree is None:
        return "it is not plain Python"
    followed = {id(node) for node in followed_targets(tree, imports)}
    written = dict(_literals(tree, imports))
    nodes = (node for node in ast.walk(tree) if id(node) not in followed)
    own = _bound_in(tree) - imports.keys()
    reasons = (_reason(node, imports, own) for node in nodes if id(node) not in written)
    loggers = "it looks at what loggers are set to" if looks_at_loggers(tree, imports) else ""
    inside = (_reason_within(text, imports) for text in written.values())
    environment = "it uses the environment as a whole, or of its process" if uses_others(tree, imports) else ""
    return next(filter(None, (*reasons, *inside, loggers, environment)), "")


def _literals(tree: ast.Module, imports: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Give the texts that stand in a test and are evaluated as they are, by the ``id()`` of what evaluates them."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func, [ast.Constant(str(text)), *_]) if path_of(func, imports) in _OF_LITERALS:
                yield id(func), text


def _reason_within(text: str, imports: Mapping[str, str]) -> str:
    tree = parse(text)
    return reason_for_one_process(tree, {**imports, **imported_names([tree] if tree else [])})


def _bound_in(tree: ast.Module) -> set[str]:
    """Give the names that a test binds itself: a variable called ``signal`` is not the module."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def _reason(node: ast.AST, imports: Mapping[str, str], own: Collection[str]) -> str:
    match node:
        case ast.Name(name) if name in _SHELL and isinstance(node.ctx, ast.Load):
            return "it uses the notebook's shell"
        case ast.Attribute(_, name) if name in _INSIDE:
            return f"it looks at {name}"
        case ast.Attribute(_, name) if name in _METHODS:
            return f"it uses {name}"
        case ast.Attribute() | ast.Name() if is_within(path := path_of(node, imports), (*_OF_A_PROCESS, *_READERS)):
            return "" if root_of(node) in own else f"it uses {path}"
        case ast.Name(name) if name in _EVALUATORS - imports.keys():
            return "" if name in own else f"it uses {name}"
        case ast.Attribute() | ast.Name() if is_within(path := path_of(node, imports), _EVALUATING):
            return f"it uses {path}" if root_of(node) in imports else ""
        case ast.keyword("eval_str"):
            return "it evaluates annotations"
        case ast.Attribute() | ast.Name() if (path := path_of(node, imports)).startswith(
            ("os.", "shutil.")
        ) and not _stays(path):
            return f"it uses {path}"
        case ast.Call():
            return _reason_of_call(node, imports)
    return _replaces(node, imports)


def _reason_of_call(node: ast.Call, imports: Mapping[str, str]) -> str:
    path = path_of(node.func, imports)
    first = node.args[0] if node.args else None
    if path in _IMPORTERS and not isinstance(first, ast.Constant):
        return "it imports what only a value names"
    if path == "operator.attrgetter" and not all(isinstance(name, ast.Constant) for name in node.args):
        return "it reads attributes that only a value names"
    if path in ("operator.methodcaller", "getattr") and _names(node, FILL_IN):
        return "it fills in a text by the name of the method"
    if path == "unittest.mock.patch":
        target = str(first.value) if isinstance(first, ast.Constant) else ""
        return "" if _in_reach(*target.rpartition(".")[::2], node, 1) else "it replaces something of a library's"
    if path == "unittest.mock.patch.object" and first is not None and len(node.args) > 1:
        name = str(node.args[1].value) if isinstance(node.args[1], ast.Constant) else ""
        known = _in_reach(path_of(first, imports), name, node, 2)
        return "it replaces something of a library's" if root_of(first) in imports and not known else ""
    if path == "unittest.mock.patch.dict" and first is not None and is_environ(first, imports):
        return ""
    if path in ("unittest.mock.patch.dict", "setattr", "delattr") and first is not None:
        return "it replaces something of a library's" if root_of(first) in imports else ""
    return ""


def _names(call: ast.Call, words: tuple[str, ...]) -> bool:
    return any(isinstance(item, ast.Constant) and item.value in words for item in call.args[:2])


def _replaces(node: ast.AST, imports: Mapping[str, str]) -> str:
    """See whether a node binds or deletes an attribute of an imported module or class."""
    if not isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Load):
        return ""
    path = path_of(node, imports)
    if root_of(node) not in imports or path.startswith(_FOR_SHOW):
        return ""
    return f"it replaces {path}"


def _in_reach(module: str, attribute: str, patch: ast.Call, named: int) -> bool:
    """Tell whether what a call replaces can be replaced: in both processes, or here by what the call itself gives.

    ``named`` is how many arguments say what is replaced.
    """
    if (module, attribute) in SHOWN:
        return len(patch.args) > named or any(item.arg in ("new", "new_callable") for item in patch.keywords)
    return module == "__main__" or is_replaceable(module, attribute)


def _stays(path: str) -> bool:
    return path == "os.path" or is_within(path, (*_HARMLESS_OF_OS, *OF_FILES))
