"""Stable Diffusion's own pipeline around tiny parts with random weights. Nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from studium_topics.text_to_image.model import LENGTH, WORDS

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


def tiny_pipeline(seed: int = 0) -> StableDiffusionPipeline:
    """Return a StableDiffusionPipeline with a CLIP text tower, a U-Net with cross-attention, an autoencoder and DDIM.

    Latents are (B, 4, 8, 8). Raise ImportError where diffusers or transformers is not installed.
    """
    from diffusers.utils import logging
    from transformers import CLIPTextConfig, CLIPTextModel
    from transformers.utils import logging as transformers_logging

    logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()  # before the pipeline's import, which warns of missing torchvision
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    config = CLIPTextConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=LENGTH, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        timestep_spacing="trailing", steps_offset=1,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
            attention_head_dim=8, norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL(block_out_channels=(32,), latent_channels=4, norm_num_groups=8),
            text_encoder=CLIPTextModel(config), tokenizer=None, unet=unet, scheduler=scheduler,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
