"""Scikit-learn's 1797 handwritten digits as tensors, and a judge that never shares data with a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Digits:
    """images (N, 1, 8, 8) float32 in [-1, 1]; labels (N,) long, 0..9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Digits:
        """The same digits on `device`."""
        return Digits(self.images.to(device), self.labels.to(device))


def all_digits() -> Digits:
    """All 1797 digits, pixels 0..16 scaled as x / 8 - 1."""
    data = load_digits()
    images = torch.from_numpy(data.images).float().unsqueeze(1) / 8 - 1  # (N, 1, 8, 8)
    return Digits(images, torch.from_numpy(data.target).long())


def split() -> tuple[Digits, Digits]:
    """The generator's half (every even digit, 899) and the judge's half (every odd one, 898), always the same."""
    digits = all_digits()
    return (
        Digits(digits.images[0::2], digits.labels[0::2]),
        Digits(digits.images[1::2], digits.labels[1::2]),
    )


@dataclass(frozen=True, eq=False)
class Judge:
    """A classifier of digits that has seen only the judge's half, so no generator can please itself."""

    classifier: Any

    def __call__(self, images: Tensor) -> Tensor:
        """The digit (N,) seen in each of images (N, 1, 8, 8) or (N, 64)."""
        pixels = images.detach().flatten(1)  # (N, 64)
        if pixels.shape[1] != 64:
            raise ValueError(f"the judge needs images (N, 1, 8, 8) or (N, 64), got {tuple(images.shape)}")
        return torch.from_numpy(self.classifier.predict(pixels.double().cpu().numpy())).to(images.device)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """The fraction of images (N, 1, 8, 8) judged to be labels (N,)."""
        return float((self(images) == labels).double().mean())


def judge() -> Judge:
    """The support-vector judge SVC(gamma=0.02, C=5), fitted to the judge's half (a tenth of a second)."""
    _, half = split()
    return Judge(SVC(gamma=0.02, C=5).fit(half.images.flatten(1).double().numpy(), half.labels.numpy()))
