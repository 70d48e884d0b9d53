"""Exercises: the input pipeline of RoBERTa (packing, masking, positions), its batches, its loop, and its tokens."""

from .accumulate import accumulate
from .bpe import bpe
from .coverage import coverage
from .mask_tokens import mask_tokens
from .pack import pack
from .position_ids import position_ids
from .pretrain import pretrain
from .static_masks import static_masks

exercises = (
    coverage,
    mask_tokens,
    static_masks,
    pack,
    position_ids,
    accumulate,
    pretrain,
    bpe,
)
