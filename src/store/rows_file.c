/* Results by row id; see rows_file.h.
 *
 * Ranks share out the row ids. Rows travel in rounds of a few MiB to the ranks that have their ids, which sort them and
 * write consecutive ones at once. */
#include "store/rows_file.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of rows that all ranks send in a round, which may all go to one of them; but no less than so much a rank, and at least one
 * row. */
static const int64_t round_bytes = INT64_C(1) << 22, least_bytes = INT64_C(1) << 16;

struct trm_rows_file {
    MPI_Comm comm;
    int rank, ranks;
    int64_t rows;
    int columns;
    trm_rows_column column[TRM_ROWS_COLUMNS];
    int64_t row_bytes[TRM_ROWS_COLUMNS]; /* of a column's row */
    int64_t item_bytes;                  /* of an id with all columns' rows, as it travels */
    trm_output_place place[TRM_ROWS_COLUMNS];
    trm_output out;
    int64_t written; /* rows, by this rank */
};

static int64_t value_bytes(trm_array_type type)
{
    return type == TRM_ARRAY_UINT8 ? 1 : type == TRM_ARRAY_FLOAT32 ? 4 : 8;
}

static int64_t width_of(const trm_rows_column *column)
{
    return column->width > 0 ? column->width : 1;
}

/* Every row begins at a multiple of 8. */
static int64_t padded(int64_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static int64_t item_bytes_of(int columns, const trm_rows_column *column)
{
    int64_t bytes = (int64_t)sizeof(int64_t);
    for (int c = 0; c < columns; c++)
        bytes += padded(width_of(&column[c]) * value_bytes(column[c].type));
    return bytes;
}

/* Rows that a rank sends in a round. */
static int64_t round_of(int64_t item_bytes, int ranks)
{
    const int64_t share = round_bytes / ranks, bytes = share > least_bytes ? share : least_bytes;
    return item_bytes < bytes ? bytes / item_bytes : 1;
}

int64_t trm_rows_file_bytes(int columns, const trm_rows_column *column, int64_t rows, int64_t at_once,
                            int ranks)
{
    const int64_t item = item_bytes_of(columns, column), most = round_of(item, ranks),
                  round = most < at_once ? most : at_once, all = round > rows / ranks ? rows : round * ranks;
    return item * ((round < rows ? round : rows) + 2 * all); /* sent, received by one of all, written */
}

static trm_output_array array_of(const trm_rows_file *file, int c)
{
    const trm_rows_column *column = &file->column[c];
    return (trm_output_array){.name = column->name,
                              .rank = column->width > 0 ? 2 : 1,
                              .size = {file->rows, column->width},
                              .type = column->type};
}

static trm_status make_datasets(trm_rows_file *file, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int c = 0; c < file->columns && status == TRM_OK; c++) {
        const trm_output_array array = array_of(file, c);
        status = trm_output_array_make(&file->out, &array, &file->place[c], err);
    }
    return status;
}

static int64_t all_bytes(const trm_rows_file *file)
{
    trm_output_array array[TRM_ROWS_COLUMNS];
    for (int c = 0; c < file->columns; c++)
        array[c] = array_of(file, c);
    return trm_output_arrays_bytes(file->columns, array);
}

trm_status trm_rows_file_create(MPI_Comm comm, trm_claim *claim, int64_t rows, int columns,
                                const trm_rows_column *column, trm_rows_file **result, trm_error *err)
{
    trm_rows_file *file = *result = trm_alloc_zero(1, sizeof *file);
    trm_status status = file == NULL ? trm_fail_memory(err, "a result file", 1, sizeof *file) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(file);
        *result = NULL;
        return status;
    }
    file->comm = comm;
    MPI_Comm_rank(comm, &file->rank);
    MPI_Comm_size(comm, &file->ranks);
    file->rows = rows;
    file->columns = columns;
    file->out = (trm_output)TRM_OUTPUT_INIT;
    for (int c = 0; c < columns; c++) {
        file->column[c] = column[c];
        file->row_bytes[c] = width_of(&column[c]) * value_bytes(column[c].type);
    }
    file->item_bytes = item_bytes_of(columns, column);
    trm_h5_handler handler = trm_h5_silence();
    status = trm_output_create(comm, claim, all_bytes(file), &file->out, err);
    if (status == TRM_OK)
        status = make_datasets(file, err);
    trm_h5_restore(handler);
    if (status != TRM_OK)
        trm_rows_file_destroy(result);
    return status;
}

/* ---- taking rows ---- */

/* The rank that has a row id. */
static int owner_of(const trm_rows_file *file, int64_t id)
{
    int64_t first, last;
    int rank = (int)((__extension__(__int128) id * file->ranks) / file->rows); /* or the next */
    trm_share(file->rows, rank, file->ranks, &first, &last);
    while (id >= last)
        trm_share(file->rows, ++rank, file->ranks, &first, &last);
    return rank;
}

/* A row as it travels: its id, then each column's values. */
static void put_item(const trm_rows_file *file, char *item, int64_t k, const int64_t *id,
                     const void *const *data)
{
    memcpy(item, &id[k], sizeof *id);
    item += sizeof *id;
    for (int c = 0; c < file->columns; c++) {
        memcpy(item, (const char *)data[c] + k * file->row_bytes[c], (size_t)file->row_bytes[c]);
        item += padded(file->row_bytes[c]);
    }
}

static int64_t id_of(const char *item)
{
    int64_t id;
    memcpy(&id, item, sizeof id);
    return id;
}

static int compare_items(const void *a, const void *b)
{
    const int64_t x = id_of(*(const char *const *)a), y = id_of(*(const char *const *)b);
    return (x > y) - (x < y);
}

