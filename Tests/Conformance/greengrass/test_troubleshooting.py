"""Tests that the component really logs each line in the troubleshooting table, in the situation that the table describes."""
import re
import subprocess
import sys
import unittest

from nucleus import ACCESS, BOOTSTRAP, HERE, Nucleus
from test_component import FAST, Machine

README = HERE.parents[2] / "lambda/greengrass/README.md"
SHIM = HERE.parents[2] / "lambda/greengrass/greengrass_defender_agent.py"
SLOW = {"SampleIntervalSeconds": 1, "MinimumIntervalSeconds": 1, "PublishRetryCount": 0}


def quoted():
    """Returns the quotations in the first column of the table. `…` matches anything."""
    section = README.read_text().split("## Troubleshooting")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]


def pattern(text):
    return re.compile(".*".join(re.escape(part) for part in text.split("…")))


class Troubleshooting(unittest.TestCase):
    def setUp(self):
        self.missing = quoted()

    def see(self, *expected, manner="classic", configuration, faults=(), arguments=(), prepare=None, meanwhile=None,
            environment=None):
        """Runs a component with a fault until its log contains the table's lines that begin with these texts."""
        wanted = [next(text for text in quoted() if start in text) for start in expected]
        nucleus = Nucleus(manner, configuration, arguments, component=[BOOTSTRAP], environment=environment)
        self.addCleanup(nucleus.close)
        for fault in faults:
            nucleus.do("fault", **fault)
        if prepare:
            prepare(nucleus)
        nucleus.do("start")
        if meanwhile:
            nucleus.next("publish")
            meanwhile(nucleus)
        while not all(any(pattern(text).search(line) for line in nucleus.log()) for text in wanted):
            nucleus.next("log")
        self.missing = [text for text in self.missing if text not in wanted]

    def test_quotes_the_log(self):
        self.see("answered PublishToIoTCore to … with UnauthorizedError",
                 "answered SubscribeToIoTCore to … with UnauthorizedError", configuration=SLOW)
        self.see("rejected this component's token", configuration=SLOW, prepare=lambda n: n.do("forget-token"))
        self.see("closed the connection before its acceptance", manner="lite", configuration=SLOW,
                 prepare=lambda n: n.do("forget-token"))
        self.see("can't be reached at", configuration=SLOW, prepare=lambda n: n.do("restart", seconds=2))

        def many_connections(nucleus):
            machine = Machine(nucleus.directory)
            machine.connect(300)
            nucleus.do("configure", configuration={
                **SLOW, "MaximumReportBytes": 100_000, "MaximumListSize": 1_000, "ProcfsPath": str(machine.path),
                "accessControl": ACCESS})

        self.see("nucleus lite accepts at most", manner="lite", configuration=SLOW, prepare=many_connections)
        self.see("with ServiceError", configuration={**SLOW, "accessControl": ACCESS},
                 faults=[{"operation": "PublishToIoTCore", "fault": "refuse", "count": 100}])
        self.see("answered SubscribeToIoTCore … with ServiceError", manner="lite",
                 configuration={**SLOW, "accessControl": ACCESS}, prepare=lambda n: n.do("offline"))
        self.see("No answer to report", "so each report repeats the traffic", configuration={
            **FAST, "ConfirmationSeconds": 0.1, "AcknowledgeOn": "accepted"})
        self.see("no longer recognized this component's token", manner="lite", configuration=FAST,
                 arguments=["--component-name", "the.component"],
                 environment={"DEFENDER_COMPONENT_NAME": "the.component"}, prepare=lambda n: n.do("forget-token"))
        self.see("It allowed this before", manner="lite", configuration={**FAST, "PublishRetryCount": 0},
                 meanwhile=lambda n: n.do("withdraw", seconds=60))

        def change_silently(nucleus):
            nucleus.do("kill-subscriptions", operations=["SubscribeToConfigurationUpdate"])
            nucleus.do("configure", configuration={**FAST, "ReportNames": "short"})

        self.see("the nucleus didn't announce it", manner="lite", configuration=FAST, meanwhile=change_silently)
        self.see("Device Defender rejected report", configuration=FAST, arguments=["--confirm", "rejected"])
        self.see("Rejected the configuration:", configuration={**FAST, "ReportNames": "tiny"})
        self.see_the_shim("Can't start the agent:")
        self.assertEqual(self.missing, [], "quoted in the table, and never logged here")

    def see_the_shim(self, start):
        """Checks the handler's own log line if no directory allows execution."""
        code = ("import importlib.util, sys, time; spec = importlib.util.spec_from_file_location('shim', sys.argv[1]);"
                "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); time.sleep(60)")
        with subprocess.Popen([sys.executable, "-u", "-c", code, SHIM], stdout=subprocess.PIPE, text=True) as process:
            # In the sources there is no `bootstrap` in the shim's directory.
            line = process.stdout.readline()
            process.kill()
        (text,) = [text for text in self.missing if start in text]
        self.assertRegex(line, pattern(text))
        self.missing.remove(text)


if __name__ == "__main__":
    unittest.main()
