"""Checks the output of package-component against botocore's model of Greengrass and the recipe rules of both nuclei."""
import base64
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

import botocore.session
import botocore.validate
import yaml

from nucleus import BOOTSTRAP, HERE, Nucleus

PACKAGE = HERE.parents[2] / "lambda/greengrass/package-component"
MODEL = botocore.session.get_session().get_service_model("greengrassv2")
LAMBDA_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:agent:7"


def binary(machine):
    """Returns the head of an ELF file for a machine, the only part that package-component checks."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, machine, 1) + bytes(40)


def problems(shape, value, path):
    """Yields violations that botocore's own validation doesn't detect: patterns, enumerations, and maximum lengths and values."""
    rules = shape.metadata
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from problems(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for index, member in enumerate(value):
            yield from problems(shape.member, member, f"{path}[{index}]")
    elif shape.type_name == "map":
        for name, member in value.items():
            yield from problems(shape.key, name, f"{path} key")
            yield from problems(shape.value, member, f"{path}.{name}")
    else:
        if "pattern" in rules and not re.search(rules["pattern"], value):
            yield f"{path}: {value!r} isn't {rules['pattern']}"
        if rules.get("enum") and value not in rules["enum"]:
            yield f"{path}: {value!r} isn't one of {rules['enum']}"
        if "max" in rules and (len(value) if isinstance(value, (str, bytes)) else value) > rules["max"]:
            yield f"{path}: {value!r} is over {rules['max']}"


def texts(value):
    """Yields all strings in a document, including keys."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from (name, *texts(member))
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)
    elif isinstance(value, str):
        yield value


