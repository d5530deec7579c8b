"""`aws lambda invoke --endpoint-url` against `defender emulator`."""
import base64
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import unittest

SECONDS = 120


class Emulator:
    """`defender emulator` with two functions, and the lines that it prints."""

    def __init__(self):
        command = [os.environ["DEFENDER"], "emulator", "--port", "0", "--bootstrap", os.environ["FUNCTION"],
                   "--handler", "resize", "--handler", "rotate", "--env", "SWIFT_BACKTRACE=enable=no"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        try:
            url = self.line_with("/functions/rotate/invocations").split()[-1]
        except queue.Empty:
            self.stop()
            raise
        self.endpoint = url[:url.index("/2015-03-31/")]

    def read(self):
        for line in self.process.stderr:
            self.lines.put(line)

    def line_with(self, words):
        """Waits for a line that contains the words."""
        while words not in (line := self.lines.get(timeout=SECONDS)):
            pass
        return line

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=SECONDS)
        self.process.stderr.close()


class InvokeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.emulator.stop)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def aws(self, *arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder.name, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                       "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONUTF8": "1",
                       "AWS_EC2_METADATA_DISABLED": "true"}
        command = [sys.executable, "-m", "awscli", "lambda", "invoke", "--endpoint-url", self.emulator.endpoint,
                   *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)

    def invoke(self, event, *options, name="resize"):
        """Invokes a function; returns what the CLI prints, as JSON, and the bytes of the response."""
        payload, answer = (pathlib.Path(self.folder.name, file) for file in ("event.json", "answer.json"))
        payload.write_bytes(event)
        answer.unlink(missing_ok=True)
        run = self.aws("--function-name", name, "--payload", f"fileb://{payload}", *options, str(answer))
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout), answer.read_bytes()

    def test_returns_the_response(self):
        event = json.dumps({"text": "grüße", "n": 1}, ensure_ascii=False).encode()
        result, answer = self.invoke(event)
        self.assertEqual(result, {"StatusCode": 200, "ExecutedVersion": "$LATEST"})
        self.assertEqual(answer, event)

    def test_finds_functions_by_name_and_arn(self):
        for name in ["rotate", "arn:aws:lambda:us-east-1:012345678912:function:rotate", "rotate:$LATEST"]:
            with self.subTest(name):
                _, answer = self.invoke(b'{"ctx":1}', name=name)
                self.assertEqual(json.loads(answer)["functionName"], "rotate")

    def test_shows_the_functions_if_the_name_is_unknown(self):
        run = self.aws("--function-name", "nope", os.devnull)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("ResourceNotFoundException", run.stderr)
        self.assertIn("The functions are 'function', 'resize', 'rotate'.", run.stderr)

    def test_returns_the_log(self):
        result, answer = self.invoke(b'{"log":1}', "--log-type", "Tail")
        self.assertEqual(answer, b'{"log":1}')
        log = base64.b64decode(result["LogResult"], validate=True).decode()
        self.assertLessEqual(len(log.encode()), 4096)
        self.assertIn("one line,", log)
        self.assertRegex(log, r"\nEND RequestId: \S+\nREPORT RequestId: .*\n$")
        self.assertNotIn("LogResult", self.invoke(b'{"log":1}')[0])

    def test_reports_a_function_error(self):
        result, answer = self.invoke(b'{"fail":1}', "--log-type", "Tail")
        self.assertEqual((result["StatusCode"], result["FunctionError"]), (200, "Unhandled"))
        self.assertEqual(json.loads(answer)["errorType"], "Function.BenchFailure")
        self.assertIn("Error Type: Function.BenchFailure", base64.b64decode(result["LogResult"]).decode())

    def test_returns_a_stream_with_and_without_the_log(self):
        for options in [], ["--log-type", "Tail"]:
            with self.subTest(options):
                self.assertEqual(self.invoke(b'{"stream":1}', *options)[1], b"first part, second part")

    def test_does_nothing_in_a_dry_run(self):
        self.assertEqual(self.invoke(b'{"fail":1}', "--invocation-type", "DryRun"), ({"StatusCode": 204}, b""))

    def test_answers_an_asynchronous_invocation_at_once(self):
        while not self.emulator.lines.empty():
            self.emulator.lines.get()
        event = b'{"log":"asynchronous"}'
        self.assertEqual(self.invoke(event, "--invocation-type", "Event"), ({"StatusCode": 202}, b""))
        self.emulator.line_with("START RequestId: ")
        self.emulator.line_with("REPORT RequestId: ")

    def test_passes_the_client_context_on(self):
        context = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
        _, answer = self.invoke(b'{"ctx":1}', "--client-context", context)
        self.assertEqual(json.loads(json.loads(answer)["clientContext"]), {"custom": {"k": "v"}})


if __name__ == "__main__":
    unittest.main()
