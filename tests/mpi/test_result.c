/* Results are written whole or not at all, in either form, and have the same bytes for any ranks, panels, spool
 * and budget. */
#include "base/alloc.h"
#include "par/agree.h"
#include "store/result.h"
#include "store/h5.h"
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

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

/* The generated result: anchor a has (hash of a) mod 7 triplets, anchor 3 has 500, every fifth none; two of a
 * pair, the farther row id first in rank, and one where their number is odd. So lists of LIST are all short. */
enum { ANCHORS = 60, PANELS = 4, LIST = 3 };

static int64_t triplets_of(int64_t anchor)
{
    return anchor == 3 ? 500 : anchor % 5 == 0 ? 0 : (int64_t)(mixed((uint64_t)anchor) % 7);
}

static trm_triplet triplet_at(int64_t anchor, int64_t i)
{
    const bool first = i % 2 == 1 || i + 1 == triplets_of(anchor);
    trm_triplet t = {
        anchor,           i / 2 * 3,    i, (double)(anchor * 1000 + i / 2) / 7.0, -(double)i / 3.0,
        (anchor + i) % 2, first ? 1 : 2};
    return t;
}

static int64_t total_triplets(void)
{
    int64_t total = 0;
    for (int64_t a = 0; a < ANCHORS; a++)
        total += triplets_of(a);
    return total;
}

static int64_t total_lines(void)
{
    int64_t total = 0;
    for (int64_t a = 0; a < ANCHORS; a++)
        total += (triplets_of(a) + 1) / 2;
    return total;
}

static const trm_attribute attributes[] = {
    {"format", TRM_ATTRIBUTE_TEXT, "trimine result", 0, 0.0},
    {"empty", TRM_ATTRIBUTE_TEXT, "", 0, 0.0},
    {"store_rows", TRM_ATTRIBUTE_INT, NULL, ANCHORS, 0.0},
    {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, 0.25},
};

/* Names that labels stand for. Rank 0's are written. */
enum { LONG_NAME = 70000 };
static trm_names names;

