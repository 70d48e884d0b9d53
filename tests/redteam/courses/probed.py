# %% [markdown]
# # A number and its name
#
# A visible test comes after a hidden one, and an exercise has hidden tests alone: what a check on the course server
# says of them must not follow what the hidden tests were.

# %% given="probed-setup" locked=true
import time

# %% answer="twice"
def twice(x):
    """Give twice a number."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% test="twice-hidden" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert twice(4711) == 9422
### END HIDDEN TESTS

# %% test="twice-seen" points=1
assert twice(3) == 6

# %% answer="half"
def half(x):
    """Give half of a number."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% test="half-hidden" points=1
### BEGIN HIDDEN TESTS
assert half(815) == 407.5
### END HIDDEN TESTS
