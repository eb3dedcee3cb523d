/* Sums and gradients of triplets; see cost.h. The formulas are those of docs/LOSSES.md, written out once more. */
#include "verify/cost.h"

#include "base/alloc.h"
#include "base/order.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "verify/sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STORE, QUERIES };

trm_status trm_cost_begin(const trm_view *view, int64_t sample, uint64_t seed, trm_cost *cost, trm_error *err)
{
    const int64_t rows[2] = {view->rows, view->two_sets ? view->askers : 0};
    *cost = (trm_cost){.view = view};
    trm_exact_sum_clear(&cost->sum);
    for (int k = 0; k < 2; k++) {
        cost->drawn[k] = trm_sample_rows(rows[k], sample, seed, (uint64_t)k, &cost->drawn_count[k]);
        cost->x[k] = trm_alloc(view->dim, sizeof *cost->x[k]);
        if (cost->drawn[k] == NULL || cost->x[k] == NULL)
            return trm_fail_memory(err, "a sample of rows", sample, sizeof *cost->drawn[k]);
    }
    return TRM_OK;
}

void trm_cost_free(trm_cost *cost)
{
    for (int k = 0; k < 2; k++) {
        trm_free(cost->drawn[k]);
        trm_free(cost->x[k]);
    }
    for (int k = 0; k < TRM_COST_LISTS; k++)
        trm_free(cost->list[k].pair);
    *cost = (trm_cost){.view = NULL};
}

/* ---- pairs ---- */

/* weight * dd(row, other)/dx_row is a part of the gradient of row; kept if the row is drawn. */
static trm_status keep(trm_cost *cost, trm_cost_list which, int64_t row, int64_t other, double weight,
                       trm_error *err)
{
    const int set = which == TRM_QUERIES_BY_STORE ? QUERIES : STORE;
    if (weight == 0.0 || cost->drawn_count[set] == 0 ||
        bsearch(&row, cost->drawn[set], (size_t)cost->drawn_count[set], sizeof row, trm_compare_whole) ==
            NULL)
        return TRM_OK;
    if (cost->list[which].count == cost->list[which].room) {
        const int64_t room = 2 * cost->list[which].room + 1024;
        trm_cost_pair *larger =
            trm_grown(cost->list[which].pair, cost->list[which].count, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "pairs of a gradient", room, sizeof *larger);
        cost->list[which].pair = larger;
        cost->list[which].room = room;
    }
    cost->list[which].pair[cost->list[which].count++] =
        (trm_cost_pair){row, cost->census != NULL ? cost->census->label[other] : 0, other, weight};
    return TRM_OK;
}

/* A pair of an anchor and a row of the store, for both of them. */
static trm_status keep_both(trm_cost *cost, int64_t anchor, int64_t row, double weight, trm_error *err)
{
    const bool two = cost->view->two_sets;
    trm_status status = keep(cost, two ? TRM_QUERIES_BY_STORE : TRM_STORE_BY_STORE, anchor, row, weight, err);
    return status == TRM_OK
               ? keep(cost, two ? TRM_STORE_BY_QUERIES : TRM_STORE_BY_STORE, row, anchor, weight, err)
               : status;
}

static trm_status keep_in_store(trm_cost *cost, int64_t a, int64_t b, double weight, trm_error *err)
{
    trm_status status = keep(cost, TRM_STORE_BY_STORE, a, b, weight, err);
    return status == TRM_OK ? keep(cost, TRM_STORE_BY_STORE, b, a, weight, err) : status;
}

/* ---- one triplet ---- */

static double softplus(double z)
{
    return log1p(exp(-fabs(z))) + (z > 0.0 ? z : 0.0);
}

