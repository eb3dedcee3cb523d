/* Stores are read as they are, whatever the element type, layout and number of ranks; what breaks a rule is
 * named. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/h5.h"
#include "store/result.h"
#include "trimine/store.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- making files, on rank 0 alone
 * ------------------------------------------------------------------------------- */

enum { DIM = 5 };

/* Small whole numbers: exact in every type, float16 and uint8 too. */
static double value_at(int64_t row, int64_t column)
{
    return (double)((row * 7 + column * 3) % 120 + 1);
}

static int64_t label_at(int64_t row)
{
    return row % 11;
}

static hid_t half_type(H5T_order_t order)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    H5Tset_order(type, order);
    return type;
}

/* A dataset of rows x columns (columns 0: one dimension) from float64 values, which HDF5 converts to type. */
static void put(hid_t file, const char *name, hid_t type, int64_t rows, int64_t columns, const double *values,
                bool chunked)
{
    hsize_t size[2] = {(hsize_t)rows, (hsize_t)columns};
    hsize_t chunk[2] = {rows > 3 ? 3 : (hsize_t)rows, (hsize_t)columns};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked) {
        H5Pset_chunk(creation, columns > 0 ? 2 : 1, chunk);
        H5Pset_deflate(creation, 4);
    }
    hid_t space = H5Screate_simple(columns > 0 ? 2 : 1, size, NULL);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (rows > 0)
        H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(creation);
}

typedef struct recipe {
    const char *embeddings, *labels, *ids; /* NULL: not there (embeddings, labels: the usual names) */
    hid_t embeddings_type, labels_type;
    int64_t first, rows, labels_rows; /* labels_rows < 0: as many as rows */
    int64_t dim;
    bool chunked;
    int64_t odd_row; /* this row's column 3 becomes odd */
    double odd;
} recipe;

static recipe usual(int64_t rows)
{
    recipe r = {"embeddings", "labels", NULL, H5T_IEEE_F32LE, H5T_STD_I64LE, 0, rows, -1, DIM,
                false,        -1,       0.0};
    return r;
}

