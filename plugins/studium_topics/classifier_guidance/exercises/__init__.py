"""The exercises of classifier guidance: a noise-aware classifier, its gradient, two guided steps, a sampler, a report.

Conventions (as in the topic ddpm): t = 0..T-1, abar_t = prod_{s<=t} (1 - beta_s), x_t = sqrt(abar_t) x0 +
sqrt(1 - abar_t) eps. A classifier is called as classifier(x, t), with one t for each row, and returns logits (B, C).
The scale s multiplies the gradient of log p(y | x_t): 0 is unguided, and 1 is Bayes' rule. Source: Dhariwal and Nichol
2021, arXiv 2105.05233, algorithms 1 and 2.
"""

from .class_gradient import class_gradient
from .class_report import class_report
from .guide_eps import guide_eps
from .guided_sample import guided_sample
from .guided_step import guided_step
from .noisy_classifier_loss import noisy_classifier_loss
from .train_classifier import train_classifier

exercises = (
    noisy_classifier_loss,
    train_classifier,
    class_gradient,
    guide_eps,
    guided_step,
    guided_sample,
    class_report,
)
