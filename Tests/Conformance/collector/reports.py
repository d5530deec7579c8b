"""Reads the reports of `defender collect`, validates them, and gets the same sockets from psutil."""

import collections
import ipaddress
import json
import os
import pathlib
import socket
import subprocess

import cbor2
import jsonschema
import psutil

DEFENDER = os.environ["DEFENDER"]
SCHEMA = json.loads((pathlib.Path(__file__).parent / "report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
LONG_NAMES = {
    "hed": "header", "met": "metrics", "cmet": "custom_metrics", "rid": "report_id", "v": "version",
    "tc": "tcp_connections", "ec": "established_connections", "cs": "connections", "rad": "remote_addr",
    "lp": "local_port", "li": "local_interface", "t": "total", "tp": "listening_tcp_ports",
    "up": "listening_udp_ports", "pts": "ports", "pt": "port", "if": "interface", "ns": "network_stats",
    "bi": "bytes_in", "bo": "bytes_out", "pi": "packets_in", "po": "packets_out",
}  # fmt: skip


def collect(*arguments):
    """Runs `defender collect` and returns its standard output as bytes."""
    command = [DEFENDER, "collect", *arguments]
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120).stdout


def json_reports(*arguments):
    """Returns reports in JSON, one per line."""
    return [json.loads(line, object_pairs_hook=unique) for line in collect("--compact", *arguments).splitlines()]


def cbor_reports(path, *arguments):
    """Returns reports in a CBOR sequence (RFC 8742)."""
    collect("--format", "cbor", "--output", str(path), *arguments)
    reports = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while file.tell() < size:
            reports.append(cbor2.load(file))
    return reports


def unique(pairs):
    document = dict(pairs)
    assert len(document) == len(pairs), f"duplicate name in {pairs}"
    return document


def problems(report):
    """Returns the schema's errors for a report."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(report)]


def long(value):
    """Returns the report with long names."""
    if isinstance(value, dict):
        return {LONG_NAMES.get(key, key): long(item) for key, item in value.items()}
    return [long(item) for item in value] if isinstance(value, list) else value


Sockets = collections.namedtuple("Sockets", "connections tcp_ports udp_ports")


def reported(report):
    """Returns the number of each socket in a report with long names."""
    metrics = report["metrics"]
    established = metrics["tcp_connections"]["established_connections"]
    lists = [
        [(item["remote_addr"], item["local_port"], item.get("local_interface")) for item in established["connections"]]
    ]
    totals = [established["total"]]
    for name in ("listening_tcp_ports", "listening_udp_ports"):
        lists.append([(item["port"], item.get("interface")) for item in metrics[name]["ports"]])
        totals.append(metrics[name]["total"])
    assert totals == [len(items) for items in lists], f"the totals {totals} don't match the lists {[len(items) for items in lists]}"
    return Sockets(*map(collections.Counter, lists))


def counted():
    """Returns the sockets that psutil finds."""
    interfaces = Interfaces()
    connections, tcp_ports, udp_ports = [], [], []
    for item in psutil.net_connections("inet"):
        if item.type == socket.SOCK_DGRAM:
            udp_ports.append((item.laddr.port, interfaces.listening(item.laddr.ip)))
        elif item.status == psutil.CONN_LISTEN:
            tcp_ports.append((item.laddr.port, interfaces.listening(item.laddr.ip)))
        elif item.status == psutil.CONN_ESTABLISHED:
            host = f"[{item.raddr.ip}]" if ":" in item.raddr.ip else item.raddr.ip
            connections.append(
                (f"{host}:{item.raddr.port}", item.laddr.port, interfaces.name(item.laddr.ip)))
    return Sockets(*map(collections.Counter, (connections, tcp_ports, udp_ports)))


class Interfaces:
    """Returns interface names by address, including those that psutil doesn't resolve: 127/8 and mapped addresses."""

    def __init__(self):
        self.names = {}
        for name, addresses in psutil.net_if_addrs().items():
            for address in addresses:
                if address.family in (socket.AF_INET, socket.AF_INET6):
                    self.names[ipaddress.ip_address(address.address.split("%")[0])] = name

    def listening(self, text):
        """Returns the interface of an address. A wildcard address is returned unchanged, as in the Python agent."""
        return text if text in ("0.0.0.0", "::") else self.name(text)

    def name(self, text):
        address = ipaddress.ip_address(text)
        address = getattr(address, "ipv4_mapped", None) or address
        if address.version == 4 and address.is_loopback:
            return "lo"
        return self.names.get(address)
