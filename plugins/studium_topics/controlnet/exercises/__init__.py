"""The exercises: zero, lock and copy, the residuals, an audit of gradients, training, sampling, and overlap."""

from .controlled_eps import controlled_eps
from .controlled_sample import controlled_sample
from .grad_audit import grad_audit
from .make_control import make_control
from .mask_iou import mask_iou
from .train_control import train_control
from .zero_module import zero_module

exercises = (
    zero_module,
    make_control,
    controlled_eps,
    grad_audit,
    train_control,
    controlled_sample,
    mask_iou,
)