static void make_names(void)
{
    static char long_name[LONG_NAME];
    memset(long_name, 'x', sizeof long_name);
    const struct {
        const char *name;
        int64_t length;
    } all[] = {{"", 0}, {"a\0b", 3}, {"caf\xc3\xa9", 5}, {long_name, LONG_NAME}, {"\xff", 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (trm_names_add(&names, all[i].name, all[i].length, NULL) != TRM_OK)
            abort();
}

/* Adds this rank's part of panel: salt decides which rank and panel an anchor falls to. */
static trm_status add_panel(trm_triplet_file *file, uint64_t salt, int panel, trm_error *err)
{
    trm_triplet *buffer = trm_alloc(total_triplets(), sizeof *buffer);
    int64_t count = 0;
    for (int64_t a = 0; a < ANCHORS; a++) {
        uint64_t draw = mixed((uint64_t)a * 77 + salt);
        if ((int)(draw % (uint64_t)ranks) != rank || (int)(draw / 1000 % PANELS) != panel)
            continue;
        for (int64_t i = 0; i < triplets_of(a); i++)
            buffer[count++] = triplet_at(a, i);
    }
    trm_status status = trm_triplet_file_add(file, &buffer, count, err);
    trm_free(buffer);
    return status;
}

static trm_status write_result(const char *path, trm_form form, uint64_t salt, bool spool, int64_t budget,
                               bool empty, trm_error *err)
{
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(MPI_COMM_WORLD, "output", path, true, 0, NULL, &claim, err);
    if (status == TRM_OK)
        status =
            trm_triplet_file_create(MPI_COMM_WORLD, claim, form, LIST, ANCHORS, spool, budget, &file, err);
    for (int panel = 0; panel < PANELS && status == TRM_OK && !empty; panel++)
        status = trm_agree(MPI_COMM_WORLD, add_panel(file, salt, panel, err), err);
    if (status == TRM_OK)
        status = trm_triplet_file_finish(file, 0, NULL, rank == 0 ? &names : NULL, 4, attributes, err);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
    return status;
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

/* rows x columns; columns 0: one dimension. */
static bool read_table(hid_t file, const char *name, hid_t type, void *values, int64_t rows, int64_t columns)
{
    hsize_t size[2] = {0, 0};
    const int dimensions = columns > 0 ? 2 : 1;
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset),
          creation = H5Dget_create_plist(dataset);
    bool good = H5Pget_layout(creation) == H5D_CONTIGUOUS &&
                H5Sget_simple_extent_ndims(space) == dimensions &&
                H5Sget_simple_extent_dims(space, size, NULL) == dimensions && (int64_t)size[0] == rows &&
                (columns == 0 || (int64_t)size[1] == columns) &&
                (rows == 0 || H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    trm_h5_close(creation);
    trm_h5_close(space);
    trm_h5_close(dataset);
    return good;
}

static bool read_column(hid_t file, const char *name, hid_t type, void *values, int64_t count)
{
    return read_table(file, name, type, values, count, 0);
}

static bool attribute_is(hid_t file, const char *name, hid_t type, const void *value, size_t size)
{
    char got[64] = {0};
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Aread(attribute, type, got) >= 0 && memcmp(got, value, size) == 0;
    trm_h5_close(attribute);
    return good;
}

static bool holds_attributes(hid_t file)
{
    int64_t rows = ANCHORS;
    double margin = 0.25;
    uint8_t one = 1;
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 14);
    H5Tset_strpad(text, H5T_STR_NULLPAD);
    H5Tset_cset(text, H5T_CSET_UTF8);
    const bool good = attribute_is(file, "format", text, "trimine result", 14) &&
                      attribute_is(file, "store_rows", H5T_NATIVE_INT64, &rows, sizeof rows) &&
                      attribute_is(file, "margin", H5T_NATIVE_DOUBLE, &margin, sizeof margin) &&
                      attribute_is(file, "complete", H5T_NATIVE_UINT8, &one, 1);
    trm_h5_close(text);
    return good;
}

/* Triplets of anchor a are [start[a], start[a + 1]), also where it has none. */
static bool holds_starts(hid_t file, bool empty)
{
    int64_t start[ANCHORS + 1], at = 0;
    bool good = read_column(file, "/triplets/anchor_start", H5T_NATIVE_INT64, start, ANCHORS + 1);
    for (int64_t a = 0; a <= ANCHORS && good; a++) {
        good = start[a] == at;
        at += a < ANCHORS && !empty ? triplets_of(a) : 0;
    }
    return good;
}

/* Rank 0: the file holds exactly the generated triplets, in order. */
static bool holds_everything(const char *path, bool empty)
{
    static const char *const ids[] = {"/triplets/anchor", "/triplets/positive", "/triplets/negative",
                                      "/triplets/rank"};
    int64_t total = empty ? 0 : total_triplets();
    int64_t *id[4];
    double *distance[2];
    uint8_t *kind = trm_alloc(total, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool good = file >= 0;
    for (int c = 0; c < 4; c++) {
        id[c] = trm_alloc(total, sizeof(int64_t));
        good = good && read_column(file, ids[c], H5T_NATIVE_INT64, id[c], total);
    }
    for (int c = 0; c < 2; c++)
        distance[c] = trm_alloc(total, sizeof(double));
    good = good && read_column(file, "/triplets/d_ap", H5T_NATIVE_DOUBLE, distance[0], total) &&
           read_column(file, "/triplets/d_an", H5T_NATIVE_DOUBLE, distance[1], total) &&
           read_column(file, "/triplets/kind", H5T_NATIVE_UINT8, kind, total);
    int64_t at = 0;
    for (int64_t a = 0; a < ANCHORS && good && !empty; a++)
        for (int64_t i = 0; i < triplets_of(a) && good; i++, at++) {
            trm_triplet t = triplet_at(a, i);
            good = id[0][at] == a && id[1][at] == t.positive && id[2][at] == t.negative &&
                   id[3][at] == t.rank && distance[0][at] == t.d_ap && distance[1][at] == t.d_an &&
                   kind[at] == t.kind;
        }
    good = good && holds_starts(file, empty) && holds_attributes(file);
    if (file >= 0)
        H5Fclose(file);
    for (int c = 0; c < 4; c++)
        trm_free(id[c]);
    for (int c = 0; c < 2; c++)
        trm_free(distance[c]);
    trm_free(kind);
    return good;
}

/* Whether line `at` of the lists is that of anchor a from its triplet i on: by rank, then -1 and infinity. */
static bool line_is(int64_t *const id[3], double *const distance[2], int64_t at, int64_t a, int64_t i)
{
    const trm_triplet t = triplet_at(a, i);
    const int64_t pair = triplets_of(a) - i < 2 ? 1 : 2;
    bool good = id[0][at] == a && id[1][at] == t.positive && distance[0][at] == t.d_ap;
    for (int64_t slot = 0; slot < LIST && good; slot++) {
        const trm_triplet in_slot = triplet_at(a, slot == 0 ? i + pair - 1 : i);
        good = id[2][at * LIST + slot] == (slot < pair ? in_slot.negative : -1) &&
               distance[1][at * LIST + slot] == (slot < pair ? in_slot.d_an : INFINITY);
    }
    return good;
}

/* Rank 0: the file holds the generated triplets as lists. */
static bool holds_lists(const char *path, bool empty)
{
    const int64_t lines = empty ? 0 : total_lines();
    int64_t *id[3], at = 0;
    double *distance[2];
    for (int c = 0; c < 3; c++)
        id[c] = trm_alloc(lines * LIST, sizeof(int64_t));
    for (int c = 0; c < 2; c++)
        distance[c] = trm_alloc(lines * LIST, sizeof(double));
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool good = file >= 0 && H5Lexists(file, "/triplets", H5P_DEFAULT) == 0 &&
                read_column(file, "/lists/anchor", H5T_NATIVE_INT64, id[0], lines) &&
                read_column(file, "/lists/positive", H5T_NATIVE_INT64, id[1], lines) &&
                read_table(file, "/lists/negative", H5T_NATIVE_INT64, id[2], lines, LIST) &&
                read_column(file, "/lists/d_ap", H5T_NATIVE_DOUBLE, distance[0], lines) &&
                read_table(file, "/lists/d_an", H5T_NATIVE_DOUBLE, distance[1], lines, LIST) &&
                holds_attributes(file);
    for (int64_t a = 0; a < ANCHORS && good && !empty; a++)
        for (int64_t i = 0; i < triplets_of(a) && good; i += 2, at++)
            good = line_is(id, distance, at, a, i);
    if (file >= 0)
        H5Fclose(file);
    for (int c = 0; c < 3; c++)
        trm_free(id[c]);
    for (int c = 0; c < 2; c++)
        trm_free(distance[c]);
    return good;
}

static void triplets_from_any_rank_and_panel_come_back_sorted(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_status status =
        write_result(in_folder("a.h5"), TRM_FORM_TRIPLETS, 1, false, INT64_C(1) << 30, false, &err);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != 0 || holds_everything(in_folder("a.h5"), false)));
    assert_true(everywhere(leftovers() == 0));
}

static void negatives_of_a_pair_are_one_line_of_a_list(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_status status =
        write_result(in_folder("a.h5"), TRM_FORM_LISTS, 1, false, INT64_C(1) << 30, false, &err);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != 0 || holds_lists(in_folder("a.h5"), false)));
    assert_true(everywhere(leftovers() == 0));
}

