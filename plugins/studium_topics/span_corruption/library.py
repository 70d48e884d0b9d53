"""The same model as `transformers.T5ForConditionalGeneration`, with the names that published checkpoints use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studium_topics.span_corruption.model import Stack, TinyT5

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration

ATTENTION = ("q", "k", "v", "o")
MLP = {"up": "wi", "down": "wo"}


def t5_model(model: TinyT5, eos: int) -> T5ForConditionalGeneration:
    """Return a T5ForConditionalGeneration that has the weights of a TinyT5. Nothing is downloaded.

    It gets so many buckets that each distance below `reach` has one of its own. Raise ImportError where transformers is
    not installed.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = model.sizes
    config = T5Config(
        vocab_size=sizes.vocabulary,
        d_model=sizes.width,
        d_kv=sizes.width // sizes.heads,
        d_ff=sizes.hidden,
        num_layers=sizes.layers,
        num_decoder_layers=sizes.layers,
        num_heads=sizes.heads,
        relative_attention_num_buckets=4 * sizes.reach,
        relative_attention_max_distance=8 * sizes.reach,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        pad_token_id=sizes.pad,
        decoder_start_token_id=sizes.pad,
        eos_token_id=eos,
    )
    library = T5ForConditionalGeneration(config).eval()
    state = {"shared.weight": model.table.detach()}
    for side in ("encoder", "decoder"):
        state |= {f"{side}.{name}": weight for name, weight in _stack(getattr(model, side)).items()}
    missing, unexpected = library.load_state_dict(state, strict=False)
    tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}
    if unexpected or not set(missing) <= tied:
        raise ValueError(f"the names of T5's weights need to fit, got {[*missing, *unexpected]}: another transformers?")
    return library


def _stack(stack: Stack) -> dict[str, Tensor]:
    state = {"final_layer_norm.weight": stack.norm.weight.detach()}
    state["block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = _buckets(stack)
    for number, layer in enumerate(stack.layers):
        parts = [("SelfAttention", layer.attention, layer.norm)]
        parts += [("EncDecAttention", layer.cross, layer.cross_norm)] if stack.decoder else []
        for place, (name, attention, norm) in enumerate(parts):
            root = f"block.{number}.layer.{place}"
            state[f"{root}.layer_norm.weight"] = norm.weight.detach()
            state |= {f"{root}.{name}.{part}.weight": getattr(attention, part).weight.detach() for part in ATTENTION}
        root = f"block.{number}.layer.{len(parts)}"
        state[f"{root}.layer_norm.weight"] = layer.mlp_norm.weight.detach()
        for ours, theirs in MLP.items():
            state[f"{root}.DenseReluDense.{theirs}.weight"] = getattr(layer, ours).weight.detach()
    return state


def _buckets(stack: Stack) -> Tensor:
    """Return T5's table of buckets: distances to the left come first, in an encoder those to the right after half."""
    reach, ours = stack.reach, stack.distances.detach()
    table = torch.zeros(4 * reach, ours.shape[1], dtype=ours.dtype)
    table[:reach] = ours[:reach].flip(0)  # 0, 1, 2, … to the left
    if not stack.decoder:
        table[2 * reach + 1 : 3 * reach] = ours[reach:]  # 1, 2, … to the right
    return table
