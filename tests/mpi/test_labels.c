/* Labels, ids and embeddings of every sort that h5py writes: what is sound is read as the same rows on any
 * number of ranks, what is not is refused by name. */
#include "base/alloc.h"
#include "par/exchange.h"
#include "store/h5.h"
#include "store/labels.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- making files, on rank 0 alone ---- */

enum { ROWS = 37, DIM = 3, CLASSES = 5 };

/* As given, and where they are in the order of their bytes. */
static const char *const name_of[CLASSES] = {"dog", "ant", "yak 2", "Ant", "Owl"};
static const int64_t place_of[CLASSES] = {3, 2, 4, 0, 1};

static int64_t class_of(int64_t row)
{
    return row * 3 % CLASSES;
}

static float value_at(int64_t row, int64_t column)
{
    return (float)(row * 7 % 31 * 4 + column + 1) / 2.0F; /* exact in bfloat16 */
}

typedef struct shape {
    int rank;
    hsize_t size[4];
} shape;

static const shape plain = {1, {ROWS}}, matrix = {2, {ROWS, DIM}};

static void put(hid_t file, const char *name, hid_t stored, hid_t memory, shape of, const void *data,
                bool chunked)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(of.rank, of.size, NULL);
    hsize_t chunk[4];
    for (int d = 0; d < of.rank; d++)
        chunk[d] = of.size[d] > 3 ? of.size[d] / 3 : of.size[d];
    if (chunked) {
        H5Pset_chunk(creation, of.rank, chunk);
        H5Pset_deflate(creation, 3);
    }
    hid_t dataset = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset < 0 || (data != NULL && H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        MPI_Abort(MPI_COMM_WORLD, 1);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(creation);
}

static void put_embeddings(hid_t file, int64_t first, int64_t rows)
{
    float *x = trm_alloc(rows * DIM, sizeof *x);
    for (int64_t i = 0; i < rows * DIM; i++)
        x[i] = value_at(first + i / DIM, i % DIM);
    put(file, "embeddings", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, (shape){2, {(hsize_t)rows, DIM}}, x, false);
    trm_free(x);
}

/* A float with these fields; HDF5 wants the bits before the size, where that shrinks. */
static hid_t float_type(size_t bytes, size_t exponent, size_t mantissa, size_t bias, H5T_order_t order)
{
    hid_t type = H5Tcopy(H5T_IEEE_F64LE);
    H5Tset_fields(type, exponent + mantissa, mantissa, exponent, 0, mantissa);
    H5Tset_precision(type, 1 + exponent + mantissa);
    H5Tset_size(type, bytes);
    H5Tset_ebias(type, bias);
    H5Tset_order(type, order);
    return type;
}

static hid_t enum_type(hid_t base, const char *const *names, int count)
{
    hid_t type = H5Tenum_create(base), native = H5T_NATIVE_INT64;
    for (int64_t i = 0; i < count; i++) {
        int64_t value = i;
        H5Tconvert(native, base, 1, &value, NULL, H5P_DEFAULT);
        H5Tenum_insert(type, names[i], &value);
    }
    return type;
}

static hid_t text_type(size_t size, H5T_str_t ending, H5T_cset_t set)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    H5Tset_strpad(type, ending);
    H5Tset_cset(type, set);
    return type;
}

typedef enum sort { NUMBERS, ENUM, BOOLS, FIXED, SPACES, VARIABLE } sort;

