"""Type-checks the Swift snippets in the documentation with the given command: `snippets.py swiftc -typecheck …`.

Adds `import LambdaRuntime` to a snippet without imports. Skips package manifests.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
checked = 0
with tempfile.TemporaryDirectory() as directory:
    for page in [ROOT / "README.md", *sorted(ROOT.glob("Sources/*/*.docc/*.md"))]:
        for snippet in re.findall(r"^```swift\n(.*?)^```", page.read_text(), flags=re.S | re.M):
            if "import PackageDescription" in snippet:
                continue
            if not snippet.startswith("import "):
                snippet = "import LambdaRuntime\n" + snippet
            main = pathlib.Path(directory, "main.swift")
            main.write_text(snippet)
            if subprocess.run([*sys.argv[1:], main]).returncode:
                sys.exit(f"{page.relative_to(ROOT)}: this doesn't compile:\n{snippet}")
            checked += 1
print(f"{checked} snippets compile")
sys.exit(checked < 5)
