# %% [markdown]
# # KV caching
#
# Ask a chat model for a thousand words. For the first word it reads your question. For the second it reads your
# question and the first word. For the thousandth it reads your question and the nine hundred and ninety-nine words that
# it has just written itself, every one of which it had read before, with the same weights, and *with the same result*.
#
# Nobody does that. All who serve language models keep, for each token, two vectors in each layer: its **key** and its
# **value**. They call it the KV cache. It gives back the very same words for a small fraction of the arithmetic, and it
# is the reason why a chat is limited by memory and no longer by computation.
#
# It is thirty lines of code, and a place where excellent people have made the same three mistakes again and again. The
# worst of them raise no error: the model merely gets a little stupid. In this lesson you will
#
# 1. write a cache, its mask, and attention that uses both, and get **identical logits for any way of cutting a text**;
# 2. write the decoding loop, and count what it saves **to the last operation**: no stopwatch;
# 3. break the cache in four ways on purpose, and read what a model then writes;
# 4. decode prompts of different lengths in one batch;
# 5. work out the memory, up to a model of 175 billion parameters, and keep it in **pages**, as vLLM does.
#
# You need causal attention and rotary positions, from the topic *decoder-only*. The papers:
# [Shazeer 2019](https://arxiv.org/abs/1911.02150), [Pope et al. 2022](https://arxiv.org/abs/2211.05102) and
# [PagedAttention, 2023](https://arxiv.org/abs/2309.06180).

# %%
import torch

from studium_topics.kits import text
from studium_topics.kv_caching import figures
from studium_topics.kv_caching.experiment import faults, identity, ragged
from studium_topics.kv_caching.lanes import TwoLanes
from studium_topics.kv_caching.pages import paging
from studium_widgets import AttentionHeatmap, MemoryMeter, Roofline

# %% [markdown]
# ## What never changes
#
# In a decoder, position $t$ looks at positions $0 \dots t$ and at nothing else. So its key $k_t$ and its value $v_t$,
# in every layer, depend on the tokens $0 \dots t$ alone. Whatever is written later, **they stay what they are**. That
# is not an approximation, and it is no property of training: the causal mask guarantees it.
#
# To write the next token, only the newest position is needed:
#
# $$\operatorname{out}_t = \sum_{s \le t} \operatorname{softmax}_s\!\Big(\frac{q_t \cdot k_s}{\sqrt d}\Big)\, v_s .$$
#
# Read off what it asks for: one query, the newest; *all* keys and *all* values. Those of the past are in the cache. The
# past queries appear nowhere.
#
# **Think about it.** Why is it called a KV cache? Why is nobody's Q in it? And could BERT have one?
#
# <details><summary>Answer</summary>
#
# A query is used by its own token, once, in the pass that reads it. No later token ever asks for it. And BERT cannot
# have a cache: there position 3 looks at position 7, so that with each new token *every* key in every layer but the
# first changes. The cache is a gift of the causal mask.
# </details>
#
# ## A place to write
#
# The obvious cache is `torch.cat([keys, new])`. It copies everything at every token: the quadratic work is back, as
# traffic. So one reserves room once, and writes into it. This is a **static cache**: its shape never changes, which is
# also what lets a compiler turn the whole step into one CUDA graph.
#
# One trap waits at its end. A slice that goes beyond a tensor is silently shorter, and `cache[:, :, 8:9] = new` with
# eight places assigns one token *to nothing*, without a word.

# %% exercise="write_cache"
from studium_topics.kv_caching.exercises import write_cache

# %% [markdown]
# Taking tokens back costs nothing at all: count fewer of them, and let the next ones overwrite what is there. Decoding
# with drafts does that all day (see the topic *speculative-decoding*).
#
# ## The mask trap
#
# A long prompt is read in **chunks**, so that no pass needs too much memory. Say 5 tokens are in the cache, and a chunk
# of 3 comes. The scores are a rectangle of 3 queries and 8 keys. Who may see whom? Below is the answer for attention in
# the whole text. Look at its last three rows, for they are what the chunk needs.

# %% tags=["widget"]
words = ["the", "cache", "holds", "five", "words", "and", "three", "come"]
drawn = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(4))
AttentionHeatmap(tokens=words, scores=drawn, mask="causal")

