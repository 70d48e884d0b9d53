from collections.abc import Sequence

import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=8,
    hints=(
        "If FID falls like a + b / N, over which variable is it a straight line?",
        "Fit a line over 1 / N with the least squared error. For infinitely many images, 1 / N is 0.",
        "Two lists of the same length become one number, the intercept.",
        "`numpy.polyfit` returns the slope first; or divide the covariance with 1 / N by the variance of 1 / N to get "
        "the slope.",
    ),
    level="warm-up",
    importance=2,
    kind="measure",
)
def fid_inf(counts: Sequence[int], fids: Sequence[float]) -> float:
    """Return the FID that infinitely many images would have, estimated from FIDs of fewer images.

    With N images the expected FID is about a + b / N. Fit this to all measurements by least squares.

    * counts: numbers of images N, at least two of them different, in any order
    * fids: the FID at each of them
    * returns: a float
    """
    ### BEGIN SOLUTION
    share = 1 / torch.tensor(counts, dtype=torch.float64)
    fid = torch.tensor(fids, dtype=torch.float64)
    spread = share - share.mean()
    slope = (spread * fid).sum() / spread.square().sum()
    return float(fid.mean() - slope * share.mean())
    ### END SOLUTION


fid_inf.equivalent("share = 2 / torch.tensor(counts, dtype=torch.float64)", "a scaled axis changes the slope alone")


fid_inf.equivalent("share = 1 / torch.tensor(counts)", "single precision is enough")


fid_inf.equivalent("share = 1 / torch.tensor(counts, dtype=torch.float32)", "single precision is enough")


fid_inf.equivalent("fid = torch.tensor(fids)", "single precision is enough")


fid_inf.equivalent("fid = torch.tensor(fids, dtype=torch.float32)", "single precision is enough")


fid_inf.equivalent("return (fid.mean() - slope * share.mean())", "a tensor of one number is a number")


fid_inf.equivalent("return (np.polyfit([1 / count for count in counts], fids, 1)[-1])", "a NumPy number is a number")


@fid_inf.test("goes on along the line over 1 / N", points=1)
def _(fid_inf):
    assert_close(fid_inf([100, 50, 400], [8.0, 13.0, 4.25]), 3.0, rtol=1e-5, atol=1e-5, message="3 + 500 / N")


@fid_inf.hidden("fits all measurements with the least squared error, in any order", points=1)
def _(fid_inf, rng):
    assert_close(fid_inf([100, 50], [4.5, 9.5]), -0.5, rtol=1e-5, atol=1e-5, message="-0.5 + 500 / N, below zero")
    for size in (2, 5, 9):
        counts = (torch.randperm(60, generator=rng)[:size] * 37 + 50).tolist()
        noise = torch.randn(size, generator=rng, dtype=torch.float64)
        fids = [4 + 900 / count + float(extra) for count, extra in zip(counts, noise, strict=True)]
        rows = torch.tensor([[1.0, 1 / count] for count in counts], dtype=torch.float64)
        expected = torch.linalg.lstsq(rows, torch.tensor(fids, dtype=torch.float64)[:, None]).solution[0]
        assert_close(fid_inf(counts, fids), float(expected), rtol=1e-4, atol=1e-4, message=f"{size} noisy measurements")


@fid_inf.misconception(
    "You fitted a line over N, which goes below 0 further on; the bias falls like 1 / N, so fit over 1 / N.",
    name="line-over-n",
)
def _(counts, fids):
    n, fid = torch.tensor(counts, dtype=torch.float64), torch.tensor(fids, dtype=torch.float64)
    spread = n - n.mean()
    return float(fid.mean() - (spread * fid).sum() / spread.square().sum() * n.mean())


@fid_inf.misconception(
    "You returned the slope, which says how fast the bias falls; return the intercept, the FID without the bias.",
    name="slope",
)
def _(counts, fids):
    share, fid = 1 / torch.tensor(counts, dtype=torch.float64), torch.tensor(fids, dtype=torch.float64)
    spread = share - share.mean()
    return float((spread * fid).sum() / spread.square().sum())


@fid_inf.misconception(
    "You took the FID of the largest number of images; it still contains a bias of b / N.", name="largest-n"
)
def _(counts, fids):
    return float(fids[max(range(len(counts)), key=counts.__getitem__)])


@fid_inf.also_correct
def _(counts, fids):
    import numpy as np

    return float(np.polyfit([1 / count for count in counts], fids, 1)[-1])


@fid_inf.also_correct
def _(counts, fids):
    rows = torch.stack([torch.ones(len(counts)), 1 / torch.tensor(counts)], 1).double()
    return torch.linalg.lstsq(rows, torch.tensor(fids).double()[:, None]).solution[0].item()
