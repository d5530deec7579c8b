"""Tests what a package fetches and compiles if it depends on LambdaRuntime, and what commands of `swift` do in this package without
DEVICE_DEFENDER_TOOLS. They run in copies of this tree.
"""
import json
import pathlib
import subprocess
import tempfile
import unittest

import snapshot

NAME = "device-defender-swift"
URL = f"https://git.example.com/{NAME}"
MANIFEST = """// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "dependent",
  dependencies: [.package({source})],
  targets: [.executableTarget(name: "dependent", dependencies: [{products}])]
)
"""
MAIN = """import LambdaRuntime

struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response { Response(json: event.bytes) }
}

serveAndExit { _ in Echo() }
"""
LOGGING_MAIN = """import LambdaRuntimeLogging
import LambdaRuntime
import Logging

let startup = Startup(environment: .ofThisProcess)
LoggingSystem.bootstrap(startup.log)
var logger = Logger(label: "the-label")
logger[metadataKey: "key"] = "the logger's"
logger.debug("below the level")
logger.notice("hello", metadata: ["key": "the line's", "list": ["a", "b"], "logger": "metadata"])
logger.critical("the end")
"""
# What `swift build` compiles for LambdaRuntime. CLinux has only headers.
MODULES = {"LambdaRuntime", "Platform", "WireFormats"}


class Package:
    """A package in a temporary directory, and SwiftPM's commands in it."""

    def __init__(self, path, environment, options=()):
        self.path, self.environment, self.options = path, environment, options

    def swift(self, command, *arguments):
        """Runs a command of `swift`. Returns its status, its standard output and all that it printed."""
        done = subprocess.run(["swift", command, *self.options, *arguments], cwd=self.path, env=self.environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stdout + done.stderr

    def json(self, *arguments):
        """Returns what `swift package` prints."""
        status, output, everything = self.swift("package", *arguments)
        assert not status, everything
        return json.loads(output[output.index("{"):])

    def dependencies(self):
        """Returns the packages that SwiftPM needs, with those that they need."""
        def names(package):
            return {each["identity"]: names(each) for each in package["dependencies"]}
        return names(self.json("show-dependencies", "--format", "json"))

    def fetched(self):
        """Returns the names of the repositories that SwiftPM cloned."""
        return sorted(path.name for path in pathlib.Path(self.path, ".build/checkouts").glob("*"))

    def compiled(self):
        """Returns the names of the compiled modules."""
        return {path.name.removesuffix(".build") for path in pathlib.Path(self.path, ".build/debug").glob("*.build")
                if list(path.glob("*.o"))}


class Dependents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.copied = snapshot.copy(pathlib.Path(cls.directory, NAME))

    def dependent(self, source, environment, options, *products, main=MAIN):
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(dir=self.directory)), "dependent")
        (place / "Sources/dependent").mkdir(parents=True)
        listed = ", ".join(f'.product(name: "{product}", package: "{NAME}")' for product in products)
        (place / "Package.swift").write_text(MANIFEST.replace("{source}", source).replace("{products}", listed))
        (place / "Sources/dependent/main.swift").write_text(main)
        return Package(place, environment, options)

    def by_path(self, *products):
        return self.dependent(f'path: "../../{NAME}"', snapshot.environment(), [], *products)

    def test_a_dependent_by_path_needs_this_package_and_no_other(self):
        package = self.by_path("LambdaRuntime", "LambdaRuntimeCodable", "LambdaEvents")
        self.assertEqual(package.dependencies(), {NAME: {}})
        self.assertEqual(package.fetched(), [])

    def test_a_dependent_with_the_trait_fetches_swift_log_and_logs_with_it(self):
        package = self.dependent(f'path: "../../{NAME}", traits: ["SwiftLog"]', snapshot.environment(), [],
                                 "LambdaRuntime", "LambdaRuntimeLogging", main=LOGGING_MAIN)
        self.assertEqual(package.dependencies(), {NAME: {"swift-log": {}}})
        status, _, everything = package.swift("build")
        self.assertEqual(status, 0, everything)
        run = subprocess.run([package.path / ".build/debug/dependent"], env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, capture_output=True, text=True)
        lines = [json.loads(line) for line in run.stderr.splitlines()]
        for line in lines:
            del line["timestamp"]
        self.assertEqual(lines, [
            {"level": "INFO", "message": "hello", "logger": "the-label", "key": "the line's", "list": '["a", "b"]', "_logger": "metadata"},
            {"level": "FATAL", "message": "the end", "logger": "the-label", "key": "the logger's"}])

    def test_a_dependent_by_path_compiles_nothing_of_the_agent_or_the_tools(self):
        package = self.by_path("LambdaRuntime")
        status, _, everything = package.swift("build")
        self.assertEqual(status, 0, everything)
        self.assertEqual(package.compiled(), MODULES | {"dependent"})
        self.assertEqual(package.fetched(), [])

    def test_a_dependent_by_url_and_version_fetches_this_package_and_no_other(self):
        environment, options = snapshot.publish(self.directory, URL)
        package = self.dependent(f'url: "{URL}", from: "{snapshot.version()}"', environment, options, "LambdaRuntime")
        self.assertEqual(package.dependencies(), {NAME: {}})
        self.assertEqual(package.fetched(), [NAME])
        pins = json.loads((package.path / "Package.resolved").read_text())["pins"]
        self.assertEqual([(pin["location"], pin["state"]["version"]) for pin in pins], [(URL, snapshot.version())])
        # The command finds its script in the checkout, and the script rejects the architecture.
        status, _, everything = package.swift("package", "lambda-archive", "--arch", "mips")
        self.assertNotEqual(status, 0, everything)
        self.assertIn("--arch is 'mips', but must be x86_64 or arm64.", everything)


