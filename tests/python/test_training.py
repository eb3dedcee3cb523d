"""Results as data to train on."""
import os
import pickle
import unittest

import support

import numpy as np

import trimine
from trimine.training import to_columns


class Training(support.Case):
    def setUp(self):
        super().setUp()
        self.x, self.y = self.rows(24)
        self.texts = [f"text {i}" for i in range(24)]
        self.lists = trimine.mine(self.x, labels=self.y, form="lists", negatives="topk:3", max_distance=4)
        self.triplets = trimine.mine(self.x, labels=self.y, negatives="topk:3", max_distance=4)
        self.assertTrue((self.lists.negative < 0).any())  # some come short

    def lines(self):
        return [(a, p, [n for n in ns if n >= 0])
                for a, p, ns in zip(self.lists.anchor, self.lists.positive, self.lists.negative.tolist())]

    def test_triplets(self):
        wanted = [(a, p, n) for a, p, ns in self.lines() for n in ns]
        for result in (self.triplets, self.lists):
            data = trimine.TripletDataset(result)
            self.assertEqual(len(data), len(self.triplets))
            self.assertEqual([data[i] for i in range(len(data))], wanted)
        named = trimine.TripletDataset(self.lists, self.texts, transform=lambda a, p, n: "/".join((a, p, n)))
        self.assertEqual(named[0], "text %d/text %d/text %d" % wanted[0])
        self.assertEqual(trimine.TripletDataset(self.lists, lambda row: -row)[0], tuple(-v for v in wanted[0]))
        self.same(trimine.TripletDataset(self.lists, self.x)[2][0], self.x[wanted[2][0]])
        self.assertEqual(trimine.TripletDataset(self.lists, self.texts, queries=lambda q: q)[0][0], wanted[0][0])

    def test_negatives(self):
        for result in (self.triplets, self.lists):
            data = trimine.NegativesDataset(result)
            self.assertEqual([data[i] for i in range(len(data))], self.lines())
            two = trimine.NegativesDataset(result, negatives=2)
            self.assertEqual([two[i] for i in range(len(two))], [(a, p, ns[:2]) for a, p, ns in self.lines() if len(ns) >= 2])
        a, p, ns = self.lines()[0]
        self.assertEqual(trimine.NegativesDataset(self.triplets, self.texts)[0],
                         (f"text {a}", f"text {p}", [f"text {n}" for n in ns]))

    def test_what_pandas_has_is_looked_up_by_its_place(self):
        """As a column of a table has other indexes, of which some rows were taken or that was shuffled."""
        class Column(list):
            """Like a Series: [] is by another index."""
            iloc = property(lambda self: self.copy())

            def __getitem__(self, index):
                raise KeyError(index)

        a, p, ns = self.lines()[0]
        self.assertEqual(trimine.TripletDataset(self.lists, Column(self.texts))[0], (f"text {a}", f"text {p}", f"text {ns[0]}"))
        self.assertEqual(trimine.NegativesDataset(self.lists, self.texts, queries=Column(self.texts))[0][0], f"text {a}")

    def test_what_does_not_fit_is_refused(self):
        for data in (trimine.TripletDataset, trimine.NegativesDataset):
            with self.refused(64, "items are 23, for 24 rows: needs one for each, in their order"):
                data(self.lists, self.texts[:-1])
            with self.refused(64, "queries are 3, for 24 rows"):
                data(self.lists, self.texts, queries=self.texts[:3])
            data(self.lists, {row: row for row in range(1)})
        asked = trimine.mine(self.x, labels=self.y, queries=self.x[:5], query_labels=self.y[:5], negatives="hard")
        with self.refused(64, "the anchors of this result are queries, not rows of the store: say by queries what they are"):
            trimine.TripletDataset(asked, self.texts)
        a, p, n = trimine.TripletDataset(asked)[0]
        self.assertEqual(trimine.TripletDataset(asked, self.texts, queries=list("abcde"))[0], ("abcde"[a], f"text {p}", f"text {n}"))

    def test_what_is_no_result_or_no_index_is_told(self):
        for made in (trimine.TripletDataset, trimine.NegativesDataset):
            with self.refused(64, "'t.h5' has no triplets .trimine.read reads the result of that name"):
                made("t.h5")
            with self.assertRaisesRegex(TypeError, "slice"):
                made(self.lists)[:2]

    def test_more_negatives_than_any_pair_has(self):
        for wrong in (0, -1, 2.0, True, "3"):
            with self.refused(64, "negatives is .*, must be a whole number from 1"):
                trimine.NegativesDataset(self.lists, negatives=wrong)
            with self.refused(64, "negatives is .*, must be a whole number from 1"):
                to_columns(self.lists, form="labeled-list", negatives=wrong)
        most = self.lists.negative.shape[1]
        with self.refused(64, f"negatives is {most + 1}, of which no pair of .* has more than {most}"):
            trimine.NegativesDataset(self.lists, negatives=most + 1)
        self.assertEqual(to_columns(self.lists, form="n-tuple", negatives=most + 1), to_columns(self.lists, form="n-tuple"))

    def test_they_can_be_sent_to_other_processes(self):
        """As a DataLoader does whose workers are spawned."""
        for data in (trimine.TripletDataset(self.lists, self.texts), trimine.NegativesDataset(self.lists, self.texts)):
            self.assertEqual(pickle.loads(pickle.dumps(data))[0], data[0])
        self.same(pickle.loads(pickle.dumps(self.lists)).negative, self.lists.negative)

    def test_nothing_and_lone(self):
        none = trimine.mine(self.x, labels=self.y, negatives="topk:3", max_distance=0)
        self.assertEqual((len(none), len(trimine.TripletDataset(none)), len(trimine.NegativesDataset(none))), (0, 0, 0))
        self.assertEqual(to_columns(none, form="n-tuple"), {"anchor": [], "positive": []})
        self.assertTrue(np.isnan(none.quantiles()["gap"]).all())
        lone = trimine.mine(self.x, labels=range(24), negatives="hard", lone=True)
        self.assertEqual((len(lone), len(trimine.TripletDataset(lone)), len(trimine.NegativesDataset(lone))), (24, 0, 0))
        with self.assertRaisesRegex(trimine.TrimineError, "no triplets"):
            trimine.TripletDataset(trimine.knn(self.x))

    def test_batches(self):
        r = trimine.mine(self.x, labels=self.y, negatives="topk:2", batches=20, classes_per_batch=2, rows_per_class=4)
        data = trimine.NegativesDataset(r)
        self.assertEqual(len(data), 20 * 8 * 3)
        self.assertEqual({len(data[i][2]) for i in range(len(data))}, {2})

    def test_columns(self):
        lines = self.lines()
        columns = to_columns(self.triplets, self.texts)
        self.assertEqual(list(columns), ["anchor", "positive", "negative"])
        self.assertEqual(len(columns["negative"]), len(self.triplets))
        full = [line for line in lines if len(line[2]) == 3]
        columns = to_columns(self.triplets, form="n-tuple", negatives=3)
        self.assertEqual(list(columns), ["anchor", "positive", "negative_1", "negative_2", "negative_3"])
        self.assertEqual(columns["negative_2"], [line[2][1] for line in full])
        self.assertEqual(to_columns(self.lists, form="n-tuple"), columns)  # as trimine export: short lines are left out, not all cut
        columns = to_columns(self.lists, form="labeled-list")
        self.assertEqual(columns["documents"], [[p, *ns] for _, p, ns in lines])
        self.assertEqual(columns["labels"], [[1] + [0] * len(ns) for _, _, ns in lines])
        with self.assertRaisesRegex(trimine.TrimineError, "form is 'pairs'"):
            to_columns(self.lists, form="pairs")

    @unittest.skipIf(support.lacks("torch"), support.lacks("torch"))
    def test_data_loader(self):
        import torch
        data = trimine.TripletDataset(self.triplets, torch.from_numpy(self.x))
        self.assertIsInstance(data, torch.utils.data.Dataset)
        seen = [a for a, p, n in torch.utils.data.DataLoader(data, batch_size=16)]
        self.same(torch.cat(seen).numpy(), self.x[data.rows[:, 0]])

    @unittest.skipIf(support.lacks("datasets"), support.lacks("datasets"))
    def test_hugging_face(self):
        data = trimine.to_datasets(self.triplets, self.texts)
        self.assertEqual(data.column_names, ["anchor", "positive", "negative"])
        self.assertEqual(data[0]["anchor"], f"text {self.triplets.anchor[0]}")
        self.assertEqual(trimine.to_datasets(self.lists, self.texts, form="labeled-list")[0]["labels"][0], 1)

    @unittest.skipIf(support.lacks("matplotlib"), support.lacks("matplotlib"))
    def test_plot(self):
        for result, parts in ((self.triplets, 3), (self.lists, 3), (trimine.knn(self.x), 1), (trimine.radius(self.x, radius=4.0), 1)):
            figure = trimine.plot(result, bins=10, path="plot.png")
            self.assertEqual(len(figure.axes), parts)
            total = sum(patch.get_height() for patch in figure.axes[0].patches)
            self.assertEqual(total, len(next(iter(result.distances_by_name().values()))))
            self.assertGreater(os.path.getsize("plot.png"), 1000)


if __name__ == "__main__":
    support.main()
