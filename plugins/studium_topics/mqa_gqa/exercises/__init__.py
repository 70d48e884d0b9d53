"""Exercises: sharing keys and values without copying them, what that saves, and how a checkpoint gets there."""

from .alike_heads import alike_heads
from .convert_checkpoint import convert_checkpoint
from .decode_intensity import decode_intensity
from .gqa import gqa
from .groups_that_fit import groups_that_fit
from .pool_heads import pool_heads
from .repeat_kv import repeat_kv
from .to_grouped_order import to_grouped_order
from .uptrain import uptrain

exercises = (
    repeat_kv,
    gqa,
    decode_intensity,
    groups_that_fit,
    pool_heads,
    convert_checkpoint,
    uptrain,
    alike_heads,
    to_grouped_order,
)
