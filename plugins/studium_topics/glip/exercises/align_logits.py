import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=8,
    importance=3,
    hints=(
        "What is a linear classifier's logit for one class, and what replaces its row of weights here?",
        "Dot products of all regions with all words, times the scale, plus the bias. Which number has probability 0 "
        "after a sigmoid?",
        "(B, N, d) and (B, M, d) give (B, N, M). The mask (B, M) has no axis for regions: add one.",
        "`regions @ words.mT` multiplies within each image, and `x.masked_fill(~mask[:, None], -math.inf)` fills.",
    ),
)
def align_logits(regions, words, log_scale, bias, mask):
    """Return the logit of each region with each token of its image's caption.

    A logit is the dot product of the two vectors, as they are, times exp(log_scale), plus the bias.
    A place without a token has the logit −∞ for every region, which gives it the probability 0.
    Gradients have to reach the first four arguments; all stay as they are.

    * regions (B, N, d), words (B, M, d)
    * log_scale, bias: learned tensors with one number each
    * mask (B, M): true where there is a token, else false
    * returns: (B, N, M)
    """
    ### BEGIN SOLUTION
    logits = log_scale.exp() * regions @ words.mT + bias
    return logits.masked_fill(~mask[:, None], -math.inf)
    ### END SOLUTION


@align_logits.test("scales dot products, adds the bias, and leaves padding no chance", points=1)
def _(align_logits):
    regions = torch.tensor([[[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]])
    words = torch.tensor([[[2.0, 1.0], [9.0, 9.0]]])
    found = align_logits(regions, words, torch.tensor(math.log(0.5)), torch.tensor(-3.0), torch.tensor([[True, False]]))
    expected = torch.tensor([[[-1.0, -math.inf], [-3.5, -math.inf], [0.25, -math.inf]]])
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@align_logits.hidden("is a linear layer whose rows are the words", points=2)
def _(align_logits, rng):
    for batch, count, tokens, size, log_scale, bias in (
        (3, 5, 4, 6, 0.8, -1.5),
        (2, 3, 7, 2, -1.2, 0.4),
        (1, 2, 3, 4, 5.2, 0.1),
    ):
        regions = torch.randn(batch, count, size, generator=rng, dtype=torch.float64)
        words = torch.randn(batch, tokens, size, generator=rng, dtype=torch.float64)
        mask = torch.rand(batch, tokens, generator=rng) < 0.7
        mask[:, 0], mask[0, -1] = True, False
        kept = regions.clone(), words.clone(), mask.clone()
        given = torch.tensor(log_scale, dtype=torch.float64), torch.tensor(bias, dtype=torch.float64)
        found = align_logits(regions, words, *given, mask)
        expected = torch.full((batch, count, tokens), -math.inf, dtype=torch.float64)
        for row in range(batch):
            layer = F.linear(regions[row], words[row] * math.exp(log_scale), torch.full((tokens,), bias).double())
            expected[row] = torch.where(mask[row], layer, expected[row])
        what = f"for B={batch}, N={count}, M={tokens}, d={size}, log_scale={log_scale} and bias={bias}"
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        for name, now, before in zip(("regions", "words", "mask"), (regions, words, mask), kept, strict=True):
            assert torch.equal(now, before), f"{name} must stay as it is"


@align_logits.hidden("lets gradients reach regions, words, scale and bias", points=1)
def _(align_logits, rng):
    regions, words = (torch.randn(2, size, 3, generator=rng, dtype=torch.float64).requires_grad_() for size in (4, 5))
    log_scale, bias = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.6, -0.9))
    mask = torch.tensor([[True, True, True, True, False], [True, True, False, False, False]])
    probabilities = align_logits(regions, words, log_scale, bias, mask).sigmoid()
    assert probabilities.requires_grad, "gradients must reach the arguments: leave `detach` and `no_grad` away"
    inputs = regions, words, log_scale, bias
    found = torch.autograd.grad(probabilities.square().sum(), inputs, allow_unused=True)
    expected = (torch.einsum("bnd,bmd->bnm", regions, words) * log_scale.exp() + bias).sigmoid() * mask[:, None]
    wanted = torch.autograd.grad(expected.square().sum(), inputs)
    for name, gradient, right in zip(("regions", "words", "log_scale", "bias"), found, wanted, strict=True):
        assert gradient is not None, f"no gradient reaches {name}: it must stay a tensor, without `item` or `float`"
        assert_close(gradient, right, rtol=1e-6, atol=1e-6, message=f"the gradient of {name}, of Σ probability²")


align_logits.mistake(
    "cosines",
    "You took cosines, as CLIP does; take dot products. In GLIP the length of a region's vector tells you how sure the "
    "model is that there is anything at all, and dividing by it removes this.",
    replace="log_scale.exp() * regions @ words.mT",
    by="log_scale.exp() * F.normalize(regions, dim=-1) @ F.normalize(words, dim=-1).mT",
)

align_logits.mistake(
    "divided-by-the-scale",
    "You divided by exp(log_scale); multiply by it, because it is already the inverse of a temperature.",
    replace="log_scale.exp() * regions @ words.mT",
    by="regions @ words.mT / log_scale.exp()",
)

align_logits.mistake(
    "multiplied-by-log-scale",
    "You multiplied by log_scale; take its exp first, because it is the logarithm of the scale.",
    replace="log_scale.exp()",
    by="log_scale",
)

align_logits.mistake(
    "padding-at-zero",
    "You gave padding the logit 0, which a sigmoid turns into a probability of one half; use −∞, which has the "
    "probability 0.",
    replace="-math.inf",
    by="0.0",
)


@align_logits.misconception(
    "You did not use the mask; set the logits of places without a token to −∞, because those places have vectors too, "
    "and regions would be compared with them.",
    name="ignored-the-mask",
)
def _(regions, words, log_scale, bias, mask):
    return log_scale.exp() * regions @ words.mT + bias


align_logits.mistake(
    "mask-upside-down",
    "You masked the tokens and kept the padding. True marks a token, so put −∞ where the mask is False.",
    replace="~mask[:, None]",
    by="mask[:, None]",
)

align_logits.mistake(
    "bias-scaled",
    "You added the bias before scaling; add it afterwards, because the scale multiplies only the dot product.",
    replace="log_scale.exp() * regions @ words.mT + bias",
    by="log_scale.exp() * (regions @ words.mT + bias)",
)


@align_logits.misconception(
    "You left the bias out; add it, because most regions show nothing that the caption names, and the bias makes their "
    "probabilities start near 0.",
    name="no-bias",
)
def _(regions, words, log_scale, bias, mask):
    return (log_scale.exp() * regions @ words.mT).masked_fill(~mask[:, None], -math.inf)


@align_logits.also_correct
def _(regions, words, log_scale, bias, mask):
    products = torch.einsum("bnd,bmd->bnm", regions, words)
    return torch.where(mask.unsqueeze(1), products * torch.exp(log_scale) + bias, -torch.inf)


@align_logits.also_correct
def _(regions, words, log_scale, bias, mask):
    pairs = (regions[:, :, None, :] * words[:, None, :, :]).sum(-1)
    padding = torch.zeros(mask.shape, dtype=pairs.dtype, device=pairs.device)
    padding[~mask] = -math.inf
    return pairs * log_scale.exp() + bias + padding[:, None]
