"""Proxies: what stands here for an object, a class or an iterator of the other side's."""

from collections.abc import Callable, Iterator
from inspect import Signature
from types import GeneratorType, GenericAlias
from typing import Any

from studium_graders.engine.kinds.operators import spelling
from studium_graders.engine.wire.codec import Context, RefusedError
from studium_graders.engine.wire.paths import item_of, step

# A decorator that is a class gives these of a function.
_NAMES = frozenset({"__name__", "__qualname__", "__doc__", "__wrapped__"})
# What ``inspect`` asks of a method.
_OF_FUNCTIONS = frozenset({"__doc__", "__signature__", "__annotations__", "__code__", "__defaults__", "__kwdefaults__"})
_OF_CLASSES = frozenset({"__members__", "__class_getitem__", "__abstractmethods__"})  # of an enum, a generic, an ABC
_PATHS = {"__call__": "()", "__enter__": "", "__iter__": ""}
_MOST_PATHS = 8


class Handle:
    """What every proxy carries: the conversation, the object's number there, and the paths that it came from.

    ``given`` is the class of this side's own in whose place a class is, ``score`` what the score of an estimator is
    computed as from what it predicts, or "".
    """

    __slots__ = ("context", "given", "methods", "number", "paths", "score")

    def __init__(self, context: Context, number: int, path: str, methods: frozenset[str]) -> None:
        self.context, self.number, self.methods = context, number, methods
        self.paths = [path]
        self.given: type | None = None
        self.score = ""

    @property
    def path(self) -> str:
        """Where the object came from last."""
        return self.paths[-1]

    def came_from(self, path: str) -> None:
        """Note where the object has just come from."""
        if path in self.paths:
            self.paths.remove(path)
        self.paths = [*self.paths[-_MOST_PATHS:], path]

    def renamed(self, path: str) -> None:
        """Let a class be what it was asked for under, and nothing else."""
        self.paths = [path]


