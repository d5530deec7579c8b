"""What Tests/Documentation/prose counts, and what it leaves out."""
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SCRIPT = pathlib.Path(__file__).with_name("prose")
loader = importlib.machinery.SourceFileLoader("prose", str(SCRIPT))
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prose", loader))
loader.exec_module(module)


class ProseTests(unittest.TestCase):
    def counts(self, name, text):
        """Returns the groups and lines of the hits in a file called `name`."""
        return [(group, number) for group, number, _ in module.hits(pathlib.Path(name), text)]

    def test_swift_counts_comments_and_literals(self):
        text = "/// Nil where it is.\nlet a = \"told\" // anew\n/* by\n * way of */\n"
        self.assertEqual(self.counts("a.swift", text), [("where", 1), ("tell", 2), ("anew", 2), ("by way of", 3)])

    def test_swift_ignores_code(self):
        text = "extension Array where Element: P {}\nfunc tell(where x: Int) {}\nfor x in y where x > 0 {}\n"
        self.assertEqual(self.counts("a.swift", text), [])

    def test_swift_ignores_code_in_an_interpolation_and_counts_what_follows(self):
        self.assertEqual(self.counts("a.swift", '"\\(list.first(where: { $0 == "told" })) anew"\nlet whoever = 1'),
                         [("tell", 1), ("anew", 1)])

    def test_swift_knows_every_kind_of_literal(self):
        text = '#"a "quote" where \\(told)"#\n"""\n  "x" anew \\\n  but\n  for\n  """\nlet x = where\n"\\"where"\n'
        self.assertEqual(self.counts("a.swift", text),
                         [("where", 1), ("where", 8), ("tell", 1), ("anew", 3), ("but for", 4)])

    def test_a_phrase_goes_on_in_the_next_comment_line_but_not_across_code(self):
        self.assertEqual(self.counts("a.swift", "  /// It is\n  /// taken.\n"), [("is taken", 1)])
        self.assertEqual(self.counts("a.swift", '"is" + \n"taken"\n'), [])

    def test_c_python_shell_and_pages(self):
        self.assertEqual(self.counts("a.h", "int where = '\"'; // told\nchar *s = \"anew\";\n"), [("tell", 1), ("anew", 2)])
        self.assertEqual(self.counts("a.py", "where = 'told'  # anew\n"), [("tell", 1), ("anew", 1)])
        self.assertEqual(self.counts("run", "#!/usr/bin/env bash\n# It is\n# taken.\necho where\n"),
                         [("where", 4), ("is taken", 2)])
        self.assertEqual(self.counts("a.md", "Where?\n```swift\nfor x in y where z {} // told\n```\n"),
                         [("where", 1), ("tell", 3)])

    def test_of_a_test_only_comments_and_names_count(self):
        text = "/// Told.\n  @Test func `is told anew`() {\n    use(\"told\", `where`)  // told\n  }\nstruct `Where` {}\n"
        path = module.ROOT / "Tests/ATests/a.swift"
        self.assertEqual([(group, number) for group, number, _ in module.hits(path, text)],
                         [("where", 5), ("tell", 1), ("tell", 2), ("anew", 2)])

    def test_what_is_no_thing_counts_but_not_what_does_not_exist(self):
        self.assertEqual(self.counts("a.md", "There is no URL.\nThis is no URL.\nIt is no longer one.\nOthers are none.\n"),
                         [("is no", 2), ("is no", 4)])

    def test_words_are_whole_words(self):
        self.assertEqual(self.counts("a.md", "nowhere, elsewhere, where-ever, storyteller, essay"), [])

    def test_a_count_above_its_budget_fails_and_lists_the_places(self):
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory, "Tests/Documentation")
            folder.mkdir(parents=True)
            copy = pathlib.Path(folder, "prose")
            copy.write_text(SCRIPT.read_text())
            budgets = pathlib.Path(folder, "prose-budgets.json")
            page = pathlib.Path(directory, "README.md")
            page.write_text("A page\nthat is told.\n")

            def run(*arguments):
                return subprocess.run([sys.executable, copy, *arguments], capture_output=True, text=True)

            budgets.write_text('{"tell": 0}')
            failed = run("--lower")
            self.assertEqual(failed.returncode, 1)
            self.assertIn("README.md:2: tell: that is told.", failed.stdout)
            budgets.write_text('{"tell": 3, "where": 2}')
            self.assertEqual(run().returncode, 0)
            self.assertEqual(run("--lower").returncode, 0)
            lowered = json.loads(budgets.read_text())
            self.assertEqual((lowered["tell"], lowered["where"]), (1, 0))
            self.assertEqual(run("--more").returncode, 2)


if __name__ == "__main__":
    unittest.main()
