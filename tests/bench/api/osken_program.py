"""os-ken's BGPSpeaker as a program uses it; it runs with os-ken and the standard library alone.

python osken_program.py CASE PORT ROUTES FILE ASN
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

# It is there only in the environment that `run` makes for it.
from os_ken.services.protocols.bgp.bgpspeaker import BGPSpeaker  # type: ignore[import-not-found]

case, port, routes, file, asn = (
    sys.argv[1],
    int(sys.argv[2]),
    int(sys.argv[3]),
    Path(sys.argv[4]),
    sys.argv[5],
)
up, all_heard = threading.Event(), threading.Event()
heard = 0


def changed(event: Any) -> None:
    global heard
    heard += 1
    if heard == routes:
        all_heard.set()


speaker = BGPSpeaker(
    as_number=int(asn),
    router_id="192.0.2.2",
    bgp_server_port=0,  # it need not listen
    best_path_change_handler=changed,
    peer_up_handler=lambda address, asn: up.set(),
)
speaker.neighbor_add("127.0.0.1", int(asn), remote_port=port)
up.wait()
file.write_text("ready")
time.sleep(0.5)
begun = time.monotonic()
if case == "watch":
    all_heard.wait()
else:
    for number in range(routes):
        prefix = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"
        speaker.prefix_add(prefix=prefix, next_hop=f"198.51.100.{number % 100 + 1}")
file.write_text(json.dumps({"begun": begun, "done": time.monotonic()}))
threading.Event().wait()
