# %% [markdown]
# # Evaluation metrics for LLMs

# %% exercise="perplexity_and_bits"
from studium_topics.llm_evaluation_metrics.exercises import perplexity_and_bits

# %% exercise="bleu_counts"
from studium_topics.llm_evaluation_metrics.exercises import bleu_counts

# %% exercise="bleu"
from studium_topics.llm_evaluation_metrics.exercises import bleu

# %% exercise="choice_logprobs"
from studium_topics.llm_evaluation_metrics.exercises import choice_logprobs

# %% exercise="pass_at_k"
from studium_topics.llm_evaluation_metrics.exercises import pass_at_k

# %% exercise="paired_interval"
from studium_topics.llm_evaluation_metrics.exercises import paired_interval

# %% exercise="evaluate"
from studium_topics.llm_evaluation_metrics.exercises import evaluate

# %% exercise="expected_calibration_error"
from studium_topics.llm_evaluation_metrics.exercises import expected_calibration_error
