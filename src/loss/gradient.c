/* Gradients from pair weights; see gradient.h.
 *
 * Weights of one pair are added in ascending order of the weight: an order that the weights themselves
 * decide, not the rank or the moment they came from. Whole numbers are exact in any order. */
#include "loss/gradient.h"

#include "base/alloc.h"
#include "base/exact_sum.h"
#include "loss/term.h"
#include "par/agree.h"
#include "par/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trm_gradient {
    const trm_given *given;
    trm_metric metric;
    bool integers;
    trm_weight *weights;       /* of this rank's rows */
    int64_t count, room, tidy; /* tidy: how many there were when they were last put together */
};

/* The weights of each own row, by ascending j, one a pair: row's are [offset[row], end[row]). */
typedef struct by_row {
    int64_t *offset, *end;
    double *sum; /* own rows x dim */
    const trm_gradient *gradient;
} by_row;

trm_status trm_gradient_create(const trm_given *given, trm_metric metric, bool integers,
                               trm_gradient **gradient, trm_error *err)
{
    trm_gradient *made = trm_alloc_zero(1, sizeof *made);
    trm_status status = made == NULL ? trm_fail_memory(err, "a gradient", 1, sizeof *made) : TRM_OK;
    status = trm_agree(given->comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        made = NULL;
    } else {
        made->given = given;
        made->metric = metric;
        made->integers = integers;
    }
    *gradient = made;
    return status;
}

void trm_gradient_destroy(trm_gradient **gradient)
{
    if (*gradient == NULL)
        return;
    trm_free((*gradient)->weights);
    trm_free(*gradient);
    *gradient = NULL;
}

