"""Trains the tokenizer: byte-level BPE, single digits, so that any text round-trips and numbers are
copied digit by digit. llama.cpp knows its pre-tokenizer as `smollm`."""

import itertools
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import train
from dialogue import segments

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT_MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]


def make(path, vocabulary=2048, samples=60_000):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=CONTROL + TEXT_MARKS,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    texts = ("".join(text for text, _ in segments(d)) for d in itertools.islice(train(7), samples))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in CONTROL + TEXT_MARKS])
    tokenizer.save(path)
    return tokenizer


if __name__ == "__main__":
    made = make(sys.argv[1])
    sample = "Where do models live? 127.0.0.1:11434 ünïcødé 你好"
    assert made.decode(made.encode(sample).ids, skip_special_tokens=False) == sample
    print(made.get_vocab_size(), made.encode(sample).tokens)
