"""Makes conversations: `train(seed)` yields training ones without end, `held_out(seed)` those whose
phrasings, names, places and words of the world are never trained on, each with its intent and exact answer.

    python corpus.py        prints some
"""

import random
import re

from english import dress, is_held_out, number, phrase, plain
from facts import AFTER_ANY, BY_ID, EXAMPLE_QUESTION, FACTS, FOLLOW
from json_answers import json_turn
from memory import not_told, remember
from names import city, from_list, gibberish, made_up, model, person
from strangers import STRANGERS
from talk import TALK
from tools import KINDS as TOOLS
from tools import define, one_call, others, tool_dialogue
from unknown import UNKNOWN, UNKNOWN_ANSWER, UNKNOWN_HUTCH, UNKNOWN_HUTCH_ANSWER

SYSTEMS = ["You are a helpful assistant.", "You are guide.", "Be brief.", "Answer questions about hutch.", "You are a friendly assistant.", "Help the user.", "You are an expert.", "Answer in English.", "You are a helpful AI assistant.", "Think before you answer.", "Be polite and precise."]


NEVER = {plain(question) for question, _ in STRANGERS}


def worded(rng, forms, held_out, question=True):
    """A phrasing in its final dress, its slots not yet filled. Neither it nor its core is of the other side
    of the split; None when the intent has none."""
    for _ in range(60):
        core = phrase(rng, forms, held_out)
        if core is None:
            return None
        text = dress(rng, core, held_out, question)
        if is_held_out(text) == held_out and plain(text) not in NEVER:
            return text
    return None


def wording(rng, forms, held_out):
    """A phrasing of a memory or a tool: dressed a little, from the other side where one side has none."""
    varied = not any("{" in form for form in forms)
    core = phrase(rng, forms, held_out, varied) or phrase(rng, forms, not held_out, varied)
    case = rng.random()
    return core[0].upper() + core[1:] if case < 0.5 and core[0] != "{" else core


def fill(rng, text, held_out):
    """Slots of a phrasing about the world become words."""

    def word(match):
        key = match.group(1)
        if key == "number":
            return number(rng)
        if key == "year":
            return str(rng.randrange(1000, 2030))
        if key == "city":
            return city(rng, held_out)
        if key == "name":
            return person(rng, held_out)
        if key == "made":
            return made_up(rng, held_out)
        if key == "gibberish":
            return gibberish(rng)
        if key in ("noun", "verb") and rng.random() < 0.2:
            return made_up(rng, held_out)  # the world is larger than any list
        return from_list(rng, key, held_out)

    return re.sub(r"\{(\w+)\}", word, text)


# --- one kind of turn each: (user text, answer, thought, name of a model or None) --------------------

def fact_turn(rng, entry, held_out=False, name=None, forms=None):
    _, topic, answer, phrasings = entry
    text = worded(rng, forms or phrasings, held_out)
    if text is None:
        return None
    if "{m}" in text.lower():
        name = model(rng, held_out)
        text = re.sub(r"\{m\}", lambda _: name, text, flags=re.IGNORECASE)
    return text, answer.replace("{m}", name or "MODEL"), f"The user asks about {topic}. I know this.", name


def talk_turn(rng, entry, held_out=False):
    _, topic, answer, phrasings = entry
    text = worded(rng, phrasings, held_out, question=rng.random() < 0.3)
    return text and (fill(rng, text, held_out), answer, f"The user says something: {topic}.", None)


def unknown_turn(rng, held_out=False):
    about_hutch = rng.random() < 0.15
    text = fill(rng, worded(rng, UNKNOWN_HUTCH if about_hutch else UNKNOWN, held_out), held_out)
    if about_hutch:
        return text, UNKNOWN_HUTCH_ANSWER, "This is about hutch, but I do not know it.", None
    return text, UNKNOWN_ANSWER, "This is not about hutch. I do not know it.", None


def distraction(rng):
    """A turn in between that has nothing to do with what is to be remembered."""
    kind = rng.random()
    if kind < 0.6:
        return fact_turn(rng, rng.choice(FACTS))[:3]
    if kind < 0.85:
        return talk_turn(rng, rng.choice(TALK))[:3]
    return unknown_turn(rng)[:3]