/* Labels of the class of rows from first on, stored as the type. */
static void put_labels(hid_t file, sort as, hid_t type, shape of, int64_t first, bool chunked)
{
    int64_t number[ROWS];
    int8_t small[ROWS];
    const char *text[ROWS];
    char fixed[ROWS][8];
    int64_t rows = 1;
    for (int d = 0; d < of.rank; d++)
        rows *= (int64_t)of.size[d];
    for (int64_t i = 0; i < rows; i++) {
        number[i] = class_of(first + i);
        small[i] = (int8_t)(as == BOOLS ? number[i] % 2 : number[i]);
        text[i] = name_of[number[i]];
        memset(fixed[i], as == SPACES ? ' ' : '\0', sizeof fixed[i]);
        memcpy(fixed[i], text[i], strlen(text[i]));
    }
    if (as == NUMBERS)
        put(file, "labels", type, H5T_NATIVE_INT64, of, number, chunked);
    else if (as == VARIABLE)
        put(file, "labels", type, type, of, text, chunked);
    else if (as == FIXED || as == SPACES)
        put(file, "labels", type, type, of, fixed, chunked);
    else {
        hid_t base = H5Tget_super(type);
        H5Tconvert(H5T_NATIVE_INT8, base, 1, small, NULL, H5P_DEFAULT); /* bases of one byte, */
        if (H5Tget_size(base) > 1) {                                    /* or as int64 */
            H5Tconvert(H5T_NATIVE_INT64, base, (size_t)rows, number, NULL, H5P_DEFAULT);
            put(file, "labels", type, type, of, number, chunked);
        } else
            put(file, "labels", type, type, of, small, chunked);
        H5Tclose(base);
    }
}

/* A new file with embeddings of ROWS rows; negative on other ranks. */
static hid_t begin(const char *path)
{
    if (rank != 0)
        return -1;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_embeddings(file, 0, ROWS);
    return file;
}

static void end(hid_t file)
{
    if (file >= 0)
        H5Fclose(file);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- reading ---- */

typedef struct part {
    int64_t first, count;
    float *rows;
    int64_t *labels, *ids;
    trm_store *store; /* open */
} part;

static trm_status load(int count, const char *const *paths, const trm_store_options *options, part *p,
                       trm_error *err)
{
    memset(p, 0, sizeof *p);
    trm_status status = trm_store_open(MPI_COMM_WORLD, count, paths, options, &p->store, err);
    if (status != TRM_OK)
        return status;
    int64_t last = 0;
    trm_share(trm_store_rows(p->store), rank, ranks, &p->first, &last);
    p->count = last - p->first;
    p->rows = trm_alloc(p->count * trm_store_dim(p->store), sizeof *p->rows);
    p->labels = trm_alloc(p->count, sizeof *p->labels);
    p->ids = trm_alloc(p->count, sizeof *p->ids);
    return trm_store_read(p->store, p->first, p->count, NULL, p->rows, p->labels, p->ids, err);
}

static void release(part *p)
{
    trm_store_close(&p->store);
    trm_free(p->rows);
    trm_free(p->labels);
    trm_free(p->ids);
}

static bool has_usual_rows(const part *p)
{
    if (trm_store_dim(p->store) != DIM)
        return false;
    for (int64_t i = 0; i < p->count * DIM; i++)
        if (p->rows[i] != value_at(p->first + i / DIM, i % DIM))
            return false;
    return true;
}

/* Reads as the usual rows, with labels that are the class, the class's place, or the class modulo 2. */
static bool reads_as(int count, const char *const *paths, sort as)
{
    part p;
    trm_error err = TRM_ERROR_INIT;
    bool good = load(count, paths, NULL, &p, &err) == TRM_OK && has_usual_rows(&p);
    for (int64_t i = 0; i < p.count && good; i++) {
        const int64_t class = class_of(p.first + i);
        good = p.labels[i] == (as == NUMBERS ? class : as == BOOLS ? class % 2 : place_of[class]);
    }
    const bool named = as != NUMBERS;
    const int64_t names = as == NUMBERS ? 0 : as == BOOLS ? 2 : CLASSES;
    good = good && (trm_store_label_kind(p.store) == TRM_LABELS_NAMED) == named &&
           trm_store_label_names(p.store) == names;
    for (int i = 0; i < CLASSES && good && as != NUMBERS && as != BOOLS; i++)
        good = strcmp(trm_store_label_name(p.store, place_of[i], NULL), name_of[i]) == 0;
    if (!good)
        fprintf(stderr, "rank %d: %s\n", rank, err.text);
    release(&p);
    return everywhere(good);
}

static bool fails(int count, const char *const *paths, const char *words)
{
    part p;
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = load(count, paths, NULL, &p, &err);
    const bool good = status == TRM_ERR_DATA && strstr(err.text, words) != NULL;
    if (!good)
        fprintf(stderr, "status %d, '%s'; expected '%s'\n", (int)status, err.text, words);
    release(&p);
    return everywhere(good);
}

/* ---- labels ---- */

static const char *const bools[] = {"FALSE", "TRUE"};

static void labels_of_every_sort_become_the_same_numbers(void **state)
{
    (void)state;
    hid_t narrow = H5Tcopy(H5T_STD_I32LE);
    H5Tset_precision(narrow, 24);
    const struct {
        sort as;
        hid_t type;
    } types[] = {
        {NUMBERS, H5T_STD_I8LE},
        {NUMBERS, H5T_STD_U64BE},
        {NUMBERS, narrow},
        {NUMBERS, float_type(2, 5, 10, 15, H5T_ORDER_LE)},
        {NUMBERS, float_type(2, 8, 7, 127, H5T_ORDER_BE)},
        {NUMBERS, float_type(1, 4, 3, 7, H5T_ORDER_LE)},
        {NUMBERS, H5T_IEEE_F32BE},
        {NUMBERS, H5T_IEEE_F64LE},
        {NUMBERS, H5T_NATIVE_LDOUBLE},
        {BOOLS, enum_type(H5T_STD_I8LE, bools, 2)},
        {ENUM, enum_type(H5T_STD_U8LE, name_of, CLASSES)},
        {ENUM, enum_type(H5T_STD_I64BE, name_of, CLASSES)},
        {FIXED, text_type(8, H5T_STR_NULLPAD, H5T_CSET_ASCII)},
        {FIXED, text_type(8, H5T_STR_NULLTERM, H5T_CSET_UTF8)},
        {SPACES, text_type(8, H5T_STR_SPACEPAD, H5T_CSET_ASCII)},
        {VARIABLE, text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_ASCII)},
        {VARIABLE, text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8)},
    };
    static const shape shapes[] = {{1, {ROWS}}, {2, {ROWS, 1}}, {2, {1, ROWS}}, {4, {1, ROWS, 1, 1}}};
    const char *path = in_folder("l.h5");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (size_t k = 0; k < 5; k++) {
            hid_t file = begin(path);
            if (rank == 0)
                put_labels(file, types[i].as, types[i].type, shapes[k % 4], 0, k >= 3);
            end(file);
            if (!reads_as(1, &path, types[i].as)) {
                fprintf(stderr, "type %zu, shape %zu\n", i, k);
                fail();
            }
        }
}

