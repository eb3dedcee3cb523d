/* What a store leads to is found and looked at first: links, external storage, virtual datasets. What is sound
 * is read as any store, what is not is refused with its cause, and nothing waits for a pipe. */
#include "base/alloc.h"
#include "par/exchange.h"
#include "store/h5.h"
#include "store/result.h"
#include "support/scratch.h"
#include "trimine/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 24, HALF = 12, DIM = 4 };

/* ---- making files, on rank 0 alone ---- */

static float value_at(int64_t row, int64_t column)
{
    return (float)(row * DIM + column + 1);
}

/* Rows [first, first + count) of the store that is always the same. */
static void put_rows(hid_t file, const char *name, int64_t first, int64_t count)
{
    float values[ROWS * DIM];
    const hsize_t size[2] = {(hsize_t)count, DIM};
    for (int64_t i = 0; i < count * DIM; i++)
        values[i] = value_at(first + i / DIM, i % DIM);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(2, size, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
}

static void put_labels(hid_t file, int64_t first, int64_t count)
{
    int64_t labels[ROWS];
    const hsize_t size = (hsize_t)count;
    for (int64_t i = 0; i < count; i++)
        labels[i] = (first + i) % 3;
    hid_t space = H5Screate_simple(1, &size, NULL);
    hid_t dataset = H5Dcreate2(file, "labels", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels);
    H5Dclose(dataset);
    H5Sclose(space);
}

static hid_t new_file(const char *name)
{
    return H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}

static void put_bytes(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(in_folder(name), "w");
    if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static void put_text(hid_t file, const char *name, const char *value)
{
    hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(value) + 1);
    hid_t handle = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(handle, type, value);
    H5Aclose(handle);
    H5Tclose(type);
    H5Sclose(space);
}

static void link_to(hid_t file, const char *name, const char *other, const char *object)
{
    if (other == NULL)
        H5Lcreate_soft(object, file, name, H5P_DEFAULT, H5P_DEFAULT);
    else
        H5Lcreate_external(other, object, file, name, H5P_DEFAULT, H5P_DEFAULT);
}

/* What the stores of the table below lead to. */
static void make_others(void)
{
    hid_t file = new_file("ok.h5");
    put_rows(file, "/e", 0, ROWS);
    put_rows(file, "/g/sub/e", 0, ROWS);
    put_rows(file, "/low", 0, HALF);
    put_rows(file, "/high", HALF, HALF);
    link_to(file, "/g/soft", NULL, "sub/e");
    link_to(file, "/g/pipe", "pipe", "/e");
    link_to(file, "/g/back", "s.h5", "/embeddings");
    H5Fclose(file);
    float values[ROWS * DIM];
    for (int i = 0; i < ROWS * DIM; i++)
        values[i] = value_at(i / DIM, i % DIM);
    put_bytes("raw", values, sizeof values);
    put_bytes("cut", values, sizeof values - 1);
    put_bytes("text", "a,b\n", 4);
    for (int i = 0; i < 2; i++) {
        hid_t part = new_file(i == 0 ? "part-0.h5" : "part-1.h5");
        put_rows(part, "/e", i * HALF, HALF);
        H5Fclose(part);
    }
    if (mkfifo(in_folder("pipe"), 0600) != 0 || mkdir(in_folder("folder"), 0700) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

/* ---- the stores: each gets its embeddings from one of these ---- */

typedef struct recipe {
    const char *file, *object, *more; /* as the recipe takes them */
    int64_t from, past;               /* rows that the second source of a virtual dataset fills */
} recipe;

static void linked(hid_t file, const recipe *r)
{
    link_to(file, "embeddings", r->file, r->object);
}

/* A group behind a link, a dataset in it. */
static void through_a_group(hid_t file, const recipe *r)
{
    link_to(file, "grp", r->file, r->object);
    link_to(file, "embeddings", NULL, r->more);
}

static void grouped(hid_t file, const recipe *r)
{
    put_rows(file, r->object, 0, ROWS);
}

static void of_a_format(hid_t file, const recipe *r)
{
    put_text(file, "format", r->object);
    put_rows(file, "triplets", 0, ROWS);
}

static void packed(hid_t file, const recipe *r)
{
    (void)r;
    put_rows(file, "anchor", 0, ROWS);
    put_rows(file, "positive", 0, ROWS);
    put_rows(file, "negative", 0, ROWS);
}

static void create(hid_t file, hid_t properties, const hsize_t size[2], const hsize_t most[2])
{
    hid_t space = H5Screate_simple(2, size, most);
    hid_t dataset =
        H5Dcreate2(file, "embeddings", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    if (dataset < 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(properties);
}

static void in_external_storage(hid_t file, const recipe *r)
{
    const hsize_t size[2] = {ROWS, DIM};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(properties, in_folder(r->file), 0, H5F_UNLIMITED);
    create(file, properties, size, size);
}

static void map_rows(hid_t properties, int64_t from, int64_t past, const char *name, const char *object)
{
    const hsize_t size[2] = {ROWS, DIM}, start[2] = {(hsize_t)from, 0};
    const hsize_t count[2] = {(hsize_t)(past - from), DIM};
    hid_t to = H5Screate_simple(2, size, NULL), source = H5Screate_simple(2, count, NULL);
    H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, count, NULL);
    H5Pset_virtual(properties, to, name, object, source);
    H5Sclose(source);
    H5Sclose(to);
}

/* The first half from /low of ok.h5. */
static void virtual(hid_t file, const recipe *r)
{
    const hsize_t size[2] = {ROWS, DIM};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    map_rows(properties, 0, HALF, "ok.h5", "/low");
    map_rows(properties, r->from, r->past, r->file, r->object);
    create(file, properties, size, size);
}

/* Columns, of which the last may stay without a source: no rows that are whole. */
static void virtual_columns(hid_t file, const recipe *r)
{
    const hsize_t size[2] = {ROWS, DIM};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(2, size, NULL);
    for (hsize_t c = 0; c < (hsize_t)r->past; c++) {
        const hsize_t start[2] = {0, c}, count[2] = {ROWS, 1};
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        H5Pset_virtual(properties, space, "ok.h5", "/e", space);
    }
    H5Sclose(space);
    create(file, properties, size, size);
}

/* Sources with the numbers 0, 1, ..., as many as there are. */
static void series(hid_t file, const recipe *r)
{
    const hsize_t size[2] = {HALF, DIM}, most[2] = {H5S_UNLIMITED, DIM}, start[2] = {0, 0};
    const hsize_t stride[2] = {HALF, DIM}, count[2] = {H5S_UNLIMITED, 1};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hid_t to = H5Screate_simple(2, size, most), source = H5Screate_simple(2, size, NULL);
    H5Sselect_hyperslab(to, H5S_SELECT_SET, start, stride, count, size);
    H5Pset_virtual(properties, to, r->file, r->object, source);
    H5Sclose(source);
    H5Sclose(to);
    create(file, properties, size, most);
}

static void of_a_missing_filter(hid_t file, const recipe *r)
{
    const hsize_t size[2] = {ROWS, DIM};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    (void)r;
    H5Pset_chunk(properties, 2, size);
    H5Pset_filter(properties, 32001, H5Z_FLAG_OPTIONAL, 0, NULL);
    create(file, properties, size, size);
}

#define TO(file, object)                                                                                     \
    {                                                                                                        \
        file, object, NULL, 0, 0                                                                             \
    }
/* words: of the refusal; NULL: the store is read as any. */
static const struct {
    const char *what;
    void (*make)(hid_t file, const recipe *r);
    recipe recipe;
    const char *words;
} cases[] = {
    {"an external link", linked, TO("ok.h5", "/e"), NULL},
    {"a link behind an external link", linked, TO("ok.h5", "/g/soft"), NULL},
    {"through a group behind an external link", through_a_group, {"ok.h5", "/g", "grp/sub/e", 0, 0}, NULL},
    {"no such file", linked, TO("gone.h5", "/e"),
     "external link '/embeddings' leads to '/e' in 'gone.h5': there is no such file"},
    {"nothing in the file", linked, TO("ok.h5", "/nix"),
     "external link '/embeddings' leads to '/nix' in 'ok.h5': nothing is there"},
    {"a pipe", linked, TO("pipe", "/e"), "leads to '/e' in 'pipe': file '"},
    {"a pipe, whose kind is said", linked, TO("pipe", "/e"), "pipe': is a pipe, needs a file"},
    {"a pipe behind two links", linked, TO("ok.h5", "/g/pipe"), "ok.h5' leads to '/e' in 'pipe': "},
    {"a device", linked, TO("/dev/null", "/e"), "file '/dev/null': is a device"},
    {"a folder", linked, TO("folder", "/e"), "folder': is a folder"},
    {"a text", linked, TO("text", "/e"), "text': not an HDF5 file but a text"},
    {"a circle through two files", linked, TO("ok.h5", "/g/back"), "links lead in a circle"},
    {"a circle", linked, TO(NULL, "/embeddings"), "links lead in a circle"},
    {"nothing", linked, TO(NULL, "/no/where"),
     "s.h5': link '/embeddings' leads to '/no/where': nothing is there"},
    {"a group", grouped, TO(NULL, "/embeddings/train"),
     "'/embeddings' is a group, the embeddings must be a dataset: choose one with --embeddings; under it "
     "are: /embeddings/train (24 x 4)"},
    {"no usual name", grouped, TO(NULL, "/data/train"),
     "no dataset for the embeddings, give --embeddings; the file has: /data/train (24 x 4), /labels (24)"},
    {"a result", of_a_format, TO(NULL, "trimine-triplets"), "is a result of trimine mine, not a store"},
    {"lists", of_a_format, TO(NULL, "trimine-lists"), "is a result of trimine mine, not a store"},
    {"a gradient", of_a_format, TO(NULL, "trimine-gradient"), "is a gradient of trimine loss, not a store"},
    {"packed triplets", packed, TO(NULL, NULL), "holds packed triplets, not a store"},
    {"external storage", in_external_storage, TO("raw", NULL), NULL},
    {"external storage that is cut", in_external_storage, TO("cut", NULL),
     "cut' is too short: 384 bytes are needed, it has 383"},
    {"external storage in a pipe", in_external_storage, TO("pipe", NULL), "pipe': is a pipe"},
    {"external storage that is not there", in_external_storage, TO("gone", NULL), "gone': No such file"},
    {"a virtual dataset", virtual, {"ok.h5", "/high", NULL, HALF, ROWS}, NULL},
    {"a source that is not there",
     virtual,
     {"gone.h5", "/e", NULL, HALF, ROWS},
     "virtual dataset '/embeddings' takes rows from '/e' in 'gone.h5': there is no such source"},
    {"a source without the dataset",
     virtual,
     {"ok.h5", "/nix", NULL, HALF, ROWS},
     "rows from '/nix' in 'ok.h5': there is no such source"},
    {"a source that is a pipe", virtual, {"pipe", "/e", NULL, HALF, ROWS}, "pipe': is a pipe"},
    {"a source behind a link to a pipe", virtual, {"ok.h5", "/g/pipe", NULL, HALF, ROWS}, "pipe': is a pipe"},
    {"a source of another shape",
     virtual,
     {"ok.h5", "/high", NULL, HALF, ROWS - 1},
     "that has another shape (12 rows)"},
    {"a source of another shape than its second part",
     virtual,
     {"ok.h5", "/low", NULL, HALF, ROWS - 1},
     "rows from '/low' in 'ok.h5': that has another shape (12 rows)"},
    {"rows without a source", virtual, {"ok.h5", "/low", NULL, HALF - 3, ROWS - 3}, "no source fills row 21"},
    {"a virtual dataset of itself",
     virtual,
     {".", "/embeddings", NULL, 0, ROWS},
     "lead to each other in a circle"},
    {"columns", virtual_columns, {NULL, NULL, NULL, 0, DIM}, NULL},
    {"columns without a source",
     virtual_columns,
     {NULL, NULL, NULL, 0, DIM - 1},
     "no source fills a part of it"},
    {"a series", series, TO("part-%b.h5", "/e"), NULL},
    {"no first of a series", series, TO("gone-%b.h5", "/e"), "in 'gone-0.h5': there is no such source"},
    {"a missing filter", of_a_missing_filter, TO(NULL, NULL),
     "is packed with the filter 32001 (Blosc), which this HDF5 does not have: install"},
};

/* ---- reading ---- */

static trm_status open_store(const char *path, trm_store **store, trm_error *err)
{
    *err = (trm_error)TRM_ERROR_INIT;
    return trm_store_open(MPI_COMM_WORLD, 1, &path, NULL, store, err);
}

static bool refused(const char *path, const char *words)
{
    trm_store *store = NULL;
    trm_error err;
    const trm_status status = open_store(path, &store, &err);
    const bool good =
        status == TRM_ERR_DATA && strstr(err.text, words) != NULL && strchr(err.text, '\n') == NULL;
    if (!good && rank == 0)
        fprintf(stderr, "status %d, '%s'; expected '%s'\n", (int)status, err.text, words);
    trm_store_close(&store);
    return everywhere(good);
}

/* Reads all rows and compares. */
static bool reads(trm_store *store)
{
    int64_t first = 0, last = 0, labels[ROWS];
    float rows[ROWS * DIM];
    trm_error err = TRM_ERROR_INIT;
    bool good = trm_store_rows(store) == ROWS && trm_store_dim(store) == DIM;
    if (!good)
        return false;
    trm_share(ROWS, rank, ranks, &first, &last);
    good = trm_store_read(store, first, last - first, NULL, rows, labels, NULL, &err) == TRM_OK;
    if (!good && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    for (int64_t i = 0; i < (last - first) * DIM && good; i++)
        good = rows[i] == value_at(first + i / DIM, i % DIM) && labels[i / DIM] == (first + i / DIM) % 3;
    return everywhere(good);
}

static bool reads_as_any(const char *path)
{
    trm_store *store = NULL;
    trm_error err;
    const bool opened = open_store(path, &store, &err) == TRM_OK;
    if (!opened && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    const bool good = opened && reads(store);
    trm_store_close(&store);
    return everywhere(good);
}

static void make_store(void (*make)(hid_t file, const recipe *r), const recipe *r)
{
    if (rank == 0) {
        hid_t file = new_file("s.h5");
        put_labels(file, 0, ROWS);
        make(file, r);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- tests ---- */

static void what_a_store_leads_to_is_read_or_named(void **state)
{
    (void)state;
    if (rank == 0)
        make_others();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_store(cases[i].make, &cases[i].recipe);
        const char *path = in_folder("s.h5");
        const bool good = cases[i].words == NULL ? reads_as_any(path) : refused(path, cases[i].words);
        if (!good && rank == 0)
            fprintf(stderr, "that was: %s\n", cases[i].what);
        assert_true(good);
    }
}

static void a_series_with_a_hole_is_not_cut_short(void **state)
{
    (void)state;
    static const recipe r = {.file = "part-%b.h5", .object = "/e"};
    if (rank == 0) {
        make_others();
        rename(in_folder("part-1.h5"), in_folder("part-2.h5"));
    }
    make_store(series, &r);
    assert_true(refused(in_folder("s.h5"), "in 'part-1.h5': there is no such source"));
}

static void prefixes_of_hdf5_are_heeded(void **state)
{
    (void)state;
    static const recipe link = {.file = "/far/away/ok.h5", .object = "/e"};
    static const recipe rows = {"ok.h5", "/high", NULL, HALF, ROWS};
    if (rank == 0) {
        make_others();
        mkdir(in_folder("in"), 0700);
        rename(in_folder("ok.h5"), in_folder("in/ok.h5"));
    }
    make_store(linked, &link);
    assert_true(refused(in_folder("s.h5"), "there is no such file"));
    setenv("HDF5_EXT_PREFIX", in_folder("in"), 1);
    assert_true(reads_as_any(in_folder("s.h5")));
    unsetenv("HDF5_EXT_PREFIX");
    make_store(virtual, &rows);
    assert_true(refused(in_folder("s.h5"), "there is no such source"));
    setenv("HDF5_VDS_PREFIX", in_folder("in"), 1);
    assert_true(reads_as_any(in_folder("s.h5")));
    unsetenv("HDF5_VDS_PREFIX");
}

static void a_change_of_a_file_behind_a_link_is_noticed(void **state)
{
    (void)state;
    static const recipe r = {"ok.h5", "/high", NULL, HALF, ROWS};
    trm_store *store = NULL;
    trm_error err;
    if (rank == 0)
        make_others();
    make_store(virtual, &r);
    assert_true(everywhere(open_store(in_folder("s.h5"), &store, &err) == TRM_OK));
    if (rank == 0) {
        const struct timespec times[2] = {{1, 0}, {1, 0}};
        utimensat(AT_FDCWD, in_folder("ok.h5"), times, 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    float rows[DIM];
    const trm_status status = trm_store_read(store, 0, 1, NULL, rows, NULL, NULL, &err);
    trm_store_close(&store);
    assert_true(
        everywhere(status == TRM_ERR_DATA &&
                   strstr(err.text, "ok.h5', which it leads to, was changed while it was read") != NULL));
}

/* HDF5 reads zeros from a source that it gets no lock of. */
static void a_lock_of_a_source_does_not_make_zeros(void **state)
{
    (void)state;
    static const recipe r = {"ok.h5", "/high", NULL, HALF, ROWS};
    trm_store *store = NULL;
    trm_error err;
    int lock = -1;
    if (rank == 0)
        make_others();
    make_store(virtual, &r);
    assert_true(everywhere(open_store(in_folder("s.h5"), &store, &err) == TRM_OK));
    if (rank == 0)
        lock = open(in_folder("ok.h5"), O_RDONLY);
    assert_true(everywhere(lock < 0 ? rank != 0 : flock(lock, LOCK_EX | LOCK_NB) == 0));
    const bool good = reads(store);
    trm_store_close(&store);
    assert_true(good);
    assert_true(refused(in_folder("s.h5"), "ok.h5': another process has it open for writing"));
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    const bool unlocked = reads_as_any(in_folder("s.h5"));
    unsetenv("HDF5_USE_FILE_LOCKING");
    assert_true(unlocked);
    if (lock >= 0)
        close(lock);
}

static void copy(const char *from, const char *to)
{
    char bytes[1 << 16];
    FILE *file = fopen(in_folder(from), "r");
    const size_t count = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (count == 0 || fclose(file) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    put_bytes(to, bytes, count);
}

/* As a writer leaves it that is killed; latest: in the newest format. */
static void leave_open(const char *name, bool latest)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (latest)
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t file = H5Fcreate(in_folder("written.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    put_rows(file, "embeddings", 0, ROWS);
    put_labels(file, 0, ROWS);
    if (latest)
        H5Fflush(file, H5F_SCOPE_GLOBAL);
    copy("written.h5", name);
    H5Fclose(file);
    H5Pclose(access);
}

static void set_byte(const char *name, long at, int value)
{
    FILE *file = fopen(in_folder(name), "r+");
    if (file == NULL || fseek(file, at, SEEK_SET) != 0 || fputc(value, file) == EOF || fclose(file) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static void why_a_file_does_not_open_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        const char *words;
    } others[] = {
        {"", 0, "not an HDF5 file but an empty file; its writer failed"},
        {"\x93NUMPY\1\0v\0{'descr'", 19, "truncated .npy file: it ends within its header"},
        {"PK\3\4\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0embeddings.npy", 44,
         "but NumPy arrays (.npz)"},
        {"PK\3\4\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0model/data.pkl", 44,
         "but a PyTorch file"},
        {"PK\3\4 anything", 13, "but a zip file"},
        {"\x1f\x8b\x08\0more", 8, "truncated gzip file"},
        {"\x1f\x8b\x08\0\0\0\0\0\2\3\xcb\xcd\x2f\x4a\5\0\x7c\xf2\x52\x8b\4\0\0\0", 24,
         "but a gzip file; unpack it first"},
        {"PAR1\x15\4\x15", 7, "but a Parquet file"},
        {"\x80\4\x95more", 7, "but a Python pickle"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "but a Git LFS pointer"},
        {"0.5,0.25\n", 9, "but a text (CSV?)"},
        {"\x89HDF\n\x1a\n\0\0\0\0", 11, "whose first bytes were changed"},
        {"\x89HDF\r\n\x1a\n\0\0\0\0", 12, "truncated HDF5 file"},
        {"\x89HDF\r\n\x1a\n\4\0\0\0", 12, "written by a newer HDF5 than the "},
        {"trimine-checkpoint 1 0000000099 x\n", 34, "but a checkpoint of trimine"},
        {"\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, "but vectors (.fvecs)"},
        {"\0\0\0\0\0\0\0\0\0", 9, "but a file that begins with zeros"},
        {"\1\2\3\4\5\6\7\xff\xfe\1", 10, "but a file of another kind"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (rank == 0)
            put_bytes("o.h5", others[i].bytes, others[i].count);
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(refused(in_folder("o.h5"), others[i].words));
    }
}

static void a_writer_that_has_not_finished_is_not_called_damage(void **state)
{
    (void)state;
    if (rank == 0) {
        leave_open("open.h5", true);
        leave_open("killed.h5", false);
        copy("written.h5", "short.h5");
        if (truncate(in_folder("short.h5"), 2000) != 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(refused(in_folder("open.h5"), "open.h5': is open for writing, or its writer was killed: "));
    assert_true(refused(in_folder("killed.h5"), "killed.h5': was never finished: its writer was killed"));
    assert_true(refused(in_folder("short.h5"), "short.h5': truncated HDF5 file: it has 2000 bytes of "));
}

static void a_newer_format_is_not_called_damage(void **state)
{
    (void)state;
    haddr_t header = 0;
    if (rank == 0) {
        H5O_info_t about;
        hid_t file = new_file("s.h5");
        put_rows(file, "embeddings", 0, ROWS);
        put_labels(file, 0, ROWS);
        H5Oget_info_by_name(file, "embeddings", &about, H5P_DEFAULT);
        header = about.addr;
        H5Fclose(file);
        set_byte("s.h5", (long)header, 9); /* the version of the dataset's header */
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(
        refused(in_folder("s.h5"), "'/embeddings' can't be opened: written by a newer HDF5 than the "));
}

/* ---- folders ---- */

static void put_part(const char *name, int64_t first, int64_t count)
{
    hid_t file = new_file(name);
    put_rows(file, "embeddings", first, count);
    put_labels(file, first, count);
    H5Fclose(file);
}

static void a_folder_is_taken_in_the_order_of_its_numbers(void **state)
{
    (void)state;
    static const char *const names[] = {"in/s-2.h5",
                                        "in/s-010.h5",
                                        "in/s-10.h5",
                                        "in/s-10a2.h5",
                                        "in/s-10a10.h5",
                                        "in/s-18446744073709551617.h5",
                                        "in/s-20000000000000000000.h5",
                                        "in/t-1.h5"};
    enum { FILES = sizeof names / sizeof *names };
    trm_store *store = NULL;
    trm_error err;
    if (rank == 0) {
        mkdir(in_folder("in"), 0700);
        for (int i = 0; i < FILES; i++)
            put_part(names[i], i * ROWS / FILES, ROWS / FILES);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    bool good = open_store(in_folder("in"), &store, &err) == TRM_OK && trm_store_file_count(store) == FILES;
    for (int i = 0; i < FILES && good; i++)
        good = strcmp(trm_store_file_at(store, i)->path, in_folder(names[i])) == 0 &&
               trm_store_file_at(store, i)->first == i * ROWS / FILES;
    good = everywhere(good) && reads(store);
    trm_store_close(&store);
    assert_true(everywhere(good));
}

/* A part that got no rows, of whatever type and shape. */
static void put_nothing(const char *name, hid_t type, int dimensions)
{
    const hsize_t size[3] = {0, 5, 2};
    hid_t file = new_file(name), space = H5Screate_simple(dimensions, size, NULL);
    H5Dclose(H5Dcreate2(file, "embeddings", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(file, "labels", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
}

static void a_shard_without_rows_is_fine_where_others_have_some(void **state)
{
    (void)state;
    if (rank == 0) {
        mkdir(in_folder("in"), 0700);
        mkdir(in_folder("none"), 0700);
        put_nothing("in/0.h5", H5T_IEEE_F64LE, 1);
        put_part("in/1.h5", 0, HALF);
        put_nothing("in/2.h5", H5T_STD_I8LE, 3);
        put_part("in/3.h5", HALF, HALF);
        put_nothing("in/4.h5", H5T_IEEE_F32LE, 2);
        put_nothing("none/0.h5", H5T_IEEE_F32LE, 2);
        put_nothing("none/1.h5", H5T_IEEE_F32LE, 2);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(reads_as_any(in_folder("in")));
    assert_true(refused(in_folder("none"), "0.h5': no rows, nor in any of the other files (1)"));
    assert_true(
        refused(in_folder("none/0.h5"), "0.h5': dataset '/embeddings' has no rows, needs at least one"));
}

static void what_a_store_leads_to_is_not_written_over(void **state)
{
    static const struct {
        const char *path;
        trm_status wanted;
    } outputs[] = {{"other.h5", TRM_ERR_USAGE}, {"alias.h5", TRM_ERR_USAGE}, {"free.h5", TRM_OK}};
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_store *store = NULL;
    if (rank == 0) {
        put_part("other.h5", 0, ROWS);
        hid_t file = new_file("s.h5");
        link_to(file, "embeddings", "other.h5", "/embeddings");
        link_to(file, "labels", "other.h5", "/labels");
        H5Fclose(file);
        if (symlink("other.h5", in_folder("alias.h5")) != 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    const bool opened = open_store(in_folder("s.h5"), &store, &err) == TRM_OK;
    assert_true(everywhere(opened));
    bool good = true;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        trm_claim *claim = NULL;
        err = (trm_error)TRM_ERROR_INIT;
        trm_status status =
            trm_claim_take(MPI_COMM_WORLD, "output", in_folder(outputs[i].path), true, 0, NULL, &claim, &err);
        if (status == TRM_OK)
            status = trm_claim_check_store(claim, store, &err);
        good = good && claim != NULL && status == outputs[i].wanted;
        trm_claim_release(&claim);
    }
    trm_store_close(&store);
    assert_true(everywhere(good));
}

int main(int argc, char **argv)
{
    unsetenv("HDF5_USE_FILE_LOCKING");
    start_mpi(&argc, &argv, 1200);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_a_store_leads_to_is_read_or_named),
        IN_FOLDER(a_series_with_a_hole_is_not_cut_short),
        IN_FOLDER(prefixes_of_hdf5_are_heeded),
        IN_FOLDER(a_change_of_a_file_behind_a_link_is_noticed),
        IN_FOLDER(a_lock_of_a_source_does_not_make_zeros),
        IN_FOLDER(why_a_file_does_not_open_is_said),
        IN_FOLDER(a_writer_that_has_not_finished_is_not_called_damage),
        IN_FOLDER(a_newer_format_is_not_called_damage),
        IN_FOLDER(a_folder_is_taken_in_the_order_of_its_numbers),
        IN_FOLDER(a_shard_without_rows_is_fine_where_others_have_some),
        IN_FOLDER(what_a_store_leads_to_is_not_written_over),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
