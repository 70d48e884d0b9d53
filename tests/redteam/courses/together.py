# %% [markdown]
# # Garbage
#
# Exercises of which one is tested in the student's own process, for its test collects garbage.

# %% given="together-setup"
import gc
from pathlib import Path

# %% answer="count_lines"
def count_lines(path):
    """Give the number of lines of the file at ``path``."""
    ### BEGIN SOLUTION
    return len(Path(path).read_text().splitlines())
    ### END SOLUTION

# %% test="count_lines-works" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
gc.collect()
Path("poem.txt").write_text("the quick cat\nsaw the other cat\n")
assert count_lines("poem.txt") == 2
### END HIDDEN TESTS

# %% answer="longest"
def longest(words):
    """Give the longest of some words."""
    ### BEGIN SOLUTION
    return max(words, key=len)
    ### END SOLUTION

# %% test="longest-of-three" points=1
assert longest(["a", "bbb", "cc"]) == "bbb"
