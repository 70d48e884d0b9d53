# %% [markdown]
# # KV caching
#
# Suppose you ask a chat model for a thousand words. To write the first word, it reads your question. To write the
# second, it reads your question and the first word. By the time it gets to the thousandth, it is reading your question
# and the 999 words it has just written. It has read all of those before, using the same weights and *getting the same
# result*. **How much of this work do we actually need, and what does it cost to avoid the rest?**
#
# The small model in the widget writes the same text in two ways. Each row is a pass and each column is a token. Step
# through it and watch the two lanes: the left one computes every token again in each pass, while the right one only
# computes the new token. Compare the two bars of work, and then look at the bar of memory. When you are ready, choose a
# mistake for the cache and look for the first character that changes.

# %% tags=["widget"]
from studium_topics.kv_caching import figures

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. write a cache, its mask, and an attention layer that uses both, and get **identical logits however the text is
#    cut**;
# 2. write the decoding loop and count what the cache saves, **to the last operation**;
# 3. recognise four mistakes that raise no error by what they do to a trained model;
# 4. hold a conversation in which each token is read only once, even after an edit;
# 5. compute how much memory a cache needs, and explain why decoding is limited by bandwidth.
#
# **You need** causal attention and rotary positions, both from [decoder-only](decoder-only.ipynb). **Time:** 20 minutes
# of reading, 90 of coding, 1 of running, without the section called Further.
#
# **History.** The first transformers were trained on whole texts, and people ran their decoders the same way. Writing a
# text of $T$ tokens therefore took an amount of work that grew with $T^2$. If you keep the keys and values of the past,
# you can skip that work. In 2019 [Shazeer](https://arxiv.org/abs/1911.02150) showed what limits decoding once you do:
# memory traffic. [Pope et al.](https://arxiv.org/abs/2211.05102) worked out what this means for a model that runs on
# many chips, and [vLLM](https://arxiv.org/abs/2309.06180) showed how to share the memory among many users.
#
# | symbol | meaning |
# |---|---|
# | $p$, $s$ | here: position of a query, position of a key |
# | $q_p$, $k_s$, $v_s$ | query, key and value of one head, each with $d$ numbers |
# | $t$ | here: new tokens in one call |
# | $T$, $B$ | tokens in a text, texts in a batch |
# | $L$, $H$, $G$ | layers, heads of queries, heads of keys and values |
# | $D$, $F$, $V$, $W$ | width, width of the feed-forward network, vocabulary, parameters in all matrices |

# %%
from studium import show_table
import torch
import torch.nn.functional as F
from torch import nn

from studium_topics.kits import tales_lm, text
from studium_topics.kits.cache_race import CacheRace
from studium_topics.kits.tiny_lm import base_model
from studium_topics.kv_caching.conversation import conversation
from studium_topics.kv_caching.experiment import identity, ragged, read_through
from studium_topics.kv_caching.lanes import TwoLanes
from studium_topics.kv_caching.pages import paging
from studium_topics.kv_caching.prose import reading
from studium_widgets import AttentionHeatmap, Diagram, MemoryMeter, Roofline

# %% [markdown]
# ## What never changes
#
# In a decoder, position $p$ attends to positions $0 \dots p$ and to no others. This means that its key $k_p$ and its
# value $v_p$ depend only on tokens $0 \dots p$, and this is true in every layer. The first layer computes them from
# token $p$, and every later layer computes them from positions $0 \dots p$ of the layer below. Whatever tokens come
# next, **these keys and values will not change**. This is exact: it follows from the causal mask, whatever the weights
# are.
#
# To choose the next token, we only need the output at the newest position (Vaswani et al. 2017, equation 1, for one
# query):
#
# $$\operatorname{out}_p = \sum_{s \le p} \frac{\exp(q_p \cdot k_s / \sqrt d)}{\sum_{r \le p} \exp(q_p \cdot k_r /
# \sqrt d)}\, v_s .$$
#
# The sum uses one query, the newest, but *all* the keys and values. A <dfn>KV cache</dfn> stores the keys and values of
# all earlier tokens in each layer, so we only have to compute those of the newest token.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.kv_caching", "flow.svg")

