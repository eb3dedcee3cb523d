"""Reading stores and texts: labels to the byte as the program reads them, lines of texts with little memory, files that are cut meanwhile."""
import gzip
import io
import json
import os
import struct

import support

import h5py
import numpy as np

import trimine
from trimine import reading, rows
from trimine.report_data import Labels, Texts


class Lines(support.Case):
    def setUp(self):
        super().setUp()
        self.before = reading.Lines.MARKS, reading.Lines.PIECE, reading.Lines.LONGEST

    def tearDown(self):
        reading.Lines.MARKS, reading.Lines.PIECE, reading.Lines.LONGEST = self.before
        super().tearDown()

    def write(self, whole):
        with open("t.txt", "wb") as f:
            f.write(whole)

    def test_all_lines_whatever_the_pieces(self):
        r = np.random.default_rng(5)
        for count in (0, 1, 2, 3, 17, 200):
            wanted = [b"x" * int(n) for n in r.integers(0, 9, count)]
            for end in (b"\n", b""):
                whole = b"\n".join(wanted) + (end if count else b"")
                lines = wanted if end or not count or wanted[-1] else wanted[:-1]
                self.write(whole)
                for reading.Lines.MARKS, reading.Lines.PIECE in ((2, 1), (2, 5), (8, 3), (1 << 16, 1 << 20)):
                    found = reading.Lines("t.txt", "texts")
                    self.assertEqual([found.get(i) for i in range(len(found))], lines)
                    self.assertLessEqual(len(found.marks), reading.Lines.MARKS)
                    found.close()

    def test_a_file_that_is_cut_while_it_is_read(self):
        """One that is mapped into memory would end the process here."""
        for line in (5, 9999):
            self.write(b"a line\n" * 10000)
            texts = Texts("t.txt", 10000)
            self.assertEqual(texts.get(line), "a line")
            os.truncate("t.txt", 20)
            with self.refused(65, r"texts 't\.txt': was cut while it was read"):
                texts.get(line)

    def test_a_line_that_is_too_long(self):
        reading.Lines.LONGEST = 1 << 20
        self.write(b"short\n" + b"x" * (5 << 20) + b"\nshort\n")
        lines = reading.Lines("t.txt", "texts")
        self.assertEqual((len(lines), lines.get(0), lines.get(2)), (3, b"short", b"short"))
        with self.refused(65, "line 2 is longer than 1 MB"):
            lines.get(1)

    def test_texts(self):
        self.write("\ufeffTée\r\n\xa0\u2028b\n".encode() + b"\xff<b>\n")
        texts = Texts("t.txt", 3)
        self.assertEqual([texts.get(i) for i in range(3)], ["Tée", "\xa0\u2028b", "\ufffd<b>"])
        os.mkfifo("pipe")
        for path, code, text in (("pipe", 65, "not a file"), ("none", 66, "no such file"), (".", 65, "not a file")):
            with self.refused(code, text):
                Texts(path, 3)


