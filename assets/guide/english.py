"""How people write: a small grammar of phrasings, words for one another, slips, and the split that
keeps some texts out of training."""

import functools
import random
import re
import zlib

# Beginnings of a question. Weights are written as repetitions.
HOW = ("(how do i|how do i|how can i|how can i|how to|how to|how do you|how would i|how does one|how should i|how could i|how must i|"
       "(what is|what's|whats) the (best |easiest |right )?way to|show me how to|(please )?tell me how to|explain how to|i want to|i need to|i would like to|i'd like to|"
       "can i|could i|is it possible to|is there a way to|help me( to)?|what is the command to|(which|what) command (do i use|is there) to|command to|"
       "what do i (type|do|enter) to|what should i do to|teach me to|how 2|howto|steps to|i am trying to|i'm trying to|best way to|i have to|what do i need to do to|)")
WHAT = "(what is|what is|what's|whats|what are|explain|tell me about|describe|define|what about|what do you know about|info on|i have a question about|what is the meaning of|what exactly is|)"
WHICH = "(what|which)"

STOP_WORDS = set("how do i a an the is are to what which of can does my it in for me want need would like tell whats what's you there i'd i'm am be".split())

# A word and what may stand for it. Only swaps that cannot turn one intent into another.
SWAPS = {
    "model": ["llm", "language model", "ai model", "modle"],
    "models": ["llms", "language models", "ai models"],
    "delete": ["remove", "erase", "get rid of", "wipe", "dlete"],
    "folder": ["directory", "dir", "location", "path"],
    "download": ["fetch", "get", "grab", "dl", "donwload"],
    "start": ["launch", "fire up", "bring up", "boot"],
    "server": ["daemon", "hutch server", "service", "serve"],
    "change": ["set", "modify", "alter", "configure", "adjust", "override"],
    "context": ["ctx"],
    "memory": ["ram"],
    "computer": ["machine", "pc", "laptop", "mac"],
    "command": ["cmd", "comand"],
    "answer": ["response", "reply", "output"],
    "answers": ["responses", "replies", "outputs"],
    "create": ["make", "build", "creat"],
    "quantize": ["quantise"],
    "quantise": ["quantize", "compress"],
    "unload": ["free", "evict"],
    "environment": ["env"],
    "variables": ["vars", "settings"],
    "supported": ["possible", "available"],
    "support": ["have", "do", "offer"],
    "installed": ["there", "present"],
    "show": ["display", "print", "view", "see"],
    "length": ["size", "window", "lenght"],
    "big": ["large"],
    "need": ["require"],
    "update": ["upgrade"],
    "please": ["pls", "plz"],
    "you": ["u", "you"],
    "are": ["r", "are"],
    "your": ["ur", "your"],
    "with": ["w/", "using", "by"],
    "and": ["&", "and"],
    "what": ["wat", "what"],
    "does": ["dose", "does"],
    "stored": ["saved", "kept", "located"],
    "quickly": ["fast"],
    "parameters": ["params", "settings"],
    "parameter": ["param"],
    "graphics": ["video"],
    "system": ["sys"],
    "different": ["other", "diffrent"],
    "another": ["a different", "some other"],
    "image": ["picture", "photo"],
    "images": ["pictures", "photos"],
    "error": ["err", "problem"],
    "happens": ["goes on", "will happen"],
}
ARTICLES = {"a", "an", "the", "my", "this"}
OPENERS = ["please tell me, ", "hi, ", "hello, ", "so ", "and ", "can you tell me ", "i want to know ", "tell me ", "quick question: ", "hey guide, ", "now ", "please, ", "i wonder, ",
           "one more thing: ", "hey, ", "do you know ", "could you say ", "ok, ", "ok ", "also, ", "question: ", "um, ", "well, ", "sorry, ", "next: ", "then ", "help: ", "guide, ", "i am new here. ",
           "hey! ", "thanks. ", "thank you! ", "good. ", "great, ", "hi! ", "just curious, ", "let me ask: ", "i'm stuck. ", "hmm "]
CLOSERS = [" please", " in hutch", " with hutch", ", thanks", " pls", " here", " now", " in this program", ", please", " on my machine", " for me", " in general", " exactly", " again", " then", " on linux", ", do you know", " thx", " at the moment", " on this machine", " quickly", " today", " in the terminal", " by myself", " from the command line", ", any idea"]


