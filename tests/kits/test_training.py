import pytest
import torch
from studium_topics.kits.training import train
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR


def target_loss(parameter, noise=0.0):
    def loss(generator):
        return ((parameter - 3 + noise * torch.randn(2, generator=generator)) ** 2).mean()

    return loss


def fresh():
    return nn.Parameter(torch.zeros(2))


def test_the_loss_falls_and_its_whole_history_comes_back():
    for schedule in ["cosine", "onecycle", "constant"]:
        parameter = fresh()
        history = train([parameter], target_loss(parameter), 150, 0.1, schedule=schedule)
        assert len(history) == 150
        assert history[0] == pytest.approx(9.0)
        assert history[-1] < 0.05


def test_weights_equal_those_of_adam_with_a_cosine_written_out():
    mine, theirs = fresh(), fresh()
    train([mine], target_loss(mine), 20, 0.1)
    optimizer = torch.optim.Adam([theirs], lr=0.1)
    scheduler = CosineAnnealingLR(optimizer, T_max=20)
    for _ in range(20):
        optimizer.zero_grad()
        target_loss(theirs)(None).backward()
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(mine, theirs)


def test_weights_equal_those_of_one_cycle_with_decay_and_clipping_written_out():
    mine, theirs = fresh(), fresh()
    train([mine], target_loss(mine), 20, 0.1, schedule="onecycle", weight_decay=0.3, clip=3.5)
    optimizer = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.3)
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
    for _ in range(20):
        optimizer.zero_grad()
        target_loss(theirs)(None).backward()
        nn.utils.clip_grad_norm_([theirs], 3.5)  # at first only: Adam cannot feel a constant factor
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(mine, theirs)


def test_very_short_runs_work_with_every_schedule():
    for steps in [1, 2, 3, 7]:
        for schedule in ["cosine", "onecycle", "constant"]:
            parameter = fresh()
            assert len(train([parameter], target_loss(parameter), steps, 0.1, schedule=schedule)) == steps


def test_a_seed_decides_the_batches():
    def run(seed):
        parameter = fresh()
        return train([parameter], target_loss(parameter, noise=1.0), 10, 0.1, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_seed_decides_dropout_whatever_the_global_state_was():
    def run(before):
        torch.manual_seed(before)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.1)
        return train(model, lambda generator: model(torch.ones(3, 4)).square().mean(), 5, 0.01)

    assert run(1) == run(2)


def test_the_global_random_state_is_left_as_found():
    state, parameter = torch.get_rng_state(), fresh()
    train([parameter], lambda generator: (parameter * torch.rand(2)).square().mean(), 5, 0.1)
    assert torch.equal(torch.get_rng_state(), state)


def test_frozen_parameters_stay_and_modes_are_put_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    model.eval()
    model[2].train()
    modes, frozen = [m.training for m in model.modules()], model[0].weight.clone()
    seen = []

    def loss(generator):
        seen.append(model[1].training)
        return model(torch.ones(1, 2)).square().mean()

    train(model, loss, 3, 0.1)
    assert seen == [True] * 3
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(model[0].weight, frozen)


def test_the_hook_is_called_after_each_step_with_its_number():
    parameter, seen = fresh(), []
    train([parameter], target_loss(parameter), 4, 0.1, after_step=lambda step: seen.append((step, parameter[0].item())))
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert seen[0][1] == pytest.approx(0.1)


def test_a_terminal_sees_the_description_and_nobody_else_sees_anything(capsys, monkeypatch):
    parameter = fresh()
    train([parameter], target_loss(parameter), 3, 0.1, description="fitting")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    parameter = fresh()
    train([parameter], target_loss(parameter), 3, 0.1, description="fitting")
    assert "fitting" in capsys.readouterr().err
    train([parameter], target_loss(parameter), 3, 0.1, description="fitting", quiet=True)
    assert capsys.readouterr() == ("", "")


def test_bf16_and_compile_change_nothing_on_the_cpu():
    first, second = nn.Linear(3, 1), nn.Linear(3, 1)
    second.load_state_dict(first.state_dict())
    x = torch.ones(4, 3)
    plain = train(first, lambda generator: first(x).square().mean(), 5, 0.1)
    assert train(second, lambda generator: second(x).square().mean(), 5, 0.1, bf16=True, compile=True) == plain


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("options", [{}, {"bf16": True}, {"compile": True}])
def test_training_works_on_cuda_and_leaves_its_random_state(options):
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.Linear(16, 1)).cuda()
    state = torch.cuda.get_rng_state()
    history = train(model, lambda g: model(torch.randn(32, 4, generator=g).cuda()).square().mean(), 30, 0.01, **options)
    assert history[-1] < history[0]
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_a_wrong_argument_is_answered_by_one_sentence():
    for options, message in [
        ({"steps": 0}, "steps needs to be at least 1, got 0"),
        ({"schedule": "linear"}, "schedule needs to be one of cosine, onecycle, constant, got 'linear'"),
        ({"model": [torch.zeros(2)]}, "training needs a tensor with requires_grad=True, got none"),
        ({"loss_fn": lambda generator: fresh() * 2}, r"loss_fn needs to return one number, got shape \(2,\)"),
        ({"loss_fn": lambda generator: fresh().sum() / 0}, "the loss needs to stay finite, got nan by step 0"),
    ]:
        parameter = fresh()
        arguments = {"model": [parameter], "loss_fn": target_loss(parameter), "steps": 3, "lr": 0.1} | options
        with pytest.raises(ValueError, match=message):
            train(**arguments)
