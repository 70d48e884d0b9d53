"""Exercises: the parts of BERT, the noise and the loop that train it, and the best loss that any reader can reach."""

from .attention import attention
from .bert_embed import bert_embed
from .bert_layer import bert_layer
from .best_loss import best_loss
from .corrupt import corrupt
from .mlm_loss import mlm_loss
from .nsp_pairs import nsp_pairs
from .pad_mask import pad_mask
from .pretrain import pretrain
from .pseudo_ll import pseudo_ll

exercises = (
    attention,
    pad_mask,
    bert_embed,
    bert_layer,
    corrupt,
    mlm_loss,
    pretrain,
    best_loss,
    nsp_pairs,
    pseudo_ll,
)
