"""Archives an example for arm64, and invokes it on an emulated processor. Only `Tests/Examples/run --arm64` runs this."""
import json
import pathlib
import shutil
import tempfile
import unittest

from package import BUILDS, ROOT, Archive, Package, emulator

EM_AARCH64 = 183


class Arm64(unittest.TestCase):
    def test_an_archived_function_answers_on_an_emulated_processor(self):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        package = Package(ROOT / "lambda/examples/function-url-api")
        status, output = package.archive(directory, "--arch", "arm64", scratch=BUILDS / "release-arm64")
        self.assertEqual(status, 0, output)
        archive = Archive(directory / "function-url-api.zip")
        self.assertEqual(archive.machine, EM_AARCH64)
        self.assertTrue(archive.is_static)
        self.assertLessEqual(archive.size, 2_500_000)
        program = directory / "emulated"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("qemu-aarch64-static")} {archive.unpack(directory)} "$@"\n')
        program.chmod(0o755)
        with emulator(program) as invoke:
            answer = json.loads(invoke((package.path / "event.json").read_bytes()))
        self.assertEqual((answer["statusCode"], answer["body"]), (200, '{"text":"Buy pears."}'))


if __name__ == "__main__":
    unittest.main()
