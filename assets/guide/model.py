"""The network: a plain llama (RMSNorm, RoPE on neighbouring pairs as llama.cpp's `llama` has it,
SwiGLU, tied embeddings), written so that its weights go into a GGUF without any permutation."""

import jax
import jax.numpy as jnp
import numpy as np

CONFIG = {"vocabulary": 2048, "width": 256, "layers": 5, "heads": 4, "feed_forward": 640, "context": 1024, "rope_base": 10000.0, "epsilon": 1e-5}


def initialise(config, seed=0):
    rng = np.random.default_rng(seed)
    width, hidden = config["width"], config["feed_forward"]
    deep = (2 * config["layers"]) ** -0.5

    def matrix(rows, columns, scale=1.0):
        return jnp.asarray(rng.normal(0, scale * columns**-0.5, (rows, columns)), jnp.float32)

    layers = [
        {
            "attention_norm": jnp.ones(width), "q": matrix(width, width), "k": matrix(width, width), "v": matrix(width, width), "o": matrix(width, width, deep),
            "feed_norm": jnp.ones(width), "gate": matrix(hidden, width), "up": matrix(hidden, width), "down": matrix(width, hidden, deep),
        }
        for _ in range(config["layers"])
    ]
    return {"embedding": jnp.asarray(rng.normal(0, 0.02, (config["vocabulary"], width)), jnp.float32), "norm": jnp.ones(width), "layers": layers}


def rms(x, weight, epsilon):
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.mean(wide * wide, -1, keepdims=True) + epsilon) * weight).astype(x.dtype)


def rotate(x, positions, base):
    half = x.shape[-1] // 2
    angle = positions[..., None, None] * base ** (-jnp.arange(half) / half)
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = jnp.cos(angle).astype(x.dtype), jnp.sin(angle).astype(x.dtype)
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def forward(config, weights, tokens, positions, documents, kind=jnp.float32):
    """Logits (batch, time, vocabulary) in float32, computed in `kind`. Tokens see earlier tokens of their own document only."""
    batch, time = tokens.shape
    heads, epsilon = config["heads"], config["epsilon"]
    weights = jax.tree.map(lambda w: w.astype(kind) if w.ndim > 1 else w, weights)
    x = weights["embedding"][tokens]
    seen = (documents[:, :, None] == documents[:, None, :]) & jnp.tril(jnp.ones((time, time), bool))
    bias = jnp.where(seen, 0.0, -1e9)[:, None]
    for layer in weights["layers"]:
        h = rms(x, layer["attention_norm"], epsilon)
        split = lambda y: y.reshape(batch, time, heads, -1)
        q = rotate(split(h @ layer["q"].T), positions, config["rope_base"])
        k = rotate(split(h @ layer["k"].T), positions, config["rope_base"])
        v = split(h @ layer["v"].T)
        scores = jnp.einsum("bthd,bshd->bhts", q, k).astype(jnp.float32) * q.shape[-1] ** -0.5 + bias
        mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores, -1).astype(kind), v).reshape(batch, time, -1)
        x = x + mixed @ layer["o"].T
        h = rms(x, layer["feed_norm"], epsilon)
        x = x + (jax.nn.silu(h @ layer["gate"].T) * (h @ layer["up"].T)) @ layer["down"].T
    return (rms(x, weights["norm"], epsilon) @ weights["embedding"].T).astype(jnp.float32)


def count(weights):
    return sum(leaf.size for leaf in jax.tree.leaves(weights))


def save(path, config, weights):
    """Weights in half precision, which is more than the GGUF keeps, with the sizes they belong to."""
    flat = {"/".join(str(getattr(step, "key", getattr(step, "idx", None))) for step in steps): np.asarray(leaf, np.float16) for steps, leaf in jax.tree_util.tree_leaves_with_path(weights)}
    np.savez(path, config=np.array([str(config)]), **flat)
