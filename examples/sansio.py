"""A session without asyncio, on a plain blocking socket: `sansio.py ADDRESS PORT SECONDS`.

A `Connection` does no I/O: this loop reads, writes and keeps the time for it, and prints what it delivers.
The same can be done in any other loop, in a test bench, or with octets from a file.
"""

import random
import socket
import sys
import time

from bgp import AttributeTable, Close, Connect, Connection, Down, Established, Event, SessionConfig, Update
from bgp.wire import prefix as nlri

address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
config = SessionConfig(local_as=64512, identifier=0xC0000204, peer_as=64512)
connection = Connection(config, AttributeTable(), incoming=False, rng=random.random)
end = time.monotonic() + seconds
sock: socket.socket | None = None
deliveries = connection.handle(Event.MANUAL_START, time.monotonic())
while True:
    for delivery in deliveries:
        match delivery:
            case Established(negotiated):
                print("established with AS", negotiated.remote_as, flush=True)
            case Update():
                for family, prefixes, _ in delivery.withdrawn:
                    print("withdrawn", *(nlri.text(family, prefix) for prefix in prefixes), flush=True)
                for reach in delivery.announced:
                    names = [nlri.text(reach.family, prefix) for prefix in reach.prefixes]
                    print("announced", *names, reach.attributes, flush=True)
            case Down():
                print("down:", delivery.text, flush=True)
    for wish in connection.outgoing():
        match wish:
            case Connect():
                sock = socket.create_connection((address, port))
                connection.handle(Event.TCP_CR_ACKED, time.monotonic())
                sock.sendall(b"".join(each for each in connection.outgoing() if isinstance(each, bytes)))
            case Close(final) if sock is not None:
                sock.sendall(final)
                sock.close()
                sys.exit()
            case bytes() if sock is not None:
                sock.sendall(wish)
                connection.sent(len(wish), time.monotonic())
    now = time.monotonic()
    if sock is None or now >= end:
        deliveries = connection.handle(Event.MANUAL_STOP, now, text="the time is over")
        continue
    sock.settimeout(max(0.01, min(end, connection.deadline or end) - now))
    try:
        data = b"" if connection.more else sock.recv(65536)
        deliveries = connection.receive(data, time.monotonic())
    except TimeoutError:
        deliveries = connection.tick(time.monotonic())
