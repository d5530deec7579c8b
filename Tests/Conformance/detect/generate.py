"""Generates security profiles and streams of reports from a seed.

The values are close to the thresholds, so that behaviors are violated, recover, and are violated again.
"""
import random

import profiles
import reports

START = 1795460000
DAY = 24 * 3600
V4 = ["10.0.0.1", "10.1.2.3", "10.255.255.255", "11.0.0.0", "172.16.5.9", "192.0.2.7", "198.51.100.200", "0.0.0.0", "255.255.255.255"]
V6 = ["fd00::1", "fd12:3456::9", "2001:db8::1", "2001:db8:0:1::", "fe80::1:2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
MAPPED = ["::ffff:10.0.0.1", "::ffff:192.0.2.7"]
CIDRS = ["10.0.0.0/8", "10.0.0.0/31", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/24", "172.16.0.0/12", "255.255.255.255/32",
         "fd00::/8", "2001:db8::/32", "2001:db8::1/128", "::/0", "fe80::/10", "10.1.0.0/16", "192.0.2.0/25"]
PORTS = [0, 22, 53, 80, 443, 8080, 65535]
STRINGS = ["", "a", "b", "ä", "z", "Z", "/var/log", "a b", "\u00ff", "y\u0308", "\u00e4b", "a\u0308", "𝄞", "quote\"d"]
NUMBERS = [-1.5, -1, 0, 0.1, 0.25, 1, 2, 1e10, 1e-3]
SCALES = [3, 1000, 10**15]
# A custom metric for each kind of value.
CUSTOM = {"load": "number", "disk:var": "number", "sizes": "number_list", "users": "string_list", "resolvers": "ip_list"}


class Generator:
    """Generates one trial: profiles, reports, and how the reports are written."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.scale = self.random.choice(SCALES)

    def chance(self, probability):
        return self.random.random() < probability

    def some(self, members, most=None):
        return self.random.choices(members, k=self.random.randint(1, most or len(members)))

    # Profiles

    def profiles(self):
        return [self.profile(f"profile-{number}") for number in range(self.random.choice([1, 1, 1, 2, 3]))]

    def profile(self, name):
        behaviors = [self.behavior(f"{self.random.choice('abc')}:{number}") for number in range(self.random.randint(1, 8))]
        profile = {"securityProfileName": name, "behaviors": behaviors}
        if self.chance(0.3):
            profile["securityProfileDescription"] = "A profile with 100 % of the printable characters !\"§$~."[:self.random.randint(1, 54)]
            profile["securityProfileDescription"] = profile["securityProfileDescription"].replace("§", "#")
        if self.chance(0.2):
            role = "arn:aws:iam::123456789012:role/alerts"
            profile["alertTargets"] = {"SNS": {"alertTargetArn": "arn:aws:sns:eu-central-1:123456789012:alerts", "roleArn": role}}
        if self.chance(0.2):
            profile["additionalMetricsToRetainV2"] = [{"metric": "aws:all-bytes-in", "exportMetric": True}]
            profile["metricsExportConfig"] = {"mqttTopic": "exported/metrics", "roleArn": "arn:aws:iam::123456789012:role/exports"}
        return profile

    def behavior(self, name):
        kind = self.random.choice(["traffic", "traffic", "listening", "connections", "ports", "addresses", "custom"])
        behavior = {"name": name, **getattr(self, f"{kind}_behavior")()}
        criteria = behavior["criteria"]
        if self.chance(0.5):
            criteria["consecutiveDatapointsToAlarm"] = self.random.choice([1, 2, 2, 3, 4])
        if self.chance(0.5):
            criteria["consecutiveDatapointsToClear"] = self.random.choice([1, 2, 2, 3, 4])
        if self.chance(0.1):
            behavior["suppressAlerts"] = self.chance(0.5)
        if self.chance(0.1):
            behavior["exportMetric"] = self.chance(0.5)
        return behavior

    def order(self):
        return self.random.choice(sorted(profiles.ORDER))

    def duration(self):
        return self.random.choice([300, 300, 600, 900, 1800, 3600])

    def traffic_behavior(self):
        bound = self.random.choice([self.scale, 2 * self.scale, 3 * self.scale, 0, 1])
        return {"metric": self.random.choice(profiles.TRAFFIC),
                "criteria": {"comparisonOperator": self.order(), "value": {"count": bound}, "durationSeconds": self.duration()}}

    def listening_behavior(self):
        return {"metric": self.random.choice(profiles.LISTENING), "criteria": {
            "comparisonOperator": self.order(), "value": {"count": self.random.randint(0, 4)}, "durationSeconds": self.duration()}}

    def connections_behavior(self):
        criteria = {"comparisonOperator": self.order(), "value": {"count": self.random.randint(0, 4)}}
        if self.chance(0.5):
            criteria["durationSeconds"] = self.duration()
        return {"metric": profiles.CONNECTIONS, "criteria": criteria}

    def ports_behavior(self):
        return {"metric": self.random.choice(profiles.PORTS), "criteria": {
            "comparisonOperator": self.random.choice(sorted(profiles.PORT_SETS)), "value": {"ports": self.some(PORTS)}}}

    def addresses_behavior(self):
        return {"metric": profiles.ADDRESSES, "criteria": self.cidr_criteria()}

    def cidr_criteria(self):
        return {"comparisonOperator": self.random.choice(sorted(profiles.CIDR_SETS)), "value": {"cidrs": self.some(CIDRS, 6)}}

    def custom_behavior(self):
        name, kind = self.random.choice(sorted(CUSTOM.items()))
        if kind == "ip_list":
            return {"metric": name, "criteria": self.cidr_criteria()}
        if kind == "number":
            criteria = {"comparisonOperator": self.order(), "value": {"number": self.random.choice(NUMBERS)}}
            if self.chance(0.5):
                criteria["durationSeconds"] = self.duration()
            return {"metric": name, "criteria": criteria}
        value = {"numbers": self.some(NUMBERS)} if kind == "number_list" else {"strings": self.some(STRINGS)}
        return {"metric": name, "criteria": {"comparisonOperator": self.random.choice(sorted(profiles.SETS)), "value": value}}

    # Reports

    def documents(self):
        """Returns the parsed documents of a stream, in order."""
        things = self.random.choice([[None], ["pump-7"], ["a", "b:c", "d_e-f"], ["a", None]])
        has_times, seconds, documents, numbers = self.chance(0.5), START + self.random.randint(0, 3600), [], {}
        for _ in range(self.random.randint(3, 50)):
            seconds += self.step()
            thing = self.random.choice(things)
            previous = numbers.get(thing, 0)
            number = previous + self.random.randint(1, 3) if has_times else seconds
            if previous and self.chance(0.1):
                number = self.random.choice([previous, previous - 1])  # a duplicate, or an older one
            numbers[thing] = max(number, previous)
            report = self.report(number)
            documents.append(self.wrapped(report, thing, seconds * 1000 + self.random.choice([0, 0, 1, 999]) if has_times else None))
        return documents

    def step(self):
        rare = [DAY, 2 * DAY, 2 * DAY + 1, 2 * DAY - 1, 3 * DAY, 3599, 3600]
        return self.random.choice(rare) if self.chance(0.08) else self.random.choice([1, 10, 60, 150, 299, 300, 301, 600])

    def wrapped(self, report, thing, time_ms):
        if thing is None and time_ms is None and self.chance(0.7):
            return report
        wrapper = {"thing": thing, "timestamp": time_ms, "report": report}
        members = [member for member in wrapper.items() if member[1] is not None]
        self.random.shuffle(members)
        return dict(members)

    def report(self, number):
        document = {"header": {"report_id": number, "version": "1.0"}}
        blocks = {"listening_tcp_ports": self.ports, "listening_udp_ports": self.ports, "network_stats": self.traffic,
                  "tcp_connections": self.connections}
        document["metrics"] = {name: make() for name, make in blocks.items() if self.chance(0.8)}
        custom = {name: [self.custom_value(kind)] for name, kind in CUSTOM.items() if self.chance(0.6)}
        if custom:
            document["custom_metrics"] = custom
        return reports.renamed(document, reports.SHORT_OF_LONG) if self.chance(0.4) else document

    def entries(self, members):
        """Returns entries of a list: often a few, sometimes none, rarely more than fit in an event."""
        if self.chance(0.2):
            return []
        return self.some(members, 4)

    def ports(self):
        found = self.entries(PORTS)
        if self.chance(0.05):
            found = self.random.sample(range(1, 65536), 80)
        entries = [{"port": port, **({"interface": self.random.choice(["lo", "eth0"])} if self.chance(0.5) else {})} for port in found]
        # A long list is a sample: the total may be larger.
        return {"ports": entries, "total": len(entries) + (self.random.randint(1, 9) if self.chance(0.1) else 0)}

    def traffic(self):
        return {name: self.random.choice([0, 1, self.scale // 2, self.scale, self.scale + 1, 2 * self.scale])
                for name in reports.TRAFFIC.values()}

    def remote_address(self):
        text = self.random.choice(V4 + V6 + MAPPED)
        return f"[{text}]:443" if ":" in text else f"{text}:{self.random.randint(1, 65535)}"

    def connections(self):
        count = self.random.choice([0, 1, 1, 2, 3, 4])
        found = [self.remote_address() for _ in range(count)]
        if self.chance(0.05):
            found += [f"203.0.{self.random.randint(0, 255)}.{self.random.randint(0, 255)}:1" for _ in range(70)]
        entries = [{"remote_addr": text, "local_port": 40000, "local_interface": "eth0"} for text in found]
        return {"established_connections": {"connections": entries, "total": len(entries)}}

    def custom_value(self, kind):
        if kind == "number" and self.chance(0.05):
            kind = "string_list"  # the behavior expects another type
        return {kind: {
            "number": lambda: self.random.choice(NUMBERS), "number_list": lambda: self.entries(NUMBERS),
            "string_list": lambda: self.entries(STRINGS), "ip_list": lambda: self.entries(V4 + V6 + MAPPED),
        }[kind]()}

    # Input files

    def chunks(self, members):
        """Cuts a list at random places into one to five lists, which may be empty."""
        places = sorted(self.random.randint(0, len(members)) for _ in range(self.random.randint(0, 4)))
        return [members[start:end] for start, end in zip([0, *places], [*places, len(members)])]

    def encoding(self):
        return self.random.choice(["lines", "lines", "pretty", "array", "cbor"])

    def spelling(self):
        return self.random.choice(["api", "cli", "cloudformation"])
