"""The targets, each a module that opens with its invariant as a sentence."""

from dataclasses import replace

from fuzz.target import Target, invariant_of
from fuzz.targets import (
    configuration,
    connection,
    decode,
    encode,
    exabgp,
    files,
    framing,
    mrt,
    notification,
    opening,
    pcap,
    policy,
    route_refresh,
    router,
    update,
    words,
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
        router,
        policy,
        pcap,
        mrt,
        files,
        decode,
        encode,
        exabgp,
        words,
        configuration,
    )
}
