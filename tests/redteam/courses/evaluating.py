# %% [markdown]
# # What a test does with what a function gave
#
# Exercises whose tests evaluate text or bytes, open files by name and ask a database.

# %% given="evaluating-setup"
import inspect
import pickle
import sqlite3
import typing

import numpy as np

# %% answer="expression"
def expression(n):
    """Give Python's text for two to the power of n."""
    ### BEGIN SOLUTION
    return f"2 ** {n}"
    ### END SOLUTION

# %% test="expression-right" points=1
assert eval(expression(10)) == 1024

# %% answer="square"
def square(n):
    """Give n squared; with a hint of both types."""
    ### BEGIN SOLUTION
    return n * n
    ### END SOLUTION

# %% test="square-alone" points=1
names = {}
exec(inspect.getsource(square), names)
assert names["square"](3) == 9

# %% test="square-hinted" points=1
assert typing.get_type_hints(square) is not None and square(3) == 9

# %% answer="pack"
def pack(value):
    """Give ``value`` pickled."""
    ### BEGIN SOLUTION
    return pickle.dumps(value)
    ### END SOLUTION

# %% given="evaluating-unpacked" locked=true
def unpacked(data):
    """Give what was pickled."""
    return pickle.loads(data)

# %% test="pack-loads" points=1
assert unpacked(pack({"a": 1})) == {"a": 1}

# %% answer="query"
def query(table):
    """Give the query for the sum of x of a table."""
    ### BEGIN SOLUTION
    return f"select sum(x) from {table}"
    ### END SOLUTION

# %% test="query-right" points=1
connection = sqlite3.connect(":memory:")
connection.executescript("create table t (x); create table u (x); insert into u values (5)")
first, second = (connection.execute(query(name)).fetchall() for name in "tu")
assert str(second[0][0]) == "5"
assert first == [(None,)]

# %% answer="file_name"
def file_name(n):
    """Give the name of the n-th file."""
    ### BEGIN SOLUTION
    return f"file{n}.txt"
    ### END SOLUTION

# %% test="file-name-right" points=1
np.arange(5).tofile(file_name(3), sep=" ")
assert np.fromfile("file3.txt", dtype=int, sep=" ").sum() == 10

# %% answer="total"
def total(x):
    """Give the sum of an array."""
    ### BEGIN SOLUTION
    return x.sum()
    ### END SOLUTION

# %% test="total-right" points=2
### BEGIN HIDDEN TESTS
assert np.allclose(total(np.fromfile("numbers.txt", dtype=int, sep=" ")), 6), "CANARY-TEST-8d1f0a"
assert np.allclose(total(np.ones(4711)), 4711)
### END HIDDEN TESTS
