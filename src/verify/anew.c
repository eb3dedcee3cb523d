/* The distances of some anchors to all rows; see anew.h. */
#include "verify/anew.h"

#include "base/alloc.h"
#include "metric/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t group_bytes = INT64_C(256) << 20;

int trm_other_by_distance(const void *a, const void *b)
{
    const trm_other *s = a, *t = b;
    return s->d != t->d ? (s->d < t->d ? -1 : 1) : trm_other_by_id(a, b);
}

int trm_other_by_key(const void *a, const void *b)
{
    const trm_other *s = a, *t = b;
    return s->key != t->key ? (s->key < t->key ? -1 : 1) : trm_other_by_id(a, b);
}

int trm_other_by_id(const void *a, const void *b)
{
    const trm_other *s = a, *t = b;
    return s->id < t->id ? -1 : s->id > t->id;
}

void trm_other_sort(trm_other *other, int64_t count, int (*order)(const void *, const void *))
{
    if (count > 1)
        qsort(other, (size_t)count, sizeof *other, order);
}

/* ---- the candidates ---- */

trm_candidates trm_candidates_some(const trm_view *view, int64_t count, const int64_t *id, uint64_t seed,
                                   int64_t most_positives)
{
    const trm_rule *rule = view->rule;
    trm_candidates of = {count, id, seed, INT64_MAX, rule->rank_last};
    bool filters = false;
    for (int f = 0; f < TRM_FILTERS; f++)
        filters = filters || (f != TRM_FILTER_MAX_DISTANCE && !isnan(rule->filter[f]));
    if (!trm_rule_is(rule->shortlist, "st-mine"))
        return of;
    if (of.rank_last == INT64_MAX)
        of.rank_last = rule->rank_first - 1 + trm_rule_most(rule) * (filters ? 10 : 1) + most_positives;
    of.shortlist = of.rank_last + most_positives;
    return of;
}

trm_candidates trm_candidates_all(const trm_view *view, int64_t most_positives)
{
    return trm_candidates_some(view, view->rows, NULL, view->rule->seed, most_positives);
}

int64_t trm_group_most(const trm_candidates *of)
{
    const int64_t most = group_bytes / ((of->count + 1) * (int64_t)sizeof(trm_other));
    return most > 1 ? most : 1;
}

trm_other *trm_anchor_negatives(const trm_group *group, const trm_anchor *anchor)
{
    return anchor->other + (group->of.count - anchor->negatives);
}

static int64_t row_of(const trm_group *group, int64_t candidate)
{
    return group->of.id == NULL ? candidate : group->of.id[candidate];
}

/* ---- what a row is to an anchor ---- */

typedef enum role { NEITHER, POSITIVE, NEGATIVE } role;

