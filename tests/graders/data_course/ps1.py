# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Three small tasks with a table
#
# A course as many are: pandas, a picture, and nbgrader's metadata.

# %% grade_id="setup"
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# %% grade_id="table"
sales = pd.DataFrame(
    {
        "day": pd.to_datetime(["2024-01-01", "2024-01-20", "2024-02-01", "2024-02-03"]),
        "shop": ["A", "B", "A", "C"],
        "price": [5.0, 2.0, np.nan, 8.0],
    }
)


# %% grade_id="clean" solution=true locked=false
def clean(frame):
    """Give the rows that are complete; the frame stays as it is."""
    ### BEGIN SOLUTION
    return frame.dropna()
    ### END SOLUTION


# %% grade_id="clean-rows" grade=true points=1
kept = clean(sales)
assert kept["price"].tolist() == [5, 2, 8]
assert len(sales) == 4

# %% grade_id="clean-all" grade=true points=2
### BEGIN HIDDEN TESTS
pd.testing.assert_frame_equal(clean(sales).reset_index(drop=True), sales.iloc[[0, 1, 3]].reset_index(drop=True))
assert clean(sales.iloc[:2]).shape == (2, 3)
### END HIDDEN TESTS


# %% grade_id="monthly" solution=true locked=false
def monthly(frame):
    """Give the mean price by number of the month."""
    ### BEGIN SOLUTION
    return frame.groupby(frame["day"].dt.month)["price"].mean()
    ### END SOLUTION


# %% grade_id="monthly-means" grade=true points=1
assert monthly(sales)[1] == 3.5

# %% grade_id="monthly-other" grade=true points=2
### BEGIN HIDDEN TESTS
other = pd.DataFrame({"day": pd.to_datetime(["2023-03-01", "2023-03-05"]), "price": [1.0, 2.0]})
assert monthly(other).to_dict() == {3: 1.5}
### END HIDDEN TESTS


# %% grade_id="draw" solution=true locked=false
def draw(values):
    """Draw a line with "price" at its axis y; give the axes."""
    ### BEGIN SOLUTION
    _, axes = plt.subplots()
    axes.plot(values)
    axes.set_ylabel("price")
    return axes
    ### END SOLUTION


# %% grade_id="draw-line" grade=true points=2
axes = draw([3, 1, 2])
assert axes.get_ylabel() == "price"
np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [3, 1, 2])
plt.close("all")
