/* The rows that there are for an anchor; see pool.h. Measuring what is listed is measure.c. */
#include "mine/pool.h"

#include "base/alloc.h"
#include "base/order.h"
#include "rows/ask.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

trm_pool trm_pool_of_one(const trm_run *run, const trm_rows *rows)
{
    return (trm_pool){.run = run, .anchors = rows, .store = rows, .relation = TRM_OTHER_LABEL};
}

void trm_pool_free(trm_pool *pool)
{
    trm_free(pool->same_label);
    trm_free(pool->start);
    trm_free(pool->id);
    trm_free(pool->listed_same_label);
    pool->same_label = pool->start = pool->id = pool->listed_same_label = NULL;
}

trm_there trm_pool_there(const trm_pool *pool, int64_t row)
{
    const int64_t total = pool->store->total;
    if (trm_pool_is_one_set(pool)) {
        const int64_t size = pool->anchors->class_size[row];
        return (trm_there){size - 1, size, total - size};
    }
    const int64_t same = pool->same_label != NULL ? pool->same_label[row] : 0;
    if (!trm_pool_is_listed(pool))
        return (trm_there){same, same, total - same};
    const int64_t listed = pool->start[row + 1] - pool->start[row],
                  both = pool->listed_same_label != NULL ? pool->listed_same_label[row] : 0;
    return (trm_there){listed, listed, total - listed - (same - both)};
}

void trm_pool_count_anchors(const trm_pool *pool, trm_mine_summary *summary)
{
    const trm_rows *rows = pool->anchors;
    int64_t first, last, counts[3] = {0, 0, 0};
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const trm_there there = trm_pool_there(pool, row);
        counts[there.positives == 0 ? 1 : there.negatives == 0 ? 2 : 0]++;
    }
    MPI_Allreduce(MPI_IN_PLACE, counts, 3, MPI_INT64_T, MPI_SUM, pool->run->comm);
    summary->anchors.total = rows->total;
    summary->anchors.valid = counts[0];
    summary->anchors.no_positive = counts[1];
    summary->anchors.no_negative = counts[2];
    summary->anchors.ignored = rows->store_rows - rows->total;
    summary->classes = pool->store->by_id ? 0 : pool->store->classes;
    summary->repeated_pairs = pool->repeats;
}

int64_t trm_pool_most_positives(const trm_pool *pool)
{
    int64_t most = 0;
    for (int64_t row = 0; row < pool->anchors->count; row++) {
        const int64_t positives = trm_pool_there(pool, row).positives;
        most = positives > most ? positives : most;
    }
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, pool->run->comm);
    return most;
}

int64_t trm_pool_bytes(const trm_pool *pool)
{
    const int64_t rows = trm_rows_shard_count(pool->anchors);
    int64_t bytes = 0;
    if (pool->same_label != NULL)
        bytes += rows * (int64_t)sizeof *pool->same_label;
    if (pool->listed_same_label != NULL)
        bytes += rows * (int64_t)sizeof *pool->listed_same_label;
    if (trm_pool_is_listed(pool))
        bytes += (rows + 1 + pool->start[rows]) * (int64_t)sizeof *pool->id;
    return bytes;
}

/* ---- by label ---- */

/* Does the row begin a run of one label? */
static bool begins_run(const trm_rows *rows, int64_t row, int64_t from)
{
    return row == from || rows->label[row] != rows->label[row - 1];
}

trm_keyed *trm_pool_labels_of(const trm_rows *rows, int64_t from, int64_t to, int64_t *count)
{
    int64_t runs = 0, at = -1;
    for (int64_t row = from; row < to; row++)
        runs += begins_run(rows, row, from);
    trm_keyed *list = trm_alloc_zero(runs, sizeof *list);
    for (int64_t row = from; row < to && list != NULL; row++) {
        if (begins_run(rows, row, from))
            list[++at].key = rows->label[row];
        list[at].sum[0]++;
    }
    *count = list != NULL ? trm_keyed_join(list, runs) : 0;
    return list;
}

static trm_status find_same_label(trm_pool *pool, trm_error *err)
{
    const trm_rows *anchors = pool->anchors, *store = pool->store;
    int64_t count, own_count, from = 0, to = store->count;
    if (!store->all_here) /* members of a team have the same shard */
        trm_share(store->count, store->member, store->replicate, &from, &to);
    trm_keyed *asked = trm_pool_labels_of(anchors, 0, anchors->count, &count);
    trm_keyed *own = trm_pool_labels_of(store, from, to, &own_count);
    pool->same_label = trm_alloc(anchors->count, sizeof *pool->same_label);
    trm_status status = asked == NULL || own == NULL || pool->same_label == NULL
                            ? trm_fail_memory(err, "labels", anchors->count + to - from, sizeof *asked)
                            : TRM_OK;
    status = trm_agree(pool->run->comm, status, err);
    if (status == TRM_OK)
        status = trm_keyed_ask(pool->run->comm, own, own_count, asked, count, err);
    for (int64_t row = 0; row < anchors->count && status == TRM_OK; row++) {
        const trm_keyed sought = {.key = anchors->label[row]};
        const trm_keyed *found = bsearch(&sought, asked, (size_t)count, sizeof sought, trm_compare_whole);
        pool->same_label[row] = found != NULL ? found->sum[0] : 0;
    }
    trm_free(asked);
    trm_free(own);
    return status;
}

