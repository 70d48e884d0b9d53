"""What the lesson opens with."""

from __future__ import annotations

import torch
from studium_widgets import AttentionHeatmap


def opening() -> AttentionHeatmap:
    """Return attention with weights set by hand, on a sentence of which the determiner is hidden.

    The predictions are the exact probabilities of both numbers, with the right context and without it.
    """
    scores = torch.zeros(1, 1, 6, 6)
    scores[0, 0, 1, 3] = scores[0, 0, 4, 3] = 3.5  # determiner and verb look at the noun
    scores[0, 0, 2, 3] = 2.0  # so does the adjective, a little
    scores[0, 0, 3, 4] = 1.5  # the noun looks at the verb
    return AttentionHeatmap(
        tokens=["[CLS]", "these", "small", "dogs", "sleep", "."],
        scores=scores,
        masked=1,
        predictions=[
            {"position": 1, "words": ["this", "these"], "bidirectional": [0.0, 1.0], "causal": [0.5, 0.5]},
            {"position": 4, "words": ["sleep", "sleeps"], "bidirectional": [1.0, 0.0], "causal": [1.0, 0.0]},
        ],
    )
