"""Work for workers, each a way to behave badly."""

import atexit
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
from studium.workers.job import Job
from studium.workers.program import Program
from studium.workers.warm import Warm


def count(up_to, tell):
    for number in range(up_to):
        tell(number)


def not_a_number(tell):
    tell(float("nan"))


def say_where(tell):
    tell([str(Path.cwd()), sys.path[0]])


def endless(tell):
    tell(os.getpid())
    while True:
        time.sleep(1)


def stubborn(tell):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    endless(tell)


def prolific(tell):
    """Start a grandchild by fork and one as a program, and live on."""
    if (pid := os.fork()) == 0:
        time.sleep(600)
    tell(pid)
    tell(subprocess.Popen(["sleep", "600"]).pid)
    endless(tell)


def leave_behind(tell):
    tell(subprocess.Popen(["sleep", "600"]).pid)


def talkative(tell):
    tell(os.getpid())
    while True:
        os.write(1, b"x" * 10_000)
        os.write(2, b"y" * 10_000)


def telling_without_end(tell):
    while True:
        tell(os.getpid())


def killed(tell):
    tell(1)
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out


def crashed(tell):
    os.kill(os.getpid(), signal.SIGSEGV)


def exits(code, tell):
    os._exit(code)


def raises(tell):
    raise ValueError("the answer is 42")


def raises_and_says_goodbye(tell):
    atexit.register(os.write, 2, b"a library complains\n")
    raise ValueError("the answer is 42")


def half_an_event(events: Path, tell):
    tell("whole")
    with events.open("ab") as file:
        file.write((100).to_bytes(4, "big") + b"half")


remembered: list[int] = []


def remember(number, tell):
    remembered.append(number)


def recall(tell):
    tell(remembered)


def have_a_thread(tell):
    import threading

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def parent(kind: str, events: Path, ready: Path) -> None:
    """Start a prolific worker, and live on."""
    job = Job(prolific, events)
    warm = Warm()
    worker = Program(job) if kind == "program" else warm.launch(job)
    ready.touch()
    while worker.poll() is None:
        time.sleep(0.1)


def forking(tell):
    from studium.workers.forks import run_forked

    decoder = msgspec.msgpack.Decoder(str)
    tasks = [
        ("right", 60.0, partial(str, "fine")),
        ("killed", 60.0, _kill_itself),
        ("late", 0.5, partial(time.sleep, 600)),
        ("raises", 60.0, partial(int, "x")),
        ("greedy", 60.0, _greedy),
        ("leaves", 60.0, _leaves),
    ]
    for key, result in run_forked(tasks, decoder):
        tell([key, result])


def _kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def _greedy():
    return str(len(bytes(8 * 2**30)))


def _leaves():
    return str(subprocess.Popen(["sleep", "600"]).pid)
