/* Queries of a loss over two sets; see queries.h. */
#include "loss/queries.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"

#include <string.h>

/* Not collective. */
static trm_status check_sets(const trm_rows *rows, const trm_evaluate_options *options, trm_error *err)
{
    const trm_rows *queries = options->mine.queries;
    if (queries == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "queries: go with mine.queries, which are made of them");
    if (queries->dim != rows->dim)
        return trm_fail(err, TRM_ERR_USAGE, "queries of dim %d: the store has %d", queries->dim, rows->dim);
    if (queries->by_id != rows->by_id)
        return trm_fail(err, TRM_ERR_USAGE,
                        "queries: must be arranged as the store is, by trm_rows_create_queries");
    if (options->source == TRM_SOURCE_BATCH_ALL || options->source == TRM_SOURCE_WITHIN)
        return trm_fail(err, TRM_ERR_USAGE, "%s over two sets is not built: leave out queries",
                        options->source == TRM_SOURCE_BATCH_ALL ? "batch-all" : "within-margin");
    if (options->batches != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "batches: are of one set, leave out queries");
    return TRM_OK;
}

trm_status trm_queries_check_options(const trm_run *run, const trm_rows *rows,
                                     const trm_evaluate_options *options, trm_status local, trm_error *err)
{
    const bool any = trm_arguments_any(run->comm, options->queries != NULL) != 0;
    if (local != TRM_OK)
        return local;
    if (!any)
        return options->mine.queries == NULL
                   ? TRM_OK
                   : trm_fail(err, TRM_ERR_USAGE, "queries NULL: mine.queries are made of some");
    if (options->queries == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "queries NULL on rank %d: given elsewhere", run->rank);
    return check_sets(rows, options, err);
}

/* Marks this rank's queries that are anchors of any rank's triplets. Collective. */
static trm_status mark(const trm_given *queries, const int64_t *anchor, int64_t count, bool *marked,
                       trm_error *err)
{
    int64_t *counts = trm_alloc(2 * (int64_t)queries->ranks, sizeof *counts), came = 0;
    int64_t *id = trm_alloc(count, sizeof *id);
    void *received = NULL;
    trm_status status = TRM_OK;
    if (counts == NULL || id == NULL)
        status = trm_fail_memory(err, "anchors of given triplets", count, sizeof *id);
    status = trm_agree(queries->comm, status, err);
    if (status == TRM_OK) {
        if (count > 0)
            memcpy(id, anchor, (size_t)count * sizeof *id);
        status =
            trm_given_route(queries, id, count, sizeof *id, counts, &received, counts + queries->ranks, err);
    }
    for (int r = 0; r < queries->ranks && status == TRM_OK; r++)
        came += counts[queries->ranks + r];
    for (int64_t k = 0; k < came; k++)
        marked[((const int64_t *)received)[k] - queries->first[queries->rank]] = true;
    trm_free(counts);
    trm_free(id);
    trm_free(received);
    return status;
}

trm_status trm_queries_count_named(const trm_given *queries, const trm_given_triplets *list, int64_t *count,
                                   trm_error *err)
{
    const int64_t round = INT64_C(1) << 18;
    int64_t most = 0, here = 0;
    bool *marked = trm_alloc_zero(queries->count, sizeof *marked);
    trm_status status =
        marked == NULL ? trm_fail_memory(err, "marks of queries", queries->count, sizeof *marked) : TRM_OK;
    status = trm_agree(queries->comm, status, err);
    MPI_Allreduce(&list->count, &most, 1, MPI_INT64_T, MPI_MAX, queries->comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += round) {
        const int64_t left = done < list->count ? list->count - done : 0;
        status =
            mark(queries, left > 0 ? list->anchor + done : NULL, left < round ? left : round, marked, err);
    }
    for (int64_t i = 0; i < queries->count && status == TRM_OK; i++)
        here += marked[i];
    trm_free(marked);
    *count = trm_sum_int64(queries->comm, here);
    return status;
}
