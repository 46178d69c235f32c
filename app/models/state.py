"""What the Models page shows, as immutable values, and how reports change it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

GB = 1e9
ANNOUNCE_EVERY_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the page: a model of the catalogue, or one that is on this disk."""

    name: str
    title: str
    words: str
    """Everything worth knowing, in sentences."""
    path: str = ""
    """Where it is; "" while it is not here."""
    address: str = ""
    """What to get; "" for what cannot be got (the shipped one)."""
    bits: int | None = None
    is_default: bool = False
    is_shipped: bool = False
    fits: bool = True

    @property
    def is_here(self) -> bool:
        return bool(self.path) or self.is_shipped


@dataclass(frozen=True, slots=True)
class Getting:
    """A download: how far it is, or how it ended."""

    name: str
    phase: Literal["looking", "fetching", "converting", "paused", "done", "failed"]
    percent: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0
    left_s: float | None = None
    message: str = ""
    path: str = ""

    @property
    def is_over(self) -> bool:
        return self.phase in ("paused", "done", "failed")

    @property
    def words(self) -> str:
        """One line for the page."""
        match self.phase:
            case "looking":
                return f"Looking for {self.name}"
            case "paused":
                return f"{self.name}: paused at {self.percent} percent; what has come is kept"
            case "failed":
                return f"{self.name}: {self.message}"
            case "done":
                return f"{self.name} is ready"
            case "converting" | "fetching":
                size = f"{self.done_bytes / GB:.2f} of {self.total_bytes / GB:.2f} GB"
                doing = "converting" if self.phase == "converting" else time_words(self.left_s)
                return f"{self.name}: {self.percent} percent, {size}{', ' + doing if doing else ''}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that the page shows."""

    offers: tuple[Offer, ...] = ()
    machine: str = ""
    is_loading: bool = False
    problem: str = ""
    getting: Getting | None = None


def short_name(what: str) -> str:
    """Of an address, as people say it: "hf:Owner/Name" and "https://hub/Owner/Name" are "Owner/Name"."""
    parts = [part for part in what.replace("\\", "/").split("/") if part]
    if ":" in what and "//" not in what and len(parts) == 2:
        return what.partition(":")[2]
    return "/".join(parts[-2:]) or what


def time_words(seconds: float | None) -> str:
    """ "about 5 minutes left"; "" where nobody can tell."""
    if seconds is None:
        return ""
    if seconds < 90:
        return "about a minute left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes left"
    return f"about {round(seconds / 3600)} hours left"


def report(before: Getting, event: dict[str, Any]) -> Getting:
    """The download after one line of `models get --json`; what is not understood changes nothing."""
    match event:
        case {"event": "progress", "phase": "looking" | "fetching" | "converting" as phase}:
            return replace(
                before,
                phase=phase,
                percent=max(before.percent, _whole(event.get("percent"))),
                done_bytes=_whole(event.get("done_bytes")),
                total_bytes=_whole(event.get("total_bytes")),
                bytes_per_s=float(event.get("bytes_per_s") or 0.0),
                left_s=event.get("left_s"),
                message=str(event.get("note") or ""),
            )
        case {"event": "done", "path": str(path), "name": str(name)}:
            return replace(before, phase="done", percent=100, path=path, name=name, message="")
        case {"event": "failed", "message": str(message)}:
            return replace(before, phase="failed", message=f"{message} {event.get('remedy', '')}".strip())
    return before


def announcement(before: Getting | None, after: Getting) -> str:
    """What a screen reader should say: each 10 %, the end, and what went wrong. "" for nothing."""
    if after.phase == "done" and (before is None or before.phase != "done"):
        return f"{after.name} is ready. Choose “Switch to it” on the Models page to talk with it."
    if after.phase == "failed" and (before is None or before.phase != "failed"):
        return f"Getting the model failed. {after.message}"
    if after.phase == "paused" and (before is None or before.phase != "paused"):
        return after.words
    if after.phase in ("fetching", "converting"):
        tens = after.percent // ANNOUNCE_EVERY_PERCENT
        if tens > 0 and (before is None or before.percent // ANNOUNCE_EVERY_PERCENT < tens):
            return f"Model: {tens * ANNOUNCE_EVERY_PERCENT} percent"
    return ""


def offers_of(content: dict[str, Any]) -> tuple[tuple[Offer, ...], str]:
    """The offers and a line about the machine, from `models list --json`. Raises KeyError or TypeError for another."""
    here = list(content["here"])
    offers = []
    for entry in content["catalogue"]:
        address = f"hf:{entry['huggingface']}" if entry["huggingface"] else ""
        addresses = (address, f"ms:{entry['modelscope']}")
        record = next((record for record in here if record["address"] in addresses and not entry["shipped"]), None)
        if record is not None:
            here.remove(record)
        advice = entry["advice"]
        offers.append(
            Offer(
                name=entry["name"],
                title=entry["title"],
                words=_words(entry, advice),
                path=record["path"] if record else "",
                address=address.partition("@")[0],
                bits=entry["default_bits"],
                is_default=entry["name"] == content["default"],
                is_shipped=entry["shipped"],
                fits=advice["verdict"] != "does not fit",
            )
        )
    for record in here:
        stored = f"stored in {record['bits']} bits" if record["bits"] else "as published"
        words = f"On this disk, {record['n_bytes'] / GB:.2f} GB, {stored}. From {record['address']}."
        offers.append(Offer(record["name"], record["name"], words, record["path"], record["address"], record["bits"]))
    machine = content["machine"]
    about = (
        f"This machine: {machine['device']}, {machine['free_bytes'] / GB:.1f} GB of memory and "
        f"{machine['disk_bytes'] / GB:.0f} GB of disk free."
    )
    return tuple(offers), about


def _words(entry: dict[str, Any], advice: dict[str, Any]) -> str:
    parts = [entry["about"]]
    if not entry["shipped"]:
        bits = f"; on this disk {advice['disk_bytes'] / GB:.0f} GB" if advice["disk_bytes"] else ""
        about = "" if entry["exact_size"] else "about "
        parts.append(f"Download: {about}{entry['n_bytes'] / GB:.0f} GB{bits}.")
    parts.append("It speaks." if entry["speaks"] else "It answers in text only: it has no voice.")
    parts.append(f"For this machine: {advice['verdict']}. {advice['why']}")
    parts += [f"Setting: {line}." for line in advice["settings"]]
    if advice["speed"] and advice["verdict"] != "does not fit":
        parts.append(advice["speed"])
    parts.append(f"By {entry['publisher']}, licence {entry['licence']}.")
    return " ".join(parts)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
