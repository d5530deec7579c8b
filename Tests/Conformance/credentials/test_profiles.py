"""Tests with generated config and credentials files that `defender publish` signs with the same key as botocore.

Each section of a file has a different access key ID, so the received signature shows which section was used. A container also
offers credentials, so a signature with those means that no section was found.
"""

import http.server
import os
import random
import re
import subprocess
import tempfile
import threading
import unittest
from unittest import mock

import botocore.credentials
import botocore.exceptions
import botocore.session

DEFENDER = os.environ["DEFENDER"]
SEED = 20_260_101
FILES = 120
CONTAINER = "CONTAINER"
ERROR = "error"

NAMES = ["default", "dev", "my dev", "prod-é", "開発", "a#b", "x!", "it's"]
# Spellings of a section name between brackets in the config file. {} is the name.
CONFIG_HEADERS = ["{}", "profile {}", "profile '{}'", 'profile "{}"', "profile  {}", "profile\t{}", "profiles {}",
                  "{} ", " {}", "profile {} ", " profile {}", "profile\\ {}", "sso-session {}", "Profile {}", "profile{}",
                  "{}\u00a0"]
CREDENTIALS_HEADERS = ["{}", "{}", "{}", "{} ", " {}", "\t{}", "\u00a0{}", "'{}'", "profile {}"]
ENDS = ["", "", "", " ", " # comment", " ; comment", "\t"]
DELIMITERS = [" = ", " = ", "=", ":", ": ", " : ", "\t=\t", "\u00a0=\u00a0", "\u3000: "]
# Text before a property. Whitespace makes the line a continuation or an error.
INDENTATIONS = [""] * 24 + [" ", "\t", "\u00a0"]
COMMENTS = ["# comment", "; comment", "  # indented = comment", "\u00a0; comment: indented"]
LINE_ENDS = ["\n", "\n", "\r\n", "\r"]


