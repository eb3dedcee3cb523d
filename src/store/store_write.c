/* Writing a store: every rank fills and writes its own rows, piece by piece. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/output.h"

static const int64_t piece_bytes = INT64_C(64) << 20;

/* One rank's work. */
typedef struct writer {
    trm_output *out;
    trm_output_place embeddings, labels;
    int64_t first, last, step;
    int dim;
} writer;

static trm_status write_pieces(const writer *w, trm_row_fn fill, void *context, trm_error *err)
{
    float *rows = trm_alloc(w->step, (size_t)w->dim * sizeof *rows);
    int64_t *labels = trm_alloc(w->step, sizeof *labels);
    trm_status status = TRM_OK;
    if (rows == NULL || labels == NULL)
        status = trm_fail_memory(err, "a write buffer", w->step, (size_t)w->dim * sizeof *rows);
    status = trm_agree(w->out->comm, status, err);
    for (int64_t from = w->first; from < w->last && status == TRM_OK; from += w->step) {
        int64_t count = w->last - from < w->step ? w->last - from : w->step;
        fill(context, from, count, rows, labels);
        status = trm_output_write(w->out, w->embeddings, from * w->dim, count * w->dim, rows, err);
        if (status == TRM_OK)
            status = trm_output_write(w->out, w->labels, from, count, labels, err);
    }
    status = trm_agree(w->out->comm, status, err);
    trm_free(rows);
    trm_free(labels);
    return status;
}

static trm_status write_datasets(trm_output *out, int64_t rows, int dim, trm_row_fn fill, void *context,
                                 trm_error *err)
{
    int rank = 0, ranks = 0;
    MPI_Comm_rank(out->comm, &rank);
    MPI_Comm_size(out->comm, &ranks);
    hsize_t size[2] = {(hsize_t)rows, (hsize_t)dim};
    writer w = {.out = out, .dim = dim};
    trm_share(rows, rank, ranks, &w.first, &w.last);
    const int64_t most = (rows + ranks - 1) / ranks;
    w.step = piece_bytes / ((int64_t)dim * (int64_t)sizeof(float));
    w.step = w.step < 1 ? 1 : w.step > most ? most : w.step;
    trm_status status = trm_output_dataset(out, "/embeddings", H5T_IEEE_F32LE, 2, size, &w.embeddings, err);
    if (status == TRM_OK)
        status = trm_output_dataset(out, "/labels", H5T_STD_I64LE, 1, size, &w.labels, err);
    if (status == TRM_OK)
        status = write_pieces(&w, fill, context, err);
    return status;
}

trm_status trm_store_write(MPI_Comm comm, trm_claim *claim, int64_t rows, int dim, trm_row_fn fill,
                           void *context, int attributes, const trm_attribute *attribute, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    if (rows < 1 || dim < 1)
        return trm_fail(err, TRM_ERR_USAGE, "output '%s': a store needs at least one row and one column",
                        claim->path);
    trm_h5_handler handler = trm_h5_silence();
    trm_output out = TRM_OUTPUT_INIT;
    const trm_output_check_item items[] = {{"/embeddings", rows}, {"/labels", rows}};
    trm_status status = trm_output_create(
        comm, claim, rows * (dim * (int64_t)sizeof(float) + (int64_t)sizeof(int64_t)), &out, err);
    if (status == TRM_OK)
        status = write_datasets(&out, rows, dim, fill, context, err);
    if (status == TRM_OK)
        status = trm_output_commit(&out, attributes, attribute, 2, items, err);
    trm_output_close(&out);
    trm_h5_restore(handler);
    return status;
}
