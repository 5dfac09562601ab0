"""The states and events of the finite state machine, under the numbers of RFC 4271 sections 8.1 and 8.2.2."""

from enum import IntEnum


class State(IntEnum):
    """A state of the FSM (RFC 4271 section 8.2.2), numbered as in bgpPeerState (RFC 4273)."""

    IDLE = 1
    CONNECT = 2
    ACTIVE = 3
    OPEN_SENT = 4
    OPEN_CONFIRM = 5
    ESTABLISHED = 6

    @property
    def label(self) -> str:
        """The state's name as the RFC spells it."""
        return self.name.title().replace("_", "")


class Event(IntEnum):
    """What the FSM reacts to (RFC 4271 section 8.1)."""

    MANUAL_START = 1
    MANUAL_STOP = 2
    AUTOMATIC_START = 3
    MANUAL_START_PASSIVE = 4
    AUTOMATIC_START_PASSIVE = 5
    AUTOMATIC_START_DAMPED = 6
    AUTOMATIC_START_DAMPED_PASSIVE = 7
    AUTOMATIC_STOP = 8
    CONNECT_RETRY_TIMER_EXPIRES = 9
    HOLD_TIMER_EXPIRES = 10
    KEEPALIVE_TIMER_EXPIRES = 11
    DELAY_OPEN_TIMER_EXPIRES = 12
    IDLE_HOLD_TIMER_EXPIRES = 13
    TCP_CONNECTION_VALID = 14
    TCP_CR_INVALID = 15
    TCP_CR_ACKED = 16  # the connection that we asked for is there
    TCP_CONNECTION_CONFIRMED = 17  # the connection that the peer asked for is there
    TCP_CONNECTION_FAILS = 18  # refused, closed by the peer, or lost
    BGP_OPEN = 19
    BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING = 20
    BGP_HEADER_ERR = 21
    BGP_OPEN_MSG_ERR = 22
    OPEN_COLLISION_DUMP = 23
    NOTIF_MSG_VER_ERR = 24
    NOTIF_MSG = 25
    KEEPALIVE_MSG = 26
    UPDATE_MSG = 27
    UPDATE_MSG_ERR = 28  # of ROUTE-REFRESH too: RFC 7313 section 5 names no event
    SEND_HOLD_TIMER_EXPIRES = 29  # RFC 9687 section 4.2
    ROUTE_REFRESH_MSG = 30  # our number: RFC 2918 names no event

    @property
    def label(self) -> str:
        """The event in words, such as "hold timer expires"."""
        return self.name.lower().replace("_", " ")


class Timer(IntEnum):
    """The timers of a session (RFC 4271 section 8.1.3), each under the number of the event of its expiry."""

    CONNECT_RETRY = Event.CONNECT_RETRY_TIMER_EXPIRES
    HOLD = Event.HOLD_TIMER_EXPIRES
    KEEPALIVE = Event.KEEPALIVE_TIMER_EXPIRES
    DELAY_OPEN = Event.DELAY_OPEN_TIMER_EXPIRES
    IDLE_HOLD = Event.IDLE_HOLD_TIMER_EXPIRES
    SEND_HOLD = Event.SEND_HOLD_TIMER_EXPIRES