static void names_are_numbered_over_all_files(void **state)
{
    (void)state;
    const struct {
        sort as;
        hid_t type;
        int64_t rows;
    } parts[] = {{ENUM, enum_type(H5T_STD_I8LE, name_of, CLASSES), 1},
                 {FIXED, text_type(8, H5T_STR_NULLPAD, H5T_CSET_UTF8), 20},
                 {VARIABLE, text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8), 16}};
    const char *paths[3] = {in_folder("a.h5"), in_folder("b.h5"), in_folder("c.h5")};
    int64_t first = 0;
    for (int i = 0; i < 3; i++) {
        if (rank == 0) {
            hid_t file = H5Fcreate(paths[i], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            put_embeddings(file, first, parts[i].rows);
            put_labels(file, parts[i].as, parts[i].type, (shape){1, {(hsize_t)parts[i].rows}}, first, false);
            H5Fclose(file);
        }
        first += parts[i].rows;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(reads_as(3, paths, FIXED));
}

/* 150,000 texts of any length are more than one piece; 30,000 names are spread over all ranks. */
static void many_names_are_read_in_pieces(void **state)
{
    (void)state;
    enum { MANY = 150000, NAMES = 30000 };
    const char *path = in_folder("many.h5");
    if (ranks > 3)
        return; /* nothing new there */
    if (rank == 0) {
        char **text = trm_alloc(MANY, sizeof *text);
        char *space = trm_alloc(MANY, 12);
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        for (int64_t i = 0; i < MANY; i++) {
            text[i] = space + 12 * i;
            snprintf(text[i], 12, "n%05d", (int)(i * 7919 % NAMES));
        }
        hid_t type = text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8);
        put_embeddings(file, 0, MANY);
        put(file, "labels", type, type, (shape){1, {MANY}}, text, true);
        H5Fclose(file);
        trm_free(text);
        trm_free(space);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    part p;
    trm_error err = TRM_ERROR_INIT;
    bool good = load(1, &path, NULL, &p, &err) == TRM_OK && trm_store_label_names(p.store) == NAMES;
    for (int64_t i = 0; i < p.count && good; i++)
        good = p.labels[i] == (p.first + i) * 7919 % NAMES;
    release(&p);
    assert_true(everywhere(good));
}

static void labels_that_are_no_whole_numbers_name_the_first_row(void **state)
{
    (void)state;
    static const struct {
        double odd;
        const char *words;
    } bad[] = {{0.5, "dataset '/labels' row 20 has the value 0.5, which is no whole number"},
               {NAN, "row 20 has the value nan, which is no whole number"},
               {-INFINITY, "row 20 has the value -inf, which is no whole number"},
               {0x1p53 + 2.0, "row 20 has the value 9007199254740994, beyond 2^53"},
               {-1e300, "row 20 has the value -1e300, beyond 2^53"}};
    const char *path = in_folder("f.h5");
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        double labels[ROWS] = {0.0};
        labels[20] = labels[30] = bad[k].odd;
        hid_t file = begin(path);
        if (rank == 0)
            put(file, "labels", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, plain, labels, false);
        end(file);
        assert_true(fails(1, &path, bad[k].words));
    }
}

