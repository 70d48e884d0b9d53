"""Where an object of the student's came from, as a path.

``"f"`` is a global name, ``"f()"`` its result, ``"Model().fc"`` an attribute, ``"f()[]"`` an item, or what an iterator
gave, and ``"f()<"`` what the student's code passes to a function that the test had passed to ``f``.
"""

from collections.abc import Iterator
from itertools import permutations

ITEM = "[]"
CALLBACK = "<"
FACTORY = "default_factory"


def item_of(path: str) -> str:
    """Return the path of what is inside a container; items of items are as deep as these."""
    return path if path.endswith(ITEM) else path + ITEM


def step(path: str, attribute: str) -> str:
    """Return the path of an attribute; a chain through equal names (``node.next.next``) stays as short as its first.

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


def turned(path: str) -> Iterator[str]:
    """Yield a chain of attributes in other orders: a tree may have at its left what another has at its right."""
    head, _, names = path.rpartition(")")
    first, *chain = names.split(".")
    if len(chain) in (2, 3) and ITEM not in names:
        yield from (f"{head}){first}.{'.'.join(other)}" for other in permutations(chain) if head)
