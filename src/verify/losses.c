/* Losses, decided anew; see losses.h. Ranks share out lines, triplets or anchors, and add up what these cost. */
#include "verify/losses.h"

#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/loss_files.h"
#include "verify/cost.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

trm_status trm_losses_find(trm_result *result, const trm_rule *rule, bool *there, trm_error *err)
{
    trm_result_array array;
    bool two = false;
    trm_status status = trm_result_find(result, "/gradient/store", &array, &two, err);
    if (status == TRM_OK && !two)
        status = trm_result_find(result, "/gradient", &array, there, err);
    *there = *there || two;
    return status == TRM_OK && rule->gradient && !*there
               ? trm_fail(err, TRM_ERR_DATA,
                          "result '%s': no dataset '/gradient', which its options say is there",
                          trm_result_path(result))
               : status;
}

/* ---- of lines ---- */

static trm_status add_line(void *context, const trm_triplet *triplet, trm_error *err)
{
    return trm_cost_add(context, triplet, err);
}

trm_status trm_losses_of_lines(MPI_Comm comm, const trm_verify_ask *ask, trm_lines *lines,
                               const trm_census *census, const trm_batch_lists *lists, int64_t *rows,
                               trm_error *err)
{
    const trm_view *view = lines->view;
    trm_cost cost;
    const trm_divisors by = {lists != NULL ? lists->valid : census->valid,
                             lists != NULL ? lists->start[lists->count] : view->askers};
    trm_status status = trm_cost_begin(view, ask->sample, ask->seed, &cost, err);
    if (status == TRM_OK)
        status = trm_lines_walk(comm, lines, add_line, &cost, err);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = trm_cost_merge(comm, &cost, err);
    if (status == TRM_OK)
        status = trm_cost_compare(comm, &cost, &by, lines->of.result, rows, err);
    trm_cost_free(&cost);
    return status;
}

/* ---- of given triplets ---- */

/* Walks along the triplets of a file, whose distances are to be found. */
typedef struct given {
    const trm_view *view;
    float *anchor, *other;
    int64_t row; /* the anchor that is there */
    double norm2;
} given;

static trm_status measure(given *of, int64_t row, double *d, trm_error *err)
{
    const int dim = of->view->dim;
    trm_status status = trm_view_row(of->view, false, row, of->other, NULL, NULL, err);
    if (status == TRM_OK)
        *d = trm_distance(of->view->rule->metric, of->anchor, of->norm2, of->other,
                          trm_dot(of->other, of->other, dim), dim, NULL);
    return status;
}

static trm_status add_one(given *of, trm_triplet t, trm_cost *cost, trm_error *err)
{
    const trm_view *view = of->view;
    trm_status status = TRM_OK;
    if (t.anchor < 0 || t.anchor >= view->askers || t.positive < -1 || t.positive >= view->rows ||
        t.negative < 0 || t.negative >= view->rows)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplets: (%" PRId64 ", %" PRId64 ", %" PRId64 ") is out of range", t.anchor,
                        t.positive, t.negative);
    if (t.anchor != of->row)
        status = trm_view_row(view, true, t.anchor, of->anchor, NULL, NULL, err);
    of->row = t.anchor;
    of->norm2 = status == TRM_OK ? trm_dot(of->anchor, of->anchor, view->dim) : 0.0;
    if (status == TRM_OK && t.positive >= 0)
        status = measure(of, t.positive, &t.d_ap, err);
    if (status == TRM_OK)
        status = measure(of, t.negative, &t.d_an, err);
    return status == TRM_OK ? trm_cost_add(cost, &t, err) : status;
}

/* *named: anchors that the triplets name. Collective. */
static trm_status add_given(MPI_Comm comm, const trm_verify_ask *ask, trm_cost *cost, int64_t *named,
                            trm_error *err)
{
    enum { NAMED = 1 << 20 };
    const trm_view *view = cost->view;
    trm_given_triplets list = {0, NULL, NULL, NULL};
    int64_t first, total;
    trm_status status = trm_triplets_read(comm, ask->triplets, &list, &first, &total, NULL, err);
    if (status != TRM_OK)
        return status;
    given of = {view, trm_alloc(view->dim, sizeof(float)), trm_alloc(view->dim, sizeof(float)), -1, 0.0};
    int64_t *is_named = trm_alloc_zero(view->askers, sizeof *is_named);
    if (of.anchor == NULL || of.other == NULL || is_named == NULL)
        status = trm_fail_memory(err, "anchors", view->askers, sizeof *is_named);
    for (int64_t k = 0; k < list.count && status == TRM_OK; k++) {
        const trm_triplet t = {list.anchor[k], list.positive[k], list.negative[k], 0.0, 0.0, 0, 1};
        status = add_one(&of, t, cost, err);
        if (status == TRM_OK)
            is_named[t.anchor] = 1;
    }
    status = trm_agree(comm, status, err);
    *named = 0;
    for (int64_t row = 0; row < view->askers && status == TRM_OK; row += NAMED) {
        const int64_t count = view->askers - row < NAMED ? view->askers - row : NAMED;
        MPI_Allreduce(MPI_IN_PLACE, is_named + row, (int)count, MPI_INT64_T, MPI_MAX, comm);
        for (int64_t i = 0; i < count; i++)
            *named += is_named[row + i];
    }
    trm_free(of.anchor);
    trm_free(of.other);
    trm_free(is_named);
    trm_triplets_free(&list);
    return status;
}