/* The reference is written by one rank alone, so this holds across the number of ranks too. */
static void write_alone(const char *path, trm_form form)
{
    trm_error err = TRM_ERROR_INIT;
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(MPI_COMM_SELF, "output", path, true, 0, NULL, &claim, &err);
    if (status == TRM_OK)
        status = trm_triplet_file_create(MPI_COMM_SELF, claim, form, LIST, ANCHORS, false, INT64_C(1) << 30,
                                         &file, &err);
    for (int64_t a = 0; a < ANCHORS && status == TRM_OK; a++)
        for (int64_t i = 0; i < triplets_of(a) && status == TRM_OK; i++) {
            trm_triplet *t = trm_alloc(1, sizeof *t);
            *t = triplet_at(a, i);
            status = trm_triplet_file_add(file, &t, 1, &err);
            trm_free(t);
        }
    if (status == TRM_OK)
        status = trm_triplet_file_finish(file, 0, NULL, &names, 4, attributes, &err);
    if (status != TRM_OK)
        fprintf(stderr, "%s\n", err.text);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
}

static void bytes_do_not_depend_on_ranks_panels_spool_or_budget(void **state)
{
    (void)state;
    static const struct {
        bool spool;
        int64_t budget;
    } ways[] = {
        {false, INT64_C(1) << 30}, {true, INT64_C(1) << 30}, {false, 1}, {true, 80000}, {false, 100000}};
    for (trm_form form = 0; form < TRM_FORMS; form++) {
        if (rank == 0)
            write_alone(in_folder("one.h5"), form);
        MPI_Barrier(MPI_COMM_WORLD);
        for (uint64_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
            trm_error err = TRM_ERROR_INIT;
            trm_status status = write_result(in_folder("way.h5"), form, way + 10, ways[way].spool,
                                             ways[way].budget, false, &err);
            assert_true(everywhere(status == TRM_OK));
            assert_true(everywhere(rank != 0 || same_bytes(in_folder("one.h5"), in_folder("way.h5"))));
            assert_true(everywhere(leftovers() == 0));
        }
    }
}

static void names_of_labels_are_texts_of_their_own_length(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    const char *path = in_folder("names.h5");
    assert_true(
        everywhere(write_result(path, TRM_FORM_TRIPLETS, 3, false, INT64_C(1) << 30, true, &err) == TRM_OK));
    bool good = true;
    if (rank == 0) {
        char *text[5] = {NULL};
        struct stat about;
        hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, H5T_VARIABLE);
        H5Tset_cset(type, H5T_CSET_UTF8);
        good = read_column(file, "/label_names", type, text, 5) && text[0][0] == '\0' &&
               strcmp(text[1], "a\\x00b") == 0 && strcmp(text[2], "caf\xc3\xa9") == 0 &&
               strlen(text[3]) == LONG_NAME && strcmp(text[4], "\xff") == 0 && stat(path, &about) == 0 &&
               about.st_size < 2 * LONG_NAME;
        for (int i = 0; i < 5; i++)
            H5free_memory(text[i]);
        H5Tclose(type);
        H5Fclose(file);
    }
    assert_true(everywhere(good));
}

