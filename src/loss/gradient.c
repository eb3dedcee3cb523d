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

/* The weights of this rank's rows with those of one set. */
typedef struct weight_list {
    const trm_given *by;
    trm_weight *weights;
    int64_t count, room, tidy; /* tidy: how many there were when they were last put together */
} weight_list;

struct trm_gradient {
    const trm_given *of;
    trm_metric metric;
    bool integers;
    int lists;
    weight_list list[TRM_GRADIENT_LISTS];
};

/* A list's weights of each own row, by ascending j, one a pair: row's are [offset[row], end[row]). */
typedef struct by_row {
    int64_t *offset, *end;
    double *sum; /* own rows x dim */
    const trm_gradient *gradient;
    const weight_list *list;
} by_row;

trm_status trm_gradient_create(const trm_given *of, int lists, const trm_given *const *by, trm_metric metric,
                               bool integers, trm_gradient **gradient, trm_error *err)
{
    trm_gradient *made = trm_alloc_zero(1, sizeof *made);
    trm_status status = made == NULL ? trm_fail_memory(err, "a gradient", 1, sizeof *made) : TRM_OK;
    status = trm_agree(of->comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        made = NULL;
    } else {
        made->of = of;
        made->metric = metric;
        made->integers = integers;
        made->lists = lists;
        for (int k = 0; k < lists; k++)
            made->list[k].by = by[k];
    }
    *gradient = made;
    return status;
}

