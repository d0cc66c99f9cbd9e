"""Makes conversations: `train(rng)` yields training ones without end, `held_out(rng)` those whose
phrasings, names, numbers and places are never trained on, each with its intent and exact answer."""

import random
import re
import zlib

from dialogue import call_text
from facts import FACTS, STORIES, TALK, UNKNOWN, UNKNOWN_ANSWER, WORDS

NAMES = """Ada Alan Alice Amir Anna Arthur Ben Bella Bob Boris Carl Clara Chen Dana David Diego Ella Emma Eric Eva Felix Finn Frank Gina Greta Hana Hugo
Ida Igor Ines Ivan Jack Jane Jonas Judy Karl Kim Lara Leo Liam Lily Lena Luca Maria Mark Max Maya Mia Milo Nina Noah Nora Olga Oscar Otto Paul Petra
Quinn Rosa Ruth Ryan Sam Sara Sofia Sven Tara Theo Tim Tina Tom Uma Vera Victor Wanda Will Yara Yusuf Zoe""".split()
NAMES_HELD_OUT = "Edgar Fatima George Helga Ingrid Kofi Marta Nadia Pedro Raj Selma Stefan Ulrich Viola Xenia".split()
CITIES = """Paris London Berlin Madrid Rome Vienna Oslo Prague Dublin Lisbon Tokyo Delhi Cairo Lima Boston Chicago Dallas Denver Geneva Hamburg Kyoto Lyon
Milan Munich Nairobi Osaka Porto Quito Riga Seoul Sydney Turin Utrecht Venice Warsaw Zurich Athens Bergen Bremen Cork""".split()
CITIES_HELD_OUT = "Helsinki Toronto Bogota Krakow Antwerp Seville Leipzig Naples Manila Bristol".split()
MORE_PLACES = """Madras Bergamo Stockholm Brighton Strasbourg Innsbruck Frankfurt Dresden Gdansk Split Zagreb Belgrade Odessa Minsk Smolensk Kazan Omsk
Texas Alberta Ontario Quebec Montreal Ottawa Phoenix Portland Memphis Nashville Atlanta Orlando Tampa Houston Austin Detroit Cleveland Brooklyn Newark Baltimore
Glasgow Edinburgh Dundee Cardiff Swansea Leeds York Sheffield Norwich Plymouth Exeter Bath Derby Galway Limerick Belfast Toulouse Grenoble Nantes Rennes Brest
Cologne Bonn Stuttgart Nuremberg Hanover Rostock Kassel Salzburg Graz Linz Basel Bern Lugano Trieste Verona Parma Modena Palermo Catania Valencia Malaga Granada
Cordoba Bilbao Vigo Braga Faro Tangier Rabat Tunis Tripoli Accra Lagos Kampala Lusaka Harare Durban Perth Adelaide Brisbane Darwin Auckland Wellington Fiji""".split()
ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sv sw t th tr tw v w x y z".split() + [""] * 4
VOWELS = "a e i o u a e i o y ai ea ee ei ia ie oo ou ue au".split()
CODAS = "b ck d f g k l ll ld lf lm ls lt m mb mp n nd ng nk ns nt p r rd rg rk rm rn rt s sk ss st t tz v x z".split() + [""] * 22
SYLLABLES = "ba be bo ca ce co da de do fa fe fi ga go ha he hi ja jo ka ke ki la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se si so ta te ti to va ve vi wa we za ze zo".split()
SYSTEMS = ["You are a helpful assistant.", "You are guide.", "Be brief.", "Answer questions about hutch.", "You are a friendly assistant.", "Help the user."]


def made_up(rng):
    """A name that nobody has, of any shape: teaches copying piece by piece instead of a list."""
    if rng.random() < 0.25:
        return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice([2, 2, 3]))).capitalize()
    name = ""
    for _ in range(rng.choice([1, 2, 2, 2, 3])):
        name += rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
    return name.capitalize()


