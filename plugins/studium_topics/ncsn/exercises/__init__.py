"""The exercises: exact score, Langevin dynamics, a ladder of levels, annealing, score matching, training, step sizes.

Conventions (Song and Ermon 2019, arXiv 1907.05600): noise is added as x0 + sigma z with z ~ N(0, I), nothing is shrunk;
a score is the gradient of a log density with respect to x; a model is called as score(x, sigma) with one sigma for each
row; a Langevin step of size a is x + a/2 score + sqrt(a) z.
"""

from .annealed_langevin import annealed_langevin
from .dsm_loss import dsm_loss
from .gmm_score import gmm_score
from .langevin import langevin
from .settled_variance import settled_variance
from .sigma_ladder import sigma_ladder
from .train_scores import train_scores
from .tweedie import tweedie

exercises = (
    gmm_score,
    langevin,
    sigma_ladder,
    annealed_langevin,
    dsm_loss,
    tweedie,
    train_scores,
    settled_variance,
)
