/* Reading rows: collective hyperslabs in the file's own type, in pieces, converted and checked piece by
 * piece.
 *
 * All ranks make the same calls in the same order, a rank without rows too; after each piece they agree, so
 * that a bad value on one rank ends the read on all with the same message. Files are open only while they are
 * read. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <math.h>

static const int64_t piece_bytes = INT64_C(64) << 20; /* well under HDF5's limit of 2 GiB a call */

typedef struct reader {
    const trm_store *store;
    const trm_store_entry *entry;
    const trm_read_options *options;
    hid_t file, transfer;
    void *bounce;
    trm_error *err;
} reader;

/* One dataset of one file, and where its converted rows go. */
typedef struct column {
    const char *name;
    const trm_element *element;
    int width;
    float *floats;     /* either */
    int64_t *integers; /* or */
} column;

static int64_t piece_rows(const column *col)
{
    int64_t rows = piece_bytes / ((int64_t)col->element->size * col->width);
    return rows > 0 ? rows : 1;
}

static trm_status refuse_value(const reader *in, const column *col, int64_t row, int64_t place,
                               const float *value)
{
    double original = trm_element_value(col->element, in->bounce, place);
    int64_t at = place % col->width;
    if (isfinite(original))
        return trm_fail(in->err, TRM_ERR_DATA,
                        "store '%s': dataset '%s' row %" PRId64 " has a value (%g) at column %" PRId64
                        " that does not fit float32",
                        in->entry->seen.path, col->name, row, original, at);
    return trm_fail(in->err, TRM_ERR_DATA,
                    "store '%s': dataset '%s' row %" PRId64 " has a non-finite value (%s) at column %" PRId64,
                    in->entry->seen.path, col->name, row,
                    isnan(*value)   ? "nan"
                    : *value > 0.0F ? "inf"
                                    : "-inf",
                    at);
}

static trm_status check_norm(const reader *in, const column *col, int64_t row, float *x)
{
    double norm2 = trm_dot(x, x, col->width);
    if (norm2 == 0.0)
        return trm_fail(in->err, TRM_ERR_DATA,
                        "store '%s': dataset '%s' row %" PRId64 " has norm zero, which %s does not allow",
                        in->entry->seen.path, col->name, row,
                        in->options->normalize ? "--normalize" : "the metric");
    if (in->options->normalize) {
        double norm = sqrt(norm2);
        for (int k = 0; k < col->width; k++)
            x[k] = (float)((double)x[k] / norm);
    }
    return TRM_OK;
}

/* Converts rows from the bounce buffer; row is their first row in the file, done where they go. */
static trm_status accept_floats(const reader *in, const column *col, int64_t row, int64_t rows, int64_t done)
{
    float *out = col->floats + done * col->width;
    const int64_t values = rows * col->width;
    trm_element_order(col->element, in->bounce, values);
    trm_element_to_float(col->element, in->bounce, values, out);
    for (int64_t i = 0; i < values && !in->options->accept_non_finite; i++)
        if (!isfinite(out[i]))
            return refuse_value(in, col, row + i / col->width, i, &out[i]);
    if (in->options->normalize || in->options->refuse_zero_norm)
        for (int64_t i = 0; i < rows; i++) {
            trm_status status = check_norm(in, col, row + i, out + i * col->width);
            if (status != TRM_OK)
                return status;
        }
    return TRM_OK;
}

static trm_status accept_integers(const reader *in, const column *col, int64_t row, int64_t rows,
                                  int64_t done)
{
    trm_element_order(col->element, in->bounce, rows);
    int64_t bad = trm_element_to_int64(col->element, in->bounce, rows, col->integers + done);
    if (bad < 0)
        return TRM_OK;
    return trm_fail(in->err, TRM_ERR_DATA,
                    "store '%s': dataset '%s' row %" PRId64 " has the value %" PRIu64
                    ", which does not fit int64",
                    in->entry->seen.path, col->name, row + bad, ((const uint64_t *)in->bounce)[bad]);
}

static trm_status read_piece(const reader *in, const column *col, hid_t dataset, hid_t type, int64_t row,
                             int64_t rows)
{
    hid_t space = H5Dget_space(dataset);
    hid_t memory = trm_h5_select_rows(space, row, rows, col->width);
    herr_t result = H5Dread(dataset, type, memory, space, in->transfer, in->bounce);
    trm_h5_close(memory);
    trm_h5_close(space);
    if (result < 0)
        return trm_fail(in->err, TRM_ERR_IO,
                        "store '%s': reading dataset '%s' rows %" PRId64 " to %" PRId64 " failed",
                        in->entry->seen.path, col->name, row, row + rows);
    return TRM_OK;
}

