"""The servers that a released `bootstrap` uses: a Runtime API, an AWS IoT data plane over TLS and a DNS server, all on loopback.

They are written independently of the product's own emulator, so that the two can't share an error.
"""

import contextlib
import hashlib
import hmac
import http.server
import ipaddress
import json
import os
import queue
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import urllib.parse

# The address of all servers. Tests/Release/run sets ::1 in a network namespace without IPv4.
LOOPBACK = os.environ.get("RELEASE_LOOPBACK", "127.0.0.1")
FAMILY = socket.AF_INET6 if ":" in LOOPBACK else socket.AF_INET
# The address as written in a URL.
HOST = f"[{LOOPBACK}]" if FAMILY == socket.AF_INET6 else LOOPBACK

REGION = "eu-west-1"
CREDENTIALS = {
    # Invented for these tests, in the form of AWS's examples.
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "a-session/token+==",
}


class Authority:
    """Creates a throwaway certificate authority, and a server certificate that it has signed."""

    def __init__(self, directory, host):
        self.directory = directory
        directory.mkdir()
        self.certificate = directory / "ca.pem"
        self.chain = directory / "server.pem"
        self.key = directory / "server.key"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._openssl(
            ["req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Throwaway CA"]
        )
        self._openssl(["req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={host}"])
        (directory / "extensions").write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1,IP:::1\n")
        self._openssl(
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
            + ["-extfile", "extensions", "-out", "server.pem"]
        )

    def _openssl(self, arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


class NameServer(threading.Thread):
    """Answers queries for the names that it knows with the loopback address, and NXDOMAIN for all others.

    A name has an address of one family only: A queries get one with IPv4, AAAA queries with IPv6, the other kind gets
    none. `is_silent` says which queries get no answer at all, by their type (1 is A, 28 is AAAA).
    """

    A, AAAA = 1, 28

    def __init__(self, names, address=LOOPBACK, is_silent=lambda kind: False):
        super().__init__(daemon=True)
        self.names = {name.lower() for name in names}
        self.asked = set()
        self.queries = 0
        self.is_silent = is_silent
        self.socket = socket.socket(FAMILY, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.start()

    def close(self):
        with contextlib.suppress(OSError):  # fails because there is no peer, but wakes the thread
            self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            if not client:
                return
            self.queries += 1
            answer = self.answer(query)
            if answer:
                self.socket.sendto(answer, client)

    def answer(self, query):
        """Parses a query (RFC 1035, section 4): a header of 12 bytes, then labels, a zero, type and class."""
        labels, at = [], 12
        while at < len(query) and query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        question = query[12 : at + 5]
        kind = int.from_bytes(query[at + 1 : at + 3], "big")
        if self.is_silent(kind):
            return None
        name = ".".join(labels).lower()
        known = name in self.names
        if known:
            self.asked.add(name)
        loopback = ipaddress.ip_address(LOOPBACK).packed
        address = known and kind == (self.A if len(loopback) == 4 else self.AAAA)
        flags = (0x8580 if known else 0x8583).to_bytes(2, "big")
        counts = (1).to_bytes(2, "big") + int(address).to_bytes(2, "big") + bytes(4)
        fixed = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\x00\x01\x00\x00\x00\x05"
        record = fixed + len(loopback).to_bytes(2, "big") + loopback if address else b""
        return query[:2] + flags + counts + question + record


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    address_family = FAMILY

    def server_bind(self):
        # HTTPServer's version looks up its own name, which a silent name server would delay.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, *arguments):
        # Ignore connections that clients close: tests stop a client while it polls, and a client that rejects the certificate aborts
        # the handshake.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*arguments)


class RuntimeAPI:
    """A Runtime API that hands out one event and returns the answer to it."""

    def __init__(self):
        self.events = queue.Queue()
        self.answers = queue.Queue()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event, deadline = api.events.get()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn", f"arn:aws:lambda:{REGION}:123456789012:function:defender"
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(event)))
                self.end_headers()
                self.wfile.write(event)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                api.answers.put((self.path.rsplit("/", 1)[-1], json.loads(body)))

            def log_message(self, *_):
                pass

        self.server = Server((LOOPBACK, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class IoTDataPlane:
    """A data plane that accepts `POST /topics/...` over TLS, and verifies signatures. `published` holds the accepted publishes."""

    def __init__(self, authority, port=0):
        self.published = queue.Queue()
        self.requests = 0
        plane = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                plane.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                problem = signature_problem("POST", self.path, self.headers, body)
                if problem is None:
                    plane.published.put((self.path, body))
                text = json.dumps({"message": problem or "OK", "traceId": "6c3a1b9e-0000-4000-8000-000000000000"}).encode()
                self.send_response(403 if problem else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain, authority.key)

        class TLSServer(Server):
            def get_request(self):
                connection, address = super().get_request()
                return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        self.server = TLSServer((LOOPBACK, port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def signature_problem(method, target, headers, body):
    """Returns the error in an Authorization header of Signature Version 4; None if the header is valid."""
    algorithm, _, rest = headers.get("Authorization", "").partition(" ")
    fields = dict(field.strip().split("=", 1) for field in rest.split(",") if "=" in field)
    if algorithm != "AWS4-HMAC-SHA256" or not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
        return "no Signature Version 4"
    key_id, date, region, service, terminator = fields["Credential"].split("/")
    if (key_id, region, service, terminator) != (CREDENTIALS["AWS_ACCESS_KEY_ID"], REGION, "iotdata", "aws4_request"):
        return f"the credential is {fields['Credential']}"
    names = fields["SignedHeaders"].split(";")
    if not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
        return f"signed are only {names}"
    if headers["X-Amz-Security-Token"] != CREDENTIALS["AWS_SESSION_TOKEN"]:
        return "another session token"
    path, _, query = target.partition("?")
    parameters = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join(
        [
            method,
            urllib.parse.quote(path, safe="/-_.~"),
            "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}" for k, v in parameters),
            "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names),
            fields["SignedHeaders"],
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join([algorithm, headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + CREDENTIALS["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(expected, fields["Signature"]) else "another signature"
