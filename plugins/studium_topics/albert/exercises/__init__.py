"""Exercises: an ALBERT's parameter bill, factorised table, shared stack, pairs of sentences and training loop."""

from .albert import albert
from .albert_embed import albert_embed
from .break_even import break_even
from .gradient_by_use import gradient_by_use
from .parameter_bill import parameter_bill
from .shared_stack import shared_stack
from .sop_pairs import sop_pairs
from .train_order import train_order

exercises = (
    break_even,
    albert_embed,
    parameter_bill,
    shared_stack,
    gradient_by_use,
    albert,
    sop_pairs,
    train_order,
)
