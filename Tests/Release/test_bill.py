"""Tests that the bill of materials conforms to CycloneDX's schema.

Environment: RELEASE_ZIP. The bill is in the same directory.
"""

import json
import os
import pathlib
import unittest

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

BILL = pathlib.Path(os.environ["RELEASE_ZIP"]).with_suffix(".cdx.json")


class BillTests(unittest.TestCase):
    def problem(self, text):
        return JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)

    def test_is_valid(self):
        self.assertIsNone(self.problem(BILL.read_text()))

    def test_detects_a_wrong_one(self):
        for damage in (lambda bill: bill.update(strange=1), lambda bill: bill["components"][0].update(type="strange"),
                       lambda bill: bill["components"][0]["licenses"][0].update(license={"id": "strange"}),
                       lambda bill: bill["components"].append(bill["components"][0])):
            bill = json.loads(BILL.read_text())
            damage(bill)
            self.assertIsNotNone(self.problem(json.dumps(bill)))

    def test_refers_to_what_it_lists(self):
        bill = json.loads(BILL.read_text())
        listed = [component["bom-ref"] for component in bill["components"]]
        self.assertEqual(len(listed), len(set(listed)))
        product = bill["metadata"]["component"]["bom-ref"]
        self.assertEqual(bill["dependencies"], [{"ref": product, "dependsOn": listed}])


if __name__ == "__main__":
    unittest.main()
