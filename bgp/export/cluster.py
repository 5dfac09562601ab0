"""Clusters: which CLUSTER_IDs a route gets from a reflector that serves several of them (RFC 4456).

Section 8 has "the local CLUSTER_ID" prepended, and calls the CLUSTER_LIST "the reflection path that the
route has passed".  With a cluster of its own for some clients, a route passes that of the client that it
comes from, and that of the client that it goes to:

    from                 to a client of B      to a non-client
    a client of A        B A                   A
    a client of B        B                     B
    a non-client         B                     not reflected

So each other reflector of A or of B can tell that the route was in its cluster (section 7), and none takes
it for one that was in both if it was not.  Clients that are meshed are so within their cluster (section 5).
"""

from bgp.export.terms import Terms
from bgp.rib.path import Kind, Source


def passed(source: Source, terms: Terms) -> bytes:
    """Return what is prepended to the CLUSTER_LIST of a route from `source` on such terms."""
    if not source.cluster or source.cluster == terms.cluster_id:
        return terms.cluster_id
    return terms.cluster_id + source.cluster if terms.kind is Kind.CLIENT else source.cluster


def between_clusters(source: Source, terms: Terms) -> bool:
    """Whether a route from `source` goes from a client of one cluster to one of another."""
    return terms.kind is Kind.CLIENT and bool(source.cluster) and source.cluster != terms.cluster_id
