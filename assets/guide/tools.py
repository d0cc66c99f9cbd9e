"""Tools: their definitions as clients send them, questions that they answer, calls, results, answers."""

import json

from dialogue import call_text
from names import city, from_list, made_up, person

# A parameter: (names, JSON type, value, enum or None).
PLACE = (["city", "location", "place", "town"], "string", city)
UNIT = (["unit", "format", "units"], "string", None)
UNITS = [["celsius", "fahrenheit"], ["metric", "imperial"]]


def whole(low, high):
    return lambda rng, held_out=False: rng.randrange(low, high)


def noun(rng, held_out=False):
    return made_up(rng, held_out) if rng.random() < 0.3 else from_list(rng, "noun", held_out)


# kind: (names, descriptions, parameters, questions, results, reply). {0} {1} are the parameters' values,
# {n} a number, {r} the result.
KINDS = {
    "weather": (["get_weather", "get_current_weather", "weather", "weather_lookup", "fetch_weather", "current_weather", "get_weather_forecast", "getWeather"], ["Get the weather of a city", "Current weather", "Weather for a place", "Get the current weather for a location", "Returns the weather"], [PLACE],
                ["what is the weather in {0}", "how is the weather in {0}", "weather in {0}", "is it (raining|sunny|cold|warm) in {0}", "what's the weather like in {0}( today| now| right now)?", "tell me the weather in {0}", "i want to know the weather in {0}", "how warm is it in {0}", "will it rain in {0}", "what is the weather( like)? today in {0}", "do i need an umbrella in {0}", "{0} weather", "check the weather in {0}", "use the tool to get the weather in {0}", "how's the weather in {0}"],
                ["sunny, {n} degrees", "{n} degrees and rain", "cloudy, {n} degrees", "snow, {n} degrees", "{n} C, windy", "{n}°C", "{n} degrees", "sunny", "rainy and cold", "The weather is sunny and {n} degrees", '{"temperature": {n}, "condition": "sunny"}', '{"temp": {n}, "sky": "cloudy"}'], "The weather in {0}: {r}."),
    "temperature": (["get_temperature", "get_current_temperature", "temperature", "read_temperature"], ["Get the temperature of a city", "Get the current temperature for a city"], [PLACE],
                    ["what is the temperature in {0}", "how (warm|cold|hot) is it in {0}", "temperature in {0}", "tell me the temperature in {0}", "what's the temperature in {0}( now)?", "how many degrees are there in {0}"], ["{n}", "{n} C", "{n}°C", "{n} degrees"], "The temperature in {0}: {r}."),
    "time": (["get_time", "get_current_time", "time", "clock", "local_time", "current_time"], ["Get the time of a place", "Current local time", "Get the current time in a city"], [(["city", "location", "place", "timezone"], "string", city)],
             ["what time is it in {0}", "what is the time in {0}", "time in {0}", "tell me the time in {0}", "how late is it in {0}", "which time is it now in {0}", "do you know the time in {0}", "current time in {0}"], ["{n}:15", "{n}:30", "{n} o'clock", "{n}:05"], "The time in {0}: {r}."),
    "search": (["search", "web_search", "search_web", "lookup", "find", "google_search"], ["Search the web", "Find information", "Search the internet"], [(["query", "text", "q", "term"], "string", lambda rng, h=False: city(rng, h) if rng.random() < 0.4 else (noun(rng, h) if rng.random() < 0.7 else f"{from_list(rng, 'adjective')} {noun(rng, h)}"))],
               ["search for {0}", "look up {0}", "find {0} on the web", "search the web for {0}", "google {0}", "find something about {0}", "look for {0}", "search {0}", "(can you )?search for {0} (online|on the internet)"], ["{n} results", "{0} is a place", "nothing found", "{0} is well known"], "I found this about {0}: {r}."),
    "population": (["get_population", "population", "count_people"], ["Number of people in a city", "Population of a place"], [(["city", "place", "name"], "string", city)],
                   ["how many people live in {0}", "what is the population of {0}", "population of {0}", "how many inhabitants does {0} have"], ["{n}00000", "{n} million", "{n}"], "The population of {0}: {r}."),
    "call": (["call_person", "phone_call", "call", "dial"], ["Call a person", "Phone somebody"], [(["name", "person", "contact"], "string", person)],
             ["call {0}", "phone {0}", "please call {0}", "i want to talk to {0}", "give {0} a call", "ring {0}"], ["connected", "no answer", "busy"], "I called {0}: {r}."),
    "mail": (["send_email", "send_mail", "send_message", "email", "message_person"], ["Send a message to a person", "Send an email"], [(["to", "recipient", "name"], "string", person), (["text", "message", "body", "subject"], "string", noun)],
             ["send {0} a message: {1}", "write {0} an email about {1}", "email {0} about {1}", "send an email to {0} about {1}", "tell {0}: {1}", "message {0}: {1}"], ["sent", "ok", "delivered"], "I wrote to {0}: {r}."),
    "timer": (["set_timer", "start_timer", "timer", "set_alarm"], ["Set a timer", "Start a timer in minutes"], [(["minutes", "duration", "length"], "integer", whole(1, 120))],
              ["set a timer for {0} minutes", "timer {0} minutes", "start a timer of {0} minutes", "wake me in {0} minutes", "remind me in {0} minutes"], ["ok", "started", "set"], "Timer of {0} minutes: {r}."),
    "light": (["turn_on_light", "switch_light", "set_light", "light_on"], ["Turn on the light of a room", "Switch a light"], [(["room", "place", "name"], "string", lambda rng, h=False: rng.choice("kitchen bedroom bathroom hall office garage cellar garden attic".split()))],
              ["turn on the light in the {0}", "switch on the {0} light", "light in the {0} please", "make it bright in the {0}", "lights on in the {0}"], ["on", "ok", "done"], "The light in the {0}: {r}."),
    "price": (["get_price", "get_stock_price", "price_of", "stock_price", "lookup_price"], ["Get the price of something", "Current price of a thing"], [(["item", "symbol", "name", "product"], "string", noun)],
              ["what is the price of {0}", "how much does (a )?{0} cost", "price of {0}", "get the price of {0}", "how expensive is (a )?{0}"], ["{n} dollars", "{n}", "{n} euros"], "The price of {0}: {r}."),
    "translate": (["translate", "translate_text", "translation"], ["Translate a text", "Translate text into a language"], [(["text", "word", "phrase"], "string", noun), (["language", "to", "target"], "string", lambda rng, h=False: from_list(rng, "tongue", h))],
                  ["translate {0} into {1}", "translate {0} to {1}", "what is {0} in {1}", "how do you say {0} in {1}", "{0} in {1}"], ["{m}", "{m}"], "In {1}: {r}."),
    "add": (["add", "add_numbers", "sum", "plus", "add_two_numbers"], ["Add two numbers", "Sum of two numbers"], [(["a", "x", "first", "left"], "integer", whole(0, 1000)), (["b", "y", "second", "right"], "integer", whole(0, 1000))],
            ["what is {0} plus {1}", "add {0} and {1}", "{0} + {1}", "how much is {0} plus {1}", "calculate {0} + {1}", "what is the sum of {0} and {1}", "sum up {0} and {1}", "what is {0}+{1}", "{0} plus {1}"], ["{sum}"], "The result is {r}."),
    "multiply": (["multiply", "multiply_numbers", "times", "product"], ["Multiply two numbers", "Product of two numbers"], [(["a", "x", "first", "left"], "integer", whole(0, 1000)), (["b", "y", "second", "right"], "integer", whole(0, 1000))],
                 ["what is {0} times {1}", "multiply {0} (by|and|with) {1}", "{0} * {1}", "how much is {0} times {1}", "calculate {0} x {1}", "what is the product of {0} and {1}", "{0} times {1}"], ["{product}"], "The result is {r}."),
    "distance": (["get_distance", "distance", "get_flight", "get_flight_times", "find_route"], ["Distance between two cities", "Find a way between two places"], [(["from", "origin", "departure", "start"], "string", city), (["to", "destination", "arrival", "end"], "string", city)],
                 ["how far is it from {0} to {1}", "how do i get from {0} to {1}", "from {0} to {1}", "(find )?(a |the )?(flight|way|route) from {0} to {1}", "distance between {0} and {1}"], ["{n} hours", "{n}00 km"], "From {0} to {1}: {r}."),
    "user": (["get_user", "find_user", "lookup_user", "get_customer"], ["Get a user by id", "Find a user"], [(["id", "user_id", "number"], "integer", whole(1, 9999))],
             ["who is user {0}", "find user {0}", "look up user {0}", "get user {0}", "show me user number {0}"], ["{p}", "{p}"], "User {0}: {r}."),
}


