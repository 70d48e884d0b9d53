"""Causal models of the library transformers: as readers with a cache, and two tiny ones for the bridge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from studium_topics.speculative_decoding.readers import distribution


class LibraryReader:
    """A model of transformers with its `DynamicCache`. passes: the calls of `read`."""

    def __init__(self, model: Any, *, temperature: float = 1.0) -> None:
        from transformers import DynamicCache

        self.model, self.temperature, self.passes = model, temperature, 0
        self._cache = DynamicCache(config=model.config)

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""
        return int(self._cache.get_seq_length())

    @torch.no_grad()
    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read t tokens behind those in the cache; return the distribution of the token after each, (t, V)."""
        self.passes += 1
        ids = torch.tensor([list(tokens)], device=self.model.device)
        return distribution(self.model(ids, cache=self._cache).logits[0], self.temperature)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing happens where there are no more."""
        if length < self.length:
            self._cache.crop(length - self.length)  # a negative number: so many are removed


def tiny_llamas(seed: int = 0) -> tuple[Any, Any]:
    """Return two random Llamas in double precision, of 3 layers and of 1, which is the first of the 3.

    The upper layers add little, so that the small model often agrees. Nothing is downloaded. As an assistant the small
    one proposes 4 tokens in each turn, whatever it is sure of. Raises ImportError where transformers is missing.
    """
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()  # the library warns of how it calls itself
    shape = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    config = shape | {"num_key_value_heads": 2, "eos_token_id": None, "initializer_range": 0.25}
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        large, small = (LlamaForCausalLM(LlamaConfig(**config, num_hidden_layers=n)).double().eval() for n in (3, 1))
    for layer in large.requires_grad_(False).model.layers[1:]:
        layer.self_attn.o_proj.weight.mul_(0.2)
        layer.mlp.down_proj.weight.mul_(0.2)
    small.requires_grad_(False).load_state_dict(large.state_dict(), strict=False)
    settings = {"num_assistant_tokens": 4, "num_assistant_tokens_schedule": "constant"}
    small.generation_config.update(**settings, assistant_confidence_threshold=0.0)
    return large, small
