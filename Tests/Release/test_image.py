"""Tests the OCI image layout with skopeo, and that the program in it runs with nothing else.

Requires root and a separate mount namespace, which Tests/Release/package provides. Environment: PACKAGES (what lambda/package --tool
--image wrote), RELEASE_ARCH.
"""

import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
import unittest

import device

ARCH = os.environ["RELEASE_ARCH"]
PACKAGES = pathlib.Path(os.environ["PACKAGES"])
LAYOUT = PACKAGES / f"image-{ARCH}"
LARGEST_IMAGE = 16_000_000


class ImageTests(unittest.TestCase):
    def skopeo(self, *arguments):
        result = subprocess.run(["skopeo", *arguments], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_is_an_image_that_starts_the_agent(self):
        image = json.loads(self.skopeo("inspect", f"oci:{LAYOUT}"))
        self.assertEqual((image["Os"], image["Architecture"]), ("linux", {"x86_64": "amd64", "arm64": "arm64"}[ARCH]))
        self.assertEqual(len(image["Layers"]), 1)
        self.assertEqual(image["Labels"]["org.opencontainers.image.title"], "device-defender")
        self.assertEqual(image["Labels"]["com.amazonaws.lambda.feature.snapstart"], "Allow")
        config = json.loads(self.skopeo("inspect", "--config", f"oci:{LAYOUT}"))["config"]
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["/usr/bin/defender"], ["agent"]))
        self.assertEqual(config["User"], "65532:65532")
        self.assertLessEqual(sum(path.stat().st_size for path in LAYOUT.rglob("*") if path.is_file()), LARGEST_IMAGE)

    def test_can_be_copied_with_all_digests_verified(self):
        with tempfile.TemporaryDirectory() as directory:
            self.skopeo("--insecure-policy", "copy", f"oci:{LAYOUT}", f"dir:{directory}")
            config = json.loads(self.skopeo("inspect", "--config", f"dir:{directory}"))
            layer = json.loads(self.skopeo("inspect", f"dir:{directory}"))["Layers"][0].partition(":")[2]
            self.assertTrue((pathlib.Path(directory) / layer).exists())
            self.assertEqual(len(config["rootfs"]["diff_ids"]), 1)

    def test_runs_from_its_layer_alone(self):
        index = json.loads((LAYOUT / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0]).read_text())
        root = self.enterContext(device.temporary_root())
        with tarfile.open(self.blob(manifest["layers"][0])) as archive:
            for entry in archive:
                self.assertEqual((entry.uid, entry.gid, entry.mode & 0o6022), (0, 0, 0), entry.name)
            archive.extractall(root)
        self.assertEqual((root / "usr/bin/defender").read_bytes(), (PACKAGES / f"defender-{ARCH}").read_bytes())
        for program in ("/usr/bin/defender", "/usr/lib/device-defender/bootstrap"):
            process = device.start(root, [program, "--version"], {}, uid=65532)
            output = process.communicate(timeout=device.PATIENCE)[0]
            self.assertEqual(process.returncode, 0, output)
            self.assertIn("linked statically: ", output)

    def blob(self, descriptor):
        return LAYOUT / "blobs/sha256" / descriptor["digest"].partition(":")[2]


if __name__ == "__main__":
    unittest.main()
