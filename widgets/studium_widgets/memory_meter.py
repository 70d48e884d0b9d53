"""The memory that a decoder needs to run or to train, part by part, and the cards it fits on."""

from __future__ import annotations

from typing import Any, Self

from traitlets import Bool, Enum, Int, TraitError

from studium_widgets.base import Widget

__all__ = ["CARDS", "MODELS", "MemoryMeter", "check_shape"]

# transformer_costs.js has the shapes with their sources, and the cards
MODELS = {
    "tinyllama-1.1b": ("TinyLlama 1.1B", 32),
    "llama-3.2-1b": ("Llama 3.2 1B", 32),
    "llama-2-7b": ("Llama 2 7B", 32),
    "mistral-7b": ("Mistral 7B", 32),
    "llama-3-8b": ("Llama 3 8B", 32),
    "llama-2-13b": ("Llama 2 13B", 40),
    "llama-3-70b": ("Llama 3 70B", 64),
    "gpt-3-175b": ("GPT-3 175B", 96),
}
CARDS = ("t4", "rtx-4090", "a100-80", "h100", "h200", "mi300x")
DTYPES = ("fp32", "bf16", "int8", "int4")


class MemoryMeter(Widget):
    """Weights and KV cache of inference, or weights, gradients, optimiser states and activations of training.

    model: one of MODELS, published shapes from 1B to 175B. task: "inference" or "training". batch: 1 to 1024 sequences
    of context 128 to 131072 tokens. kv_heads: 0 as published, -1 one for each query head (MHA), 1 (MQA) or another
    divisor of the heads (GQA). window: tokens that a sliding window keeps, -1 as published, 0 for all. weight_dtype,
    cache_dtype: "fp32", "bf16", "int8" or "int4". optimiser: "sgd", "momentum", "adam" or "adam-8bit"; lora: train only
    adapters of rank `rank` on query and value weights; checkpointing: store each layer's input and recompute the rest;
    flash: attention probabilities are not stored. card: one of CARDS, whose memory is marked. Sizes are in GB of 10⁹
    bytes. Raises TraitError for an option out of range.
    """

    _script = "memory_meter.js"
    _style = "memory_meter.css"

    model = Enum(tuple(MODELS), "llama-3-8b").tag(sync=True)
    task = Enum(("inference", "training"), "inference").tag(sync=True)
    batch = Int(1).tag(sync=True, between=(1, 1024))
    context = Int(8192).tag(sync=True, between=(128, 131072))
    kv_heads = Int(0).tag(sync=True, between=(-1, 128))
    window = Int(-1).tag(sync=True, between=(-1, 131072))
    weight_dtype = Enum(DTYPES, "bf16").tag(sync=True)
    cache_dtype = Enum(DTYPES, "bf16").tag(sync=True)
    optimiser = Enum(("sgd", "momentum", "adam", "adam-8bit"), "adam").tag(sync=True)
    lora = Bool(False).tag(sync=True)
    rank = Int(8).tag(sync=True, between=(1, 1024))
    checkpointing = Bool(False).tag(sync=True)
    flash = Bool(True).tag(sync=True)
    card = Enum(CARDS, "h100").tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        return cls(batch=16)

    @classmethod
    def largest(cls) -> Self:
        return cls(model="gpt-3-175b", task="training", batch=64, context=131072)

    @property
    def alt(self) -> str:
        name = MODELS[self.model][0]
        inside = f"{self.weight_dtype} weights, {self.cache_dtype} cache"
        if self.task == "training":
            inside = f"{self.optimiser}, {f'LoRA of rank {self.rank}' if self.lora else 'all parameters trained'}"
        return (
            f"Memory of {name} for {self.task}: batch {self.batch}, context {self.context}, {inside}, on {self.card}."
        )

    def check(self) -> None:
        check_shape(self)
        if not -1 <= self.window <= 131072:
            raise TraitError(f"window needs to be from -1 to 131072, got {self.window}: -1 is the published one")
        if not 1 <= self.rank <= 1024:
            raise TraitError(f"rank needs to be from 1 to 1024, got {self.rank}: choose another")


def check_shape(widget: Any) -> None:
    """Raise TraitError if batch, context or kv_heads of a widget do not fit its model."""
    for name, low, high in (("batch", 1, 1024), ("context", 128, 131072)):
        if not low <= getattr(widget, name) <= high:
            raise TraitError(f"{name} needs to be from {low} to {high}, got {getattr(widget, name)}: choose another")
    name, heads = MODELS[widget.model]
    if widget.kv_heads not in (0, -1) and (widget.kv_heads < -1 or heads % widget.kv_heads):
        raise TraitError(
            f"kv_heads need to divide the {heads} heads of {name}, got {widget.kv_heads}: 0 is as published"
        )
