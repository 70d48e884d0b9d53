import torch
import torch.nn.functional as F
from studium import assert_close, assert_gradients, exercise


@exercise(
    points=5,
    minutes=12,
    importance=3,
    hints=(
        "With what does DPO compare an answer's log-probability?",
        "Each answer has an implicit reward. The loss is that of a classifier that picks the better answer.",
        "Large margins overflow unless you use a function that is made for them.",
        "`F.logsigmoid(margins)`, and its mean.",
    ),
)
def dpo_loss(chosen, rejected, reference_chosen, reference_rejected, beta):
    """Return the DPO loss of a batch of pairs, and the margin of each pair.

    * chosen, rejected: (batch,), log-probabilities under the policy
    * reference_chosen, reference_rejected: (batch,), under the reference
    * beta: a positive number
    * returns: the mean loss, finite also for large margins, and the margins (batch,)
    """
    ### BEGIN SOLUTION
    better = chosen - reference_chosen
    worse = rejected - reference_rejected
    margins = beta * (better - worse)
    return -F.logsigmoid(margins).mean(), margins
    ### END SOLUTION


@dpo_loss.test("gives the loss and the margin of one pair", points=1)
def by_hand(dpo_loss):
    loss, margins = dpo_loss(*torch.tensor([[-3.0], [-2.0], [-4.0], [-2.5]]), 0.5)
    assert_close(margins, torch.tensor([0.25]), message="the margin")
    assert_close(loss, torch.tensor(0.5759), atol=1e-4, rtol=0, message="the loss")


@dpo_loss.hidden("agrees with equation 7, also for large margins", points=2)
def equation_7(dpo_loss, rng):
    for batch, beta in ((4, 0.3), (7, 1.7), (3, 400.0)):
        pc, pr, rc, rr = torch.randn(4, batch, generator=rng)
        expected = beta * (pc - rc) - beta * (pr - rr)
        loss, margins = dpo_loss(pc, pr, rc, rr, beta)
        assert_close(margins, expected, rtol=1e-4, atol=1e-4, message="the margins")
        assert_close(loss, torch.logaddexp(-expected, torch.zeros(batch)).mean(), message="the loss")


@dpo_loss.hidden("can be trained on", points=2)
def gradients(dpo_loss, rng):
    pc, pr, rc, rr = torch.randn(4, 5, generator=rng, dtype=torch.float64)
    pc.requires_grad_(), pr.requires_grad_()
    pull = torch.sigmoid(-0.3 * (pc - rc - pr + rr)).detach() * 0.3 / 5
    inputs, pulls = {"chosen": pc, "rejected": pr}, {"chosen": -pull, "rejected": pull}
    assert_gradients(dpo_loss(pc, pr, rc, rr, 0.3)[0], inputs, pulls)


dpo_loss.mistake(
    "no-reference",
    "You left out the reference; the loss compares each log-probability with the reference's.",
    edits=[("chosen - reference_chosen", "chosen"), ("rejected - reference_rejected", "rejected")],
)

dpo_loss.mistake(
    "exchanged",
    "You exchanged the two answers; the margin is positive if the policy prefers the better one.",
    replace="better - worse",
    by="worse - better",
)

dpo_loss.mistake(
    "no-beta",
    "You left out `beta`; it scales the margins, and so decides how far the policy may move from the reference.",
    replace="beta * (better - worse)",
    by="better - worse",
)

dpo_loss.mistake(
    "summed",
    "You added the losses up; their mean does not depend on how many pairs are in the batch.",
    replace="-F.logsigmoid(margins).mean()",
    by="-F.logsigmoid(margins).sum()",
)

dpo_loss.mistake(
    "overflow",
    "You took the log of a sigmoid that rounds to 0; `F.logsigmoid` stays finite.",
    replace="F.logsigmoid(margins)",
    by="torch.sigmoid(margins).log()",
)


@dpo_loss.also_correct
def as_a_classifier(chosen, rejected, reference_chosen, reference_rejected, beta):
    margins = beta * (chosen - rejected) - beta * (reference_chosen - reference_rejected)
    return F.binary_cross_entropy_with_logits(margins, torch.ones_like(margins)), margins