static int compare_weights(const void *a, const void *b)
{
    const trm_weight *x = a, *y = b;
    if (x->j != y->j)
        return x->j < y->j ? -1 : 1;
    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

/* Sorts one row's weights and adds up those of one pair; returns how many are left. */
static int64_t merge_row(trm_weight *weights, int64_t count)
{
    int64_t kept = 0;
    qsort(weights, (size_t)count, sizeof *weights, compare_weights);
    for (int64_t k = 0; k < count; k++) {
        if (kept > 0 && weights[kept - 1].j == weights[k].j)
            weights[kept - 1].weight += weights[k].weight;
        else
            weights[kept++] = weights[k];
    }
    return kept;
}

/* Groups the weights by row, in new memory, and merges each row's. offset and end: one a row. */
static trm_status group(trm_gradient *gradient, int64_t *offset, int64_t *end, trm_error *err)
{
    const trm_given *given = gradient->given;
    const int64_t first = given->first[given->rank];
    trm_weight *grouped = trm_alloc(gradient->count, sizeof *grouped);
    if (grouped == NULL)
        return trm_fail_memory(err, "the gradient's pairs", gradient->count, sizeof *grouped);
    memset(end, 0, (size_t)given->count * sizeof *end);
    for (int64_t k = 0; k < gradient->count; k++)
        end[gradient->weights[k].i - first]++;
    for (int64_t row = 0, at = 0; row < given->count; row++) {
        offset[row] = at;
        at += end[row];
        end[row] = offset[row];
    }
    for (int64_t k = 0; k < gradient->count; k++)
        grouped[end[gradient->weights[k].i - first]++] = gradient->weights[k];
    trm_free(gradient->weights);
    gradient->weights = grouped;
    gradient->room = gradient->count;
#pragma omp parallel for schedule(dynamic, 64) num_threads(given->threads)
    for (int64_t row = 0; row < given->count; row++)
        end[row] = offset[row] + merge_row(grouped + offset[row], end[row] - offset[row]);
    return TRM_OK;
}

/* Adds up equal pairs to make room. */
static trm_status tidy_up(trm_gradient *gradient, trm_error *err)
{
    const int64_t rows = gradient->given->count;
    int64_t *offset = trm_alloc(rows, sizeof *offset), *end = trm_alloc(rows, sizeof *end);
    trm_status status = offset == NULL || end == NULL
                            ? trm_fail_memory(err, "the gradient's pairs", 2 * rows, sizeof *end)
                            : group(gradient, offset, end, err);
    if (status == TRM_OK) {
        int64_t count = 0;
        for (int64_t row = 0; row < rows; row++) {
            memmove(gradient->weights + count, gradient->weights + offset[row],
                    (size_t)(end[row] - offset[row]) * sizeof *gradient->weights);
            count += end[row] - offset[row];
        }
        gradient->count = gradient->tidy = count;
    }
    trm_free(offset);
    trm_free(end);
    return status;
}

static trm_status keep(trm_gradient *gradient, const trm_weight *weights, int64_t count, trm_error *err)
{
    enum { TIDY_FROM = 1 << 16 };
    if (gradient->count + count > gradient->room) {
        const int64_t room = gradient->count + count + gradient->count / 2;
        trm_weight *larger = trm_alloc(room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the gradient's pairs", room, sizeof *larger);
        if (gradient->count > 0)
            memcpy(larger, gradient->weights, (size_t)gradient->count * sizeof *larger);
        trm_free(gradient->weights);
        gradient->weights = larger;
        gradient->room = room;
    }
    if (count > 0)
        memcpy(gradient->weights + gradient->count, weights, (size_t)count * sizeof *weights);
    gradient->count += count;
    if (gradient->integers && gradient->count > TIDY_FROM && gradient->count > 2 * gradient->tidy)
        return tidy_up(gradient, err);
    return TRM_OK;
}

trm_status trm_gradient_add(trm_gradient *gradient, trm_weight *weights, int64_t count, trm_error *err)
{
    const trm_given *given = gradient->given;
    int64_t *counts = trm_alloc(2 * (int64_t)given->ranks, sizeof *counts);
    void *received = NULL;
    int64_t total = 0;
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "counts", 2 * given->ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(given->comm, status, err);
    if (status == TRM_OK)
        status = trm_given_route(given, weights, count, sizeof *weights, counts, &received,
                                 counts + given->ranks, err);
    if (status == TRM_OK) {
        for (int r = 0; r < given->ranks; r++)
            total += counts[given->ranks + r];
        status = trm_agree(given->comm, keep(gradient, received, total, err), err);
    }
    trm_free(counts);
    trm_free(received);
    return status;
}

/* Adds the terms of the piece's rows to every own row that is paired with them. */
static void add_terms(void *context, const trm_piece *piece)
{
    by_row *rows = context;
    const trm_given *given = rows->gradient->given;
    const trm_metric metric = rows->gradient->metric;
    const int dim = given->dim;
    const bool needs_distance = metric == TRM_METRIC_L2 || metric == TRM_METRIC_COSINE;
#pragma omp parallel for schedule(dynamic, 16) num_threads(given->threads)
    for (int64_t row = 0; row < given->count; row++) {
        const float *x = given->x + row * dim;
        int64_t at = rows->offset[row];
        for (; at < rows->end[row]; at++) {
            const trm_weight *pair = &rows->gradient->weights[at];
            const int64_t j = pair->j - piece->first;
            if (j >= piece->count)
                break;
            if (pair->weight == 0.0)
                continue;
            const float *y = piece->x + j * dim;
            double g = 0.0, d = 0.0;
            if (needs_distance)
                d = trm_distance(metric, x, given->norm2[row], y, piece->norm2[j], dim, &g);
            trm_term_add(trm_term_of(metric, pair->weight, g, d, given->norm2[row], piece->norm2[j]), x, y,
                         dim, rows->sum + row * dim);
        }
        rows->offset[row] = at;
    }
}

void trm_gradient_round(double *sum, const float *x, int dim, int64_t denominator, const double *norm,
                        float *out)
{
    for (int k = 0; k < dim; k++)
        sum[k] = denominator > 0 ? sum[k] / (double)denominator : 0.0;
    if (norm != NULL)
        trm_term_through_norm(sum, x, dim, *norm);
    for (int k = 0; k < dim; k++)
        out[k] = (float)sum[k];
}

trm_status trm_gradient_finish(trm_gradient *gradient, int64_t denominator, const double *norms, float *out,
                               trm_error *err)
{
    const trm_given *given = gradient->given;
    const int64_t dim = given->dim;
    by_row rows = {trm_alloc(given->count, sizeof *rows.offset), trm_alloc(given->count, sizeof *rows.end),
                   trm_alloc_zero(given->count * dim, sizeof *rows.sum), gradient};
    trm_status status = TRM_OK;
    if (rows.offset == NULL || rows.end == NULL || rows.sum == NULL)
        status = trm_fail_memory(err, "gradient sums", given->count * dim, sizeof *rows.sum);
    else
        status = group(gradient, rows.offset, rows.end, err);
    status = trm_agree(given->comm, status, err);
    if (status == TRM_OK)
        status = trm_given_walk(given, add_terms, &rows, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(static) num_threads(given->threads)
        for (int64_t row = 0; row < given->count; row++)
            trm_gradient_round(rows.sum + row * dim, given->x + row * dim, given->dim, denominator,
                               norms == NULL ? NULL : &norms[row], out + row * dim);
    }
    trm_free(rows.offset);
    trm_free(rows.end);
    trm_free(rows.sum);
    return status;
}

int64_t trm_gradient_unfit(const float *gradient, int64_t rows, int dim)
{
    for (int64_t i = 0; i < rows * dim; i++)
        if (!isfinite(gradient[i]))
            return i / dim;
    return -1;
}

void trm_gradient_measure(MPI_Comm comm, int arrays, float *const *gradient, const int64_t *size,
                          trm_loss_summary *summary, trm_loss_part *part)
{
    trm_exact_sum squares;
    double largest = 0.0;
    trm_exact_sum_clear(&squares);
    for (int k = 0; k < arrays; k++)
        for (int64_t i = 0; i < size[k]; i++) {
            const double g = (double)gradient[k][i];
            trm_exact_sum_add(&squares, g * g);
            largest = fabs(g) > largest ? fabs(g) : largest;
        }
    part->gradient_norm = sqrt(trm_exact_sum_value(&squares));
    trm_merge_exact_sum(comm, &squares);
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, comm);
    summary->gradient_norm = sqrt(trm_exact_sum_value(&squares));
    summary->gradient_max_abs = largest;
}
