"""One grader at a time: the lock of an assignment names its holder, and is freed when the holder dies."""

import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from studium.errors import CourseError

from studium_graders.course.sharing import ALONE, Sharing


@contextmanager
def only_grader(folder: Path, assignment: str, sharing: Sharing = ALONE) -> Iterator[None]:
    """Hold the lock of an assignment in ``folder``. Raise CourseError, naming the holder, if somebody is grading it."""
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{assignment}.json"
    try:
        with FileLock(folder / f"{assignment}.lock", timeout=0, mode=0o664 if sharing.group else 0o644):
            holder.write_text(json.dumps(_myself()), "utf-8")
            sharing.share(folder)
            yield
    except Timeout:
        raise CourseError(
            f"{assignment} is being graded by {_name(holder)}; wait until that is done, or stop it, and try again"
        ) from None


def _myself() -> dict[str, str]:
    user = f"uid {os.getuid()}" if hasattr(os, "getuid") else "somebody"
    with suppress(KeyError, OSError):
        user = getpass.getuser()
    return {
        "process": str(os.getpid()),
        "user": user,
        "machine": socket.gethostname(),
        "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
    }


def _name(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text("utf-8"))
        return f"process {who['process']} of {who['user']} on {who['machine']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
