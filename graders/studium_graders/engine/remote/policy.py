"""What the objects of a student may do in the judge: learnt from the reference solution, or a cautious default.

A path says where an object came from: ``"f"`` is a global name, ``"f()"`` its result, ``"Model().fc"`` an attribute,
``"f()[]"`` an item or what an iterator gave.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from typing import Any

from studium_graders.engine.material import Draw

ITEM = "[]"
FACTORY = "default_factory"
OWN = ".~"  # ends an entry of ``handles`` of what the reference gives as data, and an answer as its own object
DATA = ".="  # ends an entry of ``handles`` of where the reference gives a list, a dictionary or the like as well
ESTIMATOR = ".*"  # in an entry of ``handles``, before the name of the class that gives its score
COPIED = ".__sklearn_clone__()"
FIELDS = ".|"  # ends an entry of ``handles`` of a class of the reference's with fields or members
CATCHES = ".!"  # ends an entry of ``handles`` of where the reference gives such a class of exceptions
CALLBACK = "<"  # at the end of a path: what the student's code gives to a function of the test's
CONTAINER = "#"  # after a path: an empty container there
FALSE = "!"  # after a path: False there
MADE = "-"  # after a path: something with items there, of a call that is given something empty
NARROW = "~"  # after a path: numbers of few digits there
FILES = "@"  # ends an entry of ``mutates`` of a test whose files the reference changes; after the name of a file
VARIABLE = "$"  # in an entry of ``mutates``, between a test and the variable that the reference changes in it
TIMES = "%"  # after a test: how often it goes through several things at once
PYPLOT = "|"  # ends an entry of ``handles`` of a test for which pyplot is that of the student's process
LABELS = ":"  # after a test: labels there that meet no others
PARTS = "+"  # ends an entry of ``mutates`` of an argument of which the reference changes parts
GRADIENT = "'"  # ends an entry of ``mutates`` of an argument of which the reference changes gradients
NAN = "?"  # after a path: numbers there that are none
PLAINLY = "*"  # after a path: of a call with nothing but numbers and texts
ONE = "^"  # before a test and a path: nothing but numbers there
OBJECT = "$"  # before a test and a path: nothing but objects there
GOES_ON = ">"  # after a path of items: of what is gone through
TRUE = "!!"  # after a path: the first truth value, or length, of an object there
PARAMETERS = "="  # before a test and a path: nothing but modules with parameters there
FULL = "&"  # before a test and a path: nothing there that lacks items
ITERATOR = ".>"  # ends an entry of ``handles`` of where the reference gives an iterator
AWAITED = ".&"  # ends an entry of ``handles`` of where the reference gives something to be awaited
AGAIN = ".<"  # in an entry of ``handles``, before where an object has come from first that comes from here again
WRAPPED = ".__wrapped__"
_FEWER = "your code gives fewer items than this test goes through"
APART = "your code gives data with other labels than this test computes with"
_FOR_FUNCTIONS = (WRAPPED, f".{FACTORY}", CALLBACK, f"{CALLBACK}{ITEM}")

BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)
SPELLINGS = {
    **{f"__{kind}{name}__": f"__{name}__" for name in BINARY for kind in "ri"},
    "__ne__": "__eq__",
    "__gt__": "__lt__",
    "__le__": "__lt__",
    "__ge__": "__lt__",
}
"""Operators in place of which a class may define another one: where that is allowed, so are they."""

STANDING_IN = {"__len__": "__bool__", "__iter__": "__contains__", "__getitem__": "__contains__"}
"""What Python asks where a class lacks an operator. Everybody may answer it; the reference needs the operator then."""


@dataclass
class Policy:
    """Which handles may arrive where, and which operators they may answer.

    While ``recording``, everything is allowed and written down. ``plain`` names the reference's own classes that are
    plain data, ``data`` those that are given to both sides. ``suspicious`` collects paths of calls that changed
    their arguments although the reference's did not. ``writeback`` "live" puts changes into the judge's own objects,
    "kept" leaves these as they are. ``given`` gives what the judge's own namespace has under a name, so that
    data comes back in the classes that the test knows; ``source_of`` gives the source of a student's definition, for
    inspect.getsource. ``cautious`` is set during a test that the reference fails: the default applies to it beside what
    is known. ``both_ways`` collects, while recording, the tests that change a value after it has crossed, or ask for
    identity with one, ``scored`` those whose last value is a number. ``empties`` are paths of arrays and containers
    without elements, or with missing ones, ``unexpected`` names the signs of others, and ``filling`` takes their place,
    of several numbers what the ``reduction`` makes of them; ``several`` is where it is not always of one sort,
    and ``fixed`` that a test draws nothing; ``short`` says what a test left unlooked at that it looks at with the
    reference, and ``by_place`` lets data of pandas' meet by their places where their labels do not. ``draws`` are the
    random numbers that the reference drew. ``test`` is the one that runs.
    """

    handles: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    data: frozenset[str] = frozenset()
    both_ways: set[str] = field(default_factory=set)
    scored: set[str] = field(default_factory=set)
    empties: set[str] = field(default_factory=set)
    several: set[str] = field(default_factory=set)
    fixed: bool = False
    unexpected: set[str] = field(default_factory=set)
    short: str = ""
    by_place: bool = False
    test: str = ""
    filling: float | None = None
    reduction: str = ""
    draws: set[Draw] = field(default_factory=set)
    recording: bool = False
    known: bool = False
    cautious: bool = False
    writeback: str = "live"
    suspicious: list[str] = field(default_factory=list)
    named_classes: set[str] = field(default_factory=set)
    given: Callable[[str], Any] = lambda _: None
    source_of: Callable[[str], str | None] = lambda _: None

    @property
    def wanted(self) -> list[str]:
        """Name the functions and classes that the tests ask for, as far as that is known."""
        return sorted(filter(str.isidentifier, self.handles)) if self.known and not self.recording else []

    @property
    def strict(self) -> bool:
        """Tell whether nothing is allowed but what the reference needed."""
        return self.known and not self.cautious

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Tell whether a handle may arrive at ``path``. ``names`` are those of its class and of the bases.

        An iterator may arrive anywhere, a function where a defaultdict has its own and where a test's own object is
        called, as an optimiser is with a closure: they answer no operator, and what they give arrives by itself. What a
        coroutine gives has the path of the coroutine.
        """
        waits = kind == "coroutine"
        if self.recording:
            self.handles |= {path, path + ITERATOR} if kind == "iterator" else {path + AWAITED if waits else path}
            return True
        if waits:
            return not self.strict or not self.handles.isdisjoint((path, path + AWAITED))
        if kind == "iterator" or path in self.handles or (kind == "function" and path.endswith(_FOR_FUNCTIONS)):
            return True
        if path + OWN in self.handles or self._is_of_estimator(path) or not self.handles.isdisjoint(turned(path)):
            return True
        return not self.strict and (kind != "instance" or bool(self.named_classes.intersection(names)))

    def wants_object(self, path: str) -> bool | None:
        """Tell whether the reference gives an object at a path, so that an answer's list with methods stays one.

        Where it never does, such a list is wanted as what it holds. None tells that nothing of that is known.
        """
        given = path in self.handles or path + OWN in self.handles
        if self.recording or (given and path + DATA in self.handles):
            return None
        return given or (False if self.strict else None)

    def came_again(self, path: str, first: str) -> None:
        """Note that what comes from ``path`` has come from ``first`` before, as that of a method which gives itself."""
        if self.recording:
            self.handles.add(f"{path}{AGAIN}{first}")

    def first_path(self, path: str) -> str:
        """Give where what comes from a path has come from first with the reference, if it is never new there.

        What the reference's object is asked for is known by that: an answer may give a new one there.
        """
        return path if self.recording else self._first_paths.get(path, path)

    @cached_property
    def _first_paths(self) -> dict[str, str]:
        found = (entry.partition(AGAIN) for entry in sorted(self.handles, reverse=True))
        again = [(path, first) for path, sign, first in found if sign]
        new = {path for path, first in again if path == first}
        return {path: first for path, first in again if path not in new}

    def gives_own_object(self, path: str) -> bool:
        """Tell whether the reference gives an object of its own at a path, of which nobody knows what is in it."""
        return path in self.handles and path + ITERATOR not in self.handles

    def met_data(self, path: str) -> None:
        """Note that the reference gives a container of plain data at ``path``: so must an answer."""
        if self.recording:
            self.handles.add(path + DATA)

    def called(self, path: str) -> None:
        """Note that the result of a method has this path: an answer may have a function for an attribute instead."""
        if self.recording and path.endswith("()"):
            self.handles.add(path.removesuffix("()"))

    def may_be_own(self, path: str) -> None:
        """Note that the reference gives a library's layer or a record at ``path``: an answer's own object may come."""
        if self.recording:
            self.handles.add(path + OWN)

    def takes_fields(self, name: str, *, some: bool) -> bool:
        """Tell whether a class may say which fields or members it has: none only where the reference's has none."""
        if self.recording and some:
            self.handles.add(name + FIELDS)
        return some or not self.strict or name + FIELDS not in self.handles

    def takes_method(self, name: str) -> bool:
        """Tell whether an answer's modules may have a method of their own for this, as one of the reference's has."""
        return self._as_the_reference(self.handles, f".{name}{FIELDS}")

    def may_shadow(self, cls: str, name: str) -> bool:
        """Tell whether an instance of a given class may hold a value for what the class itself has as well."""
        return self._as_the_reference(self.handles, f"{cls}.{name}=")

    def met_estimator(self, path: str, scored_by: str) -> None:
        """Note that the reference gives an estimator at ``path``: an answer's own may come, with all that it gives."""
        if self.recording:
            self.handles.add(path + ESTIMATOR + scored_by)

    def _is_of_estimator(self, path: str) -> bool:
        """Tell whether a path is that of an estimator, or of what is reached through one."""
        places = [place for place, estimator, _ in (entry.partition(ESTIMATOR) for entry in self.handles) if estimator]
        return path in places or path.startswith(tuple(place + sign for place in places for sign in (".", ITEM)))

    def scored_by(self, path: str) -> str:
        """Name the class that gives the score of the reference's estimator at a path, or of a copy of it; or ""."""
        begin = path.removesuffix(COPIED) + ESTIMATOR
        return min((entry.removeprefix(begin) for entry in self.handles if entry.startswith(begin)), default="")

    def answers(self, path: str, operator: str, *, both_remote: bool) -> bool:
        """Tell whether the object at ``path`` may answer ``operator`` (a dunder name) itself.

        ``both_remote`` says that the other operand is the student's as well; with a value of the test's it is noted
        under a name of its own, so that a class whose instances are compared need not be trusted to equal numbers.
        """
        if operator in STANDING_IN:
            if self.recording:
                self.operators |= {f"{path}.{STANDING_IN[operator]}{operand}" for operand in ("", "(value)")}
            return True
        entry = f"{path}.{spelling(operator)}" + ("" if both_remote else "(value)")
        if self.recording:
            self.operators.add(entry)
            return True
        return entry in self.operators or (both_remote and not self.strict)

    def may_swallow(self, path: str) -> bool:
        """Tell whether the context manager at ``path`` may keep an assertion from failing, as the reference's does."""
        return self._as_the_reference(self.operators, f"{path}.__exit__")

    def may_catch(self, path: str) -> bool:
        """Tell whether a class of exceptions at ``path`` may catch a failing assertion, as the reference's does."""
        return self._as_the_reference(self.handles, path + CATCHES)

    def expects_empty(self, *places: str) -> bool:
        """Tell whether an array that lacks elements may come from one of these paths; note one that may not."""
        if self.recording:
            self.empties.add(places[0])
        expected = not self.strict or not self.empties.isdisjoint(places)
        if not expected:
            self.unexpected.add(places[0][-1:])
        return expected

    def met(self, sign: str, path: str, *, alone: bool) -> None:
        """Note that the reference gives what a sign stands for at a path in the test that runs, or something else."""
        entry = f"{sign}{self.test} {path}"
        if not alone:
            self.several.add(entry)
            self.empties.discard(entry)
        elif entry not in self.several:
            self.empties.add(entry)

    def expects(self, sign: str, *places: str) -> bool:
        """Tell whether it gives nothing else there; note that an answer does."""
        expected = self.strict and any(f"{sign}{self.test} {place}" in self.empties for place in places)
        if expected:
            self.unexpected.add(sign)
        return expected

    def zipped(self, times: int, longest: int) -> None:
        """Note how often the test goes through several things at once; and where an answer lets it do so less often.

        That is none of the answer's doing where the reference, too, gives fewer items than something else has.
        """
        begin = self.test + TIMES
        if self.recording:
            self.empties.add(f"{begin}{times if times >= longest else 0}")
        elif times < longest and self.strict:
            known = [int(entry.removeprefix(begin)) for entry in self.empties if entry.startswith(begin)]
            if times < min(known, default=0):
                self.short = _FEWER

    def misaligned(self, *, alike: bool) -> bool:
        """Note that data of pandas' which the test computes with have labels that meet no others.

        Tell whether they are to be taken by their places instead, which needs data of one shape, ``alike``.
        """
        entry = self.test + LABELS
        if self.recording:
            self.empties.add(entry)
        if not self.strict or entry in self.empties:
            return False
        if not (self.by_place and alike):
            self.short = APART
        return self.by_place and alike

    def may_change(self, entry: str) -> bool:
        """Tell whether the reference is known to change this argument."""
        return entry in self.mutates and not self.recording

    @property
    def draws_there(self) -> bool:
        """Tell whether pyplot is that of the student's process for the test that runs."""
        return self.test + PYPLOT in self.handles

    def draw_there(self, test: str, *, there: bool) -> None:
        """Note whether the reference needs it so."""
        (self.handles.add if there else self.handles.discard)(test + PYPLOT)

    def rebuilt(self, entry: str) -> None:
        """Note that a call puts other parts into a layer that it is given, which training does not."""
        if self.recording:
            self.mutates.add(entry + PARTS)

    def may_rebuild(self, entry: str) -> bool:
        """Tell whether a call may do so."""
        return self.recording or entry + PARTS in self.mutates

    def may_change_files(self) -> bool:
        """Tell whether the student's code may change files that the test wrote; note that the reference does."""
        return self._as_the_reference(self.mutates, self.test + FILES)

    def may_set_variable(self, name: str) -> bool:
        """Tell whether the student's code may change a variable of the environment; note that the reference does."""
        return self._as_the_reference(self.mutates, f"{self.test}{VARIABLE}{name}")

    def _as_the_reference(self, known: set[str], entry: str) -> bool:
        """Tell whether an answer may do what ``entry`` says; note in ``known`` that the reference does."""
        if self.recording:
            known.add(entry)
        return not self.strict or entry in known

    def mutated(self, entries: Iterable[str], *, returned: bool) -> list[str]:
        """Note which arguments a call changed (``path#place``); ``returned`` says that it gave a value or raised.

        Gives those that the reference leaves alone. Where nothing is known of it, a call that gives None is taken for
        one that is made to change them.
        """
        if self.recording:
            self.mutates.update(entries)
        wanted = self.strict or returned
        found = [entry for entry in entries if entry not in self.mutates and not self._made_or_used(entry)]
        self.suspicious += found if wanted else []
        return found if wanted else []

    def _made_or_used(self, entry: str) -> bool:
        """Tell whether the reference changes what a class is given to keep, be it as it is made or in a method."""
        path, _, place = entry.partition("#")
        maker, used, _ = path.partition("().")
        if used:
            return not place and any(known.startswith(f"{maker}#") for known in self.mutates)
        return any(known.startswith(f"{path}().") and known.endswith("#") for known in self.mutates)


