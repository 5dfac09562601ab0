"""What is in `deploy` holds together: paths, ports, names, users and files agree with each other and us."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from ipaddress import ip_address
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from reflector import __main__ as entry
from reflector.configuration.config import Configuration, load
from reflector.configuration.document import ConfigurationError
from reflector.running.process import STOP_WITHIN

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
Object = dict[str, Any]


def documents(path: Path) -> list[Object]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml"))
OBJECTS = {
    (each["kind"], each["metadata"]["name"]): each
    for path in MANIFESTS
    for each in documents(path)
    if "metadata" in each
}
POD: Object = OBJECTS["Deployment", "martlet"]["spec"]["template"]
CONTAINER: Object = POD["spec"]["containers"][0]


# --- Kubernetes -------------------------------------------------------------------------------------------

# The groups and versions of the kinds that are there, and the keys that each must have.
KINDS = {
    "Namespace": ("v1", set()),
    "ConfigMap": ("v1", {"data"}),
    "Secret": ("v1", {"type", "stringData"}),
    "Service": ("v1", {"spec"}),
    "Deployment": ("apps/v1", {"spec"}),
    "PodDisruptionBudget": ("policy/v1", {"spec"}),
    "Role": ("rbac.authorization.k8s.io/v1", {"rules"}),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", {"roleRef", "subjects"}),
    "BGPPeer": ("projectcalico.org/v3", {"spec"}),
    "BGPConfiguration": ("projectcalico.org/v3", {"spec"}),
    "Kustomization": ("kustomize.config.k8s.io/v1beta1", {"resources"}),
}
# What pods and containers may say here, as the API has it.
POD_KEYS = {
    "hostNetwork": bool,
    "dnsPolicy": str,
    "nodeSelector": dict,
    "tolerations": list,
    "affinity": dict,
    "priorityClassName": str,
    "automountServiceAccountToken": bool,
    "enableServiceLinks": bool,
    "terminationGracePeriodSeconds": int,
    "securityContext": dict,
    "containers": list,
    "volumes": list,
}
CONTAINER_KEYS = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "args": list,
    "env": list,
    "ports": list,
    "startupProbe": dict,
    "livenessProbe": dict,
    "readinessProbe": dict,
    "lifecycle": dict,
    "resources": dict,
    "securityContext": dict,
    "volumeMounts": list,
}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_manifests_parse(path: Path) -> None:
    found = documents(path)
    assert found
    for each in found:
        version, keys = KINDS[each["kind"]]
        assert each["apiVersion"] == version
        assert keys <= each.keys() - {"apiVersion", "kind", "metadata"}
        if each["kind"] != "Kustomization":
            name = each["metadata"]["name"]
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)  # RFC 1123


def test_kustomize_has_all_but_calicos_side() -> None:
    (found,) = documents(KUBERNETES / "kustomization.yaml")
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(found["resources"]) == there
    assert CONTAINER["image"] in {each["name"] for each in found["images"]}
    assert found["namespace"] == OBJECTS["Namespace", "martlet"]["metadata"]["name"]


def test_the_shape_of_the_pod() -> None:
    for found, keys in ((POD["spec"], POD_KEYS), (CONTAINER, CONTAINER_KEYS)):
        assert {name: type(value) for name, value in found.items()} == keys
    labels = POD["metadata"]["labels"]
    deployment = OBJECTS["Deployment", "martlet"]["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        OBJECTS["PodDisruptionBudget", "martlet"]["spec"]["selector"]["matchLabels"],
        OBJECTS["Service", "martlet"]["spec"]["selector"],
        POD["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0][
            "labelSelector"
        ]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    # A port of the node: no second one beside the first.
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_nobody_is_root() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True and pod["runAsUser"] == pod["runAsGroup"] == 10179
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False and container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert f"USER {pod['runAsUser']}:{pod['runAsGroup']}" in (ROOT / "Dockerfile").read_text()


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    """Return what the container would read, with the secret at a place that is there."""
    mounted = {each["name"]: Path(each["mountPath"]) for each in CONTAINER["volumeMounts"]}
    data = OBJECTS["ConfigMap", "martlet-config"]["data"]
    path = Path(CONTAINER["args"][1])
    assert path.parent == mounted["config"] and path.name in data
    text = data[path.name]
    (named,) = re.findall(r'file = "(.*?)"', text)
    secret = OBJECTS["Secret", "martlet-bgp"]["stringData"]
    assert Path(named).parent == mounted["password"] and Path(named).name in secret
    (tmp_path / "password").write_text(secret["password"])
    (tmp_path / "password").chmod(0o440)
    for each in CONTAINER["env"]:
        monkeypatch.setenv(each["name"], "10.0.0.11")
    (tmp_path / "rr.toml").write_text(text.replace(named, str(tmp_path / "password")))
    return load(str(tmp_path / "rr.toml"))


def test_the_configuration_is_good(configuration: Configuration) -> None:
    assert configuration.warnings == ()
    assert configuration.router.router_id == int.from_bytes(bytes([10, 0, 0, 11]))
    assert configuration.router.cluster_id != configuration.router.router_id
    assert configuration.restarts


def test_probes_and_ports_are_where_the_service_answers(configuration: Configuration) -> None:
    (http,) = configuration.http.listen
    probes = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for probe, path in probes.items():
        asked = CONTAINER[probe]["httpGet"]
        assert (f"{asked['host']}:{asked['port']}", asked["path"]) == (http, path)
        assert path in (ROOT / "reflector/http/server.py").read_text()
    (port,) = CONTAINER["ports"]
    (listening,) = configuration.router.listen
    assert listening == f"0.0.0.0:{port['containerPort']}"
    assert port["hostPort"] == port["containerPort"]
    (served,) = OBJECTS["Service", "martlet"]["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (port["containerPort"], port["name"])


def test_volumes_and_their_sources_agree() -> None:
    volumes = {each["name"]: each for each in POD["spec"]["volumes"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == volumes.keys()
    assert ("ConfigMap", volumes["config"]["configMap"]["name"]) in OBJECTS
    assert ("Secret", volumes["password"]["secret"]["secretName"]) in OBJECTS
    # A mounted part of a volume would never see a change of it.
    assert not any("subPath" in each for each in CONTAINER["volumeMounts"])
    mounted = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    socket = re.search(r"REFLECTOR_SOCKET=(\S+)", (ROOT / "Dockerfile").read_text())
    assert socket is not None and str(Path(socket[1]).parent) == mounted["run"]


def test_there_is_time_to_drain_and_to_stop() -> None:
    command = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    options = entry._parser().parse_args(command[1:])
    assert (options.command, options.peer) == ("drain", None)
    granted = POD["spec"]["terminationGracePeriodSeconds"]
    assert granted >= float(options.timeout) + STOP_WITHIN + 10
    run = entry._parser().parse_args(CONTAINER["args"])
    assert run.command == "run"


def test_calico_peers_with_what_listens(configuration: Configuration) -> None:
    peers = [each["spec"] for (kind, _), each in OBJECTS.items() if kind == "BGPPeer"]
    assert len(peers) == OBJECTS["Deployment", "martlet"]["spec"]["replicas"]
    (listen_range,) = configuration.listen_ranges
    for peer in peers:
        address, _, port = peer["peerIP"].partition(":")
        assert ip_address(address) in listen_range.prefix  # reflectors are on nodes like others
        assert configuration.router.listen == (f"0.0.0.0:{port}",)
        assert peer["asNumber"] == configuration.router.asn
        secret = peer["password"]["secretKeyRef"]
        assert secret["key"] in OBJECTS["Secret", secret["name"]]["stringData"]
        assert secret["name"] in OBJECTS["Role", "martlet-bgp-password"]["rules"][0]["resourceNames"]
    assert OBJECTS["BGPConfiguration", "default"]["spec"]["asNumber"] == configuration.router.asn


# --- An identifier from the environment -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{env = "MARTLET_ID"}', None),
        ('{env = "MARTLET_NONE"}', "there is no MARTLET_NONE in the environment; set it to an IPv4 address"),
        ('{env = "MARTLET_BAD"}', "'2001:db8::1' is no identifier"),
        ("{env = 7}", "must be an IPv4 address, or say which variable has it"),
        ('{file = "/x"}', "must be an IPv4 address, or say which variable has it"),
    ],
)
def test_an_identifier_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, said: str | None
) -> None:
    monkeypatch.setenv("MARTLET_ID", "192.0.2.7")
    monkeypatch.setenv("MARTLET_BAD", "2001:db8::1")
    file = tmp_path / "rr.toml"
    file.write_text(f"[router]\nasn = 64512\nrouter_id = {written}\n")
    if said is None:
        assert load(str(file)).router.router_id == int.from_bytes(bytes([192, 0, 2, 7]))
        return
    with pytest.raises(ConfigurationError) as caught:
        load(str(file))
    (problem,) = caught.value.problems
    assert problem.line == 3 and said in f"{problem.what}; {problem.remedy}"


# --- systemd ----------------------------------------------------------------------------------------------


class Unit(RawConfigParser):
    """A unit file: names as they are written, and values of what is said twice in a line each."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#", ";"), interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(path)