/* most: the largest count of any rank, so that all make the same number of calls. */
static trm_status read_column(const reader *in, const column *col, int64_t row, int64_t count, int64_t most)
{
    const int64_t step = piece_rows(col);
    hid_t dataset = H5Dopen2(in->file, col->name, H5P_DEFAULT);
    hid_t type = dataset < 0 ? -1 : H5Dget_type(dataset);
    trm_status status = TRM_OK;
    if (type < 0)
        status = trm_fail(in->err, TRM_ERR_IO, "store '%s': dataset '%s' can't be opened",
                          in->entry->seen.path, col->name);
    status = trm_agree(in->store->comm, status, in->err);
    for (int64_t done = 0; done < most && status == TRM_OK; done += step) {
        int64_t left = count > done ? count - done : 0;
        int64_t rows = left < step ? left : step, from = done < count ? done : 0;
        status = read_piece(in, col, dataset, type, row + from, rows);
        if (status == TRM_OK && rows > 0)
            status = col->floats != NULL ? accept_floats(in, col, row + from, rows, from)
                                         : accept_integers(in, col, row + from, rows, from);
        status = trm_agree(in->store->comm, status, in->err);
    }
    trm_h5_close(type);
    trm_h5_close(dataset);
    return status;
}

/* The part of this rank's rows that is in one file: [row, row + count) of the file. */
static trm_status read_file(reader *in, int64_t row, int64_t count, int64_t most, float *embeddings,
                            int64_t *labels, int64_t *ids)
{
    const trm_store_entry *entry = in->entry;
    in->file = trm_h5_open_parallel(in->store->comm, entry->seen.path);
    trm_status status = TRM_OK;
    if (in->file < 0)
        status = trm_fail(in->err, TRM_ERR_IO, "store '%s': can't be opened with MPI-IO", entry->seen.path);
    status = trm_agree(in->store->comm, status, in->err);
    if (status == TRM_OK) {
        column col = {entry->seen.embeddings, &entry->embeddings, in->store->dim, embeddings, NULL};
        status = read_column(in, &col, row, count, most);
    }
    if (status == TRM_OK) {
        column col = {entry->seen.labels, &entry->labels, 1, NULL, labels};
        status = read_column(in, &col, row, count, most);
    }
    if (status == TRM_OK && ids != NULL && entry->seen.ids != NULL) {
        column col = {entry->seen.ids, &entry->ids, 1, NULL, ids};
        status = read_column(in, &col, row, count, most);
    }
    if (in->file >= 0)
        H5Fclose(in->file);
    return status;
}

static trm_status read_files(reader *in, int64_t first, int64_t count, float *embeddings, int64_t *labels,
                             int64_t *ids)
{
    const trm_store *store = in->store;
    trm_status status = TRM_OK;
    for (int i = 0; i < store->files && status == TRM_OK; i++) {
        const trm_store_file *file = &store->entry[i].seen;
        int64_t from = first > file->first ? first : file->first;
        int64_t to = first + count < file->first + file->rows ? first + count : file->first + file->rows;
        int64_t mine = to > from ? to - from : 0, most = 0;
        if (mine == 0)
            from = file->first;
        MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, store->comm);
        int64_t place = mine > 0 ? from - first : 0; /* in the caller's arrays */
        in->entry = &store->entry[i];
        if (most > 0)
            status = read_file(in, from - file->first, mine, most, embeddings + place * store->dim,
                               labels + place, ids == NULL ? NULL : ids + place);
    }
    return status;
}

/* Bytes of the largest piece of any dataset for this rank. */
static int64_t bounce_bytes(const trm_store *store, int64_t count)
{
    int64_t row = 8;
    for (int i = 0; i < store->files; i++) {
        int64_t size = (int64_t)store->entry[i].embeddings.size * store->dim;
        row = size > row ? size : row;
    }
    return count < piece_bytes / row ? (count + 1) * row : piece_bytes > row ? piece_bytes : row;
}

trm_status trm_store_read(trm_store *store, int64_t first, int64_t count, const trm_read_options *options,
                          float *embeddings, int64_t *labels, int64_t *ids, trm_error *err)
{
    static const trm_read_options defaults = {false, false, false};
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    reader in = {store, NULL, options == NULL ? &defaults : options, -1, -1, NULL, err};
    trm_h5_handler handler = trm_h5_silence();
    trm_status status = TRM_OK;
    in.transfer = trm_h5_collective();
    in.bounce = trm_alloc(bounce_bytes(store, count), 1);
    if (first < 0 || count < 0 || first > store->rows - count)
        status =
            trm_fail(err, TRM_ERR_INTERNAL, "rows %" PRId64 " to %" PRId64 " asked of a store of %" PRId64,
                     first, first + count, store->rows);
    else if (in.bounce == NULL)
        status = trm_fail_memory(err, "a read buffer", bounce_bytes(store, count), 1);
    status = trm_agree(store->comm, status, err);
    if (status == TRM_OK)
        status = read_files(&in, first, count, embeddings, labels, ids);
    if (status == TRM_OK && ids != NULL && store->entry[0].seen.ids == NULL)
        for (int64_t i = 0; i < count; i++)
            ids[i] = first + i;
    trm_free(in.bounce);
    trm_h5_close(in.transfer);
    trm_h5_restore(handler);
    return status;
}