# %% [markdown]
# **Think about it.** Why don't we cache the queries too? And could BERT have a cache?
#
# <details><summary>Answer</summary>
#
# A token uses its query once, in the pass that reads the token, and later tokens never need it. BERT cannot have a
# cache, because there position 3 attends to position 7. A new token would change *every* key, in every layer except the
# first. It is the causal mask that makes a cache possible.
# </details>
#
# ## A place to write
#
# The obvious way to build a cache is `torch.cat([keys, new])`. But this copies the whole cache for every token, so the
# quadratic work comes back as memory traffic. A <dfn>static cache</dfn> allocates all its memory once, and we write
# into it in place. Its shape never changes, and that also lets a compiler turn the whole step into a single CUDA graph.
#
# There is a trap at the end of it. If a slice goes past the end of a tensor, PyTorch just makes the slice shorter. With
# eight places, `cache[:, :, 8:9] = new` assigns a token *to nothing* and raises no error.

# %% exercise="write_cache"
from studium_topics.kv_caching.exercises import write_cache

# %% [markdown]
# Removing the newest tokens costs nothing: we just lower the count, and the next tokens will overwrite them. You will
# use this later on.
#
# ## The mask trap
#
# We usually read a long prompt in <dfn>chunks</dfn>, with a limited number of tokens in each pass, to keep the memory
# of a pass small. Let's say that there are 5 tokens in the cache and we are about to read a chunk of 3. The scores then
# form a rectangle of 3 queries and 8 keys. Below you can see what one head of a small trained model makes of a text of
# 8 words under the mask for the whole text ("her" looks back at the mouse). Which rows of the mask does the chunk need?

# %% tags=["widget"]
words, scores = tales_lm.word_scores("Ada the mouse lost her red key and")
AttentionHeatmap(tokens=words, scores=scores, mask="causal", layer=1, head=0)

# %% [markdown]
# You might expect to get these rows by using PyTorch's `is_causal=True`, but its triangle starts at the *top left*
# corner of the rectangle. For a square this makes no difference. With one query and eight keys, however, the newest
# token can see only the *oldest* one. (Users [have reported this](https://github.com/pytorch/pytorch/issues/144858),
# and it is the documented behaviour.) The [reference cache of
# ExecuTorch](https://github.com/pytorch/executorch/pull/21749) had this bug when it read a prompt in chunks. You also
# won't notice if you forget the mask. A single new token needs no mask, so your tests will pass until you read a prompt
# in chunks.

# %% exercise="cached_mask"
from studium_topics.kv_caching.exercises import cached_mask

# %%
mask = lesson.mine(cached_mask)
for name, visible in (("is_causal=True", torch.ones(3, 8, dtype=torch.bool).tril()), ("yours", mask(3, 8))):
    print(f"{name}: the first of three new tokens sees {int(visible[0].sum())} of the 6 that it should see")

# %% [markdown]
# ## Attention with a cache
#
# Now let's write an attention layer that uses both. Watch the **positions**. A rotary key is rotated once, by its own
# position, when we write it to the cache. The newest token is in row 0 of its tensor, because it is the only token
# there, but its position might be 412.

# %% exercise="cached_attention"
from studium_topics.kv_caching.exercises import cached_attention

# %% [markdown]
# ## The loop
#
# There are two phases. During <dfn>prefill</dfn> we read the prompt, many tokens in each pass. During
# <dfn>decoding</dfn> we then feed the new tokens one at a time, and each of them lets us choose the next. We never feed
# the last new token, because we don't need a token after it.

# %% exercise="generate"
from studium_topics.kv_caching.exercises import generate

# %% [markdown] tags=["experiment"]
# In practice you would use `DynamicCache` or `StaticCache` from the transformers library. The next cell runs *your*
# loop on the library's Llama with both of them. It also compares what your attention layer leaves in its cache with the
# contents of `DynamicCache`.

# %% tags=["experiment", "bridge"]
try:
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
except ImportError:
    print("transformers is not installed here, so there is nothing to compare with; the lesson goes on without it")
