"""What the lesson opens with."""

from __future__ import annotations

import torch
from studium_widgets import AttentionHeatmap


def set_by_hand() -> torch.Tensor:
    """Return the scores of the opening widget, (6, 6): how much each word of its sentence looks at each word."""
    scores = torch.zeros(6, 6)
    scores[1, 3] = scores[4, 3] = 3.5  # determiner and verb look at the noun
    scores[2, 3] = 2.0  # so does the adjective, a little
    scores[3, 4] = 1.5  # the noun looks at the verb
    return scores


def opening() -> AttentionHeatmap:
    """Return attention with weights set by hand, on a sentence of which the determiner is hidden.

    The predictions are the exact probabilities of both numbers, with the right context and without it.
    """
    return AttentionHeatmap(
        tokens=["[CLS]", "these", "small", "dogs", "sleep", "."],
        scores=set_by_hand()[None, None],
        masked=1,
        predictions=[
            {"position": 1, "words": ["this", "these"], "bidirectional": [0.0, 1.0], "causal": [0.5, 0.5]},
            {"position": 4, "words": ["sleep", "sleeps"], "bidirectional": [1.0, 0.0], "causal": [1.0, 0.0]},
        ],
    )
