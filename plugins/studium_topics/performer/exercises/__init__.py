"""Exercises: attention without its square, positive features and their variance, orthogonal draws, a causal decoder."""

from .causal_attention import causal_attention
from .linear_attention import linear_attention
from .log_features import log_features
from .orthogonal_gaussian import orthogonal_gaussian
from .stabilise import stabilise
from .train_performer import train_performer
from .variance import variance

exercises = (
    linear_attention,
    log_features,
    variance,
    orthogonal_gaussian,
    stabilise,
    causal_attention,
    train_performer,
)
