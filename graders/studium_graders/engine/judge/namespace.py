"""The globals of test code: the judge's own names, and behind them the student's process."""

import builtins
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from studium_graders.engine.judge.compiling import METHOD, NAMESPACE
from studium_graders.engine.judge.filling_in import method_of
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.kinds.functions import FunctionProxy

_COMPARED = (ModuleType, FunctionType, BuiltinFunctionType)


class Namespace(dict[str, Any]):
    """Globals in which names owned by the student are read, bound and deleted in the student's process.

    The interpreter asks ``__missing__`` for what is not here, also in functions (CPython does so for the globals of
    ``exec`` that are a subclass of dict).
    """

    def __init__(self, student: StudentProcess, owned: frozenset[str]) -> None:
        super().__init__(__name__="__main__", __builtins__=builtins, __doc__=None)
        self.student = student
        self.owned = owned
        self.lent: dict[str, Any] = {}
        self["display"] = _show_nothing

    def __missing__(self, name: str) -> Any:
        if name in (NAMESPACE, METHOD):
            return {NAMESPACE: self, METHOD: method_of}[name]
        if name not in self.owned and hasattr(builtins, name):
            raise KeyError(name)  # the interpreter looks there next
        if name in self.lent and self.student.has(name):
            return self._imported(name)
        try:
            return self.student.get(name)
        except NameError:
            raise KeyError(name) from None

    def _imported(self, name: str) -> Any:
        """Return what the reference imports under a name; NameError where the student has another module or function.

        It is there from then on, until another cell imports it.
        """
        here = self.lent[name]
        there = self.student.get(name) if isinstance(here, _COMPARED) else here
        other = isinstance(there, ModuleType) and there is not here
        if other or (isinstance(there, FunctionProxy) and there.__name__ != here.__name__):
            raise NameError(f"{name!r} is something else than what is to be imported under that name")
        super().__setitem__(name, here)
        return here

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self.owned:
            self.student.set(name, value)
        else:
            super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        if super().__contains__(name):
            super().__delitem__(name)
            return
        try:
            self.student.delete(name)
        except NameError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self.student.has(name))

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from (name for name in sorted(self.owned | self.lent.keys()) if self.student.has(name))

    def keys(self) -> Any:
        """Return the judge's names and those of the student's that a test may expect."""
        return list(self)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, wherever it is."""
        try:
            return self[name]
        except KeyError:
            return default

    def pop(self, name: str, *default: Any) -> Any:
        """Unbind a name and give what it was."""
        if default and name not in self:
            return default[0]
        value = self[name]
        del self[name]
        return value

    def copy(self) -> "Namespace":
        """Return globals of their own before the same student, for a test that copies its ``globals()``."""
        other = Namespace(self.student, self.owned)
        for name in super().__iter__():
            dict.__setitem__(other, name, super().__getitem__(name))
        other.lent = self.lent
        return other

    def of_judge(self, name: str) -> Any:
        """Return what this process itself has under a name, or None."""
        return dict.get(self, name, self.lent.get(name))

    def lend(self, names: Iterable[str]) -> None:
        """Let what the reference imports be there for tests, as this process has it, if the student has that name."""
        self.lent |= {name: dict.pop(self, name) for name in names if dict.__contains__(self, name)}

    def leave(self, names: Iterable[str]) -> None:
        """Let names of the judge's lead to the student's process from now on."""
        for name in names:
            dict.pop(self, name, None)

    @contextmanager
    def as_the_student_has(self, names: frozenset[str]) -> Iterator[None]:
        """Let names of the judge's lead to the student's process."""
        kept = {name: dict.pop(self, name) for name in names if dict.__contains__(self, name)}
        owned = self.owned
        self.owned = owned | names
        try:
            yield
        finally:
            self.owned = owned
            super().update(kept)


def _show_nothing(*values: Any, **options: Any) -> None:
    """Stand in for IPython's ``display``."""


class MainModule(ModuleType):
    """What ``sys.modules["__main__"]`` is for a test, so that ``mock.patch("__main__.f")`` reaches the student."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__("__main__")
        object.__setattr__(self, "_namespace", namespace)

    @property
    def __dict__(self) -> Namespace:  # type: ignore[override]
        namespace: Namespace = object.__getattribute__(self, "_namespace")
        return namespace

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module '__main__' has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def __dir__(self) -> list[str]:
        return list(self.__dict__)
