# %% [markdown]
# # Lists and arrays
#
# A plain nbgrader course: lists, dictionaries, arrays, a generator, a class, printing and one free text.

# %% given="arrays-setup" locked=true
import itertools
import math

import numpy as np


def close(a, b, tolerance=1e-9):
    """Tell whether two numbers are close to one another."""
    return abs(a - b) <= tolerance


# %% given="arrays-data"
samples = [3.0, 1.5, 4.25]

# %% [markdown]
# ## squares

# %% answer="squares"
def squares(n):
    """Give the list of the squares of 1 to n; n below 1 is a ValueError."""
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError("n must be at least 1")
    return [i**2 for i in range(1, n + 1)]
    ### END SOLUTION

# %% test="squares-first" points=1
assert squares(1) == [1]
assert squares(3) == [1, 4, 9]

# %% test="squares-more" points=2
"""squares of other numbers, and the error"""
### BEGIN HIDDEN TESTS
import random

# CANARY-TEST-8d1f0a
for length in (random.randint(5, 40), random.randint(5, 40)):
    expected = [i * i for i in range(1, length + 1)]
    assert squares(length) == expected
assert len(squares(11)) == 11
try:
    squares(0)
except ValueError:
    pass
else:
    raise AssertionError("squares(0) must raise a ValueError")
### END HIDDEN TESTS

# %% answer="mean"
def mean(values):
    """Give the arithmetic mean of a non-empty sequence or array, as a number."""
    ### BEGIN SOLUTION
    return sum(values) / len(values)
    ### END SOLUTION

# %% test="mean-of-samples" points=1
assert close(mean(samples), 35 / 12), "the mean of the samples is wrong"
assert isinstance(mean([1, 2]), (int, float, np.floating))

# %% test="mean-of-many" points=2
### BEGIN HIDDEN TESTS
generator = np.random.default_rng()
for size in (1, 7, 50):
    values = generator.normal(size=size)
    np.testing.assert_allclose(mean(values), np.mean(values), rtol=1e-9)
### END HIDDEN TESTS

# %% answer="normalise"
def normalise(matrix):
    """Give a new matrix whose rows have the Euclidean length 1; ``matrix`` stays as it is."""
    ### BEGIN SOLUTION
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    ### END SOLUTION

# %% test="normalise-shape" points=1
assert normalise(np.ones((2, 3))).shape == (2, 3)

# %% test="normalise-rows" points=3
### BEGIN HIDDEN TESTS
np.random.seed(20)
matrix = np.random.randn(6, 4)
kept = matrix.copy()
found = normalise(matrix)
assert isinstance(found, np.ndarray)
np.testing.assert_array_equal(matrix, kept, "the argument was changed")
np.testing.assert_allclose(found, matrix / np.sqrt((matrix**2).sum(1))[:, None], rtol=1e-6)
assert np.allclose(np.linalg.norm(found, axis=1), 1)
assert (abs(found) <= 1).all()
### END HIDDEN TESTS

# %% answer="count_words"
def count_words(text):
    """Give a dictionary from each word of ``text``, in lower case, to how often it comes."""
    ### BEGIN SOLUTION
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
    ### END SOLUTION

# %% test="count_words-small" points=1
assert count_words("a b A") == {"a": 2, "b": 1}

# %% test="count_words-more" points=2
### BEGIN HIDDEN TESTS
counted = count_words("The cat saw the other cat and THE dog")
assert counted["the"] == 3
assert counted["cat"] == 2 and "bird" not in counted
assert sum(counted.values()) == 9
assert sorted(counted) == ["and", "cat", "dog", "other", "saw", "the"]
assert count_words("") == {}
### END HIDDEN TESTS

# %% answer="sort_in_place"
def sort_in_place(items):
    """Sort the list ``items`` itself, the greatest first; give None."""
    ### BEGIN SOLUTION
    items.sort(reverse=True)
    ### END SOLUTION

# %% test="sort_in_place-works" points=2
### BEGIN HIDDEN TESTS
import random as chance

numbers = [chance.random() for _ in range(12)]
wanted = sorted(numbers, reverse=True)
assert sort_in_place(numbers) is None
assert numbers == wanted
### END HIDDEN TESTS

# %% answer="fibonacci"
def fibonacci():
    """Yield 0, 1, 1, 2, 3, 5 … without end."""
    ### BEGIN SOLUTION
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
    ### END SOLUTION

# %% test="fibonacci-numbers" points=2
assert list(itertools.islice(fibonacci(), 5)) == [0, 1, 1, 2, 3]
### BEGIN HIDDEN TESTS
assert next(itertools.islice(fibonacci(), 90, None)) == 2880067194370816120
### END HIDDEN TESTS

# %% answer="Stack"
class Stack:
    """A stack: push(item), pop() (IndexError when empty), len(stack), ``top`` is the last item or None."""

    ### BEGIN SOLUTION
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()

    def __len__(self):
        return len(self.items)

    @property
    def top(self):
        return self.items[-1] if self.items else None
    ### END SOLUTION

# %% test="Stack-works" points=3
stack = Stack()
assert isinstance(stack, Stack)
assert len(stack) == 0
### BEGIN HIDDEN TESTS
for item in ("a", 2, None, [3]):
    stack.push(item)
assert len(stack) == 4
assert stack.pop() == [3] and stack.pop() is None
assert stack.top == 2
assert [stack.pop(), stack.pop()] == [2, "a"]
assert stack.top is None
try:
    stack.pop()
except IndexError:
    pass
else:
    raise AssertionError("an empty stack must raise an IndexError")
### END HIDDEN TESTS

# %% answer="greet"
def greet(name):
    """Print "Hello, NAME!" and give nothing."""
    ### BEGIN SOLUTION
    print(f"Hello, {name}!")
    ### END SOLUTION

# %% test="greet-prints" points=1
### BEGIN HIDDEN TESTS
import contextlib
import io

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    greet("Sophie")
assert printed.getvalue() == "Hello, Sophie!\n"
### END HIDDEN TESTS

# %% answer="sum_of_squares"
def sum_of_squares(n):
    """Give the sum of what ``squares(n)`` gives: call it."""
    ### BEGIN SOLUTION
    return sum(squares(n))
    ### END SOLUTION

# %% test="sum_of_squares-works" points=2
### BEGIN HIDDEN TESTS
from unittest.mock import patch

with patch("__main__.squares", return_value=[2, 40]) as mocked:
    assert sum_of_squares(5) == 42
mocked.assert_called_once_with(5)
### END HIDDEN TESTS

# %% answer="primes"
def primes(n):
    """Give the set of the primes below n."""
    ### BEGIN SOLUTION
    return {p for p in range(2, n) if all(p % q for q in range(2, math.isqrt(p) + 1))}
    ### END SOLUTION

# %% test="primes-partial" points=4
"""one point for each of four cases"""
### BEGIN HIDDEN TESTS
earned = 0
for bound, right in ((2, set()), (10, {2, 3, 5, 7}), (50, None), (3, {2})):
    right = right if right is not None else {p for p in range(2, bound) if all(p % q for q in range(2, p))}
    try:
        earned += primes(bound) == right
    except Exception:
        pass
earned
### END HIDDEN TESTS

# %% essay="opinion" points=3
# Say in one sentence why lists are slower than arrays.
