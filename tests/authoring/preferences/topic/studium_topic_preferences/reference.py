"""DPO as its paper writes it (Rafailov et al. 2023, equation 7)."""

import torch


def answer_score(logits: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the log-probability (batch,) of each answer."""
    each = torch.distributions.Categorical(logits=logits).log_prob(tokens)
    return torch.where(mask, each, torch.zeros_like(each)).sum(-1)


def dpo_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    reference_chosen: torch.Tensor,
    reference_rejected: torch.Tensor,
    beta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss, and the margin (batch,) of each pair."""
    rewards = [beta * (chosen - reference_chosen), beta * (rejected - reference_rejected)]
    return torch.nn.functional.softplus(rewards[1] - rewards[0]).mean(), rewards[0] - rewards[1]