/* ---- of all anchors ---- */

static bool is_whole(const trm_rule *rule)
{
    return trm_rule_is(rule->source, "batch-all") || trm_rule_is(rule->source, "within-margin");
}

static trm_status add_group(const trm_view *view, const trm_candidates *from, int64_t first, int64_t count,
                            trm_cost *cost, trm_error *err)
{
    trm_group group;
    const trm_taker to = {cost, trm_cost_add};
    int64_t *anchor = trm_alloc(count, sizeof *anchor);
    if (anchor == NULL)
        return trm_fail_memory(err, "anchors", count, sizeof *anchor);
    for (int64_t i = 0; i < count; i++)
        anchor[i] = first + i;
    trm_status status = trm_group_look(view, from, count, anchor, &group, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        status = is_whole(view->rule) ? trm_cost_add_all(cost, &group, &group.anchor[i], err)
                                      : trm_triplets_of(&group, &group.anchor[i], true, &to, err);
    trm_group_free(&group);
    trm_free(anchor);
    return status;
}

/* Each rank has a part of the anchors. */
static trm_status add_anchors(MPI_Comm comm, const trm_view *view, const trm_census *census, trm_cost *cost,
                              trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    const trm_candidates from = trm_candidates_all(view, census->most_positives);
    const int64_t most = trm_group_most(&from);
    trm_status status = TRM_OK;
    MPI_Comm_size(comm, &ranks);
    trm_share(view->askers, trm_rank_of(comm), ranks, &first, &last);
    for (int64_t at = first; at < last && status == TRM_OK; at += most)
        status = add_group(view, &from, at, last - at < most ? last - at : most, cost, err);
    return trm_agree(comm, status, err);
}

/* ---- a result of loss ---- */

void trm_losses_undecided(const trm_verify_ask *ask, const trm_view *view, char why[TRM_VERIFY_WHY])
{
    const double most = 2e10, pairs = (double)view->askers * (double)view->rows;
    const trm_rule *rule = view->rule;
    const bool by_file = trm_rule_is(rule->source, "given");
    const char *unknown = by_file || is_whole(rule) ? NULL : trm_triplets_undecided(rule);
    why[0] = '\0';
    if (rule->unknown[0] != '\0' || unknown != NULL)
        snprintf(why, TRM_VERIFY_WHY, "%s", unknown != NULL ? unknown : rule->unknown);
    else if (ask->sample == 0)
        snprintf(why, TRM_VERIFY_WHY, "--sample 0 asks for nothing");
    else if (by_file && ask->triplets == NULL)
        snprintf(why, TRM_VERIFY_WHY, "it is of the triplets of a file: give that, too, with --triplets");
    else if (!by_file && pairs * (double)view->dim > most && ask->sample < view->askers)
        snprintf(why, TRM_VERIFY_WHY,
                 "a loss is of all anchors, here %.2g multiplications: --sample %" PRId64 " asks for it",
                 pairs * (double)view->dim, view->askers);
}

static trm_status compare_value(const trm_result *result, double needs, trm_error *err)
{
    double has = NAN;
    if (trm_result_real(result, "value", &has) && memcmp(&has, &needs, sizeof has) == 0)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute 'value' is %.17g; decided anew: %.17g",
                    trm_result_path(result), has, needs);
}

trm_status trm_losses_decide(MPI_Comm comm, const trm_verify_ask *ask, trm_result *result,
                             const trm_census *census, int64_t *triplets, int64_t *rows, trm_error *err)
{
    const trm_view *view = census->view;
    const bool by_file = trm_rule_is(view->rule->source, "given");
    bool gradient = false;
    trm_cost cost;
    trm_divisors by = {census->valid, view->askers};
    trm_status status = trm_losses_find(result, view->rule, &gradient, err);
    trm_status begun = trm_cost_begin(view, gradient ? ask->sample : 0, ask->seed, &cost, err);
    status = trm_agree(comm, status == TRM_OK ? begun : status, err);
    cost.census = is_whole(view->rule) ? census : NULL;
    if (status == TRM_OK)
        status = by_file ? add_given(comm, ask, &cost, &by.valid, err)
                         : add_anchors(comm, view, census, &cost, err);
    if (!by_file || !view->rule->by_name)
        by.valid = census->valid;
    if (status == TRM_OK)
        status = trm_cost_merge(comm, &cost, err);
    *triplets = cost.count;
    if (status == TRM_OK)
        status = trm_agree(comm, compare_value(result, trm_cost_value(&cost, &by), err), err);
    if (status == TRM_OK && gradient)
        status = trm_cost_compare(comm, &cost, &by, result, rows, err);
    trm_cost_free(&cost);
    return status;
}
