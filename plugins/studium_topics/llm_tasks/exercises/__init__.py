"""The exercises: the template, the loss, packing and its mask, exact match, the fine-tuning loop, and retrieval."""

from .answer_loss import answer_loss
from .block_mask import block_mask
from .finetune import finetune
from .greedy_matches import greedy_matches
from .pack import pack
from .render import render
from .retrieve import retrieve

exercises = (
    render,
    answer_loss,
    greedy_matches,
    pack,
    block_mask,
    finetune,
    retrieve,
)
