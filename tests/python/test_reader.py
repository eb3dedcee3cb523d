"""Reading stores and texts: labels to the byte as the program reads them, lines of texts with little memory, files that are cut meanwhile."""
import contextlib
import gzip
import io
import json
import os
import shutil
import struct

import support

import h5py
import numpy as np

import trimine
from trimine import reading, rows
from trimine.report import main
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
        with open("t.jsonl", "w", encoding="utf-8") as f:
            f.write('{"title": "A", "text": "b", "caption": "c"}\n{"caption": ""}\n{"text": 3}\n')
        self.assertEqual((Texts("t.jsonl", 3).get(0), Texts("t.jsonl:caption", 3).get(0), Texts("t.jsonl:caption", 3).get(1)), ("A b", "c", ""))
        for given, why in (("t.jsonl", "no JSON string, and no object with a string \"text\""), ("t.jsonl:caption", "no object with a string \"caption\"")):
            with self.refused(65, f"texts 't.jsonl': line 3 is {why}; it has: text"):
                Texts(given, 3).get(2)
        with open("t.jsonl", "w", encoding="utf-8") as f:
            f.write('{"a\\nb": 1}\n{}\n' + json.dumps({f"f{i}": i for i in range(9)}) + "\n")
        for row, has in enumerate((r"a\\x0ab", "none", r"f0, f1, .*f7, \.\.\.")):
            with self.refused(65, rf"; it has: {has} \(data, 65\)$"):
                Texts("t.jsonl", 3).get(row)
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
                ("0.00002e6\n", [20]), ("inf\n", [b"inf"]), (" 1\n", [b" 1"]), ("\u0661\n", ["\u0661".encode()]), ("9007199254740994.0\n", [b"9007199254740994.0"]),
                ("0e9223372036854775807\n0.0e-9223372036854775808\n", [0, 0]), ("1e9223372036854775808\n", [b"1e9223372036854775808"]),
                ("a\x0cb\nc\u2028d\x85\ne\rf\n", [b"a\x0cb", "c\u2028d\x85".encode(), b"e\rf"]), ("\ufeffa\r\nb", [b"a", b"b"])):
            with self.subTest(text):
                self.assertEqual(self.labels(text.encode()), wanted)
                self.assertEqual(self.asked(text.encode(), len(wanted)), wanted)
        self.assertEqual(self.labels(b"\xff\n\xfe\n"), [b"\xff", b"\xfe"])

    def asked(self, text, count, name="y.txt"):
        """What the program makes of it: the labels of a store that it imports."""
        np.save("x.npy", np.arange(2 * count, dtype=np.float32).reshape(count, 2))
        with open(name.partition(":")[0], "wb") as f:
            f.write(text)
        trimine.program.run(["import", "s.h5", "x.npy", "--labels", name, "--overwrite"])
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

    def test_lines_of_json(self):
        """As the program reads them."""
        for text, name, wanted in (
                ('{"a": 3}\n{"a": -1}\n', "j.jsonl:a", [3, -1]), ('{"a": "3"}\n{"a": 4.0}', "j.json:a", [3, 4]), ('{"a": "007"}\n{"a": 8}\n', "j.jsonl:a", [b"007", b"8"]),
                ('\ufeff{"b": [], "a": "\\u00e9"}\r\n{"a": "\u00e9"}\r\n', "j.jsonl:a", ["\u00e9".encode()] * 2), ('"cat"\n7\n', "j.jsonl", [b"cat", b"7"]),
                ('{"a": "two\\nlines", "h": 99999999999999999999}\n', "j.jsonl:a", [b"two\nlines"]), ('{"a": 1e3, "a b": 1}\n', "j.jsonl:a b", [1]),
                ('{"a": -9223372036854775808}\n{"a": 9223372036854775807}\n', "j.jsonl:a", [-2**63, 2**63 - 1]), ('{"a": "18446744073709551615"}\n', "j.jsonl:a", [2**64 - 1])):
            with self.subTest(text):
                self.assertEqual(self.labels(text.encode(), name), wanted)
                self.assertEqual(self.asked(text.encode(), len(wanted), name), wanted)
        for text, name, why in (
                ('{"a": 3, "b": 1}\n', "j.jsonl", "its lines are objects: choose a field of them as j.jsonl:FIELD; line 1 has: a, b"), ("3\n", "j.jsonl:a", "line 1: is "),
                ('{"a": 3}\n{"b": 1}\n', "j.jsonl:a", "line 2: has no field 'a'; it has: b"), ('{"a": 3}\n{"a": \n', "j.jsonl:a", "line 2: is no JSON"),
                ('{"a": null}\n', "j.jsonl:a", "line 1: 'a' is null: needs a string or a whole number"), ('{"a": true}\n', "j.jsonl:a", "line 1: 'a' is true"),
                ('{"a": 1.5}\n', "j.jsonl:a", "line 1: 'a' "), ('{"a": ""}\n', "j.jsonl:a", "line 1: 'a' "), ('{"a": NaN}\n', "j.jsonl:a", "line 1: is no JSON"),
                ('{"a": 1}\n\n', "j.jsonl:a", "line 2: is "), ("[" * 100000, "j.jsonl:a", "line 1: "), ('{"a": "\\ud800"}\n', "j.jsonl:a", "")):
            with self.subTest(text[:40]):
                with self.refused(65, f"labels 'j.jsonl': {why}"):
                    self.labels(text.encode(), name)
                with self.assertRaisesRegex(trimine.TrimineError, f"labels 'j.jsonl': {why}"):
                    self.asked(text.encode(), 2, name)
        for name in ("J.JSONL:a", "T.Csv:a"):
            self.assertEqual(rows.side_file(name), (name[:-2], "a"))
        self.assertEqual(self.labels(b'{"a": 3}', "J.JSONL:a"), [3])
        with self.refused(66, "labels 'no.jsonl': no such file"):
            rows.read_side_file(*rows.side_file("no.jsonl:a"), "labels", 1)

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
        for name in ("s10", "s9", "s²", "s1", "1²2"):
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


