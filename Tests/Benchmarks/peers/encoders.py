"""Prints the time to encode a report of 50 + 50 + 50 entries with Python's json and cbor2, in microseconds, as a line of JSON."""
import json
import time

import cbor2

ROUNDS, REPETITIONS = 11, 50
ports = [{"interface": "0.0.0.0" if index % 2 == 0 else "eth0", "port": 1000 + index * 977} for index in range(50)]
connections = [
    {"local_interface": "eth0", "local_port": 1000 + index * 977, "remote_addr": f"203.0.113.{index}:{443 + index}"}
    for index in range(50)]
report = {
    "header": {"report_id": 1530304554, "version": "1.0"},
    "metrics": {
        "listening_tcp_ports": {"ports": ports, "total": 100},
        "listening_udp_ports": {"ports": ports, "total": 100},
        "network_stats": {"bytes_in": 123456789, "bytes_out": 98765432, "packets_in": 1234567, "packets_out": 765432},
        "tcp_connections": {"established_connections": {"connections": connections, "total": 100}},
    },
}


def microseconds(encode):
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(REPETITIONS):
            encode(report)
        times.append((time.process_time_ns() - start) / REPETITIONS / 1000)
    return sorted(times)[ROUNDS // 2]


print(json.dumps({"json": microseconds(lambda value: json.dumps(value).encode()), "cbor": microseconds(cbor2.dumps)}))