def expand(rng, pattern):
    """One of the texts that a phrasing stands for; `(a|b)?` may vanish."""
    while True:
        match = re.search(r"\(([^()]*)\)(\?)?", pattern)
        if not match:
            return re.sub(r" +", " ", pattern).strip()
        options = match.group(1).split("|")
        chosen = "" if match.group(2) and rng.random() < 0.5 else rng.choice(options)
        pattern = pattern[: match.start()] + chosen + pattern[match.end() :]


def typo(rng, text):
    """One slip of the finger inside a word."""
    if len(text) < 8:
        return text
    at = rng.randrange(1, len(text) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at] + text[at:]


def dress(rng, text, question=True, slips=True):
    """A phrasing as people type it: polite or not, capital or not, mark or not."""
    if rng.random() < 0.14:
        text = rng.choice(["please tell me, ", "hi, ", "hello, ", "so ", "and ", "can you tell me ", "i want to know ", "tell me ", "quick question: ", "hey guide, ", "now ", "please, ", "i wonder, ", "one more thing: ", "hey, ", "do you know ", "could you say "]) + text
    if rng.random() < 0.08:
        text += rng.choice([" please", " in hutch", " with hutch", ", thanks"])
    if slips and rng.random() < 0.08:
        text = typo(rng, text)
    if rng.random() < 0.6:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.6:
        text += "?" if question else rng.choice([".", "!", ""])
    return text


def is_held_out(text):
    """Whether a phrasing, before names and politeness are put in, is kept from training: about 15 %."""
    return zlib.crc32(text.lower().encode()) % 100 < 15


def phrase(rng, forms, held_out):
    """One phrasing of an intent, from the trained or from the held-out ones."""
    for _ in range(200):
        text = expand(rng, rng.choice(forms))
        if is_held_out(text) == held_out:
            return text
    # Too few phrasings for one of them to be held out: the caller skips the case.
    return None


def unknown(rng, held_out):
    text = phrase(rng, UNKNOWN, held_out)

    def word(match):
        key = match.group(1)
        if key == "number":
            return str(rng.randrange(2, 10 ** rng.choice([1, 2, 3])))
        if key == "year":
            return str(rng.randrange(1000, 2030))
        if key == "city":
            return rng.choice(CITIES_HELD_OUT if held_out else CITIES + MORE_PLACES)
        return rng.choice(WORDS[key])

    return re.sub(r"\{(\w+)\}", word, text)


# --- one kind of turn each: (user text, answer, thought) -------------------------------------------

def fact_turn(rng, entry, held_out=False):
    _, topic, answer, phrasings = entry
    text = phrase(rng, phrasings, held_out)
    return text and (dress(rng, text, slips=not held_out), answer, f"The user asks about {topic}. I know this.")


def talk_turn(rng, entry, held_out=False):
    _, topic, answer, phrasings = entry
    text = phrase(rng, phrasings, held_out)
    return text and (dress(rng, text, question=False, slips=not held_out), answer, f"The user says something about {topic}.")


def story_turn(rng, entry, held_out=False):
    name, _, phrasings, answer = entry
    text = phrase(rng, phrasings, held_out)
    return text and (dress(rng, text, question=False, slips=not held_out), answer, f"The user wants a story: {name}.")


def unknown_turn(rng, held_out=False):
    return dress(rng, unknown(rng, held_out), slips=not held_out), UNKNOWN_ANSWER, "This is not about hutch. I do not know it."


def person(rng, held_out):
    if held_out:
        return rng.choice(NAMES_HELD_OUT)
    return made_up(rng) if rng.random() < 0.6 else rng.choice(NAMES)


def number(rng):
    return str(rng.randrange(1, 10 ** rng.choice([1, 2, 2, 3, 4])))


def distraction(rng):
    """A turn in between that has nothing to do with what is to be remembered."""
    kind = rng.random()
    if kind < 0.6:
        return fact_turn(rng, rng.choice(FACTS))
    if kind < 0.85:
        return talk_turn(rng, rng.choice(TALK))
    return unknown_turn(rng)


