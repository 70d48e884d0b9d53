"""Exercises: a caption of names, scores of regions and words, the alignment loss, boxes, and average precision."""

from .align_logits import align_logits
from .average_precision import average_precision
from .box_iou import box_iou
from .build_prompt import build_prompt
from .ground import ground
from .nms import nms
from .phrase_scores import phrase_scores
from .token_focal import token_focal

exercises = (
    build_prompt,
    align_logits,
    token_focal,
    phrase_scores,
    box_iou,
    nms,
    average_precision,
    ground,
)
