"""IP-in-IP in user space, where a kernel has none: a `tun` device and a raw socket of protocol 4 (RFC 2003).

What the kernel routes into the device is sent in an outer header to the gateway of the route that it took,
and what comes in one goes out of the device: so packets cross as they do by the kernel's own `tunl0`.
"""

import fcntl
import json
import os
import select
import socket
import struct
import threading
from ipaddress import IPv4Address

from fibnet import Host, within

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x1, 0x1000
_PROTOCOL = 4


class Tunnel:
    """The device `name` in `host`, for the length of a `with`; `sent` and `came` count packets."""

    def __init__(self, host: Host, name: str = "tunl0") -> None:
        self._host = host
        self._name = name
        self._device = within(host.namespace, self._open)
        self._outer = within(
            host.namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, _PROTOCOL)
        )
        self._gateways: dict[str, str] = {}
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self.sent: dict[str, int] = {}
        self.came = 0

    def _open(self) -> int:
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", self._name.encode(), _IFF_TUN | _IFF_NO_PI))
        return device

    def __enter__(self) -> "Tunnel":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopped)
        self._thread.join()
        self._outer.close()
        os.close(self._device)
        os.close(self._stop)

    def _gateway(self, target: str) -> str:
        known = self._gateways.get(target)
        if known is None:
            (row,) = json.loads(self._host.ip("-j", "route", "get", target))
            known = self._gateways[target] = row.get("gateway", "")
        return known

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._device, self._outer, self._stop], [], [])
            if self._stop in ready:
                return
            if self._device in ready:
                packet = os.read(self._device, 65536)
                if packet[0] >> 4 == 4:
                    gateway = self._gateway(str(IPv4Address(packet[16:20])))
                    if gateway:
                        self.sent[gateway] = self.sent.get(gateway, 0) + 1
                        self._outer.sendto(packet, (gateway, 0))
            if self._outer in ready:
                data = self._outer.recv(65536)
                self.came += 1
                os.write(self._device, data[(data[0] & 15) * 4 :])
