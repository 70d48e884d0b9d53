"""Profiles: how big an experiment may be here, judging by the hardware and the memory really available."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from studium.errors import StudiumError, UnknownNameError

Name = Literal["smoke", "laptop", "gpu"]
NAMES: tuple[Name, ...] = ("smoke", "laptop", "gpu")
VARIABLE = "STUDIUM_PROFILE"
# What a lesson's experiment may need at "laptop", including the kernel (DESIGN: Binder gives 2 GB).
LAPTOP_MB = 1500

T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """One of ``smoke`` (seconds, for tests), ``laptop`` (2 cores, at most 90 s and 1.5 GB) and ``gpu`` (CUDA)."""

    name: Name
    device: str = "cpu"

    def choose(self, *, smoke: T, laptop: T, gpu: T) -> T:
        """Return the value for this profile, as in ``steps = profile.choose(smoke=20, laptop=800, gpu=5000)``."""
        return {"smoke": smoke, "laptop": laptop, "gpu": gpu}[self.name]


def choose_profile(name: str | None = None, device: str | None = None) -> Profile:
    """Return the profile called ``name``, or the largest that this machine can run.

    The environment variable STUDIUM_PROFILE replaces a missing name. Raise UnknownNameError for an unknown name, and
    StudiumError if ``device`` is not available.
    """
    name = name or os.environ.get(VARIABLE) or None
    if name is not None and name not in NAMES:
        raise UnknownNameError("profile", name, NAMES)
    if device is None:
        device = "cuda" if name in (None, "gpu") and _cuda() else "cpu"
    elif device.startswith("cuda") and not _cuda():
        raise StudiumError(f"device {device!r} needs a CUDA build of torch and a GPU, but none is available; use cpu")
    return Profile(name or _largest(device), device)


def available_mb() -> int:
    """Return how much more memory this process may take, in MB: the system's, or its container's if that is less."""
    import psutil  # 20 ms that the command line need not spend

    limits: list[int] = [psutil.virtual_memory().available]
    for limit, used in _CGROUP_FILES:
        if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
            limits.append(int(text) - int(used.read_text()))
    if (binder := os.environ.get("MEM_LIMIT", "")).isdigit():  # set by JupyterHub
        limits.append(int(binder) - psutil.Process().memory_info().rss)
    return max(0, min(limits)) // 2**20


_CGROUP_FILES = [  # (limit, usage) of cgroup v2 and v1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
]


def _largest(device: str) -> Name:
    if device.startswith("cuda"):
        return "gpu"
    return "laptop" if available_mb() >= LAPTOP_MB else "smoke"


def _cuda() -> bool:
    try:
        import torch  # seconds; needed only to choose a device
    except ModuleNotFoundError:  # of the extra topics
        return False
    return torch.cuda.is_available()
