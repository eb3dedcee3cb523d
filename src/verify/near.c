/* Rows within a radius, all at once; see near.h. Groups are those of a forest that each pair joins two trees of, whose roots are
 * their lowest rows (Tarjan 1975, with halved paths). */
#include "verify/near.h"

#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "verify/histograms.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { PIECE = 1 << 14 };
static const char *const pair_names[] = {"/pairs/a", "/pairs/b", "/pairs/distance"};

typedef struct near {
    trm_result *result;
    const trm_view *view;
    int64_t *degree, *tree; /* of each asker; tree NULL: no groups */
    trm_bins bins;
} near;

/* ---- from the pairs ---- */

static int64_t root_of(int64_t *tree, int64_t row)
{
    while (tree[row] != row)
        row = tree[row] = tree[tree[row]];
    return row;
}

static void join(int64_t *tree, int64_t a, int64_t b)
{
    a = root_of(tree, a);
    b = root_of(tree, b);
    if (a < b)
        tree[b] = a;
    else
        tree[a] = b;
}

static trm_status count_pairs(near *of, trm_error *err)
{
    trm_result_array array[3];
    int64_t a[PIECE], b[PIECE];
    double d[PIECE];
    void *const into[] = {a, b, d};
    trm_status status = TRM_OK;
    for (int k = 0; k < 3 && status == TRM_OK; k++)
        status = trm_result_need(of->result, pair_names[k], k < 2 ? TRM_ARRAY_INT64 : TRM_ARRAY_FLOAT64, 1,
                                 k > 0 ? array[0].size[0] : -1, &array[k], err);
    const int64_t pairs = status == TRM_OK ? array[0].size[0] : 0;
    for (int64_t at = 0; at < pairs && status == TRM_OK; at += PIECE) {
        const int64_t count = pairs - at < PIECE ? pairs - at : PIECE;
        for (int k = 0; k < 3 && status == TRM_OK; k++)
            status = trm_result_read(of->result, &array[k], at, count, into[k], err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            if (a[i] < 0 || a[i] >= of->view->askers || b[i] < 0 || b[i] >= of->view->rows)
                return trm_fail(err, TRM_ERR_DATA, "result '%s': '/pairs' row %" PRId64 ": is out of range",
                                trm_result_path(of->result), at + i);
            of->degree[a[i]]++;
            if (!of->view->two_sets)
                of->degree[b[i]]++;
            if (of->tree != NULL)
                join(of->tree, a[i], b[i]);
            trm_bins_count(&of->bins, d[i]);
        }
    }
    return status;
}