else:
    shape = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 40}
    config = LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=4, eos_token_id=None)
    library = LlamaForCausalLM(config).eval().requires_grad_(False)
    prompt, new, found = torch.arange(10)[None], 12, {}
    caches = {"DynamicCache": DynamicCache(config=config), "StaticCache": StaticCache(config=config, max_cache_len=21)}
    for name, cache in caches.items():

        def step(ids, start, _, cache=cache):
            return library(ids, cache=cache).logits, cache

        found[name], _ = lesson.mine(generate)(step, prompt, new, chunk=4)
    expected = library.generate(prompt, max_new_tokens=new, do_sample=False, pad_token_id=0)[:, 10:]
    for name, tokens in found.items():
        print(f"your loop on transformers' {name}: {int((tokens != expected).sum())} of {new} tokens differ")

    def turn(z, start):
        cos, sin = library.model.rotary_emb(z, start + torch.arange(z.shape[2])[None])
        return apply_rotary_pos_emb(z, z, cos, sin)[0]

    layer, keys, values = library.model.layers[0], *torch.zeros(2, 1, 4, 21, 8)
    part = layer.self_attn
    x = layer.input_layernorm(library.model.embed_tokens(torch.cat([prompt, expected[:, :-1]], 1)))
    weights = (linear.weight for linear in (part.q_proj, part.k_proj, part.v_proj, part.o_proj))
    lesson.mine(cached_attention)(x, *weights, 4, turn, keys, values, 0)
    gap = (keys - caches["DynamicCache"].layers[0].keys).abs().max()
    print(f"keys of the first layer, yours and those of DynamicCache: differ by at most {gap:.1e}")

# %% [markdown]
# ## What it saves
#
# In both lanes below, a model with 181,000 parameters is writing a tale. The lanes take turns of a few milliseconds, so
# both get the same time, and each one counts its multiplications. **Let them race**, and then double the number of
# characters. You will see that the gap more than doubles, because the lane without a cache has to read a longer text
# for each new character.

# %% tags=["widget"]
CacheRace.trained(written=160, seed=4)

# %% [markdown]
# Let's count the work it takes to write $T$ tokens. We count only matrix products, and a multiplication with its
# addition counts as 2. In the matrices, a token costs $2W$. In attention, each pair of a query and a key, masked or
# not, takes one product of $D$ numbers for the score, over all heads together, and another one for the value. That
# makes $4D$ per layer.

# %% exercise="decode_flops"
from studium_topics.kv_caching.exercises import decode_flops

# %% tags=["experiment"]
lesson.predict("ratio of work", ..., "How many times more do the matrices work without a cache, for 128 tokens?")

# %% tags=["experiment"]
same = identity(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(decode_flops), profile=lesson.profile, seed=0
)
print(f"tokens that differ, in three ways of cutting the prompt: {same.differing}")
print(f"largest difference of a logit, in double precision:      {same.gap:.1e}")
show_table(
    ["", "operations in matrices", "in attention"],
    [
        (name, work.matrices, work.attention)
        for name, work in (("without a cache", same.without), ("with a cache", same.cached))
    ],
)
print(f"ratio for T = {same.tokens}: {same.ratio} in the matrices, {same.attention_ratio:.3f} in attention")
print(f"your formula is off by {same.surprise} operations")
lesson.found("ratio of work", same.ratio)

# %% [markdown] tags=["experiment"]
# Without a cache, pass $n$ reads $n$ tokens, and $1 + 2 + \dots + T = T(T+1)/2$. With a cache, each pass reads one
# token, which makes $T$ in all. The ratio in the matrices is therefore exactly $(T+1)/2$. In attention it is $\sum n^2
# / \sum n = (2T+1)/3$. PyTorch's own counter counted the products in *your* functions. We did not time anything, so you
# should get the same figures on every machine. (If you wrote your projections using `einsum`, the counter will list
# some of them under attention.)

# %%
count = lesson.mine(decode_flops)
figures.growth(count, (32, 4096, 4096, 16512, 32000))  # Llama 2 7B; two matrices of 16512 are its three of 11008

# %% [markdown]
# On these axes both are straight lines, and the upper one is twice as steep: quadratic growth against linear growth,
# for a model with the shape of Llama 2 7B. Beyond about 25 000 tokens both lines bend upwards, because by then
# attention costs more than the matrices. The cache saves us the *projections* of the past, but the newest query still
# has to look at all of it.

# %% [markdown] tags=["experiment"]
# ## Break it
#
# This cell trains a small model on Python's help pages, from start to finish, without weight decay. The model knows
# nothing about caches.

