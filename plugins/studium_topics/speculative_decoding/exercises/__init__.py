"""Exercises: keep or replace a drafted token, draft and check with two caches, and what a pass yields and costs."""

from .acceptance import acceptance
from .best_gamma import best_gamma
from .expected_tokens import expected_tokens
from .plan_drafts import plan_drafts
from .propose import propose
from .residual import residual
from .speculate import speculate
from .verify import verify
from .verify_among import verify_among

exercises = (
    acceptance,
    residual,
    verify,
    propose,
    speculate,
    expected_tokens,
    best_gamma,
    plan_drafts,
    verify_among,
)
