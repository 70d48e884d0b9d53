import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=14,
    importance=2,
    hints=(
        "Out of the answers that a model gives with a confidence of about 0.8, how many should be correct?",
        "Sort the answers into bins by confidence. A bin's error is the gap between its share of correct answers and "
        "its mean confidence, weighted by the number of answers in it.",
        "A confidence in (i / bins, (i + 1) / bins] belongs to bin i, counted from 0.",
        "`torch.ceil(confidence * bins)` is one more than the bin; `.clamp(min=1)` handles a confidence of 0.",
    ),
    mutates_args=(),
)
def expected_calibration_error(confidence, correct, bins):
    """Return the expected calibration error of N answers.

    Bin i = 0, 1, … holds the answers with a confidence above i / bins and at most
    (i + 1) / bins; a confidence of 0 goes into bin 0. The gap of a bin is the absolute
    difference between its share of correct answers and its mean confidence. The result is
    the mean of the gaps, weighted by the number of answers in each bin.

    * confidence: (N,) numbers from 0 to 1
    * correct: (N,) booleans
    * bins: the number of bins
    * returns: a number
    """
    ### BEGIN SOLUTION
    which = torch.ceil(confidence * bins).clamp(min=1)
    total = 0.0
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gap = correct[inside].to(confidence.dtype).mean() - confidence[inside].mean()
            total += float(gap.abs() * inside.sum())
    return total / len(confidence)
    ### END SOLUTION


@expected_calibration_error.test("weighs the gaps of two bins by their answers", points=1)
def _(expected_calibration_error):
    confidence = torch.tensor([0.9, 0.7, 0.8, 0.95, 0.6, 0.3, 0.15], dtype=torch.float64)
    correct = torch.tensor([True, False, True, True, False, False, True])
    expected = 5 / 7 * abs(3 / 5 - (0.9 + 0.7 + 0.8 + 0.95 + 0.6) / 5) + 2 / 7 * abs(1 / 2 - (0.3 + 0.15) / 2)
    assert_close(float(expected_calibration_error(confidence, correct, 2)), expected, rtol=1e-5, message="two bins")


@expected_calibration_error.hidden("agrees with a count answer by answer, for any number of bins", points=2)
def _(expected_calibration_error, rng):
    for count, bins, power in ((200, 15, 1.0), (37, 10, 0.4), (400, 7, 2.0), (12, 20, 1.0), (90, 1, 0.3)):
        confidence = torch.rand(count, generator=rng, dtype=torch.float64) ** power
        correct = torch.rand(count, generator=rng, dtype=torch.float64) < confidence**2
        kept = confidence.clone(), correct.clone()
        found = float(expected_calibration_error(confidence, correct, bins))
        assert torch.equal(confidence, kept[0]), "confidence must stay as it is"
        assert torch.equal(correct, kept[1]), "correct must stay as it is"
        cells = {}
        for value, hit in zip(kept[0].tolist(), kept[1].tolist(), strict=True):
            place = next(i for i in range(bins) if value <= (i + 1) / bins)
            cells.setdefault(place, []).append(hit - value)
        expected = sum(abs(math.fsum(gaps)) for gaps in cells.values()) / count
        assert_close(found, expected, rtol=1e-5, atol=1e-7, message=f"{count} answers in {bins} bins")


@expected_calibration_error.hidden("puts a confidence on an edge into the lower bin, and 0 into the first", points=1)
def _(expected_calibration_error):
    for edges, hits, bins, expected in (
        ([0.5, 0.75, 1.0, 0.25], [1, 0, 0, 1], 4, (0.5 + 0.75 + 1.0 + 0.75) / 4),
        ([0.25, 0.5, 0.375, 0.5], [0, 1, 1, 0], 2, abs(2 - 1.625) / 4),
        ([0.0, 0.125, 0.25, 1.0], [1, 0, 0, 1], 4, abs(1 - 0.375) / 4),
    ):
        found = float(
            expected_calibration_error(torch.tensor(edges, dtype=torch.float64), torch.tensor(hits).bool(), bins)
        )
        assert_close(found, expected, atol=1e-6, message=f"confidences {edges} in {bins} bins")


@expected_calibration_error.misconception(
    "You averaged the gaps without weights, so a bin with one answer counts as much as a bin with a thousand; weight "
    "each gap by its number of answers.",
    name="unweighted-bins",
)
def _(confidence, correct, bins):
    which, gaps = torch.ceil(confidence * bins).clamp(min=1), []
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gaps.append(float((correct[inside].double().mean() - confidence[inside].mean()).abs()))
    return sum(gaps) / len(gaps)


@expected_calibration_error.misconception(
    "You compared with the middle of each bin; compare with the mean confidence of the answers in it.",
    name="middle-of-the-bin",
)
def _(confidence, correct, bins):
    which, total = torch.ceil(confidence * bins).clamp(min=1), 0.0
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            total += float((correct[inside].double().mean() - (number - 0.5) / bins).abs() * inside.sum())
    return total / len(confidence)


@expected_calibration_error.misconception(
    "You took the largest gap, which is the maximum calibration error; take the weighted mean of the gaps.",
    name="largest-gap",
)
def _(confidence, correct, bins):
    which, gaps = torch.ceil(confidence * bins).clamp(min=1), []
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gaps.append(float((correct[inside].double().mean() - confidence[inside].mean()).abs()))
    return max(gaps)


@expected_calibration_error.misconception(
    "You compared each answer with its own confidence, but a right answer with a confidence of 70 % is not an error "
    "of 0.3. Only a group of answers can be calibrated; compare within each bin.",
    name="answer-by-answer",
)
def _(confidence, correct, bins):
    return float((correct.double() - confidence).abs().mean())


@expected_calibration_error.misconception(
    "You let gaps of opposite sign cancel; take the absolute value of each bin's gap.", name="signs-cancel"
)
def _(confidence, correct, bins):
    return abs(float(correct.double().mean() - confidence.mean()))


@expected_calibration_error.misconception(
    "You put a confidence on an edge into the bin above it; a bin contains its upper end, not its lower one.",
    name="lower-edges",
)
def _(confidence, correct, bins):
    which, total = torch.floor(confidence * bins).clamp(max=bins - 1), 0.0
    for number in range(bins):
        inside = which == number
        if inside.any():
            gap = correct[inside].double().mean() - confidence[inside].mean()
            total += float(gap.abs() * inside.sum())
    return total / len(confidence)


@expected_calibration_error.also_correct
def _(confidence, correct, bins):
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype)[1:-1]
    which = torch.bucketize(confidence, edges)
    gaps = torch.zeros(bins, dtype=confidence.dtype).index_add_(0, which, correct.to(confidence.dtype) - confidence)
    return gaps.abs().sum() / len(confidence)


@expected_calibration_error.also_correct
def _(confidence, correct, bins):
    total = 0.0
    for i in range(bins):
        above = confidence > i / bins if i else confidence >= 0
        inside = above & (confidence <= (i + 1) / bins)
        if int(inside.sum()):
            total += abs(correct[inside].sum().item() - confidence[inside].sum().item())
    return total / confidence.numel()


expected_calibration_error.equivalent("for number in range(0, bins + 1):", "no answer is in a bin before the first")


expected_calibration_error.equivalent("for number in range(1, bins + 2):", "no answer is in a bin after the last")


expected_calibration_error.equivalent(
    "total += (gap.abs() * inside.sum())", "the sum is a tensor then, which is a number too"
)
