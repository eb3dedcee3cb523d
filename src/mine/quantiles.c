/* The search for order statistics; see quantiles.h. */
#include "mine/quantiles.h"

#include "base/alloc.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { PART_BITS = 12, PARTS = 1 << PART_BITS, COLLECT_MOST = 1 << 16 };
enum {
    THREADS_MOST = 8,
    TABLE = TRM_WANTED_MOST * PARTS
}; /* a thread has a table; a look is not much work */

/* Where some of the wanted values lie. */
typedef struct interval {
    int series;
    uint64_t low, high;
    int shift; /* part of a value: (order - low) >> shift */
    int64_t count;
} interval;

/* A value of an interval that is collected. */
typedef struct found {
    uint64_t order;
    int64_t interval;
} found;

typedef struct search {
    MPI_Comm comm;
    int threads, intervals, wanteds;
    trm_wanted *wanted;
    int of[TRM_WANTED_MOST]; /* the interval of each that is wanted; -1: its value is known */
    interval interval[TRM_WANTED_MOST];
    int64_t *table; /* threads x TABLE; a table's rows are the intervals */
    found *found;
    int64_t founds, left; /* left: in all intervals, of all ranks */
} search;

static bool is_inside(const interval *i, const uint64_t order[TRM_SERIES])
{
    return order[i->series] - i->low <= i->high - i->low;
}

static int64_t part_of(const interval *i, const uint64_t order[TRM_SERIES])
{
    return (int64_t)((order[i->series] - i->low) >> i->shift);
}

static bool orders_of(const trm_triplet *triplet, uint64_t order[TRM_SERIES])
{
    double value[TRM_SERIES];
    const bool counts = trm_series_of(triplet, value);
    for (int k = 0; k < TRM_SERIES; k++)
        order[k] = trm_order_of(value[k]);
    return counts;
}

/* A trm_look_fn. */
static void look_for_parts(void *looker, const trm_triplet *triplets, int64_t count)
{
    search *s = looker;
#pragma omp parallel num_threads(s->threads)
    {
        int64_t *table = s->table + omp_get_thread_num() * TABLE;
        uint64_t order[TRM_SERIES];
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++) {
            const int intervals = orders_of(&triplets[t], order) ? s->intervals : 0;
            for (int k = 0; k < intervals; k++)
                if (is_inside(&s->interval[k], order))
                    table[k * PARTS + part_of(&s->interval[k], order)]++;
        }
    }
}

/* A trm_look_fn. */
static void look_for_values(void *looker, const trm_triplet *triplets, int64_t count)
{
    search *s = looker;
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t t = 0; t < count; t++) {
        uint64_t order[TRM_SERIES];
        const int intervals = orders_of(&triplets[t], order) ? s->intervals : 0;
        for (int k = 0; k < intervals; k++)
            if (is_inside(&s->interval[k], order)) {
#pragma omp critical(trimine_found)
                s->found[s->founds++] = (found){order[s->interval[k].series], k};
            }
    }
}

/* The intervals of the values that are not known yet, each once, and how many values they hold. counts: of
 * each wanted value's. */
static void list_intervals(search *s, const int64_t *counts)
{
    s->intervals = 0;
    s->left = 0;
    for (int w = 0; w < s->wanteds; w++) {
        const trm_wanted *wanted = &s->wanted[w];
        int k = 0;
        s->of[w] = -1;
        if (wanted->low == wanted->high)
            continue;
        while (k < s->intervals &&
               (s->interval[k].series != wanted->series || s->interval[k].low != wanted->low))
            k++;
        s->of[w] = k;
        if (k < s->intervals)
            continue;
        const int bits = 64 - __builtin_clzll(wanted->high - wanted->low);
        s->interval[s->intervals++] = (interval){wanted->series, wanted->low, wanted->high,
                                                 bits > PART_BITS ? bits - PART_BITS : 0, counts[w]};
        s->left += counts[w];
    }
}

/* Adds up the threads' tables and those of the ranks. Collective. */
static const int64_t *sum_tables(search *s)
{
    const int64_t size = (int64_t)s->intervals * PARTS;
    for (int thread = 1; thread < s->threads; thread++)
        for (int64_t i = 0; i < size; i++)
            s->table[i] += s->table[thread * TABLE + i];
    MPI_Allreduce(MPI_IN_PLACE, s->table, (int)size, MPI_INT64_T, MPI_SUM, s->comm);
    return s->table;
}

