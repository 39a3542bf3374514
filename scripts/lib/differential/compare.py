"""Whether a value of a file and a value of a table are the same value, whatever their types are.

Both come from the server as JSON (settings in CANONICAL) and are made comparable here, not by a cast
of the server: a cast is what may have lost something.
"""

import datetime as clock
import ipaddress
import math
import struct
from fractions import Fraction

from .types import ZONE_OFFSETS

CANONICAL = {
    "output_format_json_quote_64bit_integers": 1, "output_format_json_quote_denormals": 1, "output_format_json_quote_decimals": 1,
    "output_format_json_named_tuples_as_objects": 0, "output_format_json_map_as_array_of_tuples": 1,
    "output_format_json_validate_utf8": 0, "date_time_output_format": "unix_timestamp",
}
SAME, ROUNDED, NULLED, LOST = "same", "rounded", "null became a value", "lost"
_WORST = [SAME, ROUNDED, NULLED, LOST]
_NUMBERS = ("int", "float", "decimal", "bool")
_TIMES = ("time", "time64")
_DATES = ("date", "date32")


def worst(verdicts):
    return max(verdicts, key=_WORST.index, default=SAME)


def canonical(found, one):
    """A value as the server's JSON has it, in a form that does not depend on its type's width."""
    if found is None:
        return None
    kind = one.family
    if kind in ("int", "decimal"):
        return Fraction(found)
    if kind == "bool":
        return Fraction(int(found in (True, "true", 1, "1")))
    if kind == "float":
        number = float(found)
        if math.isnan(number) or math.isinf(number):
            return repr(number)
        return Fraction(struct.unpack("f", struct.pack("f", number))[0] if one.bits == 32 else number)
    if kind == "fixed":
        return found.rstrip("\0")
    if kind in _TIMES:
        try:
            return Fraction(found)
        except ValueError:
            return found  # the server writes the tenths before 1970 with a digit that is none
    if kind == "array":
        return [canonical(part, one.children[0]) for part in found]
    if kind == "tuple":
        return [canonical(part, child) for part, child in zip(found, one.children)]
    if kind == "map":
        return {_frozen(canonical(key, one.children[0])): canonical(part, one.children[1]) for key, part in _pairs(found)}
    return found


def _pairs(found):
    return found.items() if isinstance(found, dict) else found


def _frozen(key):
    return tuple(key) if isinstance(key, list) else key


def compare(a, one, b, other):
    """How a value `a` of the type `one` (a file's) came out as `b` of the type `other` (the table's)."""
    if a is None or b is None:
        return SAME if a is b else NULLED if a is None else LOST
    if one.family == "array" and other.family == "array":
        return LOST if len(a) != len(b) else worst(compare(x, one.children[0], y, other.children[0]) for x, y in zip(a, b))
    if one.family == "map" and other.family == "map":
        return _maps(a, one, b, other)
    if one.family == "tuple" and other.family == "tuple":
        return _tuples(a, one, b, other)
    return _scalars(a, one, b, other)


def _maps(a, one, b, other):
    if len(a) != len(b):
        return LOST
    rest = dict(b)
    found = []
    for key, part in a.items():
        match = next((k for k in rest if compare(key, one.children[0], k, other.children[0]) != LOST), None)
        if match is None:
            return LOST
        found.append(compare(part, one.children[1], rest.pop(match), other.children[1]))
    return worst(found)


def _tuples(a, one, b, other):
    if one.names and other.names:
        found = []
        for name, part, child in zip(one.names, a, one.children):
            if name not in other.names:
                return LOST
            at = other.names.index(name)
            found.append(compare(part, child, b[at], other.children[at]))
        return worst(found)
    if len(a) > len(b):
        return LOST
    return worst(compare(x, c, y, d) for x, c, y, d in zip(a, one.children, b, other.children))


