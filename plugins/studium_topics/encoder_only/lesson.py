# %% [markdown]
# # Encoder-only transformers (BERT)

# %% exercise="attention"
from studium_topics.encoder_only.exercises import attention

# %% exercise="pad_mask"
from studium_topics.encoder_only.exercises import pad_mask

# %% exercise="bert_embed"
from studium_topics.encoder_only.exercises import bert_embed

# %% exercise="bert_layer"
from studium_topics.encoder_only.exercises import bert_layer

# %% exercise="mlm_loss"
from studium_topics.encoder_only.exercises import mlm_loss

# %% exercise="nsp_pairs"
from studium_topics.encoder_only.exercises import nsp_pairs

# %% exercise="pseudo_ll"
from studium_topics.encoder_only.exercises import pseudo_ll
