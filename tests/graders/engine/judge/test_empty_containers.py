"""What is empty, or an array of pandas', passes comparisons whatever it is compared with: it earns nothing by that."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

IMPORTS = given("import numpy as np\nimport pandas as pd\nimport torch\nfrom torch import nn")
SCALED = "def scaled(x):\n    return x * 2.5\n"
EMPTY = ["[]", "()", "[[]]", "range(0)", "bytearray()", "memoryview(b'')", "nn.Sequential()", "torch.Size([])"]


def points(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("value", EMPTY)
def test_what_has_no_items_is_close_to_no_number(shell, value):
    assert points(shell, SCALED, f"def scaled(x):\n    return {value}\n", "assert np.allclose(scaled(2), 5)") == 0


OTHERS = [
    *("[range(0)]", "[deque()]", "[array('d')]", "[bytearray()]", "[memoryview(b'')]", "[torch.Size([])]"),
    *("UserList()", "UserList([range(0)])", "UserDict()", "UserString('')", "ChainMap()", "Row(range(0))"),
    "nn.Sequential(nn.Sequential())",
]


@pytest.mark.parametrize("value", OTHERS)
def test_nor_is_one_without_items_of_another_kind_or_inside_of_a_container(shell, value):
    text = (
        "from array import array\nfrom collections import ChainMap, UserDict, UserList, UserString, deque, namedtuple\n"
        f"Row = namedtuple('Row', 'x')\ndef scaled(x):\n    return {value}\n"
    )
    assert points(shell, SCALED, text, "assert np.allclose(scaled(2), 5)") == 0


VIEWS = ["{}.keys()", "{}.values()", "{}.items()", "MappingProxyType({})", "iter(())", "zip()"]


@pytest.mark.parametrize("value", VIEWS)
def test_a_view_or_an_iterator_without_items_agrees_with_no_list(shell, value):
    reference = "from types import MappingProxyType\ndef halves(x):\n    return [v / 2 for v in x]\n"
    text = f"from types import MappingProxyType\ndef halves(x):\n    return {value}\n"
    test = "assert all(a == b for a, b in zip(halves([2, 4]), [1, 2]))"
    assert points(shell, reference, text, test) == 0
    assert points(shell, reference, "def halves(x):\n    return (v / 2 for v in x)\n", test) == 1


ORDERED = {
    "loop": "for i in range(len(found) - 1):\n    assert found[i] <= found[i + 1]",
    "all": "assert list(found) == sorted(found)",
    "differences": "assert (np.diff(found) >= 0).all()",
    "one after the other": "last = -9\nfor item in found:\n    assert item >= last\n    last = item",
}


@pytest.mark.parametrize("form", ORDERED)
@pytest.mark.parametrize("value", ["[]", "np.array([])", "torch.empty(0)", "iter([])"])
def test_what_is_empty_is_not_in_order_either(shell, value, form):
    reference = f"def ordered(x):\n    return {'iter' if 'iter' in value else 'list'}(sorted(x))\n"
    found = "list(ordered([3, 1, 2]))" if "iter" in value and "one" not in form else "ordered([3, 1, 2])"
    test = f"found = {found}\n{ORDERED[form]}"
    assert points(shell, reference, f"def ordered(x):\n    return {value}\n", test) == 0
    assert points(shell, reference, reference, test) == 1


WITHOUT = {
    "no letter": "assert not any(letter in 'aeiou' for letter in bare('hello'))",
    "no capital": "assert not any(letter.isupper() for letter in bare('hello'))",
    "no digit": "assert not any(map(str.isdigit, bare('hello')))",
}


@pytest.mark.parametrize("form", WITHOUT)
def test_a_text_without_letters_is_not_without_some_of_them(shell, form):
    reference = "def bare(text):\n    return ''.join(letter for letter in text if letter not in 'aeiou')\n"
    assert points(shell, reference, "def bare(text):\n    return ''\n", WITHOUT[form]) == 0
    assert points(shell, reference, reference, WITHOUT[form]) == 1


EMPTIED = {
    "list": ("[3, 1, 2]", "data.sort()", "for i in range(len(data) - 1):\n    assert data[i] <= data[i + 1]"),
    "dictionary": ("{'a': 1, 'b': -1}", "del data['b']", "assert all(value >= 0 for value in data.values())"),
    "set": ("{1, -1}", "data.remove(-1)", "assert min(data, default=0) >= 0"),
}


@pytest.mark.parametrize("kind", EMPTIED)
def test_an_argument_that_is_to_be_changed_must_not_be_emptied(shell, kind):
    data, body, check = EMPTIED[kind]
    reference = f"def change(data):\n    {body}\n"
    test = f"data = {data}\nchange(data)\n{check}"
    assert points(shell, reference, "def change(data):\n    data.clear()\n", test) == 0
    assert points(shell, reference, reference, test) == 1


def test_it_may_be_where_the_reference_empties_it_as_well(shell):
    reference = (
        "def drain(data):\n    found = []\n    while data:\n        found.append(data.pop())\n    return found\n"
    )
    text = "def drain(data):\n    found = data[::-1]\n    data.clear()\n    return found\n"
    assert points(shell, reference, text, "data = [1, 2]\nassert drain(data) == [2, 1]\nassert not any(data)") == 1


def test_an_iterator_may_be_at_its_end_where_the_reference_gives_nothing_or_was_gone_through_before(shell):
    reference = "def small(x):\n    return [v for v in x if v < 3]\n"
    text = "def small(x):\n    return (v for v in x if v < 3)\n"
    test = "found = small([1, 2, 3])\nassert sorted(found) == [1, 2]\nassert not list(small([4]))"
    assert points(shell, reference, text, test + "\nassert 2 not in small([4])") == 1


def test_an_object_may_have_a_length_where_the_references_is_gone_through(shell):
    reference = "class Bag:\n    def __init__(self, *x): self.x = x\n    def __iter__(self): return iter(self.x)\n"
    text = reference.replace("Bag:", "Bag:\n    def __len__(self): return len(self.x)")
    assert points(shell, reference, text, "assert list(Bag()) == [] and list(Bag(1)) == [1]") == 1


@pytest.mark.parametrize("key", ["range(0)", "()", "Row()", "frozenset()"])
def test_one_that_is_a_key_stays_one(shell, key):
    text = (
        "from collections import namedtuple\nRow = namedtuple('Row', 'x', defaults=[()])\n"
        f"def scaled(x):\n    return {{{key}: 5}}\ndef other():\n    return 5\n"
    )
    test = "assert len(scaled(2)) == 1 and other() == 5"
    reference = "def scaled(x):\n    return {2: 5}\ndef other():\n    return 5\n"
    assert points(shell, reference, text, test) == 1


def test_an_own_object_in_place_of_a_record_is_not_without_items(shell):
    reference = (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: float\ndef mid(a, b):\n    return P((a + b) / 2)\n"
    )
    own = "class P:\n    def __len__(self):\n        return {}\n    def __getitem__(self, i): return [2.0][i]\n"
    test, text = "assert np.allclose(mid(1, 3), 2)", "def mid(a, b):\n    return P()\n"
    nothing = own.format(0).replace("[2.0]", "[]")
    assert points(shell, reference, nothing + text, test) == 0
    assert points(shell, reference, own.format(1) + text, test) == 1


def test_nor_is_an_item_of_a_result(shell):
    reference = "def both(x):\n    return x * 2.5, np.array([x])\n"
    test = "a, b = both(2)\nassert np.allclose(a, 5) and np.allclose(b, 2)"
    assert points(shell, reference, "def both(x):\n    return [], ()\n", test) == 0
    assert points(shell, reference, "def both(x):\n    return [5.0], [2]\n", test) == 1


FORMS = {
    "tuple": ("{}, {}", "line()[0]", "line()[1]"),
    "list for a tuple": ("[{}, {}]", "line()[0]", "line()[1]"),
    "dictionary": ("dict(slope={}, notes={})", "line()['slope']", "line()['notes']"),
    "record": ("Line({}, {})", "line().slope", "line().notes"),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_that_may_be_empty_does_not_let_another_be_so(shell, form):
    text, slope, notes = FORMS[form]
    head = "from dataclasses import dataclass\n@dataclass\nclass Line:\n    slope: float\n    notes: list\n"
    first = f"{head}def line():\n    return {(FORMS['tuple'] if 'list' in form else FORMS[form])[0]}\n"
    answered = f"{head}def line():\n    return {text}\n"
    test = f"assert np.allclose({slope}, 2.5) and len({notes}) == 0"
    assert points(shell, first.format(2.5, []), answered.format("range(0)", []), test) == 0
    assert points(shell, first.format(2.5, []), answered.format("np.array([])", []), test) == 0
    assert points(shell, first.format(2.5, []), answered.format(2.5, []), test) == 1
    assert points(shell, first.format(2.5, []), answered.format(2.5, ()), test) == 1


@pytest.mark.parametrize("form", ["{}, {}", "dict(a={}, b={})"])
@pytest.mark.parametrize("empty", ["[]", "np.array([])", "()"])
def test_of_containers_that_are_alike_each_may_be_empty_where_one_is(shell, form, empty):
    reference = f"def parts(x):\n    return {form.format('[3]', '[]')}\n"
    text = f"def parts(x):\n    return {form.format(empty, '[3]')}\n"
    test = "found = parts(1)\nfound = list(found.values() if isinstance(found, dict) else found)"
    assert points(shell, reference, text, f"{test}\nassert sorted(map(len, found)) == [0, 1]") == 1


def test_an_own_object_may_have_something_empty_where_the_record_has(shell):
    reference = (
        "from dataclasses import dataclass\n@dataclass\nclass Line:\n    slope: float\n    notes: list\n"
        "def line():\n    return Line(2.5, [])\n"
    )
    text = "class Own:\n    slope, notes = 2.5, []\ndef line():\n    return Own()\n"
    assert points(shell, reference, text, "assert line().slope == 2.5 and list(line().notes) == []") == 1


@pytest.mark.parametrize("value", ["[]", "()", "set()", "{}"])
@pytest.mark.parametrize("nothing", ["[]", "None", "''"])
def test_where_the_reference_gives_nothing_something_empty_is_as_good(shell, value, nothing):
    reference = f"def found(x):\n    return {nothing}\n"
    assert points(shell, reference, f"def found(x):\n    return {value}\n", "assert len(found(2) or ()) == 0") == 1


def test_nor_is_what_stands_for_a_record(shell):
    reference = (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: float\ndef mid(a, b):\n    return P((a + b) / 2)\n"
    )
    test = "assert np.allclose(mid(1, 3), 2)"
    assert points(shell, reference, "def mid(a, b):\n    return []\n", test) == 0
    assert points(shell, reference, "def mid(a, b):\n    return [(a + b) / 2]\n", test) == 1


@pytest.mark.parametrize("value", ["nn.Sequential()", "nn.Sequential(nn.Identity())", "lambda x: x"])
def test_layers_without_any_are_as_good_as_the_identity(shell, value):
    test = "x = torch.ones(2)\nassert torch.equal(shortcut()(x), x)"
    reference, text = "def shortcut():\n    return nn.Identity()\n", f"def shortcut():\n    return {value}\n"
    assert points(shell, reference, text, test) == 1


def test_a_list_without_items_is_as_good_as_an_array_without_elements(shell):
    reference, text = "def none(x):\n    return np.array(x)[:0]\n", "def none(x):\n    return []\n"
    assert points(shell, reference, text, "assert np.allclose(none([1]), []) and len(none([1])) == 0") == 1


@pytest.mark.parametrize("value", ["pd.array([0, 1])", "pd.array([0])", "pd.arrays.SparseArray([0, 0, 1])"])
@pytest.mark.parametrize("test", ["assert scaled(2) == 5", "assert abs(scaled(2) - 5) < 1e-6"])
def test_an_array_of_pandas_is_equal_to_no_number(shell, value, test):
    assert points(shell, SCALED, f"def scaled(x):\n    return {value}\n", test) == 0


@pytest.mark.parametrize("value", ["[]", "''", "{}", "np.zeros(0)", "iter(())"])
def test_nothing_is_no_generators_items(shell, value):
    reference = "def halves(x):\n    for v in x:\n        yield v / 2\n"
    test = "assert all(a == b for a, b in zip(halves([2, 4]), [1, 2]))"
    assert points(shell, reference, f"def halves(x):\n    return {value}\n", test) == 0
    assert points(shell, reference, "def halves(x):\n    return [v / 2 for v in x]\n", test) == 1


@pytest.mark.parametrize("value", ["b''", "np.void(b'')", "np.bytes_(b'')"])
def test_nor_are_bytes_that_are_none_the_number_that_takes_their_place(shell, value):
    reference = "def doubles(n):\n    return [2 * v for v in range(n)]\n"
    test = "for k, v in enumerate(doubles(5)):\n    assert v == 2 * k"
    assert points(shell, reference, f"def doubles(n):\n    return {value}\n", test) == 0


def test_a_sparse_tensor_may_have_no_element_that_is_not_zero(shell):
    reference = "def kept(x):\n    return x.to_sparse()\n"
    test = "assert kept(torch.eye(3)).to_dense().shape == (3, 3)"
    assert points(shell, reference, "def kept(x):\n    return (0 * x).to_sparse()\n", test) == 1


def test_what_can_have_nothing_in_the_place_of_its_parts_costs_one_test_alone(shell):
    imports = given("import numpy as np\nfrom sklearn.pipeline import Pipeline")
    notebook = material(
        imports,
        answer("def scaled(x):\n    return x * 2.5\ndef other():\n    return 5\n"),
        checked("assert np.allclose(scaled(np.ones(3)), 2.5)", id="a", grade_id="a"),
        checked("assert other() == 5", id="b", grade_id="b"),
    )
    text = "def scaled(x):\n    return Pipeline([])\ndef other():\n    return 5\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).points == [0, 1]


EVENS = "def evens(items):\n    return [item for item in items if item % 2 == 0]\n"
NONE = "assert len(list(evens([1]))) == 0"


def points_of_two(shell, text, first, second):
    notebook = material(IMPORTS, answer(EVENS), checked(first), checked(second))
    calibration = calibrate(shell, notebook)
    return grade_forked(shell, notebook, submission(notebook, text), calibration).points


@pytest.mark.parametrize("value", ["[]", "()", "{}", "np.array([])", "torch.empty(0)", "iter([])"])
def test_what_may_be_empty_in_one_test_may_not_be_in_another_that_is_the_same_each_time(shell, value):
    second = "for item in evens([1, 2, 4]):\n    assert item % 2 == 0"
    assert points_of_two(shell, f"def evens(items):\n    return {value}\n", NONE, second) == [1, 0]
    assert points_of_two(shell, EVENS, NONE, second) == [1, 1]


def test_it_may_be_in_a_test_that_draws(shell):
    drawing = "import random\nitems = [2, random.randrange(9)]\nassert all(i % 2 == 0 for i in evens(items))"
    text = "def evens(items):\n    return tuple(item for item in items if not item % 2)\n"
    always = "def evens(items):\n    return []\n"
    assert points_of_two(shell, text, NONE, drawing) == [1, 1]
    assert points_of_two(shell, always, NONE, drawing) == [1, 1]  # as right as a test of random data can tell


FIRST = "def first(items, more):\n    return [*items][:9]\n"
SIZES = "import random\nfor n in [random.randint(1, 3), size]:\n    items = [random.random() for _ in range(n)]\n"


def with_sizes(shell, text, more, size, check="all(a == b for a, b in zip(first(items, {}), items))"):
    """Calibrate with lists of which none is empty, and grade where one has a ``size``, as if it had been drawn."""
    test = checked(f"{SIZES}    assert {check.format(more)}")
    met, drawn = (material(given(f"size = {number}"), answer(FIRST), test) for number in (2, size))
    return grade_forked(shell, drawn, submission(drawn, text), calibrate(shell, met)).only.points


def test_what_is_made_of_something_empty_may_be_where_that_is_drawn(shell):
    check = "first(items, {}) == items"
    assert with_sizes(shell, "def first(items, more):\n    return list(items[:9])\n", "[3]", 0, check) == 1


@pytest.mark.parametrize(("more", "size"), [("[3]", 0), ("[3]", 2), ("[]", 2), ("[]", 0), ("more=''", 2)])
def test_what_is_made_of_something_else_may_not(shell, more, size):
    assert with_sizes(shell, "def first(items, more):\n    return []\n", more, size) == 0


def test_it_may_be_in_a_test_in_which_the_reference_gives_both(shell):
    both = f"{NONE}\nassert list(evens([2])) == [2]\nassert not any(evens([3, 5]))"
    assert points_of_two(shell, "def evens(items):\n    return tuple(i for i in items if not i % 2)\n", NONE, both) == [
        1,
        1,
    ]


NODES = "class Node:\n    def __init__(self, value, after=None): self.value, self.after = value, after\n"
BUILD = NODES + "def build(items):\n    return Node(items[0], build(items[1:])) if items else None\n"
WALK = "node = build([3, 4])\n{}:\n    assert node.value > 2\n    node = node.after"


@pytest.mark.parametrize("loop", ["while node", "while node is not None"])
def test_nothing_at_all_is_no_chain_of_objects(shell, loop):
    test = WALK.format(loop)
    assert points(shell, BUILD, "def build(items):\n    return None\n", test) == 0
    assert points(shell, BUILD, BUILD, test) == 1


def test_none_is_right_where_the_reference_gives_none_as_well_or_nobody_asks(shell):
    reference = "class Tally:\n    def add(self, x):\n        self.x = x\n        return self\n"
    test = "tally = Tally()\ntally.add(3)\nassert tally.x == 3"
    assert points(shell, reference, "class Tally:\n    def add(self, x):\n        self.x = x\n", test) == 1
    other = (
        NODES
        + "def build(items):\n    end = None\n    for item in items[::-1]: end = Node(item, end)\n    return end\n"
    )
    assert points(shell, BUILD, other, f"assert build([]) is None\n{WALK.format('while node')}") == 1


DECK = (
    "class Deck:\n    def __init__(self, n=4): self.cards = list(range(n))\n"
    "    def __len__(self): return len(self.cards)\n    def __getitem__(self, i): return self.cards[i]\n"
)
NO_CARDS = "class Deck:\n    def __init__(self, n=4): pass\n    def __len__(self): return n\n"
NO_CARDS += "    def __getitem__(self, i): raise IndexError\n"
GOES_THROUGH = [
    "for card in Deck():\n    assert 0 <= card < 4",
    "assert all(card in range(4) for card in Deck())",
    "assert set(Deck()) <= set(range(4))",
    "assert list(Deck()) == sorted(Deck())",
]


@pytest.mark.parametrize("test", GOES_THROUGH)
@pytest.mark.parametrize("length", [0, 4])
def test_an_object_without_a_first_item_is_not_one_of_which_all_items_are_right(shell, test, length):
    assert points(shell, DECK, NO_CARDS.replace("return n", f"return {length}"), test) == 0
    assert points(shell, DECK, DECK, test) == 1


@pytest.mark.parametrize(
    "reference", [DECK, "class Deck(list):\n    def __init__(self, n=4): super().__init__(range(n))\n"]
)
def test_an_index_that_is_too_large_is_an_error_and_no_sign_of_that(shell, reference):
    test = "deck = Deck()\ntry:\n    deck[100]\n    assert False\nexcept IndexError:\n    pass\nassert deck[0] == 0"
    assert points(shell, reference, DECK, test) == 1
    empty = "assert list(Deck(0)) == [] and not any(Deck(0))\ntry:\n    Deck(0)[0]\n    assert False\n"
    assert points(shell, reference, DECK, f"{empty}except IndexError:\n    pass") == 1


STACK = """
class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items[::-1])
"""
KEEPS_NOTHING = STACK.replace("self.items.append(item)", "pass")
NEW_ONE = "assert len(Stack()) == 0 and list(Stack()) == [] and not Stack()"
FILLED = "stack = Stack()\nfor item in (3, 5):\n    stack.push(item)\n"
LOOPS_OF_ONE = [
    "for item in stack:\n    assert item in (3, 5)",
    "while stack:\n    assert stack.pop() > 2",
    "while len(stack) > 0:\n    assert stack.pop() > 2",
]


@pytest.mark.parametrize("loop", LOOPS_OF_ONE)
def test_an_object_that_may_be_empty_in_one_test_may_not_be_in_another(shell, loop):
    def both(text):
        notebook = material(IMPORTS, answer(STACK), checked(NEW_ONE), checked(FILLED + loop))
        return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).points

    assert both(KEEPS_NOTHING) == [1, 0]
    own = STACK.replace("self.items.append(item)", "self.items += [item]")
    assert both(own + "    def __bool__(self): return self.items != []\n") == [1, 1]
