/* Queries of a loss over two sets; see queries.h. */
#include "loss/queries.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <math.h>

/* ---- options ---- */

static trm_status check_source(const trm_evaluate_options *options, trm_error *err)
{
    switch (options->source) {
    case TRM_SOURCE_BATCH_ALL:
        return trm_fail(err, TRM_ERR_USAGE,
                        "batch-all over two sets is not built: mine or give triplets, or leave out queries");
    case TRM_SOURCE_WITHIN:
        return trm_fail(
            err, TRM_ERR_USAGE,
            "within-margin over two sets is not built: mine or give triplets, or leave out queries");
    case TRM_SOURCE_GIVEN:
        break;
    default:
        break;
    }
    if (options->batches != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "batches go with one set: leave out batches or queries");
    return TRM_OK;
}

trm_status trm_queries_check_options(const trm_run *run, const trm_rows *rows,
                                     const trm_evaluate_options *options, trm_status local, trm_error *err)
{
    const trm_batch *queries = options->queries;
    const bool any = trm_arguments_any(run->comm, queries != NULL) != 0;
    if (local != TRM_OK)
        return local;
    if (!any)
        return options->given_unlabelled
                   ? trm_fail(err, TRM_ERR_USAGE, "given_unlabelled: goes with queries only")
                   : TRM_OK;
    if (queries == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "queries NULL on rank %d: given elsewhere", run->rank);
    if (queries->count < 0)
        return trm_fail(err, TRM_ERR_USAGE, "queries.count %" PRId64 ": must be at least 0", queries->count);
    if (queries->dim != rows->dim)
        return trm_fail(err, TRM_ERR_USAGE, "queries.dim %d: the store has %d", queries->dim, rows->dim);
    return check_source(options, err);
}

/* ---- rows ---- */

trm_status trm_queries_check_rows(const trm_rows *rows, const trm_given *queries, bool labelled,
                                  trm_metric metric, trm_error *err)
{
    const int64_t first = queries->first[queries->rank];
    for (int64_t i = 0; i < queries->count; i++) {
        if (labelled && trm_rows_ignore(rows, queries->label[i]))
            continue;
        if (!isfinite(queries->norm2[i])) /* no sum of squares of float32 overflows */
            return trm_fail(err, TRM_ERR_DATA, "query %" PRId64 " has a non-finite value", first + i);
        if (metric == TRM_METRIC_COSINE && !(queries->norm2[i] > 0.0))
            return trm_fail(err, TRM_ERR_DATA, "query %" PRId64 " has norm zero, which cosine does not allow",
                            first + i);
    }
    return TRM_OK;
}

/* ---- counts ---- */

/* A rank that has the rows of a label, if any has: of the first team whose labels it is among; -1: none. */
static int rank_of(const trm_rows *rows, int64_t label)
{
    for (int t = 0; t < rows->teams && !trm_rows_ignore(rows, label); t++) {
        const trm_shard *shard = &rows->shards[t];
        if (shard->count > 0 && shard->label_first <= label && label <= shard->label_last)
            return t * rows->replicate;
    }
    return -1;
}

/* Whether this team's shard has rows of a label; they ascend. */
static bool has_label(const trm_rows *rows, int64_t label)
{
    int64_t lo = 0, hi = rows->count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (rows->label[middle] < label)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < rows->count && rows->label[lo] == label;
}

/* The queries' labels in the order of the ranks that have the store's rows of that label, and how many each gets. to: a
 * query's rank. */
static void sort_by_rank(const trm_rows *rows, const trm_given *queries, int *to, int64_t *label,
                         int64_t *send, int64_t *place)
{
    for (int64_t i = 0; i < queries->count; i++) {
        to[i] = rank_of(rows, queries->label[i]);
        if (to[i] >= 0)
            send[to[i]]++;
    }
    for (int r = 1; r < queries->ranks; r++)
        place[r] = place[r - 1] + send[r - 1];
    for (int64_t i = 0; i < queries->count; i++)
        if (to[i] >= 0)
            label[place[to[i]]++] = queries->label[i];
}

