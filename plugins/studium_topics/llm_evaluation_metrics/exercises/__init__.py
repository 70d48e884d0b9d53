"""The exercises: bits per byte, BLEU, ranking by likelihood, pass@k, intervals, a harness, grades, and calibration."""

from .bleu import bleu
from .bleu_counts import bleu_counts
from .choice_logprobs import choice_logprobs
from .evaluate import evaluate
from .expected_calibration_error import expected_calibration_error
from .few_grades import few_grades
from .paired_interval import paired_interval
from .pass_at_k import pass_at_k
from .perplexity_and_bits import perplexity_and_bits

exercises = (
    perplexity_and_bits,
    bleu_counts,
    bleu,
    choice_logprobs,
    pass_at_k,
    paired_interval,
    evaluate,
    few_grades,
    expected_calibration_error,
)
