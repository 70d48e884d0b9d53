"""Classes, instances and iterators of the other side."""

from collections.abc import Callable, Iterator
from functools import partial
from inspect import Signature
from types import FunctionType, GeneratorType, GenericAlias
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote import extending
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.offers import KeptError
from studium_graders.engine.remote.opaque import Opaque
from studium_graders.engine.remote.policy import CALLBACK, item_of, spelling, step

if TYPE_CHECKING:
    from studium_graders.engine.remote.peer import Peer

# A decorator that is a class gives these of a function.
_NAMES = frozenset({"__name__", "__qualname__", "__doc__", "__wrapped__"})

# What ``inspect`` asks of a method.
_OF_FUNCTIONS = frozenset({"__doc__", "__signature__", "__annotations__", "__code__", "__defaults__", "__kwdefaults__"})

_OF_CLASSES = frozenset({"__members__", "__class_getitem__", "__abstractmethods__"})  # of an enum, a generic, an ABC

_PATHS = {"__call__": "()", **dict.fromkeys(("__enter__", "__aenter__", "__iter__", "__aiter__", "__await__"), "")}


class Facts:
    """What every remote object carries: the peer that asks for it, its number there, where it came from.

    ``given`` is the class of this side's own in whose place a class is.
    """

    __slots__ = (
        "begun",
        "given",
        "held",
        "instead",
        "made_of",
        "methods",
        "number",
        "path",
        "peer",
        "score",
        "weighed",
    )

    def __init__(self, peer: "Peer", number: int, path: str, methods: frozenset[str]) -> None:
        self.peer, self.number, self.path, self.methods = peer, number, path, methods
        self.held: dict[str, Any] = {}  # what this side's libraries note on the object, and is of use only here
        self.score: Callable[..., float] | None = None  # in place of its own
        self.given: type | None = None
        self.made_of: tuple[Any, ...] | None = None  # values that a test gave the class, if its instances are data
        self.begun = False  # to give items
        self.weighed = False  # whether it is true, or how long it is
        self.instead: Iterator[float] = iter(())  # of items that it does not have


