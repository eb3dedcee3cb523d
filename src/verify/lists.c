/* Batches, decided anew; see lists.h. A batch is a small store: the rules are those of a whole one, with a seed of its own. */
#include "verify/lists.h"

#include "base/alloc.h"
#include "base/order.h"
#include "base/random.h"
#include "verify/anew.h"
#include "verify/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"/batches/start", "/batches/row"};

static trm_status fault(const trm_batch_lists *lists, int dataset, int64_t place, trm_error *err,
                        const char *rule, int64_t number)
{
    return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %s %" PRId64,
                    trm_result_path(lists->result), names[dataset], place, rule, number);
}

/* ---- all of them ---- */

static trm_status read_starts(trm_batch_lists *lists, trm_error *err)
{
    trm_result_array array;
    trm_status status = trm_result_need(lists->result, names[0], TRM_ARRAY_INT64, 1, -1, &array, err);
    if (status == TRM_OK)
        status = trm_result_need(lists->result, names[1], TRM_ARRAY_INT64, 1, -1, &lists->row, err);
    if (status == TRM_OK && array.size[0] < 1)
        status = fault(lists, 0, 0, err, "has rows:", 0);
    if (status != TRM_OK)
        return status;
    lists->count = array.size[0] - 1;
    const int64_t drawn = lists->view->rule->batches;
    if (drawn > 0 && lists->count != drawn)
        return trm_fail(err, TRM_ERR_DATA,
                        "result '%s': '%s' has %" PRId64 " batches, its options have %" PRId64,
                        trm_result_path(lists->result), names[0], lists->count, drawn);
    lists->start = trm_alloc(lists->count + 1, sizeof *lists->start);
    if (lists->start == NULL)
        return trm_fail_memory(err, "starts of batches", lists->count + 1, sizeof *lists->start);
    status = trm_result_read(lists->result, &array, 0, lists->count + 1, lists->start, err);
    for (int64_t b = 0; b <= lists->count && status == TRM_OK; b++)
        if (lists->start[b] < (b > 0 ? lists->start[b - 1] : 0) || (b == 0 && lists->start[0] != 0) ||
            (b == lists->count && lists->start[b] != lists->row.size[0]))
            status = fault(lists, 0, b, err, "starts must ascend from 0 to the number of rows, not be",
                           lists->start[b]);
    return status;
}

/* The rows of a batch, new memory. */
static trm_status read_batch(const trm_batch_lists *lists, int64_t batch, int64_t **row, int64_t *count,
                             trm_error *err)
{
    *count = lists->start[batch + 1] - lists->start[batch];
    *row = trm_alloc(*count, sizeof **row);
    if (*row == NULL)
        return trm_fail_memory(err, "a batch", *count, sizeof **row);
    return trm_result_read(lists->result, &lists->row, lists->start[batch], *count, *row, err);
}

/* Anchors of a batch with a positive and a negative, and the most rows that one label has. */
static trm_status count_classes(const trm_census *census, int64_t count, const int64_t *row, int64_t *valid,
                                int64_t *most, trm_error *err)
{
    int64_t *label = trm_alloc(count, sizeof *label);
    *valid = *most = 0;
    if (label == NULL)
        return trm_fail_memory(err, "labels of a batch", count, sizeof *label);
    for (int64_t i = 0; i < count; i++)
        label[i] = census->label[row[i]];
    if (count > 1)
        qsort(label, (size_t)count, sizeof *label, trm_compare_whole);
    for (int64_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && label[next] == label[i]; next++)
            ;
        *valid += next - i > 1 && next - i < count ? next - i : 0;
        *most = next - i > *most ? next - i : *most;
    }
    trm_free(label);
    return TRM_OK;
}