# %% tags=["experiment"]
plan = reading(lesson.profile)
model = base_model(seed=0, **plan.sizes).to(lesson.profile.device)
optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
generator = torch.Generator().manual_seed(0)
for _ in range(plan.steps):
    batch = text.next_token_batch(plan.seen, plan.batch, plan.length, generator)
    ids, following = (part.to(lesson.profile.device) for part in batch)  # (B, T)
    loss = F.cross_entropy(model(ids).flatten(0, 1), following.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
print(f"loss of the last batch: {loss.item():.2f} nats a character")

# %% [markdown] tags=["experiment"]
# Now we will read some held-out text through *your* cache, in chunks of 8, and then break one thing at a time:
#
# * **positions start again**: each chunk claims to begin at position 0;
# * **mask at the top left**: `is_causal=True`, in a chunk;
# * **no mask in a chunk**: a token can see the tokens that come after it;
# * **the last text left in**: we did not empty the cache.
#
# You won't get an error from any of these. Which one do you think does the least harm?

# %% tags=["experiment"]
lesson.predict("least harm", ..., "By how many nats a character does the most harmless of the four raise the loss?")

# %% tags=["experiment"]
broken = read_through(model, lesson.mine(cached_attention), lesson.mine(generate), profile=lesson.profile)
print(f"loss without a cache {broken.plain:.4f} nats a character, with one {broken.losses['nothing']:.4f}\n")
for name, written in broken.texts.items():
    print(f"{name:22} {written!r}")
lesson.found("least harm", min(broken.harm(name) for name in broken.losses if name != "nothing"), within=0.3)
figures.harms(broken)

# %% [markdown] tags=["experiment"]
# With a correct cache, the loss is the same to four digits. (On the laptop profile, over seeds 0 to 4 and in nats:
# positions that start again cost 0.95 to 1.16, the mask at the top left 1.22 to 1.30, and a text that was left in 0.82
# to 0.97. Leaving out the mask in a chunk does the least harm, from 0.49 to 0.66.)
#
# But look at the *text* that the model wrote without a mask. It may well be identical to the text without a mistake,
# because decoding feeds one token at a time and only the prompt was read incorrectly. This is how the mistake survives:
# **a text that looks fine is not a test, so compare the logits.** And why does seeing *more* make the model worse?
# During training, no position ever saw the tokens after it, so the model has not learned how to use them.
#
# Let's put your model into the widget we started with.

# %% tags=["experiment", "widget"]
TwoLanes.of(model, text.character_vocabulary().characters, "The statement is not ", new=32, written=14)

# %% [markdown]
# **Think about it.** Would a cache speed up training? And would it speed up reading the prompt?
#
# <details><summary>Answer</summary>
#
# It would not. In training we know all the positions of a text and compute them in parallel, so we never compute
# anything twice. The same is true the first time we read a prompt: prefill fills the cache but does not benefit from
# it. We can reuse the keys and values only when the *same* beginning comes up again, and that is the next exercise.
# </details>
#
# ## A conversation
#
# A chat program sends the whole conversation every time you say something. Most of it is already in the cache, unless
# you have edited an earlier message. In that case the keys and values of all tokens after the edit depend on the old
# message, so they are wrong, while the ones before the edit are still right. With <dfn>prefix caching</dfn> we reuse
# the keys and values for the part that two texts have in common at the beginning, and read only what follows.

# %% exercise="chat"
from studium_topics.kv_caching.exercises import chat

# %% tags=["experiment"]
talk = conversation(lesson.mine(cached_attention), lesson.mine(chat), profile=lesson.profile, seed=0)
show_table(
    ["turn", "tokens so far", "read with memory", "read without"],
    list(zip(talk.turns, talk.tokens, talk.fed, talk.again, strict=True)),
)
print(f"tokens of the answers that differ: {talk.differing}; tokens read although the cache held them: {talk.wasted}")

# %% [markdown] tags=["experiment"]
# With a memory, a turn costs as much as its own length. Without one, it costs as much as the whole conversation so far.
# After an edit, we have to read everything that follows it again. This is why the instructions, which never change, go
# at the very beginning.

# %% [markdown]
# ## What a cache costs
#
# A cache saves arithmetic, but it takes memory. How much?

# %% exercise="kv_bytes"
from studium_topics.kv_caching.exercises import kv_bytes

# %%
lesson.predict(
    "GB of a cache", ..., "How many GB is the cache of one text of 2048 tokens in GPT-3 175B, in half precision?"
)

# %%
cost = lesson.mine(kv_bytes)
known = {
    "TinyLlama 1.1B": (22, 2048, 32, 4),
    "Llama 2 7B": (32, 4096, 32, 32),
    "Llama 3 8B": (32, 4096, 32, 8),
    "Llama 2 13B": (40, 5120, 40, 40),
    "Llama 3 70B": (80, 8192, 64, 8),
    "GPT-3 175B": (96, 12288, 96, 96),
}
rows = []
for name, (layers, width, heads, kv_heads) in known.items():
    one, whole, batch = (cost(layers, width, heads, kv_heads, t, b, 2) for t, b in ((1, 1), (2048, 1), (2048, 64)))
    rows.append((name, f"{one / 2**10:.0f} KiB", f"{whole / 1e9:.2f} GB", f"{batch / 1e9:.1f} GB"))
show_table(["", "a token", "2048 tokens", "2048 tokens of 64 texts"], rows)
lesson.found("GB of a cache", cost(96, 12288, 96, 96, 2048, 1, 2) / 1e9)

# %% [markdown]
# In GPT-3, a *single token* takes 4.5 MiB, as much as about 790,000 five-letter words with the spaces between them.
# About 36 texts of full length weigh as much as the model itself, 350 GB. For Llama 3 70B a token takes a fourteenth of
# that, even though the model has 40 % of the parameters, because it has eight heads of keys and values for 64 heads of
# queries. (You can read more about this in the topic *mqa-gqa*.)
#
# Set the batch to 64. Then try another number of KV heads, and a different data type for the cache.

# %% tags=["widget"]
MemoryMeter(model="gpt-3-175b", batch=16, context=2048, card="h100")

# %% [markdown]
# To decode one token of one text, we have to fetch every weight from memory and use it for one multiplication. The same
# goes for every key and every value. In the time it takes an H100 SXM to fetch two bytes, it could do about 300
# multiplications with their additions (989 TFLOP/s in bfloat16, 3.35 TB/s). Decoding leaves the chip idle, in other
# words: it is limited by <dfn>bandwidth</dfn>, the number of bytes that arrive per second.
#
# A larger batch helps with the weights, because we fetch them once for all the texts. It does not help with the cache,
# because each text has its own keys. Drag the batch to the right and you will see decoding climb towards the ridge.
# Then drag the context: attention over the cache stays on the left, no matter how large the batch is.

# %% tags=["widget"]
Roofline(card="h100", model="llama-2-7b", batch=16, context=2048)

# %% [markdown]
# ## Further
#
# Here are two more parts of a real server. They are optional, and we did not count them in the minutes above.
#
# ### Many prompts at once
#
# We decode prompts in batches, but they are not all the same length. To make them fit, we add <dfn>pads</dfn>, tokens
# without meaning, to the left of the shorter prompts. This way, every row ends with its newest token. The model must
# not see the pads. The first version of a mask for this often looks like the one below.

# %% exercise="ragged_mask"
from studium_topics.kv_caching.exercises import ragged_mask

# %% tags=["experiment"]
together = ragged(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(ragged_mask), profile=lesson.profile, seed=0
)
print(f"tokens that differ from those of each prompt alone:   {together.differing:.0%}")
print(f"the same if the pads are not hidden:                  {together.unmasked:.0%}")

# %% [markdown] tags=["experiment"]
# Identical, token by token. If we let the model see the pads, about half of the tokens or more will differ (49 to 76 %,
# seeds 0 to 4).
#
# **Think about it.** A prompt with 5 pads has its first real token in column 5, so this token was rotated for position
# 5 instead of position 0. Why do we get the same result? And would we get it with GPT-2?
#
# <details><summary>Answer</summary>
#
# Rotary scores depend on *differences* between positions, so you can shift a whole row without changing anything. GPT-2
# adds a learned vector for each absolute position. There you would have to count the positions of a row from its first
# real token (`position_ids` in transformers).
# </details>

# %% [markdown]
# ### Pages
#
# How much room should we reserve for a text if we don't know how long it will be? In the systems that the authors of
# vLLM measured in 2023, only **20.4 to 38.2 %** of the reserved cache held a token. vLLM divides the cache into
# <dfn>pages</dfn>, pieces of a fixed size such as 16 tokens. A text that needs more room can get any free page, and a
# *page table* records which one it was. At most one page of each text is not full, and texts that begin in the same way
# can share pages.

# %% exercise="paged_gather"
from studium_topics.kv_caching.exercises import paged_gather

# %% tags=["experiment"]
lesson.predict(
    "share in pages", ..., "200 texts of 128 to 2048 tokens: what share of the slots in pages of 16 holds one?"
)

# %% tags=["experiment"]
kept = paging(lesson.mine(paged_gather), profile=lesson.profile, seed=0)
print(f"{len(kept.lengths)} texts of {min(kept.lengths)} to {max(kept.lengths)} tokens, {sum(kept.lengths):,} in all")
print(f"tokens misread: {kept.misread}")
print(f"if all begin with one prompt of 128 tokens, each slot serves {kept.shared:.2f} tokens")
lesson.found("share in pages", kept.paged)
figures.occupancy(kept)

# %% [markdown] tags=["experiment"]
# That is about a quarter compared with more than 98 %, so four times as many texts fit on the same card. (We draw the
# lengths from an exponential distribution, and the first figure depends on this choice. The second does not: on
# average, a text loses half a page.) Figure 2 of the paper gives 20.4 % for a server that reserves room for the longest
# text, which the paper calls Orca (Max), and 96.3 % for pages.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Speed.** Here the cache saves operations. If you use a large model, what you will notice is bandwidth, and a small
#   model on a CPU cannot show you that.
# * **vLLM's throughput**, which is two to four times that of its predecessors. We counted slots; the rest depends on a
#   scheduler.
# * **How much a mistake costs.** Our figures are for this model and for chunks of eight. In a large model with a long
#   prompt, the same mistake might be so small that you take it for bad luck.
#
# ## Common misconceptions
#
# * *"The cache is an approximation."* The keys and values of the past are the same numbers. Only rounding can differ.
# * *"It speeds up training, or reading the prompt."* It speeds up decoding, and beginnings that come up again.
# * *"With a cache, a token costs the same however long the text is."* This is true of the projections, but attention
#   still grows with the text.
# * *"A larger batch is free."* It is for the weights, but each text brings its own cache.
# * *"`is_causal=True` is the causal mask."* Only if you have as many queries as keys.
#
# ## You can now
#
# * decode with a cache and get the same tokens as without one, however you cut the text into chunks;
# * count the work of decoding exactly: $(T+1)/2$ times less in the matrices;
# * name the four silent mistakes that people make with caches, and test for them using logits;
# * hold a conversation that reads each token once, and tell what an edit will cost;
# * compute the size of a cache from the shape of a model.
#
# ## Open tasks
#
# * **Ten minutes.** For texts of 100 to 100,000 tokens, divide the work that Llama 2 7B does without a cache by the
#   work it does with one, and then divide this ratio by $T$. You should see it move from 1/2 towards 2/3. Why?
# * **An hour.** In a copy of your attention, store the keys and values in 8, 4 and 2 bits, using one scale for each
#   vector. Then read held-out text with the model above, one token at a time. You should see that 8 bits cost less than
#   0.001 nats per character, 4 bits about 0.01, and 2 bits about half a nat.
# * **A day.** Write continuous batching: a loop that has room for four texts and gives a place to the next prompt as
#   soon as a text ends. You should see the same tokens as when you decode one text at a time, in fewer passes.
#
# ## Further reading
#
# * [Shazeer 2019](https://arxiv.org/abs/1911.02150): nine pages with the arithmetic of decoding. The topic *mqa-gqa*
#   takes it from there.
# * [Pope et al. 2022](https://arxiv.org/abs/2211.05102): the same on many chips. Read section 2.
# * [Kwon et al. 2023](https://arxiv.org/abs/2309.06180): PagedAttention. Figure 3 shows where the memory was lost.
# * The topic *speculative-decoding* removes tokens from a cache again, so it builds on your `write_cache`.
