/* What is a positive of queries, counted by label or by a file of pairs; see info.h. */
#include "cli/info.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/pair_file.h"

#include <stdlib.h>

trm_info_positives trm_info_by_label(const trm_info_set *store, const trm_info_set *queries)
{
    trm_info_positives found = {0};
    int64_t at = 0;
    for (int64_t i = 0; i < queries->class_count; i++) {
        const trm_info_class *class = &queries->classes[i];
        while (at < store->class_count && store->classes[at].label < class->label)
            at++;
        if (at == store->class_count || store->classes[at].label != class->label) {
            found.without += class->rows;
            continue;
        }
        found.with += class->rows;
        found.all += store->classes[at].rows == store->total ? class->rows : 0;
    }
    return found;
}

/* A pair, seen from one of its sides. */
typedef struct seen {
    int64_t key, other;
} seen;

static int compare(const void *a, const void *b)
{
    const seen *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->other < y->other ? -1 : x->other > y->other;
}

/* Brings all pairs of a key to one rank, sorted, each once: *kept, new memory, and their number. Collective. */
static trm_status bring_together(MPI_Comm comm, seen *pairs, int64_t count, seen **kept, int64_t *number,
                                 trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    int64_t *counts = trm_alloc_zero(2 * (int64_t)ranks, sizeof *counts), came = 0;
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "counts of pairs", ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_by_key(comm, pairs, count, sizeof *pairs, counts, counts + ranks, (void **)kept,
                                     err);
    for (int r = 0; r < ranks && status == TRM_OK; r++)
        came += counts[ranks + r];
    if (came > 1)
        qsort(*kept, (size_t)came, sizeof **kept, compare);
    *number = 0;
    for (int64_t i = 0; i < came; i++)
        if (i == 0 || compare(&(*kept)[i - 1], &(*kept)[i]) != 0)
            (*kept)[(*number)++] = (*kept)[i];
    trm_free(counts);
    return status;
}

/* How many keys sorted pairs have. */
static int64_t count_keys(const seen *pairs, int64_t count)
{
    int64_t keys = 0;
    for (int64_t i = 0; i < count; i++)
        keys += i == 0 || pairs[i].key != pairs[i - 1].key;
    return keys;
}

/* The pairs of each query are at one rank. */
static void count_queries(const seen *pairs, int64_t count, int64_t store_rows, trm_info_positives *found)
{
    int64_t of_query = 0;
    found->with = count_keys(pairs, count);
    for (int64_t i = 0; i < count; i++) {
        of_query = i > 0 && pairs[i].key == pairs[i - 1].key ? of_query + 1 : 1;
        found->most = of_query > found->most ? of_query : found->most;
        found->all += of_query == store_rows;
    }
}

static trm_status count_pairs(MPI_Comm comm, const trm_pairs *pairs, seen *list, int64_t store_rows,
                              trm_info_positives *found, trm_error *err)
{
    seen *by_query = NULL, *by_row = NULL;
    int64_t different = 0, rows = 0;
    for (int64_t i = 0; i < pairs->count; i++)
        list[i] = (seen){pairs->query[i], pairs->positive[i]};
    trm_status status = bring_together(comm, list, pairs->count, &by_query, &different, err);
    if (status == TRM_OK) {
        count_queries(by_query, different, store_rows, found);
        for (int64_t i = 0; i < different; i++) /* which row it is, is all that counts from here on */
            by_query[i] = (seen){by_query[i].other, 0};
        status = bring_together(comm, by_query, different, &by_row, &rows, err);
    }
    if (status == TRM_OK) {
        int64_t sums[] = {found->with, found->all, rows, different};
        MPI_Allreduce(MPI_IN_PLACE, sums, 4, MPI_INT64_T, MPI_SUM, comm);
        MPI_Allreduce(MPI_IN_PLACE, &found->most, 1, MPI_INT64_T, MPI_MAX, comm);
        found->with = sums[0];
        found->all = sums[1];
        found->rows = sums[2];
        found->repeated = pairs->total - sums[3];
    }
    trm_free(by_query);
    trm_free(by_row);
    return status;
}

trm_status trm_info_by_pairs(MPI_Comm comm, const char *path, const trm_info_set *store,
                             const trm_info_set *queries, trm_info_positives *found, trm_error *err)
{
    trm_pairs pairs = {0};
    *found = (trm_info_positives){0};
    trm_status status = trm_pairs_read(comm, path, queries->total, store->total, &pairs, err);
    if (status != TRM_OK)
        return status;
    seen *list = trm_alloc(pairs.count, sizeof *list);
    status = list == NULL ? trm_fail_memory(err, "the list of pairs", pairs.count, sizeof *list) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = count_pairs(comm, &pairs, list, store->total, found, err);
    found->pairs = pairs.total;
    found->without = queries->total - found->with;
    trm_free(list);
    trm_pairs_free(&pairs);
    return status;
}
