"""For a type of the target: other types a file may have in its place, with values that fit and one that does not."""

import datetime as clock
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from . import types as t
from .values import TIME_MAX, value

NARROWER, WIDER, TEXT = "narrower", "wider", "text"


@dataclass(frozen=True)
class Relative:
    """`like` is the type whose values all fit into both; `misfit` does not fit into the target."""

    kind: str
    file: t.Type
    like: t.Type
    misfit: object = None
    has_misfit: bool = False


def _fits(kind, file, like):
    return Relative(kind, file, like)


def _breaks(kind, file, like, misfit):
    return Relative(kind, file, like, misfit, True)


def _integers(one):
    found = []
    for other in t.INTEGERS:
        if other.name == one.name:
            continue
        inside = one.low_bound <= other.low_bound and other.high_bound <= one.high_bound
        low_bound, high_bound = max(one.low_bound, other.low_bound), min(one.high_bound, other.high_bound)
        bits = high_bound.bit_length()
        like = t.integer(False, bits) if low_bound == 0 else t.integer(True, bits + 1)
        if inside:
            found.append(_fits(NARROWER, other, other))
        elif other.high_bound > one.high_bound:
            found.append(_breaks(WIDER, other, like, one.high_bound + 1))
        else:
            found.append(_breaks(WIDER, other, like, one.low_bound - 1))
    small = t.integer(one.signed, min(one.bits, 16))
    found.append(_breaks(WIDER, t.floating(64), small, 1.5))
    found.append(_breaks(WIDER, t.decimal(18, 4), small, Decimal("1.5")))
    found.append(_breaks(TEXT, t.STRING, one, "meow"))
    return found


def _floats(one):
    small = t.integer(True, 16)
    found = [_fits(NARROWER, t.integer(True, 16), small), _breaks(TEXT, t.STRING, one, "meow")]
    if one.bits == 32:
        found += [_breaks(WIDER, t.floating(64), one, 1e300), _breaks(WIDER, t.floating(64), one, 0.1)]
        found.append(_breaks(WIDER, t.integer(True, 32), small, (1 << 24) + 1))
    else:
        found += [_fits(NARROWER, t.floating(32), t.floating(32)), _breaks(WIDER, t.integer(True, 64), small, (1 << 53) + 1)]
        found.append(_breaks(WIDER, t.decimal(38, 10), t.decimal(9, 2), Decimal("1234567890123456789.0123456789")))
    return found


def _decimals(one):
    found = [_breaks(TEXT, t.STRING, one, "meow")]
    like = t.decimal(one.size, one.scale)
    if one.size + 6 <= 76:
        wide = t.decimal(one.size + 6, one.scale + 3)
        found.append(_breaks(WIDER, wide, like, Decimal(1).scaleb(-one.scale - 1)))
        found.append(_breaks(WIDER, wide, like, Decimal(10 ** (one.size - one.scale))))
    if one.size - one.scale >= 3 and one.scale >= 2:
        found.append(_fits(NARROWER, t.decimal(one.scale + 2, one.scale - 1), t.decimal(one.scale + 2, one.scale - 1)))
    if one.size - one.scale >= 3:
        found.append(_fits(NARROWER, t.integer(True, 8), t.integer(True, 8)))
        found.append(_breaks(WIDER, t.floating(64), t.integer(True, 8), 1e70 if one.size < 70 else 0.1 + 0.2))
    if one.size - one.scale < 18:
        found.append(_breaks(WIDER, t.integer(True, 64), t.integer(False, 1), 10 ** (one.size - one.scale)))
    return found


def _times(one):
    tenth = Fraction(1, 10 ** (one.scale + 1))
    whole_days = [_fits(NARROWER, t.DATE, t.DATE)]
    if one.family == "time":
        return [
            _breaks(WIDER, t.datetime64(3, one.zone), one, Fraction(1_700_000_000) + tenth),
            _breaks(WIDER, t.datetime64(3, one.zone), one, Fraction(-631_152_000)),
            _breaks(WIDER, t.datetime64(0, one.zone), one, Fraction(TIME_MAX + 1)),
            _breaks(WIDER, t.DATE32, replace(t.DATE), clock.date(1950, 1, 1)),
            _breaks(TEXT, t.STRING, one, "2023-13-45"), *whole_days,
        ]
    found = [_fits(NARROWER, t.datetime(one.zone), t.datetime(one.zone)), _breaks(TEXT, t.STRING, one, "2023-13-45"), *whole_days]
    if one.scale <= 6:
        found.append(_breaks(WIDER, t.datetime64(one.scale + 3, one.zone), one, Fraction(1_700_000_000) + tenth))
    if one.scale >= 3:
        found.append(_fits(NARROWER, t.datetime64(one.scale - 3, one.zone), t.datetime64(one.scale - 3, one.zone)))
    return found