static void labels_of_another_sort_are_refused_with_what_they_are(void **state)
{
    (void)state;
    static int64_t wide[ROWS * DIM], hot[ROWS * DIM];
    static float shares[ROWS * DIM];
    static int8_t hot_bools[ROWS * DIM], large_bools[ROWS];
    const char *path = in_folder("o.h5");
    hid_t pair = H5Tcreate(H5T_COMPOUND, 16), list = H5Tvlen_create(H5T_STD_I32LE);
    H5Tinsert(pair, "id", 0, H5T_STD_I64LE);
    H5Tinsert(pair, "name", 8, H5T_STD_I64LE);
    for (int i = 0; i < ROWS * DIM; i++) {
        wide[i] = i % 7;
        hot[i] = hot_bools[i] = i % DIM == i / DIM % DIM;
    }
    large_bools[31] = 7;
    hid_t truth = enum_type(H5T_STD_I8LE, bools, 2);
    const struct {
        hid_t type;
        shape of;
        const void *data;
        const char *words;
    } bad[] = {
        {H5T_STD_I64LE, matrix, wide,
         "dataset '/labels' (int64) is 37 x 3, needs one value a row: write one column"},
        {H5T_STD_I64LE, matrix, hot,
         "dataset '/labels' (int64) is 37 x 3, needs one value a row: it looks one-hot; write its argmax"},
        {H5T_IEEE_F32LE, matrix, shares,
         "is 37 x 3, needs one value a row: write its argmax(axis=1) if these"},
        {truth, matrix, hot_bools, "is 37 x 3, needs one value a row: it looks one-hot"},
        {truth, plain, large_bools,
         "dataset '/labels' row 31 has the value 7, for which its enum has no name"},
        {pair, plain, NULL, "dataset '/labels' (37) holds compound values (id, name), needs whole numbers"},
        {list, plain, NULL, "dataset '/labels' (37) holds variable-length lists of int32, needs"},
        {H5T_STD_REF_OBJ, plain, NULL, "dataset '/labels' (37) holds references, needs"},
        {H5T_STD_B8LE, plain, NULL, "dataset '/labels' (37) holds bit fields of 8 bits, needs"},
        {H5T_STD_I64LE, {1, {ROWS - 1}}, wide, "dataset '/labels' has 36 rows, '/embeddings' has 37"},
        {H5T_STD_I64LE,
         {1, {DIM}},
         wide,
         "dataset '/embeddings' is 37 x 3, '/labels' has 3 rows: it looks transposed; write it as 3 x 37"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        hid_t file = begin(path);
        if (rank == 0)
            put(file, "labels", bad[k].type, bad[k].type, bad[k].of, bad[k].data, false);
        end(file);
        assert_true(fails(1, &path, bad[k].words));
    }
}

static void large_unsigned_labels_stay_apart(void **state)
{
    (void)state;
    const char *paths[2] = {in_folder("u.h5"), in_folder("v.h5")};
    uint64_t large[ROWS];
    int64_t small[ROWS];
    for (int64_t i = 0; i < ROWS; i++) {
        large[i] = UINT64_MAX - (uint64_t)class_of(i);
        small[i] = class_of(i);
    }
    for (int negative = 0; negative < 2; negative++) {
        small[11] = negative ? -1 : 1;
        for (int k = 0; k < 2; k++) {
            hid_t file = begin(paths[k]);
            if (rank == 0)
                put(file, "labels", k == 0 ? H5T_STD_U64LE : H5T_STD_I16LE,
                    k == 0 ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, plain, k == 0 ? (void *)large : small,
                    false);
            end(file);
        }
        if (negative) {
            assert_true(
                fails(2, paths, "u.h5': dataset '/labels' row 0 has a label over 2^63 - 1, and store '"));
            assert_true(fails(2, paths, "v.h5': dataset '/labels' row 11 a negative one"));
            continue;
        }
        part p;
        trm_error err = TRM_ERROR_INIT;
        char text[TRM_LABEL_TEXT];
        bool good =
            load(2, paths, NULL, &p, &err) == TRM_OK && trm_store_label_kind(p.store) == TRM_LABELS_UNSIGNED;
        for (int64_t i = 0; i < p.count && good; i++) {
            const int64_t row = p.first + i;
            good = (uint64_t)p.labels[i] == (row < ROWS ? large[row] : (uint64_t)small[row - ROWS]);
        }
        good =
            good && strcmp(trm_labels_text(trm_store_labels(p.store), -1, text), "18446744073709551615") == 0;
        release(&p);
        assert_true(everywhere(good));
    }
}

static void named_and_numbered_files_are_no_store(void **state)
{
    (void)state;
    const char *paths[2] = {in_folder("n.h5"), in_folder("w.h5")};
    hid_t file = begin(paths[0]);
    if (rank == 0)
        put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
    end(file);
    file = begin(paths[1]);
    if (rank == 0)
        put_labels(file, VARIABLE, text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8), plain, 0, false);
    end(file);
    assert_true(fails(2, paths, "w.h5': labels '/labels' are names (strings), those of '"));
    assert_true(fails(2, paths, "n.h5' are numbers (int64)"));
}

