# %% [markdown]
# # Records and what is awaited
#
# Exercises whose answers are dataclasses with methods, coroutines, asynchronous generators and context managers.

# %% given="waits-setup" locked=true
import asyncio
import dataclasses
from dataclasses import asdict, astuple, dataclass, field, fields, replace

# %% answer="Money"
@dataclass(frozen=True, order=True)
class Money:
    """An amount in a currency, EUR if nothing is said; it cannot be changed, and smaller amounts are less."""

    ### BEGIN SOLUTION
    amount: int
    currency: str = "EUR"

    def plus(self, other):
        return replace(self, amount=self.amount + other.amount)
    ### END SOLUTION

# %% test="Money-fields" points=1
assert [one.name for one in fields(Money)] == ["amount", "currency"]

# %% test="Money-data" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert asdict(Money(4700).plus(Money(11))) == {"amount": 4711, "currency": "EUR"}
assert astuple(replace(Money(4711), currency="CHF")) == (4711, "CHF")
### END HIDDEN TESTS

# %% test="Money-frozen" points=1
try:
    Money(3).amount = 4
except dataclasses.FrozenInstanceError:
    pass
else:
    raise AssertionError("an amount of money can be changed")

# %% test="Money-matched" points=1
### BEGIN HIDDEN TESTS
match Money(4711):
    case Money(amount, currency="EUR"):
        assert amount == 4711
    case _:
        assert False, "no money"
### END HIDDEN TESTS

# %% answer="double"
async def double(x):
    """Give twice x after a moment; ValueError says "negative" of a negative one."""
    ### BEGIN SOLUTION
    await asyncio.sleep(0.01)
    if x < 0:
        raise ValueError("negative")
    return 2 * x
    ### END SOLUTION

# %% test="double-awaited" points=1
### BEGIN HIDDEN TESTS
assert await double(2355) == 4710
### END HIDDEN TESTS

# %% test="double-gathered" points=2
### BEGIN HIDDEN TESTS
assert await asyncio.gather(*(double(x) for x in range(4))) == [0, 2, 4, 6]
### END HIDDEN TESTS

# %% test="double-raises" points=1
try:
    await double(-1)
except ValueError as error:
    assert str(error) == "negative"
else:
    raise AssertionError("a negative number is doubled")

# %% answer="countdown"
async def countdown(n):
    """Yield n, n - 1, and so on to 1."""
    ### BEGIN SOLUTION
    for k in range(n, 0, -1):
        yield k
    ### END SOLUTION

# %% test="countdown-right" points=2
### BEGIN HIDDEN TESTS
n = 3
async for k in countdown(3):
    assert k == n
    n -= 1
### END HIDDEN TESTS

# %% answer="Session"
class Session:
    """An asynchronous context manager; its method ``ask`` gives the text that it is given, in capitals."""

    ### BEGIN SOLUTION
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return None

    async def ask(self, text):
        return text.upper()
    ### END SOLUTION

# %% test="Session-asks" points=2
### BEGIN HIDDEN TESTS
async with Session() as session:
    assert await session.ask("hidden") == "HIDDEN"
### END HIDDEN TESTS

# %% answer="fetch_all"
async def fetch_all(fetch, names):
    """Give what ``fetch`` gives for each name, where all of them are fetched at the same time."""
    ### BEGIN SOLUTION
    return await asyncio.gather(*map(fetch, names))
    ### END SOLUTION

# %% test="fetch_all-right" points=2
seen = []

async def fetch(name):
    seen.append(name)
    await asyncio.sleep(0.01)
    seen.append(name)
    return len(name)

### BEGIN HIDDEN TESTS
assert await fetch_all(fetch, ["a", "bcd"]) == [1, 3]
assert seen == ["a", "bcd", "a", "bcd"]
### END HIDDEN TESTS
