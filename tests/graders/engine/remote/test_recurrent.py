"""Recurrent layers of a student's compute in the judge with weights that fit, and with no others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

LAYERS = [
    *("nn.LSTM(4, 8)", "nn.LSTM(4, 8, 2, bidirectional=True)", "nn.LSTM(4, 8, 2, proj_size=3)"),
    *("nn.LSTM(4, 8, bias=False)", "nn.GRU(4, 8, 2)", "nn.RNN(4, 8, bidirectional=True, bias=False)"),
]
LYING = {
    "more numbers than there are": "layer = nn.LSTM(4, 8)\nlayer.hidden_size = 100_000",
    "more layers than there are": "layer = nn.GRU(4, 8)\nlayer.num_layers = 9",
    "another kind": "layer = nn.LSTM(4, 8)\nlayer.mode = 'RNN_TANH'\nlayer.hidden_size = 32",
    "weights that are smaller": "layer = nn.LSTM(4, 8)\nlayer.weight_hh_l0 = nn.Parameter(torch.zeros(1, 1))",
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_gives_what_it_gives_there(make_student, layer) -> None:
    student = make_student(f"from torch import nn\nlayer = {layer}\ndef run(x): return layer(x)[0]")
    x = torch.randn(5, 3, 4)
    with torch.no_grad():
        assert torch.allclose(student.get("layer")(x)[0], student.get("run")(x), atol=1e-6)


@pytest.mark.parametrize("source", LYING.values(), ids=LYING)
def test_no_layer_reads_beyond_its_weights(make_student, source) -> None:
    layer = make_student(f"import torch\nfrom torch import nn\n{source}").get("layer")
    with torch.no_grad(), pytest.raises(RuntimeError, match="do not fit"):
        layer(torch.randn(5, 3, 4))


def test_nor_one_whose_weights_change_later(make_student) -> None:
    source = """
import torch
from torch import nn
layer = nn.LSTM(4, 8)
def shrink(): layer.weight_hh_l0.data = torch.zeros(1, 1)
"""
    student = make_student(source)
    layer = student.get("layer")
    assert layer(torch.randn(5, 3, 4))[0].shape == (5, 3, 8)
    student.get("shrink")()
    with torch.no_grad(), pytest.raises(RuntimeError, match="do not fit"):
        layer(torch.randn(5, 3, 4))


def test_a_layer_of_the_students_class_that_extends_one_computes_there(make_student) -> None:
    student = make_student("from torch import nn\nclass Own(nn.LSTM):\n    pass\nlayer = Own(4, 8)")
    layer = student.get("layer")
    assert isinstance(layer, nn.Module)
    assert layer(torch.randn(5, 3, 4))[0].shape == (5, 3, 8)
