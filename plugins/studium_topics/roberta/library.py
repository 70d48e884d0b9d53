"""The same model as `transformers.RobertaForMaskedLM`, with the names that published checkpoints use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studium_topics.roberta.model import EPS, Roberta

if TYPE_CHECKING:
    from transformers import RobertaForMaskedLM

OUTSIDE = {
    "words": "roberta.embeddings.word_embeddings",
    "positions": "roberta.embeddings.position_embeddings",
    "norm": "roberta.embeddings.LayerNorm",
    "transform": "lm_head.dense",
    "transform_norm": "lm_head.layer_norm",
}
LAYER = {
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


def roberta_model(model: Roberta) -> RobertaForMaskedLM:
    """Return a RobertaForMaskedLM, without dropout, that has the weights of a model. Nothing is downloaded.

    Raise ImportError where transformers is not installed.
    """
    from transformers import RobertaConfig, RobertaForMaskedLM

    sizes = model.sizes
    config = RobertaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.hidden,
        max_position_embeddings=sizes.pad + 1 + sizes.length,
        pad_token_id=sizes.pad,
        type_vocab_size=1,
        layer_norm_eps=EPS,
    )
    library = RobertaForMaskedLM(config).eval()
    weights = model.state_dict()
    state = library.state_dict()
    state["roberta.embeddings.token_type_embeddings.weight"].zero_()
    for name, value in weights.items():
        part, _, kind = name.rpartition(".")
        if part in OUTSIDE:
            state[f"{OUTSIDE[part]}.{kind}"].copy_(value)
    for number in range(sizes.layers):
        ours, its = f"layers.{number}", f"roberta.encoder.layer.{number}"
        for kind in ("weight", "bias"):
            for part, theirs in LAYER.items():
                state[f"{its}.{theirs}.{kind}"].copy_(weights[f"{ours}.{part}.{kind}"])
            joined = weights[f"{ours}.self_attn.in_proj_{kind}"].chunk(3)
            for theirs, value in zip(("query", "key", "value"), joined, strict=True):
                state[f"{its}.attention.self.{theirs}.{kind}"].copy_(value)
    state["lm_head.bias"].copy_(weights["bias"])
    library.load_state_dict(state)
    return library
