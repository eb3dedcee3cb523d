/* Ranks of relevant rows; see relevant.h. A rank is counted as it is defined (docs/EVALUATION.md): 1 + the rows before. */
#include "verify/relevant.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROW, RANK, LOW, HIGH, DISTANCE, COLUMNS };
static const char *const names[COLUMNS] = {"/relevant/row", "/relevant/rank", "/relevant/rank_low",
                                           "/relevant/rank_high", "/relevant/distance"};
static const char start_name[] = "/queries/start";

/* A relevant row, as the hash has it. */
typedef struct ranked {
    int64_t query, row;
    double distance;
    int64_t rank, low, high;
} ranked;

typedef struct lists {
    trm_result *result;
    const trm_view *view;
    trm_result_array start, column[COLUMNS];
    int64_t rows; /* relevant ones, of all queries */
} lists;

static trm_status open_lists(trm_result *result, const trm_view *view, lists *of, trm_error *err)
{
    *of = (lists){.result = result, .view = view, .rows = -1};
    trm_status status =
        trm_result_need(result, start_name, TRM_ARRAY_INT64, 1, view->askers + 1, &of->start, err);
    for (int c = 0; c < COLUMNS && status == TRM_OK; c++) {
        status = trm_result_need(result, names[c], c == DISTANCE ? TRM_ARRAY_FLOAT64 : TRM_ARRAY_INT64, 1,
                                 of->rows, &of->column[c], err);
        of->rows = of->column[c].size[0];
    }
    return status;
}

static trm_status fault(const lists *of, const char *name, int64_t row, trm_error *err, const char *rule)
{
    return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %s", trm_result_path(of->result),
                    name, row, rule);
}

/* [first, first + count), of one query, to into. */
static trm_status read_ranked(const lists *of, int64_t query, int64_t first, int64_t count, ranked *into,
                              trm_error *err)
{
    int64_t *whole = trm_alloc(count, sizeof *whole);
    double *distance = trm_alloc(count, sizeof *distance);
    trm_status status = whole == NULL || distance == NULL
                            ? trm_fail_memory(err, "ranks", count, sizeof *whole + sizeof *distance)
                            : TRM_OK;
    for (int c = 0; c < DISTANCE && status == TRM_OK; c++) {
        status = trm_result_read(of->result, &of->column[c], first, count, whole, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            *(c == ROW    ? &into[i].row
              : c == RANK ? &into[i].rank
              : c == LOW  ? &into[i].low
                          : &into[i].high) = whole[i];
    }
    if (status == TRM_OK)
        status = trm_result_read(of->result, &of->column[DISTANCE], first, count, distance, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        into[i].query = query;
        into[i].distance = distance[i];
    }
    trm_free(whole);
    trm_free(distance);
    return status;
}

/* The list of a query, new memory, and where it begins. */
static trm_status read_list(const lists *of, int64_t query, int64_t *first, int64_t *count, ranked **list,
                            trm_error *err)
{
    int64_t start[2];
    *list = NULL;
    trm_status status = trm_result_read(of->result, &of->start, query, 2, start, err);
    if (status != TRM_OK)
        return status;
    *first = start[0];
    *count = start[1] - start[0];
    if (start[0] < 0 || *count < 0 || start[1] > of->rows || (query == 0 && start[0] != 0) ||
        (query + 1 == of->view->askers && start[1] != of->rows))
        return fault(of, start_name, query, err, "starts must ascend from 0 to the number of relevant rows");
    *list = trm_alloc(*count, sizeof **list);
    return *list == NULL ? trm_fail_memory(err, "ranks", *count, sizeof **list)
                         : read_ranked(of, query, *first, *count, *list, err);
}

/* ---- all of them ---- */

static trm_status check_one(const lists *of, int64_t place, const ranked *one, const ranked *before,
                            trm_error *err)
{
    const trm_view *view = of->view;
    if (one->row < 0 || one->row >= view->rows || (!view->two_sets && one->row == one->query))
        return fault(of, names[ROW], place, err, "can't be relevant: out of range, or the query itself");
    if (!isfinite(one->distance) || (one->distance < 0.0 && view->rule->metric != TRM_METRIC_DOT))
        return fault(of, names[DISTANCE], place, err, "is no distance");
    if (before != NULL &&
        (before->distance > one->distance || (before->distance == one->distance && before->row >= one->row)))
        return fault(of, names[DISTANCE], place, err,
                     "is out of order: needs ascending (distance, row id) in each list");
    if (one->rank < 1 || one->rank > view->rows || (before != NULL && before->rank >= one->rank))
        return fault(of, names[RANK], place, err, "is out of range, or not above the one before it");
    if (one->low < one->rank || one->low > view->rows)
        return fault(of, names[LOW], place, err, "is below the rank, or beyond the last row");
    if (one->high > one->rank || one->high < 1)
        return fault(of, names[HIGH], place, err, "is above the rank, or below 1");
    return TRM_OK;
}

static trm_status check_share(const lists *of, int64_t first, int64_t last, trm_hash_sum *hash,
                              trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t query = first; query < last && status == TRM_OK; query++) {
        ranked *list = NULL;
        int64_t at = 0, count = 0;
        status = read_list(of, query, &at, &count, &list, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            status = check_one(of, at + i, &list[i], i > 0 ? &list[i - 1] : NULL, err);
            trm_hash_sum_add(hash, &list[i], sizeof *list);
        }
        trm_free(list);
    }
    return status;
}

