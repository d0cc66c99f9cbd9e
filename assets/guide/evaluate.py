"""Asks held-out phrasings of a running hutch and compares answers exactly:
`python evaluate.py --url http://127.0.0.1:11434 [--show 10]`. With thinking, what follows `</think>` counts."""

import argparse
import json
import urllib.request
from collections import defaultdict

from corpus import held_out
from dialogue import prompt

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
parser.add_argument("--show", type=int, default=0, help="print this many wrong answers")
options = parser.parse_args()


def ask(text):
    body = {"model": "guide", "prompt": text, "raw": True, "stream": False, "options": {"temperature": 0, "num_predict": 200, "stop": ["<|im_end|>"]}}
    request = urllib.request.Request(options.url + "/api/generate", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["response"]


right, total, shown = defaultdict(int), defaultdict(int), 0
for group, intent, dialogue in held_out():
    wanted = dialogue["turns"][-1][1]
    raw = ask(prompt(dialogue))
    got = raw.split("</think>")[-1].strip() if dialogue["think"] else raw.strip()
    for key in (group, "all"):
        total[key] += 1
        right[key] += got == wanted
    if got != wanted and shown < options.show:
        shown += 1
        print(f"{group}/{intent}: {dialogue['turns'][-2][1]!r}\n    wanted {wanted!r}\n    got    {got!r}")
for key in total:
    print(f"{key:18} {right[key]:4} of {total[key]:4}  {100 * right[key] / total[key]:5.1f} %")
