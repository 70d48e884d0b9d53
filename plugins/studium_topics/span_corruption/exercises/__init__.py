"""Exercises: masks of exact counts, sentinels and back, the lengths that follow, and the collator that trains T5."""

from .collate import collate
from .corrupt import corrupt
from .expected_target import expected_target
from .random_lengths import random_lengths
from .raw_length import raw_length
from .restore import restore
from .shift_right import shift_right
from .span_mask import span_mask

exercises = (
    random_lengths,
    span_mask,
    corrupt,
    restore,
    expected_target,
    raw_length,
    shift_right,
    collate,
)
