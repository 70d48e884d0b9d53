"""The exercises: gated layers, their cost, multiplying, gradients by hand, dead units, and a fair comparison."""

from .compare import compare
from .dead_units import dead_units
from .ffn_cost import ffn_cost
from .gated import gated
from .matched_width import matched_width
from .multiplier import multiplier
from .paired_interval import paired_interval
from .swiglu_backward import swiglu_backward

exercises = (
    gated,
    ffn_cost,
    matched_width,
    multiplier,
    swiglu_backward,
    dead_units,
    paired_interval,
    compare,
)
