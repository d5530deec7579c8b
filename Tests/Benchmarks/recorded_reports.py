#!/usr/bin/env python3
"""Tests/Benchmarks/recorded_reports.py COUNT PROFILE REPORTS [--fleet-profile FILE]: writes a security profile of ten behaviors, and
JSON lines with recorded reports of 1,000 things, 2 KB each. The same COUNT gives the same bytes. About one report in 40 changes an alarm.
The second profile has two more behaviors, with statistical thresholds.
"""
import argparse
import json
import random

THINGS, INTERVAL, START = 1000, 300, 1795460100
TCP, UDP = [22, 53, 80, 123, 443, 1883, 5353, 8443, 8883, 9100], [53, 67, 123, 323]
NETWORKS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "127.0.0.0/8"]


def behavior(name, metric, operator, value, **criteria):
    return {"name": name, "metric": metric, "criteria": {"comparisonOperator": operator, "value": value, **criteria}}


PROFILE = {"securityProfileName": "recorded", "behaviors": [
    behavior("bytes-out", "aws:all-bytes-out", "less-than-equals", {"count": 1_900_000}, durationSeconds=600),
    behavior("bytes-in", "aws:all-bytes-in", "less-than", {"count": 2_000_000}, durationSeconds=600, consecutiveDatapointsToAlarm=2),
    behavior("packets-out", "aws:all-packets-out", "greater-than", {"count": 10}, durationSeconds=300),
    behavior("listening-tcp", "aws:num-listening-tcp-ports", "less-than-equals", {"count": 10}, durationSeconds=300),
    behavior("connections", "aws:num-established-tcp-connections", "less-than", {"count": 60}),
    behavior("tcp-ports", "aws:listening-tcp-ports", "in-port-set", {"ports": TCP}, consecutiveDatapointsToClear=2),
    behavior("udp-ports", "aws:listening-udp-ports", "not-in-port-set", {"ports": [19, 111, 161, 1900]}),
    behavior("destinations", "aws:destination-ip-addresses", "in-cidr-set", {"cidrs": NETWORKS}),
    behavior("blocked", "aws:destination-ip-addresses", "not-in-cidr-set", {"cidrs": ["203.0.113.0/24", "2001:db8:bad::/48"]}),
    behavior("load", "cpu_usage", "less-than", {"number": 95.5}, consecutiveDatapointsToAlarm=2, consecutiveDatapointsToClear=2),
]}

STATISTICAL = [
    {"name": "fleet-bytes-out", "metric": "aws:all-bytes-out", "criteria": {
        "comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p99.9"}, "durationSeconds": 600}},
    {"name": "fleet-load", "metric": "cpu_usage", "criteria": {
        "comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p99"}, "durationSeconds": 300}},
]


def ports(chosen, numbers, odd):
    numbers = numbers + [odd] if chosen.random() < 0.004 else numbers
    return {"ports": [{"interface": "eth0", "port": number} for number in numbers], "total": len(numbers)}


def remote_address(chosen):
    if chosen.random() < 0.0008:
        return f"203.0.113.{chosen.randint(1, 254)}:443"
    if chosen.random() < 0.2:
        return f"[fd12:3456:789a::{chosen.randint(1, 65535):x}]:8883"
    return f"10.{chosen.randint(0, 255)}.{chosen.randint(0, 255)}.{chosen.randint(1, 254)}:{chosen.choice([443, 8883, 5671])}"


def report(chosen, number):
    connections = [{"local_interface": "eth0", "local_port": chosen.randint(32768, 60999), "remote_addr": remote_address(chosen)}
                   for _ in range(13)]
    total = 70 if chosen.random() < 0.002 else chosen.randint(13, 59)
    sizes = {name: chosen.randint(*limits) for name, limits in {
        "bytes_in": (1000, 950_000), "bytes_out": (1000, 950_000), "packets_in": (100, 9000), "packets_out": (8, 9000)}.items()}
    return {
        "header": {"report_id": number, "version": "1.0"},
        "metrics": {
            "listening_tcp_ports": ports(chosen, TCP, 4444), "listening_udp_ports": ports(chosen, UDP, 1900),
            "network_stats": sizes,
            "tcp_connections": {"established_connections": {"connections": connections, "total": total}},
        },
        "custom_metrics": {"cpu_usage": [{"number": round(chosen.uniform(0, 100), 1)}]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", metavar="COUNT", type=int)
    parser.add_argument("profile", metavar="PROFILE")
    parser.add_argument("reports", metavar="REPORTS")
    parser.add_argument("--fleet-profile", metavar="FILE")
    options = parser.parse_args()
    chosen = random.Random(1)
    if options.fleet_profile:
        with open(options.fleet_profile, "w") as file:
            json.dump(PROFILE | {"behaviors": PROFILE["behaviors"] + STATISTICAL}, file, indent=2)
    with open(options.profile, "w") as file:
        json.dump(PROFILE, file, indent=2)
    with open(options.reports, "w") as file:
        for index in range(options.count):
            thing = index % THINGS
            seconds = START + index // THINGS * INTERVAL + thing * INTERVAL // THINGS
            wrapper = {"thing": f"pump-{thing}", "timestamp": seconds * 1000 + 250, "report": report(chosen, seconds)}
            file.write(json.dumps(wrapper, separators=(",", ":")) + "\n")


main()
