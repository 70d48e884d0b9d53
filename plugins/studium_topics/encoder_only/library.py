"""The same encoder as `transformers.BertModel`, with the names that published checkpoints use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studium_topics.encoder_only.model import Encoder

if TYPE_CHECKING:
    from transformers import BertModel

TABLES = {
    "tables.word": "embeddings.word_embeddings.weight",
    "tables.position": "embeddings.position_embeddings.weight",
    "tables.segment": "embeddings.token_type_embeddings.weight",
    "norm.weight": "embeddings.LayerNorm.weight",
    "norm.bias": "embeddings.LayerNorm.bias",
}
LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}


def bert_model(encoder: Encoder) -> BertModel:
    """Return a BertModel, without dropout and pooler, that has the weights of an encoder. Nothing is downloaded.

    Raise ImportError where transformers is not installed.
    """
    from transformers import BertConfig, BertModel

    sizes = encoder.sizes
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.hidden,
        max_position_embeddings=sizes.length,
        pad_token_id=sizes.pad,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
    )
    library = BertModel(config, add_pooling_layer=False).eval()
    weights = encoder.state_dict()
    state = {theirs: weights[ours] for ours, theirs in TABLES.items()}
    for number in range(sizes.layers):
        for ours, theirs in LAYER.items():
            for kind in ("weight", "bias"):
                state[f"encoder.layer.{number}.{theirs}.{kind}"] = weights[f"blocks.{number}.{ours}.{kind}"]
    library.load_state_dict(state)
    return library
