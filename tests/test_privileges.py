"""Which capabilities a configuration takes, and which users can be had; as root it is in `interop`."""

import os
import pwd

import pytest

from reflector.changes.reload import plan
from reflector.configuration.config import loads
from reflector.running.privileges import Capability, Identity, PrivilegeError, become, identity, needed

ROUTER = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'
PEER = '[[neighbor]]\naddress = "192.0.2.9"\nclient = true\npassword = "x"\nminimum_ttl = 254\n'


@pytest.mark.parametrize(
    ("tables", "further"),
    [
        (PEER, set()),
        ("[fib]\n", {Capability.NET_ADMIN}),
        ("[fib]\nenabled = false\n", set()),
        ('[[neighbor]]\ninterface = "eth1"\nasn = "internal"\n', {Capability.NET_RAW}),
    ],
)
def test_what_a_configuration_needs(tables: str, further: set[Capability]) -> None:
    assert needed(loads(ROUTER + tables)) == {Capability.NET_BIND_SERVICE} | further


def test_users() -> None:
    root = identity("root")
    assert (root.uid, root.gid) == (0, 0) and 0 in root.groups
    assert identity("0") == root
    assert identity("4000000001") == Identity("4000000001", 4000000001, 4000000001, ())
    for name in ("no-such-user", "99999999999999999999"):
        with pytest.raises(PrivilegeError, match=f'there is no user "{name}": useradd'):
            identity(name)


def test_who_we_are_already() -> None:
    if os.geteuid() == 0:
        with pytest.raises(PrivilegeError, match="root, who is to be left"):
            become("root", ())
    else:
        assert become(pwd.getpwuid(os.geteuid()).pw_name, ()) is False


def test_a_user_cannot_enter_namespaces() -> None:
    text = ROUTER + 'user = "martlet"\n[fib]\nnetns = "edge"\n'
    (warned,) = [each for each in loads(text).warnings if each.key == "[fib] netns"]
    assert warned.line == 6 and "takes root, whom user in [router] leaves" in warned.what


def test_only_a_restart_changes_the_user() -> None:
    before, after = loads(ROUTER), loads(ROUTER + 'user = "martlet"\n')
    assert [each.key for each in plan(before, after).restart] == ["user"]