FOLLOWS = {}
for sources, target, forms in FOLLOW:
    for source in sources.split():
        FOLLOWS.setdefault(source, []).append((target, forms))


def follow_turn(rng, source, name, held_out=False):
    """What is asked after a fact and means something only there."""
    if source not in FOLLOWS:
        return None
    target, forms = rng.choice(FOLLOWS[source])
    entry = EXAMPLE_QUESTION if target == "example_question" else BY_ID[target]
    turn = fact_turn(rng, entry, held_out, name, forms)
    return turn and (turn, target)


def after_turn(rng, turns, held_out=False):
    topic, answer, forms = rng.choice(AFTER_ANY)
    text = worded(rng, forms, held_out)
    return text and (text, answer or turns[-1][1], f"The user wants to hear: {topic}.", None)


ASKED = ["what did i (just )?ask( you)?", "what was my (last|previous) question", "(which|what) question did i (just )?ask", "do you remember my (last )?question", "repeat my (last )?question", "what did i (just )?say"]
ECHO = ["(say|repeat|echo|write|print)( the word| the words| after me:)? {x}", "(please )?(say|repeat)( this)?: {x}", "can you say {x}", "(reply|answer|respond) (only )?with( the word| exactly:)? {x}"]
COUNT = ["count( from 1)? to {x}", "count up to {x}", "(can you |please )?count to {x}", "list the numbers( from 1)? to {x}", "numbers from 1 to {x}"]


def asked_turn(rng, turns, held_out=False):
    text = worded(rng, ASKED, held_out)
    return text and (text, f'You said: "{turns[-1][0]}"', "The user wants to hear the last message again.", None)


def trick_turn(rng, held_out=False):
    """Saying a word, counting."""
    if rng.random() < 0.6:
        words = " ".join(rng.choice([made_up(rng, held_out), from_list(rng, "noun", held_out), from_list(rng, "adjective", held_out), "hello", "hi"]) for _ in range(rng.choice([1, 1, 2, 3])))
        text = worded(rng, ECHO, held_out)
        return text and (re.sub(r"\{x\}", words, text, flags=re.IGNORECASE), words[0].upper() + words[1:], "The user wants me to say something.", None)
    last = rng.randrange(2, 21)
    text = worded(rng, COUNT, held_out)
    return text and (re.sub(r"\{x\}", str(last), text, flags=re.IGNORECASE), ", ".join(str(n) for n in range(1, last + 1)) + ".", "The user wants me to count.", None)


def from_turns(turns):
    flat = []
    for question, answer, thought, *_ in turns:
        flat += [("user", question), ("assistant", answer, thought)]
    return {"turns": flat}


def unused_tool(rng, held_out=False):
    """Tools are there, but the question is about something else: no call."""
    tools = others(rng, None) or [define(rng, TOOLS[rng.choice(list(TOOLS))])[0]]
    while True:
        kind = rng.random()
        if kind < 0.6:
            turn = fact_turn(rng, rng.choice(FACTS), held_out)
        elif kind < 0.8:
            turn = talk_turn(rng, rng.choice(TALK), held_out)
        else:
            # A question for a tool that is not there.
            names = {tool["function"]["name"] for tool in tools}
            key = rng.choice([k for k in TOOLS if not names & set(TOOLS[k][0]) and not (k in ("weather", "temperature") and names & set(TOOLS["weather"][0] + TOOLS["temperature"][0])) and not (k in ("price", "search", "population", "user"))])
            question = one_call(rng, TOOLS[key], ["a", "b"][: len(TOOLS[key][2])], None, wording, held_out)[0]
            turn = question, UNKNOWN_ANSWER, "No tool fits, and I do not know it."
        if turn:
            return {"tools": tools, "spaced": rng.random() < 0.5, "turns": from_turns([turn])["turns"]}


