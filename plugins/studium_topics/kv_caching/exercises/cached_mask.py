import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        "At which position of the text is the first new token, and how many tokens may it see?",
        "Take the mask of the whole text. Which of its rows belong to the new tokens?",
        "The result is (queries, keys); in row i, entries 0 … keys - queries + i are True.",
        "`tril` takes the number of a diagonal: `tril(keys - queries)`.",
    ),
)
def cached_mask(queries, keys):
    """Return which keys the newest tokens may see, when the keys of earlier tokens come from a cache.

    The text now has `keys` tokens, and the last `queries` of them are new; 1 <= queries <= keys. Each new token may see
    exactly the keys that it would see if the whole text were read at once.

    Return bool (queries, keys), True where a query may look.
    """
    ### BEGIN SOLUTION
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    ### END SOLUTION


@cached_mask.test("lets the newest token see the whole text", points=1)
def _(cached_mask):
    assert_close(cached_mask(1, 4), torch.tensor([[True, True, True, True]]), message="one new token, 4 in all")


@cached_mask.hidden("is aligned to the end of the text, whatever the chunk", points=2)
def _(cached_mask):
    for queries, keys in ((3, 7), (2, 5), (4, 4), (1, 1), (1, 6), (5, 6)):
        expected = torch.tensor([[k <= keys - queries + q for k in range(keys)] for q in range(queries)])
        found = cached_mask(queries, keys)
        assert found.dtype == torch.bool, f"a bool tensor is needed, got {found.dtype}"
        assert_close(found, expected, message=f"for {queries} new tokens of {keys}")


cached_mask.mistake(
    "top-left",
    "You aligned the triangle to the top left corner, as `is_causal=True` does, so the first new token sees only the "
    "first token of the text; align it to the bottom right.",
    replace="torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)",
    by="torch.ones(queries, keys, dtype=torch.bool).tril()",
)

cached_mask.mistake(
    "no-diagonal",
    "You hid each token from itself; position p sees 0 … p, including p.",
    replace="keys - queries",
    by="keys - queries - 1",
)

cached_mask.mistake(
    "square",
    "You made a square mask that covers only the new tokens; make it as wide as the whole text, because they also see "
    "the tokens in the cache.",
    replace="torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)",
    by="torch.ones(queries, queries, dtype=torch.bool).tril()",
)

cached_mask.mistake(
    "inverted",
    "You marked the hidden keys with True; here True means that a query may look, as in "
    "`scaled_dot_product_attention`.",
    replace="torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)",
    by="torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)",
)

cached_mask.mistake(
    "nothing-hidden",
    "You did not hide any key; a single new token needs no mask, but in a chunk of several, the first would see the "
    "ones after it.",
    replace="torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)",
    by="torch.ones(queries, keys, dtype=torch.bool)",
)

cached_mask.mistake(
    "one-too-far",
    "You let each token see the next one as well; your diagonal is one place too far to the right.",
    replace="keys - queries",
    by="keys - queries + 1",
)


@cached_mask.also_correct
def _(queries, keys):
    return torch.arange(keys)[None, :] <= torch.arange(keys - queries, keys)[:, None]


@cached_mask.also_correct
def _(queries, keys):
    return torch.ones(keys, keys, dtype=torch.bool).tril()[-queries:]
