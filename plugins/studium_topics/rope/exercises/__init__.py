"""Exercises: from the frequencies of the pairs to scores, caches and longer contexts.

Pairs may be neighbours or halves, and rotate in either direction: where a statement does not choose, every choice is
right, and tests look at scores.
"""

from .apply_rope import apply_rope
from .attend import attend
from .decode_positions import decode_positions
from .inv_freq import inv_freq
from .point_at import point_at
from .relative_score import relative_score
from .stretched import stretched
from .to_half import to_half
from .yarn import yarn

exercises = (
    inv_freq,
    apply_rope,
    relative_score,
    to_half,
    decode_positions,
    attend,
    point_at,
    stretched,
    yarn,
)