def spelling(operator: str) -> str:
    """Give the operator under which it is known whether this one may be answered, and where its result came from."""
    return SPELLINGS.get(operator, operator)


def turned(path: str) -> Iterator[str]:
    """Give a chain of attributes in other orders: a tree may have at its left what the reference's has at its right."""
    head, _, names = path.rpartition(")")
    first, *chain = names.split(".")
    if len(chain) in (2, 3) and ITEM not in names:
        yield from (f"{head}){first}.{'.'.join(other)}" for other in permutations(chain) if head)


def item_of(path: str) -> str:
    """Give the path of what is inside a container; items of items are as deep as these."""
    return path if path.endswith(ITEM) else path + ITEM


def step(path: str, attribute: str) -> str:
    """Give the path of an attribute; a chain through equal names (``node.next.next``) stays as short as its first.

    One through items (``node.children[].children[]``) stays as short as its second: a root that has no items is not
    what a leaf without them is.
    """
    head, dot, _ = path.partition(f".{attribute}")
    chain = path[len(head) + len(dot) :]
    if dot and "(" not in chain and (not chain or chain[0] == "."):
        return head + dot
    begin, _, rest = path.rpartition(f".{attribute}")
    again = rest[:1] in ("[", "(", ".") and begin.endswith(f".{attribute}{rest}")
    return f"{begin if again else path}.{attribute}"
