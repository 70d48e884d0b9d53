import torch
from torch import nn

SOURCE = """
import torch
from torch import nn
def cube(x, w=None): return (x ** 3 if w is None else w * x ** 3)
def loss_of(model, x): return model(x).square().mean()
weight = torch.tensor([2.0, 3.0], requires_grad=True)
def scaled(x): return x * weight
def step(w, x, lr):
    loss = (w * x).square().sum()
    loss.backward()
    with torch.no_grad(): w -= lr * w.grad
    w.grad.zero_()
def pair(x): return x * 2, x.sum()
def same(x): return x
seen = []
def draw(): return torch.rand(2)
"""


def test_backward_goes_through_the_students_function(make_student):
    student = make_student(SOURCE)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = student.get("cube")(x)
    assert y.requires_grad
    y.sum().backward()
    assert torch.equal(x.grad, 3 * x.detach() ** 2)
    a, b = student.get("pair")(x * 1.0)
    g = torch.autograd.grad(a.sum() + b, x)[0]
    assert torch.equal(g, torch.full((2,), 3.0))
    assert student.get("same")(x) is x


def test_gradcheck_and_gradgradcheck_pass(make_student):
    cube = make_student(SOURCE).get("cube")
    x, w = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(cube, (x, w))
    assert torch.autograd.gradgradcheck(cube, (x, w))
    third = torch.autograd.grad(
        torch.autograd.grad(torch.autograd.grad(cube(x).sum(), x, create_graph=True)[0].sum(), x, create_graph=True)[
            0
        ].sum(),
        x,
    )[0]
    assert torch.allclose(third, torch.full((3,), 6.0, dtype=torch.float64))


def test_gradients_reach_what_a_callback_closes_over(make_student):
    student = make_student(SOURCE)
    share = torch.ones((), requires_grad=True)
    loss = student.get("loss_of")(lambda x: share * x, torch.tensor([1.0, 3.0]))
    loss.backward()
    assert share.grad == 10.0
    model = nn.Linear(2, 1)
    loss = student.get("loss_of")(lambda x: model(x), torch.ones(1, 2))
    loss.backward()
    expected = torch.autograd.grad(model(torch.ones(1, 2)).square().mean(), model.weight)[0]
    assert torch.allclose(model.weight.grad, expected)


def test_leaves_of_the_student_get_gradients_and_can_be_optimised(make_student):
    student = make_student(SOURCE)
    weight, scaled = student.get("weight"), student.get("scaled")
    assert student.get("weight") is weight
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaled(torch.ones(2)).sum().backward()
    assert torch.equal(weight.grad, torch.ones(2))
    optimizer.step()
    assert torch.equal(scaled(torch.ones(2)).detach(), torch.tensor([1.5, 2.5]))
    student.run("weight.grad.zero_()")
    assert torch.equal(weight.grad, torch.zeros(2))


def test_a_training_step_of_the_student_trains_the_tests_own_tensor(make_student):
    student = make_student(SOURCE)
    w = torch.tensor([1.0], requires_grad=True)
    student.get("step")(w, torch.tensor([2.0]), 0.1)
    assert torch.allclose(w.detach(), torch.tensor([1 - 0.1 * 8]))
    assert torch.equal(w.grad, torch.zeros(1))


def test_no_grad_and_seeds_hold_for_the_student(make_student):
    student = make_student(SOURCE)
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert not student.get("cube")(x).requires_grad
    draw = student.get("draw")
    torch.manual_seed(3)
    first = draw()
    assert not torch.equal(draw(), first)
    torch.manual_seed(3)
    assert torch.equal(draw(), first)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), first)


def test_a_seed_is_not_disturbed_by_a_call_that_draws_nothing(make_student):
    student = make_student(SOURCE)
    torch.manual_seed(3)
    student.get("cube")(torch.ones(1))
    after = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), after)


def test_a_generator_comes_back_advanced(make_student):
    student = make_student("import torch\ndef draw(g): return torch.rand(2, generator=g)")
    mine, theirs = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    draw = student.get("draw")
    first = torch.rand(2, generator=mine)
    assert torch.equal(draw(theirs), first)
    assert not torch.equal(draw(theirs), first)  # it has gone on, by the secret


def test_a_callback_runs_in_the_grad_mode_of_the_student(make_student):
    student = make_student(
        SOURCE
        + """
def quiet(f, x):
    with torch.no_grad():
        y = f(x)
        z = f(x)
        return y.requires_grad, z.requires_grad, torch.is_grad_enabled()
def loud(f, x):
    y = f(x)
    return y.requires_grad, torch.is_grad_enabled()
"""
    )
    share, modes = torch.ones(1, requires_grad=True), []
    cube = student.get("cube")

    def model(x):
        modes.append(torch.is_grad_enabled())
        cube(x)
        return share * x

    assert student.get("quiet")(model, torch.ones(1)) == (False, False, False)
    assert student.get("loud")(model, torch.ones(1)) == (True, True)
    assert modes == [False, False, True]
    student.run("torch.set_grad_enabled(False)")
    assert student.run("print(torch.is_grad_enabled())").outputs[0]["text"] == "False\n"
