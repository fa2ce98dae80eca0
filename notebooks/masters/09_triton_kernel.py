# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · The Triton kernel
#
# **Claim.** Attention needs no square matrix: tiles and a running maximum are enough, and the result is the same.
#
# **You will** write the online softmax, mask a tile, put both together to attention by tiles, keep one number for each
# row, find three broken kernels from outside, and run the real Triton kernel beside your own.
#
# **You need** the package, and no GPU. Triton where it is installed (Linux); without it the lesson goes on with plain
# tiles. **Time** fifty minutes; the cells run in seconds.
#
# The first cell also looks where the kernel can run. Without a GPU it switches Triton's interpreter on, which works
# only before anything has loaded Triton: before the model, for instance.

# %%
# %matplotlib inline
import io
import time

import torch
from IPython.display import Image, Markdown
from matplotlib import image as pictures

from q2a_core import AudioChat, lengths, load_waveform, paths, presets
from q2a_core.inspection.bug_hunt import error_pattern
from q2a_core.inspection.flash_clip import encoder_inputs, head_tensors, run_head, view_step
from q2a_core.inspection.flash_pictures import map_picture
from q2a_core.inspection.flash_steps import FAULTS, flash_steps
from q2a_core.kernels import attention, attention_weights
from q2a_core.teaching.checks import check
from q2a_core.teaching.checks.lesson_09 import HUNT
from q2a_core.teaching.triton_here import triton_here

here = triton_here()
print(here.sentence)

# %%
CLIP = paths.data_samples() / "clips" / "keyboard_question.wav"  # any clip of yours
LAYER, HEAD, TILE = 3, 1, 32
chat = AudioChat.from_pretrained("mini")
samples = load_waveform(CLIP).samples

# %% [markdown]
# One head of one encoder layer on that clip, padded as if a longer clip stood beside it in a batch. Rows are 20 ms
# frames.

# %%
inputs = encoder_inputs(chat.model, samples, beside_seconds=len(samples) / lengths.SAMPLE_RATE + 1)
q, k, v = head_tensors(chat.model, inputs, layer=LAYER, head=HEAD)
places, length, width = len(q), inputs.length, q.shape[1]
print(
    f"{places} places, {length} of them the clip's, {places - length} padding; head width {width}"
)

# %% [markdown]
# **Baseline: the formula.** It writes down a weight for every pair of places. **Predict:** how much memory does that
# map take for a 30 s clip, in all heads of one layer of the 7B's encoder, in float32? And one tile?

# %%
rate, many = lengths.ENCODER_FRAME_RATE, presets.qwen2_audio_7b().encoder.num_heads
for seconds, heads in ((length / rate, 1), (30, 1), (30, many)):
    frames = round(seconds * rate)
    print(
        f"{seconds:5.1f} s, {heads:2} heads: map {heads * frames**2 * 4 / 2**20:8.2f} MiB, "
        f"one tile of {TILE} x {TILE}: {TILE**2 * 4 / 2**20:.4f} MiB"
    )

# %% [markdown]
# The softmax of a row needs its maximum and its sum, and both seem to need the whole row. They do not: when a larger
# score appears, what was summed before can be scaled down. All scores in one pass, a tile at a time:


# %% exercise="09.absorb"
def absorb(row_max, row_sum, scores):
    """New maximum (R,) and sum (R,) of exp(score - maximum), once a tile of scores (R, C) has passed."""
    # SOLUTION
    new_max = torch.maximum(row_max, scores.amax(-1))
    base = torch.where(new_max.isinf(), 0.0, new_max)  # a row without any key so far
    row_sum = row_sum * (row_max - base).exp() + (scores - base[:, None]).exp().sum(-1)
    return new_max, row_sum
    # STUB
    # return None  # two tensors; before the first tile they are minus infinity and 0
    # END


check("09.absorb", absorb)

# %% [markdown]
# The same on the clip, step by step: what one tile of queries holds while the tiles of keys pass by. It is the tile in
# which most maxima grow late. Where a maximum grows, the factor is below one; the first tile's is 0, for nothing was
# kept before it.

