"""Simulates recorded reports of healthy devices, and of devices under attack."""
import random

import reports

START, INTERVAL = 1795460100, 300


class Fleet:
    """Devices of one kind. `reports` generates what they record, interval by interval."""

    def __init__(self, things, seed=1):
        self.random = random.Random(seed)
        self.names = [f"pump-{number}" for number in range(things)]
        self.order = {name: number for number, name in enumerate(self.names)}

    def healthy(self, step):
        """Returns the metrics of one healthy interval."""
        bytes_out = self.random.randint(20_000, 80_000)
        peers = [f"10.1.{self.random.randint(0, 3)}.{self.random.randint(1, 254)}" for _ in range(self.random.randint(1, 4))]
        if self.random.random() < 0.3:
            peers.append(f"2001:db8::{self.random.randint(1, 99)}")
        return {"tcp": [22, 443], "udp": [123], "peers": peers, "connections": len(peers),
                "bytes_in": bytes_out // 2, "bytes_out": bytes_out, "packets_in": bytes_out // 500, "packets_out": bytes_out // 500,
                "temperature": 40 + self.random.random() * 5, "users": ["root", "pump"], "codes": [0, self.random.choice([1, 2])]}

    def document(self, name, step, values):
        """Returns a report in its wrapper. A negative count of traffic means that the counters were reset: the block is missing."""
        second = START + step * INTERVAL + self.order[name] * INTERVAL // len(self.names)

        def ports(numbers):
            return {"ports": [{"port": number} for number in numbers], "total": len(numbers)}

        found = [{"remote_addr": f"[{peer}]:443" if ":" in peer else f"{peer}:443", "local_port": 40000} for peer in values["peers"]]
        metrics = {"listening_tcp_ports": ports(values["tcp"]), "listening_udp_ports": ports(values["udp"]),
                   "tcp_connections": {"established_connections": {"connections": found[:50], "total": values["connections"]}}}
        if values["bytes_out"] >= 0:
            metrics["network_stats"] = {name: values[name] for name in ("bytes_in", "bytes_out", "packets_in", "packets_out")}
        custom = {"temperature": [{"number": values["temperature"]}], "users": [{"string_list": values["users"]}],
                  "codes": [{"number_list": values["codes"]}], "resolvers": [{"ip_list": ["10.1.0.1"]}]}
        report = {"header": {"report_id": second, "version": "1.0"}, "metrics": metrics, "custom_metrics": custom}
        return {"thing": name, "timestamp": second * 1000, "report": report}

    def recording(self, steps, first=0, change=None, gaps=0.0, restarts=0.0, most=None):
        """Returns the documents of `steps` intervals, of at most `most` devices. `change` alters the values of the first device."""
        documents = []
        for step in range(first, first + steps):
            for name in self.names[:most]:
                values = self.healthy(step)
                if self.random.random() < gaps:
                    continue
                if self.random.random() < restarts:
                    values["bytes_out"] = -1
                if change and name == self.names[0]:
                    change(step, values)
                documents.append(self.document(name, step, values))
        return documents


def new_listening_port(step, values):
    values["tcp"] = values["tcp"] + [4444]


def new_destination(step, values):
    values["peers"] = values["peers"] + ["203.0.113.9"]


def burst(step, values):
    """In one interval, the device sends much data to an allowed network."""
    if step % 12 == 6:
        values["bytes_out"] += 1_000_000


def slow(step, values):
    """In each interval, the device sends a little more, which stays below the bound of a short window."""
    values["bytes_out"] = 50_000 + 60_000


def port_scan(step, values):
    """The device opens connections to many ports of its own network."""
    values["packets_out"] += 20_000
    values["connections"] += 400


ATTACKS = {
    "listening-tcp-ports": new_listening_port, "destinations": new_destination, "bytes-out-600s": burst,
    "bytes-out-3600s": slow, "packets-out-600s": port_scan, "num-established-tcp-connections": port_scan,
}


def written(documents, encoding, damage=0.0, seed=1):
    """Returns documents as bytes. Damages some of the lines."""
    if not damage:
        return reports.write(documents, encoding)
    chosen = random.Random(seed)
    lines = reports.write(documents, "lines").splitlines(keepends=True)
    return b"".join(line[:chosen.randint(1, len(line) - 2)] + b"\n" if chosen.random() < damage else line for line in lines)