class SideFiles(support.Case):
    def labels(self, whole, name="y.txt", count=None):
        with open(name.partition(":")[0], "wb") as f:
            f.write(whole)
        path, column = rows.side_file(name)
        return rows.read_side_file(path, column, "labels", count).tolist()

    def test_numbers_and_names(self):
        """As the program decides."""
        for text, wanted in (
                ("1\n-3\n0\n", [1, -3, 0]), ("3.0\n1.5e1\n+2.\n", [3, 15, 2]), ("007\n8\n", [b"007", b"8"]), ("1_0\n2\n", [b"1_0", b"2"]),
                ("9007199254740993\n9007199254740992\n", [9007199254740993, 9007199254740992]), ("18446744073709551615\n1\n", [2**64 - 1, 1]),
                ("18446744073709551616\n", [b"18446744073709551616"]), ("1e3\n", [1000]), ("nan\n1\n", [b"nan", b"1"]), ("0.5\n", [b"0.5"]), ("-0\n", [b"-0"]),
                ("inf\n", [b"inf"]), (" 1\n", [b" 1"]), ("\u0661\n", ["\u0661".encode()]), ("9007199254740994.0\n", [b"9007199254740994.0"]),
                ("a\x0cb\nc\u2028d\x85\n", [b"a\x0cb", "c\u2028d\x85".encode()]), ("\ufeffa\r\nb", [b"a", b"b"])):
            with self.subTest(text):
                self.assertEqual(self.labels(text.encode()), wanted)
                self.assertEqual(self.asked(text.encode(), len(wanted)), wanted)
        self.assertEqual(self.labels(b"\xff\n\xfe\n"), [b"\xff", b"\xfe"])

    def asked(self, text, count):
        """What the program makes of it: the labels of a store that it imports."""
        np.save("x.npy", np.arange(2 * count, dtype=np.float32).reshape(count, 2))
        with open("y.txt", "wb") as f:
            f.write(text)
        trimine.program.run(["import", "s.h5", "x.npy", "--labels", "y.txt", "--overwrite"])
        with h5py.File("s.h5") as f:
            return reading.values_of(f["labels"]).tolist()

    def test_tables(self):
        table = b'id,"the, name"\n1,"a ""b"""\n2,c\n'
        self.assertEqual(self.labels(table, "t.csv:the, name", 2), [b'a "b"', b"c"])
        self.assertEqual(self.labels(table, "t.csv:1", 2), [1, 2])
        self.assertEqual(self.labels(table, "t.csv:2", 3), [b"the, name", b'a "b"', b"c"])
        self.assertEqual(self.labels(b"a\tb\n1\t\xff\n", "t.tsv:b", 1), [b"\xff"])
        for column in ("no", "0", "3", "-1", "\u00b2"):
            with self.refused(65, r"labels 't\.csv': no column '"):
                self.labels(table, f"t.csv:{column}", 2)
        with self.refused(65, r"labels 't\.csv': can't be read"):
            self.labels(b'a,"b\n' + b"x" * 200000, "t.csv:1", 1)

    def test_arrays(self):
        idx = b"\0\0\x08\x01" + struct.pack(">i", 3) + bytes([5, 6, 7])
        self.assertEqual(self.labels(idx, "y-idx1-ubyte"), [5, 6, 7])
        self.assertEqual(self.labels(gzip.compress(idx), "y.gz"), [5, 6, 7])
        for wrong in (idx[:-1], gzip.compress(idx)[:-9]):
            with self.refused(65, "labels 'y.gz': can't be read"):
                self.labels(wrong if wrong[:1] == b"\x1f" else gzip.compress(wrong), "y.gz")

    def test_as_one_list(self):
        self.assertEqual(rows.joined([np.array([1], np.int64), np.array([2**64 - 1], np.uint64)]).tolist(), [1, 2**64 - 1])
        self.assertEqual(rows.joined([np.array([1], np.int64), np.array([2], np.uint64)]).dtype, np.int64)
        self.assertEqual(rows.joined([np.array([b"a"], object), np.array([7])]).tolist(), [b"a", b"7"])

    def test_names_that_differ_in_bytes_that_are_no_text(self):
        labels = Labels.of(np.array([b"b\xff", b"b\xfe", b"a", b"b\xff"], object))
        self.assertEqual((labels.codes.tolist(), labels.shown, labels.sizes.tolist()), ([2, 1, 0, 2], ["a", "b\ufffd", "b\ufffd"], [1, 1, 2]))


class Npy(support.Case):
    def test_rows(self):
        x = np.arange(24).reshape(4, 3, 2)
        for array in (x, x.astype(">f8"), x.astype("f2"), np.asfortranarray(x), x[:, :, 0], x[:, 0, 0], x[:0]):
            np.save("x.npy", array)
            found = reading.Npy("x.npy", "store")
            self.assertEqual(found.shape, array.shape)
            self.same(found[:], array)
            self.same(found[1:3], array[1:3])
            for row in range(len(array)):
                self.same(found[row], array[row])
            found.close()

    def test_wrong_ones(self):
        np.save("x.npy", np.arange(12.0).reshape(4, 3))
        with open("x.npy", "rb") as f:
            whole = f.read()
        objects = io.BytesIO()
        np.save(objects, np.array([{}, 1], dtype=object), allow_pickle=True)
        for wrong in (whole[:-1], whole[:40], whole[:6], objects.getvalue(), whole.replace(b"(4, 3)", b"(4,-3)"), whole.replace(b"<f8", b"<q9"),
                      whole.replace(b"{", b"(", 1), b""):
            with open("x.npy", "wb") as f:
                f.write(wrong)
            with self.refused(65, r"^store 'x\.npy': not a \.npy file that can be read \("):
                reading.Npy("x.npy", "store")

    def test_one_that_is_cut_while_it_is_read(self):
        np.save("x.npy", np.ones((10000, 10)))
        found = reading.Npy("x.npy", "store")
        os.truncate("x.npy", 5000)
        self.same(found[3], np.ones(10))
        with self.refused(65, "can't be read: it is damaged"):
            found[9999]