class RemoteClass(type):
    """The type of remote classes: calling one makes an instance on the other side, extending one a class there."""

    _facts: Facts

    def __new__(cls, name: str, bases: tuple[Any, ...], body: dict[str, Any], **options: Any) -> Any:
        facts = extending.facts_for(bases)
        if facts is None:
            return super().__new__(cls, name, bases, body, **options)
        return extending.extended(facts, name, bases, body, options)

    @property
    def __signature__(cls) -> Signature:
        """The parameters of ``__init__`` but for the first, as ``inspect.signature`` asks."""
        found = getattr(cls.__init__, "__signature__", None)  # type: ignore[misc]
        if found is None:
            raise AttributeError("__signature__")
        return found.replace(parameters=[*found.parameters.values()][1:])  # type: ignore[no-any-return]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        facts = facts_of_class(cls)
        made = facts.peer.request("call", cls, args, kwargs, path=f"{facts.path}()")
        if isinstance(made, RemoteObject):
            named = (part for item in kwargs.items() for part in item)
            facts.peer.made(facts_of(made), cls, (len(args), *args, *named))
        return made

    def __getattr__(cls, name: str) -> Any:
        facts = type.__getattribute__(cls, "__dict__").get("_facts")
        if facts is None or (name.startswith("__") and name.endswith("__") and name not in _OF_CLASSES):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return facts.peer.request("getattr", cls, name, path=step(facts.path, name))

    def __iter__(cls) -> Any:
        return _ask_for_members(cls, "__iter__")

    def __len__(cls) -> int:
        return _ask_for_members(cls, "__len__")  # type: ignore[no-any-return]

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, name: Any) -> Any:
        generic = hasattr(cls, "__class_getitem__")
        return GenericAlias(cls, name) if generic else _ask_for_members(cls, "__getitem__", name)

    def __setattr__(cls, name: str, value: Any) -> None:
        facts = type.__getattribute__(cls, "__dict__").get("_facts")
        if facts is None or name.startswith(("__", "_abc_", "_facts")):
            type.__setattr__(cls, name, value)
        else:
            facts.peer.request("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        facts = facts_of_class(cls)
        facts.peer.request("delattr", cls, name)


class InPlaceOfGiven(RemoteClass):
    """The type of a remote class that is one of the test's own by its name: ``type(x) == Fruit`` holds as well."""

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is _given(cls) is not None

    def __hash__(cls) -> int:
        given = _given(cls)
        return type.__hash__(cls) if given is None else hash(given)


def _given(cls: type) -> type | None:
    """Give the test's own class in whose place one is; of a class that extends such a one there is none."""
    facts = vars(cls).get("_facts")
    return None if facts is None else facts.given


def _ask_for_members(cls: RemoteClass, name: str, *args: Any) -> Any:
    """Ask a class for what its own class defines, as that of an enum does; TypeError where it defines no such thing."""
    facts = facts_of_class(cls)
    try:
        return facts.peer.request("special", cls, name, args, {}, path=path_of_result(facts.path, name))
    except AttributeError:
        raise TypeError(_LACKS[name].format(cls.__name__)) from None


_LACKS = {
    "__iter__": "'type' object is not iterable",
    "__len__": "object of type 'type' has no len()",
    "__getitem__": "type '{}' is not subscriptable",
}


def facts_of_class(cls: RemoteClass) -> Facts:
    """Give the facts of a remote class; of one that a test makes of it, nothing is there to ask."""
    if "_facts" in type.__getattribute__(cls, "__dict__"):
        return cls._facts
    raise cls._facts.peer.refused(KeptError("a class that extends a class of the submission cannot be made here"))


class Initialiser:
    """What a test finds under ``__init__`` of a class: the function there, of which it reads the text or parameters."""

    def __init__(self, default: Callable[..., None]) -> None:
        self._default = default

    def __get__(self, instance: Any, owner: Any) -> Any:
        facts = facts_of_class(owner)
        if facts.peer.trusting:
            return self._default.__get__(instance, owner)
        if instance is not None:
            return BoundMethod(instance, "__init__")
        return facts.peer.request("getattr", owner, "__init__", path=step(facts.path, "__init__"))


class RemoteObject(metaclass=RemoteClass):
    """An instance whose attributes and methods are on the other side."""

    __init__ = Initialiser(object.__init__)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in _NAMES:
            if name == "__dict__":
                return _vars(self)
            return object.__getattribute__(self, name)
        facts = facts_of(self)
        if name in facts.held:
            return facts.held[name]
        if name in facts.methods and not (name == "score" and facts.score):
            return BoundMethod(self, name)
        found = facts.peer.request("getattr", self, name, path=step(facts.path, name))
        return partial(facts.score, self) if name == "score" and facts.score else found

    def __setattr__(self, name: str, value: Any) -> None:
        held = facts_of(self).held
        held.pop(name, None)
        if _is_around_method(value):
            held[name] = value
            return
        try:
            _ask(self, "setattr", name, value)
        except KeptError:
            if not may_stay(self, name):
                raise
            held[name] = value

    def __delattr__(self, name: str) -> None:
        held = facts_of(self).held
        if name in held:
            del held[name]
        else:
            _ask(self, "delattr", name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object>"

    def __copy__(self) -> Any:
        return _ask(self, "shallow_copy")

    def __deepcopy__(self, _: Any) -> Any:
        return _ask(self, "copy")

    def __reduce_ex__(self, _: Any) -> Any:
        raise facts_of(self).peer.refused(RefusedError("an object of the submission cannot be pickled"))


def facts_of(value: Any) -> Facts:
    """Give the facts of a remote instance."""
    return object.__getattribute__(value, "_remote_facts")  # type: ignore[no-any-return]


def given_back(value: Any, path: str) -> None:
    """Let what a function of the test's was given, and what is given back later, come from there.

    So it is where nothing has kept it meanwhile as well.
    """
    facts = facts_of(value)
    if CALLBACK in facts.path and CALLBACK not in path:
        facts.path = path


def place(cls: type, facts: Facts) -> Any:
    """Make the local stand-in of an instance."""
    value: Any = object.__new__(cls)
    object.__setattr__(value, "_remote_facts", facts)
    return value


def may_stay(value: Any, name: str) -> bool:
    """Tell whether what cannot leave this side may be an attribute of an object here alone: a private one may."""
    return isinstance(value, RemoteObject) and name.startswith("_")


def _vars(value: Any) -> Any:
    try:
        return _ask(value, "vars")
    except TypeError as error:  # it has slots
        raise AttributeError("__dict__") from error


def _ask(value: Any, op: str, *parts: Any) -> Any:
    facts = facts_of(value)
    return facts.peer.request(op, value, *parts, path=facts.path)


def _ask_for_item(iterator: Any, op: str, *parts: Any) -> Any:
    facts = facts_of(iterator)
    return facts.peer.request(op, iterator, *parts, path=item_of(facts.path))


class BoundMethod:
    """A method of a remote instance, which is looked up when it is called."""

    def __init__(self, owner: Any, name: str) -> None:
        self.__self__ = owner
        self.__name__ = name
        self.__qualname__ = f"{type(owner).__name__}.{name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        facts = facts_of(self.__self__)
        path = f"{step(facts.path, self.__name__)}()"
        return facts.peer.request("method", self.__self__, self.__name__, args, kwargs, path=path)

    @property
    def __func__(self) -> Callable[..., Any]:
        return _unbound(self.__name__, self.__qualname__)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, BoundMethod) and other.__self__ is self.__self__
        return same and other.__name__ == self.__name__  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.__name__))

    def __repr__(self) -> str:
        return f"<bound method {self.__qualname__}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in _OF_FUNCTIONS:
            raise AttributeError(name)
        facts = facts_of(self.__self__)
        function = facts.peer.request("getattr", self.__self__, self.__name__, path=step(facts.path, self.__name__))
        return getattr(function, name)


