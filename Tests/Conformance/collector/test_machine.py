"""Tests on the live machine, where sockets come and go."""

import itertools
import pathlib
import tempfile
import unittest

import reports

CUSTOM = "cpu_usage,memory_usage,load_1m,open_files,uptime,process_count"


class OnThisMachine(unittest.TestCase):
    def test_keeps_the_schema_in_each_form(self):
        for names, form in itertools.product(([], ["--short-names"]), ("json", "cbor")):
            with self.subTest(names=names, form=form), tempfile.TemporaryDirectory() as directory:
                arguments = ["-n", "2", "-s", "0.2", "-cm", CUSTOM, *names]
                if form == "json":
                    documents = reports.json_reports(*arguments)
                else:
                    documents = reports.cbor_reports(pathlib.Path(directory) / "reports", *arguments)
                self.assertEqual(len(documents), 2)
                for document in documents:
                    self.assertEqual(reports.problems(document), [])
                first, second = map(reports.long, documents)
                self.assertEqual("hed" in documents[0], bool(names))
                self.assertNotIn("network_stats", first["metrics"], "there is nothing to compute a delta from")
                self.assertIn("network_stats", second["metrics"])
                self.assertNotIn("cpu_usage", first["custom_metrics"], "there is no interval to compute a share of")
                self.assertEqual(set(second["custom_metrics"]), set(CUSTOM.split(",")))
                self.assertLess(first["header"]["report_id"], second["header"]["report_id"])

    def test_refuses_what_the_schema_should(self):
        report = reports.json_reports("-n", "1")[0]
        for path, value in (
            (("header", "report_id"), 0),
            (("header", "version"), "1"),
            (("metrics", "listening_tcp_ports", "total"), -1),
            (("metrics", "listening_tcp_ports", "ports"), [{"port": 65_536}]),
            (("metrics", "listening_tcp_ports", "ports"), [{"port": 1, "interface": None}]),
            (("metrics", "network_stats"), {"bytes_in": 1.5}),
            (("metrics", "tcp_connections"), {"established_connections": {"connections": [{"remote_addr": "x"}]}}),
            (("custom_metrics",), {"m": [{"number": 1}, {"number": 2}]}),
            (("custom_metrics",), {"m": [{"number": "1"}]}),
        ):
            with self.subTest(path=path, value=value):
                damaged = inner = reports.json.loads(reports.json.dumps(report))
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = value
                self.assertNotEqual(reports.problems(damaged), [])

    def test_agrees_with_psutil(self):
        # A socket that exists before and after must be in the report, and one in the report must exist before or after.
        # psutil may miss a shorter-lived socket, so a mismatch is checked again.
        for attempt in range(10):
            before = reports.counted()
            report = reports.reported(reports.json_reports("-n", "1", "-l", "100000")[0])
            after = reports.counted()
            wrong = {}
            for name, was, said, then in zip(before._fields, before, report, after):
                wrong[name] = ((was & then) - said, said - (was | then))
            if not any(missing or made_up for missing, made_up in wrong.values()):
                return
        self.fail(f"missing and extra sockets: {wrong}")


if __name__ == "__main__":
    unittest.main()
