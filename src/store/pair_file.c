/* Reading pairs; see pair_file.h. */
#include "store/pair_inner.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/first_bytes.h"
#include "store/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char kind[] = "pairs file";
static const char *const names[TRM_PAIR_COLUMNS] = {"/query", "/positive"};

typedef enum pair_kind { KIND_HDF5, KIND_NPY, KIND_TEXT } pair_kind;

/* What rank 0 finds; travels as bytes. */
typedef struct survey {
    pair_kind kind;
    int64_t bytes, pairs; /* of the file; of text: not known */
    trm_element element[TRM_PAIR_COLUMNS];
    trm_npy array;
} survey;

trm_status trm_pair_check(const trm_named_file *about, const trm_pair_bounds *bounds, int column,
                          int64_t value, bool is_unsigned, const char *place, int64_t number, trm_error *err)
{
    enum { VALUE = 24, THERE = 64 };
    char shown[VALUE], there[THERE];
    const int64_t rows = bounds->rows[column];
    if (value >= 0 && value < rows)
        return TRM_OK;
    if (is_unsigned)
        snprintf(shown, sizeof shown, "%" PRIu64, (uint64_t)value);
    else
        snprintf(shown, sizeof shown, "%" PRId64, value);
    if (column == TRM_PAIR_QUERY)
        snprintf(there, sizeof there, "there %s %" PRId64 " %s, counted from 0", rows == 1 ? "is" : "are",
                 rows, rows == 1 ? "query" : "queries");
    else
        snprintf(there, sizeof there, "the store has %" PRId64 " row%s, counted from 0", rows,
                 rows == 1 ? "" : "s");
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s %" PRId64 ": %s %s is out of range: %s%s", about->kind,
                    about->path, place, number, names[column] + 1, shown, there,
                    value >= 0 ? "; " TRM_PAIR_OF_IDS : "");
}

trm_status trm_pairs_reserve(trm_pairs *pairs, int64_t count, trm_error *err)
{
    int64_t **const column[] = {&pairs->query, &pairs->positive};
    for (int c = 0; c < TRM_PAIR_COLUMNS; c++) {
        int64_t *larger = trm_grown(*column[c], pairs->count, count, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of pairs", count, sizeof *larger);
        *column[c] = larger;
    }
    return TRM_OK;
}

void trm_pairs_free(trm_pairs *pairs)
{
    trm_free(pairs->query);
    trm_free(pairs->positive);
    *pairs = (trm_pairs){0};
}

/* ---- looking: rank 0 ---- */

static trm_status inspect_h5(const trm_named_file *about, trm_sources *sources, survey *found, trm_error *err)
{
    hid_t file = -1;
    hsize_t rows[TRM_PAIR_COLUMNS] = {0, 0};
    trm_status status = trm_inspect_open(about, &file, err);
    for (int c = 0; c < TRM_PAIR_COLUMNS && status == TRM_OK; c++) {
        status = trm_inspect_named(about, sources, file, names[c], 1, TRM_WANT_INTEGERS, &found->element[c],
                                   &rows[c], err);
        if (status == TRM_ERR_DATA && trm_element_names(&found->element[c])) {
            const size_t used = strlen(err->text);
            snprintf(err->text + used, sizeof err->text - used, "; " TRM_PAIR_OF_IDS);
        }
    }
    if (file >= 0)
        H5Fclose(file);
    if (status == TRM_OK && rows[TRM_PAIR_QUERY] != rows[TRM_PAIR_POSITIVE])
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' has %" PRId64 " rows, '%s' has %" PRId64,
                        about->kind, about->path, names[TRM_PAIR_POSITIVE], (int64_t)rows[TRM_PAIR_POSITIVE],
                        names[TRM_PAIR_QUERY], (int64_t)rows[TRM_PAIR_QUERY]);
    found->pairs = (int64_t)rows[TRM_PAIR_QUERY];
    return status;
}

static trm_status inspect_npy(const trm_named_file *about, int file, survey *found, trm_error *err)
{
    trm_status status = trm_pair_npy_look(about, file, found->bytes, &found->array, &found->element[0], err);
    found->element[1] = found->element[0];
    found->pairs = found->array.dimension[0];
    return status;
}

/* Tells the kind by the first bytes of the open file, and looks into it. */
static trm_status inspect_kind(const trm_named_file *about, int file, trm_sources *sources, survey *found,
                               trm_error *err)
{
    char head[TRM_NPY_MAGIC];
    const int64_t have = found->bytes < TRM_NPY_MAGIC ? found->bytes : TRM_NPY_MAGIC;
    trm_status status = trm_plain_read(file, (trm_plain_name){about->kind, about->path}, head, have, 0, err);
    if (status != TRM_OK)
        return status;
    if (trm_superblock_look(file, found->bytes).found) {
        found->kind = KIND_HDF5;
        return inspect_h5(about, sources, found, err);
    }
    if (trm_npy_recognize(head, have)) {
        found->kind = KIND_NPY;
        return inspect_npy(about, file, found, err);
    }
    found->kind = KIND_TEXT;
    const char *other = trm_first_bytes_known(file, found->bytes);
    if (other == NULL)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': neither HDF5 nor a NumPy array (.npy) nor text but %s",
                    about->kind, about->path, other);
}