static void words_of_a_command_line_are_labels(void **state)
{
    (void)state;
    trm_labels named = {TRM_LABELS_NAMED, TRM_NAMES_INIT}, numbers = {TRM_LABELS_SIGNED, TRM_NAMES_INIT},
               large = {TRM_LABELS_UNSIGNED, TRM_NAMES_INIT};
    assert_int_equal(trm_names_add(&named.names, "7", 1, NULL), TRM_OK);
    assert_int_equal(trm_names_add(&named.names, "\x1b[2J", 4, NULL), TRM_OK);
    const struct {
        const trm_labels *labels;
        const char *word;
        trm_status status;
        bool known;
        int64_t label;
    } words[] = {{&named, "7", TRM_OK, true, 0},
                 {&named, "8", TRM_OK, false, -1},
                 {&numbers, "-1", TRM_OK, true, -1},
                 {&numbers, "9223372036854775808", TRM_OK, false, INT64_MIN},
                 {&numbers, "cat", TRM_ERR_USAGE, true, 0},
                 {&numbers, "1.5", TRM_ERR_USAGE, true, 0},
                 {&numbers, "", TRM_ERR_USAGE, true, 0},
                 {&numbers, "99999999999999999999", TRM_ERR_USAGE, true, 0},
                 {&large, "18446744073709551615", TRM_OK, true, -1},
                 {&large, "-1", TRM_OK, false, -1}};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        int64_t label = 0;
        bool known = false;
        const trm_status status = trm_labels_parse(words[k].labels, words[k].word, &label, &known, NULL);
        assert_int_equal(status, words[k].status);
        if (status == TRM_OK) {
            assert_true(known == words[k].known);
            assert_true(!known || label == words[k].label);
        }
    }
    char text[TRM_LABEL_TEXT];
    assert_string_equal(trm_labels_text(&named, 1, text), "'\\x1b[2J'");
    trm_labels_free(&named);
}