/* One look at the parts. Collective. */
static trm_status narrow(search *s, trm_walk_fn walk, void *source, int64_t *counts, trm_error *err)
{
    memset(s->table, 0, (size_t)s->threads * TABLE * sizeof *s->table);
    trm_status status = trm_agree(s->comm, walk(source, look_for_parts, s, err), err);
    if (status != TRM_OK)
        return status;
    const int64_t *table = sum_tables(s);
    for (int w = 0; w < s->wanteds; w++) {
        trm_wanted *wanted = &s->wanted[w];
        if (s->of[w] < 0)
            continue;
        const interval *i = &s->interval[s->of[w]];
        const int64_t *part = table + (int64_t)s->of[w] * PARTS;
        int64_t k = 0;
        while (k < PARTS - 1 && wanted->below + part[k] <= wanted->place)
            wanted->below += part[k++];
        counts[w] = part[k];
        wanted->low = i->low + ((uint64_t)k << i->shift);
        const uint64_t width = (UINT64_C(1) << i->shift) - 1;
        wanted->high = i->high - wanted->low < width ? i->high : wanted->low + width;
    }
    return TRM_OK;
}

static int compare_found(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->interval != y->interval)
        return x->interval < y->interval ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Every rank gets what all found, in new memory. Collective. */
static trm_status share_found(search *s, found **all, int64_t *count, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(s->comm, &ranks);
    int *bytes = trm_alloc(2 * (int64_t)ranks, sizeof *bytes),
        mine = (int)(s->founds * (int64_t)sizeof **all);
    *all = trm_alloc(s->left, sizeof **all);
    trm_status status = TRM_OK;
    if (bytes == NULL || *all == NULL)
        status = trm_fail_memory(err, "values for quantiles", s->left, sizeof **all);
    status = trm_agree(s->comm, status, err);
    if (status == TRM_OK) {
        MPI_Allgather(&mine, 1, MPI_INT, bytes, 1, MPI_INT, s->comm);
        int *start = bytes + ranks, before = 0;
        for (int r = 0; r < ranks; r++) {
            start[r] = before;
            before += bytes[r];
        }
        MPI_Allgatherv(s->found, mine, MPI_BYTE, *all, bytes, start, MPI_BYTE, s->comm);
        *count = before / (int64_t)sizeof **all;
    }
    trm_free(bytes);
    return status;
}

/* The last look. Collective. */
static trm_status collect(search *s, trm_walk_fn walk, void *source, trm_error *err)
{
    found *all = NULL;
    int64_t count = 0;
    s->founds = 0;
    trm_status status = trm_agree(s->comm, walk(source, look_for_values, s, err), err);
    if (status == TRM_OK)
        status = share_found(s, &all, &count, err);
    if (status == TRM_OK)
        qsort(all, (size_t)count, sizeof *all, compare_found);
    for (int w = 0; w < s->wanteds && status == TRM_OK; w++) {
        trm_wanted *wanted = &s->wanted[w];
        int64_t first = 0;
        if (s->of[w] < 0)
            continue;
        while (all[first].interval < s->of[w])
            first++;
        wanted->low = wanted->high = all[first + wanted->place - wanted->below].order;
    }
    trm_free(all);
    return status;
}

static int threads_of(int threads)
{
    return threads < THREADS_MOST ? threads : THREADS_MOST;
}

int64_t trm_quantiles_bytes(int threads, int64_t values)
{
    enum { COPIES = 2 }; /* of what is collected: this rank's and all */
    return values > COLLECT_MOST ? threads_of(threads) * TABLE * (int64_t)sizeof(int64_t) +
                                       COPIES * COLLECT_MOST * (int64_t)sizeof(found)
                                 : COPIES * values * (int64_t)sizeof(found);
}

trm_status trm_quantiles_find(MPI_Comm comm, int threads, trm_walk_fn walk, void *source, int64_t total,
                              int count, trm_wanted *wanted, trm_error *err)
{
    search s = {.comm = comm, .threads = threads_of(threads), .wanteds = count, .wanted = wanted};
    int64_t counts[TRM_WANTED_MOST];
    trm_status status = TRM_OK;
    for (int w = 0; w < count; w++)
        counts[w] = total;
    list_intervals(&s, counts);
    s.table = trm_alloc(s.left > COLLECT_MOST ? s.threads * TABLE : 0, sizeof *s.table);
    s.found = trm_alloc(s.left < COLLECT_MOST ? s.left : COLLECT_MOST, sizeof *s.found);
    if (s.table == NULL || s.found == NULL)
        status = trm_fail_memory(err, "counts for quantiles", s.threads * TABLE, sizeof *s.table);
    status = trm_agree(comm, status, err);
    while (status == TRM_OK && s.left > COLLECT_MOST) {
        status = narrow(&s, walk, source, counts, err);
        list_intervals(&s, counts);
    }
    if (status == TRM_OK && s.left > 0)
        status = collect(&s, walk, source, err);
    trm_free(s.table);
    trm_free(s.found);
    return status;
}