# %% [markdown]
# The triangle is aligned to the **bottom right** corner. And now the trap: PyTorch's `is_causal=True` aligns it to the
# *top left*. For squares it is the same. For one query and eight keys it says that the newest token sees the *oldest*
# one alone. It was reported as a bug more than once; it is documented, and stays.
#
# The second half of the trap is that a forgotten mask goes unnoticed too: with one new token, no mask is the right
# mask. The tests pass, until somebody reads a prompt in chunks. A well-known textbook on building language models had
# just this in its code until a reader found it.

# %% exercise="cached_mask"
from studium_topics.kv_caching.exercises import cached_mask

# %%
mask = lesson.mine(cached_mask)
for name, visible in (("is_causal=True", torch.ones(3, 8, dtype=torch.bool).tril()), ("yours", mask(3, 8))):
    print(f"{name}: the first of three new tokens sees {int(visible[0].sum())} of the 6 that it should see")

# %% [markdown]
# ## Attention with a cache
#
# Everything comes together in one function. New tokens $x$ come in, of which the first stands at position `length` of
# the text. Mind **where** they stand: a rotary key is turned by its own position, when it is written, once and for all.
# The newest token is alone in its tensor, at row 0, and stands at position 412 all the same.

# %% exercise="cached_attention"
from studium_topics.kv_caching.exercises import cached_attention

# %% [markdown]
# **Think about it.** Keys go into the cache after their rotation. Would it be wrong to store them before it?
#
# <details><summary>Answer</summary>
#
# Not wrong, and wasteful: then all keys have to be rotated at every step, which is again work that grows with the text.
# But it has a use: if the oldest tokens are thrown away, as streaming models do, positions can be counted anew. With
# rotated keys one would have to turn them back. The exercise stores them rotated, as Llama does.
# </details>
#
# ## The loop
#
# A decoder with a cache is a function with a memory: it takes new tokens and where they stand, and gives logits and the
# memory. Two phases use it. **Prefill** reads the prompt, many tokens at a time. **Decoding** then feeds each new token
# alone, to learn the next. The last new token is never fed: nothing is to follow it.

# %% exercise="generate"
from studium_topics.kv_caching.exercises import generate

# %% [markdown]
# ## What it saves
#
# Count first. A model with $W$ numbers in its matrices needs $2W$ operations a token. Without a cache, pass $n$ reads
# $n$ tokens, and $T$ passes read $1 + 2 + \dots + T = T(T+1)/2$. With a cache, each reads one: $T$. And attention: $n$
# queries times $n$ keys against one query times $n$ keys, so $\sum n^2$ against $\sum n$.

# %% exercise="decode_flops"
from studium_topics.kv_caching.exercises import decode_flops

# %% [markdown] tags=["experiment"]
# *Predict first: for a text of 128 tokens, how many times more do the weight matrices work without a cache?* Put your
# guess in the place of the 10.

# %% tags=["experiment"]
lesson.predict("ratio of work", 10, "How many times more do the matrices work without a cache, for 128 tokens?")

# %% tags=["experiment"]
same = identity(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(decode_flops), profile=lesson.profile, seed=0
)
print(f"tokens that differ, in three ways of cutting the prompt: {same.differing}")
print(f"largest difference of a logit, in double precision:      {same.gap:.1e}\n")
for name, work in (("without a cache", same.without), ("with a cache", same.cached)):
    print(f"{name:16} {work.matrices:>13,} operations in matrices, {work.attention:>12,} in attention")
print(f"\nratio for T = {same.tokens}: {same.ratio} in the matrices, {same.attention_ratio:.3f} in attention")
print(f"your formula is off by {same.surprise} operations")
lesson.found("ratio of work", same.ratio)

# %% [markdown] tags=["experiment"]
# The ratios are exact: $(T+1)/2$ in the matrices and $(2T+1)/3$ in attention. PyTorch's own counter has counted every
# product of *your* functions; nothing was timed, and so the figure is the same on every machine. (If you wrote your
# projections with `einsum`, the counter books some of them under attention. The sum is the same.)
#
# Why no stopwatch? Because the same comparison by time gave 4 on one run and 1.3 on the next, on one and the same busy
# computer. A small model spends its time on other things than products. And a big one too, as we shall see.

