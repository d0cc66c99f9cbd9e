"""Trains guide on the CPU for a given time: AdamW, warm-up, cosine by elapsed time, a checkpoint every
few minutes. `python train.py --folder DIR --minutes 70`; goes on from the checkpoint it finds there."""

import argparse
import os
import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from corpus import train as conversations
from dialogue import segments
from model import CONFIG, count, forward, initialise

parser = argparse.ArgumentParser()
parser.add_argument("--folder", required=True)
parser.add_argument("--minutes", type=float, default=75)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--length", type=int, default=384)
parser.add_argument("--rate", type=float, default=3e-3)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
config = dict(CONFIG)
tokenizer = Tokenizer.from_file(os.path.join(options.folder, "tokenizer.json"))


def packed(seed):
    """Rows of tokens, positions, documents and loss weights; conversations are never cut."""
    source = conversations(seed)
    left = None
    while True:
        rows = []
        for _ in range(options.batch):
            tokens, positions, documents, weights = [], [], [], []
            document = 0
            while True:
                dialogue, left = (left, None) if left else (next(source), None)
                ids, learn = [], []
                for text, wanted in segments(dialogue):
                    piece = tokenizer.encode(text).ids
                    ids += piece
                    learn += [1.0 if wanted else 0.02] * len(piece)
                if len(ids) > options.length:
                    continue
                if len(tokens) + len(ids) > options.length:
                    left = dialogue
                    break
                tokens += ids
                positions += range(len(ids))
                documents += [document] * len(ids)
                weights += [0.0] + learn[1:]  # the first token of a document has nothing to follow from
                document += 1
            pad = options.length - len(tokens)
            rows.append((tokens + [0] * pad, positions + [0] * pad, documents + [-1] * pad, weights + [0.0] * pad))
        yield tuple(np.array(column, kind) for column, kind in zip(zip(*rows), (np.int32, np.float32, np.int32, np.float32)))


def loss(weights, tokens, positions, documents, learn):
    logits = forward(config, weights, tokens, positions, documents)[:, :-1]
    target, weight = tokens[:, 1:], learn[:, 1:]
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1)[..., 0]
    return -(chosen * weight).sum() / weight.sum()


@jax.jit
def step(weights, first, second, number, rate, *batch):
    value, slope = jax.value_and_grad(loss)(weights, *batch)
    norm = jnp.sqrt(sum(jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(slope)))
    slope = jax.tree.map(lambda g: g * jnp.minimum(1.0, 1.0 / (norm + 1e-6)), slope)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
    second = jax.tree.map(lambda v, g: 0.97 * v + 0.03 * g * g, second, slope)

    def update(w, m, v):
        change = (m / (1 - 0.9**number)) / (jnp.sqrt(v / (1 - 0.97**number)) + 1e-8)
        return w - rate * (change + (0.05 * w if w.ndim > 1 else 0.0))

    return jax.tree.map(update, weights, first, second), first, second, value


path = os.path.join(options.folder, "checkpoint.pickle")
weights = initialise(config, options.seed)
zeros = jax.tree.map(jnp.zeros_like, weights)
first, second, number, spent = zeros, zeros, 0, 0.0
if os.path.exists(path):
    with open(path, "rb") as file:
        weights, first, second, number, spent = jax.tree.map(lambda x: x, pickle.load(file))
print(f"{count(weights):,} parameters, from step {number}", flush=True)

begin, saved, shown, seen, mean = time.time() - spent, time.time(), time.time(), 0, None
for batch in packed(options.seed * 1000 + number):
    spent = time.time() - begin
    share = spent / (options.minutes * 60)
    if share >= 1:
        break
    rate = options.rate * min(1.0, (number + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))
    number += 1
    weights, first, second, value = step(weights, first, second, jnp.float32(number), jnp.float32(rate), *batch)
    seen += batch[0].size
    mean = float(value) if mean is None else 0.98 * mean + 0.02 * float(value)
    if time.time() - shown > 20:
        print(f"step {number}  {spent / 60:.1f} min  loss {mean:.4f}  rate {rate:.5f}  {seen / (time.time() - shown):.0f} tokens/s", flush=True)
        shown, seen = time.time(), 0
    if time.time() - saved > 180:
        saved = time.time()
        with open(path + ".new", "wb") as file:
            pickle.dump(jax.tree.map(np.asarray, (weights, first, second)) + (number, spent), file)
        os.replace(path + ".new", path)
with open(path + ".new", "wb") as file:
    pickle.dump(jax.tree.map(np.asarray, (weights, first, second)) + (number, spent), file)
os.replace(path + ".new", path)
print(f"done: step {number}, loss {mean:.4f}", flush=True)
