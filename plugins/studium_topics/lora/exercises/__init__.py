"""The exercises: the update and its start, the best low rank, injection, merging, fine-tuning, and two budgets."""

from .b_only_floor import b_only_floor
from .combine import combine
from .finetune import finetune
from .init_lora import init_lora
from .inject import inject
from .lora_linear import lora_linear
from .merge import merge
from .serve import serve
from .squeeze import squeeze
from .svd_lora import svd_lora
from .train_memory import train_memory

exercises = (
    lora_linear,
    init_lora,
    svd_lora,
    b_only_floor,
    inject,
    merge,
    serve,
    finetune,
    combine,
    squeeze,
    train_memory,
)