/* Rows whose label is ignored are in nothing: -1. */
static trm_status mark_ignored(near *of, trm_error *err)
{
    int64_t label[PIECE];
    const trm_view *view = of->view;
    trm_status status = TRM_OK;
    for (int64_t at = 0; at < view->askers && status == TRM_OK && view->ignored > 0; at += PIECE) {
        const int64_t count = view->askers - at < PIECE ? view->askers - at : PIECE;
        status = trm_view_labels(view, true, at, count, label, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            if (trm_view_ignores(view, label[i]) && of->degree[at + i] == 0) {
                of->degree[at + i] = -1;
                if (of->tree != NULL)
                    of->tree[at + i] = -1;
            }
    }
    return status;
}

/* ---- compared ---- */

/* A dataset with a number for each of `needed`. */
static trm_status compare(const near *of, const char *name, int64_t rows, const int64_t *needed,
                          trm_error *err)
{
    trm_result_array array;
    int64_t has[PIECE];
    trm_status status = trm_result_need(of->result, name, TRM_ARRAY_INT64, 1, rows, &array, err);
    for (int64_t at = 0; at < rows && status == TRM_OK; at += PIECE) {
        const int64_t count = rows - at < PIECE ? rows - at : PIECE;
        status = trm_result_read(of->result, &array, at, count, has, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            if (has[i] != needed[at + i])
                status = trm_fail(err, TRM_ERR_DATA,
                                  "result '%s': '%s' row %" PRId64 ": %" PRId64 "; by the pairs: %" PRId64,
                                  trm_result_path(of->result), name, at + i, has[i], needed[at + i]);
    }
    return status;
}

/* Degrees and groups, then the rows that are in no pair, which take the place of degrees. */
static trm_status compare_rows(near *of, trm_error *err)
{
    const int64_t rows = of->view->askers;
    int64_t isolated = 0;
    trm_status status = compare(of, "/degree", rows, of->degree, err);
    for (int64_t row = 0; row < rows && of->tree != NULL; row++)
        if (of->tree[row] >= 0)
            of->tree[row] = root_of(of->tree, row);
    if (status == TRM_OK && of->tree != NULL)
        status = compare(of, "/group", rows, of->tree, err);
    for (int64_t row = 0; row < rows; row++)
        if (of->degree[row] == 0)
            of->degree[isolated++] = row;
    return status == TRM_OK ? compare(of, "/isolated", isolated, of->degree, err) : status;
}

/* ---- the histogram ---- */

/* The largest norm of the rows that take part. */
static trm_status largest_norm(const trm_view *view, bool askers, double *largest, trm_error *err)
{
    const int64_t piece = trm_view_piece(view), rows = askers ? view->askers : view->rows;
    float *x = trm_alloc(piece * view->dim, sizeof *x);
    int64_t *label = trm_alloc(piece, sizeof *label);
    trm_status status = x == NULL || label == NULL
                            ? trm_fail_memory(err, "rows", piece, (size_t)view->dim * sizeof *x)
                            : TRM_OK;
    *largest = 0.0;
    for (int64_t at = 0; at < rows && status == TRM_OK; at += piece) {
        const int64_t count = rows - at < piece ? rows - at : piece;
        status = trm_view_read(view, askers, at, count, x, label, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            if (!trm_view_ignores(view, label[i])) {
                const float *row = x + i * view->dim;
                *largest = fmax(*largest, trm_dot(row, row, view->dim));
            }
    }
    trm_free(x);
    trm_free(label);
    return status;
}

/* From the least distance that two rows can have to the largest, or the radius: see docs/NEAR_DUPLICATES.md. */
static trm_status set_bins(near *of, trm_error *err)
{
    trm_result_array counts;
    const trm_view *view = of->view;
    const trm_metric metric = view->rule->metric;
    double norm[2];
    trm_status status =
        trm_result_need(of->result, "/histogram/counts", TRM_ARRAY_INT64, 1, -1, &counts, err);
    if (status == TRM_OK && counts.size[0] < 1)
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': '/histogram/counts' is empty",
                          trm_result_path(of->result));
    if (status == TRM_OK && view->rule->bins > 0 && counts.size[0] != view->rule->bins)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '/histogram/counts' has %" PRId64 " bins, its options have %" PRId64,
                          trm_result_path(of->result), counts.size[0], view->rule->bins);
    if (status == TRM_OK)
        status = largest_norm(view, false, &norm[0], err);
    if (status == TRM_OK)
        status = largest_norm(view, true, &norm[1], err);
    if (status != TRM_OK)
        return status;
    const double x = sqrt(norm[0]), y = sqrt(norm[1]);
    const double least = metric == TRM_METRIC_DOT ? -(x * y) : 0.0;
    const double most = fmin(view->rule->radius, metric == TRM_METRIC_DOT      ? x * y
                                                 : metric == TRM_METRIC_COSINE ? 2.0
                                                 : metric == TRM_METRIC_L2     ? x + y
                                                                               : (x + y) * (x + y));
    return trm_bins_make(&of->bins, counts.size[0], least, fmax(least, most), err);
}

/* ---- all of it ---- */

static trm_status check(near *of, trm_error *err)
{
    const int64_t rows = of->view->askers;
    const bool groups = of->view->rule->groups;
    of->degree = trm_alloc_zero(rows, sizeof *of->degree);
    of->tree = groups ? trm_alloc(rows, sizeof *of->tree) : NULL;
    if (of->degree == NULL || (groups && of->tree == NULL))
        return trm_fail_memory(err, "degrees and groups", rows, 2 * sizeof *of->degree);
    for (int64_t row = 0; row < rows && groups; row++)
        of->tree[row] = row;
    trm_status status = set_bins(of, err);
    if (status == TRM_OK)
        status = count_pairs(of, err);
    if (status == TRM_OK)
        status = mark_ignored(of, err);
    if (status == TRM_OK)
        status = compare_rows(of, err);
    if (status == TRM_OK)
        status = trm_bins_compare(&of->bins, of->result, "/histogram/edges", "/histogram/counts", err);
    return status;
}

trm_status trm_near_check(MPI_Comm comm, trm_result *result, const trm_view *view, trm_error *err)
{
    near of = {.result = result, .view = view};
    trm_status status = trm_rank_of(comm) == 0 ? check(&of, err) : TRM_OK;
    trm_free(of.degree);
    trm_free(of.tree);
    trm_bins_free(&of.bins);
    return trm_agree(comm, status, err);
}