TELL_NAME = ["my name is {x}", "i am {x}", "i'm {x}", "call me {x}", "hello, my name is {x}", "hi, i am {x}", "the name is {x}", "you can call me {x}", "hi, {x} here"]
ASK_NAME = ["what is my name", "what's my name", "who am i", "do you (know|remember) my name", "what did i say my name was", "tell me my name", "how am i called", "can you remember my name", "say my name"]
TELL_NUMBER = ["my (favourite|favorite|lucky) number is {x}", "remember the number {x}", "my number is {x}", "keep the number {x} in mind", "the number is {x}", "please remember {x}", "don't forget the number {x}"]
ASK_NUMBER = ["what is my number", "which number did i (say|tell you)", "what was (my|the) number", "do you remember (my|the) number", "tell me (my|the) number", "what is (my favourite|my lucky|the) number", "which number was it"]


def remember(rng, held_out=False):
    """Turns in which a name or a number is told and asked for later."""
    name = rng.random() < 0.5
    value = person(rng, held_out) if name else number(rng)
    tell, ask = (TELL_NAME, ASK_NAME) if name else (TELL_NUMBER, ASK_NUMBER)
    told = (phrase(rng, tell, held_out) or expand(rng, rng.choice(tell))).replace("{x}", value)
    told = told[0].upper() + told[1:] if rng.random() < 0.6 else told
    told += rng.choice(["", ".", "!"])
    answer = f"Nice to meet you, {value}!" if name else f"I will remember {value}."
    turns = [(told, answer, f"The user's {'name' if name else 'number'} is {value}.")]
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        turns.append(distraction(rng))
    kind = "name" if name else "number"
    turns.append((dress(rng, phrase(rng, ask, held_out) or expand(rng, rng.choice(ask)), slips=not held_out), f"Your {kind} is {value}.", f"The user told me a {kind}: {value}."))
    return turns


# --- tools -----------------------------------------------------------------------------------------

TOOL_KINDS = [
    ("weather", ["get_weather", "get_current_weather", "weather", "weather_lookup", "fetch_weather", "current_weather"], ["city", "location", "place", "town"],
     ["what is the weather in {x}", "how is the weather in {x}", "weather in {x}", "is it (raining|sunny|cold|warm) in {x}", "what's the weather like in {x}", "tell me the weather in {x}",
      "i want to know the weather in {x}", "how warm is it in {x}", "will it rain in {x}"],
     ["sunny, {n} degrees", "{n} degrees and rain", "cloudy, {n} degrees", "snow, {n} degrees", "{n} C, windy"], "The weather in {x}: {r}."),
    ("time", ["get_time", "get_current_time", "time", "clock", "local_time"], ["city", "location", "place", "timezone"],
     ["what time is it in {x}", "what is the time in {x}", "time in {x}", "tell me the time in {x}", "how late is it in {x}", "which time is it now in {x}", "do you know the time in {x}"],
     ["{n}:15", "{n}:30", "{n} o'clock", "{n}:05"], "The time in {x}: {r}."),
    ("search", ["search", "web_search", "search_web", "lookup", "find"], ["query", "text", "q", "term"],
     ["search for {x}", "look up {x}", "find {x} on the web", "search the web for {x}", "google {x}", "find something about {x}", "look for {x}"],
     ["{n} results", "{x} is a place", "nothing found"], "I found this about {x}: {r}."),
    ("population", ["get_population", "population", "count_people"], ["city", "place", "name"],
     ["how many people live in {x}", "what is the population of {x}", "population of {x}", "how big is {x}", "how many inhabitants does {x} have"],
     ["{n}00000", "{n} million"], "The population of {x}: {r}."),
    ("call", ["call_person", "phone_call", "call", "dial"], ["name", "person", "contact"],
     ["call {p}", "phone {p}", "please call {p}", "i want to talk to {p}", "give {p} a call", "ring {p}"],
     ["connected", "no answer", "busy"], "I called {x}: {r}."),
]
ADD = (["add", "add_numbers", "sum", "plus", "calculate_sum"], [("a", "b"), ("x", "y"), ("first", "second")],
       ["what is {a} plus {b}", "add {a} and {b}", "{a} + {b}", "how much is {a} plus {b}", "calculate {a} + {b}", "what is the sum of {a} and {b}", "sum up {a} and {b}"])
