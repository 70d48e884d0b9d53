"""What a test does not do in the judge, whatever its text hides: evaluate what came from elsewhere, reach outside.

An audit hook refuses it while a test runs. What libraries generate for themselves, and what an import runs, is theirs,
but for files of the working folder: an answer may have written these, and none of them is ever imported here.

https://docs.python.org/3/library/audit_events.html
"""

import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_GENERATORS = ("dataclasses", "collections", "unittest.mock", "typing", "types", "attr", "scipy.stats", "scipy._lib")
_EVALUATORS = ("pandas.core.computation",)
_QUERIES = ("query", "eval")
_ANNOTATIONS = ("typing", "annotationlib")
_COMPILERS = ("torch._dynamo", "torch._inductor", "torch.fx", "triton")
_IN_MEMORY = ("", ":memory:", "file::memory:")
_OWN = ("studium", "__main__", "tests", "conftest")
_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}  # slow to ask for
_IMPORTERS = ("<frozen importlib", "<frozen zipimport")


class EvaluationRefusedError(TypeError):
    """A test evaluates text or bytes."""


class ReachRefusedError(PermissionError):
    """A test starts a program, opens a connection or a file that is not the judge's."""


class _Guard:
    """The state of this process's hook. ``refused`` is what the test that runs was refused first.

    Of the files in ``folder`` those that were ``handed_out`` may be imported.
    """

    def __init__(self) -> None:
        self.installed = False
        self.folder = ""
        self.handed_out: Collection[str] = ()
        self.compiles = False
        self.watching = False
        self.refused: Exception | None = None


_guard = _Guard()


def _hear(event: str, args: tuple[Any, ...]) -> None:
    """Be the audit hook; a plain function, for Python asks it for an attribute each time."""
    check = (_CHECKS if _guard.watching else _ALWAYS).get(event)
    if check is not None:
        try:
            check(event, args, sys._getframe(1))
        except (EvaluationRefusedError, ReachRefusedError) as error:
            _guard.refused = _guard.refused or error
            raise


def install(*, compiles: bool) -> None:
    """Watch over the tests of this process and of its forks. With ``compiles`` they use torch's compiler."""
    _guard.compiles = compiles
    if not _guard.installed:
        sys.addaudithook(_hear)
    _guard.installed = True


def settle(folder: str, handed_out: Collection[str]) -> None:
    """Let no file below a folder be imported from now on but those that were handed out, which stay as they were."""
    _guard.folder, _guard.handed_out = os.path.realpath(folder), handed_out


@contextmanager
def watched() -> Iterator[Callable[[], Exception | None]]:
    """Watch over a test; what this gives tells what it was refused, though it may have caught that."""
    _guard.watching, _guard.refused = True, None
    try:
        yield lambda: _guard.refused
    finally:
        _guard.watching = False


