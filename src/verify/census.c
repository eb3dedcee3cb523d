/* Counting by labels; see census.h. */
#include "verify/census.h"

#include "base/alloc.h"

#include <stdlib.h>

static int compare_citizens(const void *a, const void *b)
{
    const trm_citizen *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The first citizen whose label is not below. */
static int64_t place_of(const trm_census *census, int64_t label)
{
    int64_t low = 0, high = census->taking;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (census->citizen[middle].label < label)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void trm_census_class(const trm_census *census, int64_t label, int64_t *first, int64_t *last)
{
    *first = place_of(census, label);
    *last = label == INT64_MAX ? census->taking : place_of(census, label + 1);
}

/* Positives and negatives of an asker by a list of pairs. */
static void count_listed(const trm_census *census, int64_t asker, int64_t label, int64_t *positives,
                         int64_t *negatives)
{
    const trm_view *view = census->view;
    int64_t count, first, last, same = 0;
    const int64_t *listed = trm_view_listed(view, asker, &count);
    *positives = 0;
    for (int64_t i = 0; i < count; i++) {
        const bool again = i > 0 && listed[2 * i] == listed[2 * (i - 1)];
        *positives += !again;
        same += !again && view->rule->and_labels && census->label[listed[2 * i]] == label;
    }
    *negatives = census->taking - *positives;
    if (!view->rule->and_labels)
        return;
    trm_census_class(census, label, &first, &last);
    *negatives -= last - first - same;
}

static void count_asker(trm_census *census, int64_t asker, int64_t label)
{
    const trm_view *view = census->view;
    int64_t positives, negatives, first, last;
    if (trm_view_ignores(view, label))
        return;
    if (view->pair != NULL) {
        count_listed(census, asker, label, &positives, &negatives);
    } else {
        trm_census_class(census, label, &first, &last);
        positives = last - first - !view->two_sets;
        negatives = census->taking - (last - first);
    }
    census->valid += positives > 0 && negatives > 0;
    census->most_positives = positives > census->most_positives ? positives : census->most_positives;
}

static trm_status count_askers(trm_census *census, trm_error *err)
{
    enum { PIECE = 4096 };
    int64_t label[PIECE];
    const int64_t askers = census->view->askers;
    trm_status status = TRM_OK;
    for (int64_t at = 0; at < askers && status == TRM_OK; at += PIECE) {
        const int64_t count = askers - at < PIECE ? askers - at : PIECE;
        status = trm_view_labels(census->view, true, at, count, label, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            count_asker(census, at + i, label[i]);
    }
    return status;
}

trm_status trm_census_take(const trm_view *view, trm_census *census, trm_error *err)
{
    const int64_t rows = view->rows;
    *census = (trm_census){.view = view,
                           .label = trm_alloc(rows, sizeof *census->label),
                           .citizen = trm_alloc(rows, sizeof *census->citizen)};
    if (census->label == NULL || census->citizen == NULL)
        return trm_fail_memory(err, "labels", rows, sizeof *census->label + sizeof *census->citizen);
    trm_status status = trm_view_labels(view, false, 0, rows, census->label, err);
    if (status != TRM_OK)
        return status;
    for (int64_t row = 0; row < rows; row++)
        if (!trm_view_ignores(view, census->label[row]))
            census->citizen[census->taking++] = (trm_citizen){census->label[row], row};
    if (census->taking > 1)
        qsort(census->citizen, (size_t)census->taking, sizeof *census->citizen, compare_citizens);
    return count_askers(census, err);
}

void trm_census_free(trm_census *census)
{
    trm_free(census->label);
    trm_free(census->citizen);
    *census = (trm_census){.view = NULL};
}
