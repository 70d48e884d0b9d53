# %% [markdown]
# # Learning from examples
#
# Exercises whose answers are estimators of scikit-learn's.

# %% given="estimators-setup"
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_iris(return_X_y=True)
seen, unseen = np.arange(0, 150, 2), np.arange(1, 150, 2)

# %% answer="train"
def train(X, y):
    """Give a classifier that is fitted to examples."""
    ### BEGIN SOLUTION
    return LogisticRegression(max_iter=1000).fit(X, y)
    ### END SOLUTION

# %% test="train-score" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert train(X[seen], y[seen]).score(X[unseen], y[unseen]) > 0.9
### END HIDDEN TESTS

# %% test="train-counted" points=2
from sklearn.metrics import accuracy_score
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert accuracy_score(y[unseen], train(X[seen], y[seen]).predict(X[unseen])) > 0.9
### END HIDDEN TESTS

# %% test="train-folds" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert cross_val_score(train(X, y), X, y, cv=3).mean() > 0.9
### END HIDDEN TESTS

# %% answer="pipe"
pipe = None
### BEGIN SOLUTION
pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[seen], y[seen])
### END SOLUTION

# %% test="pipe-score" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert pipe.score(X[unseen], y[unseen]) > 0.9
### END HIDDEN TESTS

# %% answer="shrink"
def shrink(model, X, y):
    """Fit a model of ours with a hundredth of its C."""
    ### BEGIN SOLUTION
    model.C /= 100
    model.fit(X, y)
    ### END SOLUTION

# %% test="shrink-fits" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
ours = LogisticRegression(max_iter=1000)
shrink(ours, X[seen], y[seen])
expected = LogisticRegression(C=0.01, max_iter=1000).fit(X[seen], y[seen])
assert ours.C == 0.01 and np.allclose(ours.coef_, expected.coef_)
### END HIDDEN TESTS
