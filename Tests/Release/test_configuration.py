"""Tests that lambda/packaging/compare-configuration reports every difference between curl_config.h and the list."""

import pathlib
import subprocess
import tempfile
import unittest

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "lambda/packaging"
LIST = PACKAGING / "libcurl.configuration"


def entries():
    """Returns the names in the list with their values; None for a name that isn't defined."""
    for line in LIST.read_text().splitlines()[1:]:
        if not line.startswith("cross:"):
            name, _, value = line.partition(" ")
            yield name, ("any" if value == "*" else value) or None


def header(values):
    """Returns a curl_config.h as configure writes it."""
    return "".join(
        f"/* #undef {name} */\n" if value is None else f"#define {name} {value}\n" for name, value in values.items())


class ConfigurationTests(unittest.TestCase):
    def compare(self, values, version="7.88.1", build="native"):
        with tempfile.NamedTemporaryFile("w", suffix=".h") as file:
            file.write(header(values))
            file.flush()
            return subprocess.run(
                [PACKAGING / "compare-configuration", version, build, file.name], capture_output=True, text=True)

    def test_agrees_with_itself(self):
        result = self.compare(dict(entries()))
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)

    def test_notices_each_feature_that_is_dropped_or_that_came(self):
        whole = dict(entries())
        self.assertIn("ENABLE_IPV6", whole)
        self.assertGreater(len(whole), 300)
        changed = {name: "1" if value is None else None for name, value in whole.items()}
        noticed = [line.partition(" is ")[0] for line in self.compare(changed).stdout.splitlines()]
        self.assertEqual(noticed, sorted(whole))
        for name in ("ENABLE_IPV6", "USE_ARES", "USE_LIBPSL"):
            result = self.compare({**whole, name: changed[name]})
            self.assertEqual(result.returncode, 1, name)
            self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)

    def test_notices_names_that_only_one_side_has(self):
        whole = dict(entries())
        result = self.compare({**whole, "USE_SOMETHING_NEW": "1"})
        self.assertEqual((result.returncode, "USE_SOMETHING_NEW" in result.stdout), (1, True))
        del whole["ENABLE_IPV6"]
        result = self.compare(whole)
        self.assertEqual((result.returncode, "ENABLE_IPV6 is missing" in result.stdout), (1, True))

    def test_compares_what_both_have_with_another_version(self):
        whole = dict(entries())
        del whole["CURL_DISABLE_MQTT"]
        result = self.compare({**whole, "USE_SOMETHING_NEW": "1"}, version="8.5.0")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("new USE_SOMETHING_NEW; gone CURL_DISABLE_MQTT", result.stderr)
        self.assertEqual(self.compare({**whole, "ENABLE_IPV6": None}, version="8.5.0").returncode, 1)

    def test_a_cross_build_has_separate_lines(self):
        whole = dict(entries())
        self.assertEqual(self.compare(whole, build="cross").returncode, 1)
        cross = {**whole, "HAVE_WRITABLE_ARGV": None, "RANDOM_FILE": None}
        self.assertEqual(self.compare(cross, build="cross").returncode, 0)


if __name__ == "__main__":
    unittest.main()
