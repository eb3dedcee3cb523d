/* Reading superblocks and guessing formats; see first_bytes.h. The layout of a superblock is in the "HDF5
 * File Format Specification", II.A. */
#include "store/first_bytes.h"

#include <string.h>
#include <unistd.h>

enum { HEAD = 512, SIGNATURE = 8, SUPERBLOCK_MOST = 96, VERSION_AT = 8, ROOT_BYTES = 16 };
static const unsigned char signature[SIGNATURE + 1] = "\x89HDF\r\n\x1a\n";

static int64_t read_at(int file, void *data, int64_t bytes, int64_t at)
{
    const ssize_t got = pread(file, data, (size_t)bytes, at);
    return got < 0 ? 0 : got;
}

/* A little-endian number of 2, 4 or 8 bytes, as addresses are; -1: none, or beyond any file. */
static int64_t address(const unsigned char *at, int width)
{
    uint64_t value = 0;
    bool undefined = true;
    for (int i = 0; i < width; i++) {
        value |= (uint64_t)at[i] << 8 * i;
        undefined = undefined && at[i] == 0xFF;
    }
    return undefined || value > INT64_MAX / 2 ? -1 : (int64_t)value;
}

static bool all_zero(const unsigned char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* head: the bytes from the superblock on, which is at `at`. */
static trm_superblock read_superblock(int file, int64_t bytes, int64_t at, const unsigned char *head,
                                      int64_t count)
{
    trm_superblock found = {.found = true, .cut = count <= VERSION_AT};
    if (found.cut)
        return found;
    found.version = head[VERSION_AT];
    if (found.version > TRM_NEWEST_SUPERBLOCK)
        return found;
    /* Versions 0 and 1: sizes at 13, then at 24 or 28 the addresses: base, free space, end, driver, the
     * root's link name, the root. Versions 2 and 3: base, extension, end, the root. */
    const bool old = found.version < 2;
    const int width = head[old ? 13 : 9], first = old ? (found.version == 0 ? 24 : 28) : 12;
    const int root = first + width * (old ? 5 : 3);
    found.cut = count < root + width;
    if (found.cut || (width != 2 && width != 4 && width != 8))
        return found;
    found.open_for_writing =
        found.version == 3 && (head[11] & 5) != 0; /* writing; single writer, many readers */
    const int64_t base = address(head + first, width), end = address(head + first + 2 * width, width);
    if (base != at) /* a user block was added or removed: HDF5 knows what that means */
        return found;
    found.end = end < 0 ? 0 : end;
    unsigned char header[ROOT_BYTES] = {0};
    const int64_t root_at = address(head + root, width);
    if (root_at >= 0 && base + root_at < bytes)
        found.root_unwritten =
            all_zero(header, read_at(file, header, sizeof header, base + root_at)) && bytes >= found.end;
    return found;
}

trm_superblock trm_superblock_look(int file, int64_t bytes)
{
    unsigned char head[SUPERBLOCK_MOST];
    for (int64_t at = 0; at < bytes; at = at == 0 ? 512 : 2 * at) {
        const int64_t count = read_at(file, head, sizeof head, at);
        if (count >= SIGNATURE && memcmp(head, signature, SIGNATURE) == 0)
            return read_superblock(file, bytes, at, head, count);
    }
    return (trm_superblock){.found = false};
}

/* ---- what it is instead ---- */

#define CONVERT(loaded) "convert it: numpy.save('store.npy', " loaded "), and give labels by --labels"
#define CONVERT_PICKLE CONVERT("numpy.asarray(pickle.load(open(FILE, 'rb')))")
typedef struct format {
    int at, bytes;
    const char *start, *inside; /* inside: also somewhere in the first bytes; or NULL */
    const char *what, *remedy;
} format;

/* In this order: what is more exact comes first. */
static const format formats[] = {
    {0, 6, "\x93NUMPY", NULL, "a NumPy array (.npy)", CONVERT("numpy.load(FILE)")},
    {0, 19, "trimine-checkpoint ", NULL, "a checkpoint of trimine", "give it with --checkpoint and --resume"},
    {0, 4, "PK\3\4", "data.pkl", "a PyTorch file (.pt)", CONVERT("torch.load(FILE).numpy()")},
    {0, 4, "PK\3\4", ".npy", "NumPy arrays (.npz)", CONVERT("numpy.load(FILE)[NAME]")},
    {0, 4, "PK\3\4", NULL, "a zip file", "unpack it first: unzip"},
    {0, 4, "PAR1", NULL, "a Parquet file",
     "make a store of it: python3 -m trimine import OUT.h5 FILE --labels COLUMN (docs/PYTHON.md)"},
    {0, 6, "ARROW1", NULL, "an Arrow or Feather file",
     CONVERT("numpy.stack(pandas.read_feather(FILE)['embedding'])")},
    {0, 3, "\x1f\x8b\x08", NULL, "a gzip file", "unpack it first: gunzip"},
    {0, 4, "\x28\xb5\x2f\xfd", NULL, "a zstd file", "unpack it first: unzstd"},
    {0, 6, "\xfd\x37zXZ", NULL, "an xz file", "unpack it first: unxz"},
    {0, 3, "BZh", NULL, "a bzip2 file", "unpack it first: bunzip2"},
    {257, 5, "ustar", NULL, "a tar file", "unpack it first: tar -xf"},
    {0, 19, "version https://git", NULL, "a Git LFS pointer in place of the file", "fetch it: git lfs pull"},
    {0, 9, "<!DOCTYPE", NULL, "a web page", "the download failed: look at it in a browser"},
    {0, 9, "<!doctype", NULL, "a web page", "the download failed: look at it in a browser"},
    {0, 5, "<html", NULL, "a web page", "the download failed: look at it in a browser"},
    {0, 3, "CDF", NULL, "a netCDF 3 file", "convert it: nccopy -k nc4"},
    {0, 4, "\x0e\x03\x13\x01", NULL, "an HDF4 file", "convert it: h4toh5"},
    {0, 6, "MATLAB", NULL, "a MATLAB file of before 7.3", "save it in MATLAB with -v7.3"},
    {0, 15, "SQLite format 3", NULL, "an SQLite database", "write its rows with h5py"},
    {0, 4, "\x89HDF", NULL, "an HDF5 file whose first bytes were changed, as a transfer in text mode does",
     "copy it again, in binary mode"},
    {0, 2, "\x80\2", NULL, "a Python pickle", CONVERT_PICKLE},
    {0, 2, "\x80\3", NULL, "a Python pickle", CONVERT_PICKLE},
    {0, 2, "\x80\4", NULL, "a Python pickle", CONVERT_PICKLE},
    {0, 2, "\x80\5", NULL, "a Python pickle", CONVERT_PICKLE},
    {8, 2, "{\"", NULL, "a safetensors file", CONVERT("safetensors.numpy.load_file(FILE)['embeddings']")},
};

static bool fits(const format *f, const unsigned char *head, int64_t count)
{
    return count >= f->at + f->bytes && memcmp(head + f->at, f->start, (size_t)f->bytes) == 0 &&
           (f->inside == NULL || memmem(head, (size_t)count, f->inside, strlen(f->inside)) != NULL);
}

static const format *find_format(const unsigned char *head, int64_t count)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (fits(&formats[i], head, count))
            return &formats[i];
    return NULL;
}