/* ---- by a list ---- */

typedef struct listed {
    int64_t query, positive;
} listed;

/* An id of a list, and the anchor whose list it is. */
typedef struct asked_id {
    int64_t id, row;
} asked_id;

int64_t trm_pool_making_bytes(const trm_pool *pool)
{
    /* pairs are sent and received; then qsort has a copy of those received */
    const int64_t routing = 2 * pool->received * (int64_t)sizeof(listed);
    if (pool->listed_same_label == NULL)
        return routing;
    /* the lists, with their anchors, and by id; the questions of others, the answers to them and to this rank, and labels */
    const int64_t asking =
        pool->start[pool->anchors->count] * (int64_t)(sizeof(asked_id) + 6 * sizeof(int64_t));
    return routing > asking ? routing : asking;
}

static int compare_listed(const void *a, const void *b)
{
    const listed *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->positive < y->positive ? -1 : x->positive > y->positive;
}

static bool is_in_range(const trm_pool *pool, const trm_pair_list *pairs, int64_t i)
{
    return pairs->query[i] >= 0 && pairs->query[i] < pool->anchors->total && pairs->positive[i] >= 0 &&
           pairs->positive[i] < pool->store->total;
}

/* The first pair of the whole list that is out of range is named. Collective. */
static trm_status check_range(const trm_pool *pool, const trm_pair_list *pairs, trm_error *err)
{
    const int64_t before = trm_prefix_int64(pool->run->comm, pairs->count);
    int64_t at = 0, first = INT64_MAX;
    while (at < pairs->count && is_in_range(pool, pairs, at))
        at++;
    const int64_t mine = at < pairs->count ? before + at : INT64_MAX;
    MPI_Allreduce(&mine, &first, 1, MPI_INT64_T, MPI_MIN, pool->run->comm);
    trm_status status = TRM_OK;
    if (first != INT64_MAX && first == mine) {
        const bool query = pairs->query[at] < 0 || pairs->query[at] >= pool->anchors->total;
        status = trm_fail(err, TRM_ERR_DATA,
                          "pair %" PRId64 ": %s %" PRId64 " is out of range: there are %" PRId64, mine,
                          query ? "query" : "store row", query ? pairs->query[at] : pairs->positive[at],
                          query ? pool->anchors->total : pool->store->total);
    }
    return trm_agree(pool->run->comm, status, err);
}

/* Each pair goes to all members of the team that has its query. Collective; *received is new memory. */
static trm_status route_pairs(const trm_pool *pool, const trm_pair_list *pairs, void **received,
                              int64_t *count, trm_error *err)
{
    const trm_run *run = pool->run;
    const trm_rows *anchors = pool->anchors;
    const int c = anchors->replicate;
    int64_t *counts = trm_alloc_zero(3 * (int64_t)run->ranks, sizeof *counts);
    listed *items = trm_alloc(pairs->count * c, sizeof *items);
    trm_status status = counts == NULL || items == NULL
                            ? trm_fail_memory(err, "pairs to send", pairs->count * c, sizeof *items)
                            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    int64_t *sent = counts, *came = counts + run->ranks, *place = counts + 2 * run->ranks;
    for (int64_t i = 0; i < pairs->count; i++) {
        const int team = trm_team_of_id(anchors, pairs->query[i]);
        for (int m = 0; m < c; m++)
            sent[team * c + m]++;
    }
    for (int r = 1; r < run->ranks; r++)
        place[r] = place[r - 1] + sent[r - 1];
    for (int64_t i = 0; i < pairs->count; i++) {
        const int team = trm_team_of_id(anchors, pairs->query[i]);
        for (int m = 0; m < c; m++)
            items[place[team * c + m]++] = (listed){pairs->query[i], pairs->positive[i]};
    }
    status = trm_exchange_items(run->comm, items, sent, sizeof *items, received, came, err);
    for (int r = 0; r < run->ranks; r++)
        *count += came[r];
done:
    trm_free(counts);
    trm_free(items);
    return status;
}

