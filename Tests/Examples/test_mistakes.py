"""Makes the mistakes on the page "Mistakes of the first hour", and checks that each gives the message on the page."""
import pathlib
import re
import subprocess
import tempfile
import unittest

from package import BUILDS, DEFENDER, ROOT, Package
from test_archive import MANIFEST

PAGE = ROOT / "Sources/LambdaRuntime/LambdaRuntime.docc/FirstMistakes.md"
ROWS = re.findall(r"^\| (?!mistake|-)(.*?) \| `(.*?)` \|", PAGE.read_text(), flags=re.M)


def output_of(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode, "it succeeded"
    return done.stdout + done.stderr


def example(name):
    """Returns the program of an example, built."""
    status, output = Package(ROOT / "lambda/examples" / name).swift("build")
    assert status == 0, output
    return str(BUILDS / "debug/debug" / {"testing": "greeting"}.get(name, name))


def invoke(program, *options, event="{}"):
    return output_of(DEFENDER, "invoke", "--bootstrap", program, *options, "--event", event)


class Mistakes(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def package(self, product, main):
        path = pathlib.Path(self.directory, "mistake")
        (path / "Sources/mistake").mkdir(parents=True)
        (path / "Sources/mistake/main.swift").write_text(main)
        target = f'.executableTarget(name: "mistake", dependencies: [.product(name: "{product}", package: "device-defender-swift")])'
        (path / "Package.swift").write_text(MANIFEST.format(name="mistake", root=ROOT, targets=target if product else ""))
        return Package(path)

    def compile(self, product, main):
        status, output = self.package(product, main).swift("build")
        self.assertNotEqual(status, 0, output)
        return output

    def another_processor(self):
        """Returns a copy of a program whose ELF header names a processor that doesn't exist."""
        program = bytearray(pathlib.Path(example("echo")).read_bytes())
        program[18:20] = b"\xfe\xfe"
        path = pathlib.Path(self.directory, "other")
        path.write_bytes(program)
        path.chmod(0o755)
        return str(path)

    def typed(self, product, kind):
        return self.compile(product, f"import LambdaRuntime\nimport {product}\n"
                            f"struct Double: {kind} {{\n  func handle(_ number: Int, _ context: Context) throws -> Int {{ number * 2 }}\n}}\n"
                            "serveAndExit { _ in Double() }\n")

    def messages(self):
        """Makes each mistake, in the order of the page. Yields what it prints."""
        yield output_of(example("echo"))
        yield invoke("/nonexistent/hello")
        yield invoke(example("testing"), event='"Ada"')
        yield invoke(self.another_processor())
        yield invoke(example("several-handlers"), "--env", "_HANDLER=rotate")
        yield invoke(example("function-url-api"), event=f"@{ROOT}/lambda/examples/sqs-partial-failure/event.json")
        yield invoke(example("typed"))
        yield self.typed("LambdaRuntimeCodable", "TypedHandler")

    def test_each_has_its_message(self):
        self.assertEqual(len(ROWS), 10)
        for (mistake, message), output in zip(ROWS, self.messages()):
            with self.subTest(mistake):
                self.assertIn(message, output)

    def test_an_asynchronous_typed_function_without_its_wrapper(self):
        self.assertIn("Wrap the function in an AsyncJSONHandler", self.typed("LambdaRuntimeAsyncCodable", "AsyncTypedHandler"))

    def test_serving_in_an_asynchronous_function(self):
        mistake, message = ROWS[8]
        self.assertIn("in an `async` function", mistake)
        self.assertIn(message, self.compile(
            "LambdaRuntimeAsync", "import LambdaRuntimeAsync\nstruct Echo: AsyncHandler {\n"
            "  func handle(_ event: Event, _ context: Context) async -> Response { Response(json: event.bytes) }\n}\n"
            "func start() async { serveAndExit { _ in Echo() } }\nawait start()\n"))

    def test_archiving_a_package_without_a_program(self):
        mistake, message = ROWS[9]
        self.assertIn("without a program", mistake)
        status, output = self.package(None, "").swift("package", "lambda-archive")
        self.assertNotEqual(status, 0)
        self.assertIn(message, output)
