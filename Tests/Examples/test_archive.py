"""Tests `swift package lambda-archive` and `swift package lambda-init`: what they write, and how they fail."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from package import BUILDS, DEFENDER, ROOT, Archive, Package, emulator

MANIFEST = """// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "{name}",
  dependencies: [.package(name: "device-defender-swift", path: "{root}")],
  targets: [{targets}]
)
"""
RUNTIME = '.product(name: "LambdaRuntime", package: "device-defender-swift")'


class Archiving(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def package(self, targets="", name="sample", **sources):
        path = self.directory / name
        path.mkdir()
        (path / "Package.swift").write_text(MANIFEST.format(name=name, root=ROOT, targets=targets))
        for target, files in sources.items():
            for file, text in files.items():
                (path / "Sources" / target / file).parent.mkdir(parents=True, exist_ok=True)
                (path / "Sources" / target / file).write_text(text)
        return Package(path)

    def archived(self, package, *arguments, **options):
        status, output = package.archive(self.directory, *arguments, **options)
        self.assertEqual(status, 0, output)
        zip, = self.directory.glob("*.zip")
        return Archive(zip), output

    def rejected(self, package, *arguments):
        status, output = package.archive(self.directory, *arguments)
        self.assertNotEqual(status, 0, output)
        self.assertEqual(list(self.directory.glob("*.zip")), [])
        return output

    def test_a_function_without_foundation_is_small(self):
        archive, output = self.archived(Package(ROOT / "lambda/examples/function-url-api"))
        self.assertLessEqual(archive.size, 2_500_000)
        self.assertNotIn(b"FoundationEssentials", archive.program)
        self.assertIn(f"{archive.size} bytes; bootstrap is {len(archive.program)} bytes", output)

    def test_the_same_source_gives_the_same_bytes_in_another_directory(self):
        first, _ = self.archived(Package(ROOT / "lambda/examples/echo"))
        copy = self.package('.executableTarget(name: "echo", dependencies: [%s])' % RUNTIME, "echo")
        shutil.copytree(ROOT / "lambda/examples/echo/Sources", copy.path / "Sources")
        second, _ = self.archived(copy, scratch=self.directory / "build")
        self.assertEqual(first.program, second.program)
        self.assertEqual([vars_of(entry) for entry in first.entries], [vars_of(entry) for entry in second.entries])

    def test_keeps_what_the_function_needs(self):
        package = self.package(
            '.target(name: "Thrower"), .executableTarget(name: "sample", dependencies: ["Thrower", %s])' % RUNTIME,
            Thrower={"include/Thrower.h": "#ifdef __cplusplus\nextern \"C\"\n#endif\nint caught(void);\n",
                     "Thrower.cpp": '#include "Thrower.h"\n#include <stdexcept>\n#include <string>\n'
                     'static void fail(const std::string &why) { throw std::runtime_error(why); }\n'
                     'int caught(void) { try { fail("why"); } catch (const std::exception &error) { return error.what()[0]; } return 0; }\n'},
            sample={"main.swift": "import LambdaRuntime\nimport Thrower\nstruct Sample: Handler {\n"
                    "  func handle(_ event: Event, _ context: Context) -> Response {\n"
                    "    let name = Unicode.Scalar(UInt8(caught())).properties.name ?? \"none\"\n"
                    "    return Response(json: Array(name.utf8))\n  }\n}\nserveAndExit { _ in Sample() }\n"})
        archive, output = self.archived(package)
        self.assertIn("includes  the names of Unicode characters\n", output)
        self.assertIn("includes  the tables for C++ exceptions\n", output)
        with emulator(archive.unpack(self.directory)) as invoke:
            self.assertEqual(invoke(b"{}"), "LATIN SMALL LETTER W")

    def test_a_package_with_several_programs_needs_a_choice(self):
        target = '.executableTarget(name: "%s", dependencies: [' + RUNTIME + '])'
        main = {"main.swift": "import LambdaRuntime\nprint(1)\n"}
        package = self.package(", ".join(target % name for name in ("one", "two")), one=main, two=main)
        self.assertIn("Choose the product with --product: 'one', 'two'.", self.rejected(package))
        self.assertIn("--product is 'three', but the executable products of sample are 'one', 'two'.",
                      self.rejected(package, "--product", "three"))

    def test_wrong_arguments(self):
        package = Package(ROOT / "lambda/examples/echo")
        self.assertIn("Unknown argument '--zip'", self.rejected(package, "--zip"))
        self.assertIn("Missing value for '--arch'", self.rejected(package, "--arch"))
        self.assertIn("--arch is 'mips', but must be x86_64 or arm64.", self.rejected(package, "--arch", "mips"))

    def test_a_build_that_fails_shows_why(self):
        package = self.package('.executableTarget(name: "sample", dependencies: [%s])' % RUNTIME,
                               sample={"main.swift": "import LambdaRuntime\nlet number: Int = \"text\"\n"})
        output = self.rejected(package)
        self.assertIn("cannot convert value of type 'String'", output)
        self.assertIn("The build failed.", output)

    def test_another_architecture_needs_an_sdk(self):
        if os.uname().machine != "x86_64":
            self.assertIn("Can't build for x86_64", self.rejected(Package(ROOT / "lambda/examples/echo"), "--arch", "x86_64"))
            return
        command = [ROOT / "lambda/packaging/archive", "--package-path", ROOT / "lambda/examples/echo", "--product", "echo", "--arch", "arm64",
                   "--output", self.directory]
        done = subprocess.run(command, env=os.environ | {"XDG_CACHE_HOME": str(self.directory)}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Can't build for arm64 on this machine: the SDK isn't installed. Create it on Debian with", done.stderr)

    def test_init_writes_a_function_that_builds_and_answers(self):
        package = self.package(name="first")
        status, output = package.swift("package", "lambda-archive")
        self.assertIn("The package first has no executable target. Create one with:", output)
        status, output = package.swift("package", "--allow-writing-to-package-directory", "lambda-init")
        self.assertEqual(status, 0, output)
        target = output[output.index(".executableTarget("):output.index("\n\nThen:")]
        (package.path / "Package.swift").write_text(MANIFEST.format(name="first", root=ROOT, targets=target))
        status, output = package.swift("build")
        self.assertEqual(status, 0, output)
        run = subprocess.run([DEFENDER, "invoke", "--bootstrap", BUILDS / "debug/debug/first", "--event", '"world"'],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.stdout, 'The function answered:\n[\n  "hello",\n  "world"\n]\n', run.stderr)
        status, output = package.swift("package", "--allow-writing-to-package-directory", "lambda-init")
        self.assertNotEqual(status, 0)
        self.assertIn("There is already a target 'first'. Choose another name with --name.", output)

    def test_init_rejects_a_name_that_is_no_folder(self):
        package = self.package()
        for arguments, reason in ((["--name", "../up"], "The name is '../up'."), (["--nam", "x"], "Unknown arguments '--nam x'.")):
            status, output = package.swift("package", "--allow-writing-to-package-directory", "lambda-init", *arguments)
            self.assertNotEqual(status, 0)
            self.assertIn(reason, output)
        self.assertFalse((package.path / "Sources").exists())


def vars_of(entry):
    return entry.filename, entry.date_time, entry.external_attr, entry.file_size, entry.CRC, entry.extra


if __name__ == "__main__":
    unittest.main()
