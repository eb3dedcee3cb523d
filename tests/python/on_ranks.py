"""What the tests of trimine.mpi and trimine.torch run under mpirun: on_ranks.py CHECK. Exit code 0 if all was right on all ranks."""
import json
import os
import sys

import support

import numpy as np
from mpi4py import MPI

import trimine
from trimine import mpi

COMM = MPI.COMM_WORLD


def part(*arrays):
    """This rank's rows: the first rank has none where there are three."""
    rows = len(arrays[0])
    ends = [0] * (COMM.size == 3) + [rows * i // (COMM.size - (COMM.size == 3)) for i in range(COMM.size + (COMM.size != 3))]
    return [a[ends[COMM.rank]:ends[COMM.rank + 1]] for a in arrays]


def whole(rows):
    return np.concatenate(COMM.allgather(rows))


def fails(code, text, function, *given, **options):
    try:
        function(*given, **options)
    except trimine.TrimineError as error:
        assert error.code == code and text in error.message, str(error)
        assert len(set(COMM.allgather(str(error)))) == 1
        return
    raise AssertionError(f"no error with {text}")


def losses():
    """Value and gradient are the program's, to the last bit."""
    data = np.load("rows.npz")
    with open("cases.json", encoding="ascii") as f:
        cases = json.load(f)
    x, y = part(data["x"], data["y"])
    with mpi.Run(threads=1) as run:
        for i, (case, mined) in enumerate(cases):
            loss = run.loss(x, y, triplets=True, **case)
            np.testing.assert_array_equal(whole(loss.gradient), data[f"gradient{i}"], str(case))
            assert loss.value == data[f"value{i}"], (case, loss.value, data[f"value{i}"])
            assert len(set(COMM.allgather(loss.value))) == 1
            if mined:
                rows = np.stack([whole(loss.triplets[name]) for name in ("anchor", "positive", "negative")], axis=1)
                wanted = data[f"triplets{i}"]
                np.testing.assert_array_equal(rows[np.lexsort(rows.T[::-1])], wanted[np.lexsort(wanted.T[::-1])], str(case))
                assert loss.mined["triplets"]["total"] == len(rows)
                if "batches" in case:
                    in_batches(run, x, y, case, loss, data[f"gradient{i}"])
                if "batches" in case or "compat" in case:
                    continue
                given = np.array_split(data[f"triplets{i}"], COMM.size)[COMM.rank].T
                kept = {k: v for k, v in case.items() if k in ("metric", "margin", "soft", "swap", "reduction", "at_zero", "normalize", "gradient_at",
                                                               "ignore_label")}
                np.testing.assert_array_equal(run.loss(x, y, given=given, **kept).gradient, loss.gradient, str(case))
        assert run.loss(x, y, gradient=False).gradient is None
        np.testing.assert_array_equal(run.loss(x.astype(np.float64), y.astype(np.int8)).gradient, run.loss(x, list(y)).gradient)


def in_batches(run, x, y, case, loss, gradient):
    """The rows of each batch, its triplets, and the same batches as a list: in another order, and all on the last rank."""
    lists = [rows for part in COMM.allgather(loss.batches) for rows in part]
    assert len(lists) == case["batches"] and len(loss.triplets["batch"]) == len(loss.triplets["anchor"])
    for number, a, n in zip(*(loss.triplets[k] for k in ("batch", "anchor", "negative"))):
        assert a in lists[number] and n in lists[number]
    options = {k: v for k, v in case.items() if k not in ("batches", "classes_per_batch", "rows_per_class", "seed")}
    mine = [rows[::-1] for rows in lists] if COMM.rank == COMM.size - 1 else []
    given = run.loss(x, y, batches=mine, **options)
    np.testing.assert_array_equal(whole(given.gradient), gradient)
    assert given.value == loss.value


def packed():
    data = np.load("packed.npz")
    with mpi.Run(threads=1) as run:
        for i in range(sum(name.startswith("case") for name in data)):
            case, form = json.loads(str(data[f"case{i}"]))
            arrays = part(data["anchor"], data["positive"], data[form])
            loss = run.packed_loss(*arrays, triplets=True, **case)
            for name, array, found in zip(("anchor", "positive", form), arrays, loss.gradient):
                assert found.shape == array.shape
                np.testing.assert_array_equal(whole(found), data[f"{name}{i}"], str(case))
            assert loss.value == data[f"value{i}"] and loss.summary["count"] == data[f"count{i}"], case
            if case.get("compat") != "guide-3":
                assert COMM.allreduce(len(loss.triplets["anchor"])) == loss.summary["count"], case
            assert run.packed_loss(*arrays, gradient=False, **case).gradient is None
        a, p, n = part(data["anchor"], data["positive"], data["negatives"])
        last = COMM.rank == COMM.size - 1
        fails(64, "have the shapes", run.packed_loss, a, p[:, 1:] if last else p, n)
        fails(64, "need numbers", run.packed_loss, a[0] if last else a, p, n)
        fails(64, "for rows with labels", run.packed_loss, a, p, n, compat="tfs")
        fails(64, "window does not apply to packed-other", run.packed_loss, a, p, n, negatives="hard", window="none")
        fails(64, "positives does not apply to packed-semihard", run.packed_loss, a, p, n, positives="all")
        fails(64, "--margin '-1", run.packed_loss, a, p, n, margin=-1)
        fails(65, "anchor: row 10 is zero", run.packed_loss, a * (np.arange(len(a)) < len(a) - 1)[:, None] if last else a, p, n, normalize=True)
        if COMM.size > 1:
            fails(64, "gradient: on all ranks", run.packed_loss, a, p, n, gradient=last)
            fails(64, "must be equal on all ranks", run.packed_loss, a, p, n[:, :2] if last else n)
    fails(64, "closed", run.packed_loss, a, p, n)


def queries():
    data = np.load("rows.npz")
    x, y, q, z = *part(data["x"], data["y"]), *part(data["q"], data["z"])
    pairs = np.array_split(data["pairs"], COMM.size)[COMM.rank]
    with mpi.Run(threads=1) as run:
        for name, more in (("labels", {"labels": y, "query_labels": z}), ("pairs", {"pairs": pairs.T})):
            loss = run.loss(x, queries=q, negatives="topk:2", **more)
            np.testing.assert_array_equal(whole(loss.gradient), data[f"{name}_store"])
            np.testing.assert_array_equal(whole(loss.query_gradient), data[f"{name}_queries"])
            assert loss.value == data[f"{name}_value"]


def errors():
    x, y = part(np.ones((30, 4), np.float32) * np.arange(30)[:, None], np.arange(30) % 3)
    run = mpi.Run(threads=1)
    fails(64, "metric is 'x'", run.loss, x, y, metric="x")
    fails(64, "margin", run.loss, x, y, margin=-1)
    fails(64, "'marjin'", run.loss, x, y, marjin=1)
    fails(64, "margin", run.loss, x, y, margin="wide")
    fails(64, "positives", run.loss, x, y, positives="some")
    fails(64, "pick is 3", run.loss, x, y, pick=3)
    fails(64, "within does not apply to mined", run.loss, x, y, within=0.5)
    fails(64, "no labels", run.loss, x)
    fails(64, "'gradients': no option of a loss in memory, did you mean 'gradient'", run.loss, x, y, gradients=1)
    fails(64, "compat is 'x'", run.loss, x, y, compat="x")
    fails(64, "for packed triplets", run.loss, x, y, compat="guide-1")
    fails(64, "soft does not apply to batch-all", run.loss, x, y, loss="batch-all", soft=True)
    fails(64, "soft does not apply to within-margin", run.loss, x, y, compat="pml-semihard", soft=True)
    fails(64, "--rank-order goes with --ranks", run.loss, x, y, negatives="hard", rank_order="after")
    fails(64, "--gradient-at normalized goes with --normalize", run.loss, x, y, gradient_at="normalized")
    fails(64, "--classes-per-batch is missing", run.loss, x, y, batches=2)
    fails(64, "classes", run.loss, x, y, batches=2, classes_per_batch=99, rows_per_class=2)
    fails(64, "--ignore-label", run.loss, x, queries=x, pairs=([], []), ignore_label=1)
    fails(64, "ignore_label goes by labels", run.loss, x, given=([], [], []), ignore_label=1)
    fails(64, "batches must be whole numbers", run.loss, x, y, batches=[[0.5, 1.5]])
    fails(65, "batch", run.loss, x, y, batches=[[0, 99]])
    fails(64, "given must be whole numbers", run.loss, x, y, given=([0.5], [1.0], [2.0]))
    fails(65, "embeddings: row 0 is zero", run.loss, x, y, normalize=True)
    last = COMM.rank == COMM.size - 1  # what is wrong on one rank only
    fails(64, "embeddings have the shape", run.loss, x[0] if last else x, y)
    fails(64, "labels have the shape", run.loss, x, y[1:] if last else y)
    fails(64, "need numbers", run.loss, [["a"]] if last else x, y)
    if COMM.size > 1:
        fails(64, "on all ranks or on none", run.loss, x, y, gradient=last)
        fails(64, "on all ranks or on none", run.loss, x, y, batches=[[0, 1]] if last else None)
        fails(64, "on all ranks or on none", run.loss, x, y, queries=x if last else None, query_labels=y if last else None)
        fails(64, "margin", run.loss, x, y, margin=0.5 if last else 1)
    bad = x.copy()
    if last:
        bad[-1, 2] = np.nan
    fails(65, "29", run.loss, bad, y)
    fails(65, "row 0", run.loss, x, y, metric="cosine")
    fails(64, "threads", mpi.Run, threads=-1)
    fails(64, "kernel", mpi.Run, kernel="none")
    run.close()
    run.close()
    fails(64, "closed", run.loss, x, y)
    fails(66, "no.h5", mpi.job, "mine", "no.h5")
    fails(64, "no option of mine, did you mean 'margin'", mpi.job, "mine", "no.h5", marjin=1)
    fails(64, "sweep", mpi.job, "sweep", "no.h5")
    # another communicator than that of all, and one Run after another
    half = COMM.Split(COMM.rank % 2)
    for _ in range(3):
        with mpi.Run(half, threads=1) as run:
            assert run.loss(x[:0] if len(x) == 0 else np.eye(4), [] if len(x) == 0 else [0, 0, 1, 1]).value >= 0
    half.Free()


def jobs():
    wanted = json.load(open("job.json", encoding="ascii"))
    for name, options in (("mine", {"negatives": "topk:2", "output": "in_process.h5"}), ("knn", {"k": 3}), ("radius", {"radius": 2.0}),
                          ("eval", {}), ("loss", {"loss": "batch-all"})):
        report = mpi.job(name, "store.h5", **options)
        assert report["command"] == name and report["run"]["ranks"] == COMM.size
        if name != "loss":
            assert report["result_hash"] == wanted[name], name
    assert len(trimine.read("in_process.h5")) > 0
    COMM.Barrier()
    if COMM.rank == 0:
        os.unlink("in_process.h5")


def autograd():
    """triplet_loss beside PyTorch's own autograd in float64, on one process and all rows."""
    import torch
    from trimine.torch import packed_loss, sum_gradients, triplet_loss
    data = np.load("rows.npz")
    x, y = data["x"], data["y"]
    w0 = np.random.default_rng(3).standard_normal((x.shape[1], 3)).astype(np.float32)
    for metric, soft in (("sql2", False), ("l2", True), ("cosine", False), ("dot", False)):
        options = dict(metric=metric, soft=soft, margin=0.5, negatives="hard")
        mine_x, mine_y = part(x, y)
        w = torch.tensor(w0, requires_grad=True)
        z = torch.from_numpy(np.ascontiguousarray(mine_x)) @ w
        loss = triplet_loss(z, mine_y, **options)
        (3 * loss).backward()
        sum_gradients([w])
        with mpi.Run(MPI.COMM_SELF, threads=1) as alone:
            one = alone.loss(torch.from_numpy(x) @ torch.tensor(w0), y, triplets=True, **options)
        a, p, n = (torch.from_numpy(one.triplets[k]) for k in ("anchor", "positive", "negative"))
        assert len(set(COMM.allgather(loss.item()))) == 1
        v = torch.tensor(w0, dtype=torch.float64, requires_grad=True)
        e = torch.from_numpy(x).double() @ v

        def d(i, j):
            if metric == "cosine":
                return 1 - torch.cosine_similarity(e[i], e[j])
            if metric == "dot":
                return -(e[i] * e[j]).sum(-1)
            s = ((e[i] - e[j]) ** 2).sum(-1)
            return s if metric == "sql2" else s.sqrt()

        gap = d(a, p) - d(a, n) + 0.5
        wanted = (torch.nn.functional.softplus(gap) if soft else gap.clamp(min=0)).mean()
        (3 * wanted).backward()
        assert abs(loss.item() - wanted.item()) < 1e-5 * max(1, abs(wanted.item())), (metric, loss.item(), wanted.item())
        np.testing.assert_allclose(w.grad.numpy(), v.grad.numpy(), rtol=1e-4, atol=1e-4 * float(v.grad.abs().max()))
    # types, no gradient, a function of the loss, two sets
    z = torch.from_numpy(np.ascontiguousarray(part(x)[0]))
    half = z.to(torch.bfloat16).requires_grad_()
    triplet_loss(half, mine_y, window="none").backward()
    assert half.grad.dtype == torch.bfloat16 and half.grad.shape == half.shape
    double = z.double().requires_grad_()
    value = triplet_loss(double, mine_y, window="none")
    assert value.dtype == torch.float64
    (value ** 2).backward()
    plain = z.clone().requires_grad_()
    again = triplet_loss(plain, torch.from_numpy(np.array(mine_y)), window="none")
    again.backward()
    np.testing.assert_allclose(double.grad, 2 * float(value.detach()) * plain.grad.double(), rtol=1e-6)
    with torch.no_grad():
        assert not triplet_loss(plain, mine_y).requires_grad
    q, t = part(data["q"], data["z"])
    queries = torch.from_numpy(np.ascontiguousarray(q)).requires_grad_()
    plain.grad = None
    triplet_loss(plain, mine_y, queries=queries, query_labels=t, negatives="topk:2").backward()
    np.testing.assert_array_equal(whole(plain.grad.numpy()), data["labels_store"])
    np.testing.assert_array_equal(whole(queries.grad.numpy()), data["labels_queries"])
    plain.grad = None  # only one of the two learns
    triplet_loss(plain, mine_y, queries=queries.detach(), query_labels=t, negatives="topk:2").backward()
    np.testing.assert_array_equal(whole(plain.grad.numpy()), data["labels_store"])


    # packed triplets, beside autograd's on one process; each rank's own rows
    e = torch.randn(3, 12, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    theirs = [t.clone().requires_grad_() for t in e]
    wanted = (((theirs[0] - theirs[1]) ** 2).sum(-1) - ((theirs[0] - theirs[2]) ** 2).sum(-1) + 1).clamp(min=0).mean()
    wanted.backward()
    first, last = 12 * COMM.rank // COMM.size, 12 * (COMM.rank + 1) // COMM.size
    ours = [t[first:last].float().requires_grad_() for t in e]
    loss = packed_loss(*ours)
    loss.backward()
    assert abs(loss.item() - wanted.item()) < 1e-5
    for mine, all_of_it in zip(ours, theirs):
        np.testing.assert_allclose(mine.grad, all_of_it.grad[first:last], rtol=1e-4, atol=1e-6)
    assert not packed_loss(*(t.detach() for t in ours), soft=True).requires_grad


def distributed():
    """DistributedDataParallel divides by the number of ranks: times it, the weights' gradient is that of one process."""
    import torch
    from trimine.torch import sum_gradients, triplet_loss
    torch.distributed.init_process_group("gloo", init_method=f"file://{os.getcwd()}/meeting", rank=COMM.rank, world_size=COMM.size)
    data = np.load("rows.npz")
    x, y = part(data["x"], data["y"])
    torch.manual_seed(1)
    model = torch.nn.Linear(x.shape[1], 3)
    x = torch.from_numpy(np.ascontiguousarray(x))
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    (triplet_loss(wrapped(x), y, window="none") * COMM.size).backward()
    averaged = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    triplet_loss(model(x), y, window="none").backward()
    sum_gradients(model.parameters())
    for a, p in zip(averaged, model.parameters()):
        assert float(p.grad.abs().max()) > 0
        np.testing.assert_allclose(a.numpy(), p.grad.numpy(), rtol=1e-5, atol=1e-6)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