DESCRIPTIONS = {"weather": ["Get the weather of a city", "Current weather", "Weather for a place"], "time": ["Get the time of a place", "Current local time"],
                "search": ["Search the web", "Find information"], "population": ["Number of people in a city", "Population of a place"], "call": ["Call a person", "Phone somebody"], "add": ["Add two numbers", "Sum of two numbers"]}


def definition(rng, kind, name, keys, value_type="string"):
    """A tool as clients send it; order of keys as Ollama writes it."""
    properties = {}
    for key in keys:
        properties[key] = {"type": value_type}
        if rng.random() < 0.5:
            properties[key]["description"] = rng.choice([f"The {key}", f"{key.capitalize()} to use", "the value"])
    parameters = {"type": "object", "required": list(keys), "properties": properties}
    if rng.random() < 0.5:
        parameters = {"type": "object", "properties": properties, "required": list(keys)}
    return {"type": "function", "function": {"name": name, "description": rng.choice(DESCRIPTIONS[kind]), "parameters": parameters}}


def tool_dialogue(rng, held_out=False):
    """A question that a tool answers, the call, and often the tool's result and an answer from it."""
    add = rng.random() < 0.18
    question_of = lambda forms: phrase(rng, forms, held_out) or expand(rng, rng.choice(forms))
    if add:
        names, keys, questions = ADD
        name, (k1, k2) = rng.choice(names), rng.choice(keys)
        a, b = rng.randrange(1, 100), rng.randrange(1, 100)
        tool = definition(rng, "add", name, (k1, k2), rng.choice(["number", "integer"]))
        question = question_of(questions).format(a=a, b=b)
        arguments, result, answer = {k1: a, k2: b}, str(a + b), f"The result is {a + b}."
        kind = "add"
    else:
        kind, names, keys, questions, results, reply = rng.choice(TOOL_KINDS)
        name, key = rng.choice(names), rng.choice(keys)
        if kind == "call":
            value = person(rng, held_out)
        else:
            value = rng.choice(CITIES_HELD_OUT) if held_out else (made_up(rng) if rng.random() < 0.5 else rng.choice(CITIES + MORE_PLACES))
        tool = definition(rng, kind, name, (key,))
        question = question_of(questions).replace("{x}", value).replace("{p}", value)
        result = rng.choice(results).replace("{n}", str(rng.randrange(1, 24))).replace("{x}", value)
        arguments, answer = {key: value}, reply.replace("{x}", value).replace("{r}", result)
    tools = [tool]
    for other in rng.sample([k for k in TOOL_KINDS if k[0] != kind], rng.choice([0, 0, 1])):
        tools.append(definition(rng, other[0], rng.choice(other[1]), (rng.choice(other[2]),)))
    rng.shuffle(tools)
    question = question[0].upper() + question[1:] if rng.random() < 0.6 else question
    question += rng.choice(["", "?", "?"])
    call = call_text(name, arguments)
    turns = [("user", question), ("assistant", call, f"The tool {name} fits.")]
    if rng.random() < 0.5:
        turns += [("tool", result), ("assistant", answer, f"The tool says {result}.")]
    return {"tools": tools, "spaced": rng.random() < 0.5, "turns": turns}


def unused_tool(rng, held_out=False):
    """Tools are there, but the question is about something else: no call."""
    chosen = rng.choice(TOOL_KINDS)
    tool = definition(rng, chosen[0], rng.choice(chosen[1]), (rng.choice(chosen[2]),))
    turn = None
    while not turn:
        turn = fact_turn(rng, rng.choice(FACTS), held_out) if rng.random() < 0.7 else talk_turn(rng, rng.choice(TALK), held_out)
    return {"tools": [tool], "spaced": rng.random() < 0.5, "turns": [("user", turn[0]), ("assistant", turn[1], turn[2])]}