static trm_status check_batch(trm_batch_lists *lists, int64_t batch, trm_error *err)
{
    const trm_census *census = lists->census;
    int64_t *row = NULL, count = 0, valid = 0, most;
    trm_status status = read_batch(lists, batch, &row, &count, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        if (row[i] < 0 || row[i] >= lists->view->rows || (i > 0 && row[i - 1] >= row[i]) ||
            trm_view_ignores(lists->view, census->label[row[i]]))
            status = fault(lists, 1, lists->start[batch] + i, err,
                           "needs row ids of the store that take part, ascending in each batch, has", row[i]);
    if (status == TRM_OK)
        status = count_classes(census, count, row, &valid, &most, err);
    lists->valid += status == TRM_OK ? valid : 0;
    trm_free(row);
    return status;
}

trm_status trm_batch_lists_open(trm_result *result, const trm_census *census, trm_batch_lists *lists,
                                trm_error *err)
{
    *lists = (trm_batch_lists){.result = result, .view = census->view, .census = census};
    trm_status status = read_starts(lists, err);
    for (int64_t b = 0; b < lists->count && status == TRM_OK; b++)
        status = check_batch(lists, b, err);
    return status;
}

void trm_batch_lists_close(trm_batch_lists *lists)
{
    trm_free(lists->start);
    *lists = (trm_batch_lists){.result = NULL};
}

trm_status trm_batch_lists_place(const trm_batch_lists *lists, int64_t count, trm_drawn *drawn,
                                 trm_error *err)
{
    trm_status status = TRM_OK;
    int64_t batch = 0;
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        const int64_t place = drawn[i].anchor;
        while (lists->start[batch + 1] <= place)
            batch++;
        drawn[i].batch = batch;
        status = trm_result_read(lists->result, &lists->row, place, 1, &drawn[i].anchor, err);
    }
    return status;
}

/* ---- the draw of a batch ---- */

typedef struct lot {
    uint64_t key;
    int64_t id;
} lot;

