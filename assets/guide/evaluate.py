"""Asks a running hutch what guide was never trained on and compares answers exactly:
`python evaluate.py --url http://127.0.0.1:11434 [--show 10]`. First phrasings that corpus.py holds out, with
thinking and without (what follows `</think>` counts), then strangers.py through /api/chat."""

import argparse
import json
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from corpus import held_out
from dialogue import prompt
from facts import BY_ID
from strangers import STRANGERS
from talk import TALK
from unknown import UNKNOWN_ANSWER, UNKNOWN_HUTCH_ANSWER

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
parser.add_argument("--model", default="guide")
parser.add_argument("--show", type=int, default=0, help="print this many wrong answers")
parser.add_argument("--each", type=int, default=4, help="held-out phrasings of each intent")
options = parser.parse_args()
SETTINGS = {"temperature": 0, "num_predict": 200, "stop": ["<|im_end|>"]}


def post(path, body):
    request = urllib.request.Request(options.url + path, json.dumps({"model": options.model, "stream": False, "options": SETTINGS, **body}).encode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def continued(case):
    raw = post("/api/generate", {"prompt": prompt(case[2]), "raw": True})["response"]
    return raw.split("</think>")[-1].strip()


def chatted(case):
    question, _, think = case
    return post("/api/chat", {"messages": [{"role": "user", "content": question}], "think": think})["message"]["content"].strip()


right, total, shown = defaultdict(int), defaultdict(int), 0


def judge(groups, question, wanted, got, think):
    global shown
    for key in groups:
        total[key] += 1
        right[key] += got == wanted
    if got != wanted and shown < options.show:
        shown += 1
        print(f"{groups[0]}{' (thinking)' if think else ''}: {question!r}\n    wanted {wanted!r}\n    got    {got!r}")


ANSWERS = {entry[0]: entry[2].replace("{m}", "MODEL") for entry in [*BY_ID.values(), *TALK]}
ANSWERS |= {"unknown": UNKNOWN_ANSWER, "unknown_hutch": UNKNOWN_HUTCH_ANSWER}
NAMES = ["llama3", "mistral"]  # models that strangers name

with ThreadPoolExecutor(8) as pool:
    cases = held_out(each=options.each)
    for (group, _, dialogue), got in zip(cases, pool.map(continued, cases)):
        judge((group, "all held out"), dialogue["turns"][-2][1], dialogue["turns"][-1][1], got, dialogue["think"])
    cases = [(question, intent, think) for question, intent in STRANGERS for think in (False, True)]
    for (question, intent, think), got in zip(cases, pool.map(chatted, cases)):
        name = next((name for name in NAMES if name in question), "MODEL")
        judge(("strangers, by chat",), question, ANSWERS[intent].replace("MODEL", name), got, think)
for key in total:
    print(f"{key:24} {right[key]:5} of {total[key]:5}  {100 * right[key] / total[key]:5.1f} %")
