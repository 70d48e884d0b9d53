"""Exercises: a cache, its mask, attention and decoding with it, ragged batches, and what it costs and saves."""

from .cached_attention import cached_attention
from .cached_mask import cached_mask
from .chat import chat
from .decode_flops import decode_flops
from .generate import generate
from .kv_bytes import kv_bytes
from .paged_gather import paged_gather
from .ragged_mask import ragged_mask
from .write_cache import write_cache

exercises = (
    write_cache,
    cached_mask,
    cached_attention,
    generate,
    chat,
    ragged_mask,
    kv_bytes,
    decode_flops,
    paged_gather,
)
