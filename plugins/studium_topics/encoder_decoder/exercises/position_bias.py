import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.encoder_decoder.exercises.relative_bucket import relative_bucket


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    hints=(
        "A decoder that has cached 6 tokens reads 1 more. At which position is the query, and at which positions are "
        "the keys?",
        "Make the table of distances, look up their buckets, and move the heads to the front. Causal means that keys "
        "after the query are blocked.",
        "Query positions are (T, 1) and key positions (S,); distances are (T, S), looked up (T, S, H), and the result "
        "is (1, H, T, S).",
        "`torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]` gives the distances; "
        "`table[relative_bucket(distance, not causal, len(table))]` looks them up; `masked_fill(distance > 0, "
        "-math.inf)` blocks.",
    ),
)
def position_bias(table, queries, keys, causal):
    """Return the bias that tells each head how far away every key is.

    - table (N, H): for each of N buckets, one number for each head.
    - keys: S, at positions 0 to S − 1. queries: T, at the *last* T of these positions, because a decoder has already
      answered its earlier queries.
    - causal: True in the decoder, whose buckets have one direction; keys after their query get -inf, the bias that
      closes a key. False in the encoder, whose buckets have two.

    Use `relative_bucket` with farthest 128. Returns (1, H, T, S). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    at = torch.arange(keys, device=table.device)
    distance = at - at[keys - queries :, None]  # (T, S): key minus query
    bias = table[relative_bucket(distance, not causal, len(table))]  # (T, S, H)
    bias = bias.permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -math.inf) if causal else bias
    ### END SOLUTION


@position_bias.test("has one number for each distance, and closes what comes later", points=1)
def _(position_bias):
    table = torch.stack([torch.arange(8.0), 10 * torch.arange(8.0)], 1)
    found = position_bias(table, 2, 4, True)
    rows = torch.tensor([[2.0, 1.0, 0.0, -math.inf], [3.0, 2.0, 1.0, 0.0]])
    expected = torch.stack([rows, 10 * rows])[None]
    found = torch.as_tensor(found).masked_fill(torch.as_tensor(found) < -1e8, -math.inf)  # any of these closes a key
    assert_close(found, expected, message="2 queries at positions 2 and 3, of 4 keys; causal")
    found = position_bias(table, 3, 3, False)[0, 0]
    rows = torch.tensor([[0.0, 5.0, 6.0], [1.0, 0.0, 5.0], [2.0, 1.0, 0.0]])
    assert_close(found, rows, message="3 queries and 3 keys in both directions, with the bucket itself as bias")


@position_bias.hidden("agrees for one new query with the last row of the whole text", points=1)
def _(position_bias, rng):
    for buckets, heads, length in ((32, 3, 40), (8, 2, 9), (16, 5, 30)):
        table = torch.randn(buckets, heads, generator=rng, dtype=torch.float64)
        both = {causal: position_bias(table, length, length, causal) for causal in (True, False)}
        for causal, whole in both.items():
            side = buckets if causal else buckets // 2
            assert whole.dtype == table.dtype, f"the bias must be in {table.dtype}, as table is, got {whole.dtype}"
            assert tuple(whole.shape) == (1, heads, length, length), (
                f"the bias must have shape {(1, heads, length, length)}, got {tuple(whole.shape)}"
            )
            for query, key in ((5, 3), (5, 5), (length - 1, 0), (2, 7), (0, length - 1)):
                n = abs(key - query)
                far = side // 2 + int(math.log(max(n, 1) / (side // 2)) / math.log(256 / side) * (side // 2) + 1e-6)
                bucket = n if n < side // 2 else min(far, side - 1)
                expected = table[bucket + (0 if causal or key <= query else side)]
                message = f"query {query}, key {key}, {'causal' if causal else 'both directions'}, {buckets} buckets"
                if causal and key > query:
                    assert (whole[0, :, query, key] < -1e8).all(), f"-inf closes a later key: {message}"
                else:
                    assert_close(whole[0, :, query, key], expected, message=message)
            for queries in (1, 4):
                part = position_bias(table, queries, length, causal)
                message = f"the last {queries} of {length} queries, {'causal' if causal else 'both directions'}"
                assert_close(part, whole[:, :, -queries:], message=message)


@position_bias.hidden("lets gradients reach the table", points=1)
def _(position_bias, rng):
    for causal in (True, False):
        table = torch.randn(8, 2, generator=rng, dtype=torch.float64).requires_grad_()
        bias = position_bias(table, 2, 5, causal)
        assert bias.requires_grad, "gradients must reach the table: look rows up by indexing it"
        (gradient,) = torch.autograd.grad(bias[bias > -5e8].sum(), table)
        counts = [2, 2, 2, 2, 1, 0, 0, 0] if causal else [2, 2, 5, 0, 0, 1, 0, 0]
        message = "how often each bucket is used by 2 queries at positions 3 and 4, of 5 keys"
        assert_close(gradient, torch.tensor(counts, dtype=torch.float64)[:, None].expand(8, 2), message=message)


@position_bias.misconception(
    "You put the queries at positions 0 to T - 1; put them at the last T of the S positions, because a decoder's new "
    "queries are at the end of the text.",
    name="queries-from-zero",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(queries)[:, None]
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -math.inf) if causal else bias


@position_bias.misconception(
    "You computed query minus key; compute key minus query, because the wrong sign swaps the past and the future.",
    name="sign-of-distance",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -math.inf) if causal else bias


@position_bias.misconception(
    "You left the later keys open; in the decoder a query must not read what comes after it, so give those keys -inf.",
    name="not-causal",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    return table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]


@position_bias.misconception(
    "You used buckets for two directions in the decoder too; use one direction there, or half of its table is never "
    "read and a published decoder's weights are looked up in the wrong places.",
    name="always-bidirectional",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    bias = table[relative_bucket(distance, True, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -math.inf) if causal else bias


position_bias.mistake(
    "flag-exchanged",
    "You exchanged the two kinds of buckets; a causal bias takes one direction, and the encoder's takes two.",
    replace="not causal, len(table)",
    by="causal, len(table)",
)


@position_bias.misconception(
    "You blocked the query's own position as well; leave it open, because a query may read itself, at distance 0.",
    name="itself-closed",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance >= 0, -math.inf) if causal else bias


@position_bias.also_correct
def _(table, queries, keys, causal):
    key = torch.arange(keys).unsqueeze(0).expand(queries, keys)
    query = torch.arange(queries).unsqueeze(1) + (keys - queries)
    buckets = relative_bucket(key - query, bidirectional=not causal, buckets=table.shape[0])
    bias = F.embedding(buckets, table).movedim(-1, 0)
    if causal:
        bias = torch.where(key > query, torch.full_like(bias, -1e9), bias)
    return bias.unsqueeze(0)


@position_bias.also_correct
def _(table, queries, keys, causal):
    rows = []
    for query in range(keys - queries, keys):
        distance = torch.arange(keys) - query
        row = table[relative_bucket(distance, not causal, table.size(0))].T
        rows.append(row.where(distance <= 0, torch.tensor(-1e9, dtype=table.dtype)) if causal else row)
    return torch.stack(rows, 1)[None]
