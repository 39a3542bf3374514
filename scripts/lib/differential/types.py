"""ClickHouse types as trees, so that values can be drawn for them and compared across them."""

import re
from dataclasses import dataclass, field, replace

# Zones whose offset has been the same since 1970, so that midnight needs no table of zones.
ZONE_OFFSETS = {"UTC": 0, "Asia/Kolkata": 19800, "America/Phoenix": -25200}


@dataclass(frozen=True)
class Type:
    """`name` is what the server reads; the rest is what values need to know."""

    name: str
    family: str
    bits: int = 0
    signed: bool = True
    scale: int = 0
    size: int = 0
    zone: str = "UTC"
    members: tuple = ()
    children: tuple = ()
    names: tuple = ()
    null: bool = False
    low: bool = False
    base: "Type | None" = field(default=None, compare=False)

    @property
    def bare(self):
        """The type without Nullable and LowCardinality."""
        return self.base or self

    @property
    def low_bound(self):
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high_bound(self):
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


def integer(signed, bits):
    return Type(f"{'' if signed else 'U'}Int{bits}", "int", bits=bits, signed=signed)


def floating(bits):
    return Type(f"Float{bits}", "float", bits=bits)


def decimal(precision, scale):
    return Type(f"Decimal({precision}, {scale})", "decimal", size=precision, scale=scale)


def fixed(size):
    return Type(f"FixedString({size})", "fixed", size=size)


def enum(bits, members):
    listed = ", ".join("'{}' = {}".format(name.replace("'", "\\'"), number) for name, number in members)
    return Type(f"Enum{bits}({listed})", "enum", bits=bits, members=tuple(members))


def datetime(zone="UTC"):
    return Type(f"DateTime('{zone}')", "time", zone=zone)


def datetime64(scale, zone="UTC"):
    return Type(f"DateTime64({scale}, '{zone}')", "time64", scale=scale, zone=zone)


def array(child):
    return Type(f"Array({child.name})", "array", children=(child,))


def tuple_(children, names=()):
    parts = [f"{name} {child.name}" for name, child in zip(names, children)] if names else [child.name for child in children]
    return Type(f"Tuple({', '.join(parts)})", "tuple", children=tuple(children), names=tuple(names))


def map_(key, value):
    return Type(f"Map({key.name}, {value.name})", "map", children=(key, value))


def nullable(one):
    if one.null or one.family in ("array", "map", "tuple"):
        return one
    if one.low:
        return low(nullable(one.bare))
    return replace(one, name=f"Nullable({one.name})", null=True, base=one)


def low(one):
    if one.low:
        return one
    return replace(one, name=f"LowCardinality({one.name})", low=True, base=one.bare)


BOOL = Type("Bool", "bool")
STRING = Type("String", "string")
UUID = Type("UUID", "uuid")
IPV4 = Type("IPv4", "ipv4")
IPV6 = Type("IPv6", "ipv6")
DATE = Type("Date", "date")
DATE32 = Type("Date32", "date32")
INTEGERS = [integer(signed, bits) for signed in (True, False) for bits in (8, 16, 32, 64, 128, 256)]
ENUM8 = enum(8, [("a", 1), ("b c", 2), ("q'x", -3)])
ENUM16 = enum(16, [("a", 1), ("b c", 2), ("q'x", -3), ("far", 1000)])
SCALARS = [
    *INTEGERS, floating(32), floating(64), BOOL, STRING, STRING, STRING, fixed(4), fixed(16), UUID, IPV4, IPV6, ENUM8, ENUM16,
    DATE, DATE32, datetime(), datetime("Asia/Kolkata"), datetime("America/Phoenix"),
    *[datetime64(scale) for scale in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)], datetime64(3, "Asia/Kolkata"), datetime64(6, "America/Phoenix"),
    decimal(9, 2), decimal(5, 0), decimal(18, 4), decimal(38, 10), decimal(76, 20), decimal(9, 9),
]
LOW = [STRING, STRING, fixed(4)]
# Types that the server makes LowCardinality only where `allow_suspicious_low_cardinality_types` is set.
SUSPICIOUS = [DATE, datetime(), integer(False, 32), integer(True, 64), floating(64)]
KEYS = [STRING, STRING, integer(False, 32), integer(True, 64), DATE, UUID, ENUM8, low(STRING)]


def parse(name):
    """A type from the server's text, as far as values of files need it."""
    head, _, rest = name.partition("(")
    parts = _split(rest[:-1]) if rest else []
    if head == "Nullable":
        return nullable(parse(parts[0]))
    if head == "LowCardinality":
        return low(parse(parts[0]))
    if head in ("Array", "Nested"):
        return array(parse(parts[0]) if head == "Array" else parse(f"Tuple({rest}"))
    if head == "Map":
        return map_(*map(parse, parts))
    if head == "Tuple":
        named = [re.fullmatch(r"(`[^`]*`|\w+) (.+)", part, re.DOTALL) for part in parts]
        if all(named):
            return tuple_([parse(one[2]) for one in named], [one[1].strip("`") for one in named])
        return tuple_([parse(part) for part in parts])
    if head in ("Enum8", "Enum16"):
        members = [re.fullmatch(r"'(.*)' = (-?\d+)", part, re.DOTALL) for part in parts]
        return enum(int(head[4:]), [(one[1].replace("\\'", "'"), int(one[2])) for one in members])
    number = re.fullmatch(r"(U?)Int(\d+)", head)
    if number:
        return integer(not number[1], int(number[2]))
    if head in ("Float32", "Float64"):
        return floating(int(head[5:]))
    if head == "Decimal":
        return decimal(int(parts[0]), int(parts[1]))
    if head == "FixedString":
        return fixed(int(parts[0]))
    if head == "DateTime":
        return datetime(parts[0].strip("'") if parts else "UTC")
    if head == "DateTime64":
        return datetime64(int(parts[0]), parts[1].strip("'") if len(parts) > 1 else "UTC")
    known = {one.name: one for one in (BOOL, STRING, UUID, IPV4, IPV6, DATE, DATE32)}
    return known.get(name, Type(name, "other"))


def _split(text):
    """Arguments of a type: commas inside brackets and quotes do not count."""
    parts, depth, quote, begin = [], 0, False, 0
    for at, sign in enumerate(text):
        if sign == "'" and text[at - 1] != "\\":
            quote = not quote
        elif not quote and sign in "()":
            depth += 1 if sign == "(" else -1
        elif not quote and sign == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [*parts, text[begin:].strip()]


def draw(rng, depth=0):
    """A type of a target's column."""
    kind = rng.random()
    if kind < 0.62 or depth > 1:
        one = rng.choice(SCALARS)
        return nullable(one) if rng.random() < 0.25 else one
    if kind < 0.74:
        one = low(rng.choice(LOW if rng.random() < 0.9 else SUSPICIOUS))
        return nullable(one) if rng.random() < 0.4 else one
    if kind < 0.86:
        return array(draw(rng, depth + 1))
    if kind < 0.94:
        children = [draw(rng, depth + 1) for _ in range(rng.randint(1, 3))]
        return tuple_(children, ["x", "y", "z"][: len(children)] if rng.random() < 0.7 else ())
    return map_(rng.choice(KEYS), draw(rng, depth + 1))
