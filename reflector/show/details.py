"""What is shown of one thing: names on the left, values on the right, in the order in which they matter."""

import time
from collections.abc import Iterator
from typing import Any

from reflector.show.columns import Row, duration, size


def status(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the lines about the whole."""
    states = ", ".join(f"{count} {state}" for state, count in row["states"].items()) or "none"
    yield (
        "reflector",
        f"{row['router_id']}, AS {row['asn']}, cluster {' '.join(row['clusters'])}, version {row['version']}",
    )
    yield "configuration", f"{row['file']}, read {clock(row['configured'])}"
    yield "running for", f"{duration(row['uptime'])}, since {clock(row['started'])}"
    yield "listening on", ", ".join(row["listening"]) or "nothing"
    yield "neighbors", f"{row['neighbors']}: {states}"
    for each in row["ranges"]:
        yield "listen range", f"{each['prefix']}, {each['neighbors']} of at most {each['limit']} neighbors"
    prefixes = ", ".join(f"{count} {family}" for family, count in row["prefixes"].items())
    yield "routes", f"{row['routes']} for {prefixes} prefixes"
    yield "update groups", str(row["groups"])
    yield "memory", size(row["memory"])
    if row["lag"] is not None:
        lag = row["lag"]
        yield (
            "event loop",
            f"{row['loop']}, late by {lag['p99'] * 1000:.1f} ms (p99),"
            f" {lag['maximum'] * 1000:.0f} ms at most",
        )


def neighbor(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the lines about a neighbor."""
    state = row["state"] if row["running"] else "disabled"
    yield "neighbor", row["name"] + (f" ({row['description']})" if row["description"] else "")
    yield (
        "address",
        f"{row['address']}, port {row['port']}" + (", from a listen range" if row["dynamic"] else ""),
    )
    yield "state", f"{state} for {duration(row['age'])}, since {clock(row['since'])}"
    if row["last_error"]:
        yield "last error", f"{row['last_error']}, {clock(row['last_error_at'])}"
    yield "sessions so far", str(row["times_established"])
    if row["signed"]:
        yield "signed by", row["signed"]
    session = row.get("session")
    if session is not None:
        yield from _session(row, session)
    for name, counts in row["messages"].items():
        if counts["received"] or counts["sent"]:
            yield name, f"{counts['received']} received, {counts['sent']} sent"
    yield "octets", f"{size(row['octets']['received'])} received, {size(row['octets']['sent'])} sent"
    if row["queue"]:
        yield "waiting", f"{size(row['queue'])} that the kernel has not taken"
    if row["debug"]:
        debug = row["debug"]
        left = duration(debug["seconds"])
        yield "debug", f"messages are logged for another {left}, {debug['shown']} so far"
    if row["captures"]:
        yield "captures", f"{row['captures']} going on"
    for each in row["connections"]:
        way = "from" if each["incoming"] else "to"
        yield "connection", f"{each['state']}, {way} {each['remote'] or 'nowhere yet'}"


def _session(row: Row, session: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "session", f"{row['kind']}, AS {session['remote_as']}, identifier {session['remote_identifier']}"
    if session["host_name"]:
        yield "host name", session["host_name"]
    yield "hold time", f"{session['hold_time']} s, keepalive {session['keepalive_time']:g} s"
    for family in session["families"]:
        parts = [f"{row['received'][family]} received"]
        if row["refused"][family]:
            parts.append(f"{row['refused'][family]} of them refused")
        parts.append(_told(row["advertised"][family], row["counted"]))
        if family in row["maximum_prefixes"]:
            parts.append(f"maximum {row['maximum_prefixes'][family]}")
        if family in session["add_path"]:
            parts.append(f"ADD-PATH {' and '.join(session['add_path'][family])}")
        if family not in row["end_of_rib"]:
            parts.append("End-of-RIB not yet received")
        yield family, ", ".join(parts)
    if row["guard"] is not None:
        yield "guard", _guard(row["guard"])
    able = [
        name
        for name, there in (
            ("four-octet AS numbers", session["four_octet_as"]),
            ("route refresh", session["route_refresh"]),
            ("enhanced route refresh", session["enhanced_route_refresh"]),
            ("extended messages", session["maximum_message"]["send"] > 4096),
            ("IPv6 next hops for IPv4", bool(session["extended_next_hop"])),
        )
        if there
    ]
    yield "capabilities", ", ".join(able) or "none"
    if session["role"]:
        yield "our role", session["role"]


def _guard(guard: Row) -> str:
    rules = ", ".join(f"{count} {rule}" for rule, count in guard["kept_from_use"].items())
    kept = f"{sum(guard['kept_from_use'].values())} routes kept from use{f' ({rules})' if rules else ''}"
    return f"{guard['guard']}: {guard['claims']} claims, {kept}, {sum(guard['hits'].values())} were announced"


def fib(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the lines about a family's routes in the kernel."""
    metric = "of each route" if row["metric"] is None else row["metric"]
    yield row["family"], f"table {row['table']}, protocol {row['protocol']}, metric {metric}"
    yield "  installed", f"{row['installed']} of {row['wanted']}"
    for name, text in (
        ("pending", "on their way"),
        ("refused", "refused by the kernel"),
        ("conflicts", "where another's route stands"),
        ("withheld", "deletions that the guard holds back"),
        ("stale", "left by an earlier life, to be swept"),
    ):
        if row[name]:
            yield f"  {name}", f"{row[name]} {text}"
    yield "  written", f"{row['added']} added, {row['replaced']} replaced, {row['deleted']} deleted"
    yield "  earlier", f"{row['adopted']} adopted, {row['swept']} swept"
    yield "  mended", f"{row['repaired']} that others broke, {row['failed']} attempts failed"
    for each in row["problems"]:
        yield "  problem", each


def _told(count: int | None, counted: float | None) -> str:
    """Return how many routes a neighbor is told, and how long ago that was counted."""
    if count is None or counted is None:
        return "what it is told is being counted"
    return f"{count} told" + (f" {duration(counted)} ago" if counted else "")


def clock(seconds: float) -> str:
    """Return a moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def explained(row: Row) -> str:
    """Return why a prefix is where it is, in words."""
    parts = [row["text"]]
    if "fib" in row:
        parts.append("kernel: " + row["fib"]["text"].partition(": ")[2])
    if "to" in row:
        parts.append(row["to"]["text"])
    return "\n".join(parts)


def aligned(lines: Iterator[tuple[str, str]]) -> str:
    """Return names and values, the values below each other."""
    found = list(lines)
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in found)


def write(lines: Iterator[tuple[str, str]]) -> None:
    """Print names and values, the values below each other."""
    print(aligned(lines))
