"""Exercises: logits, the loss and its floor, names out of prompts, retrieval, and the gap between modalities."""

from .clip_logits import clip_logits
from .clip_loss import clip_loss
from .multi_positive_loss import multi_positive_loss
from .name_images import name_images
from .recall_at_k import recall_at_k
from .shift_gap import shift_gap
from .zero_shot_weights import zero_shot_weights

exercises = (
    clip_logits,
    clip_loss,
    multi_positive_loss,
    zero_shot_weights,
    name_images,
    recall_at_k,
    shift_gap,
)
