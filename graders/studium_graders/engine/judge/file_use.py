"""Tests of files, known by their text: the files are those of the student's process."""

import ast
from collections.abc import Collection, Mapping

from studium_graders.engine.judge.dotted_names import is_within, path_of, root_of

_OF_FILES = (
    "shutil", "tempfile", "glob", "json.dump", "pickle.dump", "torch.save", "numpy.save", "numpy.savetxt",
    "numpy.savez", "numpy.savez_compressed", "safetensors",
)  # fmt: skip
_METHODS = {
    "exists", "glob", "is_dir", "is_file", "iterdir", "mkdir", "open", "read_bytes", "read_text", "resolve", "rglob",
    "rmdir", "samefile", "savefig", "to_csv", "to_excel", "to_feather", "to_hdf", "to_json", "to_parquet", "to_pickle",
    "tofile", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip
_READERS = (
    "open", "io.open", "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile",
    "pandas.read_csv", "pandas.read_json", "pandas.read_table", "torch.load",
)  # fmt: skip


def uses_files(tree: ast.Module, imports: Mapping[str, str], handed_out: Collection[str]) -> bool:
    """Return whether a test is about files, and not only reads what was ``handed_out``, which the judge has."""
    own = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _reads(node, imports, handed_out)}
    return any(id(node) not in own and _is_use(node, imports) for node in ast.walk(tree))


def _is_use(node: ast.AST, imports: Mapping[str, str]) -> bool:
    match node:
        case ast.Attribute(_, name) if name in _METHODS:
            return True
        case ast.Attribute() | ast.Name():
            path = path_of(node, imports)
            return (path == "open" or root_of(node) in imports) and is_within(path, (*_OF_FILES, *_READERS))
    return False


def _reads(call: ast.Call, imports: Mapping[str, str], handed_out: Collection[str]) -> bool:
    match call:
        case ast.Call(func, [ast.Constant(str(name)), *mode]):
            plain = all(isinstance(item, ast.Constant) and item.value in ("r", "rb", "rt") for item in mode)
            return path_of(func, imports) in _READERS and plain and name.removeprefix("./") in handed_out
    return False