/* Sorted pairs without repeats, as lists of the shard's anchors. */
static trm_status make_lists(trm_pool *pool, listed *pairs, int64_t count, trm_error *err)
{
    const trm_rows *anchors = pool->anchors;
    int64_t kept = 0;
    if (count > 1)
        qsort(pairs, (size_t)count, sizeof *pairs, compare_listed);
    for (int64_t i = 0; i < count; i++)
        if (kept == 0 || compare_listed(&pairs[kept - 1], &pairs[i]) != 0)
            pairs[kept++] = pairs[i];
    pool->start = trm_alloc_zero(anchors->count + 1, sizeof *pool->start);
    pool->id = trm_alloc(kept, sizeof *pool->id);
    trm_status status = pool->start == NULL || pool->id == NULL
                            ? trm_fail_memory(err, "lists of pairs", kept, sizeof *pool->id)
                            : TRM_OK;
    status = trm_agree(pool->run->comm, status, err);
    if (status != TRM_OK)
        return status;
    for (int64_t i = 0; i < kept; i++) {
        pool->start[pairs[i].query - anchors->first + 1]++;
        pool->id[i] = pairs[i].positive;
    }
    for (int64_t row = 0; row < anchors->count; row++)
        pool->start[row + 1] += pool->start[row];
    pool->repeats = trm_sum_int64(pool->run->comm, anchors->member == 0 ? count - kept : 0);
    return TRM_OK;
}

/* Of each anchor's list those with its label: they are not counted twice among what is no negative. */
static trm_status find_listed_same_label(trm_pool *pool, trm_error *err)
{
    const trm_rows *anchors = pool->anchors;
    const int64_t count = pool->start[anchors->count];
    asked_id *asked = trm_alloc(count, sizeof *asked);
    int64_t *id = trm_alloc(count, sizeof *id), *label = trm_alloc(count, sizeof *label);
    pool->listed_same_label = trm_alloc_zero(anchors->count, sizeof *pool->listed_same_label);
    trm_status status = asked == NULL || id == NULL || label == NULL || pool->listed_same_label == NULL
                            ? trm_fail_memory(err, "labels of pairs", count, sizeof *asked)
                            : TRM_OK;
    status = trm_agree(pool->run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    for (int64_t row = 0; row < anchors->count; row++)
        for (int64_t i = pool->start[row]; i < pool->start[row + 1]; i++)
            asked[i] = (asked_id){pool->id[i], row};
    if (count > 1)
        qsort(asked, (size_t)count, sizeof *asked, trm_compare_whole);
    for (int64_t i = 0; i < count; i++)
        id[i] = asked[i].id;
    status = trm_ask_labels(pool->run, pool->store, count, id, label, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        pool->listed_same_label[asked[i].row] += label[i] == anchors->label[asked[i].row];
done:
    trm_free(asked);
    trm_free(id);
    trm_free(label);
    return status;
}

static trm_status take_pairs(trm_pool *pool, const trm_pair_list *pairs, trm_error *err)
{
    void *received = NULL;
    int64_t count = 0;
    trm_status status = check_range(pool, pairs, err);
    if (status == TRM_OK)
        status = route_pairs(pool, pairs, &received, &count, err);
    if (status == TRM_OK)
        status = make_lists(pool, received, count, err);
    pool->received = count;
    trm_free(received);
    return status;
}

/* ---- all of it ---- */

/* Equal on all ranks. */
static trm_status check_sets(const trm_rows *rows, const trm_mine_options *options, trm_error *err)
{
    const trm_rows *queries = options->queries;
    if (queries == NULL)
        return options->pairs == NULL && !options->and_labels
                   ? TRM_OK
                   : trm_fail(err, TRM_ERR_USAGE, "pairs go with queries only");
    if (queries->dim != rows->dim)
        return trm_fail(err, TRM_ERR_USAGE, "queries of dim %d: the store has %d", queries->dim, rows->dim);
    if (queries->teams != rows->teams || queries->by_id != rows->by_id)
        return trm_fail(err, TRM_ERR_USAGE,
                        "queries: must be spread as the store is, by trm_rows_create_queries");
    if ((options->pairs != NULL) != rows->by_id)
        return trm_fail(err, TRM_ERR_USAGE, "%s",
                        rows->by_id ? "rows arranged by id go with pairs only"
                                    : "pairs: the store must be arranged by id, by trm_rows_create_by_id");
    if (options->and_labels && (options->pairs == NULL || !queries->labelled || !rows->labelled))
        return trm_fail(err, TRM_ERR_USAGE, "and_labels: needs pairs, and labels of queries and store");
    return TRM_OK;
}

trm_status trm_pool_create(trm_pool *pool, const trm_run *run, const trm_rows *rows,
                           const trm_mine_options *options, trm_error *err)
{
    *pool = trm_pool_of_one(run, rows);
    trm_status status = trm_agree(run->comm, check_sets(rows, options, err), err);
    if (status != TRM_OK || options->queries == NULL)
        return status;
    pool->anchors = options->queries;
    if (options->pairs != NULL) {
        pool->relation = options->and_labels ? TRM_NOT_LISTED_OTHER_LABEL : TRM_NOT_LISTED;
        status = take_pairs(pool, options->pairs, err);
    }
    if (status == TRM_OK && (options->pairs == NULL || options->and_labels))
        status = find_same_label(pool, err);
    if (status == TRM_OK && options->and_labels)
        status = find_listed_same_label(pool, err);
    return status;
}
