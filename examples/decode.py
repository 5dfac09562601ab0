"""Say what UPDATEs mean, and which rule the bad ones break: lines of hexadecimal on standard input.

`python -m bgp decode` does this and more; here is how a program does it.
"""

import sys

from bgp import IPV4_UNICAST, IPV6_UNICAST, AttributeTable, Context, Decoder, Framer, Notify
from bgp.iana import MessageType
from bgp.wire import prefix as nlri

table = AttributeTable()
families = frozenset((IPV4_UNICAST, IPV6_UNICAST))
decoder = Decoder(Context(internal=True, families=families), table)
for line in sys.stdin:
    framer = Framer()
    try:
        framer.feed(bytes.fromhex(line))
        while (message := framer.next()) is not None:
            type_, body = message
            if type_ != MessageType.UPDATE:
                print(MessageType(type_).name)
                continue
            update = decoder.decode(body)
            for family, prefixes, _ in update.withdrawn:
                print("withdrawn", *(nlri.text(family, prefix) for prefix in prefixes))
            for reach in update.announced:
                print("announced", *(nlri.text(reach.family, prefix) for prefix in reach.prefixes))
                print("  next hop", nlri.address_text(reach.attributes.next_hop))
                print("  origin", reach.attributes.origin, "local_pref", reach.attributes.local_pref)
            if update.end_of_rib is not None:
                print("End-of-RIB of", update.end_of_rib)
            for fault in update.faults:
                print("fault:", fault)
    except Notify as error:
        print(f"a receiver ends the session ({error.code}/{error.subcode}):", error.reason)
