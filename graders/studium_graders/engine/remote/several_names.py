"""Objects and classes of the student's that have several names: what each may do goes by the name it is reached by.

What stands for one under its second name is another stand-in than that under its first, for in ``f(g(x))`` both are at
hand at once.
"""

import weakref
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.modules import RemoteModule
from studium_graders.engine.remote.objects import Facts, RemoteClass, facts_of, place

if TYPE_CHECKING:
    from studium_graders.engine.remote.peer import Peer


class Names:
    """The first name of each object and class, and what stands for them under the others."""

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._first: dict[int, str] = {}
        self._others: weakref.WeakValueDictionary[tuple[int, str], Any] = weakref.WeakValueDictionary()

    def as_named(self, name: str, value: Any) -> Any:
        """Give what stands under this name for what has it."""
        facts = value._facts if isinstance(value, RemoteClass) else facts_of(value)
        if self._first.setdefault(facts.number, name) == name:
            facts.path = name
            return value
        found = self._others.get((facts.number, name))
        return self._under(name, value, facts) if found is None else found

    def _under(self, name: str, value: Any, first: Facts) -> Any:
        facts = Facts(first.peer, first.number, name, first.methods)
        facts.held, facts.score = first.held, first.score
        found = self._others[first.number, name] = _twin(value, facts)
        self._peer.references[id(found)] = self._peer.references[id(value)]
        weakref.finalize(found, _let_go, self._peer, id(found), value)
        return found


def _let_go(peer: "Peer", address: int, first: Any) -> None:
    """Forget a stand-in; the first one lives as long."""
    peer.references.pop(address, None)


def _twin(value: Any, facts: Facts) -> Any:
    if isinstance(value, RemoteClass):
        return _class_under(value, facts)
    return _module_under(value, facts) if isinstance(value, RemoteModule) else place(type(value), facts)


def _class_under(cls: RemoteClass, facts: Facts) -> Any:
    """Give a class whose instances are those of another one."""
    checks = {
        "__instancecheck__": lambda _, value: isinstance(value, cls),
        "__subclasscheck__": lambda _, other: issubclass(other, cls),
    }
    return _extended(type(RemoteClass.__name__, (type(cls),), checks), cls, facts, {})


def _module_under(module: RemoteModule, facts: Facts) -> Any:
    """Give a module that has its parts and its modes in common with another one."""
    cls = type(module)
    found = object.__new__(_extended(type(cls), cls, cls._facts, {"_remote_facts": property(lambda _: facts)}))
    object.__setattr__(found, "__dict__", object.__getattribute__(module, "__dict__"))
    return found


def _extended(meta: type, cls: Any, facts: Facts, held: dict[str, Any]) -> Any:
    made: Any = type.__new__(meta, cls.__name__, (cls,), {"__module__": "__main__", "__doc__": cls.__doc__, **held})
    type.__setattr__(made, "_facts", facts)
    return made
