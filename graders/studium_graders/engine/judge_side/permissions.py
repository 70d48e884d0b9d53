"""What the objects of a student may do in the judge: learnt from the reference solution, or a cautious default."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from studium_graders.engine.kinds.operators import STANDING_IN, spelling
from studium_graders.engine.material.assignment import Permission, PermissionKind
from studium_graders.engine.wire.paths import CALLBACK, FACTORY, ITEM, turned

_NOTED: dict[str, PermissionKind] = {
    "class": "class",
    "type": "class",
    "library": "library",
    "iterator": "iterator",
}
_FOR_FUNCTIONS = (".__wrapped__", f".{FACTORY}", CALLBACK, f"{CALLBACK}{ITEM}")


def _catching(name: str) -> str:
    """Return the name of a type of exceptions that catches failing assertions too, "" for any other type."""
    return name if name in ("AssertionError", "Exception", "BaseException") else ""


@dataclass
class Permissions:
    """Which objects may arrive where, and which operators they may answer.

    While ``recording``, everything is allowed and written down. ``known`` says that a reference was recorded; without
    one, and in a ``cautious`` test that the reference fails, a default applies beside what is there. ``plain`` names
    the reference's own classes that are plain data, ``data`` those that are given to both sides, ``named`` what tests
    mention.
    """

    granted: set[Permission] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    data: frozenset[str] = frozenset()
    named: set[str] = field(default_factory=set)
    known: bool = False
    recording: bool = False
    cautious: bool = False
    given: Callable[[str], object] = lambda _: None
    """Gives what the judge's own namespace has under a name, so that data come back in the classes of the test."""

    @property
    def strict(self) -> bool:
        """Whether nothing is allowed but what the reference needed."""
        return self.known and not self.cautious

    def note(self, kind: PermissionKind, path: str, name: str = "") -> None:
        """Write down what the reference needs."""
        if self.recording:
            self.granted.add(Permission(kind, path, name))

    def has(self, kind: PermissionKind, path: str, name: str = "") -> bool:
        """Return whether the reference needed this."""
        return Permission(kind, path, name) in self.granted

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Return whether an object may arrive at ``path``. ``names`` are those of its class and of the bases.

        An iterator may arrive anywhere, a function where a defaultdict has its own and where a test's own object is
        called: they answer no operator, and what they give arrives by itself. A type of Python's or NumPy's own may
        arrive where the reference gives a class, a class of an answer's also in place of a function.
        """
        if self.recording:
            self.note(_NOTED.get(kind, "object"), path, _catching(names[0]) if kind == "type" else "")
            if kind == "error":
                self.note("class", path)
            return True
        if kind == "iterator" or (kind == "function" and path.endswith(_FOR_FUNCTIONS)):
            return True
        if kind == "type":
            return self.has("class", path, _catching(names[0])) or not self.strict
        if kind == "library":
            return self.has("library", path) or not self.strict
        if any(self.has(given, path) for given in ("object", "record", "class", "iterator")):
            return True
        if any(self.has("object", other) for other in turned(path)):
            return True
        return not self.strict and (kind != "instance" or not self.named.isdisjoint(names))

    def called(self, path: str) -> None:
        """Note that the result of a method has this path: an answer may have a function for an attribute instead."""
        self.note("object", path.removesuffix("()"))

    def wants_object(self, path: str) -> bool | None:
        """Return whether the reference gives an object at a path, so that an answer's list with methods stays one.

        Where it never does, such a list is wanted as what it holds. None where nothing of that is known.
        """
        given = self.has("object", path) or self.has("record", path)
        if self.recording or (given and self.has("data", path)):
            return None
        return given or (False if self.strict else None)

    def answers(self, paths: Iterable[str], operator: str, *, value: bool, plain: bool = False) -> bool:
        """Return whether an object that came from ``paths`` may answer ``operator`` itself.

        ``value`` says that the other operand is the test's own; it counts apart, so that a class whose instances are
        compared need not be trusted to equal numbers. ``plain``: the reference's objects of that class are plain data,
        which compare as their class says.
        """
        kind: PermissionKind = "operator with value" if value else "operator"
        if operator in STANDING_IN:
            for path in paths:
                self.note("operator", path, STANDING_IN[operator])
                self.note("operator with value", path, STANDING_IN[operator])
            return True
        for path in paths:
            self.note(kind, path, spelling(operator))
        known = any(self.has(kind, path, spelling(operator)) for path in paths)
        return known or (not value and (plain or not self.strict))

    def score_of(self, paths: Iterable[str]) -> str:
        """Return what the score of an object from these paths is computed as, or ""."""
        found = (one.name for one in self.granted if one.kind == "score" and one.path in paths)
        return min(found, default="")
