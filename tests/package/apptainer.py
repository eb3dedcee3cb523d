#!/usr/bin/env python3
"""A section of a stage of an Apptainer definition.

apptainer.py DEFINITION STAGE SECTION
"""
import re
import sys


def sections(path):
    """{stage: {section's first line: its lines}}; the header of a stage is the section ''."""
    stages, header, lines = {}, {}, []
    for line in open(path):
        key = re.match(r"(Bootstrap|From|Stage): *(.*)", line)
        if key:
            if key[1] == "Bootstrap":
                header = {}
            header[key[1]] = key[2]
            if key[1] == "Stage":
                stages[key[2]] = {"": header}
        elif line.startswith("%"):
            lines = stages[header["Stage"]].setdefault(line[1:].strip(), [])
        elif line.strip() and not line.startswith("#"):
            lines.append(line)
    return stages


if __name__ == "__main__":
    sys.stdout.writelines(sections(sys.argv[1])[sys.argv[2]][sys.argv[3]])