@pytest.fixture
def service() -> Iterator[dict[str, str]]:
    yield dict(Unit(DEPLOY / "systemd" / "martlet.service")["Service"])


def test_the_unit_is_ours(service: dict[str, str]) -> None:
    assert service["Type"] == "notify" and float(service["WatchdogSec"]) >= 10
    for name in ("ExecStart", "ExecReload"):
        program, *arguments = shlex.split(service[name])
        assert program == "/opt/martlet/bin/reflector"
        entry._parser().parse_args(arguments)
    assert float(service["TimeoutStopSec"]) > STOP_WITHIN
    assert int(service["RestartPreventExitStatus"]) == entry.REFUSED
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    # Where the commands look for the socket of the system's service.
    assert service["RuntimeDirectory"] == "martlet"
    assert f"u {service['User']} " in (DEPLOY / "systemd" / "martlet.sysusers.conf").read_text()
    for name in ("NoNewPrivileges", "ProtectHome", "MemoryDenyWriteExecute", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Where there is no systemd the test above is all there is."""
    program = which("systemd-analyze")
    if program is None:
        return
    text = (DEPLOY / "systemd" / "martlet.service").read_text()
    # Of programs and users it wants to know that they are there.
    text = text.replace("/opt/martlet/bin/reflector", sys.executable)
    unit = tmp_path / "martlet.service"
    unit.write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.M))
    done = subprocess.run(
        [program, "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if "martlet" in line]
    assert about_us == [], about_us
