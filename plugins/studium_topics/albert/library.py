"""The same encoder as `transformers.AlbertModel`, with the names that published checkpoints use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import AlbertModel

OUTSIDE = {
    "word": "embeddings.word_embeddings",
    "position": "embeddings.position_embeddings",
    "segment": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "project": "encoder.embedding_hidden_mapping_in",
    "pooler": "pooler",
}
INSIDE = {
    "self_attn.out_proj": "attention.dense",
    "norm1": "attention.LayerNorm",
    "linear1": "ffn",
    "linear2": "ffn_output",
    "norm2": "full_layer_layer_norm",
}


def albert_model(parts: nn.ModuleDict, layers: int, pad: int) -> AlbertModel:
    """Return an AlbertModel without dropout that has the weights of `model.parts`. Nothing is downloaded.

    Raise ImportError where transformers is not installed.
    """
    from transformers import AlbertConfig, AlbertModel

    first = parts["groups"][0]
    config = AlbertConfig(
        vocab_size=parts["word"].num_embeddings,
        embedding_size=parts["word"].embedding_dim,
        hidden_size=parts["project"].out_features,
        num_hidden_layers=layers,
        num_hidden_groups=len(parts["groups"]),
        num_attention_heads=first.self_attn.num_heads,
        intermediate_size=first.linear1.out_features,
        max_position_embeddings=parts["position"].num_embeddings,
        pad_token_id=pad,
        hidden_act="gelu_new",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    library = AlbertModel(config).to(parts["project"].weight.dtype).eval()
    library.load_state_dict(state(parts), strict=True)
    return library


def state(parts: nn.ModuleDict) -> dict[str, Tensor]:
    """Return the weights under the library's names."""
    found = {f"{its}.{key}": w for ours, its in OUTSIDE.items() for key, w in parts[ours].state_dict().items()}
    for number, group in enumerate(parts["groups"]):
        prefix = f"encoder.albert_layer_groups.{number}.albert_layers.0."
        weights = group.state_dict()
        for key in ("weight", "bias"):
            for name, part in zip(("query", "key", "value"), weights[f"self_attn.in_proj_{key}"].chunk(3), strict=True):
                found[f"{prefix}attention.{name}.{key}"] = part
            found |= {f"{prefix}{its}.{key}": weights[f"{ours}.{key}"] for ours, its in INSIDE.items()}
    return found