static double sigmoid(double z)
{
    const double e = exp(-fabs(z));
    return z >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

static double slope_of(const trm_rule *rule, double z)
{
    if (rule->soft)
        return sigmoid(z);
    return z > 0.0 || (z == 0.0 && trm_rule_is(rule->at_zero, "whole")) ? 1.0 : 0.0;
}

double trm_cost_count(trm_cost *cost, double d_near, double d_far)
{
    const trm_rule *rule = cost->view->rule;
    const double z = (d_near - d_far) + rule->loss_margin;
    cost->count++;
    cost->active += rule->soft || z > 0.0;
    if (rule->soft) {
        trm_exact_sum_add(&cost->sum, softplus(z));
    } else if (z > 0.0) {
        trm_exact_sum_add(&cost->sum, d_near);
        trm_exact_sum_add(&cost->sum, -d_far);
        trm_exact_sum_add(&cost->sum, rule->loss_margin);
    }
    return slope_of(rule, z);
}

/* d(p,n), with --swap. */
static trm_status between(trm_cost *cost, const trm_triplet *t, double *d, trm_error *err)
{
    const trm_view *view = cost->view;
    const float *p = cost->x[0], *n = cost->x[1];
    trm_status status = trm_view_row(view, false, t->positive, cost->x[0], NULL, NULL, err);
    if (status == TRM_OK)
        status = trm_view_row(view, false, t->negative, cost->x[1], NULL, NULL, err);
    if (status == TRM_OK)
        *d = trm_distance(view->rule->metric, p, trm_dot(p, p, view->dim), n, trm_dot(n, n, view->dim),
                          view->dim, NULL);
    return status;
}

trm_status trm_cost_add(void *context, const trm_triplet *t, trm_error *err)
{
    trm_cost *cost = context;
    const trm_rule *rule = cost->view->rule;
    double d_pn = INFINITY;
    trm_status status = rule->swap && t->positive >= 0 ? between(cost, t, &d_pn, err) : TRM_OK;
    if (status != TRM_OK)
        return status;
    const bool swap = d_pn < t->d_an;
    const double slope = trm_cost_count(cost, t->d_ap, swap ? d_pn : t->d_an);
    if (t->positive >= 0)
        status = keep_both(cost, t->anchor, t->positive, slope, err);
    if (status != TRM_OK)
        return status;
    return swap ? keep_in_store(cost, t->positive, t->negative, -slope, err)
                : keep_both(cost, t->anchor, t->negative, -slope, err);
}

/* ---- all triplets of an anchor ---- */

/* Of a positive at distance d: the negatives [from, to) make triplets with it, [from, end) active ones. All three only grow with
 * d, so they are moved on. */
typedef struct reach {
    int64_t from, to, end;
} reach;

static void move_on(const trm_rule *rule, const trm_other *negative, int64_t negatives, double d, reach *at)
{
    const bool within = !isnan(rule->within);
    while (within && at->from < negatives && !(negative[at->from].d - d > 0.0))
        at->from++;
    while (at->to < negatives && (!within || negative[at->to].d - d <= rule->within))
        at->to++;
    while (at->end < negatives && (d - negative[at->end].d) + rule->loss_margin > 0.0)
        at->end++;
}

/* Adds the positives; times[i]: how often the negative i is active, less how often the one before it is. */
static trm_status add_positives(trm_cost *cost, const trm_anchor *anchor, const trm_other *negative,
                                int64_t *times, trm_error *err)
{
    const trm_rule *rule = cost->view->rule;
    reach at = {0, 0, 0};
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < anchor->positives && status == TRM_OK; i++) {
        const double d = anchor->other[i].d;
        move_on(rule, negative, anchor->negatives, d, &at);
        const int64_t to = at.to > at.from ? at.to : at.from, reached = at.end < to ? at.end : to,
                      end = reached > at.from ? reached : at.from;
        cost->count += to - at.from;
        cost->active += end - at.from;
        times[at.from]++;
        times[end]--;
        trm_exact_sum_add_times(&cost->sum, d, end - at.from);
        trm_exact_sum_add_times(&cost->sum, rule->loss_margin, end - at.from);
        status = keep_both(cost, anchor->id, anchor->other[i].id, (double)(end - at.from), err);
    }
    return status;
}

trm_status trm_cost_add_all(trm_cost *cost, const trm_group *group, const trm_anchor *anchor, trm_error *err)
{
    const trm_other *negative = trm_anchor_negatives(group, anchor);
    int64_t *times = trm_alloc_zero(anchor->negatives + 1, sizeof *times), active = 0;
    trm_status status = times == NULL ? trm_fail_memory(err, "counts", anchor->negatives + 1, sizeof *times)
                                      : add_positives(cost, anchor, negative, times, err);
    for (int64_t i = 0; i < anchor->negatives && status == TRM_OK; i++) {
        active += times[i];
        trm_exact_sum_add_times(&cost->sum, -negative[i].d, active);
        status = keep_both(cost, anchor->id, negative[i].id, -(double)active, err);
    }
    trm_free(times);
    return status;
}

/* ---- all ranks ---- */

