"""Stores of Parquet files, by write_store and from the shell. Where pyarrow is missing, test_wheel.py runs this in a venv that has it."""
import os
import subprocess
import sys
import unittest

import support

import h5py
import numpy as np

import trimine

LACKS = support.lacks("pyarrow")
if not LACKS:
    import pyarrow as pa
    import pyarrow.parquet as pq


def fixed(x):
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(x)), x.shape[1])


@unittest.skipIf(LACKS, LACKS)
class Parquet(support.Case):
    def write(self, name="x.parquet", rows=None, **columns):
        pq.write_table(pa.table(columns), name, row_group_size=rows or 7)

    def fails(self, code, text, *given, **options):
        with self.assertRaises(trimine.TrimineError) as caught:
            trimine.write_store("s.h5", *(given or ("x.parquet",)), **options)
        self.assertEqual(caught.exception.code, code)
        self.assertRegex(caught.exception.message, text)
        self.assertEqual([n for n in os.listdir(".") if n != "s.h5" and ("s.h5" in n or n.endswith(".tmp"))], [])
        self.assertFalse(os.path.exists("s.h5"))

    def test_types_of_lists(self):
        x, y = self.rows(50)
        large = pa.LargeListArray.from_arrays(np.arange(0, 251, 5), pa.array(x.ravel()))
        for kind, column in (("f4", fixed(x)), ("f4", pa.array(list(x))), ("f4", large), ("f8", pa.array(list(x.astype("f8")))),
                             ("f2", fixed(x.astype("f2"))), ("i2", pa.array(list((x * 99).astype("i2")))),
                             ("u1", pa.array(list(np.abs(x * 9).astype("u1")))), ("f4", pa.FixedShapeTensorArray.from_numpy_ndarray(x))):
            for rows in (7, 1000):
                with self.subTest(kind=kind, column=str(column.type), rows=rows):
                    self.write(rows=rows, other=pa.array(y), emb=column)
                    trimine.write_store("s.h5", "x.parquet", labels="other", overwrite=True)
                    with h5py.File("s.h5") as f:
                        self.assertEqual(f["embeddings"].dtype, np.dtype(kind))
                        wanted = column.to_numpy_ndarray() if hasattr(column, "to_numpy_ndarray") else np.array(column.to_pylist())
                        self.same(f["embeddings"][()], wanted.astype(kind))
                        self.same(f["labels"][()], y)

    def test_labels_and_ids(self):
        x, y = self.rows(12)
        names = ["Kölsch", "b", "", "日本"] * 3
        emb = fixed(x)
        for labels in (names, pa.array(names, pa.large_string()), pa.array([n.encode() for n in names]),
                       pa.array(names).dictionary_encode(), *([pa.array(names).cast(pa.string_view())] if hasattr(pa, "string_view") else [])):
            self.write(emb=emb, topic=labels, url=[f"doc {i}" for i in range(12)])
            trimine.write_store("s.h5", "x.parquet", labels="topic", ids="url", overwrite=True)
            r = trimine.mine("s.h5")
            self.assertEqual((list(r.labels), r.ids[11]), (names, "doc 11"))
            self.assertEqual(r.result_hash, trimine.mine(x, labels=names).result_hash)
        for labels in (y.astype("i1"), y.astype("u8"), y.astype("f4"), y > 1):
            self.write(emb=emb, topic=pa.array(labels), url=pa.array(np.arange(12) + 5))
            trimine.write_store("s.h5", "x.parquet", labels="topic", ids="url", overwrite=True)
            r = trimine.mine("s.h5")
            self.same(r.labels, labels)
            self.same(r.ids, np.arange(12) + 5)

    def test_several_files_and_folders(self):
        x, y = self.rows(50)
        os.mkdir("all.parquet")
        for i, (first, last) in enumerate(((0, 20), (20, 20), (20, 50))):
            self.write(f"all.parquet/part-{i}.parquet", emb=fixed(x[first:last]), y=pa.array(y[first:last]))
        open("all.parquet/_SUCCESS", "w").close()
        wanted = trimine.mine(x, labels=y).result_hash
        for files in ("all.parquet", [f"all.parquet/part-{i}.parquet" for i in range(3)], [b"all.parquet"]):
            trimine.write_store("s.h5", files, labels="y", overwrite=True)
            self.assertEqual(trimine.mine("s.h5").result_hash, wanted)

    def test_pieces(self):
        from trimine import parquet, store
        x, _ = self.rows(50)
        before = store.CHUNK, parquet.PIECE
        store.CHUNK, parquet.PIECE = 4 * 3 * 20, 4
        try:
            self.write(rows=20, emb=pa.array(list(x)), who=[str(i) for i in range(50)])
            trimine.write_store("s.h5", "x.parquet", labels="who")
        finally:
            store.CHUNK, parquet.PIECE = before
        with h5py.File("s.h5") as f:
            self.same(f["embeddings"], x)
            self.assertEqual([v.decode() for v in f["labels"]], [str(i) for i in range(50)])

    def test_nulls_and_ragged_lists(self):
        x, _ = self.rows(20)
        lists = x.tolist()
        for row, value, text in ((9, None, "'emb', row 9: is null"), (8, [1.0] * 4, "'emb', row 8: has 4 values, the first row has 5"),
                                 (19, [1.0] * 6, "row 19: has 6 values"), (7, [1.0, None, 1.0, 1.0, 1.0], "row 7: value 1 is null"),
                                 (3, [], "row 3: has 0 values"), (0, [], "row 0: is an empty list"), (0, None, "row 0: is null")):
            with self.subTest(text):
                self.write(emb=lists[:row] + [value] + lists[row + 1:])
                self.fails(65, f"'x.parquet': column.*{text}")
        try:
            self.write(emb=pa.array([None if i == 9 else v for i, v in enumerate(lists)], pa.list_(pa.float32(), 5)))
        except pa.ArrowNotImplementedError:
            pass  # older ones don't write these
        else:
            self.fails(65, "'emb', row 9: is null")
        for what, values in (("labels", [1, 2, None, 4] * 5), ("ids", ["a", "b", None, "d"] * 5)):
            self.write(emb=lists, y=values)
            self.fails(65, "column 'y', row 2: is null", "x.parquet", **{what: "y"})

    def test_wrong_columns(self):
        x, y = self.rows(20)
        self.write(a=fixed(x), b=fixed(x), y=pa.array(y), t=["x"] * 20, d=pa.array(y.astype("i4")).cast(pa.date32()), m=pa.array([[[1.0]]] * 20),
                   s=pa.array([["a"]] * 20), q=pa.array(y * 1.5))
        self.fails(65, r"several columns are lists of numbers \(a, b\): name one by column")
        self.fails(65, "no column 'c'; there are a, b, y", "x.parquet", column="c")
        self.fails(65, "column 'y' is int64, need lists of numbers", "x.parquet", column="y")
        self.fails(65, "column 'm' is list<.*need lists of numbers", "x.parquet", column="m")
        self.fails(65, "column 's' is list<.*string>, need lists of numbers", "x.parquet", column="s")
        self.fails(65, "column 'd' is date32.*labels must be whole numbers or texts", "x.parquet", column="a", labels="d")
        self.fails(65, "ids must be whole numbers", "x.parquet", column="a", ids="q")
        self.fails(65, "column 'b' is .*labels must be", "x.parquet", column="a", labels="b")
        self.fails(64, "labels of Parquet files must be the name of a column", "x.parquet", column="a", labels=y)
        self.fails(64, "column goes with Parquet", x, column="a")
        self.write(y=pa.array(y))
        self.fails(65, r"no column is one of lists of numbers; there are y \(int64\); of a column for each value give write_store an array")

    def test_wrong_files(self):
        x, y = self.rows(20)
        self.fails(66, "'no.parquet': No such file", "no.parquet")
        with open("text.parquet", "w", encoding="ascii") as f:
            f.write("PAR1, says the text")
        self.fails(65, "'text.parquet': is no Parquet file that can be read", "text.parquet")
        os.mkdir("empty")
        self.fails(66, "'empty': no Parquet files", "empty")
        self.write(emb=fixed(x[:0]))
        self.fails(65, "no rows")
        self.write("a.parquet", emb=fixed(x), y=pa.array(y))
        self.write("b.parquet", emb=fixed(x.astype("f8")), y=pa.array(y))
        self.write("c.parquet", emb=fixed(x[:, 1:].copy()), y=pa.array(y))
        self.write("d.parquet", emb=fixed(x), y=["a"] * 20)
        self.fails(65, "'b.parquet': column 'emb' is of another type", ["a.parquet", "b.parquet"])
        self.fails(65, "'c.parquet': column 'emb', row 0: has 4 values, the first row has 5", ["a.parquet", "c.parquet"])
        self.fails(65, "'d.parquet': column 'y' is of another type", ["a.parquet", "d.parquet"], labels="y")
        with open("a.parquet", "r+b") as f:  # damaged behind its footer's back
            f.seek(60)
            f.write(b"\xff" * 200)
        self.fails(65, "'a.parquet'", "a.parquet", labels="y")
        with self.assertRaisesRegex(trimine.TrimineError, "is read, too"):
            trimine.write_store("d.parquet", "d.parquet", overwrite=True)

    def shell(self, *words):
        done = subprocess.run([sys.executable, "-m", "trimine", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")))
        return done.returncode, done.stdout + done.stderr

    def test_from_the_shell(self):
        x, y = self.rows(20)
        self.write(a=fixed(x), b=fixed(x), y=pa.array(y), i=pa.array(y))
        words = ["import", "s.h5", "x.parquet", "--column", "b", "--labels", "y", "--ids=i"]
        self.assertEqual(self.shell(*words), (0, "wrote      s.h5: 20 rows x 5 with labels\n"))
        self.assertEqual(trimine.mine("s.h5").result_hash, trimine.mine(x, labels=y).result_hash)
        self.assertEqual(self.shell(*words), (73, "trimine: error: 's.h5' exists; give --overwrite to replace it\n"))
        self.assertEqual(self.shell(*words, "--overwrite")[0], 0)
        for code, text, words in ((66, "'no\\x0a.parquet': No such file", ["import", "t.h5", "no\n.parquet"]), (64, "FILE", ["import", "t.h5"]),
                                  (64, "required: import", []), (64, "unrecognized", ["import", "t.h5", "x.parquet", "--label=y"])):
            got, said = self.shell(*words)
            self.assertEqual(got, code, said)
            self.assertRegex(said, r"^trimine: error: [^\n]*\n$")
            self.assertIn(text, said)


class WithoutPyarrow(support.Case):
    def test_commands_of_the_program_are_not_here(self):
        done = subprocess.run([sys.executable, "-m", "trimine", "mine", "x.npy"], stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")))
        self.assertEqual((done.returncode, done.stderr), (64, "trimine: error: 'mine': here is only import, of Parquet files; what else there is "
                                                          "the program does: trimine mine x.npy\n"))
        done = subprocess.run([sys.executable, "-m", "trimine", "qrels", "q.tsv"], stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")))
        self.assertEqual((done.returncode, done.stderr), (64, "trimine: error: 'qrels': here is only import, of Parquet files; a module of its own "
                                                          "does that: python3 -m trimine.qrels q.tsv\n"))

    def test_it_says_what_to_install(self):
        os.mkdir("pyarrow")  # the first on the path is none
        with open("pyarrow/__init__.py", "w", encoding="ascii") as f:
            f.write("raise ImportError('none here')")
        open("x.parquet", "w").close()
        done = subprocess.run([sys.executable, "-m", "trimine", "import", "s.h5", "x.parquet"], stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=os.pathsep.join([self.folder, os.path.join(support.ROOT, "python")])))
        self.assertEqual((done.returncode, done.stderr), (69, "trimine: error: Parquet files need the package pyarrow: pip install pyarrow\n"))


if __name__ == "__main__":
    support.main()
