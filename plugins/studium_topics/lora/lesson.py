# %% [markdown]
# # LoRA: low-rank adaptation

# %% exercise="lora_linear"
from studium_topics.lora.exercises import lora_linear

# %% exercise="init_lora"
from studium_topics.lora.exercises import init_lora

# %% exercise="inject"
from studium_topics.lora.exercises import inject

# %% exercise="merge"
from studium_topics.lora.exercises import merge

# %% exercise="unmerge"
from studium_topics.lora.exercises import unmerge

# %% exercise="svd_lora"
from studium_topics.lora.exercises import svd_lora

# %% exercise="train_memory"
from studium_topics.lora.exercises import train_memory