/* Formats of nearest-neighbour benchmarks have no mark; their sizes are telling enough. */
static bool is_vectors(const unsigned char *head, int64_t count, int64_t bytes, const char **what,
                       const char **remedy)
{
    enum { MOST = 1 << 16 };
    if (count < 8)
        return false;
    const int64_t first = address(head, 4), second = address(head + 4, 4);
    if (first > 0 && second > 0 && second <= MOST && bytes == 8 + 4 * first * second) {
        *what = "vectors (.fbin)";
        *remedy = CONVERT("numpy.fromfile(FILE, 'f4')[2:].reshape(-1, numpy.fromfile(FILE, 'i4', 2)[1])");
        return true;
    }
    if (first > 0 && first <= MOST && bytes % (4 * first + 4) == 0) {
        *what = "vectors (.fvecs)";
        *remedy =
            CONVERT("numpy.fromfile(FILE, 'f4').reshape(-1, numpy.fromfile(FILE, 'i4', 1)[0] + 1)[:, 1:]");
        return true;
    }
    return false;
}

static bool is_text(const unsigned char *head, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (head[i] < ' ' && head[i] != '\n' && head[i] != '\r' && head[i] != '\t')
            return false;
    return true;
}

void trm_first_bytes_guess(int file, int64_t bytes, const char **what, const char **remedy)
{
    unsigned char head[HEAD];
    const int64_t count = read_at(file, head, sizeof head, 0);
    *what = "a file of another kind";
    *remedy = CONVERT("...");
    if (bytes == 0) {
        *what = "an empty file";
        *remedy = "its writer failed, or has not written yet";
        return;
    }
    const format *known = find_format(head, count);
    if (known != NULL) {
        *what = known->what;
        *remedy = known->remedy;
        return;
    }
    if (all_zero(head, count)) {
        *what = "a file that begins with zeros";
        *remedy = "its writer or a copy of it did not finish: copy it again";
    } else if (is_text(head, count) && (head[0] == '{' || head[0] == '[')) {
        *what = "a JSON text";
        *remedy = CONVERT(
            "numpy.stack(pandas.read_json(FILE, lines=True)['embedding'])") "; where it has ids or labels, "
                                                                            "it is a file of --ids or "
                                                                            "--labels itself";
    } else if (is_text(head, count)) {
        *what = "a text (CSV?)";
        *remedy = CONVERT("numpy.loadtxt(FILE)") " (of a CSV: with delimiter=',')"
                                                 "; where it has the labels, it is a file of --labels itself";
    } else {
        is_vectors(head, count, bytes, what, remedy);
    }
}

/* Is its mark what a text may begin with, too? "MATLAB" is one label of many. */
static bool is_word(const format *known)
{
    enum { SHORT = 8 };
    return known->bytes <= SHORT && known->start[0] != '<';
}

const char *trm_first_bytes_known(int file, int64_t bytes)
{
    unsigned char head[HEAD];
    if (bytes == 0)
        return NULL;
    const int64_t count = read_at(file, head, sizeof head, 0);
    const format *known = find_format(head, count);
    return known == NULL || (is_text(head, count) && is_word(known)) ? NULL : known->what;
}

int64_t trm_first_bytes_mark(const char *head, int64_t have)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    const int64_t bytes = sizeof mark;
    return have >= bytes && memcmp(head, mark, sizeof mark) == 0 ? bytes : 0;
}
