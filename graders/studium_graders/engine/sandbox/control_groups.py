"""The control group that this process is in, made by a container, Slurm or systemd: does it limit memory?"""

from collections.abc import Iterator
from pathlib import Path

from studium_graders.engine.sandbox.levels import SandboxError

_MEMORY = {"": "memory.max", "memory": "memory.limit_in_bytes"}  # cgroup v2, v1
_UNLIMITED = 1 << 60  # v1 says "unlimited" as a large number


def require_memory_limit(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that all processes of this one's control group may have together.

    Raise SandboxError where nothing limits them.
    """
    limits = [limit for folder, name in _folders(groups, mounted) if (limit := _read(folder / name)) < _UNLIMITED]
    if not limits:
        raise SandboxError(
            "a control group must limit the memory: run in a container with --memory, in a Slurm step with --mem, or "
            "under systemd-run --scope -p MemoryMax=…"
        )
    return min(limits)


def _folders(groups: Path, mounted: Path) -> Iterator[tuple[Path, str]]:
    """Each folder of the group's own and those above it, with the file that holds the limit."""
    for line in groups.read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for kind in {"", "memory"} & set(controllers.split(",")):
            for top in (mounted / kind, mounted / "unified"):
                group = top / path.lstrip("/")
                yield from ((folder, _MEMORY[kind]) for folder in (group, *group.parents) if folder.is_relative_to(top))


def _read(path: Path) -> int:
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return _UNLIMITED
    return int(text) if text.isdigit() else _UNLIMITED
