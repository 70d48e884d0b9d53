# %% [markdown]
# # DPO: learning from pairs
#
# People are bad at marks and good at comparisons. Can a model learn from comparisons only?
#
# Rafael Rafailov and his colleagues showed that it can, without a second model for the rewards
# ([Rafailov et al. 2023](https://arxiv.org/abs/2305.18290)). You need log-probabilities and the sigmoid.

# %%
from studium_topic_preferences.experiment import tuned

# %% [markdown]
# ## Score an answer
#
# An answer is a row of tokens. To compare two answers, we first need the log-probability of each.

# %% exercise="answer_score"
from studium_topic_preferences.exercises import answer_score

# %% [markdown]
# ## Compare two answers
#
# How much likelier has an answer become since the training began? This is its <dfn>implicit reward</dfn>, and the
# difference between the rewards of a better and a worse answer is the pair's **margin**, in nats.

# %% exercise="dpo_loss"
from studium_topic_preferences.exercises import dpo_loss

# %% [markdown] tags=["experiment"]
# ## Train on pairs
#
# The better of two answers has larger tokens, and the model is told nothing but which one is better.

# %% tags=["experiment"]
lesson.predict("right", ..., "In what share of new pairs will the model prefer the better answer, between 0 and 1?")

# %% tags=["experiment"]
result = tuned(lesson.mine(answer_score), lesson.mine(dpo_loss), profile=lesson.profile)
lesson.found("right", result.right)
print(f"it prefers the better answer in {100 * result.right:.0f} of 100 pairs")

# %% [markdown] tags=["experiment"]
# It gets most of the new pairs right, though nobody ever gave a mark.
