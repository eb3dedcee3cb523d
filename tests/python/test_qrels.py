"""Judgements by ids become pairs of row ids."""
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import support

import trimine
from trimine.qrels import read_ids, read_qrels

QUERIES, DOCUMENTS = ["q7", "q1", "q3"], ["d5", "d0", "d2", "d9"]
PAIRS = [(0, 1), (1, 3), (1, 0), (2, 2)]


class Qrels(support.Case):
    def setUp(self):
        super().setUp()
        self.put("queries.jsonl", "".join(json.dumps({"_id": i, "text": "?"}) + "\n" for i in QUERIES))
        self.put("corpus.jsonl", "".join(json.dumps({"_id": i, "title": "", "text": "a\nb"}) + "\n" for i in DOCUMENTS))

    def put(self, name, text, encoding="utf-8"):
        with open(name, "w", encoding=encoding, newline="") as f:
            f.write(text)
        return name

    def lines(self, form, end="\n"):
        return "".join(form.format(q=QUERIES[q], d=DOCUMENTS[d]) + end for q, d in PAIRS)

    def run_program(self, *words):
        env = dict(os.environ, PYTHONPATH=os.path.join(support.ROOT, "python"))
        return subprocess.run([sys.executable, "-m", "trimine.qrels", *words], env=env, capture_output=True, text=True, timeout=60)

    def refused(self, pattern, code, *arguments, **keywords):
        with self.assertRaisesRegex(trimine.TrimineError, pattern) as caught:
            read_qrels(*arguments, **keywords)
        self.assertEqual(caught.exception.code, code)

    def test_forms_of_judgements(self):
        forms = {"two": self.lines("{q}\t{d}"), "beir": "query-id\tcorpus-id\tscore\n" + self.lines("{q}\t{d}\t1"),
                 "trec": self.lines("{q} 0 {d} 1"), "trec_tabs": self.lines("{q}\tQ0\t{d}\t2"), "commas": self.lines("{q},{d}"),
                 "windows": self.lines("{q}\t{d}\t1", "\r\n"), "blank": "\n" + self.lines("{q} {d}", "\n\n"), "no_end": self.lines("{q} {d}")[:-1]}
        for name, text in forms.items():
            found = read_qrels(self.put(f"{name}.tsv", text), QUERIES, DOCUMENTS)
            self.assertEqual((found.pairs, found.heading, found.irrelevant), (PAIRS, name == "beir", 0), name)
        self.put("mark.tsv", self.lines("{q}\t{d}"), "utf-8-sig")
        self.assertEqual(read_qrels("mark.tsv", QUERIES, DOCUMENTS).pairs, PAIRS)

    def test_judgements_in_json(self):
        for names in (("query-id", "corpus-id", "score"), ("query_id", "doc_id", "relevance")):
            of = [dict(zip(names, (QUERIES[q], DOCUMENTS[d], 1))) for q, d in PAIRS] + [dict(zip(names, ("q7", "d9", 0)))]
            found = read_qrels(self.put("r.jsonl", "".join(json.dumps(o) + "\n" for o in of)), QUERIES, DOCUMENTS)
            self.assertEqual((found.pairs, found.irrelevant), (PAIRS, 1))
        self.put("r.jsonl", '{"qid": 70, "pid": 5}\n')
        self.assertEqual(trimine.qrels.read_qrels("r.jsonl", [10, 70], [9, 5]).pairs, [(1, 1)])
        for text, why in (('{"qid": 70, "document": 5}', "line 1: has no field 'corpus-id' or .*; it has: qid, document"), ("q7 d5", "line 1: is no JSON"),
                          ('{"qid": 70, "pid": 5, "score": null}', "line 1: the relevance 'None' is no number")):
            self.refused(why, 65, self.put("bad.jsonl", text + "\n"), [10, 70], [9, 5])

    def test_judgements_in_arrays(self):
        of = [[QUERIES[q], DOCUMENTS[d]] for q, d in PAIRS]
        with h5py.File("pairs.h5", "w") as f:
            f["query"], f["positive"] = [q for q, _ in of], np.array([d for _, d in of], "S")
        np.save("pairs.npy", np.array(of))
        np.save("numbers.npy", np.array([[70, 5], [10, 9]]))
        for name in ("pairs.h5", "pairs.npy"):
            self.assertEqual(read_qrels(name, QUERIES, DOCUMENTS).pairs, PAIRS, name)
        self.assertEqual(read_qrels("numbers.npy", [10, 70], [9, 5]).pairs, [(1, 1), (0, 0)])
        self.refused("qrels 'pairs.npy': pair 1: there is no document 'd9'", 65, "pairs.npy", QUERIES, DOCUMENTS[:3])
        with h5py.File("other.h5", "w") as f:
            f["query"], f["positive"] = ["q1"], ["d5", "d0"]
        self.refused("qrels 'other.h5': has 1 queries and 2 positives", 65, "other.h5", QUERIES, DOCUMENTS)
        with h5py.File("other.h5", "w") as f:
            f["query"] = ["q1"]
        self.refused("qrels 'other.h5': ", 65, "other.h5", QUERIES, DOCUMENTS)
        self.refused("no such file", 66, "no.npy", QUERIES, DOCUMENTS)
        np.save("flat.npy", np.arange(6))
        self.refused("qrels 'flat.npy': ", 65, "flat.npy", QUERIES, DOCUMENTS)

    def test_what_is_not_relevant(self):
        text = "q7\td0\t1\nq7\td5\t0\nq1\td9\t2\nq1\tnowhere\t0\nq3\td2\t-1\n"
        found = read_qrels(self.put("r.tsv", text), QUERIES, DOCUMENTS)
        self.assertEqual((found.pairs, found.irrelevant), ([(0, 1), (1, 3)], 3))
        self.assertEqual(read_qrels("r.tsv", QUERIES, DOCUMENTS, least=2).pairs, [(1, 3)])

    def test_a_part_of_queries_or_documents(self):
        text = "q7\td0\t3\nq7\td77\t1\nq99\td5\t1\nq1\td9\t1\n"
        found = read_qrels(self.put("part.tsv", text), QUERIES, DOCUMENTS, skip_unknown=True)
        self.assertEqual((found.pairs, found.unknown, found.graded), ([(0, 1), (1, 3)], 2, 1))
        done = self.run_program("part.tsv", "--queries", "queries.jsonl", "--corpus", "corpus.jsonl", "-o", "part.txt", "--skip-unknown")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out   2 lines of an id that is not there\ngraded     1 pairs have a relevance above 1", done.stderr)

    def test_forms_of_ids(self):
        self.put("ids.txt", "\r\n".join(DOCUMENTS) + "\r\n")
        self.put("ids.tsv", "".join(f"{i}\tA \"text\n" for i in DOCUMENTS))
        self.put("ids.csv", "text,id\n" + "".join(f"\"a, b\",{i}\n" for i in DOCUMENTS))
        self.put("other.jsonl", "".join(json.dumps({"docno": i, "id": "x"}) + "\n" for i in DOCUMENTS))
        for path in ("ids.txt", "ids.tsv", "ids.csv:id", "corpus.jsonl", "other.jsonl:docno"):
            self.assertEqual(read_ids(path), DOCUMENTS, path)
        self.assertEqual(read_ids("ids.csv:2"), ["id", *DOCUMENTS])
        with h5py.File("store.h5", "w") as f:
            f["embeddings"], f["ids"], f["docno"] = np.zeros((4, 2)), DOCUMENTS, [3, 1, 2, 7]
        self.assertEqual((read_ids("store.h5"), read_ids("store.h5:docno")), (DOCUMENTS, ["3", "1", "2", "7"]))
        np.save("ids.npy", np.array([3, 1, 2, 7]))
        self.assertEqual(read_ids("ids.npy"), ["3", "1", "2", "7"])
        self.put("numbers.jsonl", '{"id": 7}\n{"id": 3}\n')
        self.assertEqual(read_ids("numbers.jsonl"), ["7", "3"])

    def test_refused(self):
        one = self.put("one.tsv", "q7\td0\nq1\td77\n")
        self.refused("line 2: there is no document 'd77'", 65, one, QUERIES, DOCUMENTS)
        self.refused("line 2: there is no document 'd77' .the first is 'd5'.; --skip-unknown leaves such lines out", 65, one, QUERIES, DOCUMENTS)
        self.refused("line 1: there is no query 'q7'", 65, one, ["q1"], DOCUMENTS)
        self.refused("no line has a query and a document that are there", 65, one, ["q1"], DOCUMENTS, skip_unknown=True)
        self.refused("line 1: there is no query 'q7'; a document is called so: the two files are swapped", 65, one, DOCUMENTS, QUERIES)
        self.refused("No such file", 66, "nowhere.tsv", QUERIES, DOCUMENTS)
        self.refused("queries: rows 0 and 2 have the same id 'q1'", 65, one, ["q1", "q2", "q1"], DOCUMENTS)
        self.refused("line 1 has 1 field,", 65, self.put("alone.tsv", "q7\n"), QUERIES, DOCUMENTS)
        self.refused("line 2: the relevance 'x' is no number", 65, self.put("word.tsv", "q7\td0\t1\nq1\td0\tx\n"), QUERIES, DOCUMENTS)
        self.refused("no line has an id", 65, self.put("rows.tsv", "0\t1\n"), QUERIES, DOCUMENTS)
        for text, pattern in (('{"text": "?"}', "line 1: has no field '_id' or 'id' or .*; it has: text"), ('"q7"', "line 1: is no object"),
                              ("q7", "line 1: is no JSON"), ('{"id": [1]}', r"line 1: 'id' is \[1\]: needs a string or a whole number")):
            with self.assertRaisesRegex(trimine.TrimineError, pattern):
                read_ids(self.put("bad.jsonl", text + "\n"))
        np.save("vectors.npy", np.zeros((4, 2)))
        for file, pattern in (("vectors.npy", "documents 'vectors.npy': an array of 4 x 2 values, needs one a row"),
                              (self.put("twice.txt", "d0\nd1\nd0\n"), "documents 'twice.txt': rows 0 and 2 have the same id 'd0'"),
                              (self.put("array.json", '[{"_id": "d0"}]'), "documents 'array.json': line 1: begins one JSON array, needs an object a line")):
            with self.assertRaisesRegex(trimine.TrimineError, pattern):
                read_ids(file, "documents")
        with h5py.File("bare.h5", "w") as f:
            f["embeddings"] = np.zeros((4, 2))
        with self.assertRaisesRegex(trimine.TrimineError, "queries 'bare.h5': has no ids: needs a dataset 'ids'"):
            read_ids("bare.h5", "queries")
        with self.assertRaisesRegex(trimine.TrimineError, "no column 'id'"):
            read_ids(self.put("bare.csv", "a,b\n") + ":id")
        with self.assertRaisesRegex(trimine.TrimineError, "line 2 is empty"):
            read_ids(self.put("gap.txt", "q7\n\nq1\n"))
        with open("bytes.txt", "wb") as f:
            f.write(b"\xff\xfe")
        with self.assertRaisesRegex(trimine.TrimineError, "no UTF-8"):
            read_ids("bytes.txt")

    def test_program(self):
        self.put("qrels.tsv", "query-id\tcorpus-id\tscore\n" + self.lines("{q}\t{d}\t1") + "q7\td9\t0\n")
        words = ("qrels.tsv", "--queries", "queries.jsonl", "--corpus", "corpus.jsonl", "-o", "pairs.txt")
        done = self.run_program(*words)
        with open("pairs.txt") as f:
            written = f.read()
        self.assertEqual((done.returncode, written), (0, "0 1\n1 3\n1 0\n2 2\n"), done.stderr)
        self.assertIn("4 pairs; 3 of 3 queries have one, of 4 documents", done.stderr)
        self.assertIn("left out   the heading and 1 line of a relevance below 1", done.stderr)
        again = self.run_program(*words)
        self.assertEqual((again.returncode, again.stderr), (73, "trimine: error: output 'pairs.txt' exists; give --overwrite to replace it\n"))
        self.assertEqual(self.run_program(*words, "--overwrite").returncode, 0)
        wrong = self.run_program(*words[:-1], "other.txt", "--queries", "corpus.jsonl")
        self.assertEqual((wrong.returncode, os.path.exists("other.txt")), (65, False), wrong.stderr)
        self.assertEqual(self.run_program("qrels.tsv").returncode, 64)

    def test_mine_takes_them(self):
        x, _ = self.rows(4)
        q, _ = self.rows(3, seed=2)
        self.put("qrels.tsv", self.lines("{q}\t{d}"))
        pairs = read_qrels("qrels.tsv", read_ids("queries.jsonl"), read_ids("corpus.jsonl")).pairs
        result = trimine.mine(x, queries=q, pairs=pairs, metric="cosine", negatives="topk:1")
        self.assertEqual(list(zip(result.anchor.tolist(), result.positive.tolist())), sorted(PAIRS))


if __name__ == "__main__":
    support.main()
