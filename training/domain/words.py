"""Slot values of the domain: numbers, colours, objects, printed words and small facts."""

NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

NAMES = ("Anna", "Tom", "Peter", "Maria", "John", "Lucy", "David", "Emma", "Paul", "Sarah", "Ben", "Laura")

OPPOSITES = {
    "hot": "cold", "cold": "hot", "big": "small", "small": "big", "fast": "slow", "slow": "fast", "open": "closed",
    "light": "dark", "dark": "light", "old": "new", "new": "old", "high": "low", "low": "high", "wet": "dry",
    "dry": "wet", "happy": "sad", "sad": "happy", "long": "short", "short": "long", "full": "empty", "empty": "full",
    "left": "right", "right": "left", "up": "down", "down": "up", "good": "bad", "bad": "good", "hard": "soft",
    "soft": "hard", "day": "night", "night": "day",
}  # fmt: skip

THING_COLOURS = {
    "grass": "green", "lemon": "yellow", "banana": "yellow", "tomato": "red", "sky": "blue", "snow": "white",
    "blood": "red", "coal": "black", "milk": "white", "carrot": "orange", "cherry": "red", "night": "black",
    "sun": "yellow", "frog": "green", "orange": "orange",
}  # fmt: skip

ANIMAL_SOUNDS = {
    "dog": "woof", "cat": "meow", "cow": "moo", "duck": "quack", "sheep": "baa", "pig": "oink", "owl": "hoot",
    "bee": "buzz", "snake": "hiss", "lion": "roar",
}  # fmt: skip

LEGS = {
    "dog": "four", "cat": "four", "cow": "four", "bird": "two", "duck": "two", "spider": "eight", "horse": "four",
    "snake": "no", "fish": "no", "bee": "six", "ant": "six", "sheep": "four", "person": "two",
}  # fmt: skip

SAY_WORDS = (
    "window", "garden", "river", "table", "morning", "music", "paper", "summer", "winter", "water", "sugar", "pencil",
    "button", "rabbit", "castle", "mountain", "yellow", "apple", "kitchen", "letter", "station", "silver", "butter",
    "dinner", "island", "number", "sister", "brother", "doctor", "forest",
)  # fmt: skip

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "black", "white")

SHAPES = ("circle", "square", "triangle", "star", "heart")
SILHOUETTES = ("cup", "house", "tree", "car", "fish", "bottle", "chair")
OBJECTS = SHAPES + SILHOUETTES

SIDES = ("left", "right", "top", "bottom", "middle")

PRINTED_WORDS = (
    "STOP", "EXIT", "OPEN", "CLOSED", "PUSH", "PULL", "MILK", "TEA", "SALT", "SUGAR", "HOT", "COLD", "ON", "OFF",
    "BUS", "TAXI", "BANK", "SHOP", "MEN", "WOMEN", "UP", "DOWN", "YES", "NO", "HELP", "WATER", "BREAD", "RICE",
    "SOUP", "JUICE", "DANGER", "PARK", "HOTEL", "TRAIN", "POST", "FIRE",
)  # fmt: skip

# Printed words that flash-mini says it cannot read; evaluation has others.
STRANGE_WORDS = (
    "LIBRARY", "OFFICE", "SCHOOL", "CHURCH", "MUSEUM", "TICKETS", "SALE", "FREE", "NEW", "CAFE", "BEER", "WINE",
    "FISH", "MEAT", "FRUIT", "APPLE", "PAPER", "GLASS", "SECRET", "STAFF", "ONLY", "WARNING", "CAUTION", "TOILET",
    "LIFT", "STAIRS", "FLOOR", "ROOM", "KEYS", "PHONE", "MUSIC", "RADIO", "CAMERA", "LIGHT", "POWER", "START",
    "RESET", "ENTER", "ESCAPE", "DELETE", "HOME", "MENU", "BACK", "NEXT", "PLAY", "PAUSE", "RECORD", "VOLUME",
    "JANUARY", "MONDAY", "SUMMER", "LONDON", "BERLIN", "PARIS", "AIRPORT", "GARDEN", "RIVER", "BRIDGE", "MARKET",
    "BAKERY", "DOCTOR", "NURSE", "POLICE", "SUPER", "EXTRA", "FRESH", "ORGANIC", "PEPPER", "FLOUR", "HONEY", "CREAM",
    "BUTTER", "CHEESE", "LEMON", "ORANGE", "POISON", "WASTE", "METAL", "SHOES", "SMALL", "LARGE", "MEDIUM", "DRY",
    "IRON", "WASH", "COTTON", "WOOL", "FRAGILE", "THIS", "SIDE", "TOP", "LEFT", "RIGHT", "NORTH", "SOUTH", "EAST",
    "WEST", "PUBLIC", "ACCESS", "VISITOR", "GUEST", "CLUB", "GYM", "POOL", "BEACH", "HARBOUR", "FERRY", "METRO",
)  # fmt: skip


def number(value: int) -> str:
    """The English word of 0..20."""
    if not 0 <= value < len(NUMBERS):
        raise ValueError(f"number() was given {value}; it has words for 0 to {len(NUMBERS) - 1}")
    return NUMBERS[value]


def article(noun: str) -> str:
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def plural(noun: str) -> str:
    return {"fish": "fish", "person": "people"}.get(noun, noun + "s")


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]
