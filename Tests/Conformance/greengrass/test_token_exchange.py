"""Tests a component that signs its own requests with credentials from the nucleus's Token Exchange Service."""
import http.server
import json
import queue
import threading
import unittest

from nucleus import ACCESS, BOOTSTRAP, Nucleus

CONFIGURATION = {"SampleIntervalSeconds": 0.1, "MinimumIntervalSeconds": 0.1, "Transport": "https",
                 "Topic": "own/{thing}/{format}", "accessControl": ACCESS}


class DataPlane:
    """Accepts every message, and keeps its headers."""

    def __init__(self):
        self.requests = queue.Queue()
        plane = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                plane.requests.put((self.path, dict(self.headers), json.loads(body)))
                answer = b'{"message":"OK","traceId":"0"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class TokenExchange(unittest.TestCase):
    def test_gives_the_credentials_that_reports_are_signed_with(self):
        for manner in ("classic", "lite"):
            with self.subTest(manner):
                plane = DataPlane()
                self.addCleanup(plane.close)
                nucleus = Nucleus(manner, CONFIGURATION, ["--tes"], component=[BOOTSTRAP],
                                  environment={"AWS_ENDPOINT_URL_IOT_DATA_PLANE": plane.url})
                self.addCleanup(nucleus.close)
                # At first the cloud doesn't answer. Then classic replies with 500, and lite with 200 and the body `null`.
                nucleus.do("fault", operation="tes", fault="mute", count=2)
                nucleus.do("start")
                path, headers, report = plane.requests.get(timeout=30)
                self.assertEqual(path, "/topics/own%2Ft1%2Fjson?qos=1")
                self.assertIn("Credential=ASIAEXAMPLE/", headers["Authorization"])
                self.assertEqual(headers["X-Amz-Security-Token"], "made-up-too")
                self.assertIn("header", report)
                plane.requests.get(timeout=30)
                # Credentials that are valid for an hour aren't requested again.
                self.assertEqual([e["status"] for e in nucleus.all("tes")], [200 if manner == "lite" else 500] * 2 + [200])
                self.assertEqual(nucleus.all("exited"), [])


    def test_continues_when_lite_answers_with_null_or_has_forgotten_the_token(self):
        plane = DataPlane()
        self.addCleanup(plane.close)
        nucleus = Nucleus("lite", {**CONFIGURATION, "SampleIntervalSeconds": 1, "MinimumIntervalSeconds": 1},
                          ["--tes", "--component-name", "the.component"], component=[BOOTSTRAP],
                          environment={"AWS_ENDPOINT_URL_IOT_DATA_PLANE": plane.url,
                                       "DEFENDER_COMPONENT_NAME": "the.component"})
        self.addCleanup(nucleus.close)
        # More often than the start and the first report request them.
        nucleus.do("fault", operation="tes", fault="mute", count=6)
        nucleus.do("start")
        plane.requests.get(timeout=30)
        (line,) = [line for line in nucleus.log() if "was not published" in line]
        self.assertIn("the answer is null, not an object. The next report tries that source again.", line)
        # The Token Exchange Service verifies the token with ggipcd, so only the new one is valid.
        asked = len(nucleus.all("tes"))
        nucleus.do("forget-token")
        nucleus.do("drop")
        while len(nucleus.all("tes")) == asked:
            nucleus.next("tes")
        self.assertEqual([event["status"] for event in nucleus.all("tes")], [200] * (asked + 1))
        while not plane.requests.empty():
            plane.requests.get()
        plane.requests.get(timeout=30)
        self.assertEqual(nucleus.all("exited"), [])


if __name__ == "__main__":
    unittest.main()
