"""Text-to-image models with a published FID on COCO, by the month of the first preprint."""

from __future__ import annotations

from studium_widgets import MetricScatter

FIELDS = ("name", "arxiv", "fid", "family", "training", "text_encoder")
MODELS = (
    ("AttnGAN", "1711.10485", 35.49, "GAN", "trained on COCO", "recurrent network"),
    ("DM-GAN", "1904.01310", 32.64, "GAN", "trained on COCO", "recurrent network"),
    ("DF-GAN", "2008.05865", 21.42, "GAN", "trained on COCO", "recurrent network"),
    ("XMC-GAN", "2101.04702", 9.33, "GAN", "trained on COCO", "BERT"),
    ("LAFITE", "2111.13792", 8.12, "GAN", "trained on COCO", "CLIP"),
    ("DALL-E", "2102.12092", 17.89, "autoregressive", "zero-shot", "tokens of the same transformer"),
    ("GLIDE", "2112.10741", 12.24, "diffusion in pixels", "zero-shot", "trained with it"),
    ("LDM", "2112.10752", 12.63, "latent diffusion", "zero-shot", "trained with it"),
    ("DALL-E 2", "2204.06125", 10.39, "diffusion in pixels", "zero-shot", "CLIP"),
    ("Imagen", "2205.11487", 7.27, "diffusion in pixels", "zero-shot", "T5-XXL, frozen"),
    ("Parti-3B", "2206.10789", 8.10, "autoregressive", "zero-shot", "trained with it"),
    ("Parti-20B", "2206.10789", 7.23, "autoregressive", "zero-shot", "trained with it"),
    ("Muse-3B", "2301.00704", 7.88, "masked tokens", "zero-shot", "T5-XXL, frozen"),
)


def scatter() -> MetricScatter:
    """Return the models by date and FID-30k; filter by how they were trained before you believe the trend."""
    points = [dict(zip(FIELDS, row, strict=True)) | {"date": _date(row[1])} for row in MODELS]
    return MetricScatter(
        points=points,
        x="date",
        y="fid",
        colour="family",
        log_y=True,
        filters=["training"],
        lower=["fid", "date"],
        front=True,
        labels={
            "fid": "FID-30k on COCO",
            "date": "year of first preprint",
            "arxiv": "arXiv",
            "text_encoder": "text encoder",
        },
    )


def _date(arxiv: str) -> float:
    return round(2000 + int(arxiv[:2]) + (int(arxiv[2:4]) - 0.5) / 12, 2)
