"""trimine in process: the same bits as the program, on the ranks of mpi4py."""
import ctypes
import ctypes.util
import json
import os
import re
import subprocess
import sys
import unittest
import warnings

import support

import h5py
import numpy as np

import trimine
from trimine import _abi, _options

LACKS = support.lacks("mpi4py") or ("" if os.environ.get("TRIMINE_LIBRARY") else "no libtrimine.so in this build")


def check(ranks, name):
    support.on_ranks(ranks, os.path.join(support.ROOT, "tests/python/on_ranks.py"), name)


CASES = [{}, {"margin": 0.5}, {"soft": True}, {"soft": True, "margin": 0.25, "window": "none"}, {"swap": True, "window": "none"},
         {"at_zero": "whole"}, {"positives": "hardest", "negatives": "hard"}, {"negatives": "topk:3", "negative_ranks": "2-6"},
         {"negatives": "topk:3", "min_distance": 2.0, "max_distance": 9.0, "rank_order": "after", "negative_ranks": "1-4"},
         {"negatives": "topk:3", "absolute_margin": 0.1}, {"negatives": "hard", "relative_margin": 0.1},
         {"negatives": "hard", "not_near_positive": 1.0}, {"negatives": "topk:2", "shortlist": "st-mine", "metric": "cosine"},
         {"negatives": "random:3", "seed": 5}, {"negatives": "hard", "lone": True}, {"negatives": "hard-all", "emit": True},
         {"negatives": "violating", "emit": True, "max_triplets": 100000},
         {"normalize": True, "margin": 0.2}, {"normalize": True, "gradient_at": "normalized", "metric": "l2"}, {"ignore_label": [1, 2]},
         {"ignore_label": 0, "negatives": "hard", "normalize": True}, {"batches": 7, "classes_per_batch": 2, "rows_per_class": 5, "seed": 3},
         {"batches": 2, "classes_per_batch": 5, "rows_per_class": 100, "negatives": "hard-all", "emit": True, "normalize": True},
         {"loss": "batch-all", "normalize": True}, {"loss": "batch-hard", "normalize": True, "ignore_label": 1},
         *({"compat": name} for name, (packed, _) in _options.PRESETS.items() if not packed), {"compat": "facenet", "margin": 0.5},
         {"compat": "tfs", "positives": "all"},
         {"loss": "batch-hard"}, {"loss": "batch-hard", "lone": True}, {"loss": "batch-all"}, {"loss": "batch-all", "within": 0.5},
         *({"metric": w, "window": "none"} for w in _options.WORDS["metric"]), *({"window": w} for w in _options.WORDS["window"]),
         *({"pick": w, "window": "none", "seed": 3} for w in _options.WORDS["pick"]),
         *({"fallback": w, "seed": 2} for w in _options.WORDS["fallback"]),
         *({"reduction": w, "window": "none"} for w in _options.WORDS["reduction"])]


def is_mined(case):
    """Does the program's mine do it, too? It makes triplets."""
    return {**_options.PRESETS.get(case.get("compat"), (0, {}))[1], **case}.get("loss", "mined") == "mined"


PACKED = [{}, {"negatives": "hard", "soft": True}, {"negatives": "topk:2", "metric": "l2", "margin": 0.5, "swap": True},
          {"window": "none", "pick": "farthest", "fallback": "hardest"}, {"negatives": "random:2", "seed": 5, "reduction": "sum"},
          {"normalize": True, "metric": "l2"}, {"normalize": True, "gradient_at": "normalized"}, {"metric": "cosine", "norm_floor": 9.0},
          {"compat": "guide-1"}, {"compat": "guide-2", "margin": 0.25}, {"compat": "guide-3"}, {"negatives": "violating", "at_zero": "whole"}]


