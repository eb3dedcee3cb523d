/* Index triplets and packed triplets are read as they are, in shares of any ranks; gradients are written
 * whole, with the same bytes from any ranks; what breaks a rule is named. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/h5.h"
#include "store/loss_files.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool says(trm_status status, const trm_error *err, trm_status expected, const char *words)
{
    bool good = status == expected && err->status == expected && strstr(err->text, words) != NULL;
    if (!good)
        fprintf(stderr, "status %d, '%s'; expected %d, '%s'\n", (int)status, err->text, (int)expected, words);
    return everywhere(good);
}

/* --- making files, on rank 0 alone
 * ------------------------------------------------------------------------------- */

static void put(hid_t file, const char *name, hid_t type, int dimensions, const hsize_t *size,
                const double *values, bool chunked)
{
    hsize_t chunk[3] = {size[0] > 3 ? 3 : size[0], dimensions > 1 ? size[1] : 1,
                        dimensions > 2 ? size[2] : 1};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    if (chunked) {
        H5Pset_chunk(creation, dimensions, chunk);
        H5Pset_deflate(creation, 4);
    }
    hid_t space = H5Screate_simple(dimensions, size, NULL);
    hid_t dataset = H5Dcreate2(file, name, type, space, links, creation, H5P_DEFAULT);
    if (H5Sget_simple_extent_npoints(space) > 0)
        H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
    H5Pclose(creation);
}

