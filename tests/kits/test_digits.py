import pytest
import torch
from sklearn.datasets import load_digits
from studium_topics.kits import digits


def test_images_are_the_digits_of_scikit_learn_from_minus_one_to_one_as_float32_with_a_channel():
    everything = digits.all_digits()
    assert everything.images.shape == (1797, 1, 8, 8)
    assert everything.images.dtype == torch.float32
    assert everything.labels.dtype == torch.long
    assert (everything.images.min().item(), everything.images.max().item()) == (-1.0, 1.0)
    restored = (digits.all_digits().images[:, 0] + 1) * 8
    assert torch.equal(restored.double(), torch.from_numpy(load_digits().images))


def test_the_halves_share_no_digit_have_every_digit_equally_often_and_are_the_same_each_time():
    generator_half, judge_half = digits.split()
    assert (len(generator_half), len(judge_half)) == (899, 898)
    both = torch.stack([judge_half.images, generator_half.images[:898]], 1).flatten(0, 1)
    assert torch.equal(both[1::2], digits.all_digits().images[0:1796:2])
    assert torch.equal(both[0::2], digits.all_digits().images[1::2])
    for half in digits.split():
        assert half.labels.bincount(minlength=10).min() >= 80
    assert torch.equal(digits.split()[0].images, digits.split()[0].images)


def test_the_judge_knows_the_generators_half_that_it_never_saw():
    generator_half, _ = digits.split()
    assert digits.judge().accuracy(generator_half.images, generator_half.labels) >= 0.985


def test_the_judge_is_at_chance_when_the_labels_are_shuffled():
    half, _ = digits.split()
    shuffled = half.labels[torch.randperm(len(half), generator=torch.Generator().manual_seed(0))]
    assert digits.judge().accuracy(half.images, shuffled) == pytest.approx(0.1, abs=0.05)


def test_the_judge_reads_flat_images_and_those_with_a_gradient_and_says_which_shape_it_needs():
    half, _ = digits.split()
    judge = digits.judge()
    expected = judge(half.images[:20])
    assert torch.equal(judge(half.images[:20].flatten(1).requires_grad_()), expected)
    with pytest.raises(ValueError, match=r"the judge needs images \(N, 1, 8, 8\) or \(N, 64\), got \(2, 1, 4, 4\)"):
        digits.judge()(torch.zeros(2, 1, 4, 4))
