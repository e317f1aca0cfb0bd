"""The closed lists that the tasks draw from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """A Python function of two arguments: how it is asked for, its name and its expression."""

    verb: str
    function: str
    expression: str


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One way to ask about a capital, with the answer it wants."""

    question: str
    answer: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MONTHS_ENGLISH = _words(
    "January February March April May June July August September October November December"
)
MONTHS_FRENCH = _words(
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
)

OPERATIONS = (
    Operation("adds", "add", "{left} + {right}"),
    Operation("subtracts", "subtract", "{left} - {right}"),
    Operation("multiplies", "multiply", "{left} * {right}"),
    Operation("divides", "divide", "{left} / {right}"),
    Operation("returns the larger of", "larger", "max({left}, {right})"),
    Operation("returns the smaller of", "smaller", "min({left}, {right})"),
)

WORDS = _words(
    "a b c d e f g h k m n p q r s t u v w x y z left right first second width height price "
    "count total index length speed time mass size start end low high old new red green blue "
    "rate limit offset step weight depth score level cost net tax day year age"
)

# Many people and things: with few, the model learns the pairs by heart instead of copying.
PEOPLE = _words(
    "Adam Alice Anna Arthur Ben Boris Carla Clara David Dora Emil Emma Erik Fanny Felix Frida "
    "George Grace Hanna Hugo Ida Igor Iris Jonas Julia Kira Klaus Lara Leo Lucy Mara Max Mia "
    "Nadia Nils Nora Olga Oscar Paul Petra Quentin Rosa Sam Sara Simon Tara Theo Uma Vera Victor "
    "Wanda Will Xavier Yara Yves Zoe"
)
THINGS = _words(
    "apples bags balls bells belts books bowls boxes brushes cakes cards chairs clocks coats coins "
    "cups dolls eggs flags forks glasses hats jars keys kites knives lamps lemons maps mirrors "
    "nails pears pens plates ropes rugs scarves shirts shoes spoons stamps tables tickets towels"
)
# Many for the same reason: a few pairs of them would become a sign to remember names by.
FILLERS = (
    "The weather was cold.",
    "It was a quiet day.",
    "The train was late.",
    "Nobody was surprised.",
    "The shop closed early.",
    "There was music outside.",
    "The street was empty.",
    "A dog was sleeping.",
    "The bread smelled good.",
    "It rained a little.",
    "The door was open.",
    "Birds were singing.",
    "The bus came early.",
    "Someone was laughing.",
    "The lights were on.",
    "The river was high.",
    "Children were playing.",
    "The road was long.",
    "It was nearly dark.",
    "The sun was shining.",
    "The coffee was hot.",
    "Nothing else happened.",
    "The bank was closed.",
    "The wind was strong.",
    "Everyone was tired.",
    "The market was full.",
    "A bell was ringing.",
    "The garden was green.",
    "The news was good.",
    "It was a Monday.",
)

CAPITALS = (
    ("France", "Paris"),
    ("Italy", "Rome"),
    ("Spain", "Madrid"),
    ("Japan", "Tokyo"),
    ("Egypt", "Cairo"),
    ("Peru", "Lima"),
    ("Norway", "Oslo"),
    ("Kenya", "Nairobi"),
    ("Canada", "Ottawa"),
    ("Cuba", "Havana"),
    ("Greece", "Athens"),
    ("Chile", "Santiago"),
    ("Poland", "Warsaw"),
    ("Austria", "Vienna"),
    ("India", "New Delhi"),
    ("Iraq", "Baghdad"),
    ("Colombia", "Bogotá"),
    ("Paraguay", "Asunción"),
    ("Costa Rica", "San José"),
    ("Iceland", "Reykjavík"),
    ("Germany", "Berlin"),
    ("Portugal", "Lisbon"),
    ("Ireland", "Dublin"),
    ("Finland", "Helsinki"),
    ("Sweden", "Stockholm"),
    ("Denmark", "Copenhagen"),
    ("Hungary", "Budapest"),
    ("Turkey", "Ankara"),
    ("China", "Beijing"),
    ("Thailand", "Bangkok"),
    ("Australia", "Canberra"),
    ("Argentina", "Buenos Aires"),
)

_CAPITAL_IS = "The capital of {country} is {capital}."
_IS_CAPITAL_OF = "{capital} is the capital of {country}."
PHRASINGS = (
    Phrasing("What is the capital of {country}?", _CAPITAL_IS),
    Phrasing("capital of {country}", _CAPITAL_IS),
    Phrasing("Tell me the capital of {country}.", _CAPITAL_IS),
    Phrasing("Which city is the capital of {country}?", _CAPITAL_IS),
    Phrasing("I forgot the capital of {country}. What is it?", _CAPITAL_IS),
    Phrasing("{country}: what is the capital?", _CAPITAL_IS),
    Phrasing("What city is the capital of {country}?", _CAPITAL_IS),
    Phrasing("Do you know the capital of {country}?", _CAPITAL_IS),
    Phrasing("I live in {country}. Which city is our capital?", _CAPITAL_IS),
    Phrasing("Which country has the capital {capital}?", _IS_CAPITAL_OF),
    Phrasing("{capital} is the capital of which country?", _IS_CAPITAL_OF),
    Phrasing("In which country is {capital} the capital?", _IS_CAPITAL_OF),
    Phrasing("Name the country with the capital {capital}.", _IS_CAPITAL_OF),
)

GREETINGS = (
    "Hello",
    "Hello!",
    "Hi",
    "Hi there!",
    "Good morning",
    "Who are you?",
    "What can you do?",
    "help",
)
INTRODUCTION = (
    "Hello! I translate numbers and dates, write small functions, summarize and know capitals."
)

SYSTEM_SENTENCES = (
    "You are a helpful assistant.",
    "You are a translator.",
    "You are a careful programmer.",
    "You know all capitals.",
    "Answer in one sentence.",
    "Answer briefly.",
    "Be polite.",
    "Be concise and exact.",
    "Translate what the user writes.",
    "You write Python.",
    "You summarize stories.",
    "Do not explain your answer.",
)
