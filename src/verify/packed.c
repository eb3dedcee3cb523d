/* Packed triplets, decided anew; see packed.h. An anchor and its own negatives are a small store of their own, with one positive. */
#include "verify/packed.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/loss_files.h"
#include "verify/cost.h"
#include "verify/sample.h"
#include "verify/triplets.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct packed {
    const trm_rule *rule;
    trm_result *result;
    trm_packed in;
    int64_t first, total; /* this rank's first anchor; anchors of all */
    trm_view view;        /* of an anchor's own negatives */
    trm_other *other;     /* the positive, and the negatives by distance */
    int64_t *chosen;      /* places of negatives, in the order of ranks */
    int64_t count;
    double *sum; /* of the anchor, its positive, a negative */
    float *has, *needs;
} packed;

/* ---- the file ---- */

static trm_status check_ask(const trm_verify_ask *ask, const trm_result *result, trm_error *err)
{
    if (ask->stores == 1 && ask->queries == 0 && ask->pairs == NULL)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_USAGE, "result '%s' is of packed triplets: give their one file alone",
                    trm_result_path(result));
}

static trm_status check_whole(const packed *of, const char *name, int64_t needs, trm_error *err)
{
    int64_t has = -1;
    if (trm_result_whole(of->result, name, &has) && has == needs)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "result '%s': attribute '%s' is %" PRId64 ", the packed triplets have %" PRId64,
                    trm_result_path(of->result), name, has, needs);
}

/* Anchors, positives and negatives, which are numbered on. */
static void take_fingerprint(MPI_Comm comm, const packed *of, char text[33])
{
    const float *const rows[] = {of->in.anchor, of->in.positive, of->in.negative};
    const int64_t dim = of->in.dim;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int k = 0; k < 3; k++) {
        const int64_t each = k == 2 ? of->in.negatives : 1;
        for (int64_t i = 0; i < of->in.count * each; i++)
            trm_hash_sum_add_keyed(&hash, k * of->total + of->first * each + i, rows[k] + i * dim,
                                   (size_t)dim * sizeof **rows);
    }
    trm_merge_hash_sum(comm, &hash);
    trm_hash_sum_text(&hash, text);
}

static trm_status check_file(MPI_Comm comm, const packed *of, trm_verify_found *found, trm_error *err)
{
    take_fingerprint(comm, of, found->fingerprint);
    trm_status status = check_whole(of, "batch", of->total, err);
    if (status == TRM_OK)
        status = check_whole(of, "negatives", of->in.negatives, err);
    if (status == TRM_OK)
        status = check_whole(of, "dim", of->in.dim, err);
    const char *has = trm_result_text(of->result, "packed_fingerprint");
    if (status == TRM_OK && strcmp(has, found->fingerprint) != 0)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': attribute 'packed_fingerprint' is %s, the packed triplets have %s",
                          trm_result_path(of->result), has, found->fingerprint);
    found->rows = found->askers = of->total;
    found->dim = of->in.dim;
    return trm_agree(comm, status, err);
}

/* ---- which of an anchor's own negatives ---- */

static double norm2_of(const packed *of, const float *x, bool *is_floor)
{
    const double norm2 = trm_dot(x, x, of->in.dim);
    *is_floor = of->rule->metric == TRM_METRIC_COSINE && norm2 < of->rule->norm_floor;
    return *is_floor ? of->rule->norm_floor : norm2;
}

static double distance(const packed *of, const float *x, const float *y)
{
    bool unused;
    return trm_distance(of->rule->metric, x, norm2_of(of, x, &unused), y, norm2_of(of, y, &unused),
                        of->in.dim, NULL);
}

static const float *negative_of(const packed *of, int64_t anchor, int64_t k)
{
    return of->in.negative + (anchor * of->in.negatives + k) * of->in.dim;
}

/* Of trm_taker. */
static trm_status take(void *context, const trm_triplet *triplet, trm_error *err)
{
    packed *of = context;
    (void)err;
    of->chosen[of->count++] = triplet->negative;
    return TRM_OK;
}

