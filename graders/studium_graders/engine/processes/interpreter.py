"""How a helper process of the grading engine is started: this interpreter, a clean environment, a clean path."""

import json
import os
import sys
from pathlib import Path

# What a program may need to find its own libraries and devices; nothing of it is secret.
_KEPT = ("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
_FIXED = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set is the same each time that a submission is graded
    "OMP_NUM_THREADS": "1",  # a process with threads cannot be forked
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "TQDM_DISABLE": "1",
    "NBGRADER_EXECUTION": "autograde",  # as in nbgrader, so that a notebook can tell that it is being graded
}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main(*sys.argv[2:])"


def environment() -> dict[str, str]:
    """Return the environment of a helper process: a fixed one, and the few variables that a machine may need."""
    return _FIXED | {name: os.environ[name] for name in _KEPT if name in os.environ}


def allowed_variables() -> frozenset[str]:
    """Return the names that the environment of a helper process may have."""
    return frozenset((*_FIXED, *_KEPT, "LC_CTYPE"))


def import_path() -> list[str]:
    """Return ``sys.path`` without the folders that are there by chance: the working folder and the script's own."""
    chosen = {Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    chance = {Path.cwd()}
    if sys.argv and sys.argv[0] not in ("", "-c", "-m"):
        chance.add(Path(sys.argv[0]).resolve().parent)
    places = [(entry, Path(entry).resolve()) for entry in sys.path if entry]
    return [str(place) for entry, place in places if place in chosen or place not in chance]


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that calls ``module.main(*arguments)``.

    Like ``python -I`` it looks neither at the user's site nor at the working folder. The path is passed on, because
    topics may be found through PYTHONPATH, which the clean environment has not.
    """
    boot = _BOOT.format(module=module)
    return [sys.executable, "-s", "-P", "-B", "-c", boot, json.dumps(import_path()), *arguments]
