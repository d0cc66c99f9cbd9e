"""Conversations in which guide is told something and asked for it later."""

from english import dress, expand, number
from names import city, from_list, made_up, person

# kind: (value, ways to tell, acknowledgement, ways to ask, answer, answer when it was never told)
KINDS = {
    "name": (person, ["my name is {x}", "i am {x}", "i'm {x}", "call me {x}", "(hello|hi|hey), my name is {x}", "(hi|hello|hey),? (i am|i'm) {x}", "the name is {x}", "you can call me {x}", "(hi|hello), {x} here", "this is {x}( speaking)?", "my (first )?name's {x}", "please call me {x}", "i am called {x}"],
             "Nice to meet you, {x}!",
             ["what is my name", "what's my name", "whats my name", "who am i", "do you (know|remember) my name", "what did i say my name (was|is)", "tell me my name", "how am i called", "can you remember my name", "say my name", "my name( is)?", "(what|which) name did i (say|tell you|give you)", "and my name", "do you know who i am", "remember my name"],
             "Your name is {x}.", "You have not told me your name yet."),
    "number": (lambda rng, held_out=False: number(rng), ["my (favou?rite |lucky |secret )?number is {x}", "(please )?remember the number {x}", "keep the number {x} in mind", "the (secret |magic )?number is {x}", "please remember {x}", "(don't|do not) forget the number {x}", "remember (this number: )?{x}", "my lucky number's {x}", "note the number {x}", "my code is {x}"],
               "I will remember {x}.",
               ["what (is|was) (my|the) (favou?rite |lucky |secret |magic )?number", "(which|what) number did i (say|tell you|give you)", "do you (still )?remember (my|the) number", "tell me (my|the) number( again)?", "(which|what) number was it", "my number", "what's (my|the) number", "and (my|the) number", "what (is|was) my code", "what number should you remember"],
               "Your number is {x}.", "You have not told me a number yet."),
    "colour": (lambda rng, held_out=False: from_list(rng, "colour", held_out), ["my favou?rite colou?r is {x}", "i like the colou?r {x}( most| best)?", "{x} is my favou?rite colou?r", "the colou?r i like is {x}", "i love {x}, it is my favou?rite colou?r"],
               "I will remember that: {x}.",
               ["(what is|what's|whats|what was) my favou?rite colou?r", "(which|what) colou?r do i like( most| best)?", "do you (know|remember) my favou?rite colou?r", "my favou?rite colou?r", "tell me my favou?rite colou?r"],
               "Your favourite colour is {x}.", "You have not told me your favourite colour yet."),
    "city": (city, ["i live in {x}", "i am from {x}", "i come from {x}", "i'm from {x}", "my (home ?town|city) is {x}", "i live in a city called {x}", "my home is {x}", "i was born in {x} and live there"],
             "I will remember that: {x}.",
             ["where do i (live|come from)", "where am i from", "(what is|what's) my (city|home ?town)", "(which|what) city do i live in", "do you (know|remember) where i (live|come from|am from)", "in (which|what) city do i live", "tell me where i live", "where is my home"],
             "You live in {x}.", "You have not told me where you live yet."),
    "pet": (person, ["my {pet} is (called|named) {x}", "i have a {pet} (called|named) {x}", "my {pet}'s name is {x}", "the name of my {pet} is {x}"],
            "I will remember that: {x}.",
            ["what is my {pet} called", "(what is|what's) the name of my {pet}", "what is my {pet}'s name", "how is my {pet} called", "do you (know|remember) the name of my {pet}", "what did i say my {pet} is called"],
            "Your {pet} is called {x}.", "You have not told me about your {pet} yet."),
    "job": (lambda rng, held_out=False: from_list(rng, "job", held_out), ["i work as a {x}", "my job is {x}", "i am a {x}", "i'm a {x}", "by profession i am a {x}"],
            "I will remember that: {x}.",
            ["what is my (job|profession|work)", "what do i (work as|do for a living|do for work)", "what's my job", "do you (know|remember) (my job|what i work as)", "what am i by profession"],
            "You work as a {x}.", "You have not told me your job yet."),
    "age": (lambda rng, held_out=False: str(rng.randrange(5, 99)), ["i am {x} years old", "i'm {x} years old", "my age is {x}", "i turned {x} (today|this year)"],
            "I will remember that: {x}.",
            ["how old am i", "(what is|what's) my age", "do you (know|remember) (my age|how old i am)", "what age am i", "tell me my age"],
            "You are {x} years old.", "You have not told me your age yet."),
    "word": (lambda rng, held_out=False: made_up(rng, held_out) if rng.random() < 0.5 else from_list(rng, "noun", held_out), ["(please )?remember the word {x}", "the (secret |magic |code )?word is {x}", "my (password|code word|secret word) is {x}", "keep the word {x} in mind", "(don't|do not) forget the word {x}"],
             "I will remember that: {x}.",
             ["(what is|what was|what's) (the|my) (secret |magic |code )?(word|password)", "(which|what) word did i (say|tell you|give you)", "(which|what) word was it", "do you (still )?remember the (secret |magic |code )?(word|password)", "tell me the (secret |code )?word( again)?"],
             "The word is {x}.", "You have not told me a word yet."),
}
WEIGHTS = {"name": 5, "number": 3, "colour": 2, "city": 2, "pet": 2, "job": 2, "age": 2, "word": 2}


