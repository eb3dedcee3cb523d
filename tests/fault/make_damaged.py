"""Makes damaged and odd stores in a folder: make_damaged.py FOLDER. Every file's name says what must become of it:
ok-* gives the right result, bad-* is refused, any-* is one or the other (where no checksum tells), same-* is refused or
gives the result of the undamaged file, too-large is more than fits."""
import os
import random
import struct
import sys

import h5py
import numpy as np

folder = sys.argv[1]
rng = np.random.default_rng(5)
ROWS, DIM = 64, 8
x = rng.standard_normal((ROWS, DIM)).astype("f4")
labels = (np.arange(ROWS) % 7).astype("i8")


def path(name):
    return os.path.join(folder, name + ".h5")


def write(name, rows=x, row_labels=labels, **how):
    with h5py.File(path(name), "w") as f:
        f.create_dataset("embeddings", data=rows, **how)
        f.create_dataset("labels", data=row_labels, **({"chunks": (16,), **how} if how else {}))
    return path(name)


def chunked(name, version):
    with h5py.File(path(name), "w", libver=version) as f:
        f.create_dataset("embeddings", data=x, chunks=(16, DIM), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("labels", data=labels, chunks=(16,), fletcher32=True)
        places = []
        for d in ("embeddings", "labels"):
            for i in range(f[d].id.get_num_chunks()):
                info = f[d].id.get_chunk_info(i)
                places.append((info.byte_offset, info.size))
    return places  # of the embeddings' chunks, then of the labels'


def flipped(source, name, at, bit):
    data = bytearray(open(path(source), "rb").read())
    data[at] ^= 1 << bit
    open(path(name), "wb").write(data)


def raw(name, build):
    with h5py.File(path(name), "w", libver="latest") as f:
        build(f)


random.seed(11)
write("ok-plain")
places = chunked("ok-chunked", "earliest")
latest_places = chunked("ok-latest", "latest")  # has checksums on its metadata, too

# Truncation at every 1/64.
for source in ("ok-plain", "ok-chunked", "ok-latest"):
    data = open(path(source), "rb").read()
    for k in range(64):
        open(path(f"bad-cut-{source[3:]}-{k}"), "wb").write(data[: len(data) * k // 64])

# Bit flips: anywhere in the plain store; in checksummed data, where each must be found; and in its metadata.
size = os.path.getsize(path("ok-plain"))
for k in range(64):
    flipped("ok-plain", f"any-flip-plain-{k}", random.randrange(size), random.randrange(8))
for k in range(40):
    offset, length = random.choice(places)
    flipped("ok-chunked", f"bad-flip-data-{k}", offset + random.randrange(length), random.randrange(8))
covered = {at for offset, length in places for at in range(offset, offset + length)}
outside = [at for at in range(os.path.getsize(path("ok-chunked"))) if at not in covered]
for k in range(40):
    flipped("ok-chunked", f"any-flip-metadata-{k}", random.choice(outside), random.randrange(8))
covered = {at for offset, length in latest_places for at in range(offset, offset + length)}
for k in range(80):
    at = random.randrange(os.path.getsize(path("ok-latest")))
    flipped("ok-latest", f"{'bad' if at in covered else 'same'}-flip-latest-{k}", at, random.randrange(8))
flipped("ok-chunked", "bad-first-chunk", places[0][0] + 20, 3)
flipped("ok-chunked", "bad-last-chunk", places[3][0] + 20, 3)

# What is damaged is not taken for absent, even where another name would do; a group is no dataset, and does not count.
# Ids never stop a job.
for name, damaged, links in (
    ("bad-one-of-two-names", True, {"embeddings": x, "features": x, "labels": labels}),
    ("ok-damaged-ids", True, {"ids": np.arange(ROWS), "embeddings": x, "labels": labels}),
    ("ok-beside-a-group", False, {"features": x, "labels": labels}),
):
    with h5py.File(path(name), "w", libver="latest") as f:
        for link, values in links.items():
            f[link] = values
        at = h5py.h5o.get_info(f[next(iter(links))].id).addr + 10
        if not damaged:
            f.create_group("embeddings")
    if damaged:
        flipped(name, name, at, 0)

# The layout message of the embeddings: address, then bytes. It says that half of them are there.
data = open(path("ok-plain"), "rb").read()
with h5py.File(path("ok-plain"), "r") as f:
    layout = struct.pack("<QQ", f["embeddings"].id.get_offset(), x.nbytes)
assert data.count(layout) == 1
open(path("bad-shorter"), "wb").write(data.replace(layout, layout[:8] + struct.pack("<Q", x.nbytes // 2)))

# Valid HDF5 with other types, which are converted ...
write("ok-big-endian", x.astype(">f4"), labels.astype(">i4"))
write("ok-compressed", x, labels, compression="gzip")
write("ok-float64", x.astype("f8"))
write("ok-uint8-labels", x, labels.astype("u1"))
write("ok-float-labels", x, labels.astype("f4"))
write("ok-labels-of-rank-2", x, labels.reshape(ROWS, 1))
with h5py.File(path("ok-behind-a-user-block"), "w", userblock_size=512) as f:
    f["embeddings"], f["labels"] = x, labels
# ... and with content that is no store.
write("bad-complex", x.astype("c8"))
write("bad-text", np.array([b"abc"] * ROWS).reshape(ROWS, 1))
write("bad-compound", np.zeros(ROWS, dtype=[("a", "f4"), ("b", "i4")]))
write("bad-rank-1", x[:, 0])
write("bad-rank-3", x.reshape(ROWS, 2, 4))
write("bad-scalar", np.float32(1))
write("bad-no-rows", x[:0], labels[:0])
write("bad-no-columns", x[:, :0])
write("bad-fraction-labels", x, labels + 0.5)
write("bad-one-hot-labels", x, np.eye(int(labels.max()) + 1)[labels])
write("bad-lengths", x, labels[:-1])
nan = x.copy()
nan[17, 3] = np.nan
write("bad-nan", nan)
write("bad-labels-beyond-floats", x, labels * 2.0**54)
raw("bad-nothing", lambda f: None)
raw("bad-groups", lambda f: (f.create_group("embeddings"), f.create_group("labels")))


def unstored(rows):
    def build(f):
        f.create_dataset("embeddings", shape=(rows, DIM), dtype="f4", chunks=(1024, DIM))
        f.create_dataset("labels", shape=(rows,), dtype="i8", chunks=(1024,))

    return build


def names(f):  # which the message lists, on its one line
    f["labels"] = labels
    f["a\nb\x1b"] = x


def links(f):
    f["embeddings"] = h5py.SoftLink("/nowhere")
    f["labels"] = labels


def circle(f):
    f["embeddings"] = h5py.SoftLink("/embeddings")
    f["labels"] = labels


def external(f):
    f["embeddings"] = h5py.ExternalLink("missing.h5", "/embeddings")
    f["labels"] = labels


def external_good(f):  # with other data where the linked file has its rows
    f["embeddings"] = h5py.ExternalLink("ok-plain.h5", "/embeddings")
    f["labels"] = labels
    f["other"] = np.ones(10000, "f4")


def virtual(f):
    layout = h5py.VirtualLayout(shape=x.shape, dtype="f4")
    layout[...] = h5py.VirtualSource("missing.h5", "embeddings", shape=x.shape)
    f.create_virtual_dataset("embeddings", layout)
    f["labels"] = labels


def external_storage(f):
    f.create_dataset("embeddings", shape=x.shape, dtype="f4", external=[("missing.raw", 0, x.nbytes)])
    f["labels"] = labels


raw("bad-huge", unstored(2**55))
raw("too-large", unstored(2**36))
raw("bad-names", names)
raw("bad-dangling", links)
raw("bad-circle", circle)
raw("bad-external-link", external)
raw("ok-external-link", external_good)
raw("bad-virtual", virtual)
raw("bad-external-storage", external_storage)
raw("bad-type", lambda f: (f.create_dataset("embeddings", data=x), f["embeddings"].id, f.__setitem__("labels", np.dtype("f4"))))
with open(path("bad-not-hdf5"), "wb") as f:
    f.write(b"anchor,positive,negative\n" * 100)
open(path("bad-empty"), "wb").close()
os.mkfifo(path("bad-pipe"))
