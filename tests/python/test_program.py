"""Stores are written, the program is run on them, its results are read, and its errors are raised."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
import warnings

import support

import h5py
import numpy as np

import trimine


def brute(x):
    """Squared distances, float64."""
    x = x.astype(np.float64)
    return ((x[:, None] - x[None]) ** 2).sum(-1)


class Writing(support.Case):
    def test_types_stay_and_arrive(self):
        x, y = self.rows(30)
        for kind in ("f2", "f4", "f8", "i1", "u2"):
            with self.subTest(kind):
                e = (x * 20).astype(kind) if kind[0] in "iu" else x.astype(kind)
                trimine.write_store("s.h5", np.abs(e) if kind[0] == "u" else e, y, np.arange(100, 130), overwrite=True)
                with h5py.File("s.h5") as f:
                    self.assertEqual(f["embeddings"].dtype, np.dtype(kind))
                self.assertEqual(trimine.mine("s.h5", output=False).report["store"]["rows"], 30)
                self.same(trimine.knn("s.h5", k=1).ids, np.arange(100, 130))

    def test_labels_and_ids_of_text(self):
        x, _ = self.rows(12)
        names = ["Kölsch", "b", "", "日本"] * 3
        for labels in (names, np.array(names), np.array([n.encode() for n in names]), np.array(names, dtype=object)):
            r = trimine.mine(x, labels=labels, ids=[f"doc {i}" for i in range(12)])
            self.assertEqual(r.label_names, sorted(set(names), key=str.encode))
            self.assertEqual(list(r.ids), [f"doc {i}" for i in range(12)])
        trimine.write_store("s.h5", x, names, [f"doc {i}" for i in range(12)])
        r = trimine.mine("s.h5")
        self.assertEqual((list(r.labels), r.ids[3]), (names, "doc 3"))

    def test_arrays_of_every_layout(self):
        x, y = self.rows(30)
        wanted = trimine.mine(x, labels=y).result_hash
        wide, twice = np.zeros((30, 9), np.float32), np.repeat(y, 2)
        wide[:, 2:7] = x
        for e, labels in ((np.asfortranarray(x), y.astype(">i8")), (x.astype(">f4"), twice[::2]), (wide[:, 2:7], list(y)),
                          (x[::-1].copy()[::-1], y.astype("u1")), (x.astype(np.longdouble), y.astype(object)), (x.tolist(), y.astype("f2"))):
            self.assertEqual(trimine.mine(e, labels=labels).result_hash, wanted)

    def test_memory_that_is_reported_is_the_programs_own(self):
        x, y = self.rows(30)
        trimine.write_store("s.h5", x, y)
        held = np.ones(400_000_000, np.uint8)
        self.assertLess(trimine.mine("s.h5", output=False).report["run"]["peak_rss_bytes"], held.nbytes)

    def test_rights_are_those_of_a_new_file(self):
        x, _ = self.rows(5)
        before = os.umask(0o027)
        try:
            trimine.write_store("s.h5", x)
        finally:
            os.umask(before)
        self.assertEqual(os.stat("s.h5").st_mode & 0o777, 0o640)

    def test_pieces(self):
        from trimine import store
        x, y = self.rows(50)
        chunk, store.CHUNK = store.CHUNK, 7 * 20
        try:
            trimine.write_store("s.h5", x, y)
        finally:
            store.CHUNK = chunk
        with h5py.File("s.h5") as f:
            self.same(f["embeddings"], x)

    def test_memory_mapped(self):
        x, y = self.rows(50)
        np.save("x.npy", x)
        trimine.write_store("s.h5", np.load("x.npy", mmap_mode="r"), y)
        with h5py.File("s.h5") as f:
            self.same(f["embeddings"], x)

    def test_what_is_refused(self):
        x, y = self.rows(10)
        column = np.empty(10, dtype=object)
        column[:] = list(x)
        for wrong, why in ((lambda: trimine.write_store("s.h5", column), "two dimensions: .*; of a column of arrays give numpy.stack"),
                           (lambda: trimine.write_store("s.h5", x[0]), "two dimensions"),
                           (lambda: trimine.write_store("s.h5", x.astype(complex)), "need numbers"),
                           (lambda: trimine.write_store("s.h5", x, y[:9]), "one for each of 10 rows"),
                           (lambda: trimine.write_store("s.h5", x, y, ids=x[:, 0]), "whole numbers or texts"),
                           (lambda: trimine.write_store("s.h5", x, [object()] * 10), "whole numbers or texts")):
            with self.assertRaisesRegex(trimine.TrimineError, why):
                wrong()
        for name in ("x.npy", "X.CSV", "s.parquet"):
            with self.refused(64, f"'{name}': a store is HDF5: call it .h5"):
                trimine.write_store(name, x, y)
        self.assertEqual(os.listdir("."), [])
        trimine.write_store("s.h5", x, y)
        with self.refused(73, "'s.h5' exists"):
            trimine.write_store("s.h5", x, y)
        with h5py.File("s.h5") as f:
            self.assertEqual(len(f["labels"]), 10)


class Running(support.Case):
    def test_mine_is_right(self):
        x, y = self.rows()
        r = trimine.mine(x, labels=y, positives="all", negatives="hard", ranks=2)
        d = brute(x)
        other = np.where(y[:, None] == y[None], np.inf, d)
        self.assertEqual(r.form, "triplets")
        self.same(r.negative, other.argmin(1)[r.anchor])
        np.testing.assert_allclose(r.d_an, other.min(1)[r.anchor])
        self.same(y[r.anchor], y[r.positive])
        self.assertEqual(len(r), 60 * 14)
        some = r.by_anchor(7)
        self.same(some["positive"], r.positive[r.anchor == 7])
        self.same(r.quantiles()["gap"], np.quantile(r.d_an - r.d_ap, [0, 0.25, 0.5, 0.75, 1]))
        self.same(r.quantiles(0.5)["d_ap"], np.median(r.d_ap))
        self.assertEqual(r.result_hash, r.report["result_hash"])
        self.assertEqual(r.options["negatives"], "hard")
        self.same(r.labels, y)

    def test_file_and_memory_are_the_same(self):
        x, y = self.rows()
        trimine.write_store("s.h5", x, y, ids=np.arange(60) * 10)
        memory = trimine.mine("s.h5", gradient=True, window="none")
        file = trimine.mine("s.h5", gradient=True, window="none", output="t.h5", ranks=3)
        again = trimine.read("t.h5", store="s.h5")
        self.assertEqual((memory.path, file.path), (None, "t.h5"))
        for name in memory.names:
            self.same(getattr(memory, name), getattr(file, name))
        for i in (0, 59):
            for name, values in again.by_anchor(i).items():
                self.same(values, memory.by_anchor(i)[name])
        self.same(memory.gradient, again.gradient)
        self.same(again.ids, np.arange(60) * 10)
        self.assertEqual(len(again), len(memory))
        for name in ("ids", "labels"):
            with self.refused(64, rf"{name} are in its store, which is not known: trimine\.read\('t\.h5', store=\.\.\.\)"):
                getattr(trimine.read("t.h5"), name)
            self.assertFalse(hasattr(trimine.read("t.h5"), name))
            self.assertTrue(hasattr(again, name))
        with self.assertRaisesRegex(AttributeError, "a result of form 'triplets' has no 'label'"):
            again.label
        self.assertIsNone(trimine.read("t.h5").query_ids)  # of one set there are none
        with open("names.jsonl", "w") as f:
            f.writelines(json.dumps({"id": f"d{i}", "topic": f"t{i % 3}"}) + "\n" for i in range(60))
        again = trimine.read("t.h5", store="s.h5", labels="names.jsonl:topic", ids=["names.jsonl:id"])
        self.assertEqual((again.labels[59], again.ids[59]), ("t2", "d59"))
        asked = trimine.read("t.h5", queries="s.h5", query_labels="names.jsonl:topic", query_ids="names.jsonl:id")
        self.assertEqual((asked.query_labels[59], asked.query_ids[59]), ("t2", "d59"))
        with self.refused(64, "labels and ids are of a store, or of queries: give it, too"):
            trimine.read("t.h5", labels="names.jsonl:topic")
        self.assertAlmostEqual(trimine.loss("s.h5", triplets="t.h5").value, memory.value)
        self.assertAlmostEqual(trimine.loss(x, labels=y, triplets=memory).value, memory.value)
        self.assertAlmostEqual(trimine.loss(x, labels=y, triplets=(memory.anchor, memory.positive, memory.negative)).value, memory.value)

    def test_a_loss_by_other_distances_warns(self):
        x, y = self.rows()
        mined = trimine.mine(x, labels=y, metric="cosine", window="none")
        for given in (mined, trimine.mine(x, labels=y, metric="cosine", window="none", output="t.h5")):
            with self.assertWarnsRegex(UserWarning, "were mined with --metric cosine, their loss is taken without"):
                trimine.loss(x, labels=y, triplets=given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertAlmostEqual(trimine.loss(x, labels=y, triplets=mined, metric="cosine").value, mined.report["loss"]["value"])

    def test_lists(self):
        x, y = self.rows(20)
        r = trimine.mine(x, labels=y, form="lists", negatives="topk:20")
        self.assertEqual((r.form, r.negative.shape[1]), ("lists", 20))
        self.assertEqual((r.negative >= 0).sum(1).max(), 15)
        self.assertTrue(np.isfinite(r.quantiles()["gap"]).all())
        self.same(r.by_anchor(3)["negative"], r.negative[r.anchor == 3])
        t = trimine.mine(x, labels=y, negatives="topk:20")
        self.same(r.quantiles()["gap"], t.quantiles()["gap"])
        self.assertAlmostEqual(trimine.loss(x, labels=y, triplets=r).value, t.value)

    def test_negative_ranks_are_the_option_ranks(self):
        x, y = self.rows()
        r = trimine.mine(x, labels=y, negatives="topk:2", negative_ranks="3-9", ranks=2)
        other = np.argsort(np.where(y[:, None] == y[None], np.inf, brute(x)), axis=1)
        self.same(r.negative.reshape(-1, 2), np.sort(other[r.anchor[::2], 2:4]))

    def test_batches(self):
        x, y = self.rows()
        r = trimine.mine(x, labels=y, window="none", batches=5, classes_per_batch=3, rows_per_class=4)
        self.assertEqual(set(r.batch), set(range(5)))
        a = r.anchor[0]
        self.same(r.by_anchor(a)["negative"], r.negative[r.anchor == a])

    def test_knn(self):
        x, _ = self.rows(5)
        r = trimine.knn(x, k=9, ranks=2)
        d = brute(x) + np.diag(np.full(5, np.inf))
        self.same(r.neighbors[:, :4], d.argsort(1)[:, :4])
        self.same(r.by_anchor(2)["neighbors"], d.argsort(1)[2, :4])
        self.assertTrue(np.isfinite(r.quantiles()["distances"]).all())

    def test_radius(self):
        x, _ = self.rows(30)
        r = trimine.radius(x, radius=3.0, groups=True)
        near = brute(x) + np.diag(np.full(30, np.inf)) <= 3.0
        self.assertEqual(len(r), near.sum() // 2)
        for i in range(30):
            self.same(np.sort(r.by_anchor(i)["row"]), np.flatnonzero(near[i]))
        self.assertEqual(len(r.group), 30)
        self.assertEqual(trimine.radius(x, radius=3.0, output=False).report["pairs"]["total"], len(r))

    def test_evaluate(self):
        x, y = self.rows()
        r = trimine.evaluate(x, labels=y, at="1,3")
        d = brute(x) + np.diag(np.full(60, np.inf))
        self.assertAlmostEqual(r.metrics["precision_at_1"], (y[d.argmin(1)] == y).mean())
        self.assertEqual((r.form, len(r)), (None, 0))
        r = trimine.evaluate(x, labels=y, per_query=True)
        first = [np.flatnonzero(y[np.argsort(d[i])] == y[i])[0] + 1 for i in range(60)]
        self.same([r.by_anchor(i)["rank"][0] for i in range(60)], first)

    def test_loss(self):
        x, y = self.rows(20)
        r = trimine.loss(x, labels=y, loss="batch-all", gradient=True)
        d = brute(x)
        z = d[:, :, None] - d[:, None, :] + 1
        kept = (y[:, None] == y[None])[:, :, None] & ~np.eye(20, dtype=bool)[:, :, None] & (y[:, None] != y[None])[:, None, :]
        self.assertAlmostEqual(r.value, np.maximum(z, 0)[kept].mean(), places=5)
        self.assertEqual(r.gradient.shape, (20, 5))
        self.assertIsNone(trimine.loss(x, labels=y, loss="batch-all").gradient)

    def test_distances_of_anchors_without_a_positive(self):
        x, _ = self.rows(20)
        y = [*range(10), *[10] * 10]
        triplets, lists = (trimine.mine(x, labels=y, lone=True, negatives="topk:2", form=form).distances_by_name() for form in ("triplets", "lists"))
        self.assertTrue((lists["d_ap"] > 0).all())
        self.same(np.unique(lists["d_ap"]), np.unique(triplets["d_ap"]))
        for name in ("d_an", "gap"):
            self.same(np.sort(lists[name]), np.sort(triplets[name]))

    def test_queries_and_pairs(self):
        x, _ = self.rows(40)
        q = x[:6] + 0.01
        pairs = np.array([(i, (i + 7) % 40) for i in range(6)] * 2)
        r = trimine.mine(x, queries=q, pairs=pairs, negatives="topk:2", query_ids=["q%d" % i for i in range(6)],
                         ids=range(100, 140), gradient=True)
        self.same(np.unique(r.positive), np.unique(pairs[:, 1]))
        self.assertEqual(r.query_ids[2], "q2")
        self.assertEqual(r.ids[2], 102)
        self.assertEqual({k: v.shape for k, v in r.gradient.items()}, {"queries": (6, 5), "store": (40, 5)})
        self.assertEqual(len(r.by_anchor(5)["negative"]), 2)
        with self.assertRaises(IndexError):
            r.by_anchor(6)
        self.assertEqual(trimine.radius(x, queries=q, radius=0.1).by_anchor(0)["row"].tolist(), [0])

    def test_arrays_of_any_type_and_order(self):
        x, y = self.rows(40)
        wide, half = np.repeat(x, 2, axis=1), x.astype("f2")
        for function, options, hashed in ((trimine.mine, {"window": "none"}, True), (trimine.knn, {"k": 3}, True), (trimine.radius, {"radius": 2.0}, True),
                                          (trimine.loss, {"loss": "batch-hard"}, False), (trimine.evaluate, {}, False)):
            if function in (trimine.mine, trimine.loss, trimine.evaluate):
                options["labels"] = y

            def told(rows):
                r = function(rows, **options)
                return r.result_hash if hashed else r.value or r.metrics
            whole = told(x)
            for same in (np.asfortranarray(x), x.astype(">f4"), x.astype("f8"), wide[:, ::2], x[::-1].copy()[::-1], np.asfortranarray(x.astype(">f8"))):
                self.assertEqual(told(same), whole)
            self.assertEqual(told(np.asfortranarray(half)), told(half.astype("f4")))
        pairs = np.array([(0, 7), (1, 8), (2, 9)])
        r = trimine.mine(x, queries=x[:3], pairs=pairs, negatives="hard")
        for same in (np.asfortranarray(pairs), pairs.astype(">i4"), np.asfortranarray(pairs.astype("u1")), pairs[::-1]):
            self.assertEqual(trimine.mine(x, queries=x[:3], pairs=same, negatives="hard").result_hash, r.result_hash)
        t = np.array([[0, 4, 1], [1, 5, 2], [2, 6, 3], [3, 7, 0]])
        value = trimine.loss(x, labels=y, triplets=tuple(t.T.tolist())).value
        for same in (t.T, tuple(np.asfortranarray(t.T).astype(">u2"))):
            self.assertEqual(trimine.loss(x, labels=y, triplets=same).value, value)

    def test_several_stores_and_their_ids(self):
        x, y = self.rows(40)
        trimine.write_store("a.h5", x[:15], y[:15], np.arange(15))
        trimine.write_store("b.h5", x[15:], y[15:], np.arange(1000, 1025))
        whole = trimine.mine(x, labels=y)
        r = trimine.mine(["a.h5", "b.h5"], ignore_label=3)
        self.assertNotIn(3, y[r.anchor])
        self.same(r.ids, [*range(15), *range(1000, 1025)])
        self.same(r.labels, y)
        self.assertEqual(trimine.mine(["a.h5", "b.h5"]).result_hash, whole.result_hash)

    def test_other_datasets(self):
        x, y = self.rows(20)
        with h5py.File("s.h5", "w") as f:
            f["one"], f["two"], f["who"], f["embeddings"] = x, y, np.arange(20) * 2, x[:, ::-1]
        r = trimine.mine("s.h5", embeddings="one", labels="two", ids="who")
        self.same(r.ids, np.arange(20) * 2)
        self.assertEqual(r.result_hash, trimine.mine(x, labels=y).result_hash)

    def test_files_of_other_formats(self):
        x, y = self.rows(20)
        np.save("x.npy", x)
        np.save("y.npy", y)
        np.savetxt("y.txt", y, fmt="%d")
        whole = trimine.mine(x, labels=y)
        for labels in ("y.npy", "y.txt"):
            r = trimine.mine("x.npy", labels=labels, queries="x.npy", query_labels=labels)
            self.assertEqual(trimine.mine("x.npy", labels=labels).result_hash, whole.result_hash)
            self.assertIsNone(r.ids)
            self.same(r.labels, y)
            self.same(r.query_labels, y)
        for part, rows in (("1", slice(0, 8)), ("2", slice(8, 20))):
            np.save(f"x{part}.npy", x[rows])
            np.save(f"y{part}.npy", y[rows])
            np.save(f"i{part}.npy", np.arange(20)[rows] + 7)
        r = trimine.mine(["x1.npy", "x2.npy"], labels=["y1.npy", "y2.npy"], ids=["i1.npy", "i2.npy"],
                         queries="x.npy", query_labels="y.npy", query_ids="y.npy")
        self.same(r.labels, y)
        self.same(r.ids, np.arange(20) + 7)
        self.same(r.query_ids, y)
        self.assertEqual(trimine.mine(["x1.npy", "x2.npy"], labels=["y1.npy", "y2.npy"]).result_hash, whole.result_hash)
        trimine.write_store("s.h5", x, y)
        self.same(trimine.mine("s.h5", queries=x[:3], query_labels=y[:3]).query_labels, y[:3])

    def test_dry_run(self):
        x, y = self.rows(20)
        r = trimine.mine(x, labels=y, dry_run=True)
        self.assertEqual((r.form, len(r)), (None, 0))
        self.assertIn("plan", r.report["command"] + str(list(r.report)))
        for r in (trimine.knn(x, k=3, dry_run=True), trimine.evaluate(x, labels=y, dry_run=True), trimine.radius(x, radius=1.0, dry_run=True)):
            self.assertEqual((r.path, r.report["plan"][0]["ranks"]), (None, 1))

    def test_words_of_every_kind(self):
        x, y = self.rows(20)
        r = trimine.mine(x, labels=y, window="none", margins=[0.5, 1], mem_per_rank="1G", replicate="auto", threads=np.int64(1),
                         histogram=3, normalize=True, ignore_label=[1, "2"], seed=7, checkpoint="c", checkpoint_every=0)
        self.assertEqual([m["margin"] for m in r.report["margins"]], [0.5, 1.0])
        self.assertEqual(r.options["ignore_label"], [1, 2])
        self.assertEqual(r.report["run"]["threads"], 1)
        self.assertTrue(r.options["normalize"])
        r = trimine.evaluate(x, labels=y, at=[1, 3], metrics=["recall", "ndcg"])
        self.assertEqual(r.options["at"], "1,3")
        self.assertEqual(list(r.metrics["recall_at"]), ["1", "3"])

    def test_nothing_is_left(self):
        x, y = self.rows(20)
        os.mkdir("tmp")
        before, tempfile.tempdir = tempfile.tempdir, os.path.abspath("tmp")
        try:
            trimine.mine(x, labels=y, pairs=None, queries=x, query_labels=y)
            with self.assertRaises(trimine.TrimineError):
                trimine.mine(x, labels=y, margin=-1)
        finally:
            tempfile.tempdir = before
        self.assertEqual(os.listdir("tmp"), [])

    def test_a_path_that_looks_like_an_option(self):
        x, y = self.rows(20)
        trimine.write_store("--json", x, y)
        self.assertEqual(trimine.mine("--json", output=False).report["store"]["rows"], 20)

    def test_warnings_are_pythons(self):
        x, y = self.rows(20)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            trimine.mine(x, labels=y, ignore_label=77)
        self.assertTrue(any("77" in str(w.message) for w in seen))
        self.assertEqual(os.path.basename(seen[0].filename), "test_program.py")


class Failing(support.Case):
    def fails(self, code, kind, text, function, *given, **options):
        with self.assertRaises(trimine.TrimineError) as caught:
            function(*given, **options)
        e = caught.exception
        self.assertEqual((e.code, e.kind), (code, kind), str(e))
        self.assertIn(text, e.message)
        self.assertNotIn("\n", e.message)
        return e

    def test_the_programs_line(self):
        x, y = self.rows(20)
        for ranks in (None, 1, 3):
            self.fails(66, "no_input", "'no.h5'", trimine.mine, "no.h5", ranks=ranks)
        x[3, 1] = np.nan
        self.fails(65, "data", "row 3", trimine.mine, x, labels=y, ranks=2)
        x[3, 1] = 0
        self.fails(64, "usage", "metric", trimine.mine, x, labels=y, metric="manhattan")
        self.fails(64, "usage", "--margin 'wide'", trimine.mine, x, labels=y, margin="wide")
        self.fails(71, "memory", "", trimine.mine, x, labels=y, mem_per_rank="1M", ranks=2)
        trimine.mine(x, labels=y, output="t.h5")
        self.fails(73, "create", "t.h5", trimine.mine, x, labels=y, output="t.h5")
        self.assertEqual(len(trimine.mine(x, labels=y, output="t.h5", overwrite=True)), len(trimine.read("t.h5")))

    def test_wrong_calls(self):
        x, y = self.rows(20)
        usage = (64, "usage")
        self.fails(*usage, "--negatives '5': must be one of semihard hard topk:K", trimine.mine, x, labels=y, negatives=5)
        self.fails(*usage, "ranks is 0", trimine.mine, x, labels=y, ranks=0)
        self.fails(*usage, "ranks is '2'", trimine.mine, x, labels=y, ranks="2")
        self.fails(*usage, "margin is [1]", trimine.mine, x, labels=y, margin=[1])
        self.fails(*usage, "k is 2.5", trimine.knn, x, k=2.5)
        self.fails(*usage, "overwrite is 'yes'", trimine.mine, x, labels=y, overwrite="yes")
        self.fails(*usage, "labels", trimine.mine, "s.h5", labels=y)
        self.fails(*usage, "labels is 'y'", trimine.mine, x, labels="y")
        self.fails(*usage, "query_labels", trimine.mine, x, labels=y, query_labels=y)
        self.fails(*usage, "pairs x 2", trimine.mine, x, queries=x, pairs=[1, 2])
        self.fails(*usage, "trimine.qrels.read_qrels makes row ids of your own ids", trimine.mine, x, queries=x, pairs=[("q1", "d2")])
        self.fails(*usage, "a NUL", trimine.mine, "a\0b")
        self.fails(*usage, "a NUL", trimine.mine, x, labels=y, positives="a\0b")
        self.fails(66, "no_input", "'./:'", trimine.mine, [":", "--nonsense"], ranks=2)  # no second program for mpirun
        for function, wrong, hint in ((trimine.mine, "marjin", ", did you mean 'margin' or 'margins'?"), (trimine.mine, "label", ", did you mean 'labels'"),
                                      (trimine.knn, "kernal", ", did you mean 'kernel'?"), (trimine.loss, "gradients", ", did you mean 'gradient'"),
                                      (trimine.evaluate, "query_label", ", did you mean 'query_labels'"), (trimine.radius, "max_pair", ", did you mean 'max_pairs'"),
                                      (trimine.mine, "zzz", " (see help(trimine.mine))")):
            with self.assertRaisesRegex(TypeError, "^" + re.escape(f"{function.__name__}() got an unexpected keyword argument '{wrong}'{hint}")):
                function(x, labels=y, **{wrong: 1})
        with self.assertRaises(TypeError):
            trimine.mine(x, y)
        self.fails(*usage, "file names", trimine.mine, x, labels=y, output="a\ud800.h5")
        self.fails(*usage, "a NUL", trimine.write_store, "a\0.h5", x)
        self.fails(*usage, "No closing quotation", trimine.mine, x, labels=y, ranks=2, launcher='mpirun "-n')
        self.fails(*usage, "launcher is 5", trimine.mine, x, labels=y, ranks=2, launcher=5)
        self.assertEqual(trimine.mine(x, labels=y, window="none", ranks=np.int64(1)).form, "triplets")

    def test_tensors_that_are_no_arrays(self):
        """As PyTorch has them: sparse, quantised, without data; and lists of some that need a gradient."""
        class Tensor:
            dtype = "torch.float32"

            def detach(self):
                return self

            cpu = detach

            def numpy(self):
                raise NotImplementedError("no data!\nmore of it")

        class Element:
            def __array__(self, *_, **__):
                raise RuntimeError("requires grad")
        self.fails(64, "usage", "can't be made an array: no data!", trimine.knn, Tensor(), k=1)
        self.fails(64, "usage", "can't be made an array: requires grad", trimine.knn, [Element(), Element()], k=1)

    def test_wrong_triplets(self):
        x, y = self.rows(20)
        usage = (64, "usage")
        for text, triplets in (("three arrays: anchor", ([0], [4])), ("three arrays: anchor", 5), ("three arrays: anchor", {"a": 1}),
                               ("three arrays: anchor", np.zeros((4, 3), int)),  # the first three of four rows would be taken for columns
                               ("one length", ([0, 1], [4], [1])), ("one length", ([[0]], [[4]], [[1]])), ("one length", (None, [1], [2])),
                               ("anchors are of type float64", ([0.5], [4], [1])), ("negatives are of type float64", ([0], [4], [np.nan])),
                               ("positives are of type <U1", ([0], ["4"], [1])), ("no row id", ([2**63], [4], [1]))):
            self.fails(*usage, text, trimine.loss, x, labels=y, triplets=triplets)
        self.fails(*usage, "which has none", trimine.loss, x, labels=y, triplets=trimine.knn(x, k=2))
        self.fails(65, "data", "holds no triplets", trimine.loss, x, labels=y, triplets=([], [], []))
        self.fails(*usage, "no row id", trimine.mine, x, queries=x, pairs=np.array([[2**63, 1]], "u8"))

    def test_what_launchers_write_is_no_report(self):
        from trimine import program
        report = '{"program": "trimine", "command": "info"}'
        self.assertEqual(program.report_in(f'{{"level": "info"}}\n{{\n[1]\n{report}\n')["command"], "info")
        self.assertIsNone(program.report_in('{"level": "info"}'))

    def test_values_that_are_none(self):
        x, y = self.rows(20)
        usage = (64, "usage")
        self.fails(*usage, "embeddings are of type bool", trimine.mine, x > 0, labels=y)
        self.fails(*usage, "can't be made an array" if np.lib.NumpyVersion(np.__version__) >= "1.24.0" else "", trimine.mine, [[1, 2], [3]], labels=[0, 1])
        self.fails(*usage, "masked values", trimine.mine, np.ma.masked_less(x, 0), labels=y)
        self.fails(*usage, "labels: that of row 2 is None", trimine.mine, x, labels=["a", "b", None, "c"] * 5)
        self.fails(*usage, "labels: that of row 0 is None", trimine.mine, x, labels=[None] * 20)
        self.fails(*usage, "labels: that of row 1 is 'b'", trimine.mine, x, labels=np.array([1, "b"] * 10, dtype=object))
        self.fails(*usage, "can't be written as UTF-8", trimine.mine, x, labels=["a", "\udc80"] * 10)
        self.fails(65, "data", "store (an array): dataset '/labels' row 1 has the value nan", trimine.mine, x, labels=[0, np.nan] * 10)
        self.fails(65, "data", "queries (an array): dataset '/embeddings' row 0", trimine.mine, x, labels=y, queries=x * np.nan, query_labels=y)

    def test_a_temporary_folder_that_is_gone(self):
        x, y = self.rows(20)
        before, tempfile.tempdir = tempfile.tempdir, os.path.abspath("gone")
        try:
            self.fails(73, "create", "': can't be written: No such file", trimine.mine, x, labels=y)
        finally:
            tempfile.tempdir = before

    def test_a_result_that_is_replaced_while_it_is_read(self):
        x, y = self.rows(40)
        first = trimine.mine(x, labels=y, window="none", output="t.h5")
        anchors = first.anchor
        trimine.mine(x, labels=y, window="none", output="t.h5", overwrite=True)
        self.assertEqual(len(first.positive), len(anchors))  # the same result is as good
        trimine.mine(x[:20], labels=y[:20], window="none", output="t.h5", overwrite=True)
        for reads in (lambda: first.d_ap, lambda: first.by_anchor(30)):
            self.fails(65, "data", "result 't.h5': is another one than when it was first read", reads)
        self.assertEqual(first.anchor.tolist(), anchors.tolist())

    def test_files_that_cannot_be_written(self):
        x, _ = self.rows(20)
        self.fails(73, "create", "'no/s.h5'", trimine.write_store, "no/s.h5", x)
        os.mkdir("folder")
        self.fails(73, "create", "'folder'", trimine.write_store, "folder", x, overwrite=True)
        script = ("import resource, signal, numpy, trimine; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                  "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
                  "try: trimine.write_store('s.h5', numpy.ones((3000, 100)))\n"
                  "except trimine.TrimineError as e: print(e)")
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")))
        self.assertRegex(done.stdout, r"^'s.h5': can't be written: .*\(io, 74\)\n$")
        self.assertEqual(os.listdir("."), ["folder"])

    def test_no_program_no_launcher(self):
        x, y = self.rows(20)
        program = os.environ["TRIMINE"]
        try:
            os.environ["TRIMINE"] = "/nowhere/trimine"
            self.fails(69, "environment", "/nowhere/trimine", trimine.mine, x, labels=y)
        finally:
            os.environ["TRIMINE"] = program
        try:
            os.environ["TRIMINE"] = shutil.which("true")
            self.fails(69, "environment", "ended with code 0 and no report: is it trimine", trimine.mine, x, labels=y)
        finally:
            os.environ["TRIMINE"] = program
        self.fails(69, "environment", "no-launcher", trimine.mine, x, labels=y, ranks=2, launcher="no-launcher -n")
        e = self.fails(1, "launcher", "nonsense", trimine.mine, x, labels=y, ranks=2, launcher=["mpirun", "--nonsense", "-n"])
        self.assertIn("launcher, 1", str(e))

    def test_inside_a_job(self):
        os.environ["OMPI_COMM_WORLD_RANK"] = "0"
        try:
            self.fails(69, "environment", "trimine.mpi", trimine.mine, "s.h5")
        finally:
            del os.environ["OMPI_COMM_WORLD_RANK"]

    def test_files_that_are_none(self):
        self.fails(66, "no_input", "nothing.h5", trimine.read, "nothing.h5")
        with open("text.h5", "w", encoding="ascii") as f:
            f.write("text")
        self.fails(65, "data", "text.h5", trimine.read, "text.h5")
        trimine.write_store("s.h5", np.ones((3, 2)))
        self.fails(65, "data", "not a result of trimine", trimine.read, "s.h5")

    def test_errors_can_be_sent(self):
        import pickle
        e = pickle.loads(pickle.dumps(trimine.TrimineError(65, "data", "bad row", 2, "node7")))
        self.assertEqual(str(e), "rank 2 (node7): bad row (data, 65)")

    def test_interrupted(self):
        """A terminal's Ctrl-C, which mpirun gets, too: the job stops at once, its checkpoint stays, and the same call goes on."""
        x = np.random.default_rng(0).standard_normal((40000, 256)).astype(np.float32)
        trimine.write_store("s.h5", x, np.arange(40000) % 100)
        for ranks in (None, 2):
            script = textwrap.dedent(f"""
                import trimine
                try:
                    trimine.mine("s.h5", checkpoint="c{ranks}", checkpoint_every=0, kernel="float64", threads=1, output="t.h5", show=True, ranks={ranks})
                except KeyboardInterrupt:
                    print("interrupted")
            """)
            child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")), start_new_session=True)
            said = child.stderr.readline()  # the plan: the job is running
            self.assertIn("plan", said)
            while "%" not in said:  # something is done
                said = child.stderr.readline()
            os.killpg(child.pid, signal.SIGINT)
            out, err = child.communicate(timeout=900)
            self.assertEqual(out, "interrupted\n", err)
            self.assertFalse(os.path.exists("t.h5"))
            self.assertEqual(glob.glob(".t.h5*"), [])  # it ended by itself, not killed
            self.assertTrue(os.path.exists(f"c{ranks}"), err)

    def test_stopped_by_a_handler(self):
        """Whatever a handler of signals raises, no process is left."""
        x = np.random.default_rng(0).standard_normal((40000, 256)).astype(np.float32)
        trimine.write_store("s.h5", x, np.arange(40000) % 100)
        script = textwrap.dedent("""
            import signal, trimine
            def late(*_): raise TimeoutError("late")
            signal.signal(signal.SIGUSR2, late)
            try:
                trimine.mine("s.h5", kernel="float64", threads=1, output="t.h5", show=True, ranks=2)
            except TimeoutError:
                print("late")
        """)
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python")), start_new_session=True)
        self.assertIn("plan", child.stderr.readline())
        child.send_signal(signal.SIGUSR2)
        out, err = child.communicate(timeout=900)  # its end: the ranks had this pipe, too
        self.assertEqual(out, "late\n", err)
        self.assertFalse(os.path.exists("t.h5"))


if __name__ == "__main__":
    support.main()
