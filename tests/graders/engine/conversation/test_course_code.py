"""What the tests of ordinary courses do with the code of students."""

import copy
import inspect
import itertools
import unittest.mock

import numpy as np
import pytest
import torch
from torch import nn

SOURCE = '''
import numpy as np, torch, functools, collections
from torch import nn
def squares(n):
    """Compute the squares."""
    if n < 1: raise ValueError("n must be greater than or equal to 1")
    return [i ** 2 for i in range(1, n + 1)]
class Stack:
    def __init__(self): self._items = []
    def push(self, x): self._items.append(x)
    def pop(self):
        if not self._items: raise IndexError("pop from empty stack")
        return self._items.pop()
    def __len__(self): return len(self._items)
    def __iter__(self): return iter(self._items)
    def __contains__(self, x): return x in self._items
    def __repr__(self): return f"Stack({self._items})"
    @classmethod
    def of(cls, *xs):
        s = cls()
        for x in xs: s.push(x)
        return s
class Shape:
    def area(self): raise NotImplementedError
class Square(Shape):
    def __init__(self, a): self.a = a
    def area(self): return self.a ** 2
def fib():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
def echo():
    x = yield 0
    while True: x = yield x * 2
def deco(f):
    @functools.wraps(f)
    def inner(*a, **k): return f(*a, **k) + 1
    return inner
def make_adder(n): return lambda x: x + n
def sort_by(xs, key): return sorted(xs, key=key)
def word_count(s): return collections.Counter(s.split())
def mean_std(x): return x.mean(axis=0), x.std()
def update(d): d["a"] = 1; d.setdefault("b", []).append(2)
class Optimizer:
    def __init__(self, params, lr): self.params, self.lr = list(params), lr
    def step(self):
        with torch.no_grad():
            for p in self.params: p -= self.lr * p.grad
    def zero_grad(self):
        for p in self.params: p.grad = None
def params(): return {"w": torch.randn(3, 2, requires_grad=True), "b": torch.zeros(2, requires_grad=True)}
def forward(p, x): return x @ p["w"] + p["b"]
class MyLinear(nn.Linear):
    def forward(self, x): return super().forward(x) + 1
def reader(path):
    with open(path) as f: return f.read()
def total(xs): return sum(xs)
class Quiet:
    def __enter__(self): return self
    def __exit__(self, t, v, tb): self.kind = t and t.__name__; return True
'''


@pytest.fixture(scope="module")
def get(make_module_student):
    return make_module_student(SOURCE).get


def test_functions(get):
    squares = get("squares")
    with pytest.raises(ValueError, match="greater"):
        squares(0)
    assert squares(3) == [1, 4, 9]
    assert inspect.getfullargspec(squares).args == ["n"]
    assert get("deco")(lambda x: x)(1) == 2
    assert get("make_adder")(3)(4) == 7
    assert get("sort_by")(["bb", "a"], len) == ["a", "bb"]
    assert get("sort_by")([3, 1], lambda x: -x) == [3, 1]
    assert get("word_count")("a b a") == {"a": 2, "b": 1}
    spy = unittest.mock.Mock(return_value=5)
    assert get("deco")(spy)(1) == 6
    spy.assert_called_once_with(1)


def test_arguments_of_all_kinds(get, tmp_path):
    mean, deviation = get("mean_std")(np.arange(6.0).reshape(3, 2))
    np.testing.assert_allclose(mean, [2, 3])
    assert isinstance(deviation, np.float64)
    changed = {}
    get("update")(changed)
    assert changed == {"a": 1, "b": [2]}
    file = tmp_path / "a"
    file.write_text("hi")
    assert get("reader")(file) == get("reader")(str(file)) == "hi"
    for xs in ((x for x in range(4)), map(int, "123"), {1: 0, 5: 0}.keys(), np.full(3, 2)):
        assert get("total")(xs) == 6
    with pytest.raises(TypeError):
        get("total")(inspect.currentframe())
    assert get("nn") is nn


def test_classes(get):
    stack_class, shape, square = get("Stack"), get("Shape"), get("Square")
    stack = stack_class()
    stack.push(1)
    stack.push("a")
    assert len(stack) == 2
    assert list(stack) == [1, "a"]
    assert "a" in stack
    assert str(stack) == "Stack([1, 'a'])"
    assert [stack.pop(), stack.pop()] == ["a", 1]
    with pytest.raises(IndexError):
        stack.pop()
    assert isinstance(stack_class.of(1, 2), stack_class)
    assert issubclass(square, shape)
    assert square.__bases__ == (shape,)
    assert isinstance(square(2), shape)
    assert square.area(square(2)) == 4
    with pytest.raises(NotImplementedError):
        shape().area()
    quiet = get("Quiet")()
    with quiet:
        raise KeyError
    assert quiet.kind == "KeyError"


def test_generators(get):
    assert list(itertools.islice(get("fib")(), 6)) == [0, 1, 1, 2, 3, 5]
    echo = get("echo")()
    next(echo)
    assert echo.send(4) == 8
    echo.close()


def test_an_optimiser_of_the_students(get):
    w = torch.ones(2, requires_grad=True)
    optimizer = get("Optimizer")([w], 0.1)
    (w * w).sum().backward()
    optimizer.step()
    assert torch.allclose(w, torch.tensor([0.8, 0.8]))
    optimizer.zero_grad()
    assert w.grad is None


def test_parameters_in_a_dictionary(get):
    p, x = get("params")(), torch.randn(4, 3)
    get("forward")(p, x).sum().backward()
    with torch.no_grad():
        for tensor in p.values():
            tensor -= 0.1 * tensor.grad
    assert torch.allclose(get("forward")(p, x), x @ p["w"] + p["b"], atol=1e-6)


def test_a_layer_that_extends_a_stock_one(get, tmp_path):
    layer = get("MyLinear")(2, 2)
    assert isinstance(layer, nn.Linear)
    assert torch.allclose(layer(torch.zeros(1, 2)), layer.bias + 1)
    assert repr(layer).startswith("MyLinear(in_features=2")
    model = nn.Sequential(get("MyLinear")(2, 3), nn.ReLU())
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    torch.save(model.state_dict(), tmp_path / "w")
    assert nn.utils.parameters_to_vector(layer.parameters()).numel() == 6
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    layer.weight.data.mul_(2)
    assert torch.equal(layer(torch.ones(1, 2)), torch.full((1, 2), 5.0))
    layer.weight = nn.Parameter(torch.zeros(2, 2))
    assert torch.equal(layer(torch.ones(1, 2)), torch.ones(1, 2))
    layer.to(torch.float64)
    seen = []
    layer.register_forward_hook(lambda *given: seen.append(given[2]))
    assert layer(torch.ones(1, 2, dtype=torch.float64)).dtype == torch.float64
    assert len(seen) == 1
