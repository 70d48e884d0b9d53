# %% [markdown]
# # Short answers
#
# Exercises whose answers are values, a helper file and text.

# %% given="scripts-setup"
import json
from fractions import Fraction
from pathlib import Path

# %% answer="answer"
answer = None
### BEGIN SOLUTION
answer = 391 * 17
### END SOLUTION

# %% test="answer-right" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert answer == 6647
### END HIDDEN TESTS

# %% answer="half"
def half(x):
    """Give half of x, as a Fraction where x is an int."""
    ### BEGIN SOLUTION
    return Fraction(x, 2) if isinstance(x, int) else x / 2
    ### END SOLUTION

# %% test="half-right" points=2
assert half(4) == 2
### BEGIN HIDDEN TESTS
assert half(3) == Fraction(3, 2)
assert isinstance(half(3), Fraction)
assert half(0.5) == 0.25
### END HIDDEN TESTS

# %% answer="load"
def load(path):
    """Give the names in the JSON file at ``path``, sorted."""
    ### BEGIN SOLUTION
    return sorted(json.loads(Path(path).read_text())["names"])
    ### END SOLUTION

# %% test="load-names" points=1
assert load("names.json") == ["Ada", "Grace", "Kurt"]

# %% answer="compose"
def compose(f, g):
    """Give the function x → f(g(x))."""
    ### BEGIN SOLUTION
    return lambda x: f(g(x))
    ### END SOLUTION

# %% test="compose-works" points=2
### BEGIN HIDDEN TESTS
calls = []


def note(x):
    calls.append(x)
    return x + 1


both = compose(lambda x: x * 10, note)
assert callable(both)
assert both(4) == 50
assert calls == [4]
assert compose(str, abs)(-3) == "3"
### END HIDDEN TESTS

# %% answer="depth"
def depth(tree):
    """Give how deep lists are nested in ``tree``: 0 for what is no list, 1 for []; recursive."""
    ### BEGIN SOLUTION
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0
    ### END SOLUTION

# %% test="depth-right" points=2
### BEGIN HIDDEN TESTS
assert [depth(tree) for tree in (3, [], [1, [2]], [[[]], []])] == [0, 1, 2, 3]
deep = []
for _ in range(50):
    deep = [deep]
assert depth(deep) == 51
### END HIDDEN TESTS

# %% answer="sources"
def sources():
    """Give 1, in one return statement without a loop."""
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION

# %% test="sources-inspected" points=1
import inspect

assert "for" not in inspect.getsource(sources)
assert sources() == 1
### BEGIN HIDDEN TESTS
assert list(inspect.signature(sources).parameters) == []
### END HIDDEN TESTS

# %% answer="pythagoras"
def pythagoras(limit):
    """Yield the triples (a, b, c) with a < b < c <= limit and a² + b² = c², in order of a, then b."""
    ### BEGIN SOLUTION
    for a in range(1, limit + 1):
        for b in range(a + 1, limit + 1):
            for c in range(b + 1, limit + 1):
                if a * a + b * b == c * c:
                    yield a, b, c
    ### END SOLUTION

# %% test="pythagoras-triples" points=2
### BEGIN HIDDEN TESTS
assert list(pythagoras(13)) == [(3, 4, 5), (5, 12, 13), (6, 8, 10)]
assert list(pythagoras(4)) == []
### END HIDDEN TESTS

# %% answer="add_into"
def add_into(target, extra):
    """Add the numbers of ``extra`` to those of the list ``target``, in place; ``extra`` stays as it is."""
    ### BEGIN SOLUTION
    for k, x in enumerate(extra):
        target[k] += x
    ### END SOLUTION

# %% test="add_into-adds" points=2
### BEGIN HIDDEN TESTS
import random

target, extra = ([random.random() for _ in range(6)] for _ in range(2))
before = list(target)
add_into(target, extra)
assert target == [a + b for a, b in zip(before, extra)]
### END HIDDEN TESTS

# %% answer="triple"
def triple(x):
    """Give three times x."""
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION

# %% given="triple-helper" locked=true
def is_tripled(x):
    """Tell whether triple(x) is right."""
    return abs(triple(x) - (x + x + x)) < 1e-9

# %% test="triple-helped" points=1
assert is_tripled(2)
### BEGIN HIDDEN TESTS
assert is_tripled(-0.5)
### END HIDDEN TESTS

# %% test="triple-mapped" points=1
### BEGIN HIDDEN TESTS
assert all(map(lambda x: triple(x) == x + x + x, range(10)))
### END HIDDEN TESTS

# %% test="triple-looped" points=1
### BEGIN HIDDEN TESTS
for x, found in zip(range(5), map(triple, range(5))):
    assert found == 3 * x
### END HIDDEN TESTS

# %% answer="safe_divide"
def safe_divide(a, b):
    """Give a / b; b = 0 is a ValueError."""
    ### BEGIN SOLUTION
    if b == 0:
        raise ValueError("b must not be 0")
    return a / b
    ### END SOLUTION

# %% test="safe_divide-suite" points=2
### BEGIN HIDDEN TESTS
import unittest


class TestDivide(unittest.TestCase):
    def test_values(self):
        self.assertEqual(safe_divide(6, 3), 2)
        self.assertAlmostEqual(safe_divide(1, 3), 1 / 3)

    def test_zero(self):
        with self.assertRaises(ValueError):
            safe_divide(1, 0)


result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(TestDivide))
assert result.wasSuccessful()
### END HIDDEN TESTS

# %% test="safe_divide-raises" points=1
### BEGIN HIDDEN TESTS
numbers = [4.0, 0.0]
try:
    safe_divide(*numbers)
except ValueError:
    pass
else:
    raise AssertionError("dividing by zero must be a ValueError")
assert safe_divide(8.0, 2.0) == 4.0
### END HIDDEN TESTS
