"""Exercises: a Llama from its parts, how it is trained and sampled, and how to find out what a head does."""

from .causal_attention import causal_attention
from .filter_logits import filter_logits
from .generate import generate
from .induction_score import induction_score
from .llama import llama
from .llama_block import llama_block
from .llama_parameters import llama_parameters
from .lm_loss import lm_loss
from .rmsnorm import rmsnorm

exercises = (
    rmsnorm,
    causal_attention,
    llama_block,
    llama,
    lm_loss,
    filter_logits,
    generate,
    induction_score,
    llama_parameters,
)
