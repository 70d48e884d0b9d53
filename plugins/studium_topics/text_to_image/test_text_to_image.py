"""The exercises and the reference against independent oracles, the parts, the experiment, and the bench of prompts."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from studium.catalogue import load_catalogue
from studium.checking import check
from studium.claims import experiments, run_experiment
from traitlets import TraitError

from studium_topics.kits import shapes, training
from studium_topics.kits.weights import drawn
from studium_topics.text_to_image import exercises, experiment, judge, model, reference
from studium_topics.text_to_image.bench import PromptBench, unpacked

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/text_to_image/bench_maths.js"
BOTH = pytest.mark.parametrize("ours", [exercises, reference], ids=["exercises", "reference"])
EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def untrained(seed=0):
    """Return a painter whose answers are not 0."""
    net = drawn(lambda: model.painter(0), torch.Generator().manual_seed(seed), 0.2).eval()
    net.label.embedding.weight.data[0] = 0  # no word
    return net


def test_the_velocity_in_the_browser_is_that_of_the_model(call_js):
    net, z = untrained(), noise(2, 5, 8, 8).float()
    ids = model.tokens(["a small red ring", "a blue disc and a white cross"])
    with torch.no_grad():
        expected = net(z, torch.tensor([0.3, 0.3]), ids)
    state = {
        name: {"data": part.flatten().tolist(), "shape": list(part.shape)} for name, part in net.named_parameters()
    }
    for row in range(2):
        text = call_js(MATHS, "textVector", state, [i for i in ids[row].tolist() if i])
        found = call_js(MATHS, "velocity", state, z[row].flatten().tolist(), 0.3, text)
        torch.testing.assert_close(torch.tensor(found), expected[row].flatten(), rtol=1e-3, atol=1e-3)
