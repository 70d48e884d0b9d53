import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    hints=(
        "How likely is a text whose tokens are drawn one after the other?",
        "Take the log-probability of the token at each place, leave out what is masked, and add the rest up.",
        "`gather` picks the token's entry along the last axis.",
    ),
)
def answer_score(logits, tokens, mask):
    """Return the log-probability of each answer under a model.

    * logits: (batch, length, vocabulary), before the softmax
    * tokens: (batch, length), the token at each place
    * mask: (batch, length), True at the places that belong to the answer
    * returns: (batch,)
    """
    ### BEGIN SOLUTION
    log_probabilities = torch.log_softmax(logits, dim=-1)
    picked = log_probabilities.gather(-1, tokens[..., None]).squeeze(-1)
    return (picked * mask).sum(-1)
    ### END SOLUTION


@answer_score.test("adds up the log-probabilities of an answer's tokens", points=1)
def by_hand(answer_score):
    probabilities = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]])
    tokens, mask = torch.tensor([[1, 2, 0]]), torch.tensor([[True, True, False]])
    assert_close(answer_score(probabilities.log(), tokens, mask), torch.tensor([0.25 * 0.7]).log())


@answer_score.hidden("scores each answer of a batch by its own tokens", points=1)
def each_row(answer_score, rng):
    logits = 3 * torch.randn(4, 5, 7, generator=rng, dtype=torch.float64)
    tokens = torch.randint(7, (4, 5), generator=rng)
    lengths = torch.tensor([5, 1, 3, 4])
    given = answer_score(logits, tokens, torch.arange(5) < lengths[:, None])
    for row, length in enumerate(lengths):
        expected = torch.ones((), dtype=torch.float64)
        for place in range(length):
            weights = logits[row, place].exp()
            expected = expected * weights[tokens[row, place]] / weights.sum()
        assert_close(given[row], expected.log(), message=f"the answer of {length} tokens")


answer_score.mistake(
    "ignored-the-mask",
    "You counted the padding as well; only places where the mask is True belong to the answer.",
    replace="picked * mask",
    by="picked",
)

answer_score.mistake(
    "took-the-mean",
    "You averaged over all places, so padding makes an answer look likelier; an answer's log-probability is a sum.",
    replace="(picked * mask).sum(-1)",
    by="(picked * mask).mean(-1)",
)

answer_score.mistake(
    "logits-as-log-probabilities",
    "You took the logits for log-probabilities; they need a log-softmax over the vocabulary first.",
    replace="torch.log_softmax(logits, dim=-1)",
    by="logits",
)


@answer_score.also_correct
def by_cross_entropy(logits, tokens, mask):
    costs = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
    return -costs.masked_fill(~mask, 0.0).sum(1)