/* The least hinge of d(a,n) - d(a,p), the first of equal ones: as once published. */
static int64_t reversed(const packed *of)
{
    double least = INFINITY;
    int64_t best = 0;
    for (int64_t k = 0; k < of->in.negatives; k++) {
        const double z = (of->other[1 + k].d - of->other[0].d) + of->rule->loss_margin,
                     hinge = z > 0.0 ? z : 0.0;
        best = hinge < least ? k : best;
        least = hinge < least ? hinge : least;
    }
    return best;
}

static bool is_reversed(const packed *of)
{
    return trm_rule_is(of->rule->negatives, "reversed");
}

static trm_status choose(packed *of, int64_t anchor, trm_error *err)
{
    bool unused;
    const int64_t k = of->in.negatives;
    const float *x = of->in.anchor + anchor * of->in.dim;
    const trm_taker to = {of, take};
    const trm_anchor one = {.id = of->first + anchor,
                            .x = x,
                            .norm2 = norm2_of(of, x, &unused),
                            .other = of->other,
                            .positives = 1,
                            .negatives = k};
    const trm_group group = {.view = &of->view, .of = {k + 1, NULL, of->rule->seed, INT64_MAX, INT64_MAX}};
    of->other[0] = (trm_other){distance(of, x, of->in.positive + anchor * of->in.dim), 0.0, 0, 0};
    for (int64_t n = 0; n < k; n++)
        of->other[1 + n] = (trm_other){distance(of, x, negative_of(of, anchor, n)), 0.0, n, 0};
    of->count = 0;
    if (is_reversed(of) || (k == 1 && trm_rule_is(of->rule->negatives, "semihard"))) { /* ready triplets */
        of->chosen[of->count++] = is_reversed(of) ? reversed(of) : 0;
        return TRM_OK;
    }
    trm_other_sort(of->other + 1, k, trm_other_by_distance);
    return trm_triplets_of(&group, &one, true, &to, err);
}

/* ---- what it costs ---- */

/* The pair that pulls, near, and the one that pushes. */
typedef struct pulls {
    const float *near[2], *far[2];
    double slope;
} pulls;

static pulls count_one(const packed *of, int64_t anchor, int64_t k, trm_cost *cost)
{
    const float *a = of->in.anchor + anchor * of->in.dim, *p = of->in.positive + anchor * of->in.dim,
                *n = negative_of(of, anchor, k);
    const bool swap = of->rule->swap && distance(of, p, n) < distance(of, a, n);
    pulls one = {{a, p}, {swap ? p : a, n}, 0.0};
    if (is_reversed(of))
        one = (pulls){{a, n}, {a, p}, 0.0};
    one.slope =
        trm_cost_count(cost, distance(of, one.near[0], one.near[1]), distance(of, one.far[0], one.far[1]));
    return one;
}

/* Adds weight * dd/drow where the row is one of the pair. A norm that is the floor is a constant. */
static void add_pair(const packed *of, const float *const pair[2], double weight, const float *row,
                     double *sum)
{
    bool is_floor, unused;
    double g;
    const float *other = row == pair[0] ? pair[1] : pair[0];
    if (weight == 0.0 || (row != pair[0] && row != pair[1]))
        return;
    const double norm2 = norm2_of(of, row, &is_floor), norm2_too = norm2_of(of, other, &unused);
    const double d = trm_distance(of->rule->metric, row, norm2, other, norm2_too, of->in.dim, &g);
    trm_cost_term term = trm_cost_term_of(of->rule->metric, weight, d, g, norm2, norm2_too);
    term.a = is_floor ? 0.0 : term.a;
    trm_cost_add_term(term, row, other, of->in.dim, sum);
}

/* ---- a gradient ---- */

static trm_status compare(packed *of, const trm_result_array *array, int64_t row, int64_t place,
                          const float *needs, trm_error *err)
{
    const int64_t dim = of->in.dim;
    for (int64_t k = 0; k < dim; k++)
        if (memcmp(&of->has[place * dim + k], &needs[k], sizeof *needs) != 0)
            return trm_fail(err, TRM_ERR_DATA,
                            "result '%s': '%s' row %" PRId64 ": column %" PRId64
                            " is %.9g; decided anew: %.9g",
                            trm_result_path(of->result), array->name, row, place * dim + k,
                            (double)of->has[place * dim + k], (double)needs[k]);
    return TRM_OK;
}

