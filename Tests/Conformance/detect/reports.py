"""Reads and writes reports: JSON and CBOR, long and short names, with and without the wrapper that names the thing and the time."""
import dataclasses
import json

LONG_OF_SHORT = {
    "hed": "header", "rid": "report_id", "v": "version", "met": "metrics", "cmet": "custom_metrics",
    "tp": "listening_tcp_ports", "up": "listening_udp_ports", "pts": "ports", "pt": "port", "if": "interface", "t": "total",
    "ns": "network_stats", "bi": "bytes_in", "bo": "bytes_out", "pi": "packets_in", "po": "packets_out",
    "tc": "tcp_connections", "ec": "established_connections", "cs": "connections",
    "li": "local_interface", "lp": "local_port", "rad": "remote_addr",
}
SHORT_OF_LONG = {long: short for short, long in LONG_OF_SHORT.items()}
TRAFFIC = {"aws:all-bytes-in": "bytes_in", "aws:all-bytes-out": "bytes_out",
           "aws:all-packets-in": "packets_in", "aws:all-packets-out": "packets_out"}
# The kinds of a custom metric's values in a report, and as criteria name them.
CUSTOM = {"number": "number", "number_list": "numbers", "string_list": "strings", "ip_list": "cidrs"}


@dataclasses.dataclass
class Report:
    """What an evaluator needs of a report. `metrics` maps a metric to the kind and the value of its datapoint."""
    thing: str
    id: int
    time_ms: int
    metrics: dict


def renamed(document, names):
    """Returns a document with its keys renamed. The names of custom metrics, which are the user's, stay."""
    if isinstance(document, list):
        return [renamed(member, names) for member in document]
    if not isinstance(document, dict):
        return document
    return {names.get(key, key): value if names.get(key, key) in ("custom_metrics", "cmet") else renamed(value, names)
            for key, value in document.items()}


def without_port(remote_address):
    host, _, _ = remote_address.rpartition(":")
    return host.removeprefix("[").removesuffix("]")


def metrics_of(document):
    """Returns the datapoints of a report with long names."""
    found = {}
    blocks = document.get("metrics", {})
    for protocol in ("tcp", "udp"):
        block = blocks.get(f"listening_{protocol}_ports")
        if block is not None:
            found[f"aws:num-listening-{protocol}-ports"] = "count", block["total"]
            found[f"aws:listening-{protocol}-ports"] = "ports", [entry["port"] for entry in block["ports"]]
    if "network_stats" in blocks:
        for metric, name in TRAFFIC.items():
            if name in blocks["network_stats"]:
                found[metric] = "count", blocks["network_stats"][name]
    block = blocks.get("tcp_connections", {}).get("established_connections")
    if block is not None:
        found["aws:num-established-tcp-connections"] = "count", block["total"]
        found["aws:destination-ip-addresses"] = "cidrs", [without_port(entry["remote_addr"]) for entry in block["connections"]]
    for name, (value,) in document.get("custom_metrics", {}).items():
        ((kind, content),) = value.items()
        found[name] = CUSTOM[kind], content
    return found


def read(document, thing=None):
    """Returns the report in a parsed document. `thing` is the name that the command line gives."""
    wrapper = document if "report" in document else {"report": document}
    report = renamed(wrapper["report"], LONG_OF_SHORT)
    number = report["header"]["report_id"]
    return Report(thing or wrapper.get("thing", "local"), number, wrapper.get("timestamp", number * 1000), metrics_of(report))


def write(documents, encoding):
    """Returns documents as bytes: `lines`, `pretty`, `array` or `cbor`."""
    if encoding == "cbor":
        import cbor2
        return b"".join(map(cbor2.dumps, documents))
    if encoding == "array":
        return json.dumps(documents, indent=2, ensure_ascii=False).encode()
    indent = 2 if encoding == "pretty" else None
    return "".join(json.dumps(document, indent=indent, ensure_ascii=False) + "\n" for document in documents).encode()
