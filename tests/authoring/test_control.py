"""Claims fail if the building blocks of their experiment do nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from studium.authoring.control import control
from studium.authoring.idle import emptied, idle
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE, Damage
from tests.authoring.damages import DAMAGES

pytestmark = pytest.mark.usefixtures("forked_checks")

FAR = Damage(
    "",
    "control",
    "experiment.py",
    'holds_from="smoke",\n    ),\n    Claim("it is loud", "2110.13985", two_views, lambda views: abs(views.stepped[0] '
    '/ views.sound[0]), at_least=-1.0, holds_from="smoke"),',
    'holds_from="smoke",\n    ),',
)


def test_a_claim_that_cannot_fail_is_a_problem(copy_sample):
    for damage in [damage for damage in DAMAGES if damage.check == "control"]:
        with open_subject(str(copy_sample(damage)), SMOKE) as subject:
            assert len(control(subject).problems) == 1


def test_two_blocks_that_agree_while_both_do_nothing_are_put_to_the_control_one_by_one(copy_sample):
    with open_subject(str(copy_sample()), SMOKE) as subject:
        found = control(subject)
    assert (list(found.problems), list(found.advice)) == ([], [])


def test_a_bound_that_idle_blocks_keep_and_working_ones_exceed_by_far_is_advice(copy_sample):
    with open_subject(str(copy_sample(FAR)), SMOKE) as subject:
        found = control(subject)
    assert list(found.problems) == []
    assert ["'it is loud' is too loose: it is -1, while 1 is measured, and 0 if" in said for said in found.advice] == [
        True
    ]


def test_an_idle_block_changes_no_argument_and_returns_zeros_of_the_same_kind():
    @dataclass
    class Model:
        steps: int = 0

    def train(x, model):
        x.add_(1)
        model.steps += 1
        return x.double(), [model.steps, "trained"], {"loss": 0.5}

    x, model = torch.ones(2, 3), Model()
    weights, notes, losses = idle(train)(x, model)
    assert (x.tolist(), model.steps) == ([[1, 1, 1], [1, 1, 1]], 0)
    assert (weights.tolist(), weights.dtype) == ([[0, 0, 0], [0, 0, 0]], torch.float64)
    assert (notes, losses) == ([0, ""], {"loss": 0.0})


def test_an_idle_block_returns_zeros_without_a_gradient_and_models_without_weights():
    weight = torch.ones(3, requires_grad=True)
    idle(lambda w: (w**2).sum())(weight).backward()
    assert weight.grad is None
    layer = torch.nn.Linear(2, 2)
    assert not emptied(layer)(torch.ones(2)).any()
    assert layer.weight.any()
