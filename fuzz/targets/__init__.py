"""The targets, each a module that opens with its invariant as a sentence."""

from dataclasses import replace

from fuzz.target import Target, invariant_of
from fuzz.targets import (
    connection,
    decode,
    encode,
    files,
    framing,
    mrt,
    notification,
    opening,
    pcap,
    route_refresh,
    update,
)

TARGETS: dict[str, Target] = {
    module.TARGET.name: replace(module.TARGET, invariant=invariant_of(module))
    for module in (
        framing,
        opening,
        notification,
        route_refresh,
        update,
        connection,
        pcap,
        mrt,
        files,
        decode,
        encode,
    )
}
