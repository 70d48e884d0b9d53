"""Why an attempt ended before its time, in a sentence that a student understands, and whose doing it was."""

import os
import signal
from collections.abc import Callable
from typing import Literal, NamedTuple

from studium_graders.course.limits import Limits
from studium_graders.engine.material.results import Verdict
from studium_graders.engine.processes.exit_codes import ENGINE_FAILED, TOO_MUCH_OUTPUT

TEST_WITHOUT_END = "the test did not come to its end with this answer"


class Ending(NamedTuple):
    """An early end. ``cause`` "student": the current step is to blame. "unclear": it may have been killed from outside,
    and a person decides. "ours": no step is to blame, so it is tried again.
    """

    verdict: Verdict
    sentence: str
    cause: Literal["student", "unclear", "ours"] = "student"


def test_too_long(seconds: float) -> Ending:
    """A test did not come to its end, though each call of the student's code may have."""
    return Ending("time limit", f"stopped after {seconds:g} s: {TEST_WITHOUT_END}")


def out_of_time(seconds: float) -> Ending:
    """All cells and tests together took too long."""
    return Ending("time limit", f"stopped: the whole submission took longer than the {seconds:g} s that it may take")


def too_much_memory(limits: Limits) -> Ending:
    """More memory than there is."""
    return Ending("memory limit", f"your code used more than {limits.memory_mb} MB of memory")


def too_many(limits: Limits) -> Ending:
    """More processes and threads than there may be."""
    return Ending("process limit", f"your code started more than {limits.processes} processes and threads")


def too_much_disk(limits: Limits) -> Ending:
    """More in the working folder than there may be."""
    return Ending("disk limit", f"your code wrote more than {limits.disk_mb} MB of files")


def too_many_files(limits: Limits) -> Ending:
    """More files open at the same time than there may be."""
    return Ending("file limit", f"your code had more than {limits.open_files} files open at once: close each after use")


def too_large(limits: Limits) -> Ending:
    """A value of the student's does not fit into a message, for its size or for what it is made of."""
    return Ending("value limit", f"a value of your code's is too large to be tested ({limits.message_mb} MB at most)")


def too_much_computing(limits: Limits) -> Ending:
    """More time of a processor than one process may have."""
    return Ending("time limit", f"stopped after {limits.cpu_seconds:g} s of computing: is there an endless loop?")


def died(status: int | None, limits: Limits) -> Ending:
    """The student's process ended by itself, or by somebody's hand: ``status`` is its wait status, None if unknown."""
    if status is None:
        return Ending("ended early", "stopped: your code's process was gone", "ours")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == TOO_MUCH_OUTPUT:
        return Ending(
            "output limit", f"stopped: your code printed far more than the {limits.output_kb} KB that are kept"
        )
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == ENGINE_FAILED:
        return Ending("ended early", "the process that runs your code failed at something else: ask your instructor")
    if os.WIFEXITED(status):
        return Ending("ended early", "your code ended its own Python process: take out exit(), quit() and os._exit()")
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return too_much_computing(limits)
    if number == signal.SIGXFSZ:
        return too_much_disk(limits)
    if number == signal.SIGKILL:
        return Ending("ended early", "stopped: your code's process was killed", "unclear")
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return Ending("ended early", f"your code made its Python process crash ({name})")


def breach_in(message: str, limits: Limits) -> Ending | None:
    """Return the limit behind an error that the kernel gave the student's code, by the text of the error."""
    text = text_of_breach(message)
    return next((ending(limits) for texts, ending in _ERRORS.items() if text in texts), None)


def text_of_breach(message: str) -> str:
    """Return what the kernel says of a limit, where the text of an error has it, or ""; it can carry nobody's data."""
    return next((text for texts in _ERRORS for text in texts if text in message), "")


_ERRORS: dict[tuple[str, ...], Callable[[Limits], Ending]] = {
    ("MemoryError", "can't allocate memory", "Cannot allocate memory", "std::bad_alloc"): too_much_memory,
    ("No space left on device", "File too large", "Disk quota exceeded"): too_much_disk,
    ("can't start new thread", "Resource temporarily unavailable"): too_many,
    ("Too many open files",): too_many_files,
    ("too large to be sent",): too_large,
}


def judge_died(why: str = "") -> Ending:
    """The judge's process failed."""
    return Ending("engine error", why or "the process that runs the tests ended", "ours")
