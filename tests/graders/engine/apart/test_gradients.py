"""Autograd through two processes, callbacks and modules included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

CELL = """
import torch
from torch import nn

def squares(x): return (x ** 2).sum()
def times(f, x): return f(x) * x
def slope(f, x):
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return found
def slope_of(f, x):
    (found,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return found
def loss(f, x): return (f(x) ** 2).mean()
def layer(): return nn.Linear(2, 3)
def copied(model):
    import copy
    return copy.deepcopy(model)
def shallow(model):
    import copy
    return copy.copy(model)
def doubled(model):
    with torch.no_grad(): model.weight.mul_(2)
    return model
def same(model): return model
def around(model): return nn.Sequential(model)
def borrowed(model):
    made = nn.Linear(2, 3)
    made.weight = model.weight
    return made
def weight(): return nn.Parameter(torch.ones(3))
def scaled(w, x): return w * x
def backward(x): (x ** 3).sum().backward()
def train(model, x, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
    model.eval()
    return loss.item()
def norm(model): return sum((p ** 2).sum() for p in model.parameters())
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, dtype=torch.float64))
    def forward(self, x): return (self.weight * x).sum()
def net(): return Net()
"""


@pytest.fixture(scope="module")
def student(shell):
    from .forking import Forked

    running = Forked(shell)
    yield running.student(CELL)
    running.kill()


@pytest.fixture
def watched(student):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        with student.test(None) as watched:
            yield watched
    assert watched.refusal is None


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_gradients_and_their_gradients_pass_torchs_own_check(student, watched):
    x = numbers(3)
    assert torch.autograd.gradcheck(student.get("squares"), (x,))
    assert torch.autograd.gradgradcheck(student.get("squares"), (x,))
    assert not watched.changed_later


def test_a_leaf_may_belong_to_several_calls(student, watched):
    x = numbers(3)
    squares = student.get("squares")
    (squares(x) + squares(2 * x)).backward()
    assert torch.allclose(x.grad, 10 * x)


def test_an_output_has_a_history_only_where_it_has_one(student, watched):
    x = numbers(3)
    assert student.get("squares")(x).requires_grad
    assert not student.get("squares")(x.detach()).requires_grad
    with torch.no_grad():
        assert not student.get("squares")(x).requires_grad


@pytest.mark.parametrize("depth", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_what_a_callback_holds_gets_its_gradient_and_second_gradient(student, watched, depth):
    times = student.get("times")
    assert depth(lambda x, w: times(lambda y: w * y**2, x), (numbers(3), numbers(3)))


@pytest.mark.parametrize("depth", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_the_student_differentiates_through_a_callback(student, watched, depth):
    slope = student.get("slope_of")
    assert depth(lambda x, w: slope(lambda y: w * y**3, x), (numbers(3), numbers(3)))


def test_gradients_of_gradients_reach_a_model_behind_a_callback(student, watched):
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    (student.get("slope")(lambda y: model(y), x) ** 2).mean().backward()
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    y = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(model(y).sum(), y, create_graph=True)
    (grad**2).mean().backward()
    expected = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(found) == len(expected)
    assert all(map(torch.allclose, found, expected))


def test_parameters_behind_a_callback_get_gradients_without_any_other_leaf(student, watched):
    model = nn.Linear(2, 3)
    student.get("loss")(lambda x: model(x), torch.ones(4, 2)).backward()
    assert model.weight.grad is not None


def test_leaves_that_the_student_made_are_leaves_and_stay_the_same(student, watched):
    weight = student.get("weight")()
    assert weight.is_leaf
    assert isinstance(weight, nn.Parameter)
    student.get("scaled")(weight, torch.arange(3.0)).sum().backward()
    assert torch.equal(weight.grad, torch.arange(3.0))


def test_a_layer_comes_as_one_and_learns_here(student, watched):
    layer = student.get("layer")()
    assert type(layer) is nn.Linear
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach().clone()
    student.get("loss")(layer, torch.ones(4, 2)).backward()
    optimizer.step()
    assert not torch.equal(layer.weight, before)


def test_a_module_of_the_students_own_class_stays_and_has_gradients(student, watched):
    net, x = student.get("net")(), numbers(2)
    net(x).backward()
    assert torch.equal(x.grad, net.weight.detach())
    assert "remote" in watched.noted


def test_a_gradient_that_the_student_computes_comes_back(student, watched):
    x = numbers(3)
    student.get("backward")(x)
    assert torch.allclose(x.grad, 3 * x**2)
    assert watched.noted == {"changes"}


class Counting(nn.Module):
    """A module of a test's own class: its forward counts its calls."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(()))
        self.calls = []

    def forward(self, x):
        self.calls.append((self.training, self.layer.weight.detach().clone()))
        self.seen += len(x)
        return self.layer(x)


