"""Packing: a byte for each number loses half a step at most, and a file gives back what was written."""

import numpy as np
import torch
from studium_topics.kits import packing
from torch import nn


def model(seed):
    torch.default_generator.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 5, 2), nn.Linear(4, 2), nn.Embedding(6, 3))


def test_packing_loses_at_most_half_a_step_of_each_row():
    net, again = model(0), model(1)
    weights, scales = packing.packed(net)
    packing.unpack(again, weights, scales)
    row = 0
    for part, other in zip(net.parameters(), again.parameters(), strict=True):
        step = torch.tensor(scales[row : row + len(part)]).view(-1, *[1] * (part.ndim - 1))
        assert bool(((part - other).abs() <= 0.501 * step).all())
        row += len(part)


def test_what_was_unpacked_packs_into_the_same_bytes():
    again = model(1)
    packing.unpack(again, *packing.packed(model(0)))
    np.testing.assert_array_equal(packing.packed(again)[0], packing.packed(model(0))[0])


def test_a_layout_names_each_parameter_and_counts_weights_and_scales():
    found = packing.layout(model(0))
    assert found[:2] == ["0.weight 5 3 2 2", "0.bias 5"]
    assert packing.sizes(found) == tuple(part.size for part in packing.packed(model(0)))


def test_a_row_of_zeros_stays_zero():
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    packing.unpack(net, *packing.packed(net))
    assert not net.weight.any()


def test_a_file_gives_back_the_model_and_what_stands_beside_it(tmp_path, monkeypatch):
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    packing.write(tmp_path / "shipped" / "model.npz", model(0), levels=np.arange(3.0))
    kept, again = packing.read("shipped", "model.npz"), model(1)
    packing.unpack(again, kept["weights"], kept["scales"])
    assert kept["levels"].tolist() == [0, 1, 2]
    torch.testing.assert_close(again[1].weight, model(0)[1].weight, rtol=0, atol=0.01)