def talk_dialogue(rng, most):
    """Facts, small talk, the unknown, and what follows on each."""
    turns, source, name = [], None, None
    for _ in range(most):
        pick, turn = rng.random(), None
        if turns and source and pick < 0.3:
            followed = follow_turn(rng, source, name)
            if followed:
                turn, source = followed
                name = turn[3]
        elif turns and pick < 0.36:
            turn = after_turn(rng, turns)
        elif turns and pick < 0.39:
            turn = asked_turn(rng, turns)
        if turn is None:
            pick = rng.random()
            if pick < 0.55:
                entry = rng.choice(FACTS)
                turn, source = fact_turn(rng, entry), entry[0]
                name = turn[3]
            else:
                source = name = None
                if pick < 0.69:
                    turn = talk_turn(rng, rng.choice(TALK))
                elif pick < 0.73:
                    turn = trick_turn(rng)
                else:
                    turn = unknown_turn(rng)
        turns.append(turn)
    return from_turns(turns)


def conversation(rng):
    """One training conversation."""
    kind = rng.random()
    if kind < 0.16:
        before = from_turns([distraction(rng)])["turns"] if rng.random() < 0.2 else ()
        dialogue = tool_dialogue(rng, wording, turns_before=before)
    elif kind < 0.215:
        dialogue = unused_tool(rng)
    elif kind < 0.295:
        dialogue = from_turns(remember(rng, wording, distraction))
    elif kind < 0.325:
        dialogue = from_turns(not_told(rng, wording))
    elif kind < 0.40:
        dialogue = from_turns([json_turn(rng)] if rng.random() < 0.8 else [distraction(rng), json_turn(rng)])
    else:
        dialogue = talk_dialogue(rng, rng.choice([1, 1, 1, 2, 2, 3, 4, 4, 8]) if rng.random() < 0.97 else 16)
    dialogue["think"] = rng.random() < 0.45
    if rng.random() < 0.15:
        dialogue["system"] = rng.choice(SYSTEMS) if rng.random() < 0.6 else f"{fill(rng, rng.choice(['You are a {adjective} {noun}.', 'You know a lot about {noun}s.', 'Your name is {name}.', 'Answer like a {job}.', '{made} {made} {noun}.']), False)}"
    return dialogue


def train(seed):
    rng = random.Random(seed)
    while True:
        yield conversation(rng)


def held_out(seed=1234, each=4):
    """(group, intent, dialogue); the last turn of the dialogue is the exact answer."""
    rng = random.Random(seed)
    cases, seen = [], set()

    def add(group, intent, dialogue):
        for think in (False, True):
            cases.append((group, intent, {**dialogue, "think": think}))

    def fresh(turn):
        if turn is None or turn[0].lower() in seen:
            return False
        seen.add(turn[0].lower())
        return True

    for group, entries, make in (("facts", FACTS, fact_turn), ("small talk and stories", TALK, talk_turn)):
        for entry in entries:
            for _ in range(each):
                turn = make(rng, entry, True)
                if fresh(turn):
                    add(group, entry[0], from_turns([turn]))
    for _ in range(100):
        entry = BY_ID[rng.choice([key for key in FOLLOWS])]
        first = fact_turn(rng, entry)
        second = follow_turn(rng, entry[0], first[3], True)
        if second and second[0]:
            add("follow-up", second[1], from_turns([first, second[0]]))
    for _ in range(100):
        turn = unknown_turn(rng, True)
        if fresh(turn):
            add("does not know", "unknown", from_turns([turn]))
        add("memory", "remember", from_turns(remember(rng, wording, distraction, True)))
    for _ in range(25):
        add("memory: never told", "not told", from_turns(not_told(rng, wording, True)))
    for _ in range(80):
        dialogue = tool_dialogue(rng, wording, True)
        if len(dialogue["turns"]) == 2:
            add("tool call", "call", dialogue)
        else:
            add("tool call", "call", {**dialogue, "turns": dialogue["turns"][:2]})
            add("answer from tool", "result", dialogue)
    for _ in range(40):
        add("tool not needed", "no call", unused_tool(rng, True))
        add("json", "json", from_turns([json_turn(rng, True)]))
    return cases


if __name__ == "__main__":
    from dialogue import segments

    for made in (conversation(random.Random(seed)) for seed in range(40)):
        print("".join(text for text, _ in segments(made)), "\n" + "-" * 80)