/* Writes items of consecutive row ids. piece: room for a column's values of all of them. */
static trm_status write_run(trm_rows_file *file, char *const *item, int64_t count, char *piece,
                            trm_error *err)
{
    const int64_t first = id_of(item[0]);
    int64_t at = (int64_t)sizeof(int64_t);
    trm_status status = TRM_OK;
    for (int c = 0; c < file->columns && status == TRM_OK; c++) {
        const int64_t bytes = file->row_bytes[c], width = width_of(&file->column[c]);
        for (int64_t k = 0; k < count; k++)
            memcpy(piece + k * bytes, item[k] + at, (size_t)bytes);
        status = trm_output_write(&file->out, file->place[c], first * width, count * width, piece, err);
        at += padded(bytes);
    }
    file->written += count;
    return status;
}

/* Of what came to this rank. */
static trm_status write_items(trm_rows_file *file, char *items, int64_t count, trm_error *err)
{
    char **item = trm_alloc(count, sizeof *item), *piece = trm_alloc(count, (size_t)file->item_bytes);
    trm_status status = item == NULL || piece == NULL
                            ? trm_fail_memory(err, "rows to write", count, (size_t)file->item_bytes)
                            : TRM_OK;
    for (int64_t k = 0; k < count && status == TRM_OK; k++)
        item[k] = items + k * file->item_bytes;
    if (count > 1 && status == TRM_OK)
        qsort(item, (size_t)count, sizeof *item, compare_items);
    for (int64_t from = 0, to; from < count && status == TRM_OK; from = to) {
        for (to = from + 1; to < count && id_of(item[to]) == id_of(item[to - 1]) + 1; to++)
            ;
        status = write_run(file, item + from, to - from, piece, err);
    }
    trm_free(item);
    trm_free(piece);
    return status;
}

/* One round. Collective. */
static trm_status add_some(trm_rows_file *file, int64_t count, const int64_t *id, const void *const *data,
                           trm_error *err)
{
    int64_t *counts = trm_alloc_zero(3 * (int64_t)file->ranks, sizeof *counts);
    char *items = trm_alloc(count, (size_t)file->item_bytes);
    void *received = NULL;
    trm_status status = counts == NULL || items == NULL
                            ? trm_fail_memory(err, "rows to send", count, (size_t)file->item_bytes)
                            : TRM_OK;
    status = trm_agree(file->comm, status, err);
    if (status == TRM_OK) {
        int64_t *sent = counts, *came = counts + file->ranks, *place = counts + 2 * file->ranks, all = 0;
        for (int64_t k = 0; k < count; k++)
            sent[owner_of(file, id[k])]++;
        for (int r = 1; r < file->ranks; r++)
            place[r] = place[r - 1] + sent[r - 1];
        for (int64_t k = 0; k < count; k++)
            put_item(file, items + place[owner_of(file, id[k])]++ * file->item_bytes, k, id, data);
        status = trm_exchange_items(file->comm, items, sent, (size_t)file->item_bytes, &received, came, err);
        for (int r = 0; r < file->ranks; r++)
            all += came[r];
        if (status == TRM_OK)
            status = trm_agree(file->comm, write_items(file, received, all, err), err);
    }
    trm_free(received);
    trm_free(items);
    trm_free(counts);
    return status;
}

trm_status trm_rows_file_add(trm_rows_file *file, int64_t count, const int64_t *id, const void *const *data,
                             trm_error *err)
{
    const int64_t round = round_of(file->item_bytes, file->ranks);
    int64_t rounds = (count + round - 1) / round, done = 0;
    trm_status status = TRM_OK;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, file->comm);
    for (int64_t r = 0; r < rounds && status == TRM_OK; r++) {
        const int64_t some = count - done < round ? count - done : round;
        const void *part[TRM_ROWS_COLUMNS] = {NULL};
        for (int c = 0; c < file->columns && some > 0; c++)
            part[c] = (const char *)data[c] + done * file->row_bytes[c];
        status = add_some(file, some, some > 0 ? id + done : NULL, part, err);
        done += some;
    }
    return status;
}

/* ---- the end ---- */

static trm_status check_all_came(const trm_rows_file *file, trm_error *err)
{
    const int64_t written = trm_sum_int64(file->comm, file->written);
    return written == file->rows
               ? TRM_OK
               : trm_fail(err, TRM_ERR_INTERNAL, "output '%s': has %" PRId64 " rows, given were %" PRId64,
                          file->out.draft.claim->path, file->rows, written);
}

trm_status trm_rows_file_finish(trm_rows_file *file, int arrays, const trm_output_array *array,
                                const trm_names *names, int attributes, const trm_attribute *attribute,
                                trm_error *err)
{
    trm_output_check_item item[TRM_ROWS_COLUMNS];
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    for (int c = 0; c < file->columns; c++)
        item[c] = (trm_output_check_item){file->column[c].name, file->rows};
    trm_status status = check_all_came(file, err);
    trm_h5_handler handler = trm_h5_silence();
    if (status == TRM_OK)
        status = trm_output_arrays_write(&file->out, arrays, array, err);
    if (status == TRM_OK)
        status = trm_output_arrays_commit(&file->out, file->columns, item, arrays, array, names, attributes,
                                          attribute, err);
    trm_h5_restore(handler);
    return status;
}

void trm_rows_file_destroy(trm_rows_file **result)
{
    trm_rows_file *file = *result;
    if (file == NULL)
        return;
    trm_h5_handler handler = trm_h5_silence();
    trm_output_close(&file->out);
    trm_h5_restore(handler);
    trm_free(file);
    *result = NULL;
}
