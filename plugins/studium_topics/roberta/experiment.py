"""RoBERTa's ablations in miniature: each row is compared with the row in which only one thing changes.

The trainings read the documents of `stories`, whose lowest losses are known. What was measured is in the docstrings of
the experiments (CPU, laptop). The global random state stays as it was.
"""

from __future__ import annotations

from studium import Claim, Published

from studium_topics.roberta.batches import accumulated, batches
from studium_topics.roberta.formats import formats
from studium_topics.roberta.masking import masking
from studium_topics.roberta.tokens import byte_pairs

PAPER = "1907.11692"

claims = (
    Claim(
        "One static mask ends far above dynamic masking on held-out rows: nats a token",
        PAPER,
        masking,
        lambda result: result.cost_of_one_mask,
        at_least=0.5,
    ),
    Claim(
        "Ten static masks, the paper's own comparison, cost little of that (ratio)",
        PAPER,
        masking,
        lambda result: abs(result.cost_of_ten_masks) / result.cost_of_one_mask,
        at_most=0.25,
        published=Published(
            "Liu et al. 2019, Table 1",
            {"ten static masks": 78.3, "dynamic masks": 78.7},
            "F1 on SQuAD 2.0",
            lambda result, name: (result.copied if "static" in name else result.dynamic).held_out[-1],
            "held-out loss, nats a token",
            "Neither pair is far apart, and on MNLI the paper has the other order (84.3 % with static masks, 84.0 % "
            "with dynamic ones), so that one task or one seed decides nothing.",
            opposite=True,
        ),
    ),
    Claim(
        "Ten masks ask for the share of the tokens that was derived: distance of the counted share",
        PAPER,
        masking,
        lambda result: result.coverage_gap,
        at_most=0.03,
    ),
    Claim(
        "Full sentences lower the loss of a hidden noun below that of sentence pairs, at equal tokens: nats",
        PAPER,
        formats,
        lambda result: result.of_the_length,
        at_least=0.2,
    ),
    Claim(
        "Ablation: to leave out NSP's loss alone, with the same pairs, changes the loss of a noun little: nats",
        PAPER,
        formats,
        lambda result: abs(result.of_the_loss),
        at_most=0.2,
    ),
    Claim(
        "At equal tokens and the same learning rate, batches of 128 end above batches of 8: nats a token",
        PAPER,
        batches,
        lambda result: result.at_one_rate,
        at_least=0.5,
        published=Published(
            "Liu et al. 2019, Table 3",
            {"small batches": 3.99, "large batches": 3.77},
            "perplexity with batches of 256 and of 8K, each at its own rate",
            lambda result, name: min(
                run.held_out for run in result.runs if (run.size > 8) == (name == "large batches")
            ),
            "held-out loss with batches of 8 and of 128, at the best of their rates, nats a token",
            "A large batch averages noise away, which is worth more late in training; our run ends early, where many "
            "small updates are worth more.",
        ),
    ),
    Claim(
        "A batch in uneven parts has the gradient of the whole batch: relative distance",
        PAPER,
        accumulated,
        lambda result: result.exact,
        at_most=1e-5,
        holds_from="smoke",
    ),
    Claim(
        "Ablation: the mean of the parts' means has another gradient: relative distance",
        PAPER,
        accumulated,
        lambda result: result.means,
        at_least=0.05,
        holds_from="smoke",
    ),
    Claim(
        "Replayed merges give the library's tokens: share of held-out pieces of text",
        PAPER,
        byte_pairs,
        lambda result: result.same,
        at_least=1.0,
        holds_from="smoke",
    ),
    Claim(
        "No text is unknown to the bytes: pieces of text that they cannot spell",
        PAPER,
        byte_pairs,
        lambda result: float(result.lost),
        at_most=0.0,
        holds_from="smoke",
    ),
    Claim(
        "Words that a vocabulary of as many whole words does not know can be spelled: share of them",
        PAPER,
        byte_pairs,
        lambda result: result.spelled,
        at_least=1.0,
        holds_from="smoke",
    ),
)
