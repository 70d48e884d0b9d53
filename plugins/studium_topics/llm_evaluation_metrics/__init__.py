"""Evaluation metrics for language models: what each one counts, and how sure a score is."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="llm-evaluation-metrics",
        title="Evaluation metrics for LLMs",
        track="Adapting and using LLMs",
        summary="Count what BLEU, pass@k and likelihood ranking count, and find out how many items a verdict takes.",
        package=__name__,
        papers=(
            Paper("BLEU: a Method for Automatic Evaluation of Machine Translation", 2002),
            Paper("A Call for Clarity in Reporting BLEU Scores", 2018, "1804.08771"),
            Paper("Language Models are Few-Shot Learners", 2020, "2005.14165"),
            Paper("The Pile: An 800GB Dataset of Diverse Text for Language Modeling", 2021, "2101.00027"),
            Paper("Evaluating Large Language Models Trained on Code", 2021, "2107.03374"),
            Paper(
                "Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations", 2024, "2411.00640"
            ),
            Paper("On Calibration of Modern Neural Networks", 2017, "1706.04599"),
            Paper("Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", 2023, "2306.05685"),
        ),
        needs=("decoder-only",),
        minutes=145,
        order=18,
    )
