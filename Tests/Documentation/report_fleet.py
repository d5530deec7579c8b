"""A simulated fleet of pumps: its security profile, and its reports of one day, always the same ones.

Most pumps are healthy. Some open a port, talk to a foreign address, send too much for a while, or exfiltrate data to the end.
"""
import math
import random

START = 1795478400  # 2026-11-24T00:00:00Z
INTERVAL = 300
DAY = 86400 // INTERVAL

PROFILE = {
    "securityProfileName": "pumps",
    "behaviors": [
        {"name": "only-ssh-and-https", "metric": "aws:listening-tcp-ports",
         "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 443]}}},
        {"name": "private-peers", "metric": "aws:destination-ip-addresses",
         "criteria": {"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8", "fd00::/8"]}}},
        {"name": "little-traffic", "metric": "aws:all-bytes-out",
         "criteria": {"comparisonOperator": "less-than-equals", "value": {"count": 8192}, "durationSeconds": 300,
                      "consecutiveDatapointsToAlarm": 2}},
        {"name": "still-receives", "metric": "aws:all-bytes-in",
         "criteria": {"comparisonOperator": "greater-than", "value": {"count": 2000}, "durationSeconds": 600}},
        {"name": "few-connections", "metric": "aws:num-established-tcp-connections",
         "criteria": {"comparisonOperator": "less-than", "value": {"count": 40}}},
    ],
}


def numbers(members):
    return ",".join('{"port":%d}' % member for member in members)


def reports(things):
    """Yields the reports as lines of JSON, in the order of their times."""
    noise = random.Random(7)
    for step in range(DAY):
        time = START + INTERVAL * step
        for thing in range(things):
            if thing % 40 == 30 and step % 50 > 45:
                continue  # The device was off.
            sun = 3000 + 2000 * math.sin(step / DAY * 2 * math.pi - 1.5) + noise.randrange(800) + thing % 7 * 100
            out, tcp, peers = sun, [22, 443], [f"10.0.{thing % 200}.{peer}:443" for peer in range(3)]
            if thing % 20 == 10 and 120 <= step < 150:
                out += 9000
            if thing % 40 == 5 and step >= 200:
                out += 400_000
            if thing % 20 == 10 and 60 <= step < 90 + thing % 50:
                tcp.append(8080)
            if thing % 25 == 6 and step >= 180:
                tcp.append(4444)
            if thing % 20 == 2 and step % 40 < 6:
                peers.append(f"203.0.113.{thing % 250}:443")
            if thing % 40 == 30 and step > 150:
                peers.append("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:8443")
            connections = ",".join('{"remote_addr":"%s"}' % peer for peer in peers)
            yield (
                f'{{"thing":"pump-{thing:04}","report":{{"header":{{"report_id":{time + thing % 60},"version":"1.0"}},"metrics":{{'
                f'"listening_tcp_ports":{{"ports":[{numbers(tcp)}],"total":{len(tcp)}}},'
                f'"listening_udp_ports":{{"ports":[{numbers([68] if step % 96 else [])}],"total":{1 if step % 96 else 0}}},'
                f'"network_stats":{{"bytes_in":{int(sun * 3)},"bytes_out":{int(out)},"packets_in":{int(sun / 50)},"packets_out":{int(out / 60)}}},'
                f'"tcp_connections":{{"established_connections":{{"connections":[{connections}],"total":{len(peers)}}}}}}}}}}}\n')
