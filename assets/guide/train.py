"""Trains guide for a given time: AdamW, warm-up, cosine by elapsed time, a checkpoint every few minutes.
`python train.py --folder DIR --minutes 90` on CPU cores; with a GPU in a few minutes: `--minutes 4
--batch 96 --half --workers 14`. Goes on from the checkpoint that it finds."""

import argparse
import os
import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np

from model import CONFIG, count, forward, initialise, save
from rows import stream


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--length", type=int, default=512, help="tokens a row")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--workers", type=int, default=1, help="processes that write conversations")
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sizes", default="", help="other sizes than model.py's: width=192,layers=6")
    return parser.parse_args()


def main():
    options = arguments()
    config = {**CONFIG, **{key: int(value) for key, value in (pair.split("=") for pair in options.sizes.split(",") if pair)}}
    kind = jnp.bfloat16 if options.half else jnp.float32

    def loss(weights, tokens, positions, documents, learn):
        logits = forward(config, weights, tokens, positions, documents, kind)[:, :-1]
        target, weight = tokens[:, 1:], learn[:, 1:]
        chosen = jnp.take_along_axis(logits, target[..., None], -1)[..., 0] - jax.nn.logsumexp(logits, -1)
        return -(chosen * weight).sum() / weight.sum()

    @jax.jit
    def step(weights, first, second, number, rate, tokens, positions, documents, learn):
        batch = tokens.astype(jnp.int32), positions.astype(jnp.float32), documents.astype(jnp.int32), learn.astype(jnp.float32) / 255
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
            weights, first, second, number, spent = pickle.load(file)
    print(f"{jax.devices()[0]}: {count(weights):,} parameters, from step {number}", flush=True)

    def keep():
        with open(path + ".new", "wb") as file:
            pickle.dump(jax.tree.map(np.asarray, (weights, first, second)) + (number, spent), file)
        os.replace(path + ".new", path)

    batches = stream(os.path.join(options.folder, "tokenizer.json"), options.seed + number, options.length, options.batch, options.workers)
    value = step(weights, first, second, jnp.float32(1), jnp.float32(0), *next(batches))[3].block_until_ready()  # compiles
    print(f"compiled, loss {float(value):.3f}", flush=True)
    begin, saved, shown, seen, losses = time.time() - spent, time.time(), time.time(), 0, []
    for batch in batches:
        spent = time.time() - begin
        share = spent / (options.minutes * 60)
        if share >= 1:
            break
        rate = options.rate * min(1.0, (number + 1) / 150) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))
        number += 1
        weights, first, second, value = step(weights, first, second, jnp.float32(number), jnp.float32(rate), *batch)
        seen += batch[0].size
        losses.append(value)
        if len(losses) > 8:
            losses[-9].block_until_ready()  # a few steps ahead of the device, not more
        if time.time() - shown > 10:
            mean = float(np.mean([float(v) for v in losses]))
            print(f"step {number}  {spent / 60:.1f} min  loss {mean:.4f}  rate {rate:.5f}  {seen / (time.time() - shown):.0f} tokens/s", flush=True)
            shown, seen, losses = time.time(), 0, []
        if time.time() - saved > 180:
            saved = time.time()
            keep()
    keep()
    save(os.path.join(options.folder, "weights.npz"), config, weights)
    print(f"done: step {number}", flush=True)


if __name__ == "__main__":
    main()
