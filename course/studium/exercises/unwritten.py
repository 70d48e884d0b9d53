"""Find out what is not written yet: the answer itself, or another function of the learner's that it calls."""

import dis
from collections.abc import Mapping
from types import CodeType, FunctionType, TracebackType
from typing import Any

from studium.exercises.model import AnyFunction, Exercise

_RAISE = dis.opmap["RAISE_VARARGS"]


def is_unwritten(error: BaseException | None, function: AnyFunction) -> bool:
    """Return whether ``function`` itself raised NotImplementedError.

    A library without some operation, or another function that is not written, is a different case.
    """
    if not isinstance(error, NotImplementedError):
        return False
    raised = _raised_in(error)
    return not _has_code(function) or (raised is not None and _is_part(raised, function))


def unwritten_callee(error: BaseException | None, function: AnyFunction) -> str:
    """Return the name of the learner's other function that raised NotImplementedError, or ""."""
    if not isinstance(error, NotImplementedError) or not _has_code(function):
        return ""
    raised = _raised_in(error)
    others = (value for value in _globals(function).values() if isinstance(value, FunctionType))
    if raised is None or _is_part(raised, function):
        return ""
    return next((other.__name__ for other in others if _is_part(raised, other)), "")


def called_exercises(function: AnyFunction, exercises: Mapping[str, Exercise]) -> list[str]:
    """Return the names of the other exercises that a function calls in the learner's own version."""
    if not isinstance(function, FunctionType):
        return []
    known, names = function.__globals__, _global_names(function.__code__)
    return [
        name
        for name in exercises
        if name in names and name != function.__name__ and not isinstance(known.get(name), Exercise)
    ]


def with_solutions(function: FunctionType, exercises: Mapping[str, Exercise]) -> FunctionType:
    """Return a copy of a function that calls the solutions of ``exercises`` under their names."""
    names = {**function.__globals__, **{name: exercise.solution for name, exercise in exercises.items()}}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _raised_in(error: BaseException) -> CodeType | None:
    """Return the code whose ``raise`` statement raised an error; None if it was not raised by one."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_code[trace.tb_lasti] != _RAISE:
        return None
    return trace.tb_frame.f_code


def _has_code(function: AnyFunction) -> bool:
    return isinstance(function, FunctionType | type)


def _is_part(code: CodeType, function: Any) -> bool:
    """Return whether code belongs to a function or class, or to a function inside it."""
    own = function.__qualname__
    return code.co_qualname == own or code.co_qualname.startswith(f"{own}.")


def _globals(function: AnyFunction) -> dict[str, Any]:
    return getattr(function, "__globals__", {})


def _global_names(code: CodeType) -> set[str]:
    own = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(_global_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