# %%
count = lesson.mine(decode_flops)
figures.growth(count, (32, 4096, 4096, 16512, 32000))  # Llama 2 7B; two matrices of 16512 are its three of 11008

# %% [markdown]
# Both are straight lines on these axes, the upper one twice as steep: quadratic against linear. (The shape is that of
# Llama 2 7B.) Beyond some 25 000 tokens both would bend upwards, for there attention overtakes the matrices. The cache
# saves the *projections* of the past; the newest query still has to look at all of it.

# %% [markdown] tags=["experiment"]
# ## Break it
#
# Now a small model, trained for a few seconds on Python's help pages, and read through *your* cache. Then the same with
# one thing wrong at a time:
#
# * **positions start again**: each chunk says that it stands at position 0;
# * **mask at the top left**: `is_causal=True`, in a chunk;
# * **no mask in a chunk**: a token sees those that come after it;
# * **the last text left in**: somebody has forgotten to empty the cache.
#
# None raises an error. *Predict: which one hurts the least?* The cell takes about ten seconds.

# %% tags=["experiment"]
broken = faults(lesson.mine(cached_attention), lesson.mine(generate), profile=lesson.profile, seed=0)
print(f"loss without a cache {broken.plain:.4f} nats a character, with one {broken.losses['nothing']:.4f}\n")
for name, written in broken.texts.items():
    print(f"{name:22} {written!r}")
figures.harms(broken)

# %% [markdown] tags=["experiment"]
# With the cache as it should be, the loss is the same to five digits. The four faults cost from half a nat to more than
# one; a nat is a factor of $e$ in perplexity. Over seeds 0 to 4: positions that start again 0.95 to 1.16, the mask at
# the top left 1.22 to 1.30, a text left in 0.82 to 0.97, no mask in a chunk 0.49 to 0.66.
#
# Look at the *text* of the last one, though. Nothing in a chunk is hidden, and what the model writes may well be the
# same, since in decoding there is one token at a time. Only the prompt was read wrongly. That is why this mistake
# survives: **greedy text that looks fine is no test. Logits are.** And isn't it odd that seeing *more* makes the model
# worse? It has never seen the future in training, and does not know what to do with it.
#
# Here is that model, in your browser, with both lanes side by side. A row is a pass, a column a token. Step through it:
# the left lane fills the triangle again and again; the right one adds a single cell. Watch the two bars of work, and
# then the bar of memory, which is the price. Then put something wrong in, and find the first token that differs.
#
# *Before you move it: which of the three faults shows first?*

# %% tags=["experiment", "widget"]
TwoLanes.of(broken.model, text.character_vocabulary().characters, "The statement is not ", new=32, written=14)

# %% [markdown]
# **Think about it.** For how many tokens does a cache speed up *training*? And reading the prompt?
#
# <details><summary>Answer</summary>
#
# None, and hardly. In training all positions of a text are known and computed side by side; nothing is computed twice.
# The same holds for the first reading of a prompt: prefill fills the cache, it does not profit from it. Only if the
# *same* beginning comes again (a system prompt, the conversation so far) can its keys and values be reused.
# </details>
#
# ## Many prompts at once
#
# The matrices are the same for everybody, so prompts are decoded in batches. But they are not equally long. One fills
# up the shorter ones with **pads**, on the left, so that every row ends with its newest token. Then these must be
# hidden.
#
# The trap: what does a pad see? "Nothing" sounds right, and a softmax over nothing is $0/0$, nan. Does it matter, if
# nobody reads it? It does: one layer later that nan is a value. Its weight is 0, and $0 \cdot \mathrm{nan}$ is nan.
# So each pad is left a view of itself. (PyTorch's fused attention writes 0 for a query that sees nothing. Whoever
# counts on that is in for a surprise elsewhere.)

# %% exercise="ragged_mask"
from studium_topics.kv_caching.exercises import ragged_mask

