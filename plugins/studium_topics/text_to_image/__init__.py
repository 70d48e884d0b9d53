"""Text-to-image models, by year: five families, one pipeline that you build whole, and the measures that rank them."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `text-to-image`."""
    yield Topic(
        slug="text-to-image",
        title="Text-to-image models, by year",
        track="Vision and language",
        summary="Type a sentence and watch a model that you trained draw it: the whole pipeline with rectified flow, "
        "DDIM as the same steps at other times, the measures that rank models, and the sentences that break them.",
        package=__name__,
        papers=(
            Paper("Generative Adversarial Text to Image Synthesis", 2016, "1605.05396"),
            Paper("Zero-Shot Text-to-Image Generation", 2021, "2102.12092"),
            Paper("High-Resolution Image Synthesis with Latent Diffusion Models", 2021, "2112.10752"),
            Paper("Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding", 2022, "2205.11487"),
            Paper(
                "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow", 2022, "2209.03003"
            ),
            Paper("Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024, "2403.03206"),
            Paper("Denoising Diffusion Implicit Models", 2020, "2010.02502"),
            Paper(
                "When and why vision-language models behave like bags-of-words, and what to do about it?",
                2022,
                "2210.01936",
            ),
            Paper(
                "Training-Free Structured Diffusion Guidance for Compositional Text-to-Image Synthesis",
                2022,
                "2212.05032",
            ),
            Paper(
                "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017, "1706.08500"
            ),
            Paper("Effectively Unbiased FID and Inception Score and where to find them", 2019, "1911.07023"),
            Paper("Improved Precision and Recall Metric for Assessing Generative Models", 2019, "1904.06991"),
            Paper("CLIPScore: A Reference-free Evaluation Metric for Image Captioning", 2021, "2104.08718"),
        ),
        needs=("clip", "cfg", "ddpm"),
        minutes=120,
        order=44,
    )