static void no_triplets_make_empty_datasets(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = write_result(in_folder("none.h5"), TRM_FORM_TRIPLETS, 1, true, 1000, true, &err);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != 0 || holds_everything(in_folder("none.h5"), true)));
    status = write_result(in_folder("none.h5"), TRM_FORM_LISTS, 1, true, 1000, true, &err);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != 0 || holds_lists(in_folder("none.h5"), true)));
}

/* Lists of one, and a pair that has the negatives of ranks first to last. */
static bool ranks_fail(int64_t first, int64_t last, const char *words)
{
    trm_error err = TRM_ERROR_INIT;
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    trm_status status =
        trm_claim_take(MPI_COMM_WORLD, "output", in_folder("bad.h5"), false, 0, NULL, &claim, &err);
    if (status == TRM_OK)
        status = trm_triplet_file_create(MPI_COMM_WORLD, claim, TRM_FORM_LISTS, 1, ANCHORS, false, 1000,
                                         &file, &err);
    for (int64_t k = first; k <= last && rank == ranks - 1 && status == TRM_OK; k++) {
        trm_triplet *t = trm_alloc(1, sizeof *t);
        *t = (trm_triplet){5, 0, k, 0.0, 0.0, 0, k};
        status = trm_triplet_file_add(file, &t, 1, &err);
        trm_free(t);
    }
    if (status == TRM_OK)
        status = trm_triplet_file_finish(file, 0, NULL, NULL, 0, NULL, &err);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
    return everywhere(status == TRM_ERR_INTERNAL && strstr(err.text, words) != NULL) &&
           everywhere(leftovers() == 0);
}

static void a_rank_that_is_left_out_or_beyond_the_list_is_refused(void **state)
{
    (void)state;
    assert_true(ranks_fail(1, 2, "bad.h5': negative 2 of anchor 5 and positive 0 has rank 2, not 2 of 1"));
    assert_true(ranks_fail(2, 2, "bad.h5': negative 2 of anchor 5 and positive 0 has rank 2, not 1 of 1"));
}

static void an_anchor_out_of_range_is_refused(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    trm_status status =
        trm_claim_take(MPI_COMM_WORLD, "output", in_folder("bad.h5"), false, 0, NULL, &claim, &err);
    if (status == TRM_OK)
        status = trm_triplet_file_create(MPI_COMM_WORLD, claim, TRM_FORM_TRIPLETS, 1, ANCHORS, false, 1000,
                                         &file, &err);
    assert_true(everywhere(status == TRM_OK));
    trm_triplet out_of_range = {ANCHORS, 0, 1, 0.0, 0.0, 0, 1}, *bad = &out_of_range;
    status = trm_triplet_file_add(file, &bad, 1, &err);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
    assert_true(everywhere(status == TRM_ERR_INTERNAL && file == NULL));
}

static void a_folder_that_is_missing_fails_alike_everywhere(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_status status =
        write_result(in_folder("nowhere/x.h5"), TRM_FORM_TRIPLETS, 1, false, 1000, false, &err);
    assert_true(everywhere(status == TRM_ERR_CREATE && strstr(err.text, "nowhere/x.h5") != NULL));
    trm_error spool_err = TRM_ERROR_INIT;
    status = write_result(in_folder("nowhere/x.h5"), TRM_FORM_TRIPLETS, 1, true, 1000, false, &spool_err);
    assert_true(everywhere(status == TRM_ERR_CREATE));
    assert_true(everywhere(leftovers() == 0));
}

int main(int argc, char **argv)
{
    alarm(1200); /* a hang is a failure */
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    make_names();
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(triplets_from_any_rank_and_panel_come_back_sorted),
        IN_FOLDER(negatives_of_a_pair_are_one_line_of_a_list),
        IN_FOLDER(bytes_do_not_depend_on_ranks_panels_spool_or_budget),
        IN_FOLDER(names_of_labels_are_texts_of_their_own_length),
        IN_FOLDER(no_triplets_make_empty_datasets),
        IN_FOLDER(a_rank_that_is_left_out_or_beyond_the_list_is_refused),
        IN_FOLDER(an_anchor_out_of_range_is_refused),
        IN_FOLDER(a_folder_that_is_missing_fails_alike_everywhere),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