class Layout(support.Case):
    @unittest.skipUnless(os.environ.get("TRIMINE_MPICC"), "no libtrimine.so in this build")
    def test_structs_are_the_headers(self):
        """Offsets and sizes of all members, by the C compiler."""
        lines, wanted = [], []

        def members(c, struct, prefix="", base=0):
            for name, kind in struct._fields_:
                member = getattr(struct, name)
                wanted.append(f"{c} {prefix}{name} {base + member.offset} {member.size}")
                lines.append(f'printf("{c} {prefix}{name} %zu %zu\\n", offsetof({c}, {prefix}{name}), sizeof(((({c} *)0)->{prefix}{name})));')
                if isinstance(kind, type) and issubclass(kind, ctypes.Structure) and kind not in _abi.NAMED.values():
                    members(c, kind, f"{prefix}{name}.", base + member.offset)

        for c, struct in _abi.NAMED.items():
            wanted.append(f"{c} {ctypes.sizeof(struct)}")
            lines.append(f'printf("{c} %zu\\n", sizeof({c}));')
            members(c, struct)
        with open("layout.c", "w", encoding="ascii") as f:
            f.write("#include <trimine/trimine.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n" + "\n".join(lines) + "\n}\n")
        build = os.path.dirname(os.environ["TRIMINE_LIBRARY"])
        subprocess.run([os.environ["TRIMINE_MPICC"], f"-I{support.ROOT}/include", f"-I{build}/include", "layout.c", "-o", "layout"],
                       check=True)
        self.assertEqual(subprocess.run("./layout", stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines(), wanted)

    def test_sources_are_the_headers(self):
        with open(os.path.join(support.ROOT, "include/trimine/loss.h"), encoding="utf-8") as f:
            names = re.findall(r"^\s+TRM_SOURCE_(\w+)", f.read(), re.M)
        self.assertEqual([n.lower().replace("_", "-") for n in names], sorted(_abi.SOURCES, key=_abi.SOURCES.get))


class Data(support.Case):
    def data(self, cases=()):
        """Rows, queries and pairs with what the program makes of them, for the ranks to compare with."""
        x, y = self.rows(50)
        y[-1] = 9  # alone in its class
        q, z = self.rows(9, seed=4)
        pairs = np.array([(i % 9, (5 * i) % 50) for i in range(15)])
        saved = dict(x=x, y=y, q=q, z=z, pairs=pairs)
        for i, case in enumerate(cases):
            if is_mined(case):
                r = trimine.mine(x, labels=y, gradient=True, **case)
                saved[f"triplets{i}"] = np.stack([r.anchor, r.positive, r.negative], axis=1)
            else:
                r = trimine.loss(x, labels=y, gradient=True, **case)
            saved[f"gradient{i}"], saved[f"value{i}"] = r.gradient, r.value
        for name, more in (("labels", {"labels": y, "query_labels": z}), ("pairs", {"pairs": pairs})):
            r = trimine.mine(x, queries=q, negatives="topk:2", gradient=True, **more)
            saved.update({f"{name}_store": r.gradient["store"], f"{name}_queries": r.gradient["queries"], f"{name}_value": r.value})
        np.savez("rows.npz", **saved)
        with open("cases.json", "w", encoding="ascii") as f:
            json.dump([(case, is_mined(case)) for case in cases], f)


@unittest.skipIf(LACKS, LACKS)
class InProcess(Data):
    def test_losses_are_the_programs(self):
        self.data(CASES)
        for ranks in (1, 2, 3):
            check(ranks, "losses")

    def test_packed_triplets(self):
        """Anchors with K negatives, and with one each."""
        random = np.random.default_rng(2)
        saved = {name: random.standard_normal(shape).astype(np.float32) for name, shape in (
            ("anchor", (11, 4)), ("positive", (11, 4)), ("negatives", (11, 3, 4)), ("negative", (11, 4)))}
        for i, (case, form) in enumerate([(c, "negatives") for c in PACKED] + [({"soft": True}, "negative"), ({"compat": "guide-1"}, "negative")]):
            with h5py.File("packed.h5", "w") as f:
                for name in ("anchor", "positive", form):
                    f[name] = saved[name]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # guide-3 says what it is
                r = trimine.loss("packed.h5", gradient=True, **case)
            saved.update({f"{name}{i}": r.gradient[name] for name in ("anchor", "positive", form)})
            saved[f"value{i}"], saved[f"count{i}"] = r.value, r.report["triplets"]["total"]
            saved[f"case{i}"] = json.dumps([case, form])
        np.savez("packed.npz", **saved)
        for ranks in (1, 2, 3):
            check(ranks, "packed")

    def test_queries(self):
        self.data()
        for ranks in (1, 3):
            check(ranks, "queries")

    def test_errors_are_those_of_all_ranks(self):
        for ranks in (1, 2, 3):
            check(ranks, "errors")

    def test_jobs(self):
        x, y = self.rows(40)
        trimine.write_store("store.h5", x, y)
        hashes = {"mine": trimine.mine("store.h5", negatives="topk:2"), "knn": trimine.knn("store.h5", k=3),
                  "radius": trimine.radius("store.h5", radius=2.0, output=False), "eval": trimine.evaluate("store.h5")}
        with open("job.json", "w", encoding="ascii") as f:
            json.dump({name: r.result_hash for name, r in hashes.items()}, f)
        for ranks in (1, 2):
            check(ranks, "jobs")

    def start(self, **environment):
        """What a first Run says, on one process, where something is not as it has to be."""
        script = "from trimine import mpi\ntry: mpi.Run()\nexcept mpi.TrimineError as e: print(e.code, e.kind, e)"
        return subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python"), **environment)).stdout

    def test_without_a_library(self):
        said = self.start(TRIMINE_LIBRARY="/nowhere/libtrimine.so")
        self.assertRegex(said, "69 environment .*can't be loaded.*TRIMINE_LIBRARY")

    @unittest.skipUnless(os.environ.get("TRIMINE_MPICC"), "no libtrimine.so in this build")
    def test_another_mpi(self):
        """A library that is linked to another MPI than mpi4py is refused before anything of it is called."""
        with open("mpi.c", "w", encoding="ascii") as f:
            f.write("""#include <string.h>
int MPI_Get_library_version(char *text, int *length) { strcpy(text, "Some other MPI 1.0"); *length = 18; return 0; }
int MPI_Comm_dup(void *comm, void **made) { *made = comm; return 0; }""")
        self.assertRegex(self.start(TRIMINE_LIBRARY=ctypes.util.find_library("m")), "69 environment .*is linked to no MPI library")
        with open("trimine.c", "w", encoding="ascii") as f:
            f.write("int MPI_Comm_dup(void *, void **); void *trm_run_create = (void *)MPI_Comm_dup;")
        subprocess.run("cc -shared -fPIC -o libother.so mpi.c -Wl,-soname,libother.so && "
                       "cc -shared -fPIC -o libtrimine.so trimine.c -L. -lother -Wl,-rpath,$PWD", shell=True, check=True)
        script = "from mpi4py import MPI; print(*MPI.Get_library_version().splitlines()[0].partition(',')[0].split())"
        theirs = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.assertRegex(theirs, "^(Open MPI|MPICH)")
        self.assertRegex(self.start(TRIMINE_LIBRARY=os.path.abspath("libtrimine.so")),
                         r"69 environment .*libtrimine.so' is linked to another MPI library \(Some other MPI 1.0\) than mpi4py "
                         + re.escape(f"({theirs})"))

    def test_launcher_of_another_mpi(self):
        """One of several processes that MPI does not connect would work alone, and give a wrong loss."""
        self.assertRegex(self.start(PMI_SIZE="2", PMI_RANK="0", PMI_FD="9"),
                         r"^69 environment .*launched as 2 tasks that MPI does not connect \(PMI_SIZE\): use the mpirun of the MPI")

    def test_kinds_of_handles(self):
        """Open MPI's are pointers, MPICH's are ints."""
        script = """
import ctypes
from trimine import mpi
class Fake:
    class Comm: pass
    def __init__(self, kind, value): self.kind, self.value = kind, kind(value)
    def _sizeof(self, _): return ctypes.sizeof(self.kind)
    def _addressof(self, _): return ctypes.addressof(self.value)
for kind, value in ((ctypes.c_void_p, 0x7f12345678), (ctypes.c_int, 0x44000000)):
    mpi.MPI = Fake(kind, value)
    handle = mpi._handle(None)
    assert type(handle) is kind and handle.value == value, (handle, value)
"""
        subprocess.run([sys.executable, "-c", script], check=True, env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")))


if __name__ == "__main__":
    support.main()
