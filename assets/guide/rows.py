"""Rows for training: conversations as tokens, packed and never cut, made by processes of their own
because a GPU, and even two CPU cores, learn faster than one Python writes."""

import functools
import multiprocessing

import numpy as np
from tokenizers import Tokenizer

from corpus import train as conversations
from dialogue import segments

# What the user and the tools write is learnt a little, so that words get to know each other.
BESIDE = 13  # of 255


def encoder(path):
    """Conversation → (tokens, what each of them weighs, 0..255). Answers come again and again: they are kept."""
    tokenizer = Tokenizer.from_file(path)

    @functools.lru_cache(maxsize=1 << 16)
    def ids_of(text):
        return tokenizer.encode(text).ids

    def encode(dialogue):
        ids, learn = [], []
        for text, wanted in segments(dialogue):
            piece = ids_of(text)
            ids += piece
            learn += [255 if wanted else 0 if wanted is None else BESIDE] * len(piece)
        learn[0] = 0  # the first token of a document has nothing to follow from
        return ids, learn

    return encode


def packed(encode, seed, length, rows):
    """Arrays (rows, length) without end: tokens, positions, number of the document (0 is padding), weights."""
    source = conversations(seed)
    left = None
    while True:
        arrays = np.zeros((rows, length), np.uint16), np.zeros((rows, length), np.uint16), np.zeros((rows, length), np.uint8), np.zeros((rows, length), np.uint8)
        for row in range(rows):
            at, document = 0, 0
            while True:
                ids, learn = left or encode(next(source))
                left = None
                if len(ids) > length:
                    continue
                if at + len(ids) > length:
                    left = ids, learn
                    break
                document += 1
                end = at + len(ids)
                for array, values in zip(arrays, (ids, range(len(ids)), document, learn)):
                    array[row, at:end] = values
                at = end
        yield arrays


def work(queue, path, seed, length, rows):
    for arrays in packed(encoder(path), seed, length, rows):
        queue.put(arrays)


def stream(path, seed, length, rows, workers):
    """Batches of `rows` rows from `workers` processes, which end with this one."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize=4 * workers)
    part = max(1, rows // 8)
    for index in range(workers):
        context.Process(target=work, args=(queue, path, seed * 1000 + index, length, part), daemon=True).start()
    while True:
        parts = [queue.get() for _ in range(rows // part)]
        yield tuple(np.concatenate(column) for column in zip(*parts))
