"""Tests/Documentation/comments.py FOLDER...: finds public declarations without a doc comment.

Each FOLDER has the symbol graphs of one module (`swift symbolgraph-extract -skip-inherited-docs`). Declarations that the compiler
synthesises have no place in a source file and need no comment.
"""
import json
import pathlib
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def symbols(folder):
    for graph in sorted(pathlib.Path(folder).glob("*.symbols.json")):
        yield from json.loads(graph.read_text())["symbols"]


def place(symbol):
    location = symbol["location"]
    path = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(location["uri"]).path))
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{location['position']['line'] + 1}"


def missing(folder):
    """Yields the declarations of a module that have no doc comment. Raises ValueError if there is no declaration at all."""
    declared = [symbol for symbol in symbols(folder) if "location" in symbol]
    if not declared:
        raise ValueError(f"{folder} has no symbol graph with a declaration")
    for symbol in declared:
        if not any(line["text"].strip() for line in symbol.get("docComment", {}).get("lines", [])):
            yield f"{place(symbol)}: {'.'.join(symbol['pathComponents'])} has no doc comment"


def main(folders):
    if not folders:
        sys.exit(__doc__)
    try:
        found = sorted(line for folder in folders for line in missing(folder))
    except ValueError as error:
        sys.exit(f"comments.py: {error}")
    print("\n".join(found) or f"every public declaration of {len(folders)} modules has a doc comment")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