# %% tags=["experiment"]
together = ragged(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(ragged_mask), profile=lesson.profile, seed=0
)
print(f"tokens that differ from those of each prompt alone:   {together.differing:.0%}")
print(f"the same if the pads are not hidden:                  {together.unmasked:.0%}")

# %% [markdown] tags=["experiment"]
# Identical, token by token. With visible pads half of the tokens and more are others (49 to 76 % over five seeds).
#
# **Think about it.** A prompt with 5 pads has its first real token in column 5, and we rotated it by position 5, not 0.
# Alone it would stand at 0. Why is the result still the same? Would it be so in GPT-2?
#
# <details><summary>Answer</summary>
#
# Rotary scores depend on *differences* of positions. Shift the whole row by 5, and nothing changes. GPT-2 adds a
# learned vector for each absolute position: there the positions of a row have to be counted from its first real token
# (`position_ids` in transformers), or the shorter prompts are read as if they began in the middle of something.
# </details>

# %% [markdown]
# ## The bill
#
# Nothing is free. The arithmetic is gone, and in its place stands memory:
#
# $$\text{bytes} = 2 \cdot L \cdot G \cdot d \cdot T \cdot B \cdot b,$$
#
# a key and a value, for $L$ layers, $G$ heads of keys and values with $d$ numbers each, $T$ tokens, $B$ texts, $b$
# bytes a number. Where every query head has its own keys, $G$ is $H$, the number of heads; the topic *mqa-gqa* is about
# making it smaller.

# %% exercise="kv_bytes"
from studium_topics.kv_caching.exercises import kv_bytes

# %% [markdown]
# *Predict: GPT-3 has 175 billion parameters, 350 GB in half precision. One text of its full length, 2048 tokens: how
# many GB does the cache take? And how many texts make the cache as large as the model?*

# %%
lesson.predict("GB of a cache", 1, "How many GB is the cache of one text of 2048 tokens in GPT-3 175B?")

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
print("                a token    2048 tokens   of 64 texts")
for name, (layers, width, heads, kv_heads) in known.items():
    one, whole, batch = (cost(layers, width, heads, kv_heads, t, b, 2) for t, b in ((1, 1), (2048, 1), (2048, 64)))
    print(f"{name:15} {one / 2**10:5.0f} KiB    {whole / 1e9:6.2f} GB     {batch / 1e9:7.1f} GB")
lesson.found("GB of a cache", cost(96, 12288, 96, 96, 2048, 1, 2) / 1e9)

# %% [markdown]
# 4.5 MiB for a *single token* of GPT-3: a short novel for each word of its own. Some 36 texts of full length weigh as
# much as the model. And Llama 3 70B takes a fourteenth of that, with 40 % of the parameters: eight heads of keys and
# values for 64 of queries.
#
# The meter below has the published shapes from 1 to 175 billion parameters. Set the batch to 64. Then choose another
# number of KV heads, and another type for the cache.

# %% tags=["widget"]
MemoryMeter(model="gpt-3-175b", batch=16, context=2048, card="h100")

# %% [markdown]
# ## Why memory is time
#
# To decode one token for one text, every weight is fetched from memory, and used for one multiplication. So is every
# key and every value. A modern card can do some 300 multiplications in the time in which it fetches one number:
# decoding leaves it idle. It is limited by **bandwidth**: how many bytes a second arrive, which is not the same as
# latency, how long the first one takes.
#
# A larger batch helps the weights, which are fetched once for all texts. It does not help the cache: each text has its
# own keys. That is Shazeer's observation of 2019, and why his paper is called "one write-head is all you need".
#
# Drag the batch to the right: decoding climbs towards the ridge. Now drag the context: attention over the cache stays
# at the left, whatever the batch.

# %% tags=["widget"]
Roofline(card="h100", model="llama-2-7b", batch=16, context=2048)

# %% [markdown]
# ## Pages
#
# How much room should be reserved for a text whose length nobody knows? The longest possible, said everyone until 2023.
# The authors of vLLM measured that in the systems of their day **20.4 to 38.2 %** of the reserved cache held a token.
# The rest was waiting.
#
# They did what operating systems have done since the sixties. The cache is a pool of **pages** of, say, 16 tokens. A
# text gets a page when it needs one, any page; a **page table** remembers which. At most one page a text is not full.
# And two texts with the same beginning can share its pages.