static trm_status inspect(const trm_named_file *about, trm_sources *sources, survey *found, trm_error *err)
{
    int file = -1;
    trm_status status = trm_sources_add_input(sources, about, err);
    if (status == TRM_OK)
        status = trm_inspect_regular(about, &file, &found->bytes, err);
    if (status == TRM_OK)
        status = inspect_kind(about, file, sources, found, err);
    if (file >= 0)
        close(file);
    return status;
}

/* ---- reading ---- */

static trm_status read_h5(MPI_Comm comm, const trm_named_file *about, const survey *found, trm_pairs *pairs,
                          trm_error *err)
{
    int64_t bytes = 0, *const into[] = {pairs->query, pairs->positive};
    trm_column column[TRM_PAIR_COLUMNS];
    for (int c = 0; c < TRM_PAIR_COLUMNS; c++) {
        column[c] = (trm_column){.name = names[c],
                                 .rank = 1,
                                 .element = &found->element[c],
                                 .items = 1,
                                 .width = 1,
                                 .integers = into[c],
                                 .wraps = true};
        const int64_t need = trm_column_bytes(&column[c], pairs->count);
        bytes = need > bytes ? need : bytes;
    }
    trm_reader in = {.comm = comm, .kind = kind, .err = err};
    trm_status status = trm_reader_begin(&in, bytes);
    if (status == TRM_OK)
        status = trm_reader_read(&in, about->path, TRM_PAIR_COLUMNS, column, pairs->first, pairs->count);
    trm_reader_end(&in);
    return status;
}

static trm_status check_all(const trm_named_file *about, const survey *found, const trm_pair_bounds *bounds,
                            const trm_pairs *pairs, trm_error *err)
{
    const int64_t *const column[] = {pairs->query, pairs->positive};
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < pairs->count && status == TRM_OK; i++)
        for (int c = 0; c < TRM_PAIR_COLUMNS && status == TRM_OK; c++)
            status = trm_pair_check(about, bounds, c, column[c][i],
                                    found->element[c].class == TRM_ELEMENT_UNSIGNED, "pair", pairs->first + i,
                                    err);
    return status;
}

/* Pairs that are numbered: of HDF5 and .npy. */
static trm_status read_numbered(MPI_Comm comm, const trm_named_file *about, const survey *found,
                                const trm_pair_bounds *bounds, trm_pairs *pairs, trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t last = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(found->pairs, rank, ranks, &pairs->first, &last);
    trm_status status = trm_agree(comm, trm_pairs_reserve(pairs, last - pairs->first, err), err);
    pairs->total = found->pairs;
    pairs->count = last - pairs->first;
    if (status == TRM_OK)
        status =
            found->kind == KIND_HDF5
                ? read_h5(comm, about, found, pairs, err)
                : trm_agree(comm, trm_pair_npy_read(about, &found->array, &found->element[0], pairs, err),
                            err);
    return status == TRM_OK ? trm_agree(comm, check_all(about, found, bounds, pairs, err), err) : status;
}

trm_status trm_pairs_read(MPI_Comm comm, const char *path, int64_t queries, int64_t store_rows,
                          trm_pairs *pairs, trm_error *err)
{
    const trm_named_file about = {kind, path};
    const trm_pair_bounds bounds = {{queries, store_rows}};
    trm_error own = TRM_ERROR_INIT;
    survey found;
    err = err == NULL ? &own : err;
    memset(&found, 0, sizeof found);
    *pairs = (trm_pairs){0};
    trm_h5_handler handler = trm_h5_silence();
    trm_sources sources = TRM_SOURCES_INIT; /* rank 0's */
    trm_status status =
        trm_agree(comm, trm_rank_of(comm) == 0 ? inspect(&about, &sources, &found, err) : TRM_OK, err);
    if (status == TRM_OK) {
        MPI_Bcast(&found, (int)sizeof found, MPI_BYTE, 0, comm);
        status = found.kind == KIND_TEXT ? trm_pair_text_read(comm, &about, found.bytes, &bounds, pairs, err)
                                         : read_numbered(comm, &about, &found, &bounds, pairs, err);
    }
    if (status == TRM_OK)
        status = trm_agree(comm, trm_sources_check_unchanged(&sources, kind, err), err);
    trm_sources_free(&sources);
    if (status != TRM_OK)
        trm_pairs_free(pairs);
    trm_h5_restore(handler);
    return status;
}