class Stores(support.Case):
    def test_what_is_known_of_rows(self):
        x, _ = self.rows(6)
        with h5py.File("a.h5", "w") as f:
            f["X"], f["y"], f["ids"] = x, np.array(["é".encode(), b"\xff", b"c"] * 2), np.arange(6)
        with h5py.File("b.h5", "w") as f:
            f["X"], f["y"], f["ids"] = x, ["c"] * 6, np.arange(5)  # too few ids: left aside
        with rows.Store(["a.h5"]) as store:
            self.assertEqual(store.values("labels").tolist(), ["é".encode(), b"\xff", b"c"] * 2)
            self.assertEqual((store.rows, store.dim, store.has_ids(), store.id(3)), (6, 5, True, 3))
            self.same(store.row(5), x[5].astype("f8"))
        with rows.Store(["a.h5", "b.h5"]) as store:
            self.assertEqual((store.has_ids(), store.values("ids"), len(store.values("labels")), store.rows), (False, None, 12, 12))
        np.save("ids.npy", np.arange(12) * 10)
        with rows.Store(["a.h5", "b.h5"], ids="ids.npy") as store:
            self.assertEqual((store.has_ids(), store.id(11)), (True, 110))
        with rows.Store(["a.h5", "b.h5"], labels=["y", "/y"]) as store:
            self.assertEqual(len(store.values("labels")), 12)
        with open("ids.txt", "w", encoding="utf-8") as f:
            f.write("<i>\n" * 5)
        for code, text, paths, named in ((65, "5 ids for 6 rows", ["a.h5"], {"ids": "ids.txt"}), (64, "given 3 times, for 2", ["a.h5"] * 2, {"ids": ["ids"] * 3}),
                                         (65, "no dataset 'z'", ["a.h5"], {"ids": "z"}), (66, "store 'c.h5': no such file", ["c.h5"], {}),
                                         (66, "no HDF5 files in this folder", ["."], {})):
            if paths == ["."]:
                os.mkdir("empty")
                paths = ["empty"]
            with self.refused(code, text), rows.Store(paths, **named) as store:
                store.values("ids")

    def test_a_folder_in_the_programs_order(self):
        os.mkdir("f")
        for name in ("s10", "s9", "s²", "s1"):
            trimine.write_store(f"f/{name}.h5", np.ones((1, 2)))
        files = trimine.program.run(["info", "f"])["files"]
        self.assertEqual(rows.files_of("f", "store"), [file["path"] for file in files])

    def test_results_know_their_rows(self):
        """Without running the program, for label files of any form, and in a job of MPI."""
        x, y = self.rows(20)
        trimine.write_store("s.h5", x, y, [f"id {i}" for i in range(20)])
        with open("y.txt", "w", encoding="utf-8") as f:
            f.write("\n".join(f"class {c}" for c in y))
        trimine.mine("s.h5", output="t.h5", labels="y.txt", window="none")
        os.environ["OMPI_COMM_WORLD_RANK"] = "0"
        try:
            r = trimine.read("t.h5", store="s.h5")
            self.assertEqual((r.ids[3], r.labels[3]), ("id 3", y[3]))
        finally:
            del os.environ["OMPI_COMM_WORLD_RANK"]
        r = trimine.mine("s.h5", labels="y.txt", ids="y.txt", window="none")
        self.assertEqual((r.labels[3], r.ids[3], r.label_names), ("class 3", "class 3", ["class 0", "class 1", "class 2", "class 3"]))


if __name__ == "__main__":
    support.main()