class Endpoint(http.server.BaseHTTPRequestHandler):
    signers = []

    def do_GET(self):
        self.answer(b'{"AccessKeyId":"%s","SecretAccessKey":"s","Token":"t"}' % CONTAINER.encode())

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.signers.append(re.search("Credential=([^/]*)/", self.headers["Authorization"]).group(1))
        self.answer(b"{}")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Files:
    """Returns a config file and a credentials file, as sections of header, end of the header's line and properties."""

    def __init__(self, random, folder):
        self.folder = folder
        self.line_end = random.choice(LINE_ENDS)
        self.count = 0
        self.config = self.sections(random, CONFIG_HEADERS)
        self.credentials = self.sections(random, CREDENTIALS_HEADERS)

    def sections(self, random, headers):
        sections = []
        for _ in range(random.randint(0, 3)):
            self.count += 1
            # Mostly test the default profile, which is the only one that a provider chain may silently skip.
            name = random.choice(NAMES + ["default"] * len(NAMES))
            keys = [("aws_access_key_id", f"AKIA{self.count}"), ("aws_secret_access_key", random.choice(["s", "s=", "s:=s"]))]
            lines = self.lines(random, [("region", "eu-west-1")] + (keys if random.random() < 0.9 else []))
            header = random.choice(headers).format(name)
            # botocore rejects a file with a duplicate section. One of the comparisons ignores whitespace.
            if header.strip() not in {other.strip() for other, _, _ in sections}:
                sections.append((header, random.choice(ENDS), lines))
        return sections

    def lines(self, random, properties):
        lines = []
        for key, value in properties:
            if random.random() < 0.2:
                lines.append(random.choice(COMMENTS))
            lines.append(random.choice(INDENTATIONS) + key + random.choice(DELIMITERS) + value)
        return lines

    @property
    def has_indented_property(self):
        """Returns whether the SDKs differ: botocore accepts an indented first property, which is an error in others."""
        lines = [line for _, _, lines in self.config + self.credentials for line in lines]
        return any(line[0].isspace() and "comment" not in line for line in lines)

    def text(self, sections, trimmed):
        lines = []
        for header, end, properties in sections:
            lines += [f"[{header.strip()}]" if trimmed else f"[{header}]{end}", *properties, ""]
        return self.line_end.join(lines)

    def write(self, trimmed=False):
        for name in ("config", "credentials"):
            with open(os.path.join(self.folder, name), "w", newline="") as file:
                file.write(self.text(getattr(self, name), trimmed))

    def environment(self, profile):
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "AWS_CONFIG_FILE": os.path.join(self.folder, "config"),
            "AWS_SHARED_CREDENTIALS_FILE": os.path.join(self.folder, "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return variables | ({"AWS_PROFILE": profile} if profile else {})

    def of_botocore(self, profile):
        """Returns the access key ID that botocore finds in the files; None if it would continue with another source."""
        with mock.patch.dict(os.environ, self.environment(profile), clear=True):
            try:
                resolver = botocore.credentials.create_credential_resolver(botocore.session.Session())
                for source in ("shared-credentials-file", "config-file"):
                    found = resolver.get_provider(source).load()
                    if found:
                        return found.access_key
            except (botocore.exceptions.BotoCoreError, ValueError):
                return ERROR
        return None

    def of_defender(self, profile, port):
        variables = self.environment(profile) | {
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_IOT_DATA_PLANE": f"http://127.0.0.1:{port}",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/credentials",
        }
        Endpoint.signers.clear()
        result = subprocess.run(
            [DEFENDER, "publish", "--topic", "t"], env=variables, capture_output=True, text=True, timeout=60)
        if result.returncode == 0:
            return Endpoint.signers[-1], ""
        if result.returncode != 2 or Endpoint.signers:
            raise AssertionError(f"exit status {result.returncode}: {result.stderr}")
        return ERROR, result.stderr


class Profiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_signs_with_the_section_that_botocore_finds(self):
        generator = random.Random(SEED)
        outcomes = {"indentation": 0, "a section": 0, "only without its blanks": 0, "the container": 0, "an error": 0}
        for number in range(FILES):
            with tempfile.TemporaryDirectory() as folder:
                files = Files(generator, folder)
                for profile in [None, generator.choice(NAMES)]:
                    with self.subTest(number=number, profile=profile, config=files.config, credentials=files.credentials):
                        self.compare(files, profile, outcomes)
        print(outcomes)
        # Make sure that each outcome occurs often enough for the test to be meaningful.
        for outcome, count in outcomes.items():
            self.assertGreaterEqual(count, 10, outcome)

    def compare(self, files, profile, outcomes):
        files.write(trimmed=True)
        without_blanks = files.of_botocore(profile)
        files.write()
        expected = files.of_botocore(profile)
        actual, message = files.of_defender(profile, self.server.server_port)
        if files.has_indented_property and actual == ERROR:
            outcomes["indentation"] += 1
            return
        # botocore raises an error if a profile doesn't exist.
        if expected not in (None, ERROR):
            outcomes["a section"] += 1
            self.assertIn(actual, {expected, *self.preferred_defaults(files, profile)})
        elif without_blanks not in (None, ERROR):
            outcomes["only without its blanks"] += 1
            self.assertIn(actual, {without_blanks, *self.preferred_defaults(files, profile)})
        elif profile:
            outcomes["an error"] += 1
            self.assertEqual(actual, ERROR)
            self.assertIn(profile, message)
        else:
            outcomes["the container"] += 1
            self.assertEqual(actual, CONTAINER)

    def preferred_defaults(self, files, profile):
        """Returns the keys of `[profile default]`. The other SDKs prefer it to `[default]`; botocore uses the later section."""
        if profile not in (None, "default"):
            return set()
        sections = [(h.strip(), lines) for h, _, lines in files.config]
        if not any(header == "default" for header, _ in sections):
            return set()
        return {
            re.split(r"\s*[=:]\s*", line)[1]
            for header, lines in sections
            if re.fullmatch(r"profiles?\s+(['\"]?)default\1", header)
            for line in lines
            if line.strip().startswith("aws_access_key_id")
        }


if __name__ == "__main__":
    unittest.main()
