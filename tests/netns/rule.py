"""Which pairs can go direct: the one rule, in RFC 4787 terms, that the matrix is judged by.

Both sides endpoint-independent mapping: direct. One side endpoint-dependent: direct if and only if
the other side's filter is not address-and-port-dependent; else by port prediction if and only if one
side is endpoint-independent (a birthday attack at worst) or both allocate sequentially; else relayed.
UDP blocked on either side: relayed over TCP. Same LAN: direct. Same NAT but isolated from each other,
or two homes behind one carrier: direct with hairpin and endpoint-independent mapping only.

DIRECT and PREDICTED must both be direct; the difference is how.
"""

import dataclasses

DIRECT, PREDICTED, RELAYED, RELAYED_BY_TCP = "direct", "predicted", "relayed", "relayed by TCP"


@dataclasses.dataclass(frozen=True)
class Side:
    """What the NATs between a host and the internet amount to; the host without one is EI, EI."""

    mapping: str = "ei"
    filtering: str = "ei"
    ports: str = "random"
    udp: bool = True


SIDES = {
    "none": Side(),
    "full-cone": Side(),
    "address-restricted": Side(filtering="ad"),
    "port-restricted": Side(filtering="apd"),
    "preserving": Side(filtering="apd"),
    "sloppy": Side(filtering="apd"),
    "hairpin": Side(filtering="apd"),
    "short-lived": Side(filtering="apd"),
    "cgnat": Side(filtering="apd"),
    "symmetric-sequential": Side("apd", "apd", "sequential"),
    "sequential-by-3": Side("apd", "apd", "sequential"),
    "symmetric-random": Side("apd", "apd"),
    "symmetric-address": Side("ad", "apd"),
    "udp-blocked": Side(udp=False),
}


def expected(left, right):
    """What becomes of two sides with nothing in common but the internet."""
    if not (left.udp and right.udp):
        return RELAYED_BY_TCP
    independent = [side.mapping == "ei" for side in (left, right)]
    if all(independent):
        return DIRECT
    if any(independent):
        steady = left if independent[0] else right
        return DIRECT if steady.filtering != "apd" else PREDICTED
    return PREDICTED if left.ports == right.ports == "sequential" else RELAYED


def expected_behind_one_nat(side, isolated, hairpin):
    """What becomes of two hosts behind the same NAT (or two homes behind the same carrier, which are
    always isolated from each other)."""
    if not isolated:
        return DIRECT
    return DIRECT if hairpin and side.mapping == "ei" else RELAYED


def is_worse(expectation, outcome):
    """Whether an outcome ("direct", "relayed", "mixed" or "unconnected") is worse than the rule."""
    if expectation in (DIRECT, PREDICTED):
        return outcome != "direct"
    return outcome == "unconnected"
