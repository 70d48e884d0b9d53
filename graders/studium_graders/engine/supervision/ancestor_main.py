"""The common ancestor of the warm processes: it has imported torch and IPython once, and nothing of a course.

What is forked from it becomes a warm process of one role. So nothing secret is ever in it: a judge is told of its tests
after its fork, and no student's process is forked from a judge's.
"""

import importlib
import logging
import socket
import sys

from studium_graders.engine.processes.links import receive

SECRETS = False


def prepare(setup: bytes) -> None:
    """Import and use once what every process needs."""
    from studium_graders.engine.student_side.warm_up import warm_up

    warm_up()
    importlib.import_module(
        "studium_graders.engine.student_side.student_main"
    )  # a judge's process needs most of its modules too
    _keep_locks()


def _keep_locks() -> None:
    """Let forks have the locks of logging's handlers, which nobody holds here: to make new ones takes each 0.4 ms."""
    vars(logging).get("_at_fork_reinit_lock_weakset", set[object]()).clear()


def run(prepared: None, descriptors: list[int]) -> None:
    """Become a warm process: the descriptor is the socket on which it is told its role and its import path."""
    from studium_graders.engine.processes.fork_server import be_warm

    control = socket.socket(fileno=descriptors[0])
    role, *path = receive(control, list[str])
    sys.path[:] = path
    importlib.invalidate_caches()
    be_warm(role, control)
