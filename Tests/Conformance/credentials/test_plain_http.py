"""Tests that `defender publish` never sends a session token without TLS.

Runs in a network namespace that `run` creates. In it, 203.0.113.5 and 2001:db8::5 represent another machine.
"""

import http.server
import json
import os
import socket
import subprocess
import tempfile
import threading
import unittest

DEFENDER = os.environ["DEFENDER"]
TOKEN = "session-token"


class Recorder(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(b"{}")

    do_GET = do_PUT = lambda self: self.answer(
        json.dumps({"AccessKeyId": "A", "SecretAccessKey": "s", "Token": TOKEN}).encode())

    def answer(self, body):
        self.server.requests.append((self.command, self.path))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Recorder)
        self.requests = []
        # Also counts connections that end without a request.
        self.connections = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    @property
    def url(self):
        host = self.server_address[0]
        return f"http://[{host}]:{self.server_port}" if ":" in host else f"http://{host}:{self.server_port}"


class PlainHTTP(unittest.TestCase):
    def serve(self, address):
        server = Server(address)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def publish(self, **variables):
        return self.run_defender(["publish", "--topic", "t", "--timeout", "20"], **variables)

    def run_defender(self, arguments, hosts=None, **variables):
        """Runs defender. If `hosts` is given, runs it in a mount namespace in which /etc/hosts contains that text."""
        with tempfile.TemporaryDirectory() as home:
            environment = {"PATH": os.environ["PATH"], "HOME": home, "AWS_REGION": "eu-west-1",
                           "AWS_EC2_METADATA_DISABLED": "true"} | variables
            command = [DEFENDER, *arguments]
            if hosts is not None:
                file = os.path.join(home, "hosts")
                with open(file, "w") as stream:
                    stream.write(hosts)
                command = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', file, *command]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    KEYS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": TOKEN}

    def assert_refused(self, result, server, status=2):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn("over http://", result.stderr)
        self.assertIn(server.server_address[0], result.stderr)
        self.assertNotIn(TOKEN, result.stderr)
        self.assertEqual((server.requests, server.connections), ([], 0))

    def test_the_data_plane_of_another_machine_is_refused(self):
        for address in ["203.0.113.5", "2001:db8::5"]:
            for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IOT_DATA_PLANE"]:
                with self.subTest(address=address, variable=variable):
                    server = self.serve(address)
                    self.assert_refused(self.publish(**self.KEYS, **{variable: server.url}), server)

    def test_it_is_reached_if_the_environment_allows_it(self):
        for address in ["203.0.113.5", "2001:db8::5"]:
            with self.subTest(address=address):
                server = self.serve(address)
                result = self.publish(**self.KEYS, AWS_ENDPOINT_URL=server.url, DEFENDER_ALLOW_PLAIN_HTTP="1")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(server.requests, [("POST", "/topics/t?qos=1")])

    def test_loopback_needs_no_permission(self):
        for address in ["127.0.0.1", "127.9.9.9", "::1"]:
            with self.subTest(address=address):
                server = self.serve(address)
                result = self.publish(**self.KEYS, AWS_ENDPOINT_URL=server.url)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_name_with_allowed_and_refused_addresses_has_the_outcome_of_the_allowed_one(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            closed = unused.getsockname()[1]
            for other in ["2001:db8::1", "203.0.113.5"]:
                for hosts in [f"{other} x.test\n127.0.0.1 x.test\n", f"127.0.0.1 x.test\n{other} x.test\n"]:
                    with self.subTest(hosts=hosts):
                        server = self.serve("127.0.0.1")
                        variables = self.KEYS | {"AWS_ENDPOINT_URL": f"http://x.test:{server.server_port}"}
                        publish = ["publish", "--topic", "t", "--timeout", "20"]
                        result = self.run_defender(publish, hosts, **variables)
                        self.assertEqual(result.returncode, 0, result.stderr)
                        result = self.run_defender(["doctor"], hosts, DEFENDER_TRANSPORT="https", DEFENDER_TOPIC="t", AWS_IOT_THING_NAME="t", **variables)
                        self.assertNotIn("over http://", result.stdout + result.stderr)
                        self.assertRegex(result.stdout, r"(?m)^ok +TCP ")
                        variables["AWS_ENDPOINT_URL"] = f"http://x.test:{closed}"
                        result = self.run_defender(publish, hosts, **variables)
                        self.assertEqual(result.returncode, 3, result.stderr)
                        self.assertNotIn("over http://", result.stderr)
                        self.assertNotIn("DEFENDER_ALLOW_PLAIN_HTTP", result.stderr)

    def test_security_tokens_are_not_fetched_from_another_machine(self):
        data_plane = self.serve("127.0.0.1")
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "config")
            with open(config, "w") as file:
                file.write("[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = keys\n[profile keys]\n"
                           f"aws_access_key_id = A\naws_secret_access_key = s\naws_session_token = {TOKEN}\n")
            server = self.serve("203.0.113.5")
            result = self.publish(AWS_CONFIG_FILE=config, AWS_ENDPOINT_URL_STS=server.url,
                                  AWS_ENDPOINT_URL_IOT_DATA_PLANE=data_plane.url)
            self.assert_refused(result, server)
            self.assertEqual(data_plane.requests, [])

    def test_instance_metadata_of_another_machine_is_an_error_not_a_missing_source(self):
        data_plane = self.serve("127.0.0.1")
        server = self.serve("203.0.113.5")
        result = self.publish(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=server.url,
                              AWS_ENDPOINT_URL_IOT_DATA_PLANE=data_plane.url)
        self.assert_refused(result, server)

    def test_a_local_proxy_forwards_nothing(self):
        proxy = self.serve("127.0.0.1")
        for variable in ["HTTP_PROXY", "http_proxy"]:
            with self.subTest(variable=variable):
                result = self.publish(**self.KEYS, AWS_ENDPOINT_URL="http://203.0.113.5:1", **{variable: proxy.url})
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(proxy.requests, [])


if __name__ == "__main__":
    unittest.main()
