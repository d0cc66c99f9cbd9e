"""Small JSON: facts in a sentence, keys that are asked for, an object with them in that order."""

import json

from english import expand
from names import city, from_list, made_up, person

# field: (other names of it, JSON Schema type, value, clauses)
FIELDS = {
    "name": (["name", "person", "who"], "string", None, []),
    "age": (["age"], "integer", lambda rng, h: rng.randrange(5, 95), ["is {v} years old", "is {v}", "(has )?turned {v}"]),
    "city": (["city", "town", "place", "location"], "string", lambda rng, h: city(rng, h), ["lives in {v}", "is from {v}", "comes from {v}"]),
    "job": (["job", "profession"], "string", lambda rng, h: from_list(rng, "job", h), ["works as a {v}", "is a {v}"]),
    "color": (["color", "colour", "favorite_color"], "string", lambda rng, h: from_list(rng, "colour", h), ["likes the color {v}", "likes {v}"]),
    "email": (["email"], "string", lambda rng, h: f"{made_up(rng, h)}@{made_up(rng)}.{rng.choice(['com', 'org', 'net'])}", ["has the email {v}", "can be reached at {v}"]),
    "pets": (["pets", "animals"], "array", lambda rng, h: rng.sample("dog cat rabbit horse bird fish".split(), rng.choice([1, 2, 2, 3])), ["has {l}"]),
    "married": (["married"], "boolean", lambda rng, h: rng.random() < 0.5, ["{is} married"]),
    "children": (["children", "kids"], "integer", lambda rng, h: rng.randrange(0, 7), ["has {v} children"]),
}
THING = {
    "thing": (["thing", "item", "product", "object"], "string", None, []),
    "color": (["color", "colour"], "string", lambda rng, h: from_list(rng, "colour", h), ["is {v}"]),
    "price": (["price", "cost"], "integer", lambda rng, h: rng.randrange(1, 500), ["costs {v} dollars", "costs {v}"]),
    "weight": (["weight", "kilos"], "integer", lambda rng, h: rng.randrange(1, 60), ["weighs {v} kilos", "weighs {v}"]),
}
ASK = ["(answer|reply|respond) (in|as|with) json", "(give me|give|return|write|output|produce) json", "(as|in) json( please)?", "(write|return|give) (it|this|that) (as|in) json", "json", "(make|turn) (it|this) (into )?json", "convert (it|this) to json", "(put|extract) (it|this|that) (in|into|as) json", "json( please| object| only)", "(only|just) json", "(i need|i want) json", "output (valid )?json"]
KEYS = ["with {k}", "with the keys {k}", "with keys {k}", "keys: {k}", "with fields {k}", "fields: {k}", "({k})", "using {k}", "with the fields {k}"]


def listing(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def json_turn(rng, held_out=False):
    """(user, answer, thought)."""
    fields = FIELDS if rng.random() < 0.75 else THING
    subject = next(iter(fields))
    others = rng.sample([key for key in fields if key != subject], rng.choice([1, 1, 2, 3]))
    values = {subject: person(rng, held_out) if fields is FIELDS else from_list(rng, "noun", held_out)}
    clauses = []
    for key in others:
        value = values[key] = fields[key][2](rng, held_out)
        text = expand(rng, rng.choice(fields[key][3])).replace("{v}", str(value))
        if isinstance(value, list):
            text = text.replace("{l}", listing([f"a {v}" for v in value]))
        clauses.append(text.replace("{is}", "is" if value else "is not"))
    start = values[subject] if fields is FIELDS else f"{rng.choice(['The', 'the', 'A', 'My'])} {values[subject]}"
    told = f"{start} {listing(clauses)}."
    if rng.random() < 0.12 and len(clauses) == 1 and "age" in others:
        told = f"{start}, age {values['age']}."
    wanted = [subject] + others if rng.random() < 0.7 else rng.sample([subject] + others, rng.randrange(1, len(others) + 2))
    labels = {key: rng.choice(fields[key][0]) if rng.random() < 0.4 else fields[key][0][0] for key in wanted}
    ask = expand(rng, rng.choice(ASK[-4:] if held_out else ASK[:-4]))
    names = [labels[key] for key in wanted]
    if rng.random() < 0.15:
        properties = {labels[key]: {"type": fields[key][1]} for key in wanted}
        order = f"{ask} with this schema: " + json.dumps({"type": "object", "properties": properties})
    else:
        order = f"{ask} {rng.choice(KEYS).replace('{k}', listing(names) if rng.random() < 0.7 else ', '.join(names))}."
    order = order.replace("json", "JSON") if rng.random() < 0.5 else order
    order = order[0].upper() + order[1:] if rng.random() < 0.8 else order
    text = f"{told} {order}" if rng.random() < 0.7 else f"{order.rstrip('.')}: {told}"
    return text, json.dumps({labels[key]: values[key] for key in wanted}, ensure_ascii=False), f"The user wants JSON with {listing(names)}."