/* One row of the anchor's: each of its triplets adds its part. k: the place among the negatives, or -1. */
static trm_status compare_row(packed *of, const trm_result_array *array, int64_t anchor, const float *x,
                              int64_t k, double norm, int64_t divisor, trm_error *err)
{
    trm_cost unused;
    trm_status status = trm_cost_begin(&of->view, 0, 0, &unused, err);
    for (int i = 0; i < of->in.dim; i++)
        of->sum[i] = 0.0;
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++) {
        if (k >= 0 && of->chosen[i] != k)
            continue;
        const pulls one = count_one(of, anchor, of->chosen[i], &unused);
        add_pair(of, one.near, one.slope, x, of->sum);
        add_pair(of, one.far, -one.slope, x, of->sum);
    }
    trm_cost_free(&unused);
    if (status != TRM_OK)
        return status;
    trm_cost_round(of->rule, of->sum, x, of->in.dim, divisor, norm, of->needs);
    return compare(of, array, of->first + anchor, k < 0 ? 0 : k, of->needs, err);
}

static trm_status compare_anchor(packed *of, const trm_result_array array[3], int64_t anchor, int64_t divisor,
                                 trm_error *err)
{
    const int64_t k = of->in.negatives, dim = of->in.dim, row = of->first + anchor;
    const float *const own[] = {of->in.anchor + anchor * dim, of->in.positive + anchor * dim};
    const double *const norms[] = {of->in.anchor_norms, of->in.positive_norms};
    trm_status status = choose(of, anchor, err);
    for (int set = 0; set < 2 && status == TRM_OK; set++) {
        status = trm_result_read(of->result, &array[set], row, 1, of->has, err);
        if (status == TRM_OK)
            status = compare_row(of, &array[set], anchor, own[set], -1,
                                 norms[set] != NULL ? norms[set][anchor] : 1.0, divisor, err);
    }
    if (status == TRM_OK)
        status = trm_result_read(of->result, &array[2], row, 1, of->has, err);
    for (int64_t n = 0; n < k && status == TRM_OK; n++)
        status = compare_row(of, &array[2], anchor, negative_of(of, anchor, n), n,
                             of->in.negative_norms != NULL ? of->in.negative_norms[anchor * k + n] : 1.0,
                             divisor, err);
    return status;
}

static trm_status find_gradients(const packed *of, trm_result_array array[3], bool *there, trm_error *err)
{
    bool many = false;
    const int64_t dim = of->in.dim;
    trm_status status = trm_result_find(of->result, "/gradient/anchor", &array[0], there, err);
    if (status == TRM_OK && !*there && of->rule->gradient)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': no dataset '/gradient/anchor', which its options say is there",
                          trm_result_path(of->result));
    if (status != TRM_OK || !*there)
        return status;
    status = trm_result_find(of->result, "/gradient/negatives", &array[2], &many, err);
    const char *const names[] = {"/gradient/anchor", "/gradient/positive",
                                 many ? "/gradient/negatives" : "/gradient/negative"};
    for (int k = 0; k < 3 && status == TRM_OK; k++) {
        status = trm_result_need(of->result, names[k], TRM_ARRAY_FLOAT32, k == 2 && many ? 3 : 2, of->total,
                                 &array[k], err);
        if (status == TRM_OK && array[k].width != dim * (k == 2 ? of->in.negatives : 1))
            status = trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' has another width than the rows",
                              trm_result_path(of->result), names[k]);
    }
    return status;
}

static trm_status compare_sample(packed *of, const trm_verify_ask *ask, int64_t divisor, int64_t *rows,
                                 trm_error *err)
{
    trm_result_array array[3];
    bool there = false;
    int64_t count = 0, *anchor = trm_sample_rows(of->total, ask->sample, ask->seed, 0, &count);
    trm_status status = anchor == NULL ? trm_fail_memory(err, "a sample", ask->sample, sizeof *anchor)
                                       : find_gradients(of, array, &there, err);
    for (int64_t i = 0; i < count && status == TRM_OK && there; i++)
        if (anchor[i] >= of->first && anchor[i] < of->first + of->in.count)
            status = compare_anchor(of, array, anchor[i] - of->first, divisor, err);
    *rows = there ? count * (2 + of->in.negatives) : 0;
    trm_free(anchor);
    return status;
}