trm_status trm_cost_merge(MPI_Comm comm, trm_cost *cost, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    int64_t *counts = trm_alloc(2 * (int64_t)ranks, sizeof *counts);
    trm_status status = counts == NULL ? trm_fail_memory(err, "counts", 2 * ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(comm, status, err);
    trm_merge_exact_sum(comm, &cost->sum);
    cost->count = trm_sum_int64(comm, cost->count);
    cost->active = trm_sum_int64(comm, cost->active);
    for (int k = 0; k < TRM_COST_LISTS && status == TRM_OK; k++) {
        void *received = NULL;
        status = trm_exchange_by_key(comm, cost->list[k].pair, cost->list[k].count, sizeof(trm_cost_pair),
                                     counts, counts + ranks, &received, err);
        if (status != TRM_OK)
            break;
        trm_free(cost->list[k].pair);
        cost->list[k].pair = received;
        cost->list[k].count = cost->list[k].room = 0;
        for (int r = 0; r < ranks; r++)
            cost->list[k].count += counts[ranks + r];
    }
    trm_free(counts);
    return status;
}

int64_t trm_cost_divisor(const trm_cost *cost, const trm_divisors *by)
{
    const char *reduction = cost->view->rule->reduction;
    return trm_rule_is(reduction, "sum")            ? 1
           : trm_rule_is(reduction, "mean_nonzero") ? cost->active
           : trm_rule_is(reduction, "mean_valid")   ? by->valid
           : trm_rule_is(reduction, "mean_rows")    ? by->rows
                                                    : cost->count;
}

double trm_cost_value(const trm_cost *cost, const trm_divisors *by)
{
    const int64_t divisor = trm_cost_divisor(cost, by);
    return divisor > 0 ? trm_exact_sum_value(&cost->sum) / (double)divisor : 0.0;
}

/* ---- the gradient of a row ---- */

/* In the order of adding; the weights of a pair ascend. */
static int compare_pairs(const void *a, const void *b)
{
    const trm_cost_pair *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    if (x->other != y->other)
        return x->other < y->other ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

/* A row whose gradient is summed up: y is room for another. */
typedef struct slope {
    const trm_view *view;
    const float *x;
    float *y;
    double norm2, along, *sum; /* along: what x itself is to be added times at the end */
} slope;

/* sql2 2 (x - y), l2 (x - y) / d or 0, cosine -(y/|y| - s x/|x|) / |x|, dot -y. */
trm_cost_term trm_cost_term_of(trm_metric metric, double weight, double d, double g, double norm2_x,
                               double norm2_y)
{
    const double norms = sqrt(norm2_x * norm2_y), by_d = d > 0.0 ? weight / d : 0.0;
    switch (metric) {
    case TRM_METRIC_SQL2:
        return (trm_cost_term){2.0 * weight, -(2.0 * weight)};
    case TRM_METRIC_L2:
        return (trm_cost_term){by_d, -by_d};
    case TRM_METRIC_COSINE:
        return (trm_cost_term){weight * ((g / norms) / norm2_x), -(weight / norms)};
    case TRM_METRIC_DOT:
        return (trm_cost_term){0.0, -weight};
    }
    return (trm_cost_term){0.0, 0.0};
}

void trm_cost_add_term(trm_cost_term term, const float *x, const float *y, int dim, double *sum)
{
    for (int k = 0; k < dim; k++)
        sum[k] += term.b == -term.a ? term.a * ((double)x[k] - (double)y[k])
                                    : term.a * (double)x[k] + term.b * (double)y[k];
}

/* at_end: what is along x itself is added when all others are. */
static void add_term(slope *of, double weight, bool at_end)
{
    double g;
    const int dim = of->view->dim;
    const trm_metric metric = of->view->rule->metric;
    const double norm2 = trm_dot(of->y, of->y, dim),
                 d = trm_distance(metric, of->x, of->norm2, of->y, norm2, dim, &g);
    const trm_cost_term term = trm_cost_term_of(metric, weight, d, g, of->norm2, norm2);
    if (!at_end) {
        trm_cost_add_term(term, of->x, of->y, dim, of->sum);
        return;
    }
    of->along += term.a;
    for (int k = 0; k < dim; k++)
        of->sum[k] += term.b * (double)of->y[k];
}

/* Adds the pairs of a row, which are [*at, ...) of a list that is in order. */
static trm_status add_pairs(const trm_cost *cost, trm_cost_list which, int64_t row, int64_t *at, slope *of,
                            trm_error *err)
{
    const trm_cost_pair *pair = cost->list[which].pair;
    trm_status status = TRM_OK;
    while (*at < cost->list[which].count && pair[*at].row == row && status == TRM_OK) {
        const int64_t other = pair[*at].other;
        double weight = 0.0;
        for (; *at < cost->list[which].count && pair[*at].row == row && pair[*at].other == other; ++*at)
            weight += pair[*at].weight;
        if (weight == 0.0)
            continue;
        status = trm_view_row(cost->view, which == TRM_STORE_BY_QUERIES, other, of->y, NULL, NULL, err);
        if (status == TRM_OK)
            add_term(of, weight, cost->census != NULL);
    }
    return status;
}

/* Through the normalisation: (g - (g.x) x) / |row|. */
void trm_cost_round(const trm_rule *rule, double *sum, const float *x, int dim, int64_t divisor, double norm,
                    float *gradient)
{
    const bool through = rule->normalize && trm_rule_is(rule->gradient_at, "stored");
    double along = 0.0;
    for (int k = 0; k < dim; k++)
        sum[k] = divisor > 0 ? sum[k] / (double)divisor : 0.0;
    for (int k = 0; k < dim && through; k++)
        along += sum[k] * (double)x[k];
    for (int k = 0; k < dim; k++)
        gradient[k] = (float)(through ? (sum[k] - along * (double)x[k]) / norm : sum[k]);
}

static trm_status compare_row(trm_result *result, const trm_result_array *array, int64_t row, float *has,
                              const float *needs, trm_error *err)
{
    trm_status status = trm_result_read(result, array, row, 1, has, err);
    for (int64_t k = 0; k < array->width && status == TRM_OK; k++)
        if (memcmp(&has[k], &needs[k], sizeof *has) != 0)
            status =
                trm_fail(err, TRM_ERR_DATA,
                         "result '%s': '%s' row %" PRId64 ": column %" PRId64 " is %.9g; decided anew: %.9g",
                         trm_result_path(result), array->name, row, k, (double)has[k], (double)needs[k]);
    return status;
}

/* ---- of all drawn rows of a set ---- */

/* Those whose pairs this rank has. first, last: the lists that are theirs. */
static trm_status compare_own(MPI_Comm comm, trm_cost *cost, int set, trm_cost_list first, trm_cost_list last,
                              int64_t divisor, trm_result *result, const trm_result_array *array,
                              trm_error *err)
{
    int ranks = 0;
    int64_t at[TRM_COST_LISTS] = {0};
    const trm_view *view = cost->view;
    float *has = trm_alloc(view->dim, sizeof *has);
    slope of = {.view = view, .x = cost->x[0], .y = cost->x[1], .sum = trm_alloc(view->dim, sizeof *of.sum)};
    trm_status status = has == NULL || of.sum == NULL
                            ? trm_fail_memory(err, "a gradient", view->dim, sizeof *has + sizeof *of.sum)
                            : TRM_OK;
    MPI_Comm_size(comm, &ranks);
    for (int64_t i = 0; i < cost->drawn_count[set] && status == TRM_OK; i++) {
        const int64_t row = cost->drawn[set][i];
        double norm;
        if (trm_home_of(ranks, row) != trm_rank_of(comm))
            continue;
        status = trm_view_row(view, set == QUERIES, row, cost->x[0], NULL, &norm, err);
        of.along = 0.0;
        of.norm2 = status == TRM_OK ? trm_dot(of.x, of.x, view->dim) : 0.0;
        for (int k = 0; k < view->dim; k++)
            of.sum[k] = 0.0;
        for (int k = (int)first; k <= (int)last && status == TRM_OK; k++)
            status = add_pairs(cost, (trm_cost_list)k, row, &at[k], &of, err);
        if (status != TRM_OK)
            break;
        for (int k = 0; k < view->dim; k++)
            of.sum[k] += of.along * (double)of.x[k];
        trm_cost_round(view->rule, of.sum, of.x, view->dim, divisor, norm, cost->x[1]);
        status = compare_row(result, array, row, has, cost->x[1], err);
    }
    trm_free(has);
    trm_free(of.sum);
    return status;
}

/* Collective. */
static trm_status compare_set(MPI_Comm comm, trm_cost *cost, int set, const char *name, int64_t divisor,
                              trm_result *result, trm_error *err)
{
    trm_result_array array;
    const trm_view *view = cost->view;
    const trm_cost_list first = set == QUERIES ? TRM_QUERIES_BY_STORE : TRM_STORE_BY_QUERIES,
                        last = set == QUERIES ? TRM_QUERIES_BY_STORE : TRM_STORE_BY_STORE;
    trm_status status = trm_result_need(result, name, TRM_ARRAY_FLOAT32, 2,
                                        set == QUERIES ? view->askers : view->rows, &array, err);
    if (status == TRM_OK && array.width != view->dim)
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' has %" PRId64 " columns, the rows have %d",
                          trm_result_path(result), name, array.width, view->dim);
    for (int k = (int)first; k <= (int)last; k++)
        if (cost->list[k].count > 1)
            qsort(cost->list[k].pair, (size_t)cost->list[k].count, sizeof(trm_cost_pair), compare_pairs);
    if (status == TRM_OK)
        status = compare_own(comm, cost, set, first, last, divisor, result, &array, err);
    return trm_agree(comm, status, err);
}

trm_status trm_cost_compare(MPI_Comm comm, trm_cost *cost, const trm_divisors *by, trm_result *result,
                            int64_t *rows, trm_error *err)
{
    const int64_t divisor = trm_cost_divisor(cost, by);
    const bool two = cost->view->two_sets;
    trm_status status = TRM_OK;
    if (two)
        status = compare_set(comm, cost, QUERIES, "/gradient/queries", divisor, result, err);
    if (status == TRM_OK)
        status = compare_set(comm, cost, STORE, two ? "/gradient/store" : "/gradient", divisor, result, err);
    *rows = cost->drawn_count[STORE] + cost->drawn_count[QUERIES];
    return status;
}