def _compile(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    if not (_makes_a_tree(frame) or _stands_in(frame, args[0])):
        _evaluate(event, args, frame)


def _makes_a_tree(frame: FrameType) -> bool:
    """Return whether a text becomes a tree alone, and not for pandas, which walks it to evaluate it."""
    if _module(frame) != "ast":
        return False
    return not _is_within(_module(frame.f_back), _EVALUATORS) or _is_written_query(frame)


def _is_written_query(frame: FrameType) -> bool:
    """Return whether pandas evaluates a text that is a literal of the code that asks a frame for it."""
    caller = next((outer for outer in _stack(frame) if not _is_within(_module(outer), ("ast", "pandas"))), None)
    methods = (inner for inner in _stack(frame) if _module(inner) == "pandas.core.frame")
    asked = [inner.f_locals["expr"] for inner in methods if inner.f_code.co_name in _QUERIES]
    return caller is not None and bool(asked) and all(_stands_in(caller, text) for text in asked)


def _evaluate(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    if not _is_within(_module(frame), _GENERATORS) and not any(map(_runs_a_library, _stack(frame))):
        raise EvaluationRefusedError("text or bytes are not evaluated in the process that keeps the tests")


def _execute(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    """Refuse annotations, which were compiled when they were written; all other code was heard of before."""
    if _is_within(_module(frame), _ANNOTATIONS):
        raise EvaluationRefusedError("annotations are not evaluated in the process that keeps the tests")


def _reach(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    if not (_guard.compiles and event == "subprocess.Popen"):
        raise ReachRefusedError(f"{event} is refused in the process that keeps the tests")


def _open(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    _imported(event, args, frame)
    _descriptor(event, args, frame)


def _imported(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    """Refuse to import what an answer may have written; ``import`` names files of machine code."""
    name = args[1] if event == "import" else args[0]
    if isinstance(name, str) and (event == "import" or frame.f_code.co_filename.startswith(_IMPORTERS)):
        _require_apart(name)


def _require_apart(file: str) -> None:
    path = os.path.realpath(file)
    if _guard.folder and path.startswith(_guard.folder + os.sep) and _name_of(path) not in _guard.handed_out:
        raise ReachRefusedError("code in files is not run in the process that keeps the tests")


def _name_of(path: str) -> str:
    return Path(path).relative_to(_guard.folder).as_posix()


def _foreign(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    """Leave machine code to libraries and to the engine, but for that in the working folder."""
    if event == "ctypes.dlopen" and isinstance(args[0], str):
        _require_apart(args[0])
    caller = next((name for name in map(_module, _stack(frame)) if not _is_within(name, ("ctypes",))), "")
    if not (is_library(caller) or _is_within(caller, ("studium_graders",))):
        _reach(event, args, frame)


def _database(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    path = os.fsdecode(args[0])
    own = Path(path).resolve().is_relative_to(Path.cwd()) and not path.startswith("file:")
    if path not in _IN_MEMORY and not own:
        _reach(event, args, frame)


def _descriptor(event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    """Leave alone what is open here and is no file: through it this process talks with others."""
    if isinstance(args[0], int) and not stat.S_ISREG(os.fstat(args[0]).st_mode):
        _reach("open of a descriptor", args, frame)


_CHECKS: dict[str, Callable[[str, tuple[Any, ...], FrameType], None]] = {
    "compile": _compile,
    "exec": _execute,
    **dict.fromkeys(("marshal.load", "marshal.loads", "pickle.find_class", "code.__new__"), _evaluate),
    "open": _open,
    "import": _imported,
    "sqlite3.connect": _database,
    **{f"ctypes.{name}": _foreign for name in ("dlopen", "dlsym", "call_function", "string_at", "cdata")},
    **dict.fromkeys(
        (
            *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.kill", "os.killpg", "pty.spawn"),
            *("subprocess.Popen", "sqlite3.enable_load_extension", "sqlite3.load_extension"),
            *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"),
        ),
        _reach,
    ),
}
_ALWAYS = {"open": _imported, "import": _imported}


def is_library(module: str) -> bool:
    """Return whether a module belongs to Python or to what is installed, and not to a course."""
    top = module.partition(".")[0]
    if top.startswith(_OWN):
        return False
    if top in sys.stdlib_module_names:
        return True
    found = sys.modules.get(top)
    file = getattr(found, "__file__", None)
    places = [file] if file is not None else [*getattr(found, "__path__", ())]  # a package without a file of its own
    return any(Path(path).is_relative_to(place) for path in places for place in _INSTALLED)


def _module(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _runs_a_library(frame: FrameType) -> bool:
    """Return whether a frame is an import, or torch's compiler where a test is known to use it."""
    imports = frame.f_code.co_filename.startswith("<frozen importlib")
    return imports or (_guard.compiles and _is_within(_module(frame), _COMPILERS))


def _stands_in(frame: FrameType, source: Any) -> bool:
    """Return whether a text is a literal of the code that evaluates it."""
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    literals = (constant for constant in frame.f_code.co_consts if isinstance(constant, str))
    return isinstance(text, str) and text.lstrip(" \t") in (literal.lstrip(" \t") for literal in literals)