trm_status trm_relevant_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t *lines,
                              char hash[33], trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    lists of;
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    MPI_Comm_size(comm, &ranks);
    trm_share(view->askers, trm_rank_of(comm), ranks, &first, &last);
    trm_status status = open_lists(result, view, &of, err);
    if (status == TRM_OK)
        status = check_share(&of, first, last, &sum, err);
    *lines = of.rows;
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    trm_merge_hash_sum(comm, &sum);
    trm_hash_sum_text(&sum, hash);
    return TRM_OK;
}

/* ---- a query ---- */

enum { SHOWN = 160 };
static const char *show(const ranked *one, char text[SHOWN])
{
    snprintf(text, SHOWN, "row %" PRId64 " at %.17g with rank %" PRId64 ", low %" PRId64 ", high %" PRId64,
             one->row, one->distance, one->rank, one->low, one->high);
    return text;
}

static trm_status compare(const lists *of, int64_t place, const ranked *has, const ranked *needs,
                          trm_error *err)
{
    char text[SHOWN], text_too[SHOWN];
    const int column = has->row != needs->row                                                ? ROW
                       : memcmp(&has->distance, &needs->distance, sizeof has->distance) != 0 ? DISTANCE
                       : has->rank != needs->rank                                            ? RANK
                       : has->low != needs->low                                              ? LOW
                       : has->high != needs->high                                            ? HIGH
                                                                                             : COLUMNS;
    if (column == COLUMNS)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "result '%s': '%s' row %" PRId64 ": query %" PRId64 " has %s; decided anew: %s",
                    trm_result_path(of->result), names[column], place, has->query, show(has, text),
                    show(needs, text_too));
}

static trm_status decide_list(const lists *of, const trm_group *group, const trm_anchor *anchor,
                              int64_t *entries, trm_error *err)
{
    const trm_other *relevant = anchor->other, *other = trm_anchor_negatives(group, anchor);
    int64_t first = 0, count = 0, before = 0, closer = 0, as_close = 0; /* irrelevant rows */
    ranked *list = NULL;
    trm_status status = read_list(of, anchor->id, &first, &count, &list, err);
    if (status == TRM_OK && count != anchor->positives)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '%s' row %" PRId64 ": the query has %" PRId64
                          " relevant rows; decided anew: %" PRId64,
                          trm_result_path(of->result), start_name, anchor->id, count, anchor->positives);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        const double d = relevant[i].d;
        while (before < anchor->negatives && trm_other_by_distance(&other[before], &relevant[i]) < 0)
            before++;
        while (closer < anchor->negatives && other[closer].d < d)
            closer++;
        while (as_close < anchor->negatives && other[as_close].d <= d)
            as_close++;
        const ranked needs = {anchor->id,     relevant[i].id,   d,
                              i + 1 + before, i + 1 + as_close, i + 1 + closer};
        status = compare(of, first + i, &list[i], &needs, err);
        ++*entries;
    }
    trm_free(list);
    return status;
}

trm_status trm_relevant_decide(const trm_group *group, trm_result *result, int64_t *entries, trm_error *err)
{
    lists of;
    trm_status status = open_lists(result, group->view, &of, err);
    for (int64_t k = 0; k < group->count && status == TRM_OK; k++)
        status = decide_list(&of, group, &group->anchor[k], entries, err);
    return status;
}
