"""Checks lambda/aws: the templates, and every command in the `sh` blocks of deploy.md and of pages in docs."""

import http.server
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

import awscli.clidriver
import botocore.model
import botocore.validate
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# Ignore the machine's own AWS configuration.
os.environ.update(AWS_DEFAULT_REGION="eu-west-1", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "lambda/aws/template.yaml"
FLEET_TEMPLATE = PROJECT / "lambda/aws/detect.yaml"
GUIDES = [
    PROJECT / page
    for page in ("lambda/aws/deploy.md", "docs/agent.md", "docs/containers.md", "docs/detect.md", "docs/detect-fleet.md", "docs/reports.md")
]


PARAMETERS = {"CodeBucket": "b", "CodeKey": "k", "ThingName": "one"}


class NoManagedPolicies:
    """Returns no managed policies. The template uses none, so the translator need not ask IAM for them."""

    def load(self):
        return {}


def blocks():
    """Yields the commands in those shell blocks of the guides that use the AWS CLI, each a list of words."""
    for block in re.findall(r"^```sh\n(.*?)^```$", "".join(map(pathlib.Path.read_text, GUIDES)), re.MULTILINE | re.DOTALL):
        if not re.search(r"^aws ", block, re.MULTILINE):
            continue
        lexer = shlex.shlex(block.replace("\\\n", " "), posix=True, punctuation_chars="\n")
        lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
        command = []
        for word in lexer:
            if set(word) == {"\n"}:
                yield command
                command = []
            else:
                command.append(word)


def enumeration_problems(shape, value, path):
    """Yields the parts of `value` that the service model doesn't list. botocore itself doesn't check enumerations."""
    if isinstance(shape, botocore.model.StructureShape):
        for name, member in value.items():
            yield from enumeration_problems(shape.members[name], member, f"{path}.{name}")
    elif isinstance(shape, botocore.model.ListShape):
        for member in value:
            yield from enumeration_problems(shape.member, member, f"{path}[]")
    elif isinstance(shape, botocore.model.StringShape) and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, but must be one of {shape.enum}"


def blobs(shape, value):
    """Yields the binary values in the parameters of an operation."""
    if isinstance(shape, botocore.model.StructureShape):
        for name, member in value.items():
            yield from blobs(shape.members[name], member)
    elif isinstance(shape, botocore.model.ListShape):
        for member in value:
            yield from blobs(shape.member, member)
    elif shape.type_name == "blob":
        yield value


def runnable(command, archive):
    """Returns a command of a page with the paths of files that exist: `archive` is the zip."""
    words = [re.sub(r"^fileb://\.build/package/device-defender-(arm64|x86_64)\.zip$", f"fileb://{archive}", word) for word in command]
    return [re.sub("^(fileb?)://(docs|lambda)/", rf"\1://{PROJECT}/\2/", word) for word in words]


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers every request with an empty JSON object, and keeps what it has received in `requests`."""

    requests = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_POST

    def log_message(self, *_):
        pass


class VersionTests(unittest.TestCase):
    """Runs the page's commands with binary parameters, with each version of the AWS CLI, and compares what they send.

    Version 1 is installed from PyPI. Version 2 isn't on PyPI; AWS_CLI_2 is the path of one from a Debian package.
    """

    def setUp(self):
        Recorder.requests = []
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Recorder)
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def environment(self, version):
        """Returns the environment of a CLI. pip may have installed version 1 in /usr/local, which would come first."""
        own = {**os.environ, "AWS_PAGER": "", "NO_PROXY": "127.0.0.1"}
        del own["AWS_DATA_PATH"]  # set by the `import awscli` of this process
        return {**own, "PYTHONPATH": "/usr/lib/python3/dist-packages"} if version == "2" else own

    def sent(self, version, cli, words):
        """Runs a command and returns the requests that the CLI sends."""
        Recorder.requests.clear()
        done = subprocess.run(
            [*cli, *words[1:], "--endpoint-url", f"http://127.0.0.1:{self.server.server_port}", "--no-sign-request"],
            cwd=self.directory, env=self.environment(version), capture_output=True, text=True,
            timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return list(Recorder.requests)

    def test_every_version_sends_the_same(self):
        clis = {"1": [sys.executable, "-m", "awscli"]}
        if second := os.environ.get("AWS_CLI_2"):
            version = subprocess.run([second, "--version"], env=self.environment("2"), capture_output=True, text=True).stdout
            self.assertTrue(version.startswith("aws-cli/2."), version)
            clis["2"] = [second]
        archive = self.directory / "code.zip"
        archive.write_bytes(b"PK\x05\x06" + bytes(18))
        # Debian 12's version 2 is from January 2023 and doesn't know --logging-config.
        commands = [words for words in blocks() if words[:2] == ["aws", "lambda"] and any("fileb://" in word for word in words)
                    and "--logging-config" not in words]
        self.assertEqual({words[2] for words in commands}, {"create-function", "invoke", "update-function-code"})
        for command in commands:
            words = runnable(command, archive)
            with self.subTest(command=" ".join(command[:4])):
                requests = {name: self.sent(name, cli, words) for name, cli in clis.items()}
                [(method, path, body)] = requests["1"]
                for name in requests:
                    self.assertEqual(requests[name], requests["1"], f"version {name}")
                if "invoke" in words:
                    payload = pathlib.Path(words[words.index("--payload") + 1].removeprefix("fileb://"))
                    self.assertEqual(path, "/2015-03-31/functions/device-defender/invocations")
                    self.assertEqual(body, payload.read_bytes())


class GuideTests(unittest.TestCase):
    def setUp(self):
        self.driver = awscli.clidriver.create_clidriver()
        self.called = []
        # Replaces the API call, so that nothing leaves this machine and no credentials are needed.
        self.driver.session.register("calling-command.*", self.note_call)

    def note_call(self, event_name, call_parameters, **_):
        self.called.append((event_name.rsplit(".", 1)[-1], call_parameters))
        return 0

    def test_the_cli_and_the_services_accept_every_command(self):
        commands = [command for command in blocks() if command]
        self.assertGreaterEqual(len(commands), 27)
        with tempfile.TemporaryDirectory() as directory:
            archive = pathlib.Path(directory) / "code.zip"
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("bootstrap", b"")
            for command in commands:
                with self.subTest(command=" ".join(command[:4])):
                    if command[0] == "lambda/package":
                        self.check_package(command)
                    elif command[1:3] == ["cloudformation", "deploy"]:
                        self.check_stack(command)
                    elif command[1:3] == ["s3", "cp"]:
                        self.assertRegex(command[3], r"^\.build/package/device-defender-(arm64|x86_64)\.zip$")
                        self.assertRegex(command[4], r"^s3://[a-z-]+/\S+$")
                        self.assertEqual(len(command), 5)
                    else:
                        self.check_call(runnable(command, archive))

    def check_package(self, command):
        self.assertEqual(command[1], "--arch")
        self.assertIn(command[2], ("arm64", "x86_64"))

    def check_stack(self, command):
        path = PROJECT / command[command.index("--template-file") + 1]
        self.assertIn(path, (TEMPLATE, FLEET_TEMPLATE))
        template = yaml_parse(path.read_text())
        given = command[command.index("--parameter-overrides") + 1 :]
        names = {word.split("=")[0] for word in given}
        parameters = template["Parameters"]
        self.assertLessEqual(names, parameters.keys())
        self.assertEqual({name for name in parameters if "Default" not in parameters[name]} - names, set())
        options = [word for word in command[3:] if word.startswith("--")]
        table = self.driver.create_help_command().command_table["cloudformation"]
        known = table.create_help_command().command_table["deploy"].arg_table
        self.assertLessEqual({option[2:] for option in options} - {"region"}, set(known))

    def check_call(self, words):
        self.assertEqual(words[0], "aws")
        self.called.clear()
        self.assertEqual(self.driver.main(words[1:]), 0)
        [(operation, parameters)] = self.called
        model = self.driver.session.get_service_model(words[1])
        names = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): name for name in model.operation_names}
        shape = model.operation_model(names[operation]).input_shape
        report = botocore.validate.ParamValidator().validate(parameters, shape)
        self.assertFalse(report.has_errors(), report.generate_report())
        self.assertEqual(list(enumeration_problems(shape, parameters, operation)), [])
        # Version 1 of the CLI sends binary parameters unchanged, and version 2 decodes them as Base64. Both send the contents of a
        # fileb:// file unchanged.
        files = [pathlib.Path(word.removeprefix("fileb://")).read_bytes() for word in words if word.startswith("fileb://")]
        for value in blobs(shape, parameters):
            self.assertIn(value, files, "a binary parameter isn't in a fileb:// file")
        for name, value in parameters.items():
            if name.lower().endswith("document") or name == "Payload":
                json.loads(value)


class TemplateTests(unittest.TestCase):
    def test_pass_cfn_lint(self):
        # Needs no network access, because the package contains the schemas.
        lint = subprocess.run(
            [pathlib.Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--regions", "eu-west-1", "--",
             TEMPLATE, FLEET_TEMPLATE], capture_output=True, text=True)
        self.assertEqual((lint.returncode, lint.stdout), (0, ""), lint.stdout + lint.stderr)

    def test_installs_what_it_describes(self):
        resources = transform(yaml_parse(TEMPLATE.read_text()), PARAMETERS, NoManagedPolicies())["Resources"]
        function = resources["Function"]["Properties"]
        self.assertEqual(function["Runtime"], "provided.al2023")
        self.assertEqual(function["Architectures"], [{"Ref": "Architecture"}])
        self.assertEqual(function["ReservedConcurrentExecutions"], 1)
        roles = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"]
        self.assertEqual(roles, ["Role"])
        self.assertNotIn("ManagedPolicyArns", resources["Role"]["Properties"])
        rules = [resource for resource in resources.values() if resource["Type"] == "AWS::Events::Rule"]
        self.assertEqual([json.loads(target["Input"]) for rule in rules for target in rule["Properties"]["Targets"]],
                         [{"reports": 1}])
        permissions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
        self.assertEqual([each["Properties"]["Principal"] for each in permissions], ["events.amazonaws.com"])

    def test_roles_may_do_nothing_on_everything(self):
        for template in (TEMPLATE, FLEET_TEMPLATE):
            for resource in yaml_parse(template.read_text())["Resources"].values():
                properties = resource["Properties"]
                documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
                if resource["Type"] == "AWS::IAM::RolePolicy":
                    documents.append(properties["PolicyDocument"])
                for statement in (one for document in documents for one in document["Statement"]):
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    self.assertFalse([action for action in actions if "*" in action])
                    self.assertNotEqual(statement["Resource"], "*")

    def test_variables_are_those_that_the_functions_know(self):
        for template, folder in ((TEMPLATE, "DefenderAgent"), (FLEET_TEMPLATE, "FleetDetection")):
            function = yaml_parse(template.read_text())["Resources"]["Function"]["Properties"]
            sources = "".join(path.read_text() for path in (PROJECT / "Sources" / folder).rglob("*.swift"))
            for name in function["Environment"]["Variables"]:
                self.assertIn(f'"{name}"', sources)

    def test_fleet_may_do_what_its_store_does(self):
        resources = yaml_parse(FLEET_TEMPLATE.read_text())["Resources"]
        allowed = set()
        for statement in resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            allowed |= {action.removeprefix("dynamodb:") for action in actions if action.startswith("dynamodb:")}
        client = "".join(path.read_text() for path in (PROJECT / "Sources/AWSClient/DynamoDB").glob("*.swift"))
        called = set(re.findall(r'call\("(\w+)"', client))
        # A transaction of puts needs the permission for a put.
        self.assertEqual(allowed, called - {"TransactWriteItems"})
        self.assertEqual(resources["Function"]["Properties"]["Handler"], "detect_handler")

    def test_fleet_survives_outages_loudly(self):
        resources = transform(yaml_parse(FLEET_TEMPLATE.read_text()), PARAMETERS, NoManagedPolicies())["Resources"]
        reports = resources["Reports"]["Properties"]
        hours = reports["VisibilityTimeout"] * reports["RedrivePolicy"]["maxReceiveCount"] / 3600
        self.assertGreaterEqual(hours, 4)
        self.assertLess(hours, reports["MessageRetentionPeriod"] / 3600)
        rules = [one["Properties"]["TopicRulePayload"] for one in resources.values() if one["Type"] == "AWS::IoT::TopicRule"]
        self.assertTrue(rules)
        for rule in rules:
            self.assertIn("ErrorAction", rule)
        (sweep,) = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Events::Rule"]
        self.assertEqual(sweep["Targets"][0]["RetryPolicy"], {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60})
        # It would also limit the retries of reports that a rule passes to the function.
        self.assertFalse([one for one in resources.values() if one["Type"] == "AWS::Lambda::EventInvokeConfig"])
        metrics = (PROJECT / "Sources/FleetDetection/FleetMetrics.swift").read_text()
        own = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"
               and one["Properties"]["Namespace"] == "DeviceDefender/Detect"]
        self.assertEqual([alarm["MetricName"] for alarm in own], ["EventsUndelivered"])
        for alarm in own:
            self.assertIn(f'("{alarm["MetricName"]}",', metrics)

    def test_no_rule_merges_a_device_s_members_with_the_thing(self):
        # AWS doesn't document which member SELECT * keeps.
        for path in (FLEET_TEMPLATE, PROJECT / "docs/detect-fleet.md"):
            statements = re.findall(r"SELECT .*? AS thing", path.read_text())
            self.assertTrue(statements)
            for statement in statements:
                self.assertTrue(statement.startswith("SELECT encode(*, "), statement)
