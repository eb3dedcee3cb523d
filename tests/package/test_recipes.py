#!/usr/bin/env python3
"""Recipes and files about the project say what is there: Spack's recipe, the Apptainer definition, CITATION.cff.

test_recipes.py SOURCE
"""
import os
import re
import sys
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from apptainer import sections

source = os.path.realpath(sys.argv[1])
spack = os.path.join(source, "packaging/spack/spack_repo/trimine/packages/trimine/package.py")
failed = 0


def expect(what, truth):
    global failed
    if not truth:
        failed += 1
        print("FAILED:", what)


def text(path):
    with open(os.path.join(source, path)) as file:
        return file.read()


def spack_recipe():
    """The recipe, run with a Spack that only writes down what it is told: (class, directives)."""
    told = []
    words = types.ModuleType("spack.package")
    for word in ("license", "version", "variant", "depends_on", "requires"):
        setattr(words, word, lambda *values, _word=word, **named: told.append((_word, values, named)))
    base = types.ModuleType("spack_repo.builtin.build_systems.cmake")
    base.CMakePackage = type("CMakePackage", (), {
        "define": staticmethod(lambda name, value: (name, value)),
        "define_from_variant": lambda self, name, variant: (name, ("variant", variant))})
    for module in ("spack", "spack_repo", "spack_repo.builtin", "spack_repo.builtin.build_systems"):
        sys.modules[module] = types.ModuleType(module)
    sys.modules["spack.package"], sys.modules["spack_repo.builtin.build_systems.cmake"] = words, base
    inside = {"__file__": spack, "__name__": "trimine"}
    exec(compile(text(spack), spack, "exec"), inside)
    return inside["Trimine"], told


class Found:
    """A dependency of which anything may be asked."""

    def __getattr__(self, name):
        return Found()

    def __getitem__(self, name):
        return Found()

    def __call__(self, *values):
        return Found()


recipe, told = spack_recipe()
expect("the recipe builds the checkout that it is in", recipe.git == "file://" + source)
variants = {values[0] for word, values, _ in told if word == "variant"}
needs = {re.match(r"[a-z0-9-]+", values[0])[0] for word, values, _ in told if word == "depends_on"}
cmake = re.sub("#.*", "", text("CMakeLists.txt") + text("cmake/blas.cmake") + text("cmake/hdf5.cmake"))
package = recipe()
package.spec = Found()
for name, value in package.cmake_args():
    expect(f"CMake knows {name}", name in ("BUILD_TESTING", "MPI_C_COMPILER") or re.search(rf"\b{name}\b", cmake))
    if isinstance(value, tuple):
        expect(f"{name} is set from a variant of the recipe, not {value[1]}", value[1] in variants)

# What CMake looks for is in the recipe, by Spack's name for it.
spack_names = {"MPI": "mpi", "OpenMP": "c", "PkgConfig": "pkgconfig", "ZLIB": "zlib-api", "BLAS": "blas", "LAPACK": "lapack",
               "HDF5": "hdf5", "jansson": "jansson", "libxxhash": "xxhash", "Random123": "random123"}
looked_for = re.findall(r"find_package\((\w+)", cmake) + re.findall(r"IMPORTED_TARGET (\w+)", cmake) + \
    re.findall(r"find_path\(\w+ (\w+)/", cmake)
for name in looked_for:
    expect(f"the recipe has {name}", spack_names.get(name) in needs)
least = re.search(r"cmake_minimum_required\(VERSION ([\d.]+)", cmake)[1]
expect(f"the recipe asks for CMake {least}", ("depends_on", (f"cmake@{least}:",), {"type": "build"}) in told)

# The image: its stages, what they copy, and that what is installed is copied.
# What a build needs on Debian is the scripts' list, in the words of BUILDING.md.
listed = re.search(r"build\) cat <<'LIST' ;;\n(.*?)^LIST$", text("scripts/lib.sh"), re.S | re.M)[1]
told_to_install = re.search(r"^apt install ((?:.*\\\n)*.*)$", text("docs/BUILDING.md"), re.M)[1].replace("\\\n", " ").split()
expect("BUILDING.md installs what the scripts do",
       told_to_install == [line.split()[0].split("|")[0] for line in listed.splitlines()])

stages = sections(os.path.join(source, "packaging/apptainer/trimine.def"))
expect("the image is made in two stages", list(stages) == ["build", "final"])
copied = [line.split() for line in stages["build"]["files"]]
for inside, outside in copied:
    expect(f"the image copies {inside}, which is there", os.path.exists(os.path.join(source, inside)))
    expect(f"{inside} goes to its place", outside == "/source/" + inside)
for path in re.findall(r"install\((?:DIRECTORY|FILES) ((?:(?!DESTINATION)[\w./-]+\s+)+)",
                       text("CMakeLists.txt") + text("cmake/packages.cmake")):
    for one in path.split():
        expect(f"the image copies {one}, which is installed", one.split("/")[0] in [inside for inside, _ in copied])
for path in re.findall(r"\$\{root\}/([\w.]+)", text("cmake/package_files.cmake")):
    expect(f"the image copies {path}, which packages need", path in [inside for inside, _ in copied])

# One version and one name everywhere.
version = re.search(r"project\(trimine VERSION ([\d.]+)", text("CMakeLists.txt"))[1]
expect("CITATION.cff has the version", f"\nversion: {version}\n" in text("CITATION.cff"))
expect("docs/PACKAGES.md names the package of the library", f"`libtrimine{version.rpartition('.')[0]}`" in text("docs/PACKAGES.md"))
expect("CITATION.cff names who LICENSE names", re.search(r"\d{4} (.*)", text("LICENSE"))[1] in text("CITATION.cff"))

print(f"{failed} failed")
sys.exit(failed != 0)