def sort_of_tool(rng, held_out=False):
    """A kind that nobody has: a made-up verb on a thing. Teaches that name and question belong together."""
    verb, thing = made_up(rng, held_out), from_list(rng, "noun", held_out)
    value = made_up if rng.random() < 0.6 else person
    return ([f"{verb}_{thing}", f"{verb}_the_{thing}", f"{verb}{thing.capitalize()}"], [f"{verb.capitalize()} a {thing}", f"Lets you {verb} the {thing}"], [(["name", "value", "id", thing, "which"], "string", value)],
            [f"{verb} the {thing} {{0}}", f"please {verb} {thing} {{0}}", f"i want to {verb} the {thing} called {{0}}", f"can you {verb} the {thing} {{0}}", f"{verb} {{0}}"], ["ok", "done", "{n}", "failed"], f"{verb.capitalize()} {{0}}: {{r}}.")


def define(rng, kind, held_out=False):
    """(definition as clients send it, names of its parameters, unit or None)."""
    names, descriptions, parameters = kind[:3]
    name = rng.choice(names)
    keys, properties = [], {}
    for choices, value_type, _ in parameters:
        key = rng.choice([c for c in choices if c not in properties])
        keys.append(key)
        shown = rng.choice(["number", "integer"]) if value_type == "integer" else value_type
        properties[key] = {"type": shown}
        if rng.random() < 0.5:
            properties[key]["description"] = rng.choice([f"The {key}", f"{key.capitalize()} to use", "the value", f"The name of the {key}", f"The {key}, for example {city(rng)}"])
    unit = None
    if parameters == [PLACE] and rng.random() < 0.25:
        key, unit = rng.choice(UNIT[0]), rng.choice(UNITS)
        properties[key] = {"type": "string", "enum": unit} if rng.random() < 0.5 else {"type": "string", "description": f"The {key}", "enum": unit}
        unit = (key, unit)
    required = list(keys) + ([unit[0]] if unit and rng.random() < 0.5 else [])
    schema = {"type": "object", "required": required, "properties": properties} if rng.random() < 0.5 else {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": rng.choice(descriptions), "parameters": schema}}, keys, unit and (*unit, unit[0] in required)


def dress_question(rng, text):
    if rng.random() < 0.12:
        text = rng.choice(["please ", "can you tell me ", "hi, ", "hey, ", "please tell me ", "i wonder, ", "ok, ", "now "]) + text
    text = text[0].upper() + text[1:] if rng.random() < 0.6 else text
    return text + rng.choice(["", "?", "?", ".", " please", "?"])


def one_call(rng, kind, keys, unit, wording, held_out, forms=None):
    """(question, arguments, values) of a call."""
    values = [make(rng, held_out) for _, _, make in kind[2]]
    question = wording(rng, forms or kind[3], held_out)
    for index, value in enumerate(values):
        question = question.replace(f"{{{index}}}", str(value))
    arguments = dict(zip(keys, values))
    if unit:
        key, choices, required = unit
        if rng.random() < 0.5:
            chosen = rng.choice(choices)
            question += rng.choice([" in ", " (", ", in "]) + chosen
            question += ")" if " (" in question[-len(chosen) - 3:] else ""
            arguments[key] = chosen
        elif required:
            arguments[key] = choices[0]
    return question, arguments, values


def outcome(rng, kind, values):
    """(what a tool says, what is answered)."""
    a, b = (values + [0, 0])[:2]
    result = rng.choice(kind[4]).replace("{n}", str(rng.randrange(1, 35))).replace("{0}", str(values[0])).replace("{m}", made_up(rng)).replace("{p}", person(rng))
    if "{sum}" in result or "{product}" in result:
        result = result.replace("{sum}", str(a + b if isinstance(a, int) else 0)).replace("{product}", str(a * b if isinstance(a, int) else 0))
    shown = result
    if result.startswith("{"):
        data = json.loads(result)
        shown = ", ".join(f"{key} {value}" for key, value in data.items())
    answer = kind[5].replace("{0}", str(values[0])).replace("{r}", shown)
    if len(values) > 1:
        answer = answer.replace("{1}", str(values[1]))
    return result, answer


def others(rng, kind, held_out=False):
    """Further tools that are there, too, without the one that fits."""
    chosen = rng.sample([key for key in KINDS if key != kind and {key, kind} != {"weather", "temperature"}], rng.choice([0, 0, 1, 1, 2]))
    return [define(rng, KINDS[key], held_out)[0] for key in chosen]


def tool_dialogue(rng, wording, held_out=False, turns_before=()):
    """A question that a tool answers, the call, and often the tool's result and an answer from it."""
    key = rng.choice(list(KINDS)) if rng.random() < 0.75 else None
    if rng.random() < 0.25:
        key = "weather"
    kind = KINDS[key] if key else sort_of_tool(rng, held_out)
    tool, keys, unit = define(rng, kind, held_out)
    tools = others(rng, key, held_out) + [tool]
    rng.shuffle(tools)
    name = tool["function"]["name"]
    question, arguments, values = one_call(rng, kind, keys, unit, wording if key else lambda r, f, h: r.choice(f), held_out)
    turns = list(turns_before) + [("user", dress_question(rng, question))]
    calls = [(arguments, values)]
    if kind[2] == [PLACE] and not unit and rng.random() < 0.25:
        other = city(rng, held_out)
        question = question.replace(values[0], f"{values[0]} and {'in ' if rng.random() < 0.3 else ''}{other}")
        turns[-1] = ("user", dress_question(rng, question))
        calls.append(({keys[0]: other}, [other]))
    text = "\n".join(call_text(name, arguments) for arguments, _ in calls)
    thought = f"The tool {name} fits." if len(calls) == 1 else f"The tool {name} fits, twice."
    turns.append(("assistant", text, thought))
    if rng.random() < 0.5:
        ends = [outcome(rng, kind, values) for _, values in calls]
        turns += [("tool", result) for result, _ in ends]
        says = ends[0][0] if len(ends) == 1 else "both"
        turns.append(("assistant", " ".join(answer for _, answer in ends), f"The tool says {says}." if len(ends) == 1 else "Both results are there."))
    return {"tools": tools, "spaced": rng.random() < 0.5, "turns": turns}