@functools.lru_cache(maxsize=None)
def parse(pattern):
    """`(a|b)`, `(a|b)?` and `a?` as a tree: a text, or a tuple of alternatives, each a tuple of parts."""
    pattern = re.sub(r"([a-z _-])\?", r"(\1)?", pattern)

    def sequence(at):
        alternatives, parts, text = [], [], ""
        while at < len(pattern):
            char = pattern[at]
            if char == "(":
                inner, at = sequence(at + 1)
                optional = at < len(pattern) and pattern[at] == "?"
                at += optional
                parts += [text, ("maybe" if optional else "one", inner)]
                text = ""
                continue
            if char == ")":
                return tuple(alternatives + [tuple(parts + [text])]), at + 1
            if char == "|":
                alternatives.append(tuple(parts + [text]))
                parts, text = [], ""
            else:
                text += char
            at += 1
        return tuple(alternatives + [tuple(parts + [text])]), at

    return sequence(0)[0]


def expand(rng, pattern):
    """One of the texts that a phrasing stands for."""

    def write(alternatives):
        parts = alternatives[int(rng.random() * len(alternatives))]
        out = ""
        for part in parts:
            if isinstance(part, str):
                out += part
            elif part[0] == "one" or rng.random() < 0.5:
                out += write(part[1])
        return out

    return " ".join(write(parse(pattern)).split())


def swap_words(rng, text):
    """Some words for others, articles changed or dropped."""
    out = []
    for word in text.split(" "):
        bare = word.rstrip(",.?!")
        if bare in SWAPS and rng.random() < 0.25:
            out.append(rng.choice(SWAPS[bare]) + word[len(bare):])
        elif bare in ARTICLES and rng.random() < 0.3:
            if rng.random() < 0.5:
                continue
            out.append(rng.choice(["a", "the", "my", "one", "some"]))
        else:
            out.append(word)
    return " ".join(out) or text


def keywords(text):
    """As into a search box: the words that carry the question; the text itself when too few are left."""
    kept = [word for word in text.split(" ") if word not in STOP_WORDS]
    return " ".join(kept) if len(kept) >= 2 else text


def typo(rng, text):
    """One slip of the finger inside a word; slots are left alone."""
    if len(text) < 8 or "{" in text:
        return text
    at = rng.randrange(1, len(text) - 2)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 2:
        return text[:at] + text[at] + text[at:]
    return text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]


def plain(text):
    """A text without what does not make it another phrasing: case, marks, blanks."""
    return " ".join(re.sub(r"[^a-z0-9{}/_]+", " ", text.lower()).split())


def is_held_out(text):
    """Whether a phrasing, before names and politeness are put in, is kept from training: 12 of 100."""
    return zlib.crc32(plain(text).encode()) % 100 < 12


def vary(rng, text):
    """A phrasing in other words or as keywords."""
    kind = rng.random()
    if kind < 0.45:
        return text
    if kind < 0.55:
        return keywords(text)
    text = swap_words(rng, text)
    return keywords(text) if kind > 0.95 else text


def phrase(rng, forms, held_out, varied=True):
    """One phrasing of an intent, from the trained or from the held-out ones; slots stay slots."""
    for _ in range(400):
        text = expand(rng, rng.choice(forms))
        if varied:
            text = vary(rng, text)
        if text and is_held_out(text) == held_out:
            return text
    # Too few phrasings for one of them to be held out: the caller skips the case.
    return None


def dress(rng, text, held_out=False, question=True):
    """A phrasing as people type it: polite or not, capital or not, mark or not, with slips or not."""
    if rng.random() < 0.14:
        text = rng.choice(OPENERS) + text
    if rng.random() < 0.07:
        text += rng.choice(CLOSERS)
    if not held_out and rng.random() < 0.13:
        text = typo(rng, text)
        if rng.random() < 0.3:
            text = typo(rng, text)
    case = rng.random()
    if case < 0.5:
        text = text[0].upper() + text[1:]
        text = re.sub(r"\bi\b", "I", text) if rng.random() < 0.8 else text
    elif case < 0.525 and "{" not in text:
        text = text.upper()
    end = rng.random()
    if end < 0.5:
        text += "?" if question else rng.choice([".", "!", "."])
    elif end < 0.54:
        text += rng.choice([".", "!", "??", " ?", "...", "?!"])
    return text


def number(rng):
    return str(rng.randrange(1, 10 ** rng.choice([1, 2, 2, 3, 4])))


if __name__ == "__main__":
    draw = random.Random(1)
    for _ in range(30):
        print(dress(draw, phrase(draw, [f"{HOW} delete a model", "where are (my )?models stored", f"{WHAT} the context length"], False)))
