"""IP rules of policies (``ip_access``): single addresses, CIDR blocks and ``from-to`` ranges (spec users §4.1–4.2).

Rules and addresses of both versions are numbers of IPv6, IPv4 mapped into it: so ``::/0`` is everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_MAPPED = 0xFFFF << 32


def parse_address(text: str | None) -> Address | None:
    """The address a text names, IPv4-mapped IPv6 as plain IPv4; None for anything else."""
    try:
        address = ip_address((text or "").strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _number(address: Address) -> int:
    return int(address) | _MAPPED if isinstance(address, IPv4Address) else int(address)


@dataclass(frozen=True, slots=True)
class IpRange:
    """All addresses from ``first`` to ``last``."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> IpRange:
        """Read one rule. Raises ``ValueError`` for anything that is no address, CIDR block or range."""
        if "%" in text:
            raise ValueError(f"{text!r} names an interface, which means something on one machine only")
        start, dash, end = (part.strip() for part in text.partition("-"))
        if dash:
            low, high = ip_address(start), ip_address(end)
            if low.version != high.version or int(low) > int(high):
                raise ValueError(f"{text!r} is not a range of addresses")
            return cls(_number(low), _number(high))
        _, slash, bits = start.partition("/")
        if slash and not bits.isdecimal():
            raise ValueError(f"{text!r} names its network by a mask")  # `10.0.0.0/255.0.0.0` is not a CIDR block
        block = ip_network(start, strict=False)
        return cls(_number(block.network_address), _number(block.broadcast_address))

    def contains(self, address: Address) -> bool:
        return self.first <= _number(address) <= self.last


@dataclass(frozen=True, slots=True)
class IpRules:
    """The compiled ``ip_access`` of one policy. Without rules every address passes, even an unknown one."""

    ranges: tuple[IpRange, ...] = ()
    restricted: bool = False

    @classmethod
    def parse(cls, rules: Iterable[str]) -> IpRules:
        """Compile stored rules. A rule that cannot be read admits nobody: never wider than was meant."""
        texts = [text.strip() for text in rules if text.strip()]
        ranges = []
        for text in texts:
            try:
                ranges.append(IpRange.parse(text))
            except ValueError:
                continue
        return cls(tuple(ranges), bool(texts))

    def admits(self, ip: str | None) -> bool:
        """True when there is no rule or the address is known and within one."""
        if not self.restricted:
            return True
        address = parse_address(ip)
        if address is None:
            return False
        return any(found.contains(address) for found in self.ranges)
