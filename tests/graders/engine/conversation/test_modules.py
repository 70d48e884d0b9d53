"""Modules of the student's in the judge, and modules of the judge's in the student's code."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

SOURCE = """
import torch
from torch import nn
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.register_buffer("steps", torch.zeros(()))
        self.scale = 2.0
    def forward(self, x):
        if self.training: self.steps += 1
        return self.scale * self.norm(self.fc(x))
    def extra(self, x): return x + self.scale
    @property
    def width(self): return self.fc.in_features
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block(4)
        self.layers = nn.ModuleList([Block(4), nn.ReLU()])
        self.head = nn.Parameter(torch.ones(4, 1))
    def forward(self, x):
        x = self.first(x)
        for layer in self.layers: x = layer(x)
        return x @ self.head
def make(): return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 1))
def rnn(): return nn.LSTM(3, 4, batch_first=True)
def encoder(): return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
def train(model, x, y, lr=0.1, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
def freeze(model):
    for p in model.parameters(): p.requires_grad_(False)
def replace(model): model[0] = Block(3)
def halve(model):
    with torch.no_grad():
        for p in model.parameters(): p.mul_(0.5)
def count(model): return sum(p.numel() for p in model.parameters()), len(list(model.named_modules()))
def is_module(m): return isinstance(m, nn.Module)
def call(m, x): return m(x)
"""


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student(SOURCE)


def test_a_model_of_the_students_class_is_a_module_here(student):
    net_class = student.get("Net")
    net = net_class()
    assert isinstance(net, nn.Module)
    assert isinstance(net, net_class)
    assert issubclass(net_class, nn.Module)
    assert sum(p.numel() for p in net.parameters()) == 2 * (4 * 4 + 4 + 4 + 4) + 4
    assert [name for name, _ in net.named_children()] == ["first", "layers", "head"][:2]
    assert isinstance(net.first.fc, nn.Linear)
    assert isinstance(net.first, student.get("Block"))
    assert net.first.width == 4
    assert net.first.extra(1.0) == 3.0
    net.first.scale = 3.0
    assert net.first.extra(1.0) == 4.0
    assert set(dict(net.named_buffers())) == {"first.steps", "layers.0.steps"}
    assert net(torch.ones(2, 4)).shape == (2, 1)
    with pytest.raises(AttributeError):
        _ = net.nothing
    assert not hasattr(net, "nothing")


def test_the_test_trains_a_model_of_the_students(student):
    torch.manual_seed(0)
    net = student.get("Net")()
    x, y = torch.randn(8, 4), torch.randn(8, 1)
    for cls in (torch.optim.SGD, torch.optim.Adam):
        optimizer = cls(net.parameters(), lr=0.01)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in net.parameters())
    assert net.first.steps == 10


INPLACE = """
from torch import nn
def tower():
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
"""


def test_a_tower_with_modules_that_compute_in_place_learns(make_student):
    tower, x = make_student(INPLACE).get("tower")(), torch.ones(2, 4)
    tower(x).sum().backward()
    assert all(parameter.grad is not None for parameter in tower.parameters())
    assert isinstance(tower[1], nn.ReLU)
    assert torch.equal(x, torch.ones(2, 4))


def test_a_module_of_the_tests_that_computes_in_place_does_so_in_the_students_code(student):
    x = torch.tensor([-1.0, 1.0])
    student.get("call")(nn.ReLU(inplace=True), x)
    assert torch.equal(x, torch.tensor([0.0, 1.0]))


def test_modes_state_and_requires_grad_hold_on_both_sides(student):
    net = student.get("Net")()
    net.eval()
    net(torch.ones(1, 4))
    assert net.first.steps == 0
    net.train()
    net(torch.ones(1, 4))
    assert net.first.steps == 1
    state = {name: torch.full_like(value, 0.5) for name, value in net.state_dict().items()}
    net.load_state_dict(state)
    assert torch.equal(student.get("call")(net.first.fc, torch.ones(4)), torch.full((4,), 2.5))
    nn.init.constant_(net.first.fc.weight, 0.0)
    assert torch.equal(student.get("call")(net.first.fc, torch.ones(4)), torch.full((4,), 0.5))
    student.get("freeze")(net)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(torch.ones(1, 4)).requires_grad


def test_a_copy_of_a_model_is_another_model(student):
    net = student.get("Net")()
    twin = copy.deepcopy(net)
    student.get("halve")(net)
    assert torch.allclose(twin.first.fc.weight, 2 * net.first.fc.weight)
    assert not torch.equal(twin(torch.ones(1, 4)), net(torch.ones(1, 4)) * 0)


def test_stock_modules_come_as_they_are(student):
    model = student.get("make")()
    assert isinstance(model, nn.Sequential)
    assert [layer.__class__ for layer in model] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert "Linear(in_features=3, out_features=5, bias=True)" in repr(model)
    assert model[2].p == 0.5
    model.eval()
    x = torch.randn(2, 3)
    assert torch.allclose(model(x), student.get("call")(model, x))
    lstm = student.get("rnn")()
    assert isinstance(lstm, nn.LSTM)
    assert lstm(torch.randn(1, 2, 3))[0].shape == (1, 2, 4)
    layer = student.get("encoder")()
    assert isinstance(layer, nn.TransformerEncoderLayer)
    assert layer(torch.randn(1, 3, 8)).shape == (1, 3, 8)


def test_the_student_trains_a_model_of_the_tests(student):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    twin = copy.deepcopy(model)
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    losses = student.get("train")(model, x, y)
    assert losses[-1] < losses[0]
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.mse_loss(twin(x), y).backward()
        optimizer.step()
    for (name, here), (_, there) in zip(model.state_dict().items(), twin.state_dict().items(), strict=True):
        assert torch.allclose(here.float(), there.float(), atol=1e-6), name


def test_the_student_trains_a_model_of_a_class_of_the_tests(student):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 1)

        def forward(self, x):
            return self.fc(x).tanh()

    model = Mine()
    before = model.fc.weight.detach().clone()
    assert student.get("is_module")(model)
    assert student.get("count")(model) == (4, 2)
    x, y = torch.randn(8, 3), torch.zeros(8, 1)
    losses = student.get("train")(model, x, y)
    assert losses[-1] < losses[0]
    assert not torch.equal(model.fc.weight, before)
    assert torch.allclose(F.mse_loss(model(x), y).detach(), torch.tensor(student.get("train")(model, x, y, steps=1)[0]))


def test_a_part_that_the_student_puts_in_works_inside_the_tests_model(student):
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    relu = model[1]
    student.get("replace")(model)
    assert model[1] is relu
    assert type(model[0]).__name__ == "Block"
    assert isinstance(model[0], nn.Module)
    out = model(torch.randn(2, 3))
    out.sum().backward()
    assert model[0].fc.weight.grad is not None
    assert "0.fc.weight" in model.state_dict()


def test_many_models_do_not_pile_up(student):
    make = student.get("make")
    for _ in range(20):
        make()
    student.run("")
    student.run("")
    assert len(student.peer.modules._kept) < 60
    assert len(student.peer.tensors._kept) < 80


def test_too_large_a_value_is_an_ordinary_error_on_both_sides(make_student):
    from studium_graders.engine.material.limits import Limits

    student = make_student(
        SOURCE + "\ndef big(): return torch.zeros(1 << 20)\n", limits=Limits(message_mb=1, call_seconds=20)
    )
    model = nn.Linear(700, 700)
    with pytest.raises(ValueError, match="too large"):
        student.get("count")(model)
    with pytest.raises(ValueError, match="too large"):
        student.get("big")()
    assert student.get("count")(nn.Linear(2, 2)) == (6, 1)
