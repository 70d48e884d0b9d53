"""Exercises: a softmax that is fed piece by piece, attention in tiles forward and backward, and what it moves."""

from .causal_tiles import causal_tiles
from .flash_backward import flash_backward
from .flash_forward import flash_forward
from .hbm_floats import hbm_floats
from .merge_partials import merge_partials
from .online_update import online_update
from .worthwhile_tiles import worthwhile_tiles

exercises = (
    online_update,
    causal_tiles,
    flash_forward,
    flash_backward,
    merge_partials,
    worthwhile_tiles,
    hbm_floats,
)