# %% exercise="paged_gather"
from studium_topics.kv_caching.exercises import paged_gather

# %% [markdown] tags=["experiment"]
# *Predict: 200 texts, 128 tokens at least and near 500 on average, at most 2048. What share of the slots holds a token,
# if there is room for 2048 each? And with pages of 16?*

# %% tags=["experiment"]
lesson.predict("share in pages", 0.8, "What share of the slots holds a token, with pages of 16?")

# %% tags=["experiment"]
kept = paging(lesson.mine(paged_gather), profile=lesson.profile, seed=0)
print(f"{len(kept.lengths)} texts of {min(kept.lengths)} to {max(kept.lengths)} tokens, {sum(kept.lengths):,} in all")
print(f"tokens misread: {kept.misread}")
print(f"if all begin with one prompt of 128 tokens, each slot serves {kept.shared:.2f} tokens")
figures.occupancy(kept)

# %% tags=["experiment"]
lesson.found("share in pages", kept.paged)

# %% [markdown] tags=["experiment"]
# A quarter against more than 98 %: four times as many texts fit on the same card. That is where vLLM's two- to fourfold
# throughput comes from. (The lengths are drawn from an exponential distribution; the first figure is a property of that
# choice. The second is not: half a page is lost per text, on average.)
#
# **Think about it.** Two texts share a page, half full with their common beginning. Each writes its next token. Into
# which slot?
#
# <details><summary>Answer</summary>
#
# If both write into that page, they read each other's text. The page has to be copied before the first write, for one
# of them: *copy on write*, again from operating systems. (In the experiment above the common prompt fills its pages
# exactly, so nobody has to.)
# </details>
#
# ## On a GPU
#
# The reference solution has a whole Llama, with heads that share keys and values, on a static cache. Its `static_step`
# has shapes that never change: it looks at the whole room and masks what is not there yet. That is *more* arithmetic,
# and faster: `torch.compile` makes one CUDA graph of it, and no Python runs between tokens. `decoding_speed` measures
# tokens a second "without", "cached" and "static". **It has not been measured on a GPU yet.**
#
# ## What does not reproduce at this size
#
# * **Speed.** Here a cache saves operations. What a user of a large model feels is bandwidth, which a small model on a
#   processor does not show.
# * **vLLM's throughput.** We counted slots. How many more requests a second a server then answers depends on its
#   scheduler.
# * **How much a fault costs.** Half a nat to more than one is the figure for this model and chunks of eight. In a large
#   model with a long prompt the same mistake can be small enough to be taken for bad luck.
#
# ## Common misconceptions
#
# * *"The cache is an approximation."* Keys and values of the past are the same numbers. What differs is rounding.
# * *"Queries should be cached too."* No later token asks for them.
# * *"It speeds up training, or reading the prompt."* Only decoding, and beginnings that come again.
# * *"With a cache, a token costs the same however long the text."* The projections do. Attention still grows with it.
# * *"A larger batch is free."* For the weights; each text brings a cache of its own.
# * *"`is_causal=True` is the causal mask."* Only where there are as many queries as keys.
# * *"Decoding is slow because memory has a long latency."* It is bandwidth: all weights and all keys, for each token.
#
# ## Where to go next
#
# * [Shazeer 2019](https://arxiv.org/abs/1911.02150): nine pages, with the arithmetic of decoding. Then *mqa-gqa*.
# * [Pope et al. 2022](https://arxiv.org/abs/2211.05102): the same on many chips; read its section 2.
# * [Kwon et al. 2023](https://arxiv.org/abs/2309.06180): PagedAttention. Figure 3 shows where memory was lost.
# * The topic *speculative-decoding* takes tokens back from a cache, and needs `write_cache` to allow it.
#
# **A last question.** A chat has a cache of 10 000 tokens. The user edits one word of the first message. What has to be
# computed again?
#
# <details><summary>Answer</summary>
#
# Everything behind that word, and nothing before it. All later tokens have looked at it. That is why services keep the
# part that never changes, the instructions, at the very beginning, and what changes at the end.
# </details>
