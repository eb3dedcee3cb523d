"""README.md and docs/: their lines, links, paths and commands, as tests/cli/test_docs.sh checks them.

A block of commands (```sh) or of Python (```python) is run if the line before it is <!-- tested -->. One that is not says
why not: <!-- not tested: REASON -->. Commands in a table are run where the line before it is <!-- tested -->: those that are
alone in the last column. A ```text block after <!-- prints --> has lines that the block before it prints, one after
<!-- layout of FILE --> a line for each dataset of an HDF5 file: name, type, shape. Python that
begins with "# needs PACKAGE..." is run where these are there. All of a page runs in one
folder, in the order of the page, after tests/cli/pages/PAGE.sh where that is there. The first fault ends it."""

import importlib.util
import os
import re
import subprocess
import sys
import unicodedata

# Pages whose commands a test of their own runs.
TESTED_ELSEWHERE = {"NEIGHBOURS.md", "NEAR_DUPLICATES.md", "FILES.md", "EXPORT.md", "PLAN.md", "PYTHON.md",
                    "PACKAGES.md"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
COMMENT = re.compile(r"<!-- (tested|prints|layout of \S+|not tested: [^>]*) -->\n\Z")


def anchor(heading):
    """The name that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    kept = (c for c in text if c in " -_" or unicodedata.category(c)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def without_blocks(text):
    return FENCE.sub("", text)


def anchors(path):
    with open(path) as f:
        return {anchor(line.lstrip("#")) for line in without_blocks(f.read()).split("\n") if re.match("#+ ", line)}


def broken_links(path, root):
    with open(path) as f:
        text = without_blocks(f.read())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, part = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(there):
            yield f"{target}: there is no such file"
        elif part and part not in anchors(there):
            yield f"{target}: there is no such heading"
    with open(path) as f:
        for name in sorted(set(re.findall(r"\b(?:scripts|slurm|include|src|tests|docs)/[\w./-]*\w(?![\w./*-])", f.read()))):
            if "NAME" not in name and not os.path.exists(os.path.join(root, name)):
                yield f"{name}: there is no such file"


def unknown_messages(path, root):
    """Messages in the first column, under "## Messages", that no source has."""
    literals = []
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            with open(os.path.join(folder, name)) as f:
                literals.append(re.sub(r'"\s*\n\s*"', "", f.read()))
    sources = "\n".join(literals)
    with open(path) as f:
        text = f.read().partition("\n## Messages\n")[2]
    messages = re.findall(r"^\| `([^`]*)` \|", text, re.M)
    if not messages:
        yield "there are none"
    for message in messages:
        for part in message.split("..."):
            if part.strip(" '") not in sources:
                yield f"{message}: no source says '{part}'"


def before(text, start):
    match = COMMENT.search(text[:start])
    return match.group(1) if match else ""


def parts(path):
    """(line, kind, text) of all that is to be run, in order; kind: sh, python, prints, layout of FILE, unmarked."""
    with open(path) as f:
        text = f.read()
    found = []
    for match in FENCE.finditer(text):
        kind, mark = match.group(1), before(text, match.start())
        if mark == "prints" or mark.startswith("layout"):
            found.append((match.start(), mark, match.group(2)))
        elif kind in ("sh", "python") and mark == "tested":
            found.append((match.start(), kind, match.group(2)))
        elif kind in ("sh", "python") and not mark.startswith("not tested"):
            found.append((match.start(), "unmarked", match.group(2)))
    for match in re.finditer(r"(?<=^<!-- tested -->\n)(?:^\|.*\n)+", text, re.M):
        for command in re.finditer(r"\| `([^`]*)` \|$", match.group(0), re.M):
            found.append((match.start() + command.start(), "sh", command.group(1).replace(r"\|", "|") + "\n"))
    for start, kind, block in sorted(found):
        yield f"line {text.count(chr(10), 0, start) + 1}", kind, block


def needed(block):
    match = re.match("# needs (.*)", block)
    return match.group(1).split() if match else []


def layout(name):
    """{dataset: (type, dimensions)} of a file."""
    import h5py

    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[f"/{name}"] = ("string" if h5py.check_string_dtype(item.dtype) else str(item.dtype), item.ndim)

    with h5py.File(name) as f:
        f.visititems(visit)
    return found


def told_layout(block):
    """The same, of a page."""
    lines = (re.match(r"(\S+) +(\S+) +\(([^)]*)\)", line).groups() for line in block.splitlines())
    return {name: (kind, len(shape.split(","))) for name, kind, shape in lines}


def set_up(path, root):
    name = os.path.join(root, "tests/cli/pages", os.path.basename(path).replace(".md", ".sh"))
    if os.path.exists(name):
        with open(name) as f:
            yield "the preparation", "sh", f.read()


def run(path, root):
    """Runs a page in this folder. Says what went wrong first, or nothing."""
    printed = None
    for line, kind, block in [*set_up(path, root), *parts(path)]:
        if kind == "unmarked":
            if os.path.basename(path) not in TESTED_ELSEWHERE:
                return [f"{line}: neither <!-- tested --> nor <!-- not tested: why -->"]
        elif kind == "prints":
            lost = [told for told in block.splitlines() if told not in (printed or "").splitlines()]
            if lost:
                return [f"{line}: '{lost[0]}' is not printed, but:\n{printed}"]
        elif kind.startswith("layout"):
            told, found = told_layout(block), layout(kind.split()[-1])
            if told != found:
                return [f"{line}: differs in {dict(told.items() ^ found.items())} from {found}"]
        elif kind == "sh" or all(map(importlib.util.find_spec, needed(block))):
            words = ["bash", "-euc", 'python3() { /usr/bin/python3 "$@"; }\n' + block] if kind == "sh" else ["/usr/bin/python3", "-c", block]
            done = subprocess.run(["timeout", "-k", "5", "900", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            printed = done.stdout + done.stderr
            if done.returncode != 0:
                return [f"{line}: exit code {done.returncode}\n{block}{printed[-4000:]}"]
    return []


def main():
    what, path, root = sys.argv[1:]
    look = {"run": run, "links": broken_links, "messages": unknown_messages}[what]
    faults = list(look(path, root))
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
