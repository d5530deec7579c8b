"""Checks that the tests, files and links in the documentation exist, and that README.md keeps to its length.

A citation of a test follows the word "test" or "tests", or is in the last column of a table headed "shown by". Files and folders
are checked in docs/architecture.md, relative links in every page. The changelog must begin with a section for the version of this
package or with [Unreleased]; sections of older versions follow, with their dates.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("lambda/**/*.md"), ROOT / "Tests/Fixtures/README.md"])
README_WORDS = 900
SPAN = re.compile(r"`([^`]+)`")


def known_tests():
    names = set()
    for file in ROOT.glob("Tests/**/*.swift"):
        names |= set(re.findall(r"func `([^`]+)`\(", file.read_text()))
    for file in ROOT.glob("Tests/**/test_*.py"):
        names |= set(re.findall(r"def (test_\w+)\(", file.read_text()))
    return names


def cited_tests(text):
    for citation in re.findall(r"\btests? ((?:`[^`]+`(?:,| and)?\s*)+)", text):
        yield from (" ".join(name.split()) for name in SPAN.findall(citation))
    is_table = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            is_table = False
        elif cells[-1] == "shown by":
            is_table = True
        elif is_table:
            yield from SPAN.findall(cells[-1])


def sections(page):
    """Returns the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def changelog_problems():
    printed = subprocess.run([ROOT / "lambda/packaging/version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    current = tuple(map(int, printed.split(".")))
    versions = []
    for number, heading in enumerate(re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)):
        found = re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", heading)
        if found:
            versions.append(tuple(map(int, found.groups())))
        elif number or heading != "[Unreleased]":
            yield f"CHANGELOG.md: the section '{heading}' is neither '[X.Y.Z] - YYYY-MM-DD' nor, at the top, '[Unreleased]'"
        else:
            versions.append(current)
    if versions[:1] != [current] or any(older >= newer for newer, older in zip(versions, versions[1:])):
        yield f"CHANGELOG.md: {printed} isn't the first version, or the others don't descend from there"


def problems():
    yield from changelog_problems()
    words = len((ROOT / "README.md").read_text().split())
    if words > README_WORDS:
        yield f"README.md has {words} words, more than {README_WORDS}: move details to docs/"
    tests, cited = known_tests(), 0
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
        for name in cited_tests(text):
            cited += 1
            if name not in tests and not (ROOT / name).is_file():
                yield f"{page.relative_to(ROOT)}: there is no test `{name}`"
        for target in re.findall(r"\]\(([^):]+)\)", text):
            file, _, section = target.partition("#")
            place = page.parent / file if file else page
            if not place.exists() or section and section not in sections(place):
                yield f"{page.relative_to(ROOT)}: the link {target} leads nowhere"
        if page.name == "architecture.md":
            for name in SPAN.findall(text):
                if "/" in name and not name.startswith("/") and not (ROOT / name).exists():
                    yield f"{page.relative_to(ROOT)}: there is no file or folder {name}"
    if cited < 30:
        yield f"only {cited} citations were found; the pages have more"


found = list(problems())
print("\n".join(found) or "every test, file and link that the pages name exists")
sys.exit(1 if found else 0)
