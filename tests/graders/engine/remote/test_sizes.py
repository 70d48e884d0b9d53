"""Layers of a student's compute in the judge with numbers that compiled code can be handed, and with no others."""

from __future__ import annotations

import pytest
import torch

LYING = {
    "no heads": "layer = nn.MultiheadAttention(4, 2, batch_first=True)\nlayer.num_heads = 0",
    "no heads in a part": "layer = nn.TransformerEncoderLayer(4, 2, 8)\nlayer.self_attn.num_heads = 0",
    "numbers of more than 32 bits": "layer = nn.Fold((4, 4), 2)\nlayer.padding = 1 << 31",
    "several such": "layer = nn.Conv2d(4, 4, 3)\nlayer.stride = (1, 1 << 40)",
}
GIVEN = {"Fold": (2, 16, 9), "Conv2d": (2, 4, 8, 8)}


@pytest.mark.parametrize("source", LYING.values(), ids=LYING)
def test_no_layer_ends_the_judge(make_student, source) -> None:
    layer = make_student(f"from torch import nn\n{source}\nlayer.eval()").get("layer")
    x = torch.randn(GIVEN.get(type(layer).__name__, (2, 3, 4)))
    with torch.no_grad(), pytest.raises((TypeError, ValueError, AttributeError)):
        layer(x, x, x) if hasattr(layer, "num_heads") else layer(x)


def test_a_layer_computes_with_the_numbers_that_it_was_made_with(make_student) -> None:
    student = make_student("from torch import nn\nlayer = nn.MultiheadAttention(4, 2, batch_first=True).eval()")
    layer, x = student.get("layer"), torch.randn(2, 3, 4)
    with torch.no_grad():
        assert layer.num_heads == 2
        assert layer(x, x, x)[0].shape == (2, 3, 4)
