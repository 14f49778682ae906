"""Whether a host is this machine, as far as one can tell by its address."""

import ipaddress

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers in which a proxy says for whom it asks."""


def is_address(host: str) -> bool:
    """Whether it is one in digits, which no name can be made to mean another machine."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether it is an address of this machine's own, also where IPv6 says an IPv4 one."""
    if not is_address(host):
        return False
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