def _scalars(a, one, b, other):
    x, y = one.family, other.family
    if x in _NUMBERS and y in _NUMBERS:
        return _numbers(a, one, b, other)
    if x == y or {x, y} <= {"string", "fixed", "enum"} or {x, y} <= set(_TIMES) or {x, y} <= set(_DATES):
        return SAME if _plain(a) == _plain(b) else LOST
    if "enum" in (x, y) and {x, y} & {"int"}:
        member, number, like = (a, b, one) if x == "enum" else (b, a, other)
        return SAME if dict(like.members).get(member) == number else LOST
    if y in ("string", "fixed"):
        return SAME if b in spellings(a, one) or parsed(b, one) == a else LOST
    if x in ("string", "fixed"):
        return SAME if parsed(a, other) == b or a.rstrip("\0") in spellings(b, other) else LOST
    if x in _DATES and y in _TIMES:
        return SAME if _midnight(a, other) == b else LOST
    if x in _TIMES and y in _DATES:
        return SAME if _midnight(b, one) == a else LOST
    if "ipv4" in (x, y) or "ipv6" in (x, y):
        return SAME if _address(a) == _address(b) else LOST
    if {x, y} & {"int"} and {x, y} & set(_TIMES):
        return SAME if a == b else LOST
    return LOST


def _plain(found):
    return found.rstrip("\0") if isinstance(found, str) else found


def _numbers(a, one, b, other):
    if a == b:
        return SAME
    if isinstance(a, str) or isinstance(b, str) or "float" not in (one.family, other.family):
        return LOST
    # The nearest value that the other type has: 0.1 of a decimal in a Float64, or of a Float64 in a Float32.
    near = abs(a - b) <= max(abs(a), abs(b)) / (1 << 22)
    for float_side, exact, bits in ((a, b, one), (b, a, other)):
        if bits.family == "float" and Fraction(_shortest(float_side, bits.bits)) == exact:
            return SAME
    return ROUNDED if near else LOST


def _shortest(number, bits):
    if bits == 64:
        return repr(float(number))
    for digits in range(1, 10):
        spelled = f"{float(number):.{digits}g}"
        if struct.pack("f", float(spelled)) == struct.pack("f", float(number)):
            return spelled
    return repr(float(number))


def _midnight(day, like):
    try:
        clock.date.fromisoformat(day)
    except ValueError:
        return None  # before the year 1: no calendar of Python has it
    whole = (clock.date.fromisoformat(day) - clock.date(1970, 1, 1)).days * 86400
    return Fraction(whole - ZONE_OFFSETS[like.zone])


def _address(found):
    try:
        if isinstance(found, Fraction):
            return int(found)
        address = ipaddress.ip_address(found)
    except ValueError:
        return found
    mapped = getattr(address, "ipv4_mapped", None)
    return int(mapped or address)


def spellings(found, one):
    """Texts that stand for a value."""
    if isinstance(found, str):
        return {found, found.rstrip("\0")}
    if not isinstance(found, Fraction):
        return set()
    if one.family == "bool":
        return {"true", "1"} if found else {"false", "0"}
    if one.family in _TIMES:
        seconds = int(found // 1)
        shown = clock.datetime(1970, 1, 1) + clock.timedelta(seconds=seconds + ZONE_OFFSETS[one.zone])
        spelled = shown.strftime("%Y-%m-%d %H:%M:%S")
        spelled = spelled.rjust(19, "0")
        part = f".{int((found - seconds) * 10**one.scale):0{one.scale}}" if one.scale else ""
        return {spelled + part, spelled[:10]} if spelled.endswith("00:00:00") and not part.strip(".0") else {spelled + part}
    if one.family == "float":
        return {_shortest(found, one.bits)}
    return {str(int(found))} if found.denominator == 1 else set()


def parsed(text, one):
    """A value of the type from its text, or None."""
    text = text.rstrip("\0")
    kind = one.family
    try:
        if kind in ("int", "decimal"):
            return Fraction(text)
        if kind == "float":
            return canonical(text, one)
        if kind == "bool":
            return {"true": Fraction(1), "1": Fraction(1), "false": Fraction(0), "0": Fraction(0)}.get(text.lower())
        if kind in _TIMES:
            whole, _, part = text.partition(".")
            at = clock.datetime.strptime(whole, "%Y-%m-%d %H:%M:%S" if " " in whole else "%Y-%m-%d")
            seconds = int((at - clock.datetime(1970, 1, 1)).total_seconds()) - ZONE_OFFSETS[one.zone]
            return seconds + (Fraction(int(part), 10 ** len(part)) if part else Fraction(0))
        if kind in ("ipv4", "ipv6"):
            return str(ipaddress.ip_address(text))
        return text.lower() if kind == "uuid" else text
    except (ValueError, ZeroDivisionError):
        return None
