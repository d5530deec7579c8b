"""The worked examples of docs/detect.md, and one test for each row of its table."""
import unittest

import model
import naive
import reports
from product import Workspace, events_of

TIME = 1795460100  # a multiple of 300


def report(number=TIME, **blocks):
    custom = blocks.pop("custom", None)
    document = {"header": {"report_id": number, "version": "1.0"}, "metrics": blocks}
    return document | ({"custom_metrics": {name: [value] for name, value in custom.items()}} if custom else {})


def at(number, document):
    """Returns a report with another report_id."""
    return document | {"header": {"report_id": number, "version": "1.0"}}


def ports(*numbers, total=None):
    return {"ports": [{"interface": "lo", "port": number} for number in numbers], "total": len(numbers) if total is None else total}


def connections(*addresses, total=None):
    found = [{"local_interface": "eth0", "local_port": 40000, "remote_addr": text} for text in addresses]
    return {"established_connections": {"connections": found, "total": len(found) if total is None else total}}


def traffic(amount):
    return {"bytes_in": amount, "bytes_out": amount, "packets_in": amount, "packets_out": amount}


def profile(metric, operator, value, **criteria):
    return {"securityProfileName": "example", "behaviors": [
        {"name": "one", "metric": metric, "criteria": {"comparisonOperator": operator, "value": value, **criteria}}]}