/* ---- ids ---- */

static void ids_are_used_or_left_aside_with_a_reason(void **state)
{
    (void)state;
    static int64_t ids[ROWS + 1];
    static float floats[ROWS];
    const char *path = in_folder("i.h5");
    hid_t uuid = H5Tcreate(H5T_OPAQUE, 16);
    const struct {
        hid_t type;
        shape of;
        const void *data;
        const char *reason; /* NULL: used */
    } sorts[] = {
        {H5T_STD_I16BE, plain, ids, NULL},
        {H5T_STD_U64LE, {2, {ROWS, 1}}, ids, NULL},
        {enum_type(H5T_STD_I8LE, name_of, CLASSES), plain, NULL, "(37) holds enum of int8"},
        {uuid, plain, NULL, "(37) holds opaque values of 16 bytes, needs integers or strings"},
        {H5T_IEEE_F32LE, plain, floats, "(37) holds float32, needs integers or strings"},
        {H5T_STD_I64LE, {1, {ROWS + 1}}, ids, "has 38 rows, '/embeddings' has 37"},
        {H5T_STD_I64LE, {2, {2, 18}}, ids, "(int64) is 2 x 18, needs one value a row"},
    };
    for (int64_t i = 0; i < ROWS; i++)
        ids[i] = 100 + i;
    for (size_t k = 0; k < sizeof sorts / sizeof *sorts; k++) {
        const bool number = sorts[k].data == ids;
        hid_t file = begin(path);
        if (rank == 0) {
            put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
            put(file, "ids", sorts[k].type, number ? H5T_NATIVE_INT64 : sorts[k].type, sorts[k].of,
                sorts[k].data, false);
        }
        end(file);
        part p;
        trm_error err = TRM_ERROR_INIT;
        bool good = load(1, &path, NULL, &p, &err) == TRM_OK && has_usual_rows(&p);
        const char *reason = good ? trm_store_file_at(p.store, 0)->ids_left_aside : NULL;
        for (int64_t i = 0; i < p.count && good; i++)
            good = p.ids[i] == (sorts[k].reason == NULL ? 100 : 0) + p.first + i;
        good = good && (reason == NULL) == (sorts[k].reason == NULL) &&
               (reason == NULL || strstr(reason, sorts[k].reason) != NULL);
        if (!good)
            fprintf(stderr, "ids %zu: %s, %s\n", k, err.text, reason == NULL ? "" : reason);
        release(&p);
        assert_true(everywhere(good));
    }
    const char *pair[2] = {path, in_folder("j.h5")};
    hid_t file = begin(pair[1]);
    if (rank == 0)
        put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
    end(file);
    part p;
    trm_error err = TRM_ERROR_INIT;
    bool good = load(2, pair, NULL, &p, &err) == TRM_OK;
    for (int64_t i = 0; i < p.count && good; i++)
        good = p.ids[i] == p.first + i;
    release(&p);
    assert_true(everywhere(good));
    trm_store_options given;
    trm_store_options_init(&given);
    given.ids = "nowhere";
    good = load(1, &path, &given, &p, &err) == TRM_ERR_DATA && strstr(err.text, "'nowhere'") != NULL;
    release(&p);
    assert_true(everywhere(good));
}

/* Strings of one length and of any, in pieces and not: what is read is what they are, row by row. */
static bool ids_read_as(const char *path, hid_t type, bool chunked)
{
    char fixed[ROWS][8];
    const char *text[ROWS];
    hid_t file = begin(path);
    memset(fixed, 0, sizeof fixed);
    for (int64_t i = 0; i < ROWS; i++) {
        text[i] = name_of[class_of(i)];
        memcpy(fixed[i], text[i], strlen(text[i]));
    }
    if (rank == 0) {
        put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
        put(file, "ids", type, type, plain, H5Tis_variable_str(type) > 0 ? (const void *)text : fixed,
            chunked);
    }
    end(file);
    part p;
    trm_names names = TRM_NAMES_INIT;
    bool good = load(1, &path, NULL, &p, NULL) == TRM_OK && trm_store_ids(p.store, false) == TRM_IDS_NAMES &&
                trm_store_read_names(p.store, p.first, p.count, &names, NULL) == TRM_OK &&
                names.count == p.count;
    for (int64_t i = 0; i < p.count && good; i++)
        good = strcmp(trm_names_get(&names, i, NULL), text[p.first + i]) == 0 && p.ids[i] == p.first + i;
    trm_names_free(&names);
    release(&p);
    return everywhere(good);
}

