"""What a test replaces in a library is replaced in the student's process too: ``input``, ``time.sleep``, ``np.mean``.

The test's own object is called there over the wire, so that a mock still counts its calls here.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from studium_graders.engine.judge.replaceable import SHOWN
from studium_graders.engine.remote import Student

_PUT = """
import importlib as _studium_importlib
_studium_module = _studium_importlib.import_module({module!r})
_studium_kept.setdefault({key!r}, getattr(_studium_module, {attribute!r}))
setattr(_studium_module, {attribute!r}, _studium_new)
"""
_PUT_BACK = """
import importlib as _studium_importlib
setattr(_studium_importlib.import_module({module!r}), {attribute!r}, _studium_kept.pop({key!r}))
"""


class Replacements:
    """The replacements that hold at this moment, and what was there before."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self._originals: dict[tuple[str, str], Any] = {}

    def replace(self, owner: Any, attribute: str, value: Any) -> None:
        """Do what ``owner.attribute = value`` does, on both sides where ``owner`` is a module."""
        before = getattr(owner, attribute, None)
        setattr(owner, attribute, value)
        if isinstance(owner, ModuleType):
            self._forward(owner.__name__, attribute, before, value)

    @contextmanager
    def following_mocks(self) -> Iterator[None]:
        """Let ``mock.patch`` of a module's attribute reach the student's process, and end there when it ends here."""
        patcher: Any = mock._patch
        enter, leave = patcher.__enter__, patcher.__exit__

        def entered(patch: Any) -> Any:
            given = enter(patch)
            if isinstance(patch.target, ModuleType) and sys.modules.get(patch.target.__name__) is patch.target:
                here = getattr(patch.target, patch.attribute)
                self._forward(patch.target.__name__, patch.attribute, patch.temp_original, here)
            return given

        def left(patch: Any, *error: Any) -> Any:
            target, attribute, here = patch.target, patch.attribute, getattr(patch.target, patch.attribute, None)
            given = leave(patch, *error)
            if isinstance(target, ModuleType) and (target.__name__, attribute) in self._originals:
                self._forward(target.__name__, attribute, here, getattr(target, attribute, None))
            return given

        with ExitStack() as stack:
            stack.callback(setattr, patcher, "__exit__", leave)
            stack.callback(setattr, patcher, "__enter__", enter)
            patcher.__enter__, patcher.__exit__ = entered, left
            yield

    def _forward(self, module: str, attribute: str, before: Any, value: Any) -> None:
        if module == "__main__" or (module, attribute) in SHOWN:
            return
        key = (module, attribute)
        original = self._originals.setdefault(key, before)
        if not self._student.has("_studium_kept"):
            self._student.run("_studium_kept = {}")
        if value is original:
            del self._originals[key]
            text = _PUT_BACK
        else:
            self._student.set("_studium_new", value)
            text = _PUT
        run = self._student.run(text.format(module=module, attribute=attribute, key=f"{module}.{attribute}"))
        if run.error:
            raise RuntimeError(f"{module}.{attribute} could not be replaced in the student's process: {run.error}")