class ComponentFiles(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.amd64 = self.directory / "release.zip"
        with zipfile.ZipFile(self.amd64, "w") as release:
            release.writestr("bootstrap", binary(62))
            release.writestr("LICENSE", "text")
        self.aarch64 = self.directory / "bootstrap-arm64"
        self.aarch64.write_bytes(binary(183))

    def package(self, *arguments, fails=False, region="eu-central-1", output=None):
        output = output or self.directory / "out"
        result = subprocess.run(
            [sys.executable, PACKAGE, "--bucket", "a-bucket", "--account", "123456789012", "--region", region,
             "--version", "1.2.3", "--output", output, *arguments], capture_output=True, text=True)
        if fails:
            self.assertNotEqual(result.returncode, 0)
            return result.stderr
        self.assertEqual(result.returncode, 0, result.stderr)
        self.printed = result.stdout
        return output

    def check(self, operation, path):
        """Parses a request as the AWS CLI does, and checks it against the whole model."""
        request = json.loads(path.read_text())
        if "inlineRecipe" in request:
            request["inlineRecipe"] = base64.b64decode(request["inlineRecipe"], validate=True)
        shape = MODEL.operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate(request, shape)
        self.assertFalse(report.has_errors(), report.generate_report())
        self.assertEqual(list(problems(shape, request, path.name)), [])
        return request

    def test_requests_conform_to_the_model(self):
        for target in ([], ["--thing", "core-1"], ["--thing-group", "cores"]):
            for region, partition in (("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")):
                output = self.package("--amd64", self.amd64, "--aarch64", self.aarch64, "--lambda-arn", LAMBDA_ARN,
                                      *target, region=region)
                self.check("CreateComponentVersion", output / "create-component-version.json")
                self.check("CreateDeployment", output / "deployment.json")
                fleet = self.check("CreateDeployment", output / "deployment-fleet.json")
                self.assertEqual(fleet["deploymentPolicies"]["failureHandlingPolicy"], "ROLLBACK")
                self.assertIn(":thinggroup/", fleet["targetArn"])
                arns = [fleet["targetArn"]]
                for policy in ("iot-policy.json", "artifact-policy.json"):
                    for statement in json.loads((output / policy).read_text())["Statement"]:
                        resource = statement["Resource"]
                        arns += resource if isinstance(resource, list) else [resource]
                self.assertEqual({arn.split(":")[1] for arn in arns}, {partition})
                self.check("CreateComponentVersion", output / "lambda-function-component.json")
                merged = self.check("CreateDeployment", output / "deployment-lambda.json")
                (component,) = merged["components"].values()
                self.assertIn("accessControl", json.loads(component["configurationUpdate"]["merge"]))

    def test_prints_commands_that_a_shell_accepts_for_any_folder_name(self):
        for more in ([], ["--lambda-arn", LAMBDA_ARN]):
            output = self.package("--amd64", self.amd64, *more, output=self.directory / "the 'release' of $HOME")
            commands = [shlex.split(line) for line in self.printed.splitlines() if line.startswith("aws ")]
            files = [pathlib.Path(word.removeprefix("file://")) for command in commands for word in command
                     if str(output) in word]
            self.assertEqual(len(files), len(commands))
            for file in files:
                self.assertTrue(file.exists(), file)

    def test_reports_what_can_not_be_read_or_written(self):
        self.assertRegex(self.package("--amd64", self.amd64, output="/dev/null/out", fails=True),
                         r"\Apackage-component: Can't write /dev/null/out\S*: Not a directory\.\n\Z")
        with zipfile.ZipFile(self.amd64, "w", zipfile.ZIP_DEFLATED) as release:
            release.writestr("bootstrap", binary(62))
        damaged = bytearray(self.amd64.read_bytes())
        damaged[40:50] = bytes(10)
        self.amd64.write_bytes(damaged)
        self.assertRegex(self.package("--amd64", self.amd64, fails=True), r"\Apackage-component: Can't read \S+: ")

    def test_lambda_component_is_pinned_and_not_contained(self):
        output = self.package("--amd64", self.amd64, "--lambda-arn", LAMBDA_ARN)
        function = self.check("CreateComponentVersion", output / "lambda-function-component.json")["lambdaFunction"]
        parameters = function["componentLambdaParameters"]
        self.assertEqual(function["lambdaArn"], LAMBDA_ARN)
        self.assertEqual(function["componentPlatforms"][0]["attributes"], {"os": "linux", "architecture": "amd64"})
        self.assertTrue(parameters["pinned"])
        self.assertEqual(parameters["linuxProcessParams"], {"isolationMode": "NoContainer"})
        self.assertEqual(set(parameters["environmentVariables"]), {"PROCFS_PATH", "SAMPLE_INTERVAL_SECONDS"})
        self.assertGreaterEqual(parameters["statusTimeoutInSeconds"], 30)

    def recipe(self, *arguments, name="DeviceDefenderAgent"):
        output = self.package(*arguments)
        text = (output / f"recipes/{name}-1.2.3.yaml").read_text()
        request = json.loads((output / "create-component-version.json").read_text())
        # The cloud's documentation has the key URI. The cloud renames it to Uri, the only key that nucleus lite reads.
        uploaded = base64.b64decode(request["inlineRecipe"]).decode()
        self.assertNotIn("Uri:", uploaded)
        self.assertEqual(uploaded.replace("- URI: ", "- Uri: "), text)
        return yaml.safe_load(text), output

    def test_recipe_keeps_the_rules_of_both_nuclei(self):
        recipe, output = self.recipe("--amd64", self.amd64, "--aarch64", self.aarch64)
        # Nucleus lite accepts only these keys, in exactly this spelling.
        self.assertLessEqual(set(recipe), {
            "RecipeFormatVersion", "ComponentName", "ComponentVersion", "ComponentType", "ComponentDescription",
            "ComponentPublisher", "ComponentConfiguration", "ComponentDependencies", "Manifests"})
        self.assertEqual(recipe["RecipeFormatVersion"], "2020-01-25")
        self.assertEqual(recipe["ComponentType"], "aws.greengrass.generic")
        self.assertRegex(recipe["ComponentName"], r"\A[a-zA-Z0-9-_.]{1,128}\Z")
        self.assertEqual(recipe["ComponentVersion"], "1.2.3")
        self.assertEqual(set(recipe["ComponentConfiguration"]), {"DefaultConfiguration"})
        # Lite doesn't replace variables in the configuration.
        self.assertEqual([text for text in texts(recipe["ComponentConfiguration"]) if "{" in text], [])
        architectures = []
        for manifest in recipe["Manifests"]:
            self.assertEqual(set(manifest), {"Platform", "Lifecycle", "Artifacts"})
            self.assertEqual({k: manifest["Platform"][k] for k in ("os", "runtime")}, {"os": "linux", "runtime": "*"})
            architectures.append(manifest["Platform"]["architecture"])
            # Lite supports neither shutdown nor recover nor skipif.
            self.assertEqual(set(manifest["Lifecycle"]), {"run"})
            (artifact,) = manifest["Artifacts"]
            self.assertEqual(set(artifact), {"Uri", "Unarchive", "Permission"})
            self.assertEqual(artifact["Unarchive"], "ZIP")
            self.assertEqual(artifact["Permission"], {"Read": "OWNER", "Execute": "OWNER"})
            path = artifact["Uri"].removeprefix("s3://a-bucket/greengrass/")
            archive = output / "artifacts" / path
            self.assertEqual(manifest["Lifecycle"]["run"],
                             "DEFENDER_STATE_DIRECTORY={work:path} "
                             f"exec {{artifacts:decompressedPath}}/{archive.stem}/bootstrap")
            with zipfile.ZipFile(archive) as files:
                self.assertEqual(files.getinfo("bootstrap").external_attr >> 16, 0o100755)
                # Lite doesn't unpack local artifacts. They must be in the directory of {artifacts:decompressedPath}.
                unpacked = output / "artifacts-unarchived" / pathlib.Path(path).parent / archive.stem
                self.assertEqual({str(file.relative_to(unpacked)): file.read_bytes() for file in unpacked.rglob("*")},
                                 {name: files.read(name) for name in files.namelist()})
                self.assertEqual((unpacked / "bootstrap").stat().st_mode & 0o777, 0o755)
        self.assertEqual(architectures, ["amd64", "aarch64"])

    def test_recipe_has_the_architectures_that_there_are_files_for(self):
        for option, file, architecture in (("--amd64", self.amd64, "amd64"), ("--aarch64", self.aarch64, "aarch64")):
            recipe, _ = self.recipe(option, file)
            self.assertEqual([m["Platform"]["architecture"] for m in recipe["Manifests"]], [architecture])

    def test_a_name_stays_text_in_the_recipe(self):
        for name in ("true", "null", "NO", "VERSION"):
            recipe, _ = self.recipe("--amd64", self.amd64, "--name", name, name=name)
            self.assertEqual(recipe["ComponentName"], name)

    def test_component_runs_as_its_recipe_says_and_keeps_its_state(self):
        recipe, _ = self.recipe("--amd64", self.amd64)
        script = recipe["Manifests"][0]["Lifecycle"]["run"]
        directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        (directory / "device-defender-amd64").mkdir()
        (directory / "device-defender-amd64/bootstrap").symlink_to(BOOTSTRAP)
        for manner in ("classic", "lite"):
            work = directory / manner
            work.mkdir(0o755)
            command = script.replace("{work:path}", str(work)).replace("{artifacts:decompressedPath}", str(directory))
            nucleus = Nucleus(manner, recipe["ComponentConfiguration"]["DefaultConfiguration"],
                              ["--confirm", "accepted"], component=["sh", "-c", command])
            self.addCleanup(nucleus.close)
            nucleus.do("start")
            self.assertEqual(nucleus.next("state")["state"], "RUNNING")
            report = json.loads(base64.b64decode(nucleus.next("publish")["payload"]))
            self.assertEqual(len(nucleus.all("subscribe")), 2)
            while not any("accepted report" in line for line in nucleus.log()):
                nucleus.next("log")
            nucleus.do("stop")
            nucleus.next("exited")
            self.assertEqual([line for line in nucleus.log() if "[INFO]" not in line], [])
            state = json.loads((work / "state.json").read_text())
            self.assertEqual(state["last_report_id"], report["header"]["report_id"])

    def test_policies_allow_no_more_than_is_needed(self):
        output = self.package("--amd64", self.amd64, "--thing", "core-1")
        statements = json.loads((output / "iot-policy.json").read_text())["Statement"]
        own = "$aws/things/core-1/defender/metrics/*"
        arn = "arn:aws:iot:eu-central-1:123456789012:"
        self.assertEqual([(s["Action"], s["Resource"]) for s in statements], [
            ("iot:Publish", [arn + "topic/" + own, arn + "topic/defender/core-1/*"]), ("iot:Receive", arn + "topic/" + own),
            ("iot:Subscribe", arn + "topicfilter/" + own)])
        (artifacts,) = json.loads((output / "artifact-policy.json").read_text())["Statement"]
        self.assertEqual(artifacts["Resource"], "arn:aws:s3:::a-bucket/greengrass/DeviceDefenderAgent/*")

    def test_the_same_files_give_the_same_bytes(self):
        name = "artifacts/DeviceDefenderAgent/1.2.3/device-defender-amd64.zip"
        first = (self.package("--amd64", self.amd64) / name).read_bytes()
        os.utime(self.amd64, (0, 0))
        self.assertEqual((self.package("--amd64", self.amd64) / name).read_bytes(), first)

    def test_a_release_with_a_file_outside_of_its_folder_is_refused(self):
        with zipfile.ZipFile(self.amd64, "a") as release:
            release.writestr("../outside", "text")
        self.assertIn("'../outside': its path contains '..'", self.package("--amd64", self.amd64, fails=True))

    def test_a_release_with_two_names_for_a_file_or_none_is_refused(self):
        for name in ("./bootstrap", "a//b", "a/./b", ".", "./", "a//"):
            with self.subTest(name):
                with zipfile.ZipFile(self.amd64, "w") as release:
                    release.writestr("bootstrap", binary(62))
                    release.writestr(name, "text")
                self.assertIn("its path isn't in its shortest form", self.package("--amd64", self.amd64, fails=True))

    def test_a_damaged_release_can_not_be_read(self):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            with self.subTest(method):
                with zipfile.ZipFile(self.amd64, "w", method) as release:
                    release.writestr("bootstrap", binary(62) + bytes(1000))
                    start = release.infolist()[0].header_offset + 30 + len("bootstrap")
                damaged = bytearray(self.amd64.read_bytes())
                damaged[start + 4:start + 8] = b"\xff" * 4
                self.amd64.write_bytes(damaged)
                self.assertRegex(self.package("--amd64", self.amd64, fails=True), r"\Apackage-component: Can't read \S+: ")

    @unittest.skipIf(os.geteuid() != 0, "only root can make a link that belongs to another user")
    def test_no_link_of_another_user_leads_to_the_output(self):
        (self.directory / "victim/sub").mkdir(parents=True)
        (self.directory / "link").symlink_to("victim")
        (self.directory / "own").symlink_to("link")
        os.lchown(self.directory / "link", 65534, 65534)
        for output in ("link", "link/sub", "link/new/more", "own/sub"):
            with self.subTest(output):
                text = self.package("--amd64", self.amd64, output=self.directory / output, fails=True)
                self.assertIn(f"{self.directory}/link is a link that belongs to another user", text)
        self.assertEqual([str(file) for file in (self.directory / "victim").iterdir()], [str(self.directory / "victim/sub")])

    def test_reports_mistakes(self):
        nothing = self.directory / "nothing.zip"
        with zipfile.ZipFile(nothing, "w") as archive:
            archive.writestr("readme", "")
        for arguments, text in (
            ([], "--amd64 FILE"), (["--amd64", self.aarch64], "not an x86-64 executable"),
            (["--aarch64", self.amd64], "not an AArch64 executable"), (["--amd64", nothing], "no file 'bootstrap'"),
            (["--amd64", self.directory / "missing"], "Can't read"),
            (["--amd64", self.amd64, "--version", "1.0"], "three numbers"),
            (["--amd64", self.amd64, "--account", "12"], "12 digits"),
            (["--amd64", self.amd64, "--bucket", "A_B"], "the name of an S3 bucket"),
            (["--amd64", self.amd64, "--name", "aws.greengrass.X"], "not aws.*"),
            (["--amd64", self.amd64, "--name", ".."], "a letter, then"),
            (["--amd64", self.amd64, "--name", "1.0"], "a letter, then"),
            (["--amd64", self.amd64, "--thing", "*"], "argument --thing: '*'"),
            (["--amd64", self.amd64, "--thing-group", "a b"], "argument --thing-group: 'a b'"),
            (["--amd64", self.amd64, "--lambda-arn", LAMBDA_ARN[:-2]], "the ARN of a published version"),
        ):
            with self.subTest(text):
                self.assertIn(text, self.package(*arguments, fails=True))


if __name__ == "__main__":
    unittest.main()
