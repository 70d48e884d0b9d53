"""Exercises: the parts of T5's decoder, the loss that must not leak, and beam search with its own cache."""

from .beam_search import beam_search
from .cross_attention import cross_attention
from .decoder_layer import decoder_layer
from .greedy import greedy
from .position_bias import position_bias
from .relative_bucket import relative_bucket
from .remember import remember
from .teacher_forced_loss import teacher_forced_loss

exercises = (
    remember,
    cross_attention,
    relative_bucket,
    position_bias,
    decoder_layer,
    teacher_forced_loss,
    greedy,
    beam_search,
)
