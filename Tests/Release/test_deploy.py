"""Checks lambda/aws: the template, and every command in the `sh` blocks of deploy.md and of three pages in docs."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
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
GUIDES = [
    PROJECT / page
    for page in ("lambda/aws/deploy.md", "docs/agent.md", "docs/containers.md", "docs/detect.md", "docs/reports.md")
]


PARAMETERS = {"CodeBucket": "b", "CodeKey": "k", "ThingName": "one"}


class NoManagedPolicies:
    """Returns no managed policies. The template uses none, so the translator need not ask IAM for them."""

    def load(self):
        return {}


def blocks():
    """Yields the commands in the fenced shell blocks of the guides, each a list of words."""
    for block in re.findall(r"^```sh\n(.*?)^```$", "".join(map(pathlib.Path.read_text, GUIDES)), re.MULTILINE | re.DOTALL):
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
                        words = [re.sub(r"^fileb://\.build/package/device-defender-(arm64|x86_64)\.zip$",
                                        f"fileb://{archive}", word) for word in command]
                        words = [re.sub("^file://docs/", f"file://{PROJECT}/docs/", word) for word in words]
                        self.check_call(words)

    def check_package(self, command):
        self.assertEqual(command[1], "--arch")
        self.assertIn(command[2], ("arm64", "x86_64"))

    def check_stack(self, command):
        template = yaml_parse(TEMPLATE.read_text())
        given = command[command.index("--parameter-overrides") + 1 :]
        names = {word.split("=")[0] for word in given}
        parameters = template["Parameters"]
        self.assertLessEqual(names, parameters.keys())
        self.assertEqual({name for name in parameters if "Default" not in parameters[name]} - names, set())
        self.assertTrue((PROJECT / command[command.index("--template-file") + 1]).samefile(TEMPLATE))
        options = [word for word in command[3:] if word.startswith("--")]
        table = self.driver.create_help_command().command_table["cloudformation"]
        known = table.create_help_command().command_table["deploy"].arg_table
        self.assertLessEqual({option[2:] for option in options} - {"region"}, set(known))

    def check_call(self, words):
        self.assertEqual(words[0], "aws")
        if "--cli-binary-format" in words:
            # Version 2 of the CLI needs an option for a payload in plain text. Version 1, the one on PyPI, always expects plain text
            # and doesn't support the option.
            at = words.index("--cli-binary-format")
            self.assertEqual(words[at + 1], "raw-in-base64-out")
            del words[at : at + 2]
        self.called.clear()
        self.assertEqual(self.driver.main(words[1:]), 0)
        [(operation, parameters)] = self.called
        model = self.driver.session.get_service_model(words[1])
        names = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): name for name in model.operation_names}
        shape = model.operation_model(names[operation]).input_shape
        report = botocore.validate.ParamValidator().validate(parameters, shape)
        self.assertFalse(report.has_errors(), report.generate_report())
        self.assertEqual(list(enumeration_problems(shape, parameters, operation)), [])
        for name, value in parameters.items():
            if name.lower().endswith("document") or name == "Payload":
                json.loads(value)


class TemplateTests(unittest.TestCase):
    def test_passes_cfn_lint(self):
        # Needs no network access, because the package contains the schemas.
        lint = subprocess.run(
            [pathlib.Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--regions", "eu-west-1", "--", TEMPLATE],
            capture_output=True, text=True)
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

    def test_role_may_do_nothing_on_everything(self):
        role = yaml_parse(TEMPLATE.read_text())["Resources"]["Role"]["Properties"]
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                self.assertFalse([action for action in actions if "*" in action])
                self.assertNotEqual(statement["Resource"], "*")

    def test_variables_are_those_that_the_function_knows(self):
        variables = yaml_parse(TEMPLATE.read_text())["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        sources = "".join(path.read_text() for path in (PROJECT / "Sources/DefenderAgent").rglob("*.swift"))
        for name in variables:
            self.assertIn(f'"{name}"', sources)


if __name__ == "__main__":
    unittest.main()