static void put_int(hid_t file, const char *name, int64_t value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t handle = H5Acreate2(file, name, H5T_STD_I16BE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(handle, H5T_NATIVE_INT64, &value);
    H5Aclose(handle);
    H5Sclose(space);
}

/* As Python writes it: variable length. */
static void put_text(hid_t file, const char *name, const char *value)
{
    hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t handle = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(handle, type, &value);
    H5Aclose(handle);
    H5Tclose(type);
    H5Sclose(space);
}

static void touch_text(const char *path)
{
    if (rank == 0) {
        FILE *text = fopen(path, "w");
        fputs("this is not HDF5\n", text);
        fclose(text);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void cut(const char *path)
{
    struct stat about;
    if (rank == 0 && (stat(path, &about) != 0 || truncate(path, about.st_size - 8) != 0))
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* --- index triplets
 * ---------------------------------------------------------------------------------------------- */

static int64_t id_at(int column, int64_t i)
{
    return (i * 7 + column * 13) % 120;
}

/* A file of index triplets; what a test changes is odd. */
typedef struct list {
    hid_t type[3];
    hsize_t length[3];
    int dimensions; /* of /triplets/positive */
    int missing;    /* this column is not there */
    bool chunked;
    const char *format, *fingerprint; /* NULL: no attribute */
    int64_t complete, rows, dim;      /* < 0: no attribute */
} list;

static list plain(int64_t count)
{
    const hsize_t n = (hsize_t)count;
    return (list){.type = {H5T_STD_I64LE, H5T_STD_I64LE, H5T_STD_I64LE},
                  .length = {n, n, n},
                  .dimensions = 1,
                  .missing = -1,
                  .complete = -1,
                  .rows = -1,
                  .dim = -1};
}

static void make_list(const char *path, const list *l)
{
    static const char *const names[] = {"/triplets/anchor", "/triplets/positive", "/triplets/negative"};
    if (rank == 0) {
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        for (int c = 0; c < 3; c++) {
            double *values = trm_alloc((int64_t)l->length[c], sizeof *values);
            for (int64_t i = 0; i < (int64_t)l->length[c]; i++)
                values[i] = (double)id_at(c, i);
            const bool wide = c == 1 && l->dimensions == 2;
            const hsize_t size[2] = {l->length[c] / (wide ? 2 : 1), wide ? 2 : 1};
            if (c != l->missing)
                put(file, names[c], l->type[c], c == 1 ? l->dimensions : 1, size, values,
                    l->chunked && l->length[c] > 0);
            trm_free(values);
        }
        if (l->complete >= 0)
            put_int(file, "complete", l->complete);
        if (l->rows >= 0)
            put_int(file, "store_rows", l->rows);
        if (l->dim >= 0)
            put_int(file, "store_dim", l->dim);
        if (l->format != NULL)
            put_text(file, "format", l->format);
        if (l->fingerprint != NULL)
            put_text(file, "store_fingerprint", l->fingerprint);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static bool share_is(int64_t first, int64_t count, int64_t total)
{
    int64_t from = 0, to = 0;
    trm_share(total, rank, ranks, &from, &to);
    return first == from && count == to - from;
}

/* Reads and compares; origin: of the file. */
static bool list_reads(const char *path, int64_t expected, trm_triplets_origin *origin)
{
    trm_error err = TRM_ERROR_INIT;
    trm_given_triplets given;
    int64_t first = -1, total = -1;
    trm_status status = trm_triplets_read(MPI_COMM_WORLD, path, &given, &first, &total, origin, &err);
    bool good = status == TRM_OK && total == expected && share_is(first, given.count, expected);
    for (int64_t i = 0; i < given.count && good; i++)
        good = given.anchor[i] == id_at(0, first + i) && given.positive[i] == id_at(1, first + i) &&
               given.negative[i] == id_at(2, first + i);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    trm_triplets_free(&given);
    return everywhere(good && given.count == 0 && given.anchor == NULL);
}

static bool list_fails(const char *path, trm_status expected, const char *words)
{
    trm_error err = TRM_ERROR_INIT;
    trm_given_triplets given;
    int64_t first = 0, total = 0;
    trm_status status = trm_triplets_read(MPI_COMM_WORLD, path, &given, &first, &total, NULL, &err);
    const bool empty = given.count == 0 && given.anchor == NULL && given.negative == NULL;
    trm_triplets_free(&given);
    return says(status, &err, expected, words) && everywhere(empty);
}

static bool odd_list_fails(const list *l, const char *words)
{
    const char *path = in_folder("odd.h5");
    make_list(path, l);
    return list_fails(path, TRM_ERR_DATA, words);
}

static void triplets_of_any_integer_type_come_in_shares(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 2, 7, 1000};
    const hid_t types[] = {H5T_STD_I32BE, H5T_STD_I32LE, H5T_STD_I64BE, H5T_STD_U64LE,
                           H5T_STD_U16BE, H5T_STD_I8LE,  H5T_STD_U8BE};
    const char *path = in_folder("t.h5");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const int64_t count = counts[i % 4];
        list l = plain(count);
        l.type[0] = types[i];
        l.type[1] = types[(i + 1) % 7];
        l.type[2] = types[(i + 2) % 7];
        l.chunked = i % 2 == 1;
        make_list(path, &l);
        assert_true(list_reads(path, count, NULL));
    }
}

static void what_a_file_says_of_its_store_is_given_back(void **state)
{
    (void)state;
    const char *path = in_folder("t.h5");
    trm_triplets_origin origin = {.store_fingerprint = "?"};
    list l = plain(5);
    make_list(path, &l);
    assert_true(list_reads(path, 5, &origin));
    assert_true(
        everywhere(origin.store_rows == -1 && origin.store_dim == -1 && origin.store_fingerprint[0] == '\0'));
    l.format = "trimine-triplets";
    l.fingerprint = "0123456789abcdef0123456789abcdef";
    l.complete = 1;
    l.rows = 120;
    l.dim = 9;
    make_list(path, &l);
    assert_true(list_reads(path, 5, &origin));
    assert_true(everywhere(origin.store_rows == 120 && origin.store_dim == 9 &&
                           strcmp(origin.store_fingerprint, l.fingerprint) == 0));
}

static void files_that_are_not_triplets_are_named(void **state)
{
    (void)state;
    const char *path = in_folder("x.h5");
    assert_true(list_fails(path, TRM_ERR_NO_INPUT, "triplets '"));
    assert_true(list_fails(path, TRM_ERR_NO_INPUT, "x.h5': No such file"));
    assert_true(list_fails(folder, TRM_ERR_NO_INPUT, "': is a folder, needs a file"));
    touch_text(path);
    assert_true(list_fails(path, TRM_ERR_DATA, "x.h5': not an HDF5 file"));
    list l = plain(1000);
    make_list(path, &l);
    cut(path);
    assert_true(list_fails(path, TRM_ERR_DATA, "x.h5': truncated HDF5 file"));
    int user = (int)geteuid();
    MPI_Bcast(&user, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (user != 0) { /* root may read everything */
        if (rank == 0)
            chmod(path, 0);
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(list_fails(path, TRM_ERR_PERMISSION, "x.h5': Permission denied"));
    }
}

static void columns_that_break_a_rule_are_named(void **state)
{
    (void)state;
    list l = plain(10);
    l.missing = 1;
    assert_true(odd_list_fails(&l, "odd.h5': no dataset '/triplets/positive'; the file has: /triplets/anchor "
                                   "(10), /triplets/negative (10)"));
    l = plain(10);
    l.type[2] = H5T_IEEE_F32LE;
    assert_true(
        odd_list_fails(&l, "odd.h5': dataset '/triplets/negative' (10) holds float32, needs integers"));
    l = plain(10);
    l.dimensions = 2;
    assert_true(
        odd_list_fails(&l, "odd.h5': dataset '/triplets/positive' (int64) is 5 x 2, needs one value a row"));
    l = plain(10);
    l.length[1] = 9;
    assert_true(
        odd_list_fails(&l, "odd.h5': dataset '/triplets/positive' has 9 rows, '/triplets/anchor' has 10"));
    l = plain(10);
    l.length[2] = 11;
    assert_true(
        odd_list_fails(&l, "odd.h5': dataset '/triplets/negative' has 11 rows, '/triplets/anchor' has 10"));
    l = plain(0);
    assert_true(odd_list_fails(&l, "odd.h5': dataset '/triplets/anchor' holds no triplets"));
}

static void a_result_of_mine_may_be_empty(void **state)
{
    (void)state;
    const char *path = in_folder("none.h5");
    list l = plain(0);
    l.format = "trimine-triplets";
    l.complete = 1;
    make_list(path, &l);
    assert_true(list_reads(path, 0, NULL));
}

static void a_row_id_beyond_int64_is_named(void **state)
{
    (void)state;
    const char *path = in_folder("u.h5");
    list l = plain(7);
    l.type[1] = H5T_STD_U64BE;
    make_list(path, &l);
    if (rank == 0) {
        static const uint64_t ids[] = {0, 1, 2, 3, 4, UINT64_C(1) << 63, 6};
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT),
              dataset = H5Dopen2(file, "/triplets/positive", H5P_DEFAULT);
        H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, ids);
        H5Dclose(dataset);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(list_fails(path, TRM_ERR_DATA,
                           "u.h5': dataset '/triplets/positive' row 5 has the value 9223372036854775808, "
                           "which does not fit int64"));
}

static void a_file_that_is_unfinished_or_of_another_kind_is_refused(void **state)
{
    (void)state;
    list l = plain(4);
    l.complete = 0;
    assert_true(odd_list_fails(&l, "odd.h5': file is not complete (attribute 'complete' is not 1)"));
    l.complete = 257; /* 1 in eight bits */
    assert_true(odd_list_fails(&l, "odd.h5': file is not complete"));
    l.complete = 1;
    l.format = "trimine-gradient";
    assert_true(
        odd_list_fails(&l, "odd.h5': attribute 'format' is 'trimine-gradient', needs 'trimine-triplets'"));
    l.format = "trimine-triplets2";
    assert_true(odd_list_fails(&l, "needs 'trimine-triplets'"));
    const struct {
        const char *name, *words;
        bool text;
    } odd[] = {{"complete", "file is not complete", true},
               {"store_dim", "attribute 'store_dim' is not an integer", true},
               {"format", "attribute 'format' is not a text", false},
               {"store_fingerprint", "attribute 'store_fingerprint' is not a text", false}};
    for (int i = 0; i < 4; i++) {
        const char *path = in_folder("attribute.h5");
        l = plain(4);
        make_list(path, &l);
        if (rank == 0) {
            hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            if (odd[i].text)
                put_text(file, odd[i].name, "1");
            else
                put_int(file, odd[i].name, 1);
            H5Fclose(file);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(list_fails(path, TRM_ERR_DATA, odd[i].words));
    }
}

/* --- lists
 * ---------------------------------------------------------------------------------------------------- */

/* A file of lists; what a test changes is odd. */
typedef struct lists {
    hid_t type;                        /* of /lists/negative */
    hsize_t lines, negatives, columns; /* negatives: lines of /lists/negative; columns 0: one dimension */
    bool chunked, empty, triplets;     /* empty: all -1; triplets: of these there is one, too */
    const char *missing, *format;      /* or NULL */
} lists;

/* Some lists are short, also at their beginning; every seventh is empty. */
static int64_t listed(const lists *l, int64_t line, int64_t k)
{
    return l->empty || line % 7 == 6 || (line + k) % 3 == 2 ? -1 : id_at(2, line * 5 + k);
}

static void put_listed(hid_t file, const lists *l)
{
    const hsize_t size[2] = {l->negatives, l->columns};
    const int64_t columns = l->columns > 0 ? (int64_t)l->columns : 1, rows = (int64_t)l->negatives;
    double *values = trm_alloc(rows * columns, sizeof *values);
    for (int64_t i = 0; i < rows * columns; i++)
        values[i] = (double)listed(l, i / columns, i % columns);
    put(file, "/lists/negative", l->type, l->columns > 0 ? 2 : 1, size, values, l->chunked && rows > 0);
    trm_free(values);
}

static void make_lists(const char *path, const lists *l)
{
    static const char *const names[] = {"/lists/anchor", "/lists/positive"};
    const hsize_t one = 1;
    const double zero = 0.0;
    if (rank == 0) {
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        double *values = trm_alloc((int64_t)l->lines, sizeof *values);
        for (int c = 0; c < 2; c++) {
            for (int64_t i = 0; i < (int64_t)l->lines; i++)
                values[i] = (double)id_at(c, i);
            if (l->missing == NULL || strcmp(names[c], l->missing) != 0)
                put(file, names[c], H5T_STD_I32LE, 1, &l->lines, values, false);
        }
        trm_free(values);
        put_listed(file, l);
        if (l->triplets)
            put(file, "/triplets/anchor", H5T_STD_I64LE, 1, &one, &zero, false);
        if (l->format != NULL)
            put_text(file, "format", l->format);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Every rank has the triplets of its share of the lines, and they follow one another over the ranks. */
static bool lists_read(const lists *l)
{
    const char *path = in_folder("l.h5");
    trm_error err = TRM_ERROR_INIT;
    trm_given_triplets given;
    int64_t first = -1, total = -1, from, to, at = 0;
    make_lists(path, l);
    trm_status status = trm_triplets_read(MPI_COMM_WORLD, path, &given, &first, &total, NULL, &err);
    bool good = status == TRM_OK && total == trm_sum_int64(MPI_COMM_WORLD, given.count) &&
                first == trm_prefix_int64(MPI_COMM_WORLD, given.count);
    trm_share((int64_t)l->lines, rank, ranks, &from, &to);
    for (int64_t line = from; line < to && good; line++)
        for (int64_t k = 0; k < (int64_t)l->columns && good; k++) {
            if (listed(l, line, k) < 0)
                continue;
            good = at < given.count && given.anchor[at] == id_at(0, line) &&
                   given.positive[at] == id_at(1, line) && given.negative[at] == listed(l, line, k);
            at++;
        }
    good = good && at == given.count;
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    trm_triplets_free(&given);
    return everywhere(good);
}

static bool odd_lists_fail(const lists *l, const char *words)
{
    const char *path = in_folder("odd.h5");
    make_lists(path, l);
    return list_fails(path, TRM_ERR_DATA, words);
}

static void negatives_of_a_list_are_triplets_but_for_those_that_are_missing(void **state)
{
    (void)state;
    static const hsize_t sizes[][2] = {{1, 1}, {1, 9}, {2, 3}, {9, 1}, {100, 4}, {3, 1000}};
    const hid_t types[] = {H5T_STD_I64LE, H5T_STD_I32BE, H5T_STD_I8LE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const lists l = {.type = types[i % 3],
                         .lines = sizes[i][0],
                         .negatives = sizes[i][0],
                         .columns = sizes[i][1],
                         .chunked = i % 2 == 1};
        assert_true(lists_read(&l));
    }
    const lists none = {.type = H5T_STD_I64LE, .columns = 4, .format = "trimine-lists"};
    assert_true(lists_read(&none));
}

static void lists_that_break_a_rule_are_named(void **state)
{
    (void)state;
    const lists good = {.type = H5T_STD_I64LE, .lines = 10, .negatives = 10, .columns = 3};
    lists l = good;
    l.missing = "/lists/positive";
    assert_true(odd_lists_fail(&l, "odd.h5': no dataset '/lists/positive'; the file has: /lists/anchor (10), "
                                   "/lists/negative (10 x 3)"));
    l = good;
    l.columns = 0;
    assert_true(odd_lists_fail(&l, "odd.h5': dataset '/lists/negative' (int64) is 10, needs rows x columns"));
    l = good;
    l.negatives = 9;
    assert_true(odd_lists_fail(&l, "odd.h5': dataset '/lists/negative' has 9 rows, '/lists/anchor' has 10"));
    l = good;
    l.type = H5T_IEEE_F64LE;
    assert_true(odd_lists_fail(&l, "odd.h5': dataset '/lists/negative' (10 x 3) holds float64, needs int"));
    l = good;
    l.empty = true;
    assert_true(odd_lists_fail(&l, "odd.h5': dataset '/lists/negative' holds no triplets"));
    l = good;
    l.lines = l.negatives = 0;
    assert_true(odd_lists_fail(&l, "odd.h5': dataset '/lists/anchor' holds no triplets"));
    l = good;
    l.type = H5T_STD_U64LE; /* -1 is written as 0, and then changed */
    make_lists(in_folder("odd.h5"), &l);
    if (rank == 0) {
        uint64_t ids[30] = {[17] = UINT64_C(1) << 63};
        hid_t file = H5Fopen(in_folder("odd.h5"), H5F_ACC_RDWR, H5P_DEFAULT),
              dataset = H5Dopen2(file, "/lists/negative", H5P_DEFAULT);
        H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, ids);
        H5Dclose(dataset);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(list_fails(in_folder("odd.h5"), TRM_ERR_DATA,
                           "odd.h5': dataset '/lists/negative' row 5 has the value 9223372036854775808"));
}

static void the_form_is_what_the_file_says_else_what_it_holds(void **state)
{
    (void)state;
    lists l = {.type = H5T_STD_I64LE, .lines = 10, .negatives = 10, .columns = 3, .triplets = true};
    assert_true(odd_lists_fail(&l, "odd.h5': has both '/triplets' and '/lists': leave one out"));
    l.format = "trimine-lists";
    assert_true(lists_read(&l));
    l.format = "trimine-triplets";
    assert_true(odd_lists_fail(&l, "odd.h5': no dataset '/triplets/positive'"));
    l.format = "trimine-gradient";
    assert_true(odd_lists_fail(&l, "'trimine-gradient', needs 'trimine-triplets' or 'trimine-lists'"));
}

/* --- packed triplets
 * --------------------------------------------------------------------------------------------- */

enum { DIM = 5 };

/* Small whole numbers: exact in every type. */
static double packed_value(int part, int64_t row, int64_t item, int64_t k)
{
    return (double)((row * 7 + item * 5 + k * 3 + part) % 120 + 1);
}

/* A file of packed triplets. negatives 0: /negative (B,D). */
typedef struct batch {
    hid_t type[3];
    int64_t rows[3], dim[3], negatives;
    int missing; /* this part is not there */
    bool many, both, flat,
        chunked;  /* many: /negatives; both: the other name too; flat: /anchor has one dimension */
    int odd_part; /* its value at row odd_row, item odd_item, column 3 is odd; -1: none */
    int64_t odd_row, odd_item;
    double odd;
    bool zero; /* that whole row instead becomes 0 */
} batch;

static batch ready(int64_t rows, int64_t negatives)
{
    return (batch){.type = {H5T_IEEE_F32LE, H5T_IEEE_F32LE, H5T_IEEE_F32LE},
                   .rows = {rows, rows, rows},
                   .dim = {DIM, DIM, DIM},
                   .negatives = negatives > 0 ? negatives : 1,
                   .many = negatives > 0,
                   .missing = -1,
                   .odd_part = -1};
}

static double batch_value(const batch *b, int part, int64_t row, int64_t item, int64_t k)
{
    if (part == b->odd_part && row == b->odd_row && item == b->odd_item && (b->zero || k == 3))
        return b->zero ? 0.0 : b->odd;
    return packed_value(part, row, item, k);
}

static void put_part(hid_t file, const batch *b, int part)
{
    static const char *const names[] = {"anchor", "positive", "negative", "negatives"};
    const int64_t items = part == 2 ? b->negatives : 1, rows = b->rows[part], dim = b->dim[part];
    const hsize_t two[2] = {(hsize_t)rows, (hsize_t)dim},
                  three[3] = {(hsize_t)rows, (hsize_t)items, (hsize_t)dim};
    double *values = trm_alloc(rows * items * dim, sizeof *values);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < items; j++)
            for (int64_t k = 0; k < dim; k++)
                values[(i * items + j) * dim + k] = batch_value(b, part, i, j, k);
    const bool deep = part == 2 && b->many;
    put(file, names[deep ? 3 : part], b->type[part],
        deep                   ? 3
        : part == 0 && b->flat ? 1
                               : 2,
        deep ? three : two, values, b->chunked);
    if (part == 2 && b->both)
        put(file, names[deep ? 2 : 3], b->type[part], 1, two, values, false);
    trm_free(values);
}

static void make_batch(const char *path, const batch *b)
{
    if (rank == 0) {
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        for (int part = 0; part < 3; part++)
            if (part != b->missing)
                put_part(file, b, part);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Rows of one part, of this rank: as they were made, or normalised with their norms. */
static bool part_is(const batch *b, int part, int64_t first, int64_t count, const float *rows,
                    const double *norms)
{
    const int64_t items = part == 2 ? b->negatives : 1, dim = b->dim[0];
    float *x = trm_alloc(dim, sizeof *x);
    bool good = rows != NULL;
    for (int64_t i = 0; i < count * items && good; i++) {
        for (int64_t k = 0; k < dim; k++)
            x[k] = (float)packed_value(part, first + i / items, i % items, k);
        const double norm = norms != NULL ? sqrt(trm_dot(x, x, (int)dim)) : 1.0;
        good = norms == NULL || norms[i] == norm;
        for (int64_t k = 0; k < dim && good; k++)
            good = rows[i * dim + k] == (float)((double)x[k] / norm);
    }
    trm_free(x);
    return good;
}

static bool batch_reads(const char *path, const batch *b, bool normalize)
{
    trm_error err = TRM_ERROR_INIT;
    trm_packed p;
    int64_t first = -1, total = -1;
    const trm_read_options options = {.normalize = normalize};
    trm_status status =
        trm_packed_read(MPI_COMM_WORLD, path, normalize ? &options : NULL, &p, &first, &total, &err);
    bool good = status == TRM_OK && total == b->rows[0] && share_is(first, p.count, total) &&
                p.negatives == b->negatives && p.dim == b->dim[0] && (p.anchor_norms != NULL) == normalize &&
                (p.positive_norms != NULL) == normalize && (p.negative_norms != NULL) == normalize &&
                part_is(b, 0, first, p.count, p.anchor, p.anchor_norms) &&
                part_is(b, 1, first, p.count, p.positive, p.positive_norms) &&
                part_is(b, 2, first, p.count, p.negative, p.negative_norms);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "%s\n", err.text);
    trm_packed_free(&p);
    return everywhere(good && p.count == 0 && p.negative == NULL);
}

static bool packed_fails(const char *path, const trm_read_options *options, trm_status expected,
                         const char *words)
{
    trm_error err = TRM_ERROR_INIT;
    trm_packed p;
    int64_t first = 0, total = 0;
    trm_status status = trm_packed_read(MPI_COMM_WORLD, path, options, &p, &first, &total, &err);
    const bool empty = p.count == 0 && p.anchor == NULL && p.negative_norms == NULL;
    trm_packed_free(&p);
    return says(status, &err, expected, words) && everywhere(empty);
}

static bool odd_batch_fails(const batch *b, const trm_read_options *options, const char *words)
{
    const char *path = in_folder("odd.h5");
    make_batch(path, b);
    return packed_fails(path, options, TRM_ERR_DATA, words);
}

static void packed_triplets_of_every_type_come_in_shares(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 2, 7, 40}, negatives[] = {0, 1, 3};
    const hid_t types[] = {H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_STD_U8LE,
                           H5T_STD_I32BE,  H5T_STD_I64LE,  H5T_IEEE_F32LE};
    const char *path = in_folder("p.h5");
    for (int i = 0; i < 12; i++) {
        batch b = ready(rows[i % 4], negatives[i / 4]);
        b.type[0] = types[i % 7];
        b.type[1] = types[(i + 1) % 7];
        b.type[2] = types[(i + 3) % 7];
        b.chunked = i % 2 == 1;
        make_batch(path, &b);
        assert_true(batch_reads(path, &b, false));
    }
}

static void normalize_gives_unit_rows_and_their_norms(void **state)
{
    (void)state;
    const char *path = in_folder("p.h5");
    batch b = ready(9, 0);
    make_batch(path, &b);
    assert_true(batch_reads(path, &b, true));
    b = ready(3, 4);
    b.type[2] = H5T_IEEE_F64BE;
    make_batch(path, &b);
    assert_true(batch_reads(path, &b, true));
}

static void a_row_larger_than_a_piece_is_read_in_several(void **state)
{
    (void)state;
    const char *path = in_folder("wide.h5");
    if (ranks > 2)
        return;              /* nothing new there */
    batch b = ready(2, 130); /* 68 MB of float64 a row of /negatives */
    for (int part = 0; part < 3; part++)
        b.dim[part] = 65536;
    b.type[2] = H5T_IEEE_F64LE;
    make_batch(path, &b);
    assert_true(batch_reads(path, &b, true));
}

static void packed_shapes_that_break_a_rule_name_both_datasets(void **state)
{
    (void)state;
    batch b = ready(10, 0);
    b.rows[1] = 9;
    assert_true(odd_batch_fails(&b, NULL, "odd.h5': dataset '/positive' is 9 x 5, '/anchor' is 10 x 5"));
    b = ready(10, 0);
    b.dim[2] = 6;
    assert_true(odd_batch_fails(&b, NULL, "odd.h5': dataset '/negative' is 10 x 6, '/anchor' is 10 x 5"));
    b = ready(10, 3);
    b.dim[2] = 6;
    assert_true(
        odd_batch_fails(&b, NULL, "odd.h5': dataset '/negatives' is 10 x 3 x 6, '/anchor' is 10 x 5"));
    b = ready(10, 3);
    b.rows[2] = 11;
    assert_true(
        odd_batch_fails(&b, NULL, "odd.h5': dataset '/negatives' is 11 x 3 x 5, '/anchor' is 10 x 5"));
    b = ready(10, 3);
    b.negatives = 0;
    assert_true(odd_batch_fails(
        &b, NULL, "odd.h5': dataset '/negatives' is 10 x 0 x 5, needs at least one negative an anchor"));
    b = ready(0, 0);
    assert_true(odd_batch_fails(
        &b, NULL, "odd.h5': dataset '/anchor' is 0 x 5, needs at least one row and 1 to 65536 columns"));
    b = ready(3, 0);
    b.dim[0] = b.dim[1] = b.dim[2] = 0;
    assert_true(odd_batch_fails(&b, NULL, "odd.h5': dataset '/anchor' is 3 x 0, needs at least one row"));
    b = ready(1, 0);
    b.dim[0] = b.dim[1] = b.dim[2] = 65537;
    assert_true(odd_batch_fails(&b, NULL, "odd.h5': dataset '/anchor' is 1 x 65537, needs at least one row"));
    b = ready(4, 0);
    b.flat = true;
    assert_true(odd_batch_fails(&b, NULL, "odd.h5': dataset '/anchor' (float32) is 4, needs rows x columns"));
    b = ready(4, 2);
    b.both = true;
    assert_true(odd_batch_fails(&b, NULL,
                                "odd.h5': both '/negative' and '/negatives' are there; remove one of them"));
    b = ready(4, 0);
    b.missing = 1;
    assert_true(odd_batch_fails(
        &b, NULL, "odd.h5': no dataset '/positive'; the file has: /anchor (4 x 5), /negative (4 x 5)"));
    b = ready(4, 0);
    b.missing = 2;
    assert_true(odd_batch_fails(
        &b, NULL, "odd.h5': no dataset '/negative'; the file has: /anchor (4 x 5), /positive (4 x 5)"));
}

static void packed_values_that_break_a_rule_name_the_row(void **state)
{
    (void)state;
    const trm_read_options normalize = {.normalize = true}, refuse = {.refuse_zero_norm = true};
    batch b = ready(8, 0);
    b.odd_part = 1;
    b.odd_row = 6;
    b.odd = NAN;
    assert_true(odd_batch_fails(
        &b, NULL, "odd.h5': dataset '/positive' row 6 has a non-finite value (nan) at column 3"));
    b.type[1] = H5T_IEEE_F64LE;
    b.odd = 1e300;
    assert_true(odd_batch_fails(
        &b, NULL,
        "odd.h5': dataset '/positive' row 6 has a value (1e+300) at column 3 that does not fit float32"));
    b = ready(8, 3);
    b.odd_part = 2;
    b.odd_row = 5;
    b.odd_item = 2;
    b.odd = -INFINITY;
    assert_true(odd_batch_fails(
        &b, NULL,
        "odd.h5': dataset '/negatives' row 5 negative 2 has a non-finite value (-inf) at column 3"));
    b.zero = true;
    assert_true(odd_batch_fails(
        &b, &normalize,
        "odd.h5': dataset '/negatives' row 5 negative 2 has norm zero, which --normalize does not allow"));
    assert_true(odd_batch_fails(
        &b, &refuse,
        "odd.h5': dataset '/negatives' row 5 negative 2 has norm zero, which the metric does not allow"));
    trm_error err = TRM_ERROR_INIT;
    trm_packed p;
    int64_t first = 0, total = 0;
    trm_status status = trm_packed_read(MPI_COMM_WORLD, in_folder("odd.h5"), NULL, &p, &first, &total, &err);
    trm_packed_free(&p);
    assert_true(everywhere(status == TRM_OK)); /* allowed where nothing asks for a direction */
}

static void files_that_are_not_packed_triplets_are_named(void **state)
{
    (void)state;
    const char *path = in_folder("y.h5");
    assert_true(packed_fails(path, NULL, TRM_ERR_NO_INPUT, "packed triplets '"));
    assert_true(packed_fails(path, NULL, TRM_ERR_NO_INPUT, "y.h5': No such file"));
    touch_text(path);
    assert_true(packed_fails(path, NULL, TRM_ERR_DATA, "y.h5': not an HDF5 file"));
    batch b = ready(100, 0);
    make_batch(path, &b);
    cut(path);
    assert_true(packed_fails(path, NULL, TRM_ERR_DATA, "y.h5': truncated HDF5 file"));
}

static bool looks(const char *path, trm_packed_form expected)
{
    return everywhere(trm_packed_recognize(MPI_COMM_WORLD, path) == expected);
}

static void packed_files_are_told_from_others(void **state)
{
    (void)state;
    const char *path = in_folder("r.h5");
    assert_true(looks(path, TRM_PACKED_NOT));
    assert_true(looks(folder, TRM_PACKED_NOT));
    touch_text(path);
    assert_true(looks(path, TRM_PACKED_NOT));
    for (int64_t negatives = 0; negatives < 3; negatives++) {
        batch b = ready(2, negatives);
        make_batch(path, &b);
        assert_true(looks(path, negatives > 0 ? TRM_PACKED_NEGATIVES : TRM_PACKED_NEGATIVE));
        for (b.missing = 0; b.missing < 3; b.missing++) {
            make_batch(path, &b);
            assert_true(looks(path, TRM_PACKED_PARTLY));
        }
    }
    list l = plain(3);
    make_list(path, &l);
    assert_true(looks(path, TRM_PACKED_NOT));
}

/* --- reading what is damaged
 * ------------------------------------------------------------------------------------- */

/* Overwrites the data of a dataset's first chunk, so that its filter fails. */
static void spoil(const char *path, const char *name)
{
    if (rank == 0) {
        hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), dataset = H5Dopen2(file, name, H5P_DEFAULT);
        hsize_t offset[3] = {0, 0, 0}, size = 0;
        unsigned mask = 0;
        haddr_t at = HADDR_UNDEF;
        hid_t space = H5Dget_space(dataset);
        if (H5Dget_chunk_info(dataset, space, 0, offset, &mask, &at, &size) < 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
        H5Sclose(space);
        H5Dclose(dataset);
        H5Fclose(file);
        int raw = open(path, O_WRONLY);
        for (hsize_t i = 0; i < size; i++)
            if (pwrite(raw, "\xff", 1, (off_t)(at + i)) != 1)
                MPI_Abort(MPI_COMM_WORLD, 1);
        close(raw);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void a_read_that_fails_is_an_io_error_everywhere(void **state)
{
    (void)state;
    const char *path = in_folder("s.h5");
    list l = plain(3);
    l.chunked = true;
    make_list(path, &l);
    spoil(path, "/triplets/positive");
    assert_true(list_fails(path, TRM_ERR_IO, "s.h5': reading dataset '/triplets/positive' rows "));
    batch b = ready(3, 2);
    b.chunked = true;
    make_batch(path, &b);
    spoil(path, "/negatives");
    assert_true(packed_fails(path, NULL, TRM_ERR_IO, "s.h5': reading dataset '/negatives' rows "));
}

/* --- writing
 * ----------------------------------------------------------------------------------------------------- */

static float gradient_value(int array, int64_t i)
{
    return (float)(array * 1000000 + i) / 3.0F;
}

/* How rows fall to ranks: evenly, all to the last, or growing with the rank, with none on rank 0. */
typedef enum sharing { EVENLY, ALL_TO_LAST, GROWING } sharing;

static void part_of(sharing how, int64_t rows, int r, int p, int64_t *first, int64_t *last)
{
    const int64_t weight = (int64_t)p * (p - 1) / 2;
    trm_share(rows, r, p, first, last);
    if (how == ALL_TO_LAST || (how == GROWING && weight == 0)) {
        *first = r == p - 1 ? 0 : rows;
        *last = rows;
    } else if (how == GROWING) {
        *first = rows * ((int64_t)r * (r - 1) / 2) / weight;
        *last = rows * ((int64_t)(r + 1) * r / 2) / weight;
    }
}

/* This rank's part of an array, in new memory; none where it has no rows. */
static trm_output_array array_of(int index, const char *name, int dimensions, const int64_t *size,
                                 sharing how, int r, int p)
{
    trm_output_array array = {.name = name, .rank = dimensions};
    int64_t last = 0, width = 1;
    for (int d = 0; d < dimensions; d++)
        array.size[d] = size[d];
    for (int d = 1; d < dimensions; d++)
        width *= size[d];
    part_of(how, size[0], r, p, &array.first, &last);
    array.count = last - array.first;
    float *data = array.count > 0 ? trm_alloc(array.count * width, sizeof *data) : NULL;
    for (int64_t i = 0; i < array.count * width; i++)
        data[i] = gradient_value(index, array.first * width + i);
    array.data = data;
    return array;
}

static void release(int arrays, trm_output_array *array)
{
    for (int a = 0; a < arrays; a++)
        trm_free((void *)(uintptr_t)array[a].data);
}

static const trm_attribute attributes[] = {
    {"format", TRM_ATTRIBUTE_TEXT, "trimine-triplets", 0, 0.0},
    {"store_rows", TRM_ATTRIBUTE_INT, NULL, 37, 0.0},
    {"store_dim", TRM_ATTRIBUTE_INT, NULL, 6, 0.0},
    {"store_fingerprint", TRM_ATTRIBUTE_TEXT, "00ff", 0, 0.0},
};

enum { ARRAYS = 4 };
static const struct {
    const char *name;
    int dimensions;
    int64_t size[3];
} shapes[ARRAYS] = {{"/gradient/anchor", 2, {37, 6, 0}},
                    {"/gradient/positive", 2, {37, 6, 0}},
                    {"/gradient/negatives", 3, {37, 4, 6}},
                    {"/deep/er/list", 1, {2, 0, 0}}};

static trm_status write_gradient(MPI_Comm comm, const char *path, int arrays, const trm_output_array *array,
                                 trm_error *err)
{
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(comm, "output", path, true, 0, NULL, &claim, err);
    if (status == TRM_OK)
        status = trm_gradient_write(comm, claim, arrays, array, NULL, 4, attributes, err);
    trm_claim_release(&claim);
    return status;
}

static trm_status write_arrays(MPI_Comm comm, const char *path, sharing how, trm_error *err)
{
    int r = 0, p = 0;
    trm_output_array array[ARRAYS];
    MPI_Comm_rank(comm, &r);
    MPI_Comm_size(comm, &p);
    for (int a = 0; a < ARRAYS; a++)
        array[a] = array_of(a, shapes[a].name, shapes[a].dimensions, shapes[a].size, how, r, p);
    trm_status status = write_gradient(comm, path, ARRAYS, array, err);
    release(ARRAYS, array);
    return status;
}

/* Rank 0: the dataset is float32, has this shape and the values of array index. */
static bool holds_array(const char *path, int index, const char *name, int dimensions, const int64_t *size)
{
    hsize_t found[3] = {0, 0, 0};
    int64_t values = 1;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), dataset = H5Dopen2(file, name, H5P_DEFAULT);
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    bool good = H5Sget_simple_extent_ndims(space) == dimensions && H5Tequal(type, H5T_IEEE_F32LE) > 0;
    H5Sget_simple_extent_dims(space, found, NULL);
    for (int d = 0; d < dimensions; d++) {
        good = good && (int64_t)found[d] == size[d];
        values *= size[d];
    }
    float *data = trm_alloc(values, sizeof *data);
    good = good && H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    for (int64_t i = 0; i < values && good; i++)
        good = data[i] == gradient_value(index, i);
    trm_free(data);
    trm_h5_close(type);
    trm_h5_close(space);
    trm_h5_close(dataset);
    if (file >= 0)
        H5Fclose(file);
    return good;
}

static bool is_complete(const char *path)
{
    int64_t complete = 0, rows = 0;
    char format[32] = {0};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool good = file >= 0 && trm_h5_attribute_int(file, "complete", &complete) && complete == 1 &&
                trm_h5_attribute_int(file, "store_rows", &rows) && rows == 37 &&
                trm_h5_attribute_text(file, "format", format, sizeof format) &&
                strcmp(format, "trimine-triplets") == 0;
    if (file >= 0)
        H5Fclose(file);
    return good;
}

static bool same_bytes(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    bool same = x != NULL && y != NULL;
    for (int c = 0; same && c != EOF;) {
        c = fgetc(x);
        same = c == fgetc(y);
    }
    if (x != NULL)
        fclose(x);
    if (y != NULL)
        fclose(y);
    return same;
}

/* The reference is written by one rank alone, so this holds across the number of ranks too. */
static void gradients_have_the_same_bytes_from_any_ranks(void **state)
{
    (void)state;
    const char *one = in_folder("one.h5"), *path = in_folder("g.h5");
    trm_error alone = TRM_ERROR_INIT;
    trm_status first = rank == 0 ? write_arrays(MPI_COMM_SELF, one, EVENLY, &alone) : TRM_OK;
    assert_true(everywhere(first == TRM_OK));
    for (sharing how = EVENLY; how <= GROWING; how++) {
        trm_error err = TRM_ERROR_INIT;
        trm_status status = write_arrays(MPI_COMM_WORLD, path, how, &err);
        assert_true(everywhere(status == TRM_OK));
        bool good = true;
        for (int a = 0; a < ARRAYS && rank == 0; a++)
            good = good && holds_array(path, a, shapes[a].name, shapes[a].dimensions, shapes[a].size);
        assert_true(everywhere(good && (rank != 0 || (is_complete(path) && same_bytes(one, path)))));
        assert_true(everywhere(leftovers() == 0));
    }
}

static void a_gradient_row_larger_than_a_piece_is_written_in_several(void **state)
{
    (void)state;
    static const int64_t size[] = {2, 260, 65536}; /* 68 MB a row */
    const char *path = in_folder("wide.h5");
    if (ranks > 2)
        return; /* nothing new there */
    trm_error err = TRM_ERROR_INIT;
    trm_output_array array = array_of(0, "/gradient", 3, size, EVENLY, rank, ranks);
    trm_status status = write_gradient(MPI_COMM_WORLD, path, 1, &array, &err);
    release(1, &array);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != 0 || holds_array(path, 0, "/gradient", 3, size)));
}

static trm_status write_triplets(const char *path, int64_t count, int arrays, const trm_output_array *array,
                                 trm_error *err)
{
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(MPI_COMM_WORLD, "output", path, true, 0, NULL, &claim, err);
    if (status == TRM_OK)
        status = trm_triplet_file_create(MPI_COMM_WORLD, claim, TRM_FORM_TRIPLETS, 1, 120, false, 100000,
                                         &file, err);
    for (int64_t a = 0; a < count && status == TRM_OK; a++)
        if (a % ranks == rank) {
            trm_triplet *t = trm_alloc(1, sizeof *t);
            *t = (trm_triplet){a, id_at(1, a), id_at(2, a), 0.5, 1.5, 0, 1};
            status = trm_triplet_file_add(file, &t, 1, err);
            trm_free(t);
        }
    status = trm_agree(MPI_COMM_WORLD, status, err);
    if (status == TRM_OK)
        status = trm_triplet_file_finish(file, arrays, array, NULL, 4, attributes, err);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
    return status;
}

static bool mined_reads(const char *path, int64_t count)
{
    trm_error err = TRM_ERROR_INIT;
    trm_given_triplets given;
    trm_triplets_origin origin;
    int64_t first = 0, total = 0;
    trm_status status = trm_triplets_read(MPI_COMM_WORLD, path, &given, &first, &total, &origin, &err);
    bool good = status == TRM_OK && total == count && origin.store_rows == 37 && origin.store_dim == 6 &&
                strcmp(origin.store_fingerprint, "00ff") == 0;
    for (int64_t i = 0; i < given.count && good; i++)
        good = given.anchor[i] == first + i && given.positive[i] == id_at(1, first + i) &&
               given.negative[i] == id_at(2, first + i);
    trm_triplets_free(&given);
    return everywhere(good);
}

static void triplets_with_a_gradient_read_back(void **state)
{
    (void)state;
    static const int64_t size[] = {37, 6};
    const char *path = in_folder("m.h5");
    for (sharing how = EVENLY; how <= GROWING; how++) {
        trm_error err = TRM_ERROR_INIT;
        trm_output_array array = array_of(1, "/gradient", 2, size, how, rank, ranks);
        trm_status status = write_triplets(path, 50, 1, &array, &err);
        release(1, &array);
        assert_true(everywhere(status == TRM_OK));
        assert_true(mined_reads(path, 50));
        assert_true(
            everywhere(rank != 0 || (is_complete(path) && holds_array(path, 1, "/gradient", 2, size))));
        assert_true(everywhere(leftovers() == 0));
    }
}

static void what_can_not_be_written_leaves_the_old_file(void **state)
{
    (void)state;
    static const int64_t size[] = {37, 6};
    const char *path = in_folder("old.h5");
    trm_error err = TRM_ERROR_INIT;
    trm_status status = write_triplets(path, 5, 0, NULL, &err);
    assert_true(everywhere(status == TRM_OK));

    trm_output_array huge = {.name = "/gradient", .rank = 3, .size = {INT64_C(1) << 40, 1 << 20, 1 << 20}};
    trm_error no_room = TRM_ERROR_INIT; /* more than int64 can count */
    status = write_gradient(MPI_COMM_WORLD, path, 1, &huge, &no_room);
    assert_true(says(status, &no_room, TRM_ERR_IO, "old.h5': needs "));
    huge = (trm_output_array){.name = "/gradient", .rank = 2, .size = {INT64_C(1) << 40, 1 << 8}};
    trm_error beside = TRM_ERROR_INIT; /* the gradient counts where there are triplets too */
    status = write_triplets(path, 6, 1, &huge, &beside);
    assert_true(says(status, &beside, TRM_ERR_IO, " free"));

    trm_output_array array = array_of(0, "/gradient", 2, size, EVENLY, rank, ranks);
    array.size[0] = 38;
    trm_error uncovered = TRM_ERROR_INIT;
    status = write_gradient(MPI_COMM_WORLD, path, 1, &array, &uncovered);
    assert_true(says(status, &uncovered, TRM_ERR_INTERNAL, "dataset '/gradient' has 38 rows, given are 37"));
    array.size[0] = 37;
    array.first += rank == ranks - 1 ? 1 : 0;
    trm_error beyond = TRM_ERROR_INIT;
    status = write_gradient(MPI_COMM_WORLD, path, 1, &array, &beyond);
    assert_true(says(status, &beyond, TRM_ERR_INTERNAL, "dataset '/gradient' has 37 rows"));
    release(1, &array);

    trm_error nowhere = TRM_ERROR_INIT;
    status = write_arrays(MPI_COMM_WORLD, in_folder("nowhere/x.h5"), EVENLY, &nowhere);
    assert_true(says(status, &nowhere, TRM_ERR_CREATE, "nowhere/x.h5"));
    assert_true(mined_reads(path, 5)); /* untouched */
    assert_true(everywhere(leftovers() == 0));
}

/* --- pieces
 * ------------------------------------------------------------------------------------------------------ */

/* Every rank goes through the pieces of the largest part, and those of its own part follow each other. */
static bool divides(int64_t rows, int64_t most, int64_t items, int64_t width, int64_t size)
{
    const trm_h5_pieces all = trm_h5_divide(1000, rows, most, items, width, size);
    const trm_h5_pieces largest = trm_h5_divide(0, most, most, items, width, size);
    int64_t next = 0;
    bool good = all.pieces == largest.pieces;
    for (int64_t i = 0; i < all.pieces && good; i++) {
        int64_t done = -1;
        const trm_h5_block block = trm_h5_piece(&all, i, &done);
        const int64_t bytes = block.rows * block.items * width * size;
        good = bytes <= INT64_C(64) << 20 && bytes <= trm_h5_piece_bytes(&all, size) &&
               (block.rows == 0 || (done == next && (block.first - 1000) * items + block.item == done)) &&
               (block.rows < 2 || block.items == items);
        next += block.rows * block.items;
    }
    return good && next == rows * items;
}

static void pieces_cover_a_part_and_none_is_over_64_mib(void **state)
{
    (void)state;
    static const int64_t rows[] = {0, 1, 7, 1000}, items[] = {1, 3, 1000, 100000}, widths[] = {1, 128, 65536};
    bool good = true;
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < 4; i++)
            for (int w = 0; w < 3; w++)
                good = good && divides(rows[r], rows[r], items[i], widths[w], 4) &&
                       divides(rows[r], rows[r] + 5, items[i], widths[w], 8);
    assert_true(everywhere(good));
}

/* --- norms
 * ------------------------------------------------------------------------------------------------------- */

static void rows_are_divided_by_their_canonical_norm(void **state)
{
    (void)state;
    enum { ROWS = 5, WIDE = 11 };
    float x[ROWS * WIDE], out[ROWS * WIDE];
    double norms[ROWS];
    for (int i = 0; i < ROWS * WIDE; i++)
        x[i] = i / WIDE == 2 || i / WIDE == 4 ? 0.0F : (float)(i * i % 17) - 7.5F;
    bool good = trm_normalize(ROWS, WIDE, x, out, norms) == 2 && trm_normalize(2, WIDE, x, out, NULL) == -1;
    for (int i = 0; i < ROWS * WIDE && good; i++) {
        const float *row = x + i / WIDE * WIDE;
        const double norm = sqrt(trm_dot(row, row, WIDE));
        good = norms[i / WIDE] == norm && out[i] == (norm == 0.0 ? 0.0F : (float)((double)x[i] / norm));
    }
    good = good && trm_normalize(ROWS, WIDE, x, x, NULL) == 2 && memcmp(x, out, sizeof x) == 0; /* in place */
    assert_true(everywhere(good));
}

int main(int argc, char **argv)
{
    alarm(1200); /* a hang is a failure */
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(triplets_of_any_integer_type_come_in_shares),
        IN_FOLDER(what_a_file_says_of_its_store_is_given_back),
        IN_FOLDER(files_that_are_not_triplets_are_named),
        IN_FOLDER(columns_that_break_a_rule_are_named),
        IN_FOLDER(a_result_of_mine_may_be_empty),
        IN_FOLDER(a_row_id_beyond_int64_is_named),
        IN_FOLDER(a_file_that_is_unfinished_or_of_another_kind_is_refused),
        IN_FOLDER(negatives_of_a_list_are_triplets_but_for_those_that_are_missing),
        IN_FOLDER(lists_that_break_a_rule_are_named),
        IN_FOLDER(the_form_is_what_the_file_says_else_what_it_holds),
        IN_FOLDER(packed_triplets_of_every_type_come_in_shares),
        IN_FOLDER(normalize_gives_unit_rows_and_their_norms),
        IN_FOLDER(a_row_larger_than_a_piece_is_read_in_several),
        IN_FOLDER(packed_shapes_that_break_a_rule_name_both_datasets),
        IN_FOLDER(packed_values_that_break_a_rule_name_the_row),
        IN_FOLDER(files_that_are_not_packed_triplets_are_named),
        IN_FOLDER(packed_files_are_told_from_others),
        IN_FOLDER(a_read_that_fails_is_an_io_error_everywhere),
        IN_FOLDER(gradients_have_the_same_bytes_from_any_ranks),
        IN_FOLDER(a_gradient_row_larger_than_a_piece_is_written_in_several),
        IN_FOLDER(triplets_with_a_gradient_read_back),
        IN_FOLDER(what_can_not_be_written_leaves_the_old_file),
        cmocka_unit_test(pieces_cover_a_part_and_none_is_over_64_mib),
        cmocka_unit_test(rows_are_divided_by_their_canonical_norm),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
