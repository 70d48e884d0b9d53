"""Exercises: the spectrum of attention, keys and values in a few slots, what that saves, costs and cannot do."""

from .causal_summaries import causal_summaries
from .encode import encode
from .influence import influence
from .kept_energy import kept_energy
from .linformer_attention import linformer_attention
from .multiplications import multiplications
from .project import project
from .random_projection import random_projection
from .shared_directions import shared_directions

exercises = (
    kept_energy,
    project,
    linformer_attention,
    multiplications,
    random_projection,
    encode,
    shared_directions,
    influence,
    causal_summaries,
)
