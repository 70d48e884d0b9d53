"""Tests of files, known by their text: they get what is in the student's working folder (``remote.shared_files``)."""

import ast
from collections.abc import Collection, Iterable, Mapping

from studium_graders.engine.judge.dotted_names import imported_names, is_within, path_of
from studium_graders.engine.judge.python_text import parse

_PATHS = ("abspath", "exists", "getsize", "isdir", "isfile", "islink", "lexists", "realpath", "relpath", "samefile")
_OS = (
    "getcwd", "listdir", "makedirs", "mkdir", "remove", "removedirs", "rename", "renames", "replace", "rmdir",
    "scandir", "unlink", "walk", *(f"path.{name}" for name in _PATHS),
)  # fmt: skip
OF_FILES = (
    *(f"os.{name}" for name in _OS),
    *(f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "copytree", "move", "rmtree")),
    "tempfile", "glob", "json.dump", "pickle.dump", "torch.save",
    "numpy.save", "numpy.savetxt", "numpy.savez", "numpy.savez_compressed", "safetensors",
)  # fmt: skip
_METHODS = {
    "exists", "glob", "is_dir", "is_file", "iterdir", "mkdir", "open", "read_bytes", "read_text", "resolve", "rglob",
    "rmdir", "samefile", "savefig", "to_csv", "to_json", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip
_READERS = (
    "open", "io.open", "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile",
    "pandas.read_csv", "pandas.read_json", "pandas.read_table", "torch.load",
)  # fmt: skip
_READING = {"encoding", "newline", "delimiter", "skiprows", "skip_header", "dtype", "usecols", "names", "allow_pickle"}


def uses_files(tree: ast.Module, imports: Mapping[str, str], handed_out: Collection[str] = frozenset()) -> bool:
    """Tell whether a test is about files, and not only reads what was ``handed_out``, which the judge has."""
    own = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _reads(node, imports, handed_out)}
    return any(id(node) not in own and _is_use(node, imports) for node in ast.walk(tree)) or any(
        uses_files(text, {**imports, **imported_names([text])}, handed_out) for text in evaluated(tree)
    )


def only_read(trees: Iterable[ast.Module], imports: Mapping[str, str], handed_out: Collection[str]) -> frozenset[str]:
    """Give what was handed out and is named nowhere but where it is read: nobody writes it."""
    named: set[str] = set()
    for tree in trees if handed_out else ():
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _reads(node, imports, handed_out))
        read = {id(call.args[0]) for call in calls}
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in read)
        named.update(node.value.removeprefix("./") for node in texts if isinstance(node.value, str))
    return frozenset(handed_out) - named


def _is_use(node: ast.AST, imports: Mapping[str, str]) -> bool:
    match node:
        case ast.Attribute(_, name) if name in _METHODS:
            return True
        case ast.Attribute() | ast.Name():
            return is_within(path_of(node, imports), (*OF_FILES, *_READERS))
    return False


def _reads(call: ast.Call, imports: Mapping[str, str], handed_out: Collection[str]) -> bool:
    match call:
        case ast.Call(func, [ast.Constant(str(name)), *mode], keywords):
            plain = all(isinstance(item, ast.Constant) and item.value in ("r", "rb", "rt") for item in mode)
            plain = plain and all(word.arg in _READING for word in keywords)
            return path_of(func, imports) in _READERS and plain and name.removeprefix("./") in handed_out
    return False


def evaluated(tree: ast.Module) -> Iterable[ast.Module]:
    """Give the texts that stand in a test and are evaluated as they are."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("eval" | "exec"), [ast.Constant(str(text)), *_]):
                if (inner := parse(text)) is not None:
                    yield inner