class PlainCommands(unittest.TestCase):
    """Commands of this package without the variable."""

    @classmethod
    def setUpClass(cls):
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.package = Package(snapshot.copy(pathlib.Path(directory, NAME)), snapshot.environment())
        cls.tools = Package(cls.package.path, snapshot.environment(DEVICE_DEFENDER_TOOLS="1"))

    def test_fetch_nothing(self):
        self.assertEqual(self.package.dependencies(), {})
        self.assertEqual(self.package.fetched(), [])

    def test_offer_the_libraries_and_the_programs_without_dependencies(self):
        products = {each["name"] for each in self.package.json("describe", "--type", "json")["products"]}
        libraries = {"LambdaEvents", "LambdaEventsAsync", "LambdaRuntime", "LambdaRuntimeAsync", "LambdaRuntimeAsyncCodable", "LambdaRuntimeCodable",
                     "LambdaRuntimeLogging", "LambdaRuntimeTesting"}
        self.assertLessEqual(libraries | {"bootstrap", "echo-function"}, products)

    def test_say_how_to_build_the_tools(self):
        status, _, everything = self.package.swift("build", "--product", "defender")
        self.assertEqual(status, 0, everything)
        self.assertIn("DEVICE_DEFENDER_TOOLS=1 swift build", everything)
        run = subprocess.run([self.package.path / ".build/debug/defender", "collect"], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (69, ""))
        self.assertIn("DEVICE_DEFENDER_TOOLS=1 swift build", run.stderr)

    def test_say_how_to_run_the_tests(self):
        status, _, everything = self.package.swift("build", "--target", "MissingTests")
        self.assertNotEqual(status, 0, everything)
        self.assertIn("DEVICE_DEFENDER_TOOLS=1 swift test", everything)
        described = self.package.json("describe", "--type", "json")
        self.assertEqual([each["name"] for each in described["targets"] if each["type"] == "test"], ["MissingTests"])

    def test_the_variable_adds_targets_and_removes_none(self):
        plain, all_targets = ({each["name"] for each in package.json("dump-package")["targets"]}
                              for package in (self.package, self.tools))
        self.assertEqual(plain - all_targets, {"MissingTools", "MissingTests"})
