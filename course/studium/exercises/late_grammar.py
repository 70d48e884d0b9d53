"""Saves a second in every process that reads a notebook.

Reading one imports jsonschema, and with it rfc3987_syntax if that is installed, which builds 39 grammars of web
addresses on import. Notebooks have no addresses to check, so that import is put off until somebody uses it.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_NAME = "rfc3987_syntax"


class _Later(ModuleType):
    """A placeholder for the module until something from it is used."""

    def is_valid_syntax(self, term: str, value: str) -> bool:
        """Check syntax, which is all that jsonschema imports from the module."""
        checked: bool = self._imported().is_valid_syntax(term, value)
        return checked

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._imported(), name)

    def _imported(self) -> ModuleType:
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return import_module(_NAME)


def put_off() -> None:
    """Let the grammars wait, if they are installed and not built yet."""
    if _NAME not in sys.modules and (spec := find_spec(_NAME)):
        sys.modules[_NAME] = later = _Later(_NAME)
        later.__spec__, later.__path__ = spec, spec.submodule_search_locations or []
