from itertools import cycle, islice

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "When is the noise drawn: during data preparation, or when an epoch begins?",
        "Draw all versions first and keep them in a list; each epoch then takes one of them.",
        "With 3 copies, epochs 0, 1, 2, 3, 4 get versions 0, 1, 2, 0, 1; each is a pair of tensors (N, T).",
        "`[noise(rows, generator) for _ in range(copies)]` draws the versions; the remainder `epoch % copies` tells "
        "you which one an epoch takes.",
    ),
)
def static_masks(rows, copies, epochs, noise, generator):
    """Return the data of each epoch under static masking, as BERT prepared them.

    - rows (N, T): long. They stay as they are.
    - copies: how many versions are drawn beforehand, 1 or more. Draw all of them, even if there are fewer epochs.
    - noise(rows, generator): returns (noisy, labels), newly drawn from the generator at each call. Pass yours on.
    - Returns a list with one pair (noisy, labels) for each of the epochs: version 0, version 1, …, and after the last
      version again from the first.
    """
    ### BEGIN SOLUTION
    versions = [noise(rows, generator) for _ in range(copies)]
    return [versions[epoch % copies] for epoch in range(epochs)]
    ### END SOLUTION


@static_masks.test("repeats its masks after the last copy", points=1)
def _(static_masks):
    rows, calls = torch.tensor([[1, 2, 3], [4, 5, 6]]), []

    def noise(some, generator):
        calls.append(1)
        return some + 10 * torch.randint(100, some.shape, generator=generator), some.clone()

    data = static_masks(rows, 3, 8, noise, torch.Generator().manual_seed(1))
    assert len(calls) == 3, f"3 copies are drawn, got {len(calls)} calls of noise"
    again = torch.Generator().manual_seed(1)
    versions = [noise(rows, again) for _ in range(3)]
    expected = [versions[number] for number in (0, 1, 2, 0, 1, 2, 0, 1)]
    assert len(data) == 8, f"8 epochs have 8 pairs, got {len(data)}"
    for epoch, (found, right) in enumerate(zip(data, expected, strict=True)):
        assert_close(found[0], right[0], message=f"the inputs of epoch {epoch}")
        assert_close(found[1], right[1], message=f"the labels of epoch {epoch}")


@static_masks.hidden("gives the versions as they were drawn, for few and for many epochs", points=2)
def _(static_masks, rng):
    for copies, epochs, shape in ((4, 11, (3, 5)), (1, 4, (2, 7)), (7, 3, (5, 3)), (5, 10, (1, 6))):
        rows, calls = torch.randint(9, shape, generator=rng), []
        before, seed = rows.clone(), int(torch.randint(10**6, (), generator=rng))

        def noise(some, generator, calls=calls):
            calls.append(some)
            labels = some.masked_fill(torch.rand(some.shape, generator=generator) < 0.5, -100)
            return torch.randint(1000, some.shape, generator=generator), labels

        given, again = (torch.Generator().manual_seed(seed) for _ in range(2))
        for each in (given, again):
            torch.rand(3, generator=each)  # somebody has drawn from it before
        data = list(static_masks(rows, copies, epochs, noise, given))
        assert len(calls) == copies, f"noise must be called {copies} times, was called {len(calls)} times"
        assert all(torch.equal(one, before) for one in calls), "every version is drawn from the rows as they came"
        versions = [noise(before, again) for _ in range(copies)]
        assert len(data) == epochs, f"{epochs} epochs have {epochs} pairs, got {len(data)}"
        for epoch, (noisy, labels) in enumerate(data):
            right = versions[epoch % copies]
            assert_close(noisy, right[0], message=f"epoch {epoch} with {copies} copies: the inputs")
            assert_close(labels, right[1], message=f"epoch {epoch} with {copies} copies: the labels")


@static_masks.misconception(
    "You drew new noise for each epoch, as in dynamic masking; draw `copies` versions beforehand and reuse them.",
    name="drawn-in-each-epoch",
)
def _(rows, copies, epochs, noise, generator):
    return [noise(rows, generator) for _ in range(epochs)]


@static_masks.misconception(
    "You drew one version and used it for all epochs; draw `copies` different versions of the rows.",
    name="one-version",
)
def _(rows, copies, epochs, noise, generator):
    return [noise(rows, generator)] * epochs


static_masks.mistake(
    "divided-by-copies",
    "You kept a version for several epochs before you moved on to the next; take the versions in turn, a new one in "
    "each epoch.",
    replace="epoch % copies",
    by="epoch // copies % copies",
)

static_masks.mistake(
    "stays-with-the-last",
    "You stayed with the last version; after it, start again with version 0.",
    replace="epoch % copies",
    by="min(epoch, copies - 1)",
)


@static_masks.also_correct
def _(rows, copies, epochs, noise, generator):
    versions = {}
    for number in range(copies):
        versions[number] = noise(rows.clone(), generator)
    data, number = [], 0
    while len(data) < epochs:
        data.append(versions[number])
        number = number + 1 if number + 1 < copies else 0
    return data


@static_masks.also_correct
def _(rows, copies, epochs, noise, generator):
    return list(islice(cycle([noise(rows, generator) for _ in range(copies)]), epochs))
