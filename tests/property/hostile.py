"""Hostile requests, drawn from a seed: what a field is called and what type it has decides what is put into it.

Everything is written as wire bytes, not as messages: a message could hold no invalid UTF-8, no field of a
wrong wire type, and no nesting that ends nowhere.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

IMAGE = FileDescriptorSet.FromString((Path(__file__).parents[2] / "generated" / "descriptors.binpb").read_bytes())
POOL = DescriptorPool()
for _file in IMAGE.file:
    POOL.AddSerializedFile(_file.SerializeToString())
RULES = POOL.FindExtensionByName("buf.validate.field")
OPTIONS: Any = GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.FieldOptions"))

VARINT, FIXED64, DELIMITED, GROUP, GROUP_END, FIXED32 = range(6)

INTEGERS = (0, 1, 2, 6, 7, 20, 100, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 2**31)
DOUBLES = (0.0, -0.0, 1.0, 0.5, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), 2.0**53 + 1)

TEXTS: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\0",
    b"null\0byte",
    "\u202e\u2066\u200frtl".encode(),
    "😀🏳️\u200d🌈𝕏".encode(),
    "Å e\u0301 \ufb03 K ı ſ".encode(),
    b"\x01\x07\x08\x1b[31m\x7f\r\n.\r\n",
    "\u0085\u2028\u2029\ufeff\ufffe\U0010ffff".encode(),
    b"a@example.org\r\nBcc: b@example.org",
    b"a@example.org,b@example.org",
    b'"a b"@example.org',
    "jürgen@bücher.example".encode(),
    b"@",
    b"a@" + b"b." * 120 + b"c",
    b"' OR 1=1; DROP TABLE t; --",
    b"%s%n%x {0.__class__} ${jndi:ldap://x} {{7*7}} <script>",
    b"../../../../etc/passwd",
    b"-1",
    b"1e400",
    b"NaN",
    b"Infinity",
    b"\xff\xfe\xfd",  # no UTF-8 at all
    b"\xed\xa0\x80\xed\xb0\x80",  # surrogates
    b"\xc0\x80",  # NUL, too long
    b"\xf4\x90\x80\x80",  # beyond Unicode
    b"\xe2\x82",  # cut short
)
LENGTHS = (7, 8, 63, 64, 65, 71, 72, 73, 128, 129, 254, 255, 256, 257, 512, 513, 4096)

# What the rules of a field of this name let through; the rest of a message has to come past them too.
PLAUSIBLE: Sequence[tuple[str, Sequence[str]]] = (
    (
        "password",
        ("correct horse battery staple", "pass phrase of a stranger", "\u1e9b\u0323 combining horses stapled"),
    ),
    ("email", ("ada@example.org", "Ada@EXAMPLE.org", "ada@bücher.example", "å@example.org")),
    ("identifier", ("ada@example.org", "+32470123456", "0470123456")),
    ("phone_country", ("BE", "NL", "XX")),
    ("phone", ("+32470123456", "0470123456", "+1 (202) 555-0123", "+99999")),
    ("token", ("A" * 43, "A" * 80, "eyJhbGciOiJub25lIn0.e30.", "-" * 43)),
    ("locale", ("en", "fr", "nl")),
    ("slug", ("acme", "acme-2")),
    ("role", ("user", "owner", "admin", "cashier")),
    ("time", ("08:00", "24:00", "23:59")),
    ("id", ("018f3c6e-7b1a-7c3d-9e2f-0123456789ab", "1", "0", "9" * 30)),
    ("code", ("123456", "１２３４５６", "12345")),
    ("url", ("https://example.org/a", "javascript:alert(1)")),
    ("paths", ("name", "email", "role", "nothing", "id")),
    ("key", ("view", "clerk", "owner")),
    ("name", ("Ada", "Ada Lovelace", "A" * 100)),
)


@dataclass(frozen=True)
class Rpc:
    """One RPC of the contract: its path on the wire, and its types."""

    path: str
    request: Descriptor
    response: Descriptor
    streams: bool


def contract() -> list[Rpc]:
    """Every RPC that the contract has, implemented or not."""
    return [
        Rpc(f"/{service.full_name}/{rpc.name}", rpc.input_type, rpc.output_type, rpc.server_streaming)
        for file in IMAGE.file
        if file.package == "identity.v1"
        for service in POOL.FindFileByName(file.name).services_by_name.values()
        for rpc in service.methods
    ]


@cache
def longest(field: FieldDescriptor) -> int:
    """How many characters the contract allows a string."""
    options = OPTIONS.FromString(field.GetOptions().SerializeToString())
    return int(options.Extensions[RULES].string.max_len) or 100


def varint(value: int) -> bytes:
    if 0 <= value <= 0x7F:
        return bytes((value,))
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | DELIMITED) + varint(len(content)) + content


@cache
def nested(levels: int) -> bytes:
    """A Struct in a Struct, so many times."""
    inside = b""
    for _ in range(levels):
        # Struct.fields["a"] is a Value whose struct_value is a Struct.
        inside = delimited(1, delimited(1, b"a") + delimited(2, delimited(5, inside)))
        if len(inside) > 60_000:
            break
    return inside


@dataclass(frozen=True)
class Forge:
    """Makes requests. `known` has values that exist, by parts of the names of their fields."""

    rng: Random
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def structured(self, descriptor: Descriptor, depth: int = 0) -> bytes:
        """A message of a type, field by field; at least half of its fields are there."""
        rng = self.rng
        share = rng.choice((0.5, 0.8, 1.0)) if depth < 4 else 0.2
        parts = [self._field(field, depth) for field in descriptor.fields if rng.random() < share]
        if rng.random() < 0.1:
            parts.append(self._unknown())
        if depth == 0 and rng.random() < 0.1:
            parts.append(self._deep(descriptor))
        if rng.random() < 0.3:
            rng.shuffle(parts)
        return b"".join(parts)

    def plausible(self, descriptor: Descriptor) -> bytes:
        """A message that has a chance to be valid: one value for each of some fields, as their names suggest."""
        parts = []
        for each in descriptor.fields:
            if self.rng.random() < 0.7:
                text = each.cpp_type == FieldDescriptor.CPPTYPE_STRING
                parts.append(delimited(each.number, self._meant(each)) if text else self._value(each, 3))
        return b"".join(parts)

    def mutated(self, request: bytes, others: Sequence[bytes], descriptor: Descriptor) -> bytes:
        """A valid request with something done to it."""
        rng = self.rng
        match rng.choice(("replaced", "replaced", "replaced", "flipped", "cut", "spliced", "extended")):
            case "replaced" if descriptor.fields:
                # The last one of a field wins, so that it can simply follow.
                return request + self._value(rng.choice(descriptor.fields), 0)
            case "flipped" if request:
                changed = bytearray(request)
                for _ in range(rng.choice((1, 1, 2, 8))):
                    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
                return bytes(changed)
            case "cut":
                return request[: rng.randrange(len(request) + 1)]
            case "spliced":
                other = rng.choice(others)
                return request[: rng.randrange(len(request) + 1)] + other[rng.randrange(len(other) + 1) :]
            case _:
                return request + self._unknown()

    def raw(self) -> bytes:
        """Bytes that were never a message."""
        length = self.rng.choice((0, 1, 2, 3, 8, 16, 64, 256, 1024))
        if self.rng.random() < 0.2:
            return self.rng.choice((b"\0", b"\xff", b"\x08", b"\x0a", b"\x0b")) * length
        return self.rng.randbytes(length)

    def _field(self, each: FieldDescriptor, depth: int) -> bytes:
        rng = self.rng
        if rng.random() < 0.03:
            return self._unknown(each.number)
        times = rng.choice((1, 1, 2, 3, 40)) if each.is_repeated else rng.choice((1,) * 9 + (2,))
        return b"".join(self._value(each, depth) for _ in range(times))

    def _value(self, each: FieldDescriptor, depth: int) -> bytes:
        rng, number = self.rng, each.number
        match each.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return delimited(number, self._text(each))
            case FieldDescriptor.CPPTYPE_MESSAGE:
                assert each.message_type is not None
                return delimited(number, self.structured(each.message_type, depth + 1) if depth < 6 else b"")
            case FieldDescriptor.CPPTYPE_DOUBLE:
                return varint(number << 3 | FIXED64) + struct.pack("<d", rng.choice(DOUBLES))
            case FieldDescriptor.CPPTYPE_FLOAT:
                return varint(number << 3 | FIXED32) + struct.pack("<f", float(rng.choice((0, 1, "nan", "inf"))))
            case FieldDescriptor.CPPTYPE_ENUM:
                assert each.enum_type is not None
                known = [value.number for value in each.enum_type.values]
                return varint(number << 3) + varint(rng.choice((*known, *known, 999, 2**31 - 1, 2**64 - 1)))
            case _:
                return varint(number << 3) + varint(rng.choice(INTEGERS))

    def _text(self, each: FieldDescriptor) -> bytes:
        """A string for a field: usually one that could be meant, or that its rules just let through."""
        rng, chance = self.rng, self.rng.random()
        if chance < 0.45:
            return self._meant(each) + (b"\0" if chance < 0.05 else b"")
        if chance < 0.8:
            return rng.choice(TEXTS)
        if chance < 0.82:
            return rng.choice((b"A", b"\0", "é".encode())) * 65_536
        length = longest(each) + rng.choice((0, 0, 0, 1)) if chance < 0.95 else rng.choice(LENGTHS)
        return rng.choice(("a", "a", "Z", " ", "é", "😀", "\u0301")).encode() * length

    def _meant(self, each: FieldDescriptor) -> bytes:
        assert each.containing_type is not None
        path = f"{each.containing_type.name}.{each.name}".lower()
        for part, values in self.known.items():
            if part in path and self.rng.random() < 0.7:
                return self.rng.choice(values).encode()
        for part, values in PLAUSIBLE:
            if part in each.name:
                return self.rng.choice(values).encode()
        return b"x"

    def _unknown(self, number: int | None = None) -> bytes:
        """A field that the contract does not know, or one that it knows with another wire type."""
        rng = self.rng
        number = rng.choice((99, 18_999, 2**29 - 1, 0)) if number is None else number
        match rng.randrange(6):
            case 0:
                return varint(number << 3) + rng.choice((b"\x01", b"\xff" * 9 + b"\x01", b"\xff" * 11))
            case 1:
                return varint(number << 3 | FIXED64) + rng.randbytes(8)
            case 2:
                content = rng.choice((b"\x00", b"\x03abc", b"\xff\xff\xff\xff\x0f", b"\x7f"))
                return varint(number << 3 | DELIMITED) + content
            case 3:
                starts = varint(number << 3 | GROUP) * rng.choice((1, 50, 99, 101, 5000))
                return starts + varint(number << 3 | GROUP_END)
            case 4:
                return varint(number << 3 | FIXED32) + rng.randbytes(4)
            case _:
                return varint(number << 3 | rng.choice((6, 7)))

    def _deep(self, descriptor: Descriptor) -> bytes:
        """Messages inside of messages, where there is a field for them."""
        inside = nested(self.rng.choice((30, 48, 49, 50, 51, 99, 101, 2000)))
        fields = [each for each in descriptor.fields if each.message_type]
        return delimited(self.rng.choice(fields).number if fields else 99, inside)
