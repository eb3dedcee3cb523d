/* Histograms; see histograms.h. */
#include "verify/histograms.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

trm_status trm_bins_make(trm_bins *of, int64_t bins, double first, double last, trm_error *err)
{
    *of = (trm_bins){.bins = bins,
                     .edge = trm_alloc(bins + 1, sizeof *of->edge),
                     .count = trm_alloc_zero(bins, sizeof *of->count)};
    if (of->edge == NULL || of->count == NULL)
        return trm_fail_memory(err, "a histogram", 2 * bins + 1, sizeof *of->edge);
    if (first == last) {
        first -= 0.5;
        last += 0.5;
    }
    for (int64_t i = 0; i < bins; i++)
        of->edge[i] = (double)i * ((last - first) / (double)bins) + first;
    of->edge[bins] = last;
    return TRM_OK;
}

void trm_bins_free(trm_bins *of)
{
    trm_free(of->edge);
    trm_free(of->count);
    *of = (trm_bins){.bins = 0};
}

void trm_bins_count(trm_bins *of, double value)
{
    int64_t low = 0, high = of->bins - 1; /* the last bin whose edge is not above the value */
    while (low < high) {
        const int64_t middle = high - (high - low) / 2;
        if (of->edge[middle] <= value)
            low = middle;
        else
            high = middle - 1;
    }
    of->count[low]++;
}

/* ---- compared ---- */

static trm_status compare_edges(const trm_bins *of, trm_result *result, const char *name, trm_error *err)
{
    trm_result_array array;
    double *has = trm_alloc(of->bins + 1, sizeof *has);
    trm_status status = has == NULL
                            ? trm_fail_memory(err, "a histogram", of->bins + 1, sizeof *has)
                            : trm_result_need(result, name, TRM_ARRAY_FLOAT64, 1, of->bins + 1, &array, err);
    if (status == TRM_OK)
        status = trm_result_read(result, &array, 0, of->bins + 1, has, err);
    for (int64_t i = 0; i <= of->bins && status == TRM_OK; i++)
        if (memcmp(&has[i], &of->edge[i], sizeof *has) != 0)
            status =
                trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %.17g; decided anew: %.17g",
                         trm_result_path(result), name, i, has[i], of->edge[i]);
    trm_free(has);
    return status;
}

static trm_status compare_counts(const trm_bins *of, trm_result *result, const char *name, trm_error *err)
{
    trm_result_array array;
    int64_t *has = trm_alloc(of->bins, sizeof *has);
    trm_status status = has == NULL
                            ? trm_fail_memory(err, "a histogram", of->bins, sizeof *has)
                            : trm_result_need(result, name, TRM_ARRAY_INT64, 1, of->bins, &array, err);
    if (status == TRM_OK)
        status = trm_result_read(result, &array, 0, of->bins, has, err);
    for (int64_t i = 0; i < of->bins && status == TRM_OK; i++)
        if (has[i] != of->count[i])
            status = trm_fail(err, TRM_ERR_DATA,
                              "result '%s': '%s' row %" PRId64 ": %" PRId64 "; counted anew: %" PRId64,
                              trm_result_path(result), name, i, has[i], of->count[i]);
    trm_free(has);
    return status;
}

trm_status trm_bins_compare(const trm_bins *of, trm_result *result, const char *edges, const char *counts,
                            trm_error *err)
{
    trm_status status = compare_edges(of, result, edges, err);
    return status == TRM_OK ? compare_counts(of, result, counts, err) : status;
}

/* ---- of mine ---- */

enum { D_AP, D_AN, GAP, SERIES };
static const char *const paths[SERIES][2] = {{"/histogram/d_ap/edges", "/histogram/d_ap/counts"},
                                             {"/histogram/d_an/edges", "/histogram/d_an/counts"},
                                             {"/histogram/gap/edges", "/histogram/gap/counts"}};

/* This rank's lines, and what it finds there. */
typedef struct series {
    double least[SERIES], most[SERIES];
    trm_bins bins[SERIES];
    bool counts; /* else it looks for the range */
} series;

static trm_status look_at(void *context, const trm_triplet *t, trm_error *err)
{
    series *of = context;
    (void)err;
    const double value[SERIES] = {t->d_ap, t->d_an, t->d_an - t->d_ap};
    for (int k = 0; k < SERIES && t->positive >= 0; k++) {
        if (of->counts)
            trm_bins_count(&of->bins[k], value[k]);
        of->least[k] = fmin(of->least[k], value[k]);
        of->most[k] = fmax(of->most[k], value[k]);
    }
    return TRM_OK;
}

static trm_status walk(MPI_Comm comm, trm_lines *lines, series *of, trm_error *err)
{
    const trm_status status = trm_lines_walk(comm, lines, look_at, of, err);
    return trm_agree(comm, status, err);
}

/* Bins from the least to the largest value; from 0 to 1 where there is none. */
static trm_status make_bins(MPI_Comm comm, const trm_lines *lines, series *of, trm_error *err)
{
    trm_status status = TRM_OK;
    MPI_Allreduce(MPI_IN_PLACE, of->least, SERIES, MPI_DOUBLE, MPI_MIN, comm);
    MPI_Allreduce(MPI_IN_PLACE, of->most, SERIES, MPI_DOUBLE, MPI_MAX, comm);
    of->counts = true;
    for (int k = 0; k < SERIES && status == TRM_OK; k++) {
        const bool none = of->least[k] > of->most[k];
        status = trm_bins_make(&of->bins[k], lines->view->rule->bins, none ? 0.0 : of->least[k],
                               none ? 1.0 : of->most[k], err);
    }
    return trm_agree(comm, status, err);
}

trm_status trm_histograms_check(MPI_Comm comm, trm_lines *lines, trm_error *err)
{
    series of = {.least = {INFINITY, INFINITY, INFINITY}, .most = {-INFINITY, -INFINITY, -INFINITY}};
    if (lines->view->rule->bins == 0 || lines->view->rule->bins > INT_MAX)
        return TRM_OK;
    trm_status status = walk(comm, lines, &of, err);
    if (status == TRM_OK)
        status = make_bins(comm, lines, &of, err);
    if (status == TRM_OK)
        status = walk(comm, lines, &of, err);
    for (int k = 0; k < SERIES && status == TRM_OK; k++) {
        MPI_Allreduce(MPI_IN_PLACE, of.bins[k].count, (int)of.bins[k].bins, MPI_INT64_T, MPI_SUM, comm);
        status = trm_agree(
            comm, trm_bins_compare(&of.bins[k], lines->of.result, paths[k][0], paths[k][1], err), err);
    }
    for (int k = 0; k < SERIES; k++)
        trm_bins_free(&of.bins[k]);
    return status;
}