# %%
found = run_head(q, k, v, length=length, tile=TILE)
views = [view_step(found, number) for number in range(found.tiles**2)]
rows = [views[first : first + found.tiles] for first in range(0, len(views), found.tiles)]
latest = max(rows, key=lambda row: sum(view.grew for view in row[1:]))
print(f"queries {latest[0].queries}")
for view in latest:
    if view.skipped:
        print(f"keys {view.keys}: all padding, skipped")
        continue
    print(
        f"keys {view.keys}: maximum grew in {view.grew:2} rows, smallest factor {view.rescale.min():.3f}, "
        f"sum of row 0 {view.new_sum[0]:7.3f}, answer still off by {view.unfinished:.1e}"
    )

# %% [markdown]
# A tile that reaches past the clip's end has columns that are no keys at all. What must their score be?


# %% exercise="09.scores"
def scores(q_tile, k_tile, left, length):
    """Scores (R, C) of queries (R, Dh) and keys (C, Dh); key c is place `left + c`, valid below `length`."""
    # SOLUTION
    found = (q_tile @ k_tile.T) * q_tile.shape[-1] ** -0.5
    beyond = torch.arange(left, left + len(k_tile)) >= length
    return found.masked_fill(beyond, float("-inf"))
    # STUB
    # return None
    # END


check("09.scores", scores)

# %% [markdown]
# Values join in: an accumulator that is treated as the sum is.


# %% exercise="09.tile"
def tile_step(row_max, row_sum, accumulator, scores, values):
    """New maximum (R,), sum (R,) and accumulator (R, Dh) after scores (R, C) and values (C, Dh)."""
    # SOLUTION
    new_max = torch.maximum(row_max, scores.amax(-1))
    shrink = (row_max - new_max).exp()
    weights = (scores - new_max[:, None]).exp()
    row_sum = row_sum * shrink + weights.sum(-1)
    return new_max, row_sum, accumulator * shrink[:, None] + weights @ values
    # STUB
    # return None
    # END


check("09.tile", tile_step)

# %% [markdown]
# The backward pass needs the weights again. Instead of a map, the kernel keeps one number for each row, the log-sum-exp
# of its scores.


# %% exercise="09.lse"
def log_sum_exp(row_max, row_sum):
    """log(sum(exp(scores))) of each row, from what is held after the last tile."""
    # SOLUTION
    return row_max + row_sum.log()
    # STUB
    # return None
    # END


check("09.lse", log_sum_exp)

# %%
run = found.run
raw = q[:length] @ k[:length].T * width**-0.5
again = (raw - run.lse[:length, None]).exp()
due = attention_weights(q[None, None, :length], k[None, None, :length])[0, 0]
print(
    "weights computed again from one number a row, largest difference:",
    float((again - due).abs().max()),
)
print(f"numbers kept: {length} instead of {length**2}")

# %% [markdown]
# Now all of it. Queries in tiles outside, keys in tiles inside; padding skipped, its rows zero.


# %% exercise="09.flash"
def flash(q, k, v, length, tile):
    """Attention (T, Dh) of one head; the first `length` of T places are valid, the others give zeros."""
    # SOLUTION
    out = torch.zeros_like(q)
    for top in range(0, length, tile):
        rows = slice(top, min(top + tile, length))
        count = rows.stop - top
        row_max, row_sum = torch.full((count,), float("-inf")), torch.zeros(count)
        kept = torch.zeros(count, v.shape[1])
        for left in range(0, length, tile):
            keys = slice(left, min(left + tile, length))
            s = q[rows] @ k[keys].T * q.shape[1] ** -0.5
            new_max = torch.maximum(row_max, s.amax(-1))
            shrink, weights = (row_max - new_max).exp(), (s - new_max[:, None]).exp()
            row_sum = row_sum * shrink + weights.sum(-1)
            kept = kept * shrink[:, None] + weights @ v[keys]
            row_max = new_max
        out[rows] = kept / row_sum[:, None]
    return out
    # STUB
    # return None
    # END


check("09.flash", flash)

# %% [markdown]
# The package's tiles against the reference, for several sizes, and the map they never held. The tile at work is
# outlined.

