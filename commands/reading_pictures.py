"""Pictures with text, made by script, with what stands in them in reading order. For `bench reading` and tests."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from video_io.frames import Rgb

FONT_FOLDERS = (Path("/usr/share/fonts/truetype/dejavu"), Path("C:/Windows/Fonts"), Path("/Library/Fonts"))
FACES = {"sans": "DejaVuSans", "serif": "DejaVuSerif", "mono": "DejaVuSansMono", "bold": "DejaVuSans-Bold"}

TUNED_ON = (
    "The gardening club meets on Tuesday 14 March at half past six in the small hall.",
    "Please bring your own cup and a chair if you can.",
    "We have received your payment of 48.20 euros and thank you for it.",
    "The lift is out of order until Friday; use the stairs on the north side.",
    "Your appointment with Dr. Keller has moved to 9:45 in the morning.",
    "Take one tablet twice a day with a full glass of water.",
    "The number 12 bus no longer stops at the old market.",
    "Last year our readers borrowed more books than ever before.",
    "Rain is expected in the west, with gusts up to 70 km/h on the coast.",
    "A new bakery opens next to the chemist on the first of May.",
)
REPORTED_ON = (
    "The water will be turned off in all flats on Thursday between 8 and 11 o'clock.",
    "Keep this letter, because the number at the top is your customer number.",
    "If nobody is at home, the parcel is left with Mrs Okafor on the third floor.",
    "The choir is looking for two more voices, a bass and an alto.",
    "Our shop is closed from 22 December to 2 January.",
    "You can return the jacket within 30 days if the label is still on it.",
    "Every second household in the valley now heats with wood.",
    "The museum shows forty paintings that were never seen in public.",
    "Shake well before use and keep away from children.",
    "Trains to the airport leave every 20 minutes from platform 6.",
    "Nobody was hurt when the old crane fell into the harbour.",
    "The council voted 17 to 12 for the new cycle path along the river.",
    "Turn the key twice to the left and pull the door towards you.",
    "She wrote her first story at nine and sold it for a bag of plums.",
)
GOODS = {
    "tuned": ("Apples", "Brown bread", "Olive oil", "Rice", "Green tea", "Soap", "Candles", "Batteries"),
    "reported": ("Oranges", "Rye flour", "Honey", "Lentils", "Cocoa", "Matches", "Envelopes", "Light bulbs", "Butter"),
}
SIGNS = {
    "tuned": (("EXIT",), ("NO PARKING", "Day and night"), ("Ladies",), ("PULL",), ("Room 214", "Dr. Keller")),
    "reported": (
        ("PUSH",),
        ("Platform 6", "Trains to the airport"),
        ("DANGER", "High voltage"),
        ("Opening hours", "Mon-Fri 9:00-18:30", "Sat 10:00-14:00"),
        ("WET FLOOR",),
        ("Lost property", "Second floor, left"),
        ("Harbour Street", "17-43"),
    ),
}
LABELS = {
    "tuned": (("Tomato soup", "400 g", "Best before 03.2027", "1.29 €"),),
    "reported": (
        ("Whole milk", "3.5 % fat", "1 litre", "Best before 14.08.2026"),
        ("Ibuprofen 400 mg", "20 tablets", "Take after meals", "LOT 7B3392"),
        ("Washing powder", "For 18 washes", "Keep dry", "6.95 €"),
        ("Peppermint tea", "25 bags", "Organic", "Brew for 8 minutes"),
    ),
}


@dataclass(frozen=True, eq=False)
class Made:
    """A picture, and the lines and cells in it in the order in which they are to be read."""

    name: str
    kind: str
    rgb: Rgb
    units: tuple[str, ...]
    size_px: int = 0
    """Height of its smallest text, from the top of a capital to the bottom of a descender."""

    @property
    def text(self) -> str:
        return " ".join(self.units)


@dataclass
class Sheet:
    """Paper to write on; keeps what was written, in order."""

    width: int
    height: int
    paper: tuple[int, int, int] = (255, 255, 255)
    ink: tuple[int, int, int] = (20, 20, 20)
    units: list[str] = field(default_factory=list)
    smallest: int = 1000

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width, self.height), self.paper)
        self.draw = ImageDraw.Draw(self.image)

    def write(self, x: float, y: float, text: str, face: str, size: int, *, centred: bool = False) -> float:
        """One line; returns the y below it."""
        font = load_font(face, size)
        _, top, _, bottom = font.getbbox("Hg")
        if centred:
            x -= self.draw.textlength(text, font) / 2
        self.draw.text((x, y), text, self.ink, font)
        self.units.append(text)
        self.smallest = min(self.smallest, round(bottom - top))
        return y + size * 1.45

    def flow(self, x: float, y: float, width: float, text: str, face: str, size: int) -> float:
        """Text in lines of at most `width`."""
        font = load_font(face, size)
        line = ""
        for word in text.split():
            if line and self.draw.textlength(f"{line} {word}", font) > width:
                y = self.write(x, y, line, face, size)
                line = word
            else:
                line = f"{line} {word}".strip()
        return self.write(x, y, line, face, size) if line else y

    def made(self, name: str, kind: str) -> Made:
        return Made(name, kind, np.asarray(self.image), tuple(self.units), self.smallest)


def load_font(face: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of the system; Pillow's own where there is none of ours."""
    for folder in FONT_FOLDERS:
        path = folder / f"{FACES[face]}.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def letter(chance: random.Random, part: str, *, size: tuple[int, int] = (18, 26)) -> Sheet:
    sheet = Sheet(1000, 1300)
    face, points = chance.choice(("sans", "serif")), chance.randint(*size)
    y = sheet.write(80, 70, f"Notice {chance.randint(100, 999)}", "bold", points + 12) + 20
    sentences = chance.sample(_sentences(part), 7 if part == "reported" else 6)
    for start in range(0, len(sentences), 3):
        y = sheet.flow(80, y, 840, " ".join(sentences[start : start + 3]), face, points) + points
    return sheet


