"""What a speaker and its peers are made with is refused at once where it cannot be, by its name."""

import pytest

from bgp import IPV4_UNICAST, PeerOptions, Speaker


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"asn": 0}, "asn: must be an AS number, 1 to 4294967295, not 0"),
        ({"asn": 1 << 32}, "asn: "),
        ({"asn": "65000"}, "asn: .*not '65000'"),
        ({"router_id": "0.0.0.0"}, r"router_id: must not be 0.0.0.0 \(RFC 6286 2.1\)"),
        ({"router_id": "router"}, "router_id: "),
        ({"cluster_id": -1}, "cluster_id: "),
        ({"stop_timeout": -1}, "stop_timeout: must be a number of 0 or more, not -1"),
        ({"lag_age": -1.5}, "lag_age: "),
        ({"max_paths": -1}, "max_paths: "),
        ({"listen": "0.0.0.0:179"}, "listen: must be a list of addresses, such as"),
        ({"listen": ["nowhere"]}, "nowhere"),
    ],
)
def test_speakers(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Speaker(**{"asn": 65000, "router_id": "10.0.0.1", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"asn": 0}, "asn: must be"),
        ({"local_as": 0}, "local_as: must be"),
        ({"allow_own_as": -1}, "allow_own_as: must be a number of 0 or more"),
        ({"advertisement_interval": -1}, "advertisement_interval: must be"),
        ({"export_policy": "all"}, "export_policy: 'all' is no policy"),
        ({"import_policy": 5}, "import_policy: 5 is no policy"),
        ({"maximum_prefixes": 5}, "maximum_prefixes: must be a mapping by family"),
        ({"maximum_prefixes": {"ipv4": 5}}, "maximum_prefixes: 'ipv4' is no family"),
        ({"maximum_prefixes": {IPV4_UNICAST: -1}}, "maximum_prefixes: must be a number for ipv4-unicast"),
        ({"next_hops": {IPV4_UNICAST: "192.0.2.1"}}, "next_hops: must be the octets of an address"),
        ({"default_originate": {IPV4_UNICAST: True}}, "default_originate: must be a condition or None"),
        ({"conditional": (5,)}, "conditional: must be a tuple of Conditional"),
    ],
)
def test_peers(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PeerOptions(**{"asn": 65000, "address": "192.0.2.1", **given})  # type: ignore[arg-type]


def test_listen_ranges() -> None:
    speaker = Speaker(asn=65000, router_id="10.0.0.1")
    with pytest.raises(ValueError, match="limit: must be a number of 1 or more, not 0"):
        speaker.add_listen_range("10.0.0.0/8", PeerOptions(asn=65000), limit=0)