# --- JSON ------------------------------------------------------------------------------------------

def json_turn(rng, held_out=False):
    who, age, where = person(rng, held_out), rng.randrange(5, 95), rng.choice(CITIES_HELD_OUT if held_out else CITIES + MORE_PLACES)
    ask = rng.choice(["answer in json", "give me json", "as json please", "write it as json", "return json"][-1 if held_out else 0 : None if held_out else -1])
    kind = rng.randrange(3)
    if kind == 0:
        fact = rng.choice(["{w} is {a} years old", "{w} is {a}", "{w}, age {a}"]).format(w=who, a=age)
        return f"{fact}. {ask.capitalize()} with name and age.", f'{{"name": "{who}", "age": {age}}}', "The user wants JSON with name and age."
    if kind == 1:
        fact = rng.choice(["{w} lives in {c}", "{w} is from {c}", "{w} comes from {c}"]).format(w=who, c=where)
        return f"{fact}. {ask.capitalize()} with name and city.", f'{{"name": "{who}", "city": "{where}"}}', "The user wants JSON with name and city."
    colour, thing = rng.choice("red blue green black white yellow brown pink".split()), rng.choice(WORDS["thing"])
    return f"The {thing} is {colour}. {ask.capitalize()} with thing and color.", f'{{"thing": "{thing}", "color": "{colour}"}}', "The user wants JSON with thing and color."


def from_turns(turns):
    flat = []
    for question, answer, thought in turns:
        flat += [("user", question), ("assistant", answer, thought)]
    return {"turns": flat}


def conversation(rng):
    """One training conversation."""
    kind = rng.random()
    if kind < 0.17:
        dialogue = tool_dialogue(rng)
    elif kind < 0.22:
        dialogue = unused_tool(rng)
    elif kind < 0.34:
        dialogue = from_turns(remember(rng))
    elif kind < 0.38:
        dialogue = from_turns([json_turn(rng)])
    else:
        turns = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            pick = rng.random()
            if pick < 0.70:
                turns.append(fact_turn(rng, rng.choice(FACTS)))
            elif pick < 0.78:
                turns.append(talk_turn(rng, rng.choice(TALK)))
            elif pick < 0.82:
                turns.append(story_turn(rng, rng.choice(STORIES)))
            else:
                turns.append(unknown_turn(rng))
        dialogue = from_turns(turns)
    dialogue["think"] = rng.random() < 0.4
    if rng.random() < 0.12:
        dialogue["system"] = rng.choice(SYSTEMS)
    return dialogue


def train(seed):
    rng = random.Random(seed)
    while True:
        yield conversation(rng)


def held_out(seed=1234):
    """(group, intent, dialogue); the last turn of the dialogue is the exact answer."""
    rng = random.Random(seed)
    cases = []

    def add(group, intent, dialogue):
        for think in (False, True):
            cases.append((group, intent, {**dialogue, "think": think}))

    for entry in FACTS:
        for turn in (fact_turn(rng, entry, True), fact_turn(rng, entry, True)):
            if turn:
                add("facts", entry[0], from_turns([turn]))
    for entry in TALK:
        for turn in (talk_turn(rng, entry, True), talk_turn(rng, entry, True)):
            if turn:
                add("small talk", entry[0], from_turns([turn]))
    for entry in STORIES:
        turn = story_turn(rng, entry, True)
        if turn:
            add("stories", entry[0], from_turns([turn]))
    for _ in range(40):
        add("does not know", "unknown", from_turns([unknown_turn(rng, True)]))
        add("memory", "remember", from_turns(remember(rng, True)))
    for _ in range(40):
        dialogue = tool_dialogue(rng, True)
        if len(dialogue["turns"]) == 2:
            add("tool call", "call", dialogue)
        else:
            add("tool call", "call", {**dialogue, "turns": dialogue["turns"][:2]})
            add("answer from tool", "result", dialogue)
    for _ in range(20):
        add("tool not needed", "no call", unused_tool(rng, True))
        add("json", "json", from_turns([json_turn(rng, True)]))
    return cases
