"""Random values of a type, and how they are written for the server to read.

A value is drawn once and can be written for several types: 17 is a number of a UInt8 file and the
text '17' of a String file. Drawn values are of Python: int, float, Decimal, bool, str, date, and for
times a Fraction of seconds since 1970; None is NULL.
"""

import datetime as clock
import ipaddress
import json
import uuid
from decimal import Context, Decimal
from fractions import Fraction

from .types import ZONE_OFFSETS

WORDS = [
    "", "a", "Oslo", "héllo", "a,b", 'say "hi"', "it's", "tab\there", "line\nbreak", "back\\slash", "NULL", "null", " lead", "trail ",
    "0", "007", "1e3", "true", "ᚠᛁᛋᚴ", "{", "[1,2]", "2024-01-01", "-", "\\N x", "%", "ſ",
]
PLAIN_WORDS = ["a", "Oslo", "héllo", "word", "x1", "Zug", "some-text", "ᚠᛁᛋᚴ"]
EPOCH = clock.date(1970, 1, 1)
TIME_MAX = (1 << 32) - 1
_WIDE = Context(prec=100)
TIME64_LOW, TIME64_HIGH = -2_208_988_800, 9_223_372_036  # 1900 to 2262: what nanoseconds reach


def number(rng, one):
    """An integer of the type, its borders included."""
    pick = rng.random()
    if pick < 0.15:
        return one.high_bound
    if pick < 0.3:
        return one.low_bound
    if pick < 0.7:
        return rng.randint(0, min(100, one.high_bound))
    return rng.randint(one.low_bound, one.high_bound)


def value(rng, one, plain=False):
    """A value that the type holds exactly. `plain`: words that no text format has to escape."""
    if one.null and rng.random() < 0.2:
        return None
    kind = one.family
    if kind == "int":
        return number(rng, one)
    if kind == "float":
        return rng.choice([0.0, 1.5, -2.25, 1024.0, 1e10 if one.bits == 64 else 8388608.0, 0.1 if one.bits == 64 else 0.5])
    if kind == "decimal":
        digits = rng.randint(0, 10 ** min(one.size, rng.choice([1, 3, one.size])) - 1)
        return Decimal(digits if rng.random() < 0.7 else -digits).scaleb(-one.scale, context=_WIDE)
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "string":
        return rng.choice(PLAIN_WORDS if plain else WORDS)
    if kind == "fixed":
        drawn = rng.choice(["", "a", "abcd", "x-1", "é"] if not plain else ["abcd", "x-1"])
        return drawn if len(drawn.encode()) <= one.size else "z" * one.size
    if kind == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128)))
    if kind == "ipv4":
        return str(ipaddress.IPv4Address(rng.choice([0, 2**32 - 1, rng.getrandbits(32)])))
    if kind == "ipv6":
        return str(ipaddress.IPv6Address(rng.choice([1, rng.getrandbits(128)])))
    if kind == "enum":
        return rng.choice(one.members)[0]
    if kind == "date":
        return EPOCH + clock.timedelta(days=rng.choice([0, 1, 65535, rng.randint(0, 65535)]))
    if kind == "date32":
        return clock.date(1900, 1, 1) + clock.timedelta(days=rng.choice([0, 25567, rng.randint(0, 146000)]))
    if kind == "time":
        return Fraction(rng.choice([0, TIME_MAX, rng.randint(0, TIME_MAX)]))
    if kind == "time64":
        return Fraction(rng.randint(TIME64_LOW * 10**one.scale, TIME64_HIGH * 10**one.scale), 10**one.scale)
    if kind == "array":
        return [value(rng, one.children[0], plain) for _ in range(rng.choice([0, 1, 2, 3]))]
    if kind == "tuple":
        return tuple(value(rng, child, plain) for child in one.children)
    if kind == "map":
        drawn = [(value(rng, one.children[0], plain), value(rng, one.children[1], plain)) for _ in range(rng.choice([0, 1, 2]))]
        return dict(drawn)
    raise AssertionError(kind)


def moment(seconds, scale, zone, mark=""):
    """Text of a time in a zone."""
    ticks = int(seconds * 10**scale)
    whole, part = divmod(ticks, 10**scale)
    text = (clock.datetime(1970, 1, 1) + clock.timedelta(seconds=whole + ZONE_OFFSETS[zone])).strftime("%Y-%m-%d %H:%M:%S")
    text = f"{int(text[:text.index('-')]):04}{text[text.index('-'):]}"
    return text + (f".{part:0{scale}}" if scale else "") + mark


def text(drawn, like):
    """A drawn value of `like` as plain text."""
    if isinstance(drawn, bool):
        return "true" if drawn else "false"
    if isinstance(drawn, Decimal):
        return format(drawn, "f")
    if like.family in ("time", "time64"):
        return moment(drawn, like.scale, like.zone)
    if isinstance(drawn, clock.date):
        return drawn.isoformat()
    if isinstance(drawn, float):
        return repr(int(drawn)) if drawn == int(drawn) and abs(drawn) < 1e15 else repr(drawn)
    return str(drawn)


def encode(drawn, like, file):
    """What JSON has for a value that was drawn for `like`, to be read as the type `file`."""
    if drawn is None:
        return None
    kind = file.family
    if kind == "array":
        return [encode(one, like.children[0], file.children[0]) for one in drawn]
    if kind == "tuple":
        parts = list(drawn)
        whole = [
            encode(parts[at] if at < len(parts) else None, like.children[min(at, len(like.children) - 1)], child)
            for at, child in enumerate(file.children)
        ]
        return dict(zip(file.names, whole)) if file.names else whole
    if kind == "map":
        return {
            str(_key(encode(key, like.children[0], file.children[0]))): encode(one, like.children[1], file.children[1])
            for key, one in drawn.items()
        }
    if kind in ("string", "fixed"):
        return drawn if isinstance(drawn, str) else text(drawn, like)
    if kind == "enum":
        return drawn
    if kind in ("time", "time64"):
        seconds = _seconds(drawn, file)
        return moment(seconds, file.scale, "UTC", "Z") if isinstance(seconds, Fraction) else seconds
    if kind == "bool":
        return bool(drawn)
    if kind in ("date", "date32"):
        if isinstance(drawn, Fraction):
            return (EPOCH + clock.timedelta(days=int((drawn + ZONE_OFFSETS[like.zone]) // 86400))).isoformat()
        return drawn.isoformat() if isinstance(drawn, clock.date) else drawn
    if kind == "int":
        return str(_whole(drawn, like))
    if kind == "float":
        return float(drawn)
    if kind == "decimal":
        return format(drawn, "f") if isinstance(drawn, Decimal) else str(drawn)
    return drawn


def _key(key):
    return json.dumps(key) if isinstance(key, bool) else key


def _whole(drawn, like):
    if like.family == "enum" and isinstance(drawn, str):
        return dict(like.members)[drawn]
    return int(drawn)


def _seconds(drawn, file):
    if isinstance(drawn, clock.date):
        return Fraction((drawn - EPOCH).days * 86400 - ZONE_OFFSETS[file.zone])
    return Fraction(drawn) if isinstance(drawn, int) else drawn