class ProxyClass(type):
    """The type of classes of the other side: calling one makes an instance there."""

    _handle: Handle

    @property
    def __signature__(cls) -> Signature:
        """The parameters of ``__init__`` but for the first, as ``inspect.signature`` asks."""
        found = getattr(cls.__init__, "__signature__", None)  # type: ignore[misc]
        if found is None:
            raise AttributeError("__signature__")
        return found.replace(parameters=[*found.parameters.values()][1:])  # type: ignore[no-any-return]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        handle = handle_of_class(cls)
        return handle.context.request("call", cls, args, kwargs, path=f"{handle.path}()")

    def __getattr__(cls, name: str) -> Any:
        handle = type.__getattribute__(cls, "__dict__").get("_handle")
        if handle is None or (name.startswith("__") and name.endswith("__") and name not in _OF_CLASSES):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return handle.context.request("getattr", cls, name, path=step(handle.path, name))

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
        handle = type.__getattribute__(cls, "__dict__").get("_handle")
        if handle is None or name.startswith(("__", "_abc_", "_handle")):
            type.__setattr__(cls, name, value)
        else:
            handle.context.request("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        handle_of_class(cls).context.request("delattr", cls, name)


class InPlaceOfGiven(ProxyClass):
    """The type of a class that is one of this side's own by its name: ``type(x) == Fruit`` holds as well."""

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is _given(cls) is not None

    def __hash__(cls) -> int:
        given = _given(cls)
        return type.__hash__(cls) if given is None else hash(given)


def _given(cls: type) -> type | None:
    """Return this side's own class in whose place one is; of a class that extends such a one there is none."""
    handle = vars(cls).get("_handle")
    return None if handle is None else handle.given


def _ask_for_members(cls: ProxyClass, name: str, *args: Any) -> Any:
    """Ask a class for what its own class defines, as that of an enum does; TypeError where it defines no such thing."""
    handle = handle_of_class(cls)
    try:
        return handle.context.request("special", cls, name, args, {}, path=path_of_result(handle.path, name))
    except AttributeError:
        raise TypeError(_LACKS[name].format(cls.__name__)) from None


_LACKS = {
    "__iter__": "'type' object is not iterable",
    "__len__": "object of type 'type' has no len()",
    "__getitem__": "type '{}' is not subscriptable",
}


class Initialiser:
    """What a test finds under ``__init__`` of a class: the function there, of which it reads the text or parameters."""

    def __init__(self, default: Callable[..., None]) -> None:
        self._default = default

    def __get__(self, instance: Any, owner: Any) -> Any:
        handle = handle_of_class(owner)
        if handle.context.trusting:
            return self._default.__get__(instance, owner)
        if instance is not None:
            return BoundMethod(instance, "__init__")
        return handle.context.request("getattr", owner, "__init__", path=step(handle.path, "__init__"))


class Proxy(metaclass=ProxyClass):
    """An instance whose attributes and methods are on the other side."""

    __init__ = Initialiser(object.__init__)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in _NAMES:
            return _vars(self) if name == "__dict__" else object.__getattribute__(self, name)
        handle = handle_of(self)
        if name in handle.methods:
            return BoundMethod(self, name)
        return handle.context.request("getattr", self, name, path=step(handle.path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object>"

    def __copy__(self) -> Any:
        return _ask(self, "shallow_copy")

    def __deepcopy__(self, _: Any) -> Any:
        return _ask(self, "copy")

    def __reduce_ex__(self, _: Any) -> Any:
        raise handle_of(self).context.side.refused(RefusedError("an object of the submission cannot be pickled"))


def handle_of(value: Any) -> Handle:
    """Return the handle of a proxy."""
    return object.__getattribute__(value, "_handle")  # type: ignore[no-any-return]


def handle_of_class(cls: ProxyClass) -> Handle:
    """Return the handle of a class of the other side's; a class that extends one of these can be no such thing."""
    if "_handle" in type.__getattribute__(cls, "__dict__"):
        return cls._handle
    raise cls._handle.context.side.refused(
        RefusedError("a class that extends a class of the submission cannot be made in another process")
    )


def make_proxy(cls: type, handle: Handle) -> Any:
    """Make the proxy of an instance."""
    value: Any = object.__new__(cls)
    object.__setattr__(value, "_handle", handle)
    return value


def _vars(value: Any) -> Any:
    try:
        return _ask(value, "vars")
    except TypeError as error:  # it has slots
        raise AttributeError("__dict__") from error


def _ask(value: Any, operation: str, *operands: Any) -> Any:
    handle = handle_of(value)
    return handle.context.request(operation, value, *operands, path=handle.path)


class BoundMethod:
    """A method of a proxy, which is looked up when it is called."""

    def __init__(self, owner: Any, name: str) -> None:
        self.__self__ = owner
        self.__name__ = name
        self.__qualname__ = f"{type(owner).__name__}.{name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        handle = handle_of(self.__self__)
        return handle.context.side.call_method(self.__self__, self.__name__, args, kwargs)

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
        handle = handle_of(self.__self__)
        path = step(handle.path, self.__name__)
        return getattr(handle.context.request("getattr", self.__self__, self.__name__, path=path), name)


def call_method(owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Ask the other side to call a method."""
    handle = handle_of(owner)
    return handle.context.request("method", owner, name, args, kwargs, path=f"{step(handle.path, name)}()")


def _unbound(name: str, qualname: str) -> Callable[..., Any]:
    def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
        return BoundMethod(owner, name)(*args, **kwargs)

    method.__name__, method.__qualname__ = name, qualname
    return method


def path_of_result(path: str, name: str) -> str:
    """Return where the result of a dunder method comes from: in place or not, and however often in a row."""
    if name in ("__getitem__", "__next__"):
        return item_of(path)
    if name in _PATHS:
        return path + _PATHS[name]
    operation = f".{spelling(name)}()"
    return path if path.endswith(operation) else path + operation


class ProxyIterator(Iterator[Any]):
    """An iterator or a generator of the other side: each item is asked for when it is wanted, none after the end.

    It has no ``__copy__``, which itertools.tee would take for a second iterator at the same place.
    """

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle = handle
        self._name = name
        self._ended = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that it has there, for ``isinstance``: only what is of Python's own is an iterator here."""
        return _ITERATORS.get(self._name, ProxyIterator)

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        try:
            return self._ask("next")
        except StopIteration:
            self._ended = True
            raise

    def send(self, value: Any) -> Any:
        """Return the generator a value and return its next one."""
        return self._ask("method", "send", (value,), {})

    def throw(self, error: Any, *_: Any) -> Any:
        """Raise an exception inside the generator."""
        return self._ask("method", "throw", (error,), {})

    def close(self) -> None:
        """End the generator."""
        _ask(self, "method", "close", (), {})

    def _ask(self, operation: str, *operands: Any) -> Any:
        handle = self._handle
        return handle.context.request(operation, self, *operands, path=item_of(handle.path))

    def __repr__(self) -> str:
        return f"<{self._name} object>"

    def __deepcopy__(self, _: Any) -> Any:
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        raise TypeError("an iterator cannot be copied")


_ITERATORS = {cls.__name__: cls for cls in (GeneratorType, map, filter, zip, enumerate, reversed)}
BoundMethod.__name__ = "method"  # messages say what it stands for
ProxyIterator.__name__ = "iterator"
ProxyClass.__name__ = "type"


def is_proxy(value: Any) -> bool:
    """Return whether a value stands for an object of the other side."""
    return isinstance(type(value), ProxyClass) or type(value) in (ProxyIterator, BoundMethod)
