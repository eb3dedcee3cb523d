"""Files that are read, whatever they hold: what h5py and numpy raise of a bad one becomes one line that names it.

Nothing is mapped into memory: a file that is cut while it is mapped would end the process.
"""
import contextlib
import csv
import gzip
import os
import zlib

import h5py
import numpy as np

from .errors import TrimineError, data, error


def text_of(value):
    """As people see it: what is no UTF-8 becomes a mark."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def first_line(failure):
    return (text_of(failure).strip() or type(failure).__name__).splitlines()[0]


@contextlib.contextmanager
def reading(what, path):
    """Around what reads a file. Other failures than of the file, such as too little memory, stay what they are."""
    try:
        yield
    except TrimineError:
        raise
    except FileNotFoundError:
        raise error(66, f"{what} '{path}': no such file") from None
    except PermissionError:
        raise error(77, f"{what} '{path}': permission denied") from None
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, AttributeError, EOFError, zlib.error, csv.Error) as e:
        raise data(f"{what} '{path}': can't be read: it is damaged ({first_line(e)})") from None


def must_be_file(path, what):
    if "\0" in path or not os.path.exists(path):
        raise error(66, f"{what} '{path}': no such file")
    if not os.path.isfile(path):
        raise data(f"{what} '{path}': not a file")


def open_hdf5(path, what):
    must_be_file(path, what)
    try:
        return h5py.File(path, "r")
    except PermissionError:
        raise error(77, f"{what} '{path}': permission denied") from None
    except (OSError, ValueError) as e:  # ValueError: a name that is no UTF-8, of some versions
        raise data(f"{what} '{path}': not an HDF5 file that can be read ({first_line(e)})") from None


def first_bytes(path, what, count=8):
    must_be_file(path, what)
    with reading(what, path), open(path, "rb") as f:
        return f.read(count)


class Npy:
    """The array of a .npy file, of which rows are read as they are asked for, by [row] or [first:end] as of numpy's. In Fortran order,
    where a row is not in one place, it is read as a whole."""

    def __init__(self, path, what):
        must_be_file(path, what)
        self.path, self.what = path, what
        try:
            self.file = open(path, "rb")
            self.look()
        except PermissionError:
            raise error(77, f"{what} '{path}': permission denied") from None
        except (OSError, ValueError, EOFError, SyntaxError) as e:  # numpy raises any of these on a damaged heading
            raise data(f"{what} '{path}': not a .npy file that can be read ({first_line(e)})") from None

    def look(self):
        version = np.lib.format.read_magic(self.file)
        head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        self.shape, columns_first, self.dtype = head.get(version, head[2, 0])(self.file)
        self.begins, self.ndim = self.file.tell(), len(self.shape)
        if self.dtype.hasobject or self.dtype.itemsize == 0 or any(n < 0 for n in self.shape):
            raise ValueError("its values are no numbers or texts")
        self.width = int(np.prod(self.shape[1:], dtype=object))  # values of a row
        if os.fstat(self.file.fileno()).st_size < self.begins + len(self) * self.width * self.dtype.itemsize:
            raise ValueError("it ends too early")
        self.whole = np.load(self.path, allow_pickle=False) if columns_first and self.ndim > 1 else None

    def __len__(self):
        return self.shape[0] if self.shape else 1

    def read(self, first, count):
        if self.whole is not None:
            return self.whole[first:first + count]
        size = self.width * self.dtype.itemsize
        with reading(self.what, self.path):
            self.file.seek(self.begins + first * size)
            read = self.file.read(count * size)
            if len(read) < count * size:
                raise ValueError("it was cut meanwhile")
        return np.frombuffer(read, self.dtype).reshape(count, *self.shape[1:])

    def __getitem__(self, which):
        if isinstance(which, slice):
            first, end, _ = which.indices(len(self))
            return self.read(first, max(0, end - first))
        return self.read(which, 1)[0]

    def close(self):
        self.file.close()


def read_idx(path, what):
    """An IDX file of bytes, as MNIST's are, gzip or not."""
    with reading(what, path), open(path, "rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
        f.seek(0)
        inside = (gzip.GzipFile(fileobj=f) if packed else f).read()
        if inside[:3] != b"\0\0\x08" or len(inside) < 4 or not 1 <= inside[3] <= 4 or len(inside) < 4 + 4 * inside[3]:
            raise ValueError("it is no IDX file of bytes")
        shape = np.frombuffer(inside, ">i4", count=inside[3], offset=4)
        return np.frombuffer(inside, np.uint8, offset=4 + 4 * inside[3]).reshape(shape)


class Lines:
    """The lines of a text, by number, with little memory however many there are: the places of some of them are kept, at most MARKS."""

    MARKS = 1 << 16
    PIECE = 1 << 20
    LONGEST = 1 << 26  # bytes of one that is read

    def __init__(self, path, what):
        must_be_file(path, what)
        self.path, self.what = path, what
        with reading(what, path):
            self.file = open(path, "rb")
        self.find()

    def pieces(self, begin):
        """The file from a place on: where each piece begins, and its bytes."""
        with reading(self.what, self.path):
            self.file.seek(begin)
        while True:
            with reading(self.what, self.path):
                piece = self.file.read(self.PIECE)
            if not piece:
                return
            yield begin, piece
            begin += len(piece)

    def find(self):
        """Counts the lines; marks has where every step-th begins."""
        self.count, self.step, self.marks, end, last = 0, 1, [0], 0, ord("\n")
        for begin, piece in self.pieces(0):
            starts = begin + 1 + np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n"))
            self.mark(starts)
            end, last = begin + len(piece), piece[-1]
        self.count += last != ord("\n")
        self.end = end

    def mark(self, starts):
        """Of lines from number count + 1 on; every second mark goes where there is no room for more."""
        numbers = np.arange(self.count + 1, self.count + 1 + len(starts))
        while len(self.marks) + np.count_nonzero(numbers % self.step == 0) > self.MARKS:
            self.marks, self.step = self.marks[::2], 2 * self.step
        self.marks += starts[numbers % self.step == 0].tolist()
        self.count += len(starts)

    def __len__(self):
        return self.count

    def get(self, number):
        """A line's bytes, without its end."""
        skipped, line, seen = number % self.step, [], 0
        for begin, piece in self.pieces(self.marks[number // self.step]):
            at, seen = 0, begin + len(piece)
            while skipped:
                at = piece.find(b"\n", at) + 1
                if at == 0:
                    break
                skipped -= 1
            if skipped:
                continue
            end = piece.find(b"\n", at)
            line.append(piece[at:] if end < 0 else piece[at:end])
            if end >= 0:
                return b"".join(line)
            if sum(map(len, line)) > self.LONGEST:
                raise data(f"{self.what} '{self.path}': line {number + 1} is longer than {self.LONGEST >> 20} MB")
        if seen < self.end:
            raise data(f"{self.what} '{self.path}': was cut while it was read")
        return b"".join(line)

    def close(self):
        self.file.close()


def values_of(dataset):
    """All of a dataset, in one dimension: texts as bytes, whatever their length; an enum's values by their names."""
    names = h5py.check_enum_dtype(dataset.dtype)
    values = np.ravel(dataset[()])
    if names:
        names = {number: name.encode() for name, number in names.items()}
        return np.array([names.get(v, str(v).encode()) for v in values.tolist()], dtype=object)
    if values.dtype.kind in "SO":
        return np.array([v.encode("utf-8", "surrogateescape") if isinstance(v, str) else bytes(v) for v in values.tolist()], dtype=object)
    if values.dtype.kind not in "iufb":
        raise ValueError(f"'{dataset.name}' is neither numbers nor texts")
    return values
