"""Names of people, places, models and things; some of each are kept out of training. Most names are made
up, piece by piece, so that copying is learnt and not a list."""

import zlib

from facts import MODELS, TAGS
from unknown import ADJECTIVES, LANGUAGES, NOUNS, PEOPLE, PLACES, TONGUES, VERBS, WORKS

NAMES = """Ada Alan Alice Amir Anna Arthur Ben Bella Bob Boris Carl Clara Chen Dana David Diego Ella Emma Eric Eva Felix Finn Frank Gina Greta Hana Hugo
Ida Igor Ines Ivan Jack Jane Jonas Judy Karl Kim Lara Leo Liam Lily Lena Luca Maria Mark Max Maya Mia Milo Nina Noah Nora Olga Oscar Otto Paul Petra
Quinn Rosa Ruth Ryan Sam Sara Sofia Sven Tara Theo Tim Tina Tom Uma Vera Victor Wanda Will Yara Yusuf Zoe John Mary Peter Anne James Laura Martin Susan Robert Linda Lee Ali Omar
Edgar Fatima George Helga Ingrid Kofi Marta Nadia Pedro Raj Selma Stefan Ulrich Viola Xenia""".split()
CITIES = """Paris London Berlin Madrid Rome Vienna Oslo Prague Dublin Lisbon Tokyo Delhi Cairo Lima Boston Chicago Dallas Denver Geneva Hamburg Kyoto Lyon
Milan Munich Nairobi Osaka Porto Quito Riga Seoul Sydney Turin Utrecht Venice Warsaw Zurich Athens Bergen Bremen Cork Helsinki Toronto Bogota Krakow Antwerp Seville Leipzig Naples Manila Bristol
Madras Bergamo Stockholm Brighton Strasbourg Innsbruck Frankfurt Dresden Gdansk Split Zagreb Belgrade Odessa Minsk Smolensk Kazan Omsk
Texas Alberta Ontario Quebec Montreal Ottawa Phoenix Portland Memphis Nashville Atlanta Orlando Tampa Houston Austin Detroit Cleveland Brooklyn Newark Baltimore
Glasgow Edinburgh Dundee Cardiff Swansea Leeds York Sheffield Norwich Plymouth Exeter Bath Derby Galway Limerick Belfast Toulouse Grenoble Nantes Rennes Brest
Cologne Bonn Stuttgart Nuremberg Hanover Rostock Kassel Salzburg Graz Linz Basel Bern Lugano Trieste Verona Parma Modena Palermo Catania Valencia Malaga Granada
Cordoba Bilbao Vigo Braga Faro Tangier Rabat Tunis Tripoli Accra Lagos Kampala Lusaka Harare Durban Perth Adelaide Brisbane Darwin Auckland Wellington Fiji
New-York San-Francisco Los-Angeles New-Delhi Hong-Kong Rio-de-Janeiro Cape-Town Buenos-Aires Mexico-City Tel-Aviv""".replace("-", "_").split()
CITIES = [city.replace("_", " ") for city in CITIES]
COLOURS = "red blue green black white yellow brown pink purple orange grey silver gold".split()
JOBS = "teacher baker nurse doctor farmer pilot painter writer cook lawyer student driver carpenter plumber engineer gardener singer actor".split()
PETS = "dog cat rabbit horse bird hamster parrot fish turtle".split()
ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sv sw t th tr tw v w x y z".split() + [""] * 4
VOWELS = "a e i o u a e i o y ai ea ee ei ia ie oo ou ue au".split()
CODAS = "b ck d f g k l ll ld lf lm ls lt m mb mp n nd ng nk ns nt p r rd rg rk rm rn rt s sk ss st t tz v x z".split() + [""] * 22
SYLLABLES = "ba be bo ca ce co da de do fa fe fi ga go ha he hi ja jo ka ke ki la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se si so ta te ti to va ve vi wa we za ze zo".split()


def kept_out(word):
    """Whether a name or a word of the world is kept from training: one in ten."""
    return zlib.crc32(word.lower().encode()) % 10 == 3


def halves(words):
    return [word for word in words if not kept_out(word)], [word for word in words if kept_out(word)]


LISTS = {key: halves(words) for key, words in {
    "person_name": NAMES, "city": CITIES, "model": MODELS, "noun": NOUNS, "verb": VERBS, "adjective": ADJECTIVES, "place": PLACES, "person": PEOPLE, "work": WORKS,
    "language": LANGUAGES, "tongue": TONGUES, "colour": COLOURS, "job": JOBS, "pet": PETS}.items()}


def from_list(rng, key, held_out=False):
    """A word of a list: from the part kept out, or from the trained part. Some lists are too short to be split."""
    trained, kept = LISTS[key]
    return rng.choice(kept if held_out and kept else trained)


FRAGMENTS_OF = [word.lower() for key in ("noun", "person_name", "city", "verb", "adjective") for word in LISTS[key][0] if word.isalpha()]


def fragment(rng):
    """A piece of a real word: what the tokenizer cuts unknown words into."""
    word = rng.choice(FRAGMENTS_OF)
    begin = rng.randrange(max(1, len(word) - 2))
    return word[begin : begin + rng.choice([2, 3, 3, 4, 5, 6])]


def made_up(rng, held_out=False):
    """A word that nobody has, of any shape."""
    while True:
        shape = rng.random()
        if shape < 0.2:
            word = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice([2, 2, 3])))
        elif shape < 0.55:
            word = "".join(fragment(rng) for _ in range(rng.choice([1, 2, 2, 3])))
        else:
            word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice([1, 2, 2, 2, 3])))
        if kept_out(word) == held_out and len(word) > 2:
            return word


def person(rng, held_out=False):
    name = made_up(rng, held_out).capitalize() if rng.random() < 0.55 else from_list(rng, "person_name", held_out)
    return name if rng.random() < 0.9 else f"{name} {made_up(rng).capitalize()}"


def city(rng, held_out=False):
    return made_up(rng, held_out).capitalize() if rng.random() < 0.45 else from_list(rng, "city", held_out)


def model(rng, held_out=False):
    """The name of a model as people write them: a family or a made-up one, with or without size and owner."""
    if rng.random() < 0.6:
        name = from_list(rng, "model", held_out)
    else:
        name = made_up(rng, held_out)
        name += rng.choice(["", "2", "3", "-mini", "4", "-7b", "1.5", "-v2", "-coder", "-chat", "5", "3.1", "-small", "-model", "-instruct", "-text"])
    if rng.random() < 0.04:
        name = rng.choice(["my-model", "mymodel", "mine", "my-llama", "test", "assistant", "pirate", "mario", "demo"])
    if rng.random() < 0.35:
        name += ":" + rng.choice(TAGS)
    if rng.random() < 0.08:
        name = made_up(rng) + "/" + name
    if rng.random() < 0.04:
        name = f"hf.co/{made_up(rng)}/{name.split('/')[-1].split(':')[0]}-GGUF"
    return name


def gibberish(rng):
    return "".join(rng.choice("asdfghjklqwertzuiopyxcvbnm") for _ in range(rng.randrange(3, 10)))