static void ids_may_be_strings(void **state)
{
    (void)state;
    static const int64_t number[ROWS];
    const char *path = in_folder("n.h5");
    const hid_t types[] = {text_type(8, H5T_STR_NULLPAD, H5T_CSET_UTF8),
                           text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8)};
    for (int k = 0; k < 4; k++)
        assert_true(ids_read_as(path, types[k / 2], k % 2 == 1));
    const char *pair[2] = {path, in_folder("m.h5")};
    hid_t file = begin(pair[1]);
    if (rank == 0) {
        put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
        put(file, "ids", H5T_STD_I64LE, H5T_NATIVE_INT64, plain, number, false);
    }
    end(file);
    part p;
    const bool good = load(2, pair, NULL, &p, NULL) == TRM_OK &&
                      trm_store_ids(p.store, false) == TRM_IDS_NONE &&
                      strstr(trm_store_file_at(p.store, 1)->ids_left_aside, "strings in others") != NULL;
    release(&p);
    assert_true(everywhere(good));
}

/* ---- embeddings ---- */

static void embeddings_of_every_layout_read_the_same_rows(void **state)
{
    (void)state;
    static const shape shapes[] = {
        {2, {ROWS, DIM}}, {3, {ROWS, 1, DIM}}, {4, {ROWS, DIM, 1, 1}}, {3, {1, ROWS, DIM}}};
    static float x[ROWS * DIM];
    static uint16_t brain[ROWS * DIM];
    for (int i = 0; i < ROWS * DIM; i++) {
        uint32_t bits;
        x[i] = value_at(i / DIM, i % DIM);
        memcpy(&bits, &x[i], sizeof bits);
        brain[i] = (uint16_t)(bits >> 16);
    }
    const hid_t types[] = {H5T_IEEE_F32LE, float_type(2, 8, 7, 127, H5T_ORDER_LE),
                           float_type(2, 8, 7, 127, H5T_ORDER_BE), H5T_NATIVE_LDOUBLE,
                           H5Tcreate(H5T_OPAQUE, 2)};
    static const char *const names[] = {"float32", "bfloat16", "bfloat16-be", "float128 (e15m64)",
                                        "bfloat16"};
    const char *path = in_folder("e.h5");
    for (size_t k = 0; k < 20; k++) {
        const size_t t = k % 5;
        if (rank == 0) {
            hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            put(file, "embeddings", types[t], t == 4 ? types[t] : H5T_NATIVE_FLOAT, shapes[k / 5],
                t == 4 ? (void *)brain : x, k % 2 == 1);
            put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
            H5Fclose(file);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        part p;
        trm_error err = TRM_ERROR_INIT;
        bool good = load(1, &path, NULL, &p, &err) == TRM_OK && has_usual_rows(&p) &&
                    strcmp(trm_store_file_at(p.store, 0)->embeddings_type, names[t]) == 0;
        if (!good)
            fprintf(stderr, "layout %zu: %s\n", k, err.text);
        release(&p);
        assert_true(everywhere(good));
    }
}

static void embeddings_of_another_sort_are_refused_with_what_they_are(void **state)
{
    (void)state;
    const char *path = in_folder("x.h5");
    hid_t complex = H5Tcreate(H5T_COMPOUND, 8), tagged = H5Tcreate(H5T_OPAQUE, 2);
    H5Tinsert(complex, "r", 0, H5T_IEEE_F32LE);
    H5Tinsert(complex, "i", 4, H5T_IEEE_F32LE);
    H5Tset_tag(tagged, "NUMPY:<M8");
    const hsize_t three = DIM;
    const struct {
        hid_t type;
        shape of;
        const char *words;
    } bad[] = {
        {complex, matrix,
         "'/embeddings' (37 x 3) holds compound values (r, i), complex numbers, needs floats"},
        {text_type(4, H5T_STR_NULLPAD, H5T_CSET_ASCII), matrix, "(37 x 3) holds strings of 4 bytes, needs"},
        {H5Tcreate(H5T_OPAQUE, 1), matrix, "holds opaque values of 1 byte, needs"},
        {tagged, matrix, "holds opaque values of 2 bytes tagged NUMPY:<M8, needs"},
        {enum_type(H5T_STD_I8LE, bools, 2), matrix, "holds enum of int8 (FALSE, TRUE), needs"},
        {H5Tarray_create2(H5T_IEEE_F32LE, 1, &three), plain, "(37) holds arrays of float32, needs"},
        {H5T_IEEE_F32LE, {3, {ROWS, 2, 2}}, "(float32) is 37 x 2 x 2, needs rows x columns"},
        {H5T_IEEE_F32LE, plain, "(float32) is 37, needs rows x columns"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        if (rank == 0) {
            hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            put(file, "embeddings", bad[k].type, bad[k].type, bad[k].of, NULL, false);
            put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
            H5Fclose(file);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(fails(1, &path, bad[k].words));
    }
}

static void a_file_given_twice_is_known_through_links(void **state)
{
    (void)state;
    const char *paths[3] = {in_folder("1.h5"), in_folder("2.h5"), in_folder("3.h5")};
    for (int i = 0; i < 2; i++) {
        hid_t file = begin(paths[i]);
        if (rank == 0)
            put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
        end(file);
    }
    if (rank == 0 && symlink("2.h5", paths[2]) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    part p;
    trm_error err = TRM_ERROR_INIT;
    bool good = load(3, paths, NULL, &p, &err) == TRM_OK && trm_store_file_at(p.store, 0)->same_as == -1 &&
                trm_store_file_at(p.store, 1)->same_as == -1 && trm_store_file_at(p.store, 2)->same_as == 1;
    release(&p);
    assert_true(everywhere(good));
}

/* Nothing of it is there twice. */
static void a_file_without_rows_may_be_given_twice(void **state)
{
    (void)state;
    const char *paths[3] = {in_folder("1.h5"), in_folder("2.h5"), in_folder("1.h5")};
    hid_t file = begin(paths[1]);
    if (rank == 0)
        put_labels(file, NUMBERS, H5T_STD_I64LE, plain, 0, false);
    end(file);
    if (rank == 0) {
        const shape none = {2, {0, 1}};
        file = H5Fcreate(paths[0], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put(file, "embeddings", H5T_IEEE_F32LE, H5T_IEEE_F32LE, none, NULL, false);
        put(file, "labels", H5T_STD_I64LE, H5T_STD_I64LE, none, NULL, false);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    part p;
    trm_error err = TRM_ERROR_INIT;
    bool good = load(3, paths, NULL, &p, &err) == TRM_OK && trm_store_rows(p.store) == ROWS &&
                trm_store_file_at(p.store, 2)->same_as == -1;
    release(&p);
    assert_true(everywhere(good));
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(labels_of_every_sort_become_the_same_numbers),
        IN_FOLDER(names_are_numbered_over_all_files),
        IN_FOLDER(many_names_are_read_in_pieces),
        IN_FOLDER(labels_that_are_no_whole_numbers_name_the_first_row),
        IN_FOLDER(labels_of_another_sort_are_refused_with_what_they_are),
        IN_FOLDER(large_unsigned_labels_stay_apart),
        IN_FOLDER(named_and_numbered_files_are_no_store),
        cmocka_unit_test(words_of_a_command_line_are_labels),
        IN_FOLDER(ids_are_used_or_left_aside_with_a_reason),
        IN_FOLDER(ids_may_be_strings),
        IN_FOLDER(embeddings_of_every_layout_read_the_same_rows),
        IN_FOLDER(embeddings_of_another_sort_are_refused_with_what_they_are),
        IN_FOLDER(a_file_given_twice_is_known_through_links),
        IN_FOLDER(a_file_without_rows_may_be_given_twice),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