def _unbound(name: str, qualname: str) -> Callable[..., Any]:
    def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
        return BoundMethod(owner, name)(*args, **kwargs)

    method.__name__, method.__qualname__ = name, qualname
    return method


def _is_around_method(value: Any) -> bool:
    """Tell whether something was put around a method here, as torch's schedulers do with ``step``."""
    wrapped = value.__dict__.get("__wrapped__") if type(value) is FunctionType else None
    return type(wrapped) is FunctionType and wrapped.__code__ is _unbound("", "").__code__


def path_of_result(path: str, name: str) -> str:
    """Give where the result of a dunder comes from: in place or not, and however often in a row."""
    if name in ("__getitem__", "__next__", "__anext__"):
        return item_of(path)
    if name in _PATHS:
        return path + _PATHS[name]
    operation = f".{spelling(name)}()"
    return path if path.endswith(operation) else path + operation


class RemoteIterator(Iterator[Any]):
    """An iterator or a generator of the other side: each item is asked for when it is wanted, none after the end.

    It has no ``__copy__``, which itertools.tee would take for a second iterator at the same place.
    """

    def __init__(self, facts: Facts, name: str) -> None:
        self._remote_facts = facts
        self._name = name
        self._begun = self._ended = False
        self._instead: Iterator[Any] = iter(())

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that it has there, for ``isinstance``: only what is of Python's own is an iterator here."""
        return _ITERATORS.get(self._name, RemoteIterator)

    def __next__(self) -> Any:
        if self._ended:
            return next(self._instead)
        begun, self._begun = self._begun, True
        try:
            return _ask_for_item(self, "next")
        except StopIteration:
            self._ended = True
            facts: Facts = self._remote_facts
            if not begun:
                self._instead = iter(facts.peer.no_items(facts.path))
            return next(self._instead)

    def send(self, value: Any) -> Any:
        """Give the generator a value and take its next one."""
        return _ask_for_item(self, "method", "send", (value,), {})

    def throw(self, error: Any, *_: Any) -> Any:
        """Raise an exception inside the generator."""
        return _ask_for_item(self, "method", "throw", (error,), {})

    def close(self) -> None:
        """End the generator."""
        _ask(self, "method", "close", (), {})

    def __repr__(self) -> str:
        return f"<{self._name} object>"

    def __deepcopy__(self, _: Any) -> Any:
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        raise TypeError("an iterator cannot be copied")


_ITERATORS = {cls.__name__: cls for cls in (GeneratorType, map, filter, zip, enumerate, reversed)}
BoundMethod.__name__ = "method"  # messages say what it stands for
RemoteIterator.__name__ = "iterator"
RemoteClass.__name__ = "type"


def is_remote(value: Any) -> bool:
    """Tell whether a value stands for an object of the other side."""
    return isinstance(type(value), RemoteClass) or type(value) in (RemoteIterator, BoundMethod, Opaque)