/* How many of this rank's and others' queries have a label that the store has here. Collective. */
static trm_status count_known(const trm_rows *rows, const trm_given *queries, int64_t *known, trm_error *err)
{
    const int ranks = queries->ranks;
    int64_t *counts = trm_alloc_zero(3 * (int64_t)ranks, sizeof *counts), total = 0;
    int64_t *label = trm_alloc(queries->count, sizeof *label);
    int *to = trm_alloc(queries->count, sizeof *to);
    void *received = NULL;
    trm_status status = TRM_OK;
    if (counts == NULL || label == NULL || to == NULL)
        status = trm_fail_memory(err, "labels of queries", queries->count, sizeof *label);
    status = trm_agree(queries->comm, status, err);
    if (status == TRM_OK) {
        sort_by_rank(rows, queries, to, label, counts, counts + 2 * ranks);
        status =
            trm_exchange_items(queries->comm, label, counts, sizeof *label, &received, counts + ranks, err);
    }
    for (int r = 0; r < ranks && status == TRM_OK; r++)
        total += counts[ranks + r];
    *known = 0;
    for (int64_t k = 0; k < total; k++)
        *known += has_label(rows, ((const int64_t *)received)[k]);
    trm_free(counts);
    trm_free(label);
    trm_free(to);
    trm_free(received);
    return status;
}

static int64_t count_ignored(const trm_rows *rows, const trm_given *queries)
{
    int64_t ignored = 0;
    for (int64_t i = 0; i < queries->count; i++)
        ignored += trm_rows_ignore(rows, queries->label[i]);
    return ignored;
}

trm_status trm_queries_count(const trm_rows *rows, const trm_given *queries, trm_mine_summary *summary,
                             trm_error *err)
{
    int64_t counts[2] = {0, count_ignored(rows, queries)}; /* known, ignored */
    trm_status status = count_known(rows, queries, &counts[0], err);
    if (status != TRM_OK)
        return status;
    MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, queries->comm);
    const int64_t total = trm_given_total(queries) - counts[1];
    summary->anchors.total = total;
    summary->anchors.valid = rows->classes > 1 ? counts[0] : 0;
    summary->anchors.no_positive = total - counts[0];
    summary->anchors.no_negative = rows->classes > 1 ? 0 : counts[0];
    summary->anchors.ignored = counts[1];
    summary->classes = rows->classes;
    return TRM_OK;
}

/* Marks the queries of this rank that are anchors of any rank's triplets [from, from + count). Collective. */
static trm_status mark(const trm_given *queries, const int64_t *anchor, int64_t count, bool *marked,
                       trm_error *err)
{
    int64_t *counts = trm_alloc(2 * (int64_t)queries->ranks, sizeof *counts), total = 0;
    int64_t *id = trm_alloc(count, sizeof *id);
    void *received = NULL;
    trm_status status = TRM_OK;
    if (counts == NULL || id == NULL)
        status = trm_fail_memory(err, "anchors of given triplets", count, sizeof *id);
    status = trm_agree(queries->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t k = 0; k < count; k++)
            id[k] = anchor[k];
        status =
            trm_given_route(queries, id, count, sizeof *id, counts, &received, counts + queries->ranks, err);
    }
    for (int r = 0; r < queries->ranks && status == TRM_OK; r++)
        total += counts[queries->ranks + r];
    for (int64_t k = 0; k < total; k++)
        marked[((const int64_t *)received)[k] - queries->first[queries->rank]] = true;
    trm_free(counts);
    trm_free(id);
    trm_free(received);
    return status;
}

trm_status trm_queries_count_named(const trm_rows *rows, const trm_given *queries,
                                   const trm_given_triplets *list, trm_mine_summary *summary, trm_error *err)
{
    enum { A_ROUND = 1 << 18 };
    int64_t most = list->count, valid = 0;
    bool *marked = trm_alloc_zero(queries->count, sizeof *marked);
    trm_status status =
        marked == NULL ? trm_fail_memory(err, "marks of queries", queries->count, sizeof *marked) : TRM_OK;
    status = trm_agree(queries->comm, status, err);
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, queries->comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += A_ROUND) {
        const int64_t from = done < list->count ? done : list->count, left = list->count - from;
        status = mark(queries, from < list->count ? list->anchor + from : NULL,
                      left < A_ROUND ? left : A_ROUND, marked, err);
    }
    for (int64_t i = 0; i < queries->count && status == TRM_OK; i++)
        valid += marked[i];
    trm_free(marked);
    summary->anchors.total = trm_given_total(queries);
    summary->anchors.valid = trm_sum_int64(queries->comm, valid);
    summary->classes = rows->classes;
    return status;
}