def _scalars(one):
    kind = one.family
    if kind == "int":
        return _integers(one)
    if kind == "float":
        return _floats(one)
    if kind == "decimal":
        return _decimals(one)
    if kind in ("time", "time64"):
        return _times(one)
    if kind == "bool":
        return [_breaks(WIDER, t.integer(False, 8), one, 2), _breaks(TEXT, t.STRING, one, "meow")]
    if kind == "string":
        others = [t.integer(True, 32), t.UUID, t.DATE, t.fixed(4), t.ENUM8, t.BOOL, t.floating(64), t.decimal(9, 2), t.IPV4]
        return [_fits(NARROWER, other, other) for other in others]
    if kind == "fixed":
        return [
            _breaks(WIDER, t.STRING, one, "x" * (one.size + 1)), _breaks(WIDER, t.fixed(one.size + 4), one, "y" * (one.size + 2)),
            _fits(NARROWER, t.fixed(one.size - 2), t.fixed(2)),
        ]
    if kind == "enum":
        more = t.enum(one.bits, [*one.members, ("zz", 77)])
        found = [_breaks(TEXT, t.STRING, one, "zz"), _breaks(WIDER, more, one, "zz"), _breaks(WIDER, t.integer(True, one.bits), t.enum(one.bits, one.members), 99)]
        return found + ([_fits(NARROWER, t.ENUM8, t.ENUM8)] if one.bits == 16 else [])
    if kind == "uuid":
        return [_breaks(TEXT, t.STRING, one, "meow")]
    if kind == "ipv4":
        return [_breaks(TEXT, t.STRING, one, "meow"), _breaks(WIDER, t.IPV6, one, "2001:db8::1")]
    if kind == "ipv6":
        return [_breaks(TEXT, t.STRING, one, "meow"), _fits(NARROWER, t.IPV4, t.IPV4)]
    if kind == "date":
        return [
            _breaks(WIDER, t.DATE32, one, clock.date(1950, 1, 1)), _breaks(WIDER, t.DATE32, one, clock.date(2200, 1, 1)),
            _breaks(WIDER, t.datetime(), t.DATE, Fraction(1_700_000_001)), _breaks(TEXT, t.STRING, one, "2023-13-45"),
        ]
    if kind == "date32":
        return [
            _fits(NARROWER, t.DATE, t.DATE), _breaks(TEXT, t.STRING, one, "2023-13-45"),
            _breaks(WIDER, t.datetime64(3), t.DATE, Fraction(1_700_000_001)),
        ]
    raise AssertionError(kind)


def _inside(one, inner, at):
    """Relatives of a child as relatives of the whole."""
    children = list(one.children)

    def whole(child):
        parts = [*children[:at], child, *children[at + 1:]]
        if one.family == "array":
            return t.array(parts[0])
        return t.map_(*parts) if one.family == "map" else t.tuple_(parts, one.names)

    found = []
    for relative in inner:
        misfit = None
        if relative.has_misfit:
            if one.family == "array":
                misfit = [relative.misfit]
            elif one.family == "map":
                misfit = _Keyed(relative.misfit)
            else:
                misfit = _Placed(at, relative.misfit)
        found.append(Relative(relative.kind, whole(relative.file), whole(relative.like), misfit, relative.has_misfit))
    return found


@dataclass(frozen=True)
class _Keyed:
    value: object


@dataclass(frozen=True)
class _Placed:
    at: int
    value: object


def misfit_value(rng, relative):
    """The value that does not fit, as a drawn value of the file's type."""
    misfit = relative.misfit
    if isinstance(misfit, _Keyed):
        key = None
        while key is None:
            key = value(rng, relative.like.children[0])
        return {key: misfit.value}
    if isinstance(misfit, _Placed):
        parts = [value(rng, child) for child in relative.like.children]
        parts[misfit.at] = misfit.value
        return tuple(parts)
    return misfit


def relatives(one):
    """All of them, in a fixed order. Nullable and LowCardinality of the target are left out in the file."""
    if one.family in ("array", "map"):
        at = len(one.children) - 1
        return _inside(one, [r for r in relatives(one.children[at]) if not isinstance(r.misfit, (list, dict, _Keyed, _Placed))], at)
    if one.family == "tuple":
        found = [r for at, child in enumerate(one.children) for r in _inside(one, relatives(child), at)]
        return [r for r in found if not (isinstance(r.misfit, _Placed) and isinstance(r.misfit.value, (list, _Keyed, _Placed)))]
    return _scalars(one.bare)
