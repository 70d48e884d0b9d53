"""The score of an answer's estimator, computed here from what it predicts: its own word for it does not count."""

from typing import Any

import numpy as np


def score(kind: str, estimator: Any, x: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy of a classifier's predictions, or the coefficient of determination of a regressor's.

    As ``ClassifierMixin.score`` and ``RegressorMixin.score`` of scikit-learn's do.
    """
    found = np.asarray(estimator.predict(x))
    if kind == "classifier":
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, found, sample_weight=sample_weight))
    from sklearn.metrics import r2_score

    return float(r2_score(y, found, sample_weight=sample_weight))