/* ---- all of it ---- */

static const char *undecided(const trm_rule *rule)
{
    const bool by_rows = trm_rule_is(rule->negatives, "weighted") && rule->metric == TRM_METRIC_DOT;
    if (rule->unknown[0] != '\0')
        return rule->unknown;
    return by_rows ? "weighted draws by dot are of l2 distances, which are not at hand here"
           : trm_rule_is(rule->negatives, "reversed") ? NULL
                                                      : trm_triplets_undecided(rule);
}

static trm_status make_room(packed *of, trm_error *err)
{
    const int64_t k = of->in.negatives, dim = of->in.dim;
    of->view =
        (trm_view){.rule = of->rule, .rows = k, .askers = of->total, .dim = of->in.dim, .two_sets = true};
    of->other = trm_alloc(k + 1, sizeof *of->other);
    of->chosen = trm_alloc(k, sizeof *of->chosen);
    of->sum = trm_alloc(dim, sizeof *of->sum);
    of->needs = trm_alloc(dim, sizeof *of->needs);
    of->has = trm_alloc(k * dim, sizeof *of->has);
    return of->other == NULL || of->chosen == NULL || of->sum == NULL || of->needs == NULL || of->has == NULL
               ? trm_fail_memory(err, "an anchor's negatives", k, sizeof *of->other)
               : TRM_OK;
}

static trm_status decide(MPI_Comm comm, packed *of, const trm_verify_ask *ask, trm_verify_found *found,
                         trm_error *err)
{
    trm_cost cost;
    const trm_divisors by = {of->total, of->total};
    trm_status status = trm_cost_begin(&of->view, 0, 0, &cost, err);
    for (int64_t anchor = 0; anchor < of->in.count && status == TRM_OK; anchor++) {
        status = choose(of, anchor, err);
        for (int64_t i = 0; i < of->count && status == TRM_OK; i++)
            (void)count_one(of, anchor, of->chosen[i], &cost);
    }
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = trm_cost_merge(comm, &cost, err);
    const double value = status == TRM_OK ? trm_cost_value(&cost, &by) : 0.0;
    if (status == TRM_OK && (!trm_result_real(of->result, "value", &found->value) ||
                             memcmp(&value, &found->value, sizeof value) != 0))
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': attribute 'value' is %.17g; decided anew: %.17g",
                          trm_result_path(of->result), found->value, value);
    found->anchors = of->total;
    found->entries = cost.count;
    if (status == TRM_OK)
        status = compare_sample(of, ask, trm_cost_divisor(&cost, &by), &found->gradient, err);
    trm_cost_free(&cost);
    return trm_agree(comm, status, err);
}

trm_status trm_packed_verify(MPI_Comm comm, const trm_verify_ask *ask, trm_result *result,
                             const trm_rule *rule, trm_verify_found *found, trm_error *err)
{
    packed of = {.rule = rule, .result = result};
    trm_read_options options;
    const char *why = undecided(rule);
    trm_read_options_init(&options);
    options.normalize = rule->normalize;
    options.refuse_zero_norm = rule->metric == TRM_METRIC_COSINE && !(rule->norm_floor > 0.0);
    trm_status status = check_ask(ask, result, err);
    if (status == TRM_OK)
        status = trm_packed_read(comm, ask->store[0], &options, &of.in, &of.first, &of.total, err);
    if (status == TRM_OK)
        status = check_file(comm, &of, found, err);
    if (status == TRM_OK)
        status = trm_agree(comm, make_room(&of, err), err);
    if (status == TRM_OK && why != NULL)
        snprintf(found->why_not, sizeof found->why_not, "%s", why);
    else if (status == TRM_OK)
        status = decide(comm, &of, ask, found, err);
    trm_packed_free(&of.in);
    trm_free(of.other);
    trm_free(of.chosen);
    trm_free(of.sum);
    trm_free(of.needs);
    trm_free(of.has);
    return status;
}