static void make(const char *path, const recipe *r)
{
    if (rank == 0) {
        int64_t labels_rows = r->labels_rows < 0 ? r->rows : r->labels_rows;
        double *values = trm_alloc(r->rows * r->dim + 1, sizeof *values);
        double *labels = trm_alloc(r->rows + labels_rows + 1, sizeof *labels);
        for (int64_t i = 0; i < r->rows; i++)
            for (int64_t k = 0; k < r->dim; k++)
                values[i * r->dim + k] = value_at(r->first + i, k);
        if (r->odd_row >= 0)
            values[r->odd_row * r->dim + 3] = r->odd;
        for (int64_t i = 0; i < r->rows + labels_rows; i++)
            labels[i] = (double)label_at(r->first + i);
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        if (r->embeddings != NULL)
            put(file, r->embeddings, r->embeddings_type, r->rows, r->dim, values, r->chunked);
        if (r->labels != NULL)
            put(file, r->labels, r->labels_type, labels_rows, 0, labels, r->chunked && labels_rows > 0);
        for (int64_t i = 0; i < r->rows; i++)
            labels[i] = (double)(1000 + r->first + i);
        if (r->ids != NULL)
            put(file, r->ids, H5T_STD_I32LE, r->rows, 0, labels, false);
        H5Fclose(file);
        trm_free(values);
        trm_free(labels);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------ */

typedef struct part {
    int64_t first, count;
    float *rows;
    int64_t *labels, *ids;
} part;

static void release(part *p)
{
    trm_free(p->rows);
    trm_free(p->labels);
    trm_free(p->ids);
}

/* Opens and reads every rank's share; skewed: all rows to the last rank. */
static trm_status load(int count, const char *const *paths, const trm_store_options *options,
                       const trm_read_options *read, bool skewed, part *p, int64_t *total, trm_error *err)
{
    trm_store *store = NULL;
    memset(p, 0, sizeof *p);
    trm_status status = trm_store_open(MPI_COMM_WORLD, count, paths, options, &store, err);
    if (status != TRM_OK)
        return status;
    int64_t last = 0;
    *total = trm_store_rows(store);
    trm_share(*total, rank, ranks, &p->first, &last);
    if (skewed) {
        p->first = 0;
        last = rank == ranks - 1 ? *total : 0;
    }
    p->count = last - p->first;
    p->rows = trm_alloc(p->count * trm_store_dim(store), sizeof *p->rows);
    p->labels = trm_alloc(p->count, sizeof *p->labels);
    p->ids = trm_alloc(p->count, sizeof *p->ids);
    status = trm_store_read(store, p->first, p->count, read, p->rows, p->labels, p->ids, err);
    trm_store_close(&store);
    return status;
}

static bool is_usual(const part *p, int64_t id_offset)
{
    for (int64_t i = 0; i < p->count; i++) {
        for (int64_t k = 0; k < DIM; k++)
            if ((double)p->rows[i * DIM + k] != value_at(p->first + i, k))
                return false;
        if (p->labels[i] != label_at(p->first + i) || p->ids[i] != id_offset + p->first + i)
            return false;
    }
    return true;
}

static bool reads_as_usual(int count, const char *const *paths, int64_t rows, int64_t id_offset, bool skewed)
{
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(count, paths, NULL, NULL, skewed, &p, &total, &err);
    bool good = status == TRM_OK && total == rows && is_usual(&p, id_offset);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    release(&p);
    return everywhere(good);
}

static bool fails(int count, const char *const *paths, const trm_store_options *options,
                  const trm_read_options *read, trm_status expected, const char *words)
{
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(count, paths, options, read, false, &p, &total, &err);
    bool good = status == expected && err.status == expected && strstr(err.text, words) != NULL;
    if (!good)
        fprintf(stderr, "status %d, '%s'; expected '%s'\n", (int)status, err.text, words);
    release(&p);
    return everywhere(good);
}

static bool file_fails(const char *path, trm_status expected, const char *words)
{
    return fails(1, &path, NULL, NULL, expected, words);
}

/* --- tests
 * -------------------------------------------------------------------------------------------------------- */

static void every_element_type_reads_the_same_rows(void **state)
{
    (void)state;
    const hid_t embeddings[] = {half_type(H5T_ORDER_LE),
                                half_type(H5T_ORDER_BE),
                                H5T_IEEE_F32LE,
                                H5T_IEEE_F32BE,
                                H5T_IEEE_F64LE,
                                H5T_IEEE_F64BE,
                                H5T_STD_I8LE,
                                H5T_STD_U8BE,
                                H5T_STD_I16LE,
                                H5T_STD_U16BE,
                                H5T_STD_I32BE,
                                H5T_STD_U32LE,
                                H5T_STD_I64LE,
                                H5T_STD_U64BE};
    const hid_t labels[] = {H5T_STD_I8LE,  H5T_STD_U8LE,  H5T_STD_I16BE, H5T_STD_U16LE,
                            H5T_STD_I32LE, H5T_STD_U32BE, H5T_STD_I64BE, H5T_STD_U64LE};
    const char *path = in_folder("a.h5");
    for (size_t i = 0; i < sizeof embeddings / sizeof embeddings[0]; i++) {
        recipe r = usual(23);
        r.embeddings_type = embeddings[i];
        r.labels_type = labels[i % (sizeof labels / sizeof labels[0])];
        r.chunked = i % 2 == 1;
        make(path, &r);
        assert_true(reads_as_usual(1, &path, 23, 0, i % 3 == 0));
    }
    H5Tclose(embeddings[0]);
    H5Tclose(embeddings[1]);
}

static void float16_is_exact_down_to_its_smallest(void **state)
{
    (void)state;
    static const double values[] = {1.0, -0.5, 65504.0, 0x1p-14, 0x1p-24, -0x1.ff8p-15, 0.0, 0x1.554p-2};
    const char *path = in_folder("half.h5");
    hid_t type = half_type(H5T_ORDER_LE);
    if (rank == 0) {
        static const double label[] = {1.0, 2.0};
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put(file, "embeddings", type, 2, 4, values, false);
        put(file, "labels", H5T_STD_I32LE, 2, 0, label, false);
        H5Fclose(file);
    }
    H5Tclose(type);
    MPI_Barrier(MPI_COMM_WORLD);
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(1, &path, NULL, NULL, true, &p, &total, &err);
    bool good = status == TRM_OK;
    for (int64_t i = 0; i < p.count * 4 && good; i++)
        good = (double)p.rows[i] == values[i];
    release(&p);
    assert_true(everywhere(good));
}

static void several_files_and_a_folder_are_one_store_in_order(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 9, 4, 17};
    static const char *const names[] = {"in/a.h5", "in/b.hdf5", "in/c.H5", "in/d.h5"};
    const char *paths[4];
    int64_t first = 0;
    if (rank == 0)
        mkdir(in_folder("in"), 0700);
    for (int i = 0; i < 4; i++) {
        recipe r = usual(sizes[i]);
        r.first = first;
        r.ids = "ids";
        r.embeddings_type = i % 2 == 0 ? H5T_IEEE_F32LE : H5T_STD_U8LE;
        first += sizes[i];
        paths[i] = in_folder(names[i]);
        make(paths[i], &r);
    }
    if (rank == 0)
        fclose(fopen(in_folder("in/readme.txt"), "w"));
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(reads_as_usual(4, paths, first, 1000, false));
    assert_true(reads_as_usual(4, paths, first, 1000, true));
    const char *whole = in_folder("in");
    assert_true(reads_as_usual(1, &whole, first, 1000, false));
}

static void ranks_without_rows_take_part(void **state)
{
    (void)state;
    const char *path = in_folder("tiny.h5");
    recipe r = usual(1);
    make(path, &r);
    assert_true(reads_as_usual(1, &path, 1, 0, false));
    r = usual(2);
    make(path, &r);
    assert_true(reads_as_usual(1, &path, 2, 0, false));
}

static void aliases_are_tried_and_two_hits_are_refused(void **state)
{
    (void)state;
    const char *path = in_folder("alias.h5");
    recipe r = usual(8);
    r.embeddings = "train";
    r.labels = "y";
    make(path, &r);
    assert_true(reads_as_usual(1, &path, 8, 0, false));
    r.ids = "X"; /* any second dataset with an alias's name */
    make(path, &r);
    assert_true(file_fails(path, TRM_ERR_DATA, "both '/X' and '/train' could be the embeddings"));
    trm_store_options options;
    trm_store_options_init(&options);
    options.embeddings = "/train";
    options.labels = "y";
    options.ids = "X";
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(1, &path, &options, NULL, false, &p, &total, &err);
    bool good = status == TRM_OK && is_usual(&p, 1000);
    release(&p);
    assert_true(everywhere(good));
    options.size = 0;
    assert_true(fails(1, &path, &options, NULL, TRM_ERR_USAGE,
                      "trm_store_options.size is 0, must be from 8 to 128: was it initialised with "));
    options.size = sizeof options;
    options.labels = "nolabels";
    assert_true(fails(1, &path, &options, NULL, TRM_ERR_DATA,
                      "no dataset 'nolabels' for the labels; the file has: /X (8), /train (8 x 5), /y (8)"));
}

static void a_missing_dataset_lists_what_the_file_has(void **state)
{
    (void)state;
    const char *path = in_folder("missing.h5");
    recipe r = usual(8);
    r.labels = "tags";
    make(path, &r);
    assert_true(
        file_fails(path, TRM_ERR_DATA,
                   "no dataset for the labels, give --labels; the file has: /embeddings (8 x 5), /tags (8)"));
}

static void files_that_are_not_stores_are_named(void **state)
{
    (void)state;
    const char *path = in_folder("x.h5");
    assert_true(file_fails(path, TRM_ERR_NO_INPUT, "x.h5': No such file"));
    if (rank == 0 && (symlink("gone.h5", in_folder("l.h5")) != 0 || symlink("c.h5", in_folder("c.h5")) != 0))
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(file_fails(in_folder("l.h5"), TRM_ERR_NO_INPUT,
                           "l.h5': is a link to 'gone.h5', and no such file is there"));
    assert_true(file_fails(in_folder("c.h5"), TRM_ERR_NO_INPUT, "c.h5': Too many levels of symbolic links"));
    if (rank == 0) {
        mkdir(in_folder("empty"), 0700);
        FILE *text = fopen(path, "w");
        fputs("this is not HDF5\n", text);
        fclose(text);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(file_fails(path, TRM_ERR_DATA, "x.h5': not an HDF5 file but a text (CSV?)"));
    assert_true(file_fails(in_folder("empty"), TRM_ERR_NO_INPUT, "folder holds no *.h5 or *.hdf5 file"));
    recipe r = usual(1000);
    make(path, &r);
    if (rank == 0 && truncate(path, 5000) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(file_fails(path, TRM_ERR_DATA, "truncated HDF5 file"));
    int user = (int)geteuid();
    MPI_Bcast(&user, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (user != 0) { /* root may read everything */
        make(path, &r);
        if (rank == 0)
            chmod(path, 0);
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(file_fails(path, TRM_ERR_PERMISSION, "x.h5': Permission denied"));
    }
}

static void shapes_and_types_that_break_a_rule_are_named(void **state)
{
    (void)state;
    const char *path = in_folder("s.h5");
    recipe r = usual(100);
    r.labels_rows = 99;
    make(path, &r);
    assert_true(
        file_fails(path, TRM_ERR_DATA, "s.h5': dataset '/labels' has 99 rows, '/embeddings' has 100"));
    r = usual(0);
    make(path, &r);
    assert_true(file_fails(path, TRM_ERR_DATA, "dataset '/embeddings' has no rows, needs at least one"));
    r = usual(4);
    make(path, &r);
    trm_store_options options;
    trm_store_options_init(&options);
    options.embeddings = options.labels = "labels";
    assert_true(fails(1, &path, &options, NULL, TRM_ERR_DATA,
                      "dataset '/labels' (int64) is 4, needs rows x columns"));
    options.embeddings = options.labels = "embeddings";
    assert_true(fails(1, &path, &options, NULL, TRM_ERR_DATA,
                      "dataset '/embeddings' (float32) is 4 x 5, needs one value a row"));
    const char *pair[2] = {path, in_folder("t.h5")};
    r.dim = 6;
    make(pair[1], &r);
    assert_true(fails(2, pair, NULL, NULL, TRM_ERR_DATA, "t.h5': dataset '/embeddings' has dim 6, "));
}

static void bad_values_name_file_dataset_row_and_rule(void **state)
{
    (void)state;
    const char *paths[2] = {in_folder("good.h5"), in_folder("bad.h5")};
    recipe r = usual(10);
    make(paths[0], &r);
    r = usual(40);
    r.odd_row = 17;
    r.odd = NAN;
    make(paths[1], &r);
    assert_true(fails(2, paths, NULL, NULL, TRM_ERR_DATA,
                      "bad.h5': dataset '/embeddings' row 17 has a non-finite value (nan) at column 3"));
    r.odd = -INFINITY;
    r.embeddings_type = H5T_IEEE_F64BE;
    make(paths[1], &r);
    assert_true(
        fails(2, paths, NULL, NULL, TRM_ERR_DATA, "row 17 has a non-finite value (-inf) at column 3"));
    r.odd = 1e300;
    make(paths[1], &r);
    assert_true(fails(2, paths, NULL, NULL, TRM_ERR_DATA,
                      "row 17 has a value (1e+300) at column 3 that does not fit float32"));
}

static void normalize_divides_by_the_canonical_norm(void **state)
{
    (void)state;
    enum { FIRST = 5, SECOND = 12 };
    const char *paths[2] = {in_folder("n.h5"), in_folder("o.h5")};
    recipe r = usual(FIRST);
    make(paths[0], &r);
    r = usual(SECOND);
    r.first = FIRST;
    make(paths[1], &r);
    part p;
    int64_t total = 0;
    double norms[FIRST + SECOND];
    trm_error err = TRM_ERROR_INIT;
    trm_read_options read;
    trm_read_options_init(&read);
    read.normalize = true;
    read.norms = norms;
    trm_status status = load(2, paths, NULL, &read, false, &p, &total, &err);
    bool good = status == TRM_OK;
    for (int64_t i = 0; i < p.count && good; i++) {
        float x[DIM];
        for (int64_t k = 0; k < DIM; k++)
            x[k] = (float)value_at(p.first + i, k);
        double norm2 = trm_dot(x, x, DIM);
        good = norms[i] == sqrt(norm2);
        for (int64_t k = 0; k < DIM; k++)
            good = good && p.rows[i * DIM + k] == (float)((double)x[k] / sqrt(norm2));
    }
    release(&p);
    assert_true(everywhere(good));
}

/* Rows and values enough for several threads, and several pieces of work of each. */
enum { MANY = 6000, COLUMNS = 12 };

static void put_many(const char *path, const double *values)
{
    if (rank == 0) {
        double *labels = trm_alloc_zero(MANY, sizeof *labels);
        assert_non_null(labels);
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put(file, "embeddings", H5T_IEEE_F64BE, MANY, COLUMNS, values, false);
        put(file, "labels", H5T_STD_I32LE, MANY, 0, labels, false);
        H5Fclose(file);
        trm_free(labels);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* The rows and norms are the same bytes on one thread and on three. */
static bool is_the_same_on_threads(const char *path)
{
    part p[2];
    double norms[2][MANY] = {{0.0}};
    int64_t total = 0;
    bool good = true;
    for (int k = 0; k < 2; k++) {
        trm_error err = TRM_ERROR_INIT;
        trm_read_options read;
        trm_read_options_init(&read);
        read.normalize = true;
        read.norms = norms[k];
        read.threads = k == 0 ? 1 : 3;
        good = load(1, &path, NULL, &read, false, &p[k], &total, &err) == TRM_OK && good;
    }
    const size_t values = (size_t)p[0].count * COLUMNS;
    good = good && memcmp(p[0].rows, p[1].rows, values * sizeof *p[0].rows) == 0 &&
           memcmp(norms[0], norms[1], sizeof norms[0]) == 0 && norms[0][0] > 0.0;
    release(&p[0]);
    release(&p[1]);
    return everywhere(good);
}

static void threads_read_what_one_does(void **state)
{
    (void)state;
    const char *path = in_folder("many.h5");
    double *values = trm_alloc(MANY * COLUMNS, sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < MANY * COLUMNS; i++)
        values[i] = 0.1 * i + 1.0;
    put_many(path, values);
    assert_true(is_the_same_on_threads(path));

    trm_read_options read;
    trm_read_options_init(&read);
    read.threads = 3;
    read.refuse_zero_norm = true;
    for (int k = 0; k < COLUMNS; k++)
        values[4000 * COLUMNS + k] = values[5500 * COLUMNS + k] = 0.0;
    put_many(path, values);
    assert_true(fails(1, &path, NULL, &read, TRM_ERR_DATA, "row 4000 has norm zero"));
    values[3000 * COLUMNS + 7] = values[5999 * COLUMNS] = NAN;
    put_many(path, values);
    assert_true(
        fails(1, &path, NULL, &read, TRM_ERR_DATA, "row 3000 has a non-finite value (nan) at column 7"));
    trm_free(values);
}

static void a_zero_row_is_refused_where_it_has_no_direction(void **state)
{
    (void)state;
    const char *path = in_folder("z.h5");
    if (rank == 0) {
        static const double values[] = {1.0, 2.0, 0.0, 0.0, 3.0, 4.0}, labels[] = {1.0, 2.0, 3.0};
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put(file, "embeddings", H5T_IEEE_F32LE, 3, 2, values, false);
        put(file, "labels", H5T_STD_I32LE, 3, 0, labels, false);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    trm_read_options normalize, refuse, neither;
    trm_read_options_init(&normalize);
    trm_read_options_init(&refuse);
    trm_read_options_init(&neither);
    normalize.normalize = true;
    refuse.refuse_zero_norm = true;
    assert_true(
        fails(1, &path, NULL, &normalize, TRM_ERR_DATA, "z.h5': dataset '/embeddings' row 1 has norm zero"));
    assert_true(
        fails(1, &path, NULL, &refuse, TRM_ERR_DATA, "z.h5': dataset '/embeddings' row 1 has norm zero"));
    normalize.size = rank == 0 ? 4096 : sizeof normalize;
    assert_true(fails(1, &path, NULL, &normalize, TRM_ERR_USAGE, "trm_read_options.size is 4096, "));
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(1, &path, NULL, &neither, false, &p, &total, &err);
    release(&p);
    assert_true(everywhere(status == TRM_OK));
}

static void pieces_of_large_rows_join(void **state)
{
    (void)state;
    enum { ROWS = 700, WIDE = 40000 }; /* 112 MB: more than one piece on one rank */
    const char *path = in_folder("wide.h5");
    recipe r = usual(ROWS);
    r.dim = WIDE;
    if (ranks > 3)
        return; /* nothing new there */
    make(path, &r);
    part p;
    int64_t total = 0;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = load(1, &path, NULL, NULL, true, &p, &total, &err);
    bool good = status == TRM_OK;
    for (int64_t i = 0; i < p.count && good; i++)
        for (int64_t k = 0; k < WIDE && good; k++)
            good = (double)p.rows[i * WIDE + k] == value_at(i, k);
    release(&p);
    assert_true(everywhere(good));
}

static void fill_usual(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels)
{
    (void)context;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < DIM; k++)
            embeddings[i * DIM + k] = (float)value_at(first + i, k);
        labels[i] = label_at(first + i);
    }
}

static trm_status write_store(const char *path, int64_t rows, int attributes, const trm_attribute *attribute,
                              trm_error *err)
{
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(MPI_COMM_WORLD, "output", path, true, 0, NULL, &claim, err);
    if (status == TRM_OK)
        status =
            trm_store_write(MPI_COMM_WORLD, claim, rows, DIM, fill_usual, NULL, attributes, attribute, err);
    trm_claim_release(&claim);
    return status;
}

static void a_store_that_was_written_reads_back(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 37, 100003};
    const trm_attribute attribute = {"seed", TRM_ATTRIBUTE_INT, NULL, 7, 0.0};
    const char *path = in_folder("w.h5");
    for (int i = 0; i < 4; i++) {
        trm_error err = TRM_ERROR_INIT;
        trm_status status = write_store(path, sizes[i], 1, &attribute, &err);
        assert_true(everywhere(status == TRM_OK));
        assert_true(reads_as_usual(1, &path, sizes[i], 0, false));
        assert_true(everywhere(leftovers() == 0));
    }
    trm_error err = TRM_ERROR_INIT; /* 2^50 bytes fit nowhere */
    trm_status status = write_store(path, INT64_C(1) << 47, 0, NULL, &err);
    assert_true(
        everywhere(status == TRM_ERR_IO && strstr(err.text, "needs ") != NULL && strstr(err.text, " free")));
    assert_true(reads_as_usual(1, &path, sizes[3], 0, false)); /* the old file is untouched */
}

static void the_store_says_what_it_found(void **state)
{
    (void)state;
    const char *paths[2] = {in_folder("a.h5"), in_folder("b.h5")};
    recipe r = usual(3);
    make(paths[0], &r);
    r.embeddings_type = H5T_IEEE_F64BE;
    r.labels_type = H5T_STD_U8LE;
    make(paths[1], &r);
    trm_store *store = NULL;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = trm_store_open(MPI_COMM_WORLD, 2, paths, NULL, &store, &err);
    assert_true(everywhere(status == TRM_OK));
    const trm_store_file *file = trm_store_file_at(store, 1);
    bool good = trm_store_rows(store) == 6 && trm_store_dim(store) == DIM &&
                trm_store_file_count(store) == 2 && strcmp(file->path, paths[1]) == 0 &&
                strcmp(file->embeddings, "/embeddings") == 0 &&
                strcmp(file->embeddings_type, "float64-be") == 0 && strcmp(file->labels_type, "uint8") == 0 &&
                file->ids == NULL && file->rows == 3 && file->first == 3;
    trm_store_close(&store);
    assert_true(everywhere(good && store == NULL));
}

int main(int argc, char **argv)
{
    alarm(1200); /* a hang is a failure */
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_element_type_reads_the_same_rows),
        IN_FOLDER(float16_is_exact_down_to_its_smallest),
        IN_FOLDER(several_files_and_a_folder_are_one_store_in_order),
        IN_FOLDER(ranks_without_rows_take_part),
        IN_FOLDER(aliases_are_tried_and_two_hits_are_refused),
        IN_FOLDER(a_missing_dataset_lists_what_the_file_has),
        IN_FOLDER(files_that_are_not_stores_are_named),
        IN_FOLDER(shapes_and_types_that_break_a_rule_are_named),
        IN_FOLDER(bad_values_name_file_dataset_row_and_rule),
        IN_FOLDER(normalize_divides_by_the_canonical_norm),
        IN_FOLDER(threads_read_what_one_does),
        IN_FOLDER(a_zero_row_is_refused_where_it_has_no_direction),
        IN_FOLDER(pieces_of_large_rows_join),
        IN_FOLDER(a_store_that_was_written_reads_back),
        IN_FOLDER(the_store_says_what_it_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
