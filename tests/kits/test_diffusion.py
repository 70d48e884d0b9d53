import pytest
import torch
from studium_topics.kits.diffusion import UNet, digit_unet, linear_betas, timestep_embedding


def test_the_linear_schedule_is_that_of_diffusers():
    schedulers = pytest.importorskip("diffusers.schedulers")
    theirs = schedulers.DDPMScheduler(beta_schedule="linear").betas
    torch.testing.assert_close(linear_betas(1000).float(), theirs, rtol=1e-5, atol=0)


def test_a_shorter_schedule_destroys_as_much_and_stays_below_one():
    for timesteps in [5, 20, 100, 300]:
        betas = linear_betas(timesteps)
        assert betas.max() <= 0.999
        assert (1 - betas).prod() < 1e-4


def test_the_timestep_embedding_is_that_of_diffusers():
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    t = torch.tensor([0, 3, 999])
    theirs = embeddings.get_timestep_embedding(t, 32)
    torch.testing.assert_close(timestep_embedding(t, 32), theirs, rtol=1e-4, atol=1e-4)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def awake(model: UNet) -> UNet:
    """Return the network with a last convolution that is not 0."""
    torch.nn.init.normal_(model.leave[-1].weight, std=0.05, generator=torch.Generator().manual_seed(1))
    return model


def test_an_untrained_network_answers_0_in_the_shape_of_its_input():
    model = UNet(1000, channels=3, widths=(8, 16, 16))
    assert torch.equal(model(draw(2, 3, 16, 16), torch.tensor([0, 999])), torch.zeros(2, 3, 16, 16))


def test_the_answer_depends_on_the_level_of_each_row():
    model, x = awake(digit_unet(10)), draw(2, 1, 8, 8)
    low, high, mixed = (model(x, torch.tensor(t)) for t in ([0, 0], [9, 9], [0, 9]))
    assert (low - high).abs().max() > 1e-3
    torch.testing.assert_close(mixed, torch.stack([low[0], high[1]]))


def test_the_answer_depends_on_the_label_of_each_row_and_a_label_can_be_left_out():
    model, x, t = awake(digit_unet(10, classes=11)), draw(2, 1, 8, 8), torch.tensor([3, 3])
    three, seven, mixed = (model(x, t, torch.tensor(y)) for y in ([3, 3], [7, 7], [3, 7]))
    assert (three - seven).abs().max() > 1e-3
    torch.testing.assert_close(mixed, torch.stack([three[0], seven[1]]))
    assert (model(x, t) - three).abs().max() > 1e-3


def test_labels_for_a_network_without_classes_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="labels need a network that has classes, got one without: pass classes="):
        digit_unet(10)(draw(1, 1, 8, 8), torch.tensor([0]), torch.tensor([3]))


def test_a_seed_fixes_the_parameters_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    first, again, other = (digit_unet(10, seed=seed).enter.weight for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_bfloat16_and_channels_last_leave_the_answer_as_it_was():
    model, x, t = awake(UNet(1000, widths=(16, 32))).eval(), draw(2, 1, 16, 16), torch.tensor([10, 900])
    with torch.no_grad():
        expected = model(x, t)
        model = model.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            fast = model(x.to(memory_format=torch.channels_last), t)
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(fast.float(), expected, rtol=0.1, atol=0.1)
