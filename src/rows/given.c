/* Rows as given; see given.h. */
#include "rows/given.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <string.h>

enum { PIECE_BYTES = 4 << 20, PIECE_ROWS_LEAST = 64 };

trm_status trm_given_create(const trm_run *run, int64_t count, int dim, const float *x, const int64_t *label,
                            trm_given **given, trm_error *err)
{
    trm_status status = TRM_OK;
    trm_given *made = trm_alloc_zero(1, sizeof *made);
    if (made != NULL) {
        *made = (trm_given){.comm = run->comm,
                            .rank = run->rank,
                            .ranks = run->ranks,
                            .threads = run->threads,
                            .dim = dim,
                            .count = count,
                            .x = x,
                            .label = label};
        made->waited = &made->waited_s;
        made->first = trm_alloc_zero((int64_t)made->ranks + 1, sizeof *made->first);
        made->norm2 = trm_alloc(count, sizeof *made->norm2);
        made->no_label = trm_alloc_zero(label == NULL ? count : 0, sizeof *made->no_label);
        if (label == NULL)
            made->label = made->no_label;
    }
    if (made == NULL || made->first == NULL || made->norm2 == NULL || made->no_label == NULL)
        status = trm_fail_memory(err, "rows as given", count, sizeof(double));
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_given_destroy(&made);
        *given = NULL;
        return status;
    }
    MPI_Allgather(&count, 1, MPI_INT64_T, made->first + 1, 1, MPI_INT64_T, run->comm);
    for (int r = 0; r < made->ranks; r++)
        made->first[r + 1] += made->first[r];
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (int64_t i = 0; i < (x != NULL ? count : 0); i++)
        made->norm2[i] = trm_dot(x + i * dim, x + i * dim, dim);
    *given = made;
    return TRM_OK;
}

void trm_given_destroy(trm_given **given)
{
    if (*given == NULL)
        return;
    trm_free((*given)->first);
    trm_free((*given)->norm2);
    trm_free((*given)->no_label);
    trm_free(*given);
    *given = NULL;
}

int64_t trm_given_total(const trm_given *given)
{
    return given->first[given->ranks];
}

int trm_given_owner(const trm_given *given, int64_t id)
{
    int lo = 0, hi = given->ranks - 1; /* the last rank whose first row is not beyond id */
    while (lo < hi) {
        const int middle = lo + (hi - lo + 1) / 2;
        if (given->first[middle] <= id)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

static int64_t piece_rows(int dim)
{
    const int64_t rows = PIECE_BYTES / ((int64_t)dim * (int64_t)sizeof(float));
    return rows < PIECE_ROWS_LEAST ? PIECE_ROWS_LEAST : rows;
}

int64_t trm_given_walk_bytes(int dim)
{
    return trm_pass_room(dim, piece_rows(dim));
}

trm_status trm_given_walk(const trm_given *given, trm_piece_fn visit, void *context, trm_error *err)
{
    const int64_t step = piece_rows(given->dim), own = given->first[given->rank];
    trm_pass pass;
    trm_status status = trm_pass_begin(&pass, given->comm, given->dim, step, err);
    pass.waited = given->waited;
    for (int owner = 0; owner < given->ranks && status == TRM_OK; owner++)
        for (int64_t first = given->first[owner]; first < given->first[owner + 1]; first += step) {
            const int64_t left = given->first[owner + 1] - first;
            trm_piece piece = {.first = first, .count = left < step ? left : step};
            if (owner == given->rank) {
                piece.x = given->x + (first - own) * given->dim;
                piece.label = given->label + (first - own);
                piece.norm2 = given->norm2 + (first - own);
            }
            trm_pass_rows(&pass, owner, &piece);
            visit(context, &piece);
        }
    trm_pass_end(&pass);
    return status;
}

trm_status trm_given_route(const trm_given *given, void *items, int64_t count, size_t size,
                           int64_t *send_counts, void **received, int64_t *receive_counts, trm_error *err)
{
    char *sorted = trm_alloc(count, size);
    int64_t *place = trm_alloc(given->ranks, sizeof *place);
    const char *from = items;
    trm_status status = TRM_OK;
    if (sorted == NULL || place == NULL)
        status = trm_fail_memory(err, "routed items", count, size);
    status = trm_agree(given->comm, status, err);
    if (status != TRM_OK)
        goto done;
    memset(send_counts, 0, (size_t)given->ranks * sizeof *send_counts);
    for (int64_t i = 0; i < count; i++) {
        int64_t id;
        memcpy(&id, from + i * (int64_t)size, sizeof id);
        send_counts[trm_given_owner(given, id)]++;
    }
    for (int64_t r = 0, at = 0; r < given->ranks; at += send_counts[r], r++)
        place[r] = at;
    for (int64_t i = 0; i < count; i++) {
        int64_t id;
        memcpy(&id, from + i * (int64_t)size, sizeof id);
        memcpy(sorted + place[trm_given_owner(given, id)]++ * (int64_t)size, from + i * (int64_t)size, size);
    }
    memcpy(items, sorted, (size_t)count * size);
    const double start = trm_clock();
    status = trm_exchange_items(given->comm, sorted, send_counts, size, received, receive_counts, err);
    *given->waited += trm_clock() - start;
done:
    trm_free(sorted);
    trm_free(place);
    return status;
}