static bool is_listed(const trm_view *view, const trm_anchor *anchor, int64_t row)
{
    int64_t count, low = 0;
    const int64_t *listed = trm_view_listed(view, anchor->id, &count);
    for (int64_t high = count; low < high;) {
        const int64_t middle = low + (high - low) / 2;
        if (listed[2 * middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && listed[2 * low] == row;
}

/* Of a question: rows that it is among are all negatives, to have one name. */
static role asked_role(const trm_rule *rule, bool same)
{
    const bool among = trm_rule_is(rule->among, "any") || trm_rule_is(rule->among, same ? "same" : "other");
    return among ? NEGATIVE : NEITHER;
}

static role role_of(const trm_view *view, const trm_anchor *anchor, int64_t row, int64_t label)
{
    const trm_rule *rule = view->rule;
    const bool same = label == anchor->label;
    if ((!view->two_sets && row == anchor->id) || anchor->ignored || trm_view_ignores(view, label))
        return NEITHER;
    if (rule->k > 0 || !isnan(rule->radius))
        return asked_role(rule, same);
    if (view->pair == NULL)
        return same ? POSITIVE : NEGATIVE;
    if (is_listed(view, anchor, row))
        return POSITIVE;
    return rule->and_labels && same ? NEITHER : NEGATIVE;
}

/* ---- a look at all rows ---- */

/* Keeps the values of a positive. False: there is no memory. */
static bool keep_positive(const trm_view *view, trm_anchor *anchor, const float *x)
{
    const size_t bytes = (size_t)view->dim * sizeof *x;
    if (isnan(view->rule->filter[TRM_FILTER_NOT_NEAR_POSITIVE]))
        return true;
    if (anchor->held == anchor->room) {
        const int64_t room = 2 * anchor->room + 8;
        float *larger = trm_grown(anchor->positive_x, anchor->held, room, bytes);
        if (larger == NULL)
            return false;
        anchor->positive_x = larger;
        anchor->room = room;
    }
    memcpy(anchor->positive_x + anchor->held++ * view->dim, x, bytes);
    return true;
}

/* One piece of rows, for one anchor. */
static bool look(const trm_group *group, trm_anchor *anchor, int64_t first, int64_t count)
{
    const trm_view *view = group->view;
    const int dim = view->dim;
    for (int64_t i = 0; i < count; i++) {
        const float *x = group->x + i * dim;
        const int64_t row = row_of(group, first + i);
        const role is = role_of(view, anchor, row, group->label[i]);
        if (is == NEITHER)
            continue;
        const double d =
            trm_distance(view->rule->metric, anchor->x, anchor->norm2, x, trm_dot(x, x, dim), dim, NULL);
        const trm_other other = {d, 0.0, row, anchor->positives};
        if (is == POSITIVE && !keep_positive(view, anchor, x))
            return false;
        if (is == POSITIVE)
            anchor->other[anchor->positives++] = other;
        else
            anchor->other[group->of.count - ++anchor->negatives] = other;
    }
    return true;
}

/* Candidates [first, first + count). */
static trm_status read_candidates(const trm_group *group, int64_t first, int64_t count, trm_error *err)
{
    const trm_view *view = group->view;
    trm_status status = TRM_OK;
    if (group->of.id == NULL)
        return trm_view_read(view, false, first, count, group->x, group->label, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        status = trm_view_row(view, false, group->of.id[first + i], group->x + i * view->dim,
                              group->label + i, NULL, err);
    return status;
}

static trm_status look_at_all(trm_group *group, trm_error *err)
{
    const trm_view *view = group->view;
    const int64_t piece = trm_view_piece(view), candidates = group->of.count;
    trm_status status = TRM_OK;
    for (int64_t at = 0; at < candidates && status == TRM_OK; at += piece) {
        const int64_t count = candidates - at < piece ? candidates - at : piece;
        bool failed = false;
        status = read_candidates(group, at, count, err);
        if (status != TRM_OK)
            break;
#pragma omp parallel for schedule(dynamic) reduction(|| : failed)
        for (int64_t k = 0; k < group->count; k++)
            failed = !look(group, &group->anchor[k], at, count) || failed;
        if (failed)
            status = trm_fail_memory(err, "positives", group->count, (size_t)view->dim * sizeof *group->x);
    }
#pragma omp parallel for schedule(dynamic)
    for (int64_t k = 0; k < group->count; k++) {
        trm_anchor *anchor = &group->anchor[k];
        trm_other_sort(anchor->other, anchor->positives, trm_other_by_distance);
        trm_other_sort(trm_anchor_negatives(group, anchor), anchor->negatives, trm_other_by_distance);
    }
    return status;
}

/* The anchors' own rows, at once where they follow each other. */
static trm_status read_anchors(const trm_group *group, const int64_t *id, int64_t *label, trm_error *err)
{
    const trm_view *view = group->view;
    const int64_t count = group->count;
    trm_status status = TRM_OK;
    if (count > 0 && id[count - 1] - id[0] == count - 1)
        return trm_view_read(view, true, id[0], count, group->anchor_x, label, err);
    for (int64_t k = 0; k < count && status == TRM_OK; k++)
        status = trm_view_read(view, true, id[k], 1, group->anchor_x + k * view->dim, label + k, err);
    return status;
}

static trm_status begin(trm_group *group, const int64_t *id, trm_error *err)
{
    const trm_view *view = group->view;
    int64_t *label = trm_alloc(group->count, sizeof *label);
    trm_status status = label == NULL ? trm_fail_memory(err, "anchors", group->count, sizeof *label)
                                      : read_anchors(group, id, label, err);
    for (int64_t k = 0; k < group->count && status == TRM_OK; k++) {
        const float *x = group->anchor_x + k * view->dim;
        group->anchor[k] = (trm_anchor){.id = id[k],
                                        .label = label[k],
                                        .ignored = trm_view_ignores(view, label[k]),
                                        .x = x,
                                        .norm2 = trm_dot(x, x, view->dim),
                                        .other = group->other + k * group->of.count};
    }
    trm_free(label);
    return status;
}

trm_status trm_group_look(const trm_view *view, const trm_candidates *of, int64_t count,
                          const int64_t *anchor, trm_group *group, trm_error *err)
{
    const int64_t piece = trm_view_piece(view);
    *group = (trm_group){.view = view, .of = *of, .count = count};
    group->anchor = trm_alloc_zero(count, sizeof *group->anchor);
    group->other = trm_alloc(count * of->count, sizeof *group->other);
    group->anchor_x = trm_alloc(count * view->dim, sizeof *group->anchor_x);
    group->x = trm_alloc(piece * view->dim, sizeof *group->x);
    group->label = trm_alloc(piece, sizeof *group->label);
    if (group->anchor == NULL || group->other == NULL || group->anchor_x == NULL || group->x == NULL ||
        group->label == NULL)
        return trm_fail_memory(err, "distances of anchors", count * of->count, sizeof *group->other);
    trm_status status = begin(group, anchor, err);
    return status == TRM_OK ? look_at_all(group, err) : status;
}

void trm_group_free(trm_group *group)
{
    for (int64_t k = 0; k < group->count && group->anchor != NULL; k++)
        trm_free(group->anchor[k].positive_x);
    trm_free(group->anchor);
    trm_free(group->other);
    trm_free(group->anchor_x);
    trm_free(group->x);
    trm_free(group->label);
    *group = (trm_group){.count = 0};
}
