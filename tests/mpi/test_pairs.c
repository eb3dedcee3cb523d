/* Files of pairs: each kind is read as the same pairs, in shares of any ranks; what is wrong is refused with the place
 * where it is, whole texts compared. */
#include "base/error.h"
#include "par/agree.h"
#include "store/h5.h"
#include "store/npy.h"
#include "store/pair_file.h"
#include "support/random_store.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- making files, on rank 0 alone ---- */

enum { QUERIES = 60, ROWS = 100 };

static int64_t query_at(int64_t i)
{
    return i * 7 % QUERIES;
}

static int64_t positive_at(int64_t i)
{
    return (i * 13 + 5) % ROWS;
}

static void put_bytes(const char *name, const void *bytes, size_t count)
{
    if (rank == 0) {
        FILE *file = fopen(in_folder(name), "wb");
        if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void put_text(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

/* Pads the header as numpy does, unless it is too long; values follow. */
static size_t npy_bytes(char *to, int version, const char *header, const void *values, size_t count)
{
    const size_t start = version == 1 ? 10 : 12;
    size_t length = strlen(header);
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (char)version;
    to[7] = 0;
    memcpy(to + start, header, length);
    while ((start + length + 1) % 64 != 0)
        to[start + length++] = ' ';
    to[start + length++] = '\n';
    for (size_t i = 0; i < start - 8; i++)
        to[8 + i] = (char)(length >> 8 * i & 255);
    if (count > 0)
        memcpy(to + start + length, values, count);
    return start + length + count;
}

static void put_npy(const char *name, int version, const char *header, const void *values, size_t count)
{
    char *bytes = malloc(count + 8192);
    if (bytes == NULL)
        abort();
    put_bytes(name, bytes, npy_bytes(bytes, version, header, values, count));
    free(bytes);
}

static void put_column(hid_t file, const char *name, hid_t type, int dimensions, const hsize_t *size,
                       const int64_t *values, bool chunked)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked) {
        const hsize_t chunk[2] = {3, 1};
        H5Pset_chunk(creation, dimensions, chunk);
        H5Pset_deflate(creation, 4);
    }
    hid_t space = H5Screate_simple(dimensions, size, NULL);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (values != NULL && H5Sget_simple_extent_npoints(space) > 0)
        H5Dwrite(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(creation);
}

static void put_h5(const char *name, hid_t type, int64_t count, const int64_t *query, const int64_t *positive,
                   bool chunked)
{
    if (rank == 0) {
        const hsize_t size = (hsize_t)count;
        hid_t file = H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        put_column(file, "query", type, 1, &size, query, chunked);
        put_column(file, "positive", type, 1, &size, positive, chunked);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- reading ---- */

/* Are these all the usual pairs, so many? */
static bool reads(const char *name, int64_t count)
{
    trm_pairs pairs;
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = trm_pairs_read(MPI_COMM_WORLD, in_folder(name), QUERIES, ROWS, &pairs, &err);
    int64_t before = 0, all = 0;
    MPI_Exscan(&pairs.count, &before, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(&pairs.count, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    before = rank == 0 ? 0 : before;
    bool good = status == TRM_OK && pairs.total == count && all == count && pairs.first == before;
    for (int64_t i = 0; i < pairs.count && good; i++)
        good =
            pairs.query[i] == query_at(pairs.first + i) && pairs.positive[i] == positive_at(pairs.first + i);
    if (!good)
        fprintf(stderr, "rank %d: %s: %" PRId64 " of %" PRId64 " from %" PRId64 ": %s\n", rank, name,
                pairs.count, pairs.total, pairs.first, err.text);
    trm_pairs_free(&pairs);
    return everywhere(good);
}

static bool refused_at(const char *name, int64_t queries, int64_t rows, trm_status expected,
                       const char *words)
{
    trm_pairs pairs;
    char whole[TRM_ERROR_TEXT];
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = trm_pairs_read(MPI_COMM_WORLD, in_folder(name), queries, rows, &pairs, &err);
    snprintf(whole, sizeof whole, "pairs file '%s': %s", in_folder(name), words);
    const bool good = status == expected && err.status == expected && strcmp(err.text, whole) == 0 &&
                      pairs.count == 0 && pairs.query == NULL && pairs.positive == NULL;
    if (!good && rank == 0)
        fprintf(stderr, "status %d, '%s'; expected %d, '%s'\n", (int)status, err.text, (int)expected, whole);
    trm_pairs_free(&pairs);
    return everywhere(good);
}

static bool refused(const char *name, const char *words)
{
    return refused_at(name, QUERIES, ROWS, TRM_ERR_DATA, words);
}

static const int64_t counts[] = {0, 1, 2, 3, 7, 40, 5000};
enum { MOST = 5000 };

/* ---- text ---- */

/* Lines in all ways that are allowed, mixed by chance. */
static void put_lines(const char *name, int64_t count, uint64_t seed)
{
    static const char *const begin[] = {"", " ", "\t "}, *const between[] = {" ",   ",",   "\t",
                                                                             " , ", "   ", ", "};
    static const char *const end[] = {"\n", "\r\n", " \n", "\t\r\n"};
    static const char *const none[] = {
        "\n", "# query positive\n", " \t\n", "\r\n", "  # 1 2 3\r\n", "#\n", "#1,,2\n"};
    if (rank == 0) {
        test_random random = {seed};
        FILE *file = fopen(in_folder(name), "wb");
        fputs(seed % 3 == 1 ? "\xef\xbb\xbf" : "", file);
        for (int64_t i = 0; i < count; i++) {
            while (test_random_below(&random, 3) == 0)
                fputs(none[test_random_below(&random, 7)], file);
            fprintf(file, "%s%s%" PRId64 "%s%" PRId64 "%s", begin[test_random_below(&random, 3)],
                    test_random_below(&random, 5) == 0 ? "000" : "", query_at(i),
                    between[test_random_below(&random, 6)], positive_at(i),
                    i + 1 < count || seed % 2 == 0 ? end[test_random_below(&random, 4)] : "");
        }
        fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void text_is_read_however_it_is_laid_out(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            put_lines("p.txt", counts[c], seed);
            assert_true(reads("p.txt", counts[c]));
        }
}

static void a_text_without_pairs_is_an_empty_list(void **state)
{
    (void)state;
    static const char *const texts[] = {"",          "\n",     "\n\r\n\t",    "# nothing",
                                        "# a\n#b\n", "      ", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_text("p", texts[i]);
        assert_true(reads("p", 0));
    }
}

#define NOT_ONE "' is not a row id, which are whole numbers from 0 on"
#define OF_IDS "; python3 -m trimine.qrels makes row ids of your own ids"
#define NO_ID NOT_ONE OF_IDS
#define HEADING NOT_ONE "; a heading must begin with '#'" OF_IDS
#define JUDGEMENT " (python3 -m trimine.qrels reads judgements)"
#define A_PAIR ": a pair is two numbers, query and positive"

/* Longer than what is read at a time. */
static void long_lines_are_read(void **state)
{
    (void)state;
    enum { LONG = 200000 };
    char *text = malloc(2 * LONG + 100);
    if (text == NULL)
        abort();
    memset(text, '#', LONG);
    memset(text + LONG, ' ', LONG);
    text[LONG] = '\n';
    sprintf(text + 2 * LONG, "%d,%d\n", (int)query_at(0), (int)positive_at(0));
    put_text("p", text);
    assert_true(reads("p", 1));
    memset(text, '7', LONG);
    put_text("p", text);
    assert_true(refused("p", "line 1: '7777777777777777777777777777777..." NO_ID));
    memset(text, '0', LONG);
    put_text("p", text);
    assert_true(refused("p", "line 1: '0000000000000000000000000000000..." NO_ID));
    free(text);
}

static void lines_that_are_no_pairs_are_refused_by_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"1 2\nx 3\n", "line 2: 'x" NO_ID},
        {"query,positive\n1,2\n", "line 1: 'query" HEADING},
        {"1 2\n\n# a\n1.5 2\n", "line 4: '1.5" NO_ID},
        {"1 2\r\n\r\n-1 2\r\n", "line 3: '-1" NO_ID},
        {"1 +2", "line 1: '+2" NO_ID},
        {"1 0x2", "line 1: '0x2" NO_ID},
        {"1e3 2", "line 1: '1e3" NO_ID},
        {"1;2", "line 1: '1;2" NO_ID},
        {"1 2 # the first", "line 1: '#" NO_ID},
        {"1 9223372036854775808", "line 1: '9223372036854775808" NO_ID},
        {"\xef\xbb\xbf"
         "query,positive\n",
         "line 1: 'query" HEADING},
        {"1 2\n\xef\xbb\xbf"
         "3 4\n",
         "line 2: '\\xef\\xbb\\xbf3" NO_ID},
        {"\xef\xbb\n1 2\n", "line 1: '\\xef\\xbb" NO_ID},
        {"1 \33[31m2\n", "line 1: '\\x1b[31m2" NO_ID},
        {"1 2 3\n", "line 1: has a third number" JUDGEMENT A_PAIR},
        {"1 2\n3 4\n5 6,7\n", "line 3: has a third number" JUDGEMENT A_PAIR},
        {"1 2\r3 4\r", "line 1: has a third number" JUDGEMENT A_PAIR},
        {"1 2\n3\n", "line 2: has one number" A_PAIR},
        {"1 2\n3", "line 2: has one number" A_PAIR},
        {"3,\n1 2\n", "line 1: has one number" A_PAIR},
        {"1,,2\n", "line 1: has a comma with no number at its side" A_PAIR},
        {"1 2\n1 , , 2\n", "line 2: has a comma with no number at its side" A_PAIR},
        {",1 2\n", "line 1: has a comma with no number at its side" A_PAIR},
        {"1,2,\n", "line 1: has a comma with no number at its side" A_PAIR},
        {"1,2\n,\n", "line 2: has a comma with no number at its side" A_PAIR},
        {"1 2\n\n60 3\n", "line 3: query 60 is out of range: there are 60 queries, counted from 0" OF_IDS},
        {"1 2\n3 100\n60 1\n",
         "line 2: positive 100 is out of range: the store has 100 rows, counted from 0" OF_IDS},
        {"60 100", "line 1: query 60 is out of range: there are 60 queries, counted from 0" OF_IDS},
        {"1 9223372036854775807", "line 1: positive 9223372036854775807 is out of range: the store has 100 "
                                  "rows, counted from 0" OF_IDS},
        {"x\n60 3\n", "line 1: 'x" HEADING},
        {"60 3\nx\n", "line 1: query 60 is out of range: there are 60 queries, counted from 0" OF_IDS},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("P.txt", bad[i].text);
        assert_true(refused("P.txt", bad[i].words));
    }
    put_bytes("P.txt", "1 2\n3 4\0\n", 9);
    assert_true(refused("P.txt", "line 2: '4?" NO_ID));
    put_bytes("P.txt", "\0\0\0\0", 4);
    assert_true(refused("P.txt", "line 1: '????" NO_ID));
    put_text("P.txt", "0 0");
    assert_true(refused_at("P.txt", 0, 1, TRM_ERR_DATA,
                           "line 1: query 0 is out of range: there are 0 queries, counted from 0" OF_IDS));
    assert_true(
        refused_at("P.txt", 1, 0, TRM_ERR_DATA,
                   "line 1: positive 0 is out of range: the store has 0 rows, counted from 0" OF_IDS));
    put_text("P.txt", "0 1");
    assert_true(refused_at("P.txt", 1, 1, TRM_ERR_DATA,
                           "line 1: positive 1 is out of range: the store has 1 row, counted from 0" OF_IDS));
    assert_true(refused_at("P.txt", 0, 1, TRM_ERR_DATA,
                           "line 1: query 0 is out of range: there are 0 queries, counted from 0" OF_IDS));
    put_text("P.txt", "1 0");
    assert_true(refused_at("P.txt", 1, 1, TRM_ERR_DATA,
                           "line 1: query 1 is out of range: there is 1 query, counted from 0" OF_IDS));
}

/* Whichever rank has it. */
static void the_first_bad_line_of_a_long_text_is_named(void **state)
{
    (void)state;
    enum { LINES = 3000, BAD = 4 };
    char words[256];
    for (uint64_t seed = 0; seed < 25; seed++) {
        test_random random = {seed};
        int64_t bad[BAD], first = LINES;
        for (int b = 0; b < BAD; b++) {
            bad[b] = test_random_below(&random, LINES);
            first = bad[b] < first ? bad[b] : first;
        }
        if (rank == 0) {
            FILE *file = fopen(in_folder("p"), "wb");
            for (int64_t i = 0; i < LINES; i++) {
                bool is_bad = false;
                for (int b = 0; b < BAD; b++)
                    is_bad = is_bad || bad[b] == i;
                const int64_t how = test_random_below(&random, 5);
                if (is_bad)
                    fprintf(file, "3 10%04" PRId64 "\r\n", i);
                else if (how == 0)
                    fprintf(file, "%s",
                            i % 2 == 0 ? "\n" : "# a comment of some length, which moves the cuts\n");
                else
                    fprintf(file, "%" PRId64 " %" PRId64 "\n", query_at(i), positive_at(i));
            }
            fclose(file);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        snprintf(words, sizeof words,
                 "line %" PRId64 ": positive 10%04" PRId64
                 " is out of range: the store has 100 rows, counted from 0" OF_IDS,
                 first + 1, first);
        assert_true(refused("p", words));
    }
}

/* ---- HDF5 ---- */

static void hdf5_is_read_of_any_integers(void **state)
{
    (void)state;
    int64_t *query = malloc(MOST * sizeof *query), *positive = malloc(MOST * sizeof *positive);
    if (query == NULL || positive == NULL)
        abort();
    hid_t odd = H5Tcopy(H5T_STD_U32BE);
    H5Tset_size(odd, 3);
    const hid_t types[] = {H5T_STD_I64LE, H5T_STD_I8LE,  H5T_STD_U8LE, H5T_STD_I16BE,
                           H5T_STD_U32BE, H5T_STD_U64LE, odd};
    for (int64_t i = 0; i < MOST; i++) {
        query[i] = query_at(i);
        positive[i] = positive_at(i);
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            put_h5("p.npy", types[t], counts[c], query, positive, counts[c] >= 3 && t % 2 == 0);
            assert_true(reads("p.npy", counts[c]));
        }
    for (int64_t i = 0; i < MOST; i += 499) {
        char words[160];
        query[i] = -1;
        put_h5("p.h5", H5T_STD_I16LE, MOST, query, positive, false);
        snprintf(words, sizeof words,
                 "pair %" PRId64 ": query -1 is out of range: there are 60 queries, counted from 0", i);
        assert_true(refused("p.h5", words));
        query[i] = query_at(i);
        positive[i] = -3; /* a large uint64 */
        query[MOST - 1] = i == MOST - 1 ? query[i] : -1;
        put_h5("p.h5", H5T_NATIVE_INT64, MOST, query, positive, false);
        snprintf(words, sizeof words,
                 "pair %" PRId64 ": positive -3 is out of range: the store has 100 rows, counted from 0", i);
        assert_true(refused("p.h5", words));
        query[MOST - 1] = query_at(MOST - 1);
        positive[i] = positive_at(i);
    }
    H5Tclose(odd);
    free(query);
    free(positive);
}

/* The file's order counts, not that of the datasets. */
static void large_unsigned_numbers_are_out_of_range(void **state)
{
    (void)state;
    if (rank == 0) {
        const hsize_t size = 3;
        const uint64_t query[] = {1, 2, UINT64_MAX}, positive[] = {5, UINT64_C(1) << 63, 5};
        hid_t file = H5Fcreate(in_folder("p.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        hid_t space = H5Screate_simple(1, &size, NULL);
        for (int c = 0; c < 2; c++) {
            hid_t dataset = H5Dcreate2(file, c == 0 ? "query" : "positive", H5T_STD_U64BE, space, H5P_DEFAULT,
                                       H5P_DEFAULT, H5P_DEFAULT);
            H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, c == 0 ? query : positive);
            H5Dclose(dataset);
        }
        H5Sclose(space);
        H5Fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(refused(
        "p.h5",
        "pair 1: positive 9223372036854775808 is out of range: the store has 100 rows, counted from 0"));
    const uint64_t pairs[] = {1, 5, 2, 5, UINT64_MAX, UINT64_MAX};
    put_npy("p.npy", 1, "{'descr': '<u8', 'fortran_order': False, 'shape': (3, 2), }", pairs, sizeof pairs);
    assert_true(refused(
        "p.npy", "pair 2: query 18446744073709551615 is out of range: there are 60 queries, counted from 0"));
}

static void hdf5_of_another_sort_is_refused(void **state)
{
    (void)state;
    static const hsize_t four[2] = {4, 3}, five[1] = {5};
    const struct {
        hid_t type;
        const hsize_t *size;
        int dimensions;
        const char *name, *words;
    } bad[] = {
        {H5T_STD_I64LE, four, 1, "positives",
         "no dataset '/positive'; the file has: /positives (4), /query (4)"},
        {H5T_STD_I64LE, five, 1, "positive", "dataset '/positive' has 5 rows, '/query' has 4"},
        {H5T_IEEE_F32LE, four, 1, "positive", "dataset '/positive' (4) holds float32, needs integers"},
        {H5T_C_S1, four, 1, "positive",
         "dataset '/positive' (4) holds strings of 1 byte, needs integers; python3 -m trimine.qrels makes "
         "row "
         "ids of your own ids"},
        {H5T_STD_I64LE, four, 2, "positive", "dataset '/positive' (int64) is 4 x 3, needs one value a row"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (rank == 0) {
            hid_t file = H5Fcreate(in_folder("p.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            put_column(file, "query", H5T_STD_I32LE, 1, four, NULL, false);
            put_column(file, bad[i].name, bad[i].type, bad[i].dimensions, bad[i].size, NULL, false);
            H5Fclose(file);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(refused("p.h5", bad[i].words));
    }
    put_bytes("p.h5", "\x89HDF\r\n\x1a\n\0\0\0\0", 12);
    assert_true(refused("p.h5", "truncated HDF5 file: it ends within its first bytes"));
    put_text("p.h5", "\x89HDF\n\x1a\n");
    assert_true(refused("p.h5",
                        "neither HDF5 nor a NumPy array (.npy) nor text but an HDF5 file whose first bytes "
                        "were changed, as a transfer in text mode does"));
    put_text("p.h5", "\x1f\x8b\x08more");
    assert_true(refused("p.h5", "neither HDF5 nor a NumPy array (.npy) nor text but a gzip file"));
}

/* ---- .npy ---- */

/* A value in so many bytes. */
static void put_value(unsigned char *to, int64_t value, int size, bool big)
{
    for (int b = 0; b < size; b++)
        to[big ? size - 1 - b : b] = (unsigned char)((uint64_t)value >> 8 * b);
}

static void npy_is_read_of_any_integers(void **state)
{
    (void)state;
    static const char *const types[] = {"<i8", ">i8", "<u8", ">u8", "<i4", ">i4", "<u4", ">u4",
                                        "<i2", ">i2", "<u2", ">u2", "|i1", "|u1", "<i1", ">u1"};
    static unsigned char values[MOST * 2 * 8];
    char header[100];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            const int size = types[t][2] - '0';
            for (int64_t i = 0; i < counts[c]; i++) {
                put_value(values + 2 * i * size, query_at(i), size, types[t][0] == '>');
                put_value(values + (2 * i + 1) * size, positive_at(i), size, types[t][0] == '>');
            }
            snprintf(header, sizeof header,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRId64 ", 2), }", types[t],
                     counts[c]);
            put_npy("p", 1 + (int)(t + c) % 3, header, values, (size_t)(2 * counts[c] * size));
            assert_true(reads("p", counts[c]));
        }
}

static void headers_as_others_write_them_are_read(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2)}",
        "{\"shape\":(1,2,),\"fortran_order\":False,\"descr\":\"<i8\",}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1L, 2L), }",
        " { 'shape' : ( 1 , 2 ) , 'descr' : '<i8' , 'fortran_order' : False } ",
        "{'descr': '<i8', 'fortran_order': True, 'shape': (1, 2), }", /* one pair: all orders are one */
    };
    const int64_t pair[] = {query_at(0), positive_at(0)};
    unsigned char bytes[16];
    put_value(bytes, pair[0], 8, false);
    put_value(bytes + 8, pair[1], 8, false);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        put_npy("p", 1, headers[i], bytes, sizeof bytes);
        assert_true(reads("p", 1));
    }
}

#define HEADER(type, order, shape) "{'descr': " type ", 'fortran_order': " order ", 'shape': " shape ", }"
#define CANT "the .npy header can't be used: "

static void arrays_of_another_sort_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        const char *words;
    } bad[] = {
        {HEADER("'<f8'", "False", "(3, 2)"), 48, "the .npy array holds '<f8', needs integers ('<i8')"},
        {HEADER("'|b1'", "False", "(3, 2)"), 6, "the .npy array holds '|b1', needs integers ('<i8')"},
        {HEADER("'<U3'", "False", "(3, 2)"), 72,
         "the .npy array holds '<U3', needs integers ('<i8'); python3 -m trimine.qrels makes row ids of your "
         "own ids"},
        {HEADER("'<M8[ns]'", "False", "(3, 2)"), 48,
         "the .npy array holds '<M8[ns]', needs integers ('<i8')"},
        {HEADER("'<i3'", "False", "(3, 2)"), 18, "the .npy array holds '<i3', needs integers ('<i8')"},
        {HEADER("'<i8'", "False", "(6,)"), 48,
         "the .npy array has shape (6,), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "False", "()"), 8,
         "the .npy array has shape (), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "False", "(2, 3)"), 48,
         "the .npy array has shape (2, 3), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "False", "(3, 1, 2)"), 48,
         "the .npy array has shape (3, 1, 2), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "False", "(0,)"), 0,
         "the .npy array has shape (0,), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "True", "(3, 2)"), 48,
         "the .npy array is in Fortran order: save numpy.ascontiguousarray of it"},
        {HEADER("'|O'", "False", "(3, 2)"), 80,
         CANT "its values are Python objects (a pickle), needs plain numbers"},
        {HEADER("[('q', '<i8'), ('p', '<i8')]", "False", "(3,)"), 48,
         CANT "its values are structures, needs plain numbers"},
        {HEADER("'<i8'", "False", "(3, 2)"), 47,
         "truncated .npy file: its array needs 48 bytes, 47 are there: copy it again, or its writer has not "
         "finished"},
        {HEADER("'<i8'", "False", "(3, 2)"), 0,
         "truncated .npy file: its array needs 48 bytes, 0 are there: copy it again, or its writer has not "
         "finished"},
        {HEADER("'<i8'", "False", "(3, 2)"), 56,
         "has 8 bytes behind the array of the .npy file: one array a file"},
        {HEADER("'<i8'", "False", "(4611686018427387904, 2)"), 48, CANT "'shape' is larger than any file"},
        {HEADER("'<i8'", "False", "(9223372036854775808, 2)"), 48,
         CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "(0, 9223372036854775807)"), 0,
         "the .npy array has shape (0, 9223372036854775807), needs (P, 2): columns query and positive"},
        {HEADER("'<i8'", "False", "(-3, 2)"), 48, CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "[3, 2]"), 48, CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "(3 2)"), 48, CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "(3)"), 48, CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), 8,
         CANT "'shape' has more dimensions than NumPy allows"},
        {HEADER("'<i8'", "0", "(3, 2)"), 48, CANT "'fortran_order' is not True or False"},
        {HEADER("'i8'", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("'|i8'", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("'<i'", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("'<i0'", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("'<i8x'", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("''", "False", "(3, 2)"), 48, CANT "'descr' is a type that is not known"},
        {HEADER("'<i8\\n'", "False", "(3, 2)"), 48, CANT "'descr' is no name of a type"},
        {HEADER("'<i8                    '", "False", "(3, 2)"), 48, CANT "'descr' is no name of a type"},
        {HEADER("8", "False", "(3, 2)"), 48, CANT "'descr' is no name of a type"},
        {"{'descr': '<i8', 'fortran_order': False}", 48,
         CANT "it lacks one of 'descr', 'fortran_order' and 'shape'"},
        {"{}", 48, CANT "it lacks one of 'descr', 'fortran_order' and 'shape'"},
        {"{'descr': '<i8', 'descr': '<i4', 'fortran_order': False, 'shape': (3, 2)}", 48,
         CANT "it has a key twice"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), 'more': 1}", 48,
         CANT "it has a key that is not known"},
        {"{'descr' '<i8'}", 48, CANT "it is no dictionary"},
        {"{'descr': '<i8' 'fortran_order': False}", 48, CANT "it is no dictionary"},
        {"{'descr': '<i8'", 48, CANT "it is no dictionary"},
        {"{'descr", 48, CANT "it is no dictionary"},
        {"", 48, CANT "it is no dictionary"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2", 48,
         CANT "'shape' is no tuple of whole numbers"},
        {HEADER("'<i8'", "False", "(3, 2)") " x", 48, CANT "it goes on behind its dictionary"},
        {HEADER("'<i8'", "False", "(3, 2)") "{}", 48, CANT "it goes on behind its dictionary"},
    };
    static const char zeros[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_npy("p.npy", 1 + (int)i % 3, bad[i].header, zeros, bad[i].bytes);
        assert_true(refused("p.npy", bad[i].words));
    }
}

static void broken_headers_are_refused(void **state)
{
    (void)state;
    char bytes[8192] = {0}, long_header[6000];
    static const struct {
        const char *bytes;
        size_t count;
        const char *words;
    } bad[] = {
        {"\x93NUMPY", 6, "truncated .npy file: it ends within its header"},
        {"\x93NUMPY\1\0v", 9, "truncated .npy file: it ends within its header"},
        {"\x93NUMPY\1\0v\0{'descr'", 19, "truncated .npy file: it ends within its header"},
        {"\x93NUMPY\3\0\xff\xff\xff\xff{'descr'", 21, "truncated .npy file: it ends within its header"},
        {"\x93NUMPY\4\0v\0{'descr'", 19, "is a .npy file of version 4.0, needs 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\1\1v\0{'descr'", 19, "is a .npy file of version 1.1, needs 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\0\0v\0{'descr'", 19, "is a .npy file of version 0.0, needs 1.0, 2.0 or 3.0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_bytes("p.npy", bad[i].bytes, bad[i].count);
        assert_true(refused("p.npy", bad[i].words));
    }
    memset(long_header, ' ', sizeof long_header);
    long_header[5000] = '\0';
    const size_t count = npy_bytes(bytes, 2, long_header, NULL, 0);
    put_bytes("p.npy", bytes, count);
    assert_true(refused("p.npy", "the .npy header has 5044 bytes, one of plain numbers at most 4096"));
}

/* ---- any file ---- */

static void what_is_no_file_is_told_as_other_inputs_are(void **state)
{
    (void)state;
    if (rank == 0 && (mkfifo(in_folder("pipe"), 0600) != 0 || mkdir(in_folder("sub"), 0700) != 0 ||
                      symlink("nowhere", in_folder("link")) != 0))
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(refused_at("none", 1, 1, TRM_ERR_NO_INPUT, "No such file"));
    assert_true(refused_at("pipe", 1, 1, TRM_ERR_NO_INPUT, "is a pipe, needs a file"));
    assert_true(refused_at("sub", 1, 1, TRM_ERR_NO_INPUT, "is a folder, needs a file"));
    assert_true(
        refused_at("link", 1, 1, TRM_ERR_NO_INPUT, "is a link to 'nowhere', and no such file is there"));
    put_text("closed", "1 2\n");
    if (rank == 0)
        chmod(in_folder("closed"), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    if (geteuid() != 0) /* who may do everything */
        assert_true(refused_at("closed", 1, 1, TRM_ERR_PERMISSION, "Permission denied"));
}

static int fails_at, allocations;

/* The linker puts this before the library's only allocator (tests/CMakeLists.txt). */
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    const bool fails = fails_at > 0 && ++allocations == fails_at;
    return fails ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

static void a_rank_without_memory_is_agreed_on(void **state)
{
    (void)state;
    static const char *const files[] = {"p.txt", "p.npy", "p.h5"};
    static int64_t pairs[2 * MOST], query[MOST], positive[MOST];
    unsigned char *bytes = (unsigned char *)pairs;
    char header[100];
    for (int64_t i = 0; i < MOST; i++) {
        query[i] = query_at(i);
        positive[i] = positive_at(i);
        put_value(bytes + 16 * i, query[i], 8, false);
        put_value(bytes + 16 * i + 8, positive[i], 8, false);
    }
    snprintf(header, sizeof header, "{'descr': '<i8', 'fortran_order': False, 'shape': (%d, 2), }", MOST);
    put_lines("p.txt", MOST, 2);
    put_npy("p.npy", 1, header, bytes, sizeof pairs);
    put_h5("p.h5", H5T_NATIVE_INT64, MOST, query, positive, false);
    for (int f = 0; f < 3; f++)
        for (int where = 0; where < ranks; where++) {
            trm_status status = TRM_ERR_MEMORY;
            int n = 1;
            for (; status == TRM_ERR_MEMORY; n++) {
                trm_pairs read;
                trm_error err = TRM_ERROR_INIT;
                allocations = 0;
                fails_at = rank == where ? n : 0;
                status = trm_pairs_read(MPI_COMM_WORLD, in_folder(files[f]), QUERIES, ROWS, &read, &err);
                fails_at = 0;
                const bool good = status == TRM_OK ? read.total == MOST
                                                   : status == TRM_ERR_MEMORY && read.query == NULL &&
                                                         strncmp(err.text, "out of memory: ", 15) == 0;
                trm_pairs_free(&read);
                assert_true(everywhere(good));
            }
            assert_true(n > 3);
        }
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(text_is_read_however_it_is_laid_out),
        IN_FOLDER(a_text_without_pairs_is_an_empty_list),
        IN_FOLDER(long_lines_are_read),
        IN_FOLDER(lines_that_are_no_pairs_are_refused_by_their_number),
        IN_FOLDER(the_first_bad_line_of_a_long_text_is_named),
        IN_FOLDER(hdf5_is_read_of_any_integers),
        IN_FOLDER(large_unsigned_numbers_are_out_of_range),
        IN_FOLDER(hdf5_of_another_sort_is_refused),
        IN_FOLDER(npy_is_read_of_any_integers),
        IN_FOLDER(headers_as_others_write_them_are_read),
        IN_FOLDER(arrays_of_another_sort_are_refused),
        IN_FOLDER(broken_headers_are_refused),
        IN_FOLDER(what_is_no_file_is_told_as_other_inputs_are),
        IN_FOLDER(a_rank_without_memory_is_agreed_on),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