void trm_gradient_destroy(trm_gradient **gradient)
{
    if (*gradient == NULL)
        return;
    for (int k = 0; k < (*gradient)->lists; k++)
        trm_free((*gradient)->list[k].weights);
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

/* Groups a list's weights by row, in new memory, and merges each row's. offset and end: one a row. */
static trm_status group(const trm_given *of, weight_list *list, int64_t *offset, int64_t *end, trm_error *err)
{
    const int64_t first = of->first[of->rank];
    trm_weight *grouped = trm_alloc(list->count, sizeof *grouped);
    if (grouped == NULL)
        return trm_fail_memory(err, "the gradient's pairs", list->count, sizeof *grouped);
    memset(end, 0, (size_t)of->count * sizeof *end);
    for (int64_t k = 0; k < list->count; k++)
        end[list->weights[k].i - first]++;
    for (int64_t row = 0, at = 0; row < of->count; row++) {
        offset[row] = at;
        at += end[row];
        end[row] = offset[row];
    }
    for (int64_t k = 0; k < list->count; k++)
        grouped[end[list->weights[k].i - first]++] = list->weights[k];
    trm_free(list->weights);
    list->weights = grouped;
    list->room = list->count;
#pragma omp parallel for schedule(dynamic, 64) num_threads(of->threads)
    for (int64_t row = 0; row < of->count; row++)
        end[row] = offset[row] + merge_row(grouped + offset[row], end[row] - offset[row]);
    return TRM_OK;
}

/* Adds up equal pairs to make room. */
static trm_status tidy_up(const trm_given *of, weight_list *list, trm_error *err)
{
    const int64_t rows = of->count;
    int64_t *offset = trm_alloc(rows, sizeof *offset), *end = trm_alloc(rows, sizeof *end);
    trm_status status = offset == NULL || end == NULL
                            ? trm_fail_memory(err, "the gradient's pairs", 2 * rows, sizeof *end)
                            : group(of, list, offset, end, err);
    if (status == TRM_OK) {
        int64_t count = 0;
        for (int64_t row = 0; row < rows; row++) {
            memmove(list->weights + count, list->weights + offset[row],
                    (size_t)(end[row] - offset[row]) * sizeof *list->weights);
            count += end[row] - offset[row];
        }
        list->count = list->tidy = count;
    }
    trm_free(offset);
    trm_free(end);
    return status;
}

static trm_status keep(const trm_gradient *gradient, weight_list *list, const trm_weight *weights,
                       int64_t count, trm_error *err)
{
    enum { TIDY_FROM = 1 << 16 };
    if (list->count + count > list->room) {
        const int64_t room = list->count + count + list->count / 2;
        trm_weight *larger = trm_alloc(room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the gradient's pairs", room, sizeof *larger);
        if (list->count > 0)
            memcpy(larger, list->weights, (size_t)list->count * sizeof *larger);
        trm_free(list->weights);
        list->weights = larger;
        list->room = room;
    }
    if (count > 0)
        memcpy(list->weights + list->count, weights, (size_t)count * sizeof *weights);
    list->count += count;
    if (gradient->integers && list->count > TIDY_FROM && list->count > 2 * list->tidy)
        return tidy_up(gradient->of, list, err);
    return TRM_OK;
}

trm_status trm_gradient_add(trm_gradient *gradient, int list, trm_weight *weights, int64_t count,
                            trm_error *err)
{
    const trm_given *of = gradient->of;
    int64_t *counts = trm_alloc(2 * (int64_t)of->ranks, sizeof *counts);
    void *received = NULL;
    int64_t total = 0;
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "counts", 2 * of->ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(of->comm, status, err);
    if (status == TRM_OK)
        status =
            trm_given_route(of, weights, count, sizeof *weights, counts, &received, counts + of->ranks, err);
    if (status == TRM_OK) {
        for (int r = 0; r < of->ranks; r++)
            total += counts[of->ranks + r];
        status = trm_agree(of->comm, keep(gradient, &gradient->list[list], received, total, err), err);
    }
    trm_free(counts);
    trm_free(received);
    return status;
}

/* Adds the terms of the piece's rows to every own row that is paired with them. */
static void add_terms(void *context, const trm_piece *piece)
{
    by_row *rows = context;
    const trm_given *of = rows->gradient->of;
    const trm_metric metric = rows->gradient->metric;
    const int dim = of->dim;
    const bool needs_distance = metric == TRM_METRIC_L2 || metric == TRM_METRIC_COSINE;
#pragma omp parallel for schedule(dynamic, 16) num_threads(of->threads)
    for (int64_t row = 0; row < of->count; row++) {
        const float *x = of->x + row * dim;
        int64_t at = rows->offset[row];
        for (; at < rows->end[row]; at++) {
            const trm_weight *pair = &rows->list->weights[at];
            const int64_t j = pair->j - piece->first;
            if (j >= piece->count)
                break;
            if (pair->weight == 0.0)
                continue;
            const float *y = piece->x + j * dim;
            double g = 0.0, d = 0.0;
            if (needs_distance)
                d = trm_distance(metric, x, of->norm2[row], y, piece->norm2[j], dim, &g);
            trm_term_add(trm_term_of(metric, pair->weight, g, d, of->norm2[row], piece->norm2[j]), x, y, dim,
                         rows->sum + row * dim);
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

/* Adds a list's terms to the rows' sums. Collective. */
static trm_status add_list(trm_gradient *gradient, weight_list *list, double *sum, trm_error *err)
{
    const trm_given *of = gradient->of;
    by_row rows = {.offset = trm_alloc(of->count, sizeof *rows.offset),
                   .end = trm_alloc(of->count, sizeof *rows.end),
                   .sum = sum,
                   .gradient = gradient,
                   .list = list};
    trm_status status = TRM_OK;
    if (rows.offset == NULL || rows.end == NULL)
        status = trm_fail_memory(err, "gradient sums", 2 * of->count, sizeof *rows.end);
    else
        status = group(of, list, rows.offset, rows.end, err);
    status = trm_agree(of->comm, status, err);
    if (status == TRM_OK)
        status = trm_given_walk(list->by, add_terms, &rows, err);
    trm_free(rows.offset);
    trm_free(rows.end);
    return status;
}

trm_status trm_gradient_finish(trm_gradient *gradient, int64_t denominator, const double *norms, float *out,
                               trm_error *err)
{
    const trm_given *of = gradient->of;
    const int64_t dim = of->dim;
    double *sum = trm_alloc_zero(of->count * dim, sizeof *sum);
    trm_status status = TRM_OK;
    if (sum == NULL)
        status = trm_fail_memory(err, "gradient sums", of->count * dim, sizeof *sum);
    status = trm_agree(of->comm, status, err);
    for (int k = 0; k < gradient->lists && status == TRM_OK; k++)
        status = add_list(gradient, &gradient->list[k], sum, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(static) num_threads(of->threads)
        for (int64_t row = 0; row < of->count; row++)
            trm_gradient_round(sum + row * dim, of->x + row * dim, of->dim, denominator,
                               norms == NULL ? NULL : &norms[row], out + row * dim);
    }
    trm_free(sum);
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