def label(chance: random.Random, part: str) -> Sheet:
    paper = chance.choice(((255, 255, 250), (250, 225, 120), (210, 235, 250)))
    sheet = Sheet(640, 420, paper, (30, 20, 60))
    lines = chance.choice(LABELS[part])
    y = sheet.write(320, 40, lines[0], "bold", chance.randint(42, 54), centred=True) + 20
    for text in lines[1:]:
        y = sheet.write(320, y, text, "sans", chance.randint(22, 32), centred=True)
    return sheet


def sign(chance: random.Random, part: str) -> Sheet:
    dark = chance.random() < 0.5
    sheet = Sheet(1280, 720, (150, 170, 180))
    colour = chance.choice(((20, 60, 140), (160, 20, 20), (10, 90, 40)))
    sheet.draw.rectangle((240, 160, 1040, 560), fill=colour if dark else (250, 250, 250), outline=(40, 40, 40), width=6)
    sheet.ink = (255, 255, 255) if dark else colour
    lines = chance.choice(SIGNS[part])
    y = 210.0
    for n, text in enumerate(lines):
        y = sheet.write(640, y, text, "bold", 90 if n == 0 and len(text) < 12 else 52, centred=True)
    return sheet


def table(chance: random.Random, part: str) -> Sheet:
    sheet = Sheet(900, 700)
    size = chance.randint(20, 28)
    sheet.write(60, 40, "Price list", "bold", size + 14)
    rules = chance.random() < 0.5
    y = 120.0
    rows = [("Article", "Pieces", "Price")]
    rows += [
        (name, str(chance.randint(2, 48)), f"{chance.randint(1, 40)}.{chance.randint(10, 99)}")
        for name in chance.sample(GOODS[part], 7)
    ]
    for row in rows:
        for x, cell in zip((70, 400, 650), row, strict=True):
            sheet.write(x, y, cell, "sans", size)
        if rules:
            sheet.draw.line((60, y + size * 1.7, 840, y + size * 1.7), fill=(90, 90, 90), width=2)
        y += size * 2.1
    return sheet