class Damaged(support.Case):
    """Results of strangers, and results that are cut: whatever is wrong, it is one line that names the file."""

    RESULTS = [f"{form}.h5" for form in ("triplets", "lists", "knn", "radius", "ranks", "gradient")]
    made = None

    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, os, "fsync", os.fsync)
        os.fsync = lambda _: None  # hundreds of pages need not reach the disk
        self.results = self.RESULTS
        if Damaged.made is None:
            self.make()
            Damaged.made = {}
            for name in ("s.h5", *self.RESULTS):
                with open(name, "rb") as f:
                    Damaged.made[name] = f.read()
        for name, whole in Damaged.made.items():
            with open(name, "wb") as f:
                f.write(whole)

    def make(self):
        x, y = self.rows(30)
        trimine.write_store("s.h5", x, [f"class {c}" for c in y])
        trimine.mine("s.h5", window="none", output="triplets.h5", gradient=True)
        trimine.mine("s.h5", negatives="topk:2", form="lists", output="lists.h5")
        trimine.knn("s.h5", k=3, output="knn.h5")
        trimine.radius("s.h5", radius=2.0, groups=True, output="radius.h5")
        trimine.evaluate("s.h5", per_query="ranks.h5")
        trimine.loss("s.h5", loss="batch-hard", gradient=True, output="gradient.h5")

    def look(self, path):
        """Everything that there is; gives what it refused with."""
        try:
            r = trimine.read(path, store="s.h5")
            for name in r.names:
                getattr(r, name)
            self.assertIsNotNone((r.options, len(r), repr(r), r.labels))
            r.gradient, r.result_hash, r.label_names, r.ids
            if r.form != "gradient":
                r.by_anchor(3), r.quantiles()
            if r.form in ("triplets", "lists"):
                list(trimine.TripletDataset(r)), list(trimine.NegativesDataset(r))
        except trimine.TrimineError as error:
            self.assertTrue(error.message.startswith(f"result '{path}': "), error)
            self.assertNotIn("\n", error.message)

    def page(self, path):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                code = main([path, "s.h5", "-o", "p.html", "--overwrite"])
        except SystemExit as stopped:
            code = stopped.code
        self.assertIn(code, (0, 65), said.getvalue())
        self.assertRegex(said.getvalue(), r"^(trimine: error: [^\n]*\n)?$")
        self.assertFalse([name for name in os.listdir(".") if name.endswith(".tmp")])

    def changed(self, name, change):
        shutil.copy(name, "damaged.h5")
        with h5py.File("damaged.h5", "a") as f:
            change(f)
        with self.subTest(name):
            self.look("damaged.h5")
            self.page("damaged.h5")

    def test_attributes(self):
        hostile = json.dumps({"margin": [1], "at": 5, "positives": {}, "negatives": None, "radius": "x", "loss_margin": "a", "window": 3})
        for name in self.results:
            with h5py.File(name) as f:
                attributes = list(f.attrs)
            for attribute in attributes:
                for value in (None, b"\xff", -1, 2**62, np.nan, np.array([1, 2]), h5py.Empty("f"), "[]", hostile, "[" * 9999):
                    def change(f):
                        del f.attrs[attribute]
                        if value is not None:
                            f.attrs[attribute] = value
                    self.changed(name, change)

    def test_datasets(self):
        for name in self.results:
            places = []
            with h5py.File(name) as f:
                f.visititems(lambda place, found: places.append((place, found.shape, found.dtype)) if isinstance(found, h5py.Dataset) else None)
            for place, shape, kind in places:
                new = [None, "group", np.int64(3), np.zeros(shape[:1] + (3,), "i8")]
                if kind.kind != "O":
                    new += [np.zeros((0, *shape[1:]), kind), np.zeros((shape[0] + 1, *shape[1:]), kind), np.full(shape, -5), np.full(shape, 2**62), np.full(shape, np.nan),
                            np.zeros(shape, ">f2"), np.full(shape, b"a")]
                for values in new:
                    def change(f):
                        del f[place]
                        if isinstance(values, str):
                            f.create_group(place)
                        elif values is not None:
                            f[place] = values
                    self.changed(name, change)

    def test_cut(self):
        for name in self.results:
            with open(name, "rb") as f:
                whole = f.read()
            for part in (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
                with open("damaged.h5", "wb") as f:
                    f.write(whole[:int(part * len(whole))])
                with self.refused(65, r"^result 'damaged\.h5': "):
                    trimine.read("damaged.h5").load()
                self.page("damaged.h5")

    def test_another_store(self):
        trimine.write_store("other.h5", np.ones((5, 2)), np.arange(5))
        with self.refused(65, "is of 30 rows, and there are 5 labels"):
            trimine.read("knn.h5", store="other.h5").labels
        with self.refused(64, "not an empty one"):
            trimine.read("knn.h5", store=[])

    def test_a_page_is_not_written_over_what_it_is_made_of(self):
        os.link("knn.h5", "same.h5")
        with open("own.csv", "w") as file:
            file.write("id\n" + "".join(f"{i}\n" for i in range(30)))
        for output in ("knn.h5", "same.h5", "s.h5", "own.csv"):
            said = io.StringIO()
            with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stderr(said):
                main(["knn.h5", "s.h5", "--ids", "own.csv:id", "-o", output, "--overwrite"])
            self.assertEqual((stopped.exception.code, said.getvalue()), (64, f"trimine: error: output '{output}': is one of the inputs\n"))
        self.assertEqual(trimine.read("knn.h5", store="s.h5").labels[0], "class 0")

    def test_markup_and_what_turns_writing_round(self):
        """In all that a file says of itself."""
        odd = "<script>x</script>\"'\n\u202e&"
        for name in self.results:
            with h5py.File(name) as f:
                options, attributes = json.loads(f.attrs["options"]), [a for a in f.attrs if a not in ("format", "complete", "options")]
            for change in ([lambda f, a=a: f.attrs.__setitem__(a, odd) for a in attributes]
                           + [lambda f, o=o: f.attrs.__setitem__("options", json.dumps({**options, o: odd})) for o in (*options, odd)]):
                if os.path.exists("p.html"):
                    os.unlink("p.html")
                self.changed(name, change)
                if os.path.exists("p.html"):
                    with open("p.html", encoding="utf-8") as f:
                        text = f.read()
                    self.assertNotIn("<script>x", text)
                    self.assertNotIn("\u202e", text)

    def test_stopped(self):
        """Ctrl-C while a page is made: one line, and nothing is left."""
        from trimine import report_knn
        before, said = report_knn.make, io.StringIO()

        def stop(_):
            raise KeyboardInterrupt
        report_knn.make = stop
        try:
            with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stderr(said):
                main(["knn.h5", "-o", "p.html"])
        finally:
            report_knn.make = before
        self.assertEqual((stopped.exception.code, said.getvalue()), (75, "trimine: error: stopped\n"))
        self.assertFalse(os.path.exists("p.html"))


if __name__ == "__main__":
    support.main()
