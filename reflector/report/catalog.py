"""Everything that a running service may be asked or told: names, arguments and what they mean.

Commands and pages are made from this table without the service behind it; the answers are in
`reflector.report.answering`.
"""

from dataclasses import dataclass
from enum import Enum
from keyword import iskeyword


class Sort(Enum):
    """What an argument is."""

    FLAG = "said or not said"
    TEXT = "any text"
    NUMBER = "a number from 0 on"
    FAMILY = "ipv4 or ipv6"
    PREFIX = "a prefix or an address"
    PEER = "a neighbor's name or address"
    COMMUNITY = "a community"
    STATE = "a state of the FSM"
    LEVEL = "a level of the log"
    CALLER = "a neighbor's name or address, or an address from which one may come"
    TIME = "a time span, such as 30s, 5m or 1h"
    VALUES = "keys with values, as in the configuration"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a question."""

    name: str
    sort: Sort
    text: str
    required: bool = False

    @property
    def keyword(self) -> str:
        """What the argument is called in Python, where it may not be called as it is."""
        return self.name + "_" * iskeyword(self.name)


@dataclass(frozen=True, slots=True)
class Question:
    """A report, or a command, which answers as a report does and `changes` something.

    One that is `endless` goes on until who asked goes away.
    """

    name: str
    text: str
    arguments: tuple[Argument, ...] = ()
    changes: bool = False
    endless: bool = False


_FAMILY = Argument("family", Sort.FAMILY, "ipv4 or ipv6; by default both")
_COMMUNITY = Argument("community", Sort.COMMUNITY, "only what has this community")
_LIMIT = Argument("limit", Sort.NUMBER, "so many rows at most; 0 for all")
_ONE = Argument("peer", Sort.PEER, "its name or address", required=True)
_CALLER = Argument("peer", Sort.CALLER, "its name or address; it need not be there yet", required=True)
_SAID = Argument("text", Sort.TEXT, "what the neighbor's operator is told (RFC 9003)")

_WHAT = Argument("what", Sort.TEXT, "neighbor or listen-range", required=True)
_WHICH = Argument("which", Sort.TEXT, "a neighbor's address or interface; a range's prefix", required=True)
_ALTERED = (
    Argument("values", Sort.VALUES, "key=value as in the configuration; key= takes the key away"),
    Argument("group", Sort.TEXT, "the group whose options it has"),
    Argument("save", Sort.FLAG, "write it into the configuration file, too"),
    Argument("dry_run", Sort.FLAG, "only say what would change"),
)

QUESTIONS = {
    question.name: question
    for question in (
        Question("status", "who we are, how long we run, sessions, routes"),
        Question(
            "neighbors",
            "the neighbors, a row for each",
            (
                Argument("state", Sort.STATE, "only those in that state of the FSM"),
                Argument("down", Sort.FLAG, "only those that are not Established"),
                Argument("name", Sort.TEXT, "only those whose name has this in it"),
            ),
        ),
        Question("neighbor", "all about a neighbor", (_ONE,)),
        Question(
            "routes",
            "routes: of the table, of a neighbor, or towards one",
            (
                Argument("prefix", Sort.PREFIX, "a prefix or an address, or else its longest match"),
                Argument("longer", Sort.FLAG, "the prefix and all that is more specific"),
                _FAMILY,
                Argument("received", Sort.PEER, "what this neighbor has sent, refused routes included"),
                Argument("advertised", Sort.PEER, "what this neighbor is told"),
                _COMMUNITY,
                Argument("best", Sort.FLAG, "only best paths"),
                Argument("refused", Sort.FLAG, "only paths that are not usable"),
                _LIMIT,
            ),
        ),
        Question(
            "explain",
            "why each path of a prefix is best, lost or unusable, and what a neighbor is told",
            (
                Argument("prefix", Sort.PREFIX, "the prefix", required=True),
                Argument("to", Sort.PEER, "a neighbor: what it is told, or by which rule it is not"),
            ),
        ),
        Question(
            "fib",
            "the kernel's routes: how many are where, or why one is there or is not",
            (
                Argument("prefix", Sort.PREFIX, "a prefix or an address, or else its longest match"),
                _FAMILY,
                Argument("missing", Sort.FLAG, "each route that is not in the kernel, and why"),
                Argument("installed", Sort.FLAG, "each route of ours that the kernel has"),
                _LIMIT,
            ),
        ),
        Question(
            "guards",
            "what guards keep from use: a row for each neighbor that announces what it may not",
            (
                Argument("peer", Sort.PEER, "only this neighbor"),
                Argument("all", Sort.FLAG, "all guarded neighbors"),
            ),
        ),
        Question(
            "claims",
            "what guards give to one neighbor only: who has it, and who announces it, too",
            (
                Argument("prefix", Sort.PREFIX, "only what lies within this prefix"),
                Argument("peer", Sort.PEER, "only what this neighbor has, or announces"),
                _FAMILY,
                Argument("disputed", Sort.FLAG, "only what several neighbors announce"),
                _LIMIT,
            ),
        ),
        Question("groups", "update groups: who is told alike, and how far everybody is"),
        Question(
            "healthy",
            "whether the service is ready, in the exit status: 0, or 1, or 3 where it does not answer",
            (Argument("live", Sort.FLAG, "it is enough that it answers, as it may still be starting"),),
        ),
        Question("memory", "tables, interned values and queues"),
        Question(
            "log",
            "the last lines of the log",
            (
                Argument("level", Sort.LEVEL, "the least severe lines: debug, info, warning or error"),
                Argument("peer", Sort.TEXT, "only lines about this neighbor"),
                Argument("limit", Sort.NUMBER, "so many of the last lines"),
            ),
        ),
        Question(
            "monitor",
            "what is there, and then what changes, as it happens",
            (
                _FAMILY,
                Argument("within", Sort.PREFIX, "only this prefix and what is more specific"),
                Argument("peer", Sort.PEER, "only routes of this neighbor"),
                _COMMUNITY,
                Argument("changes", Sort.FLAG, "only what changes, not what is there"),
                Argument("all", Sort.FLAG, "all usable paths, not the best ones alone"),
            ),
            endless=True,
        ),
        Question(
            "debug",
            "log each message of a neighbor for a while, decoded, and show them as they come",
            (
                _CALLER,
                Argument("for", Sort.TIME, "how long; by default 5m"),
                Argument("keepalives", Sort.FLAG, "KEEPALIVEs, too"),
                Argument("detach", Sort.FLAG, "only log them, also when this command is gone"),
                Argument("stop", Sort.FLAG, "end it, whoever began it"),
            ),
            changes=True,
            endless=True,
        ),
        Question(
            "capture",
            "write each message of a neighbor into a capture file, for Wireshark and `python -m bgp decode`",
            (
                _CALLER,
                Argument("for", Sort.TIME, "how long; by default 1h"),
                Argument("count", Sort.NUMBER, "end behind so many messages"),
            ),
            changes=True,
            endless=True,
        ),
        Question("reset", "end a session and let it start anew", (_ONE, _SAID), changes=True),
        Question("disable", "end a session until it is enabled again", (_ONE, _SAID), changes=True),
        Question("enable", "let a neighbor have a session again", (_ONE,), changes=True),
        Question(
            "drain",
            "make what neighbors hear from us their last choice, and wait until all are told (RFC 8326)",
            (
                Argument("peer", Sort.PEER, "only this neighbor; by default all"),
                Argument("timeout", Sort.NUMBER, "seconds to wait for who is slow; by default 30"),
            ),
            changes=True,
        ),
        Question(
            "undrain",
            "take the drain back",
            (Argument("peer", Sort.PEER, "only this neighbor; by default all"),),
            changes=True,
        ),
        Question(
            "release",
            "let the deletions of the kernel's routes pass that guard in [fib] holds back",
            changes=True,
        ),
        Question(
            "stop",
            "end the service as SIGTERM does, with all sessions; it may be started again at once",
            (
                Argument("for_good", Sort.FLAG, "it does not come back: neighbors keep nothing of it"),
                Argument("text", Sort.TEXT, "what the neighbors' operators are told (RFC 9003)"),
            ),
            changes=True,
        ),
        Question(
            "reload",
            "go over to what the configuration file says by now",
            (
                Argument("dry_run", Sort.FLAG, "only say what would change"),
                Argument("forget", Sort.FLAG, "let go of what was changed at run time and not saved"),
            ),
            changes=True,
        ),
        Question(
            "add", "add a neighbor or a listen range while we run", (_WHAT, _WHICH, *_ALTERED), changes=True
        ),
        Question(
            "change", "change keys of a neighbor or listen range", (_WHAT, _WHICH, *_ALTERED), changes=True
        ),
        Question(
            "remove",
            "remove a neighbor or listen range, and end its sessions",
            (
                _WHAT,
                _WHICH,
                Argument("source", Sort.TEXT, "its source_address, where several have the same address"),
                *_ALTERED[2:],
            ),
            changes=True,
        ),
        Question("refresh", "ask a neighbor for its routes again (RFC 2918)", (_ONE, _FAMILY), changes=True),
    )
}