def test_a_model_of_a_tests_own_class_is_trained_as_in_one_process(student, watched):
    model, twin, x = Counting(), nn.Linear(2, 2), torch.randn(4, 2)
    twin.load_state_dict(model.layer.state_dict())
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = (twin(x) ** 2).mean()
        loss.backward()
        optimizer.step()
    assert student.get("train")(model, x, 3) == pytest.approx(loss.item())
    assert torch.allclose(model.layer.weight, twin.weight)
    assert torch.allclose(model.layer.weight.grad, twin.weight.grad)
    assert [training for training, _ in model.calls] == [True] * 3
    assert not torch.equal(model.calls[0][1], model.calls[2][1])
    assert (model.training, model.seen.item()) == (False, 12)


def test_a_given_model_goes_whole_and_comes_back_trained(student, watched):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = [p.detach().clone() for p in model.parameters()]
    student.get("train")(model, torch.randn(8, 2), 2)
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert (model.training, model[1].num_batches_tracked.item()) == (False, 2)


def test_what_is_tied_stays_tied(student, watched):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    student.get("train")(model, torch.randn(8, 2), 2)
    assert model[1].weight is model[0].weight
    model.zero_grad()
    norm = student.get("norm")(model)
    norm.backward()
    assert torch.allclose(model[0].weight.grad, 2 * model[0].weight)


def test_changes_of_a_model_are_withheld_where_the_reference_makes_none(student):
    model, x = Counting(), torch.randn(4, 2)
    before = model.layer.weight.detach().clone()
    with student.test(frozenset()) as watched:
        student.get("train")(model, x, 3)
    assert watched.withheld
    assert torch.equal(model.layer.weight, before)
    assert model.training
    assert not torch.equal(model.calls[2][1], before)  # while the call ran it was as the student had it


def test_a_parametrized_module_is_one_on_both_sides(student, watched):
    model = nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(2, 3)))
    before = model[0].weight.detach().clone()
    student.get("train")(model, torch.randn(8, 2), 2)
    assert not torch.equal(model[0].weight, before)
    copied = student.get("copied")(model)
    assert torch.equal(copied[0].weight, model[0].weight)
    assert type(copied[0]).__name__ == "ParametrizedLinear"
    assert "object torch.nn.modules.linear.Linear" in watched.noted


@pytest.mark.parametrize("name", ["same", "shallow", "around", "borrowed", "doubled", "copied"])
def test_a_layer_given_back_as_a_copy_of_an_argument_has_parameters_and_learns(student, name):
    for applied in (False, True):
        give_back(student, name, applied=applied)


def give_back(student, name, *, applied):
    layer = nn.Linear(2, 3)
    before = layer.weight.detach().clone()
    words = frozenset(f"object torch.nn.modules.{one}" for one in ("linear.Linear", "container.Sequential"))
    with student.test(words, applied=applied) as watched:
        made = student.get(name)(layer)
        assert {type(one) for one in made.parameters()} == {nn.Parameter}
        assert torch.equal(next(made.parameters()), before * (2 if name == "doubled" else 1))
        made(torch.ones(1, 2)).sum().backward()
        assert all(one.grad is not None for one in made.parameters())
    assert watched.refusal is None
