import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    hints=(
        "The seat number of a choice is the number of earlier choices of the same expert. In which order do the "
        "choices come?",
        "Line up all first choices, then all second choices. A running count for each expert along this line gives the "
        "seats.",
        "The line has k N entries, their one-hot rows are (k N, E), and so is the running count. At the end, turn it "
        "back into (N, k).",
        "`chosen.T.flatten()` is the line, `F.one_hot(line, experts).cumsum(0)` counts; take one column for each "
        "entry.",
    ),
    mutates_args=(),
)
def seats(chosen, experts, capacity):
    """Return the seat of each choice among the seats of its expert, and -1 where the expert is full.

    Each expert has the seats 0 to capacity - 1 and fills them in this order. The first choices
    of all tokens come first, from token 0 on. Then come their second choices, again from
    token 0 on, and so on.

    * chosen: (N, k), long; column 0 has the first choices
    * experts: how many there are
    * capacity: 1 or more
    * returns: (N, k), long

    The lesson calls this in every training step, so count whole columns at once.
    """
    ### BEGIN SOLUTION
    line = chosen.T.flatten()
    asked = F.one_hot(line, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=1)
    seat = seat.masked_fill(seat >= capacity, -1)
    return seat.view(chosen.shape[1], -1).T
    ### END SOLUTION


@seats.test("seats first choices before second ones, and turns the rest away", points=1)
def _(seats):
    chosen = torch.tensor([[1, 2], [2, 1], [1, 0], [1, 2], [0, 1], [2, 0]])
    expected = torch.tensor([[0, 2], [0, -1], [1, 1], [2, -1], [0, -1], [1, 2]])
    assert_close(seats(chosen, 3, 3), expected, message="the seats of 6 tokens, 3 experts with 3 seats each")


@seats.hidden("agrees with a queue that is served one choice at a time", points=2)
def _(seats, rng):
    cases = ((9, 4, 2, 3), (7, 5, 3, 2), (12, 3, 1, 4), (5, 6, 2, 1), (10, 4, 4, 6), (6, 8, 2, 20))
    for tokens, experts, k, capacity in cases:
        liking = torch.rand(tokens, experts, generator=rng) + torch.linspace(1, 0, experts)
        chosen = liking.argsort(dim=1, descending=True)[:, :k]
        before = chosen.clone()
        found = seats(chosen, experts, capacity)
        assert torch.equal(chosen, before), "chosen must stay as it is, and it was changed"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.int64, f"the seats must be long, got {found.dtype}"
        taken, expected = [0] * experts, torch.zeros(tokens, k, dtype=torch.int64)
        for choice in range(k):
            for token in range(tokens):
                e = int(before[token, choice])
                expected[token, choice] = taken[e] if taken[e] < capacity else -1
                taken[e] += 1
        what = f"the seats of {tokens} tokens with k = {k}, {experts} experts with {capacity} seats each"
        assert_close(found, expected, message=what)


@seats.hidden("seats nobody twice, and turns away exactly what exceeds the capacity", points=1)
def _(seats, rng):
    for tokens, experts, k, capacity in ((40, 6, 2, 9), (33, 5, 1, 7)):
        chosen = torch.rand(tokens, experts, generator=rng).argsort(dim=1)[:, :k]
        found = torch.as_tensor(seats(chosen, experts, capacity))
        assert tuple(found.shape) == (tokens, k), f"seats must be ({tokens}, {k}), got {tuple(found.shape)}"
        for e in range(experts):
            own = found[chosen == e]
            kept = own[own >= 0].sort().values.tolist()
            asked = int((chosen == e).sum())
            expected = list(range(min(asked, capacity)))
            assert kept == expected, f"{asked} choices of an expert with {capacity} seats: its seats are {kept}"


@seats.misconception(
    "You served each token's choices together, so a second choice of an early token takes the seat of a later token's "
    "first choice; serve all first choices before any second choice.",
    name="token-by-token",
)
def _(chosen, experts, capacity):
    line = chosen.flatten()
    asked = F.one_hot(line, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=1)
    return seat.masked_fill(seat >= capacity, -1).view(chosen.shape)


@seats.misconception(
    "You restarted the count for the second choices, so they get seats that first choices already have; continue the "
    "count.",
    name="counted-each-column-anew",
)
def _(chosen, experts, capacity):
    asked = F.one_hot(chosen, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=-1)
    return seat.masked_fill(seat >= capacity, -1)


@seats.misconception(
    "You numbered the seats from 1; start at 0, because a seat is the index of a row in the expert's buffer.",
    name="counted-from-one",
)
def _(chosen, experts, capacity):
    seat = seats(chosen, experts, capacity)
    return torch.where(seat < 0, seat, seat + 1)


@seats.misconception(
    "You turned away one choice too few; with seats numbered from 0, there is no seat number `capacity`.",
    name="one-seat-too-many",
)
def _(chosen, experts, capacity):
    return seats(chosen, experts, capacity + 1)


@seats.misconception(
    "You gave the last seat to choices that came too late; give them -1, because that seat is taken.",
    name="squeezed-into-the-last-seat",
)
def _(chosen, experts, capacity):
    return seats(chosen, experts, chosen.numel()).clamp(max=capacity - 1)


@seats.misconception(
    "You counted all choices together; count them separately for each expert, because each expert has its own seats.",
    name="one-count-for-all-experts",
)
def _(chosen, experts, capacity):
    seat = torch.arange(chosen.numel()).view(chosen.shape[1], -1).T
    return seat.masked_fill(seat >= capacity * experts, -1)


@seats.misconception("You served the tokens from the last to the first; start with token 0.", name="last-token-first")
def _(chosen, experts, capacity):
    return seats(chosen.flip(0), experts, capacity).flip(0)


@seats.also_correct
def _(chosen, experts, capacity):
    taken, rows = [0] * experts, []
    for column in chosen.T.tolist():
        row = []
        for e in column:
            row.append(taken[e] if taken[e] < capacity else -1)
            taken[e] += 1
        rows.append(row)
    return torch.tensor(rows).T


@seats.also_correct
def _(chosen, experts, capacity):
    line, seat = chosen.T, torch.full_like(chosen, -1)
    for e in range(experts):
        choice, token = (line == e).nonzero(as_tuple=True)
        count = min(len(token), capacity)
        seat[token[:count], choice[:count]] = torch.arange(count)
    return seat
