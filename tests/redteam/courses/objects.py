# %% [markdown]
# # What a function is given
#
# Exercises whose functions are given objects: of a database, of a document, of a class of the test's own.

# %% given="objects-setup"
import sqlite3
from xml.etree import ElementTree

# %% answer="rows"
def rows(connection):
    """Give the sum of the column x of the table t."""
    ### BEGIN SOLUTION
    return sum(x for (x,) in connection.execute("select x from t"))
    ### END SOLUTION

# %% test="rows-right" points=2
### BEGIN HIDDEN TESTS
connection = sqlite3.connect(":memory:")
connection.execute("create table t (x integer)")
connection.executemany("insert into t values (?)", [(1,), (2,), (4711,)])
assert rows(connection) == 4714
### END HIDDEN TESTS

# %% answer="names"
def names(tree):
    """Give the tags of the root's children, in order."""
    ### BEGIN SOLUTION
    return [child.tag for child in tree.getroot()]
    ### END SOLUTION

# %% test="names-right" points=2
### BEGIN HIDDEN TESTS
assert names(ElementTree.ElementTree(ElementTree.fromstring("<a><b/><c4711/></a>"))) == ["b", "c4711"]
### END HIDDEN TESTS

# %% answer="apply_all"
def apply_all(steps, x):
    """Give x after ``steps.first`` and then ``steps.second``, both methods of the object ``steps``."""
    ### BEGIN SOLUTION
    return steps.second(steps.first(x))
    ### END SOLUTION

# %% test="apply-right" points=2
class Steps:
    def first(self, x):
        return x + 1

    def second(self, x):
        return 2 * x

### BEGIN HIDDEN TESTS
assert apply_all(Steps(), 4711) == 9424
### END HIDDEN TESTS