def two_columns(chance: random.Random, part: str) -> Sheet:
    sheet = Sheet(1200, 1000)
    size = chance.randint(18, 22)
    sheet.write(60, 50, "Village News", "bold", 46)
    sentences = chance.sample(_sentences(part), 8)
    down = 150 + (chance.randint(5, 20) if chance.random() < 0.5 else 0)  # baselines that agree, and that do not
    sheet.flow(60, 150, 500, " ".join(sentences[:4]), "serif", size)
    sheet.flow(640, down, 500, " ".join(sentences[4:]), "serif", size)
    return sheet


def screen(chance: random.Random, part: str) -> Sheet:
    dark = chance.random() < 0.5
    paper, ink = ((30, 32, 36), (225, 225, 225)) if dark else ((245, 246, 248), (30, 30, 30))
    sheet = Sheet(1280, 720, paper, ink)
    sheet.draw.rectangle((0, 0, 1280, 50), fill=(60, 90, 150))
    sheet.ink = (255, 255, 255)
    sheet.write(20, 12, f"Message {chance.randint(10, 99)} of 120", "sans", 20)
    sheet.ink = ink
    y = 90.0
    for sentence in chance.sample(_sentences(part), 4):
        y = sheet.flow(60, y, 1100, sentence, "sans", 20) + 22
    sheet.draw.rounded_rectangle((60, 600, 300, 660), 8, fill=(60, 90, 150))
    sheet.ink = (255, 255, 255)
    sheet.write(180, 614, chance.choice(("Send reply", "Delete all", "Next page")), "sans", 22, centred=True)
    return sheet


def rotated(made: Made, degrees: float) -> Made:
    """Turned as a page held askew, the desk showing around it."""
    image = Image.fromarray(made.rgb).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(120, 100, 80))
    return Made(made.name, "rotated", np.asarray(image), made.units, made.size_px)


def through_camera(made: Made, chance: random.Random) -> Made:
    """As a 720p camera sees it: the page on a desk, unevenly lit, a little soft, noisy, and compressed."""
    page = Image.fromarray(made.rgb)
    scale = min(1200 / page.width, 690 / page.height)
    page = page.resize((round(page.width * scale), round(page.height * scale)), Image.Resampling.LANCZOS)
    view = Image.new("RGB", (1280, 720), (110, 90, 70))
    view.paste(page, ((1280 - page.width) // 2, (720 - page.height) // 2))
    view = view.filter(ImageFilter.GaussianBlur(0.6))
    light = np.linspace(chance.uniform(0.6, 0.8), 1.0, 1280)[None, :, None] * np.linspace(1.0, 0.8, 720)[:, None, None]
    noise = np.random.default_rng(chance.randint(0, 2**31)).normal(0, 7, (720, 1280, 3))
    seen = (np.asarray(view) * light + noise).clip(0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(seen).save(data, "JPEG", quality=80)
    return Made(made.name, "camera", np.asarray(Image.open(data)), made.units, round(made.size_px * scale))


MAKERS: dict[str, Callable[[random.Random, str], Sheet]] = {
    "letter": letter,
    "label": label,
    "sign": sign,
    "table": table,
    "columns": two_columns,
    "screen": screen,
}


def pictures(part: str, per_kind: int, seed: int) -> list[Made]:
    """`part`: "tuned" (what the rules were made on) or "reported" (other words, other chance)."""
    made: list[Made] = []
    for kind, maker in MAKERS.items():
        for n in range(per_kind):
            chance = random.Random(f"{part}-{kind}-{seed}-{n}")
            made.append(maker(chance, part).made(f"{kind}-{n}", kind))
    for n in range(per_kind):
        chance = random.Random(f"{part}-rotated-{seed}-{n}")
        sheet = (letter, two_columns, table)[n % 3](chance, part)
        made.append(rotated(sheet.made(f"rotated-{n}", "rotated"), 10 if n % 2 else -10))
    for n in range(per_kind):
        chance = random.Random(f"{part}-camera-{seed}-{n}")
        sheet = letter(chance, part, size=(36, 44)) if n % 3 == 0 else (label, sign)[n % 2](chance, part)
        made.append(through_camera(sheet.made(f"camera-{n}", "camera"), chance))
    return made


def _sentences(part: str) -> tuple[str, ...]:
    return REPORTED_ON if part == "reported" else TUNED_ON