class Examples(unittest.TestCase):
    maxDiff = None

    def shown(self, chosen, documents, **options):
        """Returns type, seconds after TIME and metricValue of the events. Checks each against AWS's model."""
        self.assertEqual([], model.profile_problems(chosen))
        events = events_of(chosen, documents, **options)
        for event in events:
            self.assertEqual([], model.event_problems(event))
        return [(event["violationEventType"], event["violationEventTime"] - TIME, event.get("metricValue")) for event in events]

    def alarm_and_clear(self, chosen, violating, conforming, value, cleared):
        """Checks that one datapoint raises an alarm and that another one, a day later, clears it, in both orders."""
        documents = [at(TIME, violating), at(TIME + 86400, conforming), at(TIME + 2 * 86400, violating)]
        criteria = chosen["behaviors"][0]["criteria"]
        if "durationSeconds" in criteria:
            # Reports without a metric close the windows. A sum over an upper bound is a violation at once.
            documents = [one for document in documents
                         for one in (document, report(document["header"]["report_id"] + criteria["durationSeconds"]))]
        events = self.shown(chosen, documents)
        self.assertEqual(["in-alarm", "alarm-cleared", "in-alarm"], [event[0] for event in events])
        self.assertEqual([value, cleared, value], [event[2] for event in events])

    def test_a_port_outside_the_set_raises_an_alarm_and_its_absence_clears_it(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [22, 443]})
        documents = [report(TIME, listening_tcp_ports=ports(22, 8080)), report(TIME + 300, listening_tcp_ports=ports(443)),
                     report(TIME + 600, listening_tcp_ports=ports())]
        self.assertEqual([("in-alarm", 0, {"ports": [8080]}), ("alarm-cleared", 300, {"ports": [443]})], self.shown(chosen, documents))

    def test_an_empty_list_clears_an_alarm(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [22]})
        documents = [report(TIME, listening_tcp_ports=ports(80)), report(TIME + 1, listening_tcp_ports=ports())]
        self.assertEqual([("in-alarm", 0, {"ports": [80]}), ("alarm-cleared", 1, {"ports": []})], self.shown(chosen, documents))

    def test_two_windows_over_the_limit_raise_an_alarm_and_one_below_clears_it(self):
        chosen = profile("aws:all-bytes-out", "less-than-equals", {"count": 4096}, durationSeconds=300,
                         consecutiveDatapointsToAlarm=2, consecutiveDatapointsToClear=1)
        documents = [report(TIME + 300 * index, network_stats=traffic(amount))
                     for index, amount in enumerate([4000, 5000, 6000, 100, 50])]
        expected = [("in-alarm", 600, {"count": 6000}), ("alarm-cleared", 1200, {"count": 100})]
        self.assertEqual(expected, self.shown(chosen, documents))
        by_another = documents[:4] + [report(TIME + 1200)]
        self.assertEqual(expected, self.shown(chosen, by_another), "a report without the metric closes a window, too")

    def test_one_report_from_the_future_does_not_stop_the_windows_of_its_thing(self):
        chosen = profile("aws:all-bytes-out", "less-than-equals", {"count": 4096}, durationSeconds=300)
        seconds = [0, 10**8, 300, 0, 600, 900]
        documents = [{"timestamp": (TIME + second) * 1000, "report": report(TIME + index, network_stats=traffic(amount))}
                     for index, (second, amount) in enumerate(zip(seconds, [1, 1, 5000, 9000, 2, 2]))]
        expected = [("in-alarm", 300, {"count": 5000}), ("alarm-cleared", 900, {"count": 2})]
        self.assertEqual(expected, self.shown(chosen, documents), "the fourth report is one window late, and is ignored")
        events = naive.Evaluator([chosen]).evaluate_all(map(reports.read, documents))
        self.assertEqual(expected, [(event["type"], event["time"] - TIME, event["value"]) for event in events])

    def test_strings_are_compared_byte_by_byte(self):
        chosen = profile("users", "in-set", {"strings": ["\u00e9"]})
        documents = [report(custom={"users": {"string_list": ["\u00e9", "e\u0301"]}})]
        self.assertEqual([("in-alarm", 0, {"strings": ["e\u0301"]})], self.shown(chosen, documents))

    def test_destinations_are_compared_with_networks_of_their_family(self):
        chosen = profile("aws:destination-ip-addresses", "in-cidr-set", {"cidrs": ["10.0.0.0/8", "fd00::/8"]})
        documents = [report(TIME, tcp_connections=connections("10.1.2.3:443", "[fd00::5]:1")),
                     report(TIME + 1, tcp_connections=connections("[2001:db8::1]:443", "192.0.2.1:1", "10.1.2.3:443")),
                     report(TIME + 2, tcp_connections=connections("[::ffff:10.0.0.1]:1"))]
        self.assertEqual([("in-alarm", 1, {"cidrs": ["192.0.2.1", "2001:db8::1"]}), ("alarm-cleared", 2, {"cidrs": ["10.0.0.1"]})],
                         self.shown(chosen, documents))

    def test_an_alarm_ends_after_more_than_two_days_without_the_metric(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [22]})
        days = 2 * 86400
        documents = [report(TIME, listening_tcp_ports=ports(80)), report(TIME + days), report(TIME + days + 1),
                     report(TIME + days + 2, listening_tcp_ports=ports(80))]
        events = [event[:2] for event in self.shown(chosen, documents)]
        self.assertEqual([("in-alarm", 0), ("alarm-invalidated", days + 1), ("in-alarm", days + 2)], events)

    def test_row_traffic(self):
        for direction in ("bytes-in", "bytes-out", "packets-in", "packets-out"):
            for duration in (300, 600, 900, 1800, 3600):
                chosen = profile(f"aws:all-{direction}", "less-than", {"count": 100}, durationSeconds=duration)
                self.alarm_and_clear(chosen, report(network_stats=traffic(100)), report(network_stats=traffic(99)),
                                     {"count": 100}, {"count": 99})

    def test_row_listening_counts(self):
        for protocol in ("tcp", "udp"):
            chosen = profile(f"aws:num-listening-{protocol}-ports", "greater-than", {"count": 2}, durationSeconds=300)
            block = f"listening_{protocol}_ports"
            self.alarm_and_clear(chosen, report(**{block: ports(1, 2)}), report(**{block: ports(1, 2, total=3)}),
                                 {"count": 2}, {"count": 3})

    def test_row_established_connections(self):
        for criteria in ({}, {"durationSeconds": 900}):
            chosen = profile("aws:num-established-tcp-connections", "greater-than-equals", {"count": 2}, **criteria)
            self.alarm_and_clear(chosen, report(tcp_connections=connections("192.0.2.1:1")),
                                 report(tcp_connections=connections("192.0.2.1:1", total=2)), {"count": 1}, {"count": 2})

    def test_row_listening_ports(self):
        for protocol in ("tcp", "udp"):
            block = f"listening_{protocol}_ports"
            chosen = profile(f"aws:listening-{protocol}-ports", "not-in-port-set", {"ports": [23, 21, 23]})
            self.alarm_and_clear(chosen, report(**{block: ports(80, 23, 22, 21, 23)}), report(**{block: ports(80, 22)}),
                                 {"ports": [21, 23]}, {"ports": [22, 80]})

    def test_row_destinations(self):
        chosen = profile("aws:destination-ip-addresses", "not-in-cidr-set", {"cidrs": ["192.0.2.0/24", "2001:db8::/32"]})
        self.alarm_and_clear(
            chosen, report(tcp_connections=connections("[2001:db8::1]:443", "10.0.0.1:1", "192.0.2.10:1", "192.0.2.9:1")),
            report(tcp_connections=connections("10.0.0.1:1")), {"cidrs": ["192.0.2.9", "192.0.2.10", "2001:db8::1"]},
            {"cidrs": ["10.0.0.1"]})

    def test_row_custom_number(self):
        for criteria in ({}, {"durationSeconds": 1800}):
            chosen = profile("load", "less-than-equals", {"number": 0.75}, **criteria)
            self.alarm_and_clear(chosen, report(custom={"load": {"number": 0.76}}), report(custom={"load": {"number": 0.75}}),
                                 {"number": 0.76}, {"number": 0.75})

    def test_row_custom_lists(self):
        rows = [
            ("number_list", "in-set", {"numbers": [1, 2.5]}, [2.5, 4, -3], [2.5, 1], {"numbers": [-3, 4]}, {"numbers": [1, 2.5]}),
            ("number_list", "not-in-set", {"numbers": [1, 2]}, [2, 3], [3], {"numbers": [2]}, {"numbers": [3]}),
            ("string_list", "in-set", {"strings": ["root"]}, ["root", "ä", "eve"], ["root"], {"strings": ["eve", "ä"]},
             {"strings": ["root"]}),
            ("string_list", "not-in-set", {"strings": ["eve"]}, ["root", "eve"], ["root"], {"strings": ["eve"]}, {"strings": ["root"]}),
            ("ip_list", "in-cidr-set", {"cidrs": ["fd00::/8"]}, ["fd00::1", "192.0.2.1"], ["fd00::1"], {"cidrs": ["192.0.2.1"]},
             {"cidrs": ["fd00::1"]}),
            ("ip_list", "not-in-cidr-set", {"cidrs": ["0.0.0.0/0"]}, ["fd00::1", "::ffff:192.0.2.1"], ["fd00::1"],
             {"cidrs": ["192.0.2.1"]}, {"cidrs": ["fd00::1"]}),
        ]
        for kind, operator, value, violating, conforming, shown, cleared in rows:
            with self.subTest(kind, operator=operator):
                self.alarm_and_clear(profile("members", operator, value), report(custom={"members": {kind: violating}}),
                                     report(custom={"members": {kind: conforming}}), shown, cleared)

    def test_at_most_fifty_offenders_are_listed(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [1]})
        (event,) = self.shown(chosen, [report(TIME, listening_tcp_ports=ports(*range(1000, 0, -1)))])
        self.assertEqual({"ports": list(range(2, 52))}, event[2])

    def test_the_thing_is_named_by_the_option_or_the_wrapper(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [1]})
        bare, wrapped = report(TIME, listening_tcp_ports=ports(2)), {"thing": "w", "report": report(TIME, listening_tcp_ports=ports(2))}
        self.assertEqual(["local"], [event["thingName"] for event in events_of(chosen, [bare])])
        self.assertEqual(["w"], [event["thingName"] for event in events_of(chosen, [wrapped])])
        self.assertEqual(["given"], [event["thingName"] for event in events_of(chosen, [bare], "--thing", "given")])

    def test_an_alarm_sets_the_exit_status_only_if_it_is_requested(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [1]})
        bad, good = report(TIME, listening_tcp_ports=ports(2)), report(TIME, listening_tcp_ports=ports(1))
        self.assertEqual(1, len(events_of(chosen, [bad], status=0)))
        self.assertEqual(1, len(events_of(chosen, [bad], "--fail-on-alarm", status=3)))
        self.assertEqual([], events_of(chosen, [good], "--fail-on-alarm", status=0))

    def test_a_changed_or_removed_behavior_invalidates_its_alarm(self):
        chosen = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [1]})
        changed = profile("aws:listening-tcp-ports", "in-port-set", {"ports": [1, 3]})
        removed = profile("aws:listening-udp-ports", "in-port-set", {"ports": [1]})
        removed["behaviors"][0]["name"] = "two"
        first, second = report(TIME, listening_tcp_ports=ports(2)), report(TIME + 300, listening_tcp_ports=ports(1))
        for name, after in (("the same", chosen), ("changed", changed), ("removed", removed)):
            with self.subTest(name), Workspace() as workspace:
                old, new = workspace.file("old.json", chosen), workspace.file("new.json", after)
                state = str(workspace.path / "state")
                (alarm,) = workspace.run([old], "--state", state, workspace.file("first", first))
                (end,) = workspace.run([new], "--state", state, workspace.file("second", second))
                self.assertEqual("alarm-cleared" if name == "the same" else "alarm-invalidated", end["violationEventType"])
                self.assertEqual(alarm["violationId"], end["violationId"])
                self.assertEqual([], model.event_problems(end))


if __name__ == "__main__":
    unittest.main()
