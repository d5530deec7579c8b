"""Bad reports: each is skipped with a message and a count, and the reports around it are evaluated."""
import json
import unittest

import cbor2
from product import Workspace

PROFILE = {"securityProfileName": "example", "behaviors": [
    {"name": "ports", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22]}}},
    {"name": "bytes", "metric": "aws:all-bytes-out",
     "criteria": {"comparisonOperator": "less-than", "value": {"count": 10}, "durationSeconds": 300}},
    {"name": "peers", "metric": "aws:destination-ip-addresses",
     "criteria": {"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8"]}}},
]}


def report(number, port=80, version="1.0", **blocks):
    blocks = blocks or {"listening_tcp_ports": {"ports": [{"port": port}], "total": 1}}
    return {"header": {"report_id": number, "version": version}, "metrics": blocks}


def peer(text):
    return {"tcp_connections": {"established_connections": {"connections": [{"remote_addr": text}], "total": 1}}}


BAD = [
    ("a version of the future", report(5, version="2.0")),
    ("no header", {"metrics": {}}),
    ("no report_id", {"header": {"version": "1.0"}, "metrics": {}}),
    ("a negative report_id", report(-5)),
    ("a huge report_id", report(10**30)),
    ("a report_id that is text", report("5")),
    ("port 70000", report(5, port=70000)),
    ("a port that is text", report(5, port="22")),
    ("a huge counter", report(5, network_stats={"bytes_out": 10**30})),
    ("a negative counter", report(5, network_stats={"bytes_out": -1})),
    ("an address that is a name", report(5, **peer("example.com:443"))),
    ("metrics that are a list", {"header": {"report_id": 5, "version": "1.0"}, "metrics": []}),
    ("a list of numbers", [5]),
    ("a list of lists", [[report(5)]]),
    ("a number", 5),
    ("null", None),
    ("a thing's name with a space", {"thing": "a b", "report": report(5)}),
    ("a negative timestamp", {"timestamp": -5, "report": report(5)}),
    ("a huge timestamp", {"timestamp": 10**30, "report": report(5)}),
    ("a wrapper in a wrapper", {"report": {"report": report(5)}}),
]


class Reports(unittest.TestCase):
    def run_on(self, content, *options):
        """Returns the status, the times of the events and the messages of a run over bytes."""
        with Workspace() as workspace:
            profile = workspace.file("profile.json", PROFILE)
            done = workspace.defender("detect", "run", "--profile", profile, "--json", *options, stdin=content)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, [event["violationEventTime"] for event in events], done.stderr.decode()

    def test_a_bad_report_is_skipped_with_a_message_and_a_count(self):
        for what, bad in BAD:
            documents = [report(1, port=22), bad, report(9)]
            lines = b"".join(json.dumps(document).encode() + b"\n" for document in documents)
            with self.subTest(what):
                status, times, messages = self.run_on(lines)
                self.assertEqual((0, [9]), (status, times), messages)
                self.assertRegex(messages, r"Report 2,.* is skipped: .+\.\n.*Reports skipped: 1,", what)

    def test_arrays_of_reports_are_read_as_lines_of_reports_are(self):
        documents = [report(1, port=22), {"thing": "local", "report": report(2)}, report(3, port=22)]
        lines = [json.dumps(document) for document in documents]
        for content in (json.dumps(documents), json.dumps(documents, indent=2), "[\n" + ",\n".join(lines) + "\n]\n", ",".join(lines),
                        ",\n".join(lines) + ",\n", "[" + lines[0] + "]\n" + json.dumps(documents[1:]), "\ufeff" + "\n".join(lines),
                        "[" + ",".join(lines)):
            with self.subTest(content):
                self.assertEqual((0, [2, 3], ""), self.run_on(content.encode()))

    def test_a_wrong_element_of_an_array_is_skipped(self):
        for what, bad in BAD:
            with self.subTest(what):
                status, times, messages = self.run_on(json.dumps([report(1, port=22), bad, report(9)]).encode())
                self.assertEqual((0, [9]), (status, times), messages)
                self.assertRegex(messages, r"Report 2,.* is skipped: .+\.\n.*Reports skipped: 1,", what)

    def test_an_input_without_any_report_gives_status_1(self):
        for content in (b"\x00" * 100, b"\x89PNG\r\n\x1a\n\x00\x00", b"\n", b"[[]]", b"text\n", b"\xef\xbb\xbf", b'{"a":1}\n', b"\xa0" * 9,
                        json.dumps(report(5, version="2.0")).encode()):
            with self.subTest(content):
                status, times, messages = self.run_on(content, "--fail-on-alarm")
                self.assertEqual((1, []), (status, times), messages)
                self.assertIn("Standard input has no report that can be read.", messages)
        for content in (b"", b"[]", b" [\n]\n"):
            self.assertEqual((0, [], ""), self.run_on(content), content)

    def test_a_report_that_is_cut_short_is_skipped(self):
        for whole in (json.dumps(report(9)).encode(), cbor2.dumps(report(9))):
            for length in range(1, len(whole), 7):
                status, times, messages = self.run_on(whole[:length])
                self.assertEqual([], times)
                self.assertIn(status, (0, 1))
                self.assertIn("truncated", messages)

    def test_bytes_that_are_no_report_end_with_a_message(self):
        for content in (b"\xff\xfe\xfd\n", b"\x00" * 100, b"[" * 100_000, b"{" * 100_000, b'{"a":' * 100_000, b"\xbf" * 100_000,
                        b"\x81" * 100_000, b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"):
            with self.subTest(content[:20]):
                status, times, messages = self.run_on(content)
                self.assertIn(status, (0, 1))
                self.assertEqual([], times)
                self.assertIn("skipped", messages)

    def test_reports_with_incomplete_lists_are_counted(self):
        sample = {"listening_tcp_ports": {"ports": [{"port": 22}], "total": 2}}
        # The list of UDP ports isn't needed by any behavior, and one behavior needs the number of bytes only.
        unneeded = {"listening_udp_ports": {"ports": [], "total": 2}}
        documents = [report(1), report(2, **sample), report(3, **unneeded), report(4, port=22)]
        status, times, messages = self.run_on(b"".join(json.dumps(document).encode() + b"\n" for document in documents))
        self.assertEqual((0, [1, 2]), (status, times), messages)
        self.assertRegex(messages, r"Reports with incomplete lists: 1\. .*DEFENDER_MAX_LIST_SIZE")
        for blocks in (peer("10.1.2.3:1"), {"listening_tcp_ports": {"ports": [], "total": 0}}):
            self.assertEqual((0, [], ""), self.run_on(json.dumps(report(1, **blocks)).encode()))

    def test_duplicates_and_older_reports_are_ignored_and_counted(self):
        documents = [report(5, port=22), report(5), report(4), report(6)]
        status, times, messages = self.run_on(b"".join(json.dumps(document).encode() + b"\n" for document in documents))
        self.assertEqual((0, [6]), (status, times))
        self.assertRegex(messages, r"Reports ignored: 2\b")

    def test_a_state_that_cannot_be_read_is_an_error(self):
        for state in (b"", b"{", b"{}", b'{"version":99}', b"null", b"\xff"):
            with self.subTest(state), Workspace() as workspace:
                profile, path = workspace.file("profile.json", PROFILE), workspace.file("state", state)
                done = workspace.defender("detect", "run", "--profile", profile, "--state", path, stdin=b"")
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(path, done.stderr.decode())
                self.assertEqual(state, (workspace.path / "state").read_bytes())


if __name__ == "__main__":
    unittest.main()
