/* Listed rows: their distances, round by round of so many rows as fit a buffer; see pool.h. */
#include "base/alloc.h"
#include "base/order.h"
#include "metric/metric.h"
#include "rows/ask.h"
#include "mine/pool.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "sweep/sweep.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND_BYTES = 8 << 20, ROUND_ROWS_LEAST = 64 };

/* A pair to measure, sorted by what it begins with: at, its place in the list. */
typedef struct measured {
    int64_t id, row, at;
} measured;

static int64_t round_rows(const trm_rows *store)
{
    const int64_t rows = ROUND_BYTES / ((int64_t)store->dim * (int64_t)sizeof(float)),
                  most = rows < ROUND_ROWS_LEAST ? ROUND_ROWS_LEAST : rows;
    return most < store->total || store->total == 0 ? most : store->total;
}

int64_t trm_pool_measuring_bytes(const trm_pool *pool)
{
    int64_t from, to;
    const trm_rows *anchors = pool->anchors, *store = pool->store;
    trm_share(anchors->count, anchors->member, anchors->replicate, &from, &to);
    const int64_t pairs = pool->start[to] - pool->start[from], sorting = pairs * (int64_t)sizeof(measured);
    /* what comes back and where it stays; and what is asked of this rank, of all its rows by each team at once, as all go by id */
    const int64_t round = round_rows(store), shard = trm_rows_largest_shard(store),
                  rows = 2 * round + store->teams * (round < shard ? round : shard),
                  asking = pairs * (int64_t)sizeof(double) + rows * ((int64_t)store->dim * 4 + 8);
    /* first qsort has a copy of the pairs */
    return pairs * (int64_t)sizeof(measured) + (sorting > asking ? sorting : asking);
}

static void give_row(const trm_rows *rows, int64_t row, void *into)
{
    memcpy(into, rows->x + row * rows->dim, (size_t)rows->dim * sizeof *rows->x);
}

typedef struct measuring {
    const trm_pool *pool;
    trm_metric metric;
    int64_t from, to; /* this member's anchors */
    measured *pair;   /* by id */
    int64_t pairs;
    double *d;   /* of each place of its lists */
    int64_t *id; /* of a round, each once */
    float *x;    /* their rows */
} measuring;

/* Those of anchors that have slots. */
static void collect(measuring *m, const trm_state *state)
{
    const trm_pool *pool = m->pool;
    for (int64_t row = m->from; row < m->to; row++)
        for (int64_t i = pool->start[row]; i < pool->start[row + 1] && trm_state_count(state, 0, row) > 0;
             i++)
            m->pair[m->pairs++] = (measured){pool->id[i], row, i - pool->start[m->from]};
    if (m->pairs > 1)
        qsort(m->pair, (size_t)m->pairs, sizeof *m->pair, trm_compare_whole);
}

/* The pairs [from, *to) whose rows fit a round; how many rows these are. */
static int64_t take_round(measuring *m, int64_t from, int64_t *to)
{
    const int64_t most = round_rows(m->pool->store);
    int64_t rows = 0, at = from;
    for (; at < m->pairs; at++) {
        if (at > from && m->pair[at].id == m->pair[at - 1].id)
            continue;
        if (rows == most)
            break;
        m->id[rows++] = m->pair[at].id;
    }
    *to = at;
    return rows;
}

static void measure(measuring *m, int64_t from, int64_t to, int64_t rows)
{
    const trm_rows *anchors = m->pool->anchors;
    const int dim = anchors->dim;
#pragma omp parallel for schedule(static) num_threads(m->pool->run->threads)
    for (int64_t k = from; k < to; k++) {
        const measured *pair = &m->pair[k];
        int64_t lo = 0, hi = rows - 1;
        while (lo < hi) {
            const int64_t middle = lo + (hi - lo) / 2;
            if (m->id[middle] < pair->id)
                lo = middle + 1;
            else
                hi = middle;
        }
        const float *x = m->x + lo * dim;
        m->d[pair->at] = trm_distance(m->metric, anchors->x + pair->row * dim, anchors->norm2[pair->row], x,
                                      trm_dot(x, x, dim), dim, NULL);
    }
}

/* Round by round, as often as any rank needs. Collective. */
static trm_status measure_all(measuring *m, trm_error *err)
{
    const trm_pool *pool = m->pool;
    trm_status status = TRM_OK;
    int64_t from = 0, to = 0;
    for (int more = 1; status == TRM_OK; from = to) {
        more = from < m->pairs;
        MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT, MPI_MAX, pool->run->comm);
        if (!more)
            break;
        const int64_t rows = take_round(m, from, &to);
        status = trm_ask_rows(pool->run, pool->store, rows, m->id, (size_t)pool->store->dim * sizeof *m->x,
                              give_row, m->x, err);
        if (status == TRM_OK)
            measure(m, from, to, rows);
    }
    return status;
}

/* Each anchor is offered all of its list at once. */
static void offer_all(const measuring *m, const trm_query *query, trm_state *state)
{
    const trm_pool *pool = m->pool;
#pragma omp parallel for schedule(dynamic, 64) num_threads(pool->run->threads)
    for (int64_t row = m->from; row < m->to; row++) {
        const int64_t first = pool->start[row], count = pool->start[row + 1] - first;
        int64_t tally[TRM_TALLY_WORDS] = {0}; /* positives count nothing */
        const trm_seen seen = {
            .n = count, .d = m->d + (first - pool->start[m->from]), .id = pool->id + first, .place = 0};
        if (count > 0 && trm_state_count(state, 0, row) > 0)
            query->type->offer(query, state, row, &seen, tally);
    }
}

trm_status trm_pool_measure(const trm_pool *pool, trm_metric metric, const trm_query *query, trm_state *state,
                            trm_error *err)
{
    const trm_rows *anchors = pool->anchors;
    measuring m = {.pool = pool, .metric = metric};
    trm_share(anchors->count, anchors->member, anchors->replicate, &m.from, &m.to);
    const int64_t places = pool->start[m.to] - pool->start[m.from], rows = round_rows(pool->store);
    m.pair = trm_alloc(places, sizeof *m.pair);
    m.d = trm_alloc(places, sizeof *m.d);
    m.id = trm_alloc(rows, sizeof *m.id);
    m.x = trm_alloc(rows * pool->store->dim, sizeof *m.x);
    trm_status status = m.pair == NULL || m.d == NULL || m.id == NULL || m.x == NULL
                            ? trm_fail_memory(err, "listed pairs", places, sizeof *m.pair)
                            : TRM_OK;
    status = trm_agree(pool->run->comm, status, err);
    if (status == TRM_OK) {
        collect(&m, state);
        status = measure_all(&m, err);
    }
    if (status == TRM_OK) {
        offer_all(&m, query, state);
        trm_sweep_merge_team(anchors, state);
    }
    trm_free(m.pair);
    trm_free(m.d);
    trm_free(m.id);
    trm_free(m.x);
    return status;
}
