"""The process that has imported torch once for all engines of this process, which are forked from it."""

import atexit
import sys

from studium_graders.engine.processes.zygote import common_ancestor

ancestor = common_ancestor()
atexit.register(ancestor.close)


def begin() -> None:
    """Start warming up what grading on this machine needs, while the caller does something else."""
    if sys.platform.startswith("linux"):
        ancestor.start()
