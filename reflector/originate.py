"""Routes of our own: what a configuration says of them, told to the speaker."""

from bgp.speaker import Speaker
from reflector.configuration.config import Aggregated, Originated


def originate(speaker: Speaker, network: Originated) -> None:
    """Announce a `[[network]]`, in place of an earlier one with its prefix."""
    speaker.announce(
        network.prefix,
        next_hop=network.next_hop or b"",
        origin=network.origin,
        med=network.med,
        local_pref=network.local_pref,
        communities=network.communities,
        large_communities=network.large_communities,
        extended_communities=network.extended_communities,
        condition=network.condition,
    )


def aggregate(speaker: Speaker, aggregated: Aggregated) -> None:
    """Originate an `[[aggregate]]`, in place of an earlier one with its prefix."""
    how = aggregated.aggregate
    speaker.aggregate(
        aggregated.prefix,
        summary_only=how.summary_only,
        origin_as=how.origin_as,
        matching_med=how.matching_med,
        communities=how.communities,
        policy=how.policy,
    )