def told(rng, kind, wording, held_out):
    """(user, acknowledgement, thought, value, pet): one thing told."""
    make, tell, acknowledge = KINDS[kind][:3]
    value = make(rng, held_out)
    pet = from_list(rng, "pet")
    text = wording(rng, tell, held_out).replace("{x}", value).replace("{pet}", pet) + rng.choice(["", "", ".", "!"])
    return text, acknowledge.replace("{x}", value), f"The user's {kind} is {value}.", value, pet


def asked(rng, kind, value, pet, wording, held_out):
    """(user, answer, thought): asked for what was told; `value` is None when it was not."""
    ask, answer, never = KINDS[kind][3:]
    text = wording(rng, ask, held_out).replace("{pet}", pet) + rng.choice(["", "?", "?"])
    if value is None:
        return text, never.replace("{pet}", pet), f"The user has not told me a {kind}."
    return text, answer.replace("{x}", value).replace("{pet}", pet), f"The user told me a {kind}: {value}."


def remember(rng, wording, distraction, held_out=False):
    """Turns: one to three things told, talk in between, one or two of them asked for."""
    kinds = []
    while len(kinds) < rng.choice([1, 1, 1, 2, 2, 3]):
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind not in kinds:
            kinds.append(kind)
    turns, known = [], {}
    for kind in kinds:
        text, reply, thought, value, pet = told(rng, kind, wording, held_out)
        known[kind] = (value, pet)
        turns.append((text, reply, thought))
        if rng.random() < 0.4:
            turns.append(distraction(rng))
    if rng.random() < 0.12:
        kind = rng.choice(kinds)
        text, reply, thought, value, pet = told(rng, kind, wording, held_out)
        known[kind] = (value, pet)
        turns.append((rng.choice(["no, ", "sorry, ", "wait, ", "i was wrong, ", ""]) + text[0].lower() + text[1:], reply, thought))
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        turns.append(distraction(rng))
    for kind in rng.sample(kinds, min(len(kinds), rng.choice([1, 1, 2]))):
        turns.append(asked(rng, kind, *known[kind], wording, held_out))
    return turns


def not_told(rng, wording, held_out=False):
    """A question for something that was never told, perhaps after something else was."""
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    turns = []
    if rng.random() < 0.4:
        other = rng.choice([k for k in KINDS if k != kind])
        turns.append(told(rng, other, wording, held_out)[:3])
    return turns + [asked(rng, kind, None, from_list(rng, "pet"), wording, held_out)]