# %%
for tile in (8, 16, 32, 64, 512):
    out = flash_steps(q, k, v, length=length, tile=tile).out
    print(f"tiles of {tile:3}: largest difference {float((out - found.reference).abs().max()):.1e}")
picture = io.BytesIO()
pictures.imsave(picture, map_picture(found, len(run.steps) // 2), format="png")
Image(picture.getvalue(), alt="weights of the tiles so far, padding striped")

# %% [markdown]
# **Negative control.** Something that is no number lies in the padding. And a kernel with a planted fault: does the
# comparison see it?

# %%
dirty = [x.clone() for x in (q, k, v)]
for x in dirty:
    x[length:] = float("nan")
clean = flash_steps(q, k, v, length=length, tile=TILE).out
print(
    "NaN in the padding changes nothing:",
    torch.equal(flash_steps(*dirty, length=length, tile=TILE).out, clean),
)
for name in FAULTS:
    out = flash_steps(q, k, v, length=length, tile=TILE, fault=name).out
    print(f"{name:26} off by {float((out - found.reference).abs().max()):.1e}")

# %% [markdown]
# ## Find the bug
#
# Three kernels are broken. You see what is wrong from outside, not the code. Which fault is it?

# %%
lines = [
    "| kernel | wrong rows | of them, maximum grew late | a row's weights add up to |",
    "| --- |" + " --- |" * 3,
]
for seed in HUNT:
    seen = error_pattern(q, k, v, length=length, tile=TILE, seed=seed)
    low, high = seen.weight_sums.min(), seen.weight_sums.max()
    wrong = int(seen.wrong_rows.sum())
    lines.append(
        f"| {seed} | {wrong} of {length} | {seen.wrong_that_grew} | {low:.3f} to {high:.3f} |"
    )
print(f"rows whose maximum grew after the first tile: {int(seen.grew.sum())} of {length}")
Markdown("\n".join(lines))

# %%
for fault in FAULTS.values():
    print(f"{fault.name}: {fault.title}")

# %% exercise="09.hunt"
# SOLUTION
guesses = {1: "scores_not_scaled", 8: "padding_attended", 14: "accumulator_not_rescaled"}
# STUB
# guesses = None  # {number of the kernel: name of its fault, ...}
# END

check("09.hunt", guesses)

# %% [markdown]
# ## The kernel itself
#
# `kernels/attention_triton.py` does what you did, for all heads at once, in base 2. One program owns a tile of queries;
# `attend` is your inner loop. `kernels/attention_backward_triton.py` has the gradients.

# %%
if here.device is None:
    print(here.sentence)
else:
    heads = [x[None, None].to(here.device) for x in (q, k, v)]
    valid = torch.tensor([length], device=here.device)
    start = time.perf_counter()
    out = attention(*heads, lengths=valid, backend="triton")
    seconds = time.perf_counter() - start
    difference = float((out[0, 0].cpu() - found.reference).abs().max())
    print(
        f"kernel against reference: {difference:.1e}; {seconds:.2f} s, which says nothing about speed"
    )

# %% [markdown]
# And its gradients, where nothing but the log-sum-exp was kept:

# %%
if here.device is not None:
    gradients = {}
    for backend in ("reference", "triton"):
        learn = [x[:, :, :40].clone().requires_grad_() for x in heads]
        attention(*learn, backend=backend).square().sum().backward()
        gradients[backend] = [x.grad.cpu() for x in learn]
    for name, one, other in zip("qkv", *gradients.values(), strict=True):
        print(f"d{name}: largest difference {float((one - other).abs().max()):.1e}")
else:
    print("no kernel here; the plain tiles above are the same algorithm")

# %% [markdown]
# **Limits.** Equal means equal but for rounding: sums run in another order. The interpreter shows what is computed,
# never how fast; timings on real hardware come from `q2a bench --only attention`, with the machine's name.
#
# **Where in the source:** `kernels/attention_reference.py`, `inspection/flash_steps.py`, `kernels/attention_triton.py`,
# and the workbench's kernel page. **Where in the papers:** Milakov and Gimelshein 2018 (arXiv 1805.02867), Dao 2023
# (arXiv 2307.08691); the Qwen2-Audio paper says nothing about kernels.
