"""The exercises, one file each, in the order of the lesson."""

from .answer_score import answer_score
from .dpo_loss import dpo_loss

exercises = (answer_score, dpo_loss)
