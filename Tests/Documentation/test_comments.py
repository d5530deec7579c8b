"""Tests comments.py with a module that the compiler has built."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import comments  # noqa: E402

SOURCE = """/// A lamp.
public struct Lamp: Equatable {
  /// The brightness in percent.
  public var brightness = 100
  public var color: Int
  ///
  public enum Kind: String { case desk }
  var hidden = 0
}
extension Array {
  public var lamps: Int { 0 }
  /// The number of lamps.
  public func count() -> Int { 0 }
}
"""


class Comments(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def graphs(self, source):
        self.source = self.directory / "lamp.swift"
        self.source.write_text(source)
        (self.directory / "graphs").mkdir()
        subprocess.run(["swiftc", "-parse-as-library", "-emit-module", "-emit-module-path", "Lamps.swiftmodule", "-module-name", "Lamps",
                        "-emit-symbol-graph", "-emit-symbol-graph-dir", "graphs", "-symbol-graph-minimum-access-level", "public",
                        "-symbol-graph-skip-inherited-docs", self.source], cwd=self.directory, check=True)
        return self.directory / "graphs"

    def test_names_each_declaration_without_a_comment_and_its_place(self):
        found = sorted(comments.missing(self.graphs(SOURCE)))
        self.assertEqual(found, sorted([
            f"{self.source}:5: Lamp.color has no doc comment",
            f"{self.source}:7: Lamp.Kind has no doc comment",
            f"{self.source}:7: Lamp.Kind.desk has no doc comment",
            f"{self.source}:11: Array.lamps has no doc comment",
        ]))

    def test_a_folder_without_graphs_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "no symbol graph"):
            list(comments.missing(self.directory))


if __name__ == "__main__":
    unittest.main()
