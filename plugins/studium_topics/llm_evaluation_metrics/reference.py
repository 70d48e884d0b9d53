"""The metrics in full, on the CPU and on CUDA.

Beside the exercises' functions: ranking many items in one padded forward pass, with bf16 autocast and torch.compile on
CUDA, and a bootstrap whose draws are one matrix product.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from studium_topics.llm_evaluation_metrics.items import Choice, Model, Writing
from studium_topics.llm_evaluation_metrics.surface import grams

Score = Callable[[Sequence[float]], float]
LEVEL = 0.95


def perplexity_and_bits(losses: Tensor, real: Tensor, texts: Sequence[str]) -> tuple[float, float]:
    """Return perplexity per token and bits per UTF-8 byte of losses (B, T) in nats where real (B, T) is True."""
    nats = losses.double().masked_fill(~real, 0.0).sum().item()
    size = sum(len(text.encode()) for text in texts)
    return math.exp(nats / real.sum().item()), nats / (size * math.log(2))


def bleu_counts(hyp: Sequence[str], refs: Sequence[Sequence[str]], max_n: int) -> list[int]:
    """Return [c, r, m_1, t_1, …, m_N, t_N] of one hypothesis (Papineni et al. 2002, section 2.1)."""
    _, nearest = min((abs(len(ref) - len(hyp)), len(ref)) for ref in refs)
    counts = [len(hyp), nearest]
    for n in range(1, max_n + 1):
        most: Counter[tuple[str, ...]] = Counter()
        for ref in refs:
            most |= grams(ref, n)
        counts += [(grams(hyp, n) & most).total(), max(0, len(hyp) - n + 1)]
    return counts


def bleu(counts: Sequence[float]) -> float:
    """Return BLEU, 0 to 100, of summed counts, without smoothing (Papineni et al. 2002, section 2.3)."""
    hypothesis, reference, *pairs = (float(count) for count in counts)
    matches, totals = pairs[::2], pairs[1::2]
    if not all(matches):
        return 0.0
    precision = math.prod(match / total for match, total in zip(matches, totals, strict=True)) ** (1 / len(matches))
    return 100 * precision * math.exp(min(0.0, 1 - reference / hypothesis))


def choice_logprobs(model: Model, context: Tensor, choices: Sequence[Tensor]) -> Tensor:
    """Return ln p(choice | context) of each choice, as (n,), from one forward pass."""
    item = Choice(context, tuple(choices), (0,) * len(choices), 0)
    return rank_items(model, [item])[0]


def rank_items(
    model: Model,
    items: Sequence[Choice],
    *,
    bf16: bool = False,
    compile: bool = False,  # noqa: A002 - torch's own word for it
) -> list[Tensor]:
    """Return the log-probabilities (n,) of the choices of each item; all rows go through the model together.

    Rows are padded on the right, which a causal model does not see. bf16 and compile do nothing on the CPU. Compiling
    pays from some hundreds of batches of equal shape on.
    """
    rows = [torch.cat([item.context, choice]) for item in items for choice in item.choices]
    starts = [len(item.context) for item in items for _ in item.choices]
    ids = pad_sequence(rows, batch_first=True)  # (R, T)
    cuda = ids.device.type == "cuda"
    forward = torch.compile(model) if compile and cuda else model
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16 and cuda):
        logits = forward(ids[:, :-1])
    wide = logits if logits.dtype == torch.float64 else logits.float()
    logprobs = wide.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]  # (R, T - 1): of token t + 1 in column t
    place = torch.arange(logprobs.shape[1], device=ids.device)
    first, last = (torch.tensor(edge, device=ids.device)[:, None] for edge in (starts, [len(row) for row in rows]))
    sums = logprobs.masked_fill((place < first - 1) | (place >= last - 1), 0.0).sum(-1)
    return list(sums.split([len(item.choices) for item in items]))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k from c correct of n samples (Chen et al. 2021, equation 1)."""
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def paired_interval(
    a: Tensor, b: Tensor, score: Score, draws: int, generator: torch.Generator
) -> tuple[float, float, float]:
    """Return the lead of b over a (N, K), and its 95 % interval by the paired bootstrap (Koehn 2004).

    The draws are one product of counts (draws, N) with both tables of statistics.
    """
    picked = torch.randint(len(a), (draws, len(a)), generator=generator, device=generator.device).to(a.device)
    weights = torch.zeros(draws, len(a), dtype=torch.float64, device=a.device)
    weights.scatter_add_(1, picked, torch.ones_like(weights))
    tables = [(weights @ table.double()).tolist() for table in (a, b)]
    leads = torch.tensor([score(right) - score(left) for left, right in zip(*tables, strict=True)], dtype=torch.float64)
    tail = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = leads.quantile(tail).tolist()
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), low, high


def evaluate(
    models: Mapping[str, Model],
    tasks: Mapping[str, Sequence[Choice | Writing]],
    draws: int,
    generator: torch.Generator,
) -> list[dict[str, str | float]]:
    """Return one row for each task and model: score, lead over the first model, its interval, and a verdict."""
    report: list[dict[str, str | float]] = []
    for task, items in tasks.items():
        size = len(items)
        values = {name: torch.tensor([[_value(model, item)] for item in items]) for name, model in models.items()}
        first, *others = values

        def mean(sums: Sequence[float], size: int = size) -> float:
            return sums[0] / size

        report.append(_row(task, first, values[first], (0.0, 0.0, 0.0), "baseline"))
        for name in others:
            lead = paired_interval(values[first], values[name], mean, draws, generator)
            report.append(_row(task, name, values[name], lead, _verdict(*lead[1:])))
    return report


def _value(model: Model, item: Choice | Writing) -> float:
    if isinstance(item, Writing):
        return pass_at_k(item.samples, item.count_correct(model), item.k)
    lengths = [len(choice) for choice in item.choices]
    scores = choice_logprobs(model, item.context, item.choices).cpu() / torch.tensor(lengths)
    return float(scores.argmax() == item.answer)


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


def _row(
    task: str, model: str, values: Tensor, lead: tuple[float, float, float], verdict: str
) -> dict[str, str | float]:
    score = values.double().mean().item()
    numbers = dict(zip(("lead", "low", "high"), lead, strict=True))
    return {"task": task, "model": model, "score": score, **numbers, "verdict": verdict}


def expected_calibration_error(confidence: Tensor, correct: Tensor, bins: int) -> float:
    """Return the ECE of confidences (N,) with bins open below and closed above (Guo et al. 2017, equation 3)."""
    edges = torch.arange(1, bins, dtype=torch.float64, device=confidence.device) / bins
    which = torch.bucketize(confidence.double(), edges)
    gaps = correct.double() - confidence.double()
    sums = torch.zeros(bins, dtype=torch.float64, device=confidence.device).index_add_(0, which, gaps)
    return (sums.abs().sum() / len(confidence)).item()
