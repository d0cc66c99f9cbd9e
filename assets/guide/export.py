"""Writes the trained network as a GGUF: `python export.py --folder DIR --output guide.gguf`. Matrices are
quantised to Q8_0, norms stay F32; nothing is permuted, because the network turns neighbouring pairs."""

import argparse
import ast
import json
import os

import gguf
import numpy as np

from tokenizer import CONTROL, TEXT_MARKS

parser = argparse.ArgumentParser()
parser.add_argument("--folder", required=True)
parser.add_argument("--output", required=True)
options = parser.parse_args()
here = os.path.dirname(os.path.abspath(__file__))

weights = np.load(os.path.join(options.folder, "weights.npz"))
CONFIG = ast.literal_eval(str(weights["config"][0]))
with open(os.path.join(options.folder, "tokenizer.json"), encoding="utf8") as file:
    tokenizer = json.load(file)

writer = gguf.GGUFWriter(options.output, "llama")
writer.add_type("model")
writer.add_name("guide")
writer.add_author("The hutch authors")
writer.add_license("mit")
writer.add_description("A small model that knows hutch, built into it")
writer.add_context_length(CONFIG["context"])
writer.add_embedding_length(CONFIG["width"])
writer.add_block_count(CONFIG["layers"])
writer.add_feed_forward_length(CONFIG["feed_forward"])
writer.add_head_count(CONFIG["heads"])
writer.add_head_count_kv(CONFIG["heads"])
writer.add_rope_dimension_count(CONFIG["width"] // CONFIG["heads"])
writer.add_rope_freq_base(CONFIG["rope_base"])
writer.add_layer_norm_rms_eps(CONFIG["epsilon"])
writer.add_vocab_size(CONFIG["vocabulary"])
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)

vocabulary = dict(tokenizer["model"]["vocab"])
for added in tokenizer["added_tokens"]:
    vocabulary[added["content"]] = added["id"]
tokens = sorted(vocabulary, key=vocabulary.get)
assert [vocabulary[token] for token in tokens] == list(range(CONFIG["vocabulary"]))


def kind(token):
    if token in CONTROL:
        return gguf.TokenType.CONTROL
    # The marks of thinking and calls are text that clients read.
    return gguf.TokenType.USER_DEFINED if token in TEXT_MARKS else gguf.TokenType.NORMAL


writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("smollm")
writer.add_token_list(tokens)
writer.add_token_types([kind(token) for token in tokens])
writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]])
writer.add_eos_token_id(vocabulary["<|im_end|>"])
writer.add_pad_token_id(vocabulary["<|endoftext|>"])
writer.add_add_bos_token(False)
with open(os.path.join(here, "template.jinja"), encoding="utf8") as file:
    writer.add_chat_template(file.read())


def matrix(name, values):
    data = np.asarray(values, np.float32)
    writer.add_tensor(name, gguf.quants.quantize(data, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)


def norm(name, values):
    writer.add_tensor(name, np.asarray(values, np.float32))


matrix("token_embd.weight", weights["embedding"])
norm("output_norm.weight", weights["norm"])
for index in range(CONFIG["layers"]):
    layer, block = f"layers/{index}", f"blk.{index}"
    norm(f"{block}.attn_norm.weight", weights[f"{layer}/attention_norm"])
    for name, key in (("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"), ("attn_output", "o")):
        matrix(f"{block}.{name}.weight", weights[f"{layer}/{key}"])
    norm(f"{block}.ffn_norm.weight", weights[f"{layer}/feed_norm"])
    for name, key in (("ffn_gate", "gate"), ("ffn_up", "up"), ("ffn_down", "down")):
        matrix(f"{block}.{name}.weight", weights[f"{layer}/{key}"])

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