static int compare_lots(const void *a, const void *b)
{
    const lot *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* docs/MINING.md, Batches: streams 1, 2 and 3 times 2^62 are those of seeds, rows and classes. */
static uint64_t key_of(const trm_rule *rule, uint64_t stream, int64_t batch, int64_t index)
{
    uint32_t bits[4];
    trm_random_bits(rule->seed, stream << 62 | (uint64_t)batch, (uint64_t)index, bits);
    return (uint64_t)bits[1] << 32 | bits[0];
}

static uint64_t seed_of(const trm_rule *rule, int64_t batch)
{
    uint32_t bits[4];
    trm_random_bits(rule->seed, UINT64_C(1) << 62, (uint64_t)batch, bits);
    return (uint64_t)bits[1] << 32 | bits[0];
}

/* The classes of a batch, in front; how many. */
static int64_t draw_classes(const trm_batch_lists *lists, int64_t batch, lot *lots)
{
    const trm_census *census = lists->census;
    const int64_t most = lists->view->rule->classes_per_batch;
    int64_t count = 0;
    for (int64_t i = 0; i < census->taking; i++) {
        const int64_t label = census->citizen[i].label;
        if (i == 0 || census->citizen[i - 1].label != label)
            lots[count++] = (lot){key_of(lists->view->rule, 3, batch, label), label};
    }
    qsort(lots, (size_t)count, sizeof *lots, compare_lots);
    return count < most ? count : most;
}

/* The rows that a class gives, behind those that are there; how many are there then. */
static int64_t draw_rows(const trm_batch_lists *lists, int64_t batch, int64_t label, lot *lots, int64_t *row,
                         int64_t there)
{
    const trm_census *census = lists->census;
    int64_t first, last, most = lists->view->rule->rows_per_class;
    trm_census_class(census, label, &first, &last);
    for (int64_t i = first; i < last; i++)
        lots[i - first] =
            (lot){key_of(lists->view->rule, 2, batch, census->citizen[i].row), census->citizen[i].row};
    qsort(lots, (size_t)(last - first), sizeof *lots, compare_lots);
    most = last - first < most ? last - first : most;
    for (int64_t i = 0; i < most; i++)
        row[there + i] = lots[i].id;
    return there + most;
}

static trm_status compare_rows(const trm_batch_lists *lists, int64_t batch, int64_t count, const int64_t *has,
                               int64_t drawn, const int64_t *needs, trm_error *err)
{
    for (int64_t i = 0; i < count || i < drawn; i++)
        if (i >= count || i >= drawn || has[i] != needs[i])
            return trm_fail(err, TRM_ERR_DATA,
                            "result '%s': '%s' row %" PRId64 ": batch %" PRId64 " has row %" PRId64
                            "; drawn anew: row %" PRId64,
                            trm_result_path(lists->result), names[1], lists->start[batch] + i, batch,
                            i < count ? has[i] : -1, i < drawn ? needs[i] : -1);
    return TRM_OK;
}

static trm_status draw_anew(const trm_batch_lists *lists, int64_t batch, int64_t count, const int64_t *has,
                            trm_error *err)
{
    const int64_t taking = lists->census->taking;
    lot *classes = trm_alloc(taking, sizeof *classes), *lots = trm_alloc(taking, sizeof *lots);
    int64_t *row = trm_alloc(taking, sizeof *row), there = 0;
    trm_status status = classes == NULL || lots == NULL || row == NULL
                            ? trm_fail_memory(err, "a draw", taking, 2 * sizeof *lots + sizeof *row)
                            : TRM_OK;
    if (status == TRM_OK && taking > 0) {
        const int64_t drawn = draw_classes(lists, batch, classes);
        for (int64_t c = 0; c < drawn; c++)
            there = draw_rows(lists, batch, classes[c].id, lots, row, there);
        qsort(row, (size_t)there, sizeof *row, trm_compare_whole);
        status = compare_rows(lists, batch, count, has, there, row, err);
    }
    trm_free(classes);
    trm_free(lots);
    trm_free(row);
    return status;
}

trm_status trm_batch_lists_drawn(const trm_batch_lists *lists, int64_t count, const trm_drawn *drawn,
                                 bool *same, trm_error *err)
{
    trm_status status = TRM_OK;
    *same = true;
    for (int64_t i = 0; i < count && status == TRM_OK && *same; i++) {
        int64_t *row = NULL, rows = 0;
        trm_error why = TRM_ERROR_INIT;
        if (i > 0 && drawn[i].batch == drawn[i - 1].batch)
            continue;
        status = read_batch(lists, drawn[i].batch, &row, &rows, err);
        if (status == TRM_OK)
            status = draw_anew(lists, drawn[i].batch, rows, row, &why);
        trm_free(row);
        if (why.status == TRM_ERR_DATA) {
            *same = false;
            status = TRM_OK;
        } else if (why.status != TRM_OK) {
            status = trm_fail(err, why.status, "%s", why.text);
        }
    }
    return status;
}

/* ---- deciding ---- */

/* Drawn anchors of one batch. */
static trm_status decide_batch(const trm_batch_lists *lists, trm_lines *lines, int64_t count,
                               const trm_drawn *drawn, int64_t *entries, trm_error *err)
{
    const trm_rule *rule = lists->view->rule;
    const int64_t batch = drawn[0].batch;
    int64_t *row = NULL, rows = 0, valid, most = 0;
    trm_status status = read_batch(lists, batch, &row, &rows, err);
    if (status == TRM_OK && rule->batches > 0)
        status = draw_anew(lists, batch, rows, row, err);
    if (status == TRM_OK)
        status = count_classes(lists->census, rows, row, &valid, &most, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        trm_group group;
        const trm_candidates of = trm_candidates_some(lists->view, rows, row, seed_of(rule, batch), most - 1);
        status = trm_group_look(lists->view, &of, 1, &drawn[i].anchor, &group, err);
        if (status == TRM_OK)
            status = trm_triplets_compare(&group, lines, &drawn[i], entries, err);
        trm_group_free(&group);
    }
    trm_free(row);
    return status;
}

trm_status trm_batch_lists_decide(const trm_batch_lists *lists, trm_lines *lines, int64_t count,
                                  const trm_drawn *drawn, int64_t *entries, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t first = 0, last; first < count && status == TRM_OK; first = last) {
        for (last = first; last < count && drawn[last].batch == drawn[first].batch; last++)
            ;
        status = decide_batch(lists, lines, last - first, drawn + first, entries, err);
    }
    return status;
}
