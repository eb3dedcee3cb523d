/* Who may be a positive, and how many negatives may be near an anchor's positives; see near.h.
 *
 * By label that is known of a class, whose rows may be on several teams: what is near any of them there is added up. By a
 * list it is counted, piece by piece of the anchors, as it will be given. */
#include "mine/near_inner.h"

#include "base/alloc.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/keyed.h"
#include "rows/ask.h"

#include <stdlib.h>

/* ---- who asks ---- */

/* Of two sets by label: a row whose label a query has. */
static trm_status asks_by_label(const trm_pool *pool, bool *asks, trm_error *err)
{
    const trm_rows *store = pool->store, *anchors = pool->anchors;
    int64_t own_count, count;
    trm_keyed *own = trm_pool_labels_of(anchors, 0, anchors->count, &own_count);
    trm_keyed *asked = trm_pool_labels_of(store, 0, store->count, &count);
    trm_status status = own == NULL || asked == NULL
                            ? trm_fail_memory(err, "labels", anchors->count + store->count, sizeof *own)
                            : TRM_OK;
    status = trm_agree(pool->run->comm, status, err);
    if (status == TRM_OK)
        status = trm_keyed_ask(pool->run->comm, own, own_count, asked, count, err);
    for (int64_t row = 0, k = 0; row < store->count && status == TRM_OK; row++) { /* arranged by label, too */
        k += asked[k].key != store->label[row];
        asks[row] = asked[k].sum[0] > 0 && store->class_size[row] < store->total;
    }
    trm_free(own);
    trm_free(asked);
    return status;
}

/* Of two sets by a list: a row that is in it. */
static trm_status asks_by_list(const trm_pool *pool, bool *asks, trm_error *err)
{
    const int64_t listed = pool->start[pool->anchors->count];
    trm_distinct different = {0};
    int64_t *told = NULL, count = 0;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < listed && status == TRM_OK; i++)
        if (!trm_distinct_add(&different, pool->id[i]))
            status = trm_fail_memory(err, "listed rows", listed, 2 * sizeof *pool->id);
    status = trm_agree(pool->run->comm, status, err);
    if (different.count > 1 && status == TRM_OK) /* no place is asked for any more */
        qsort(different.id, (size_t)different.count, sizeof *different.id, trm_compare_whole);
    if (status == TRM_OK)
        status = trm_tell_rows(pool->run, pool->store, different.count, different.id, &told, &count, err);
    for (int64_t row = 0; row < pool->store->count; row++)
        asks[row] = false;
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        asks[told[i]] = true;
    trm_distinct_free(&different);
    trm_free(told);
    return status;
}

trm_status trm_near_who_asks(const trm_pool *pool, bool *asks, trm_error *err)
{
    const trm_rows *store = pool->store;
    if (trm_pool_is_listed(pool))
        return asks_by_list(pool, asks, err);
    if (!trm_pool_is_one_set(pool))
        return asks_by_label(pool, asks, err);
    for (int64_t row = 0; row < store->count; row++)
        asks[row] = store->class_size[row] > 1 && store->class_size[row] < store->total;
    return TRM_OK;
}

/* ---- by label ---- */

/* The end of the run of rows of one label that begins with row. */
static int64_t end_of_run(const trm_rows *rows, int64_t row)
{
    const int64_t end = rows->class_first[row] + rows->class_size[row] - rows->first;
    return end < rows->count ? end : rows->count;
}

static int64_t longest_run(const trm_rows *rows, int64_t *runs)
{
    int64_t longest = 0;
    *runs = 0;
    for (int64_t row = 0, end; row < rows->count; row = end) {
        end = end_of_run(rows, row);
        longest = end - row > longest ? end - row : longest;
        ++*runs;
    }
    return longest;
}

/* Of a class, or of the part of it that a team has. */
enum { SUM_MOST, SUM_LISTED };

/* Looks at the part of a class that this shard has, the rows [row, end). */
static trm_keyed look_at_class(const trm_rows *rows, trm_near_lists from, int64_t row, int64_t end,
                               trm_joiner with)
{
    trm_keyed class = {.key = rows->label[row]};
    int64_t lists = 0;
    for (int64_t k = row; k < end; k++) {
        const int64_t count = from.offset[k + 1] - from.offset[k];
        if (count > 0)
            with.list[lists++] = (trm_list){from.id + from.offset[k], from.id + from.offset[k + 1]};
        class.sum[SUM_LISTED] += count;
        class.largest = count > class.largest ? count : class.largest;
    }
    class.sum[SUM_MOST] = trm_lists_union(with.list, lists, with.bits, NULL, NULL, 0);
    return class;
}

/* All classes of this shard; where each begins is in its place of class. */
static void look_at_classes(const trm_near *near, trm_near_lists lists, trm_keyed *class, int64_t classes,
                            int64_t longest, const trm_joiner *joiners)
{
    const trm_rows *store = near->pool->store;
    for (int64_t row = 0, k = 0; row < store->count; row = end_of_run(store, row))
        class[k++].key = row;
#pragma omp parallel for schedule(dynamic, 64) num_threads(near->run->threads)
    for (int64_t k = 0; k < classes; k++)
        class[k] = look_at_class(store, lists, class[k].key, end_of_run(store, class[k].key),
                                 trm_joiner_of_thread(joiners, longest));
}

/* Tells each anchor of its class. */
static void take_classes(trm_near *near, const trm_keyed *class)
{
    const trm_rows *anchors = near->pool->anchors;
    for (int64_t row = 0, k = -1; row < anchors->count; row++) {
        if (row == 0 || anchors->label[row] != anchors->label[row - 1]) {
            k++;
            near->asked += trm_pool_there(near->pool, row).places;
            near->listed += class[k].sum[SUM_LISTED];
        }
        near->most[row] = class[k].sum[SUM_MOST];
        near->largest[row] = class[k].largest;
    }
}

trm_status trm_near_most_by_label(trm_near *near, trm_near_lists lists, trm_error *err)
{
    const trm_rows *store = near->pool->store, *anchors = near->pool->anchors;
    int64_t classes, count;
    const int64_t longest = longest_run(store, &classes);
    trm_joiner joiners = {NULL, NULL};
    trm_keyed *class = trm_alloc_zero(classes, sizeof *class);
    trm_keyed *asked = trm_pool_labels_of(anchors, 0, anchors->count, &count);
    trm_status status = trm_joiners_create(near->run->threads, longest, &joiners, err);
    if (status == TRM_OK && (class == NULL || asked == NULL))
        status = trm_fail_memory(err, "rows near positives", classes + anchors->count, sizeof *class);
    status = trm_agree(near->run->comm, status, err);
    if (status == TRM_OK) {
        look_at_classes(near, lists, class, classes, longest, &joiners);
        status = trm_keyed_ask(near->run->comm, class, store->member == 0 ? classes : 0, asked, count, err);
    }
    if (status == TRM_OK)
        take_classes(near, asked);
    trm_joiners_free(&joiners);
    trm_free(class);
    trm_free(asked);
    return status;
}

/* ---- by a list ---- */

enum { PIECE_VALUES = 1 << 18 }; /* of the lists that are asked for at once */

/* Consecutive anchors, which ask with all of their listed rows. */
typedef struct piece {
    const trm_pool *pool;
    int64_t from, to;
} piece;

static int64_t row_of(const void *context, int64_t k)
{
    return ((const piece *)context)->from + k;
}

static int64_t positives_of(const void *context, int64_t k)
{
    const piece *p = context;
    return p->pool->start[p->from + k + 1] - p->pool->start[p->from + k];
}

static int64_t positive_of(const void *context, int64_t k, int64_t i)
{
    const piece *p = context;
    return p->pool->id[p->pool->start[p->from + k] + i];
}

static trm_near_asker asker_of(const piece *p, int64_t longest)
{
    return (trm_near_asker){p->to - p->from, longest, row_of, positives_of, positive_of, NULL, p};
}

/* most, largest: of each anchor's lists, what is in all of them, with repeats, and in one. */
static void add_lengths(trm_near *near, const trm_distinct *positives, const int64_t *length)
{
    const trm_pool *pool = near->pool;
    near->asked = positives->count;
    for (int64_t k = 0; k < positives->count; k++)
        near->listed += length[k];
    for (int64_t row = 0; row < pool->anchors->count; row++) {
        near->most[row] = near->largest[row] = 0;
        for (int64_t i = pool->start[row]; i < pool->start[row + 1]; i++) {
            const int64_t one = length[trm_distinct_find(positives, pool->id[i])];
            near->most[row] += one;
            near->largest[row] = one > near->largest[row] ? one : near->largest[row];
        }
    }
}

/* How long the lists are of all listed rows of this shard's anchors. Collective. */
static trm_status measure_lists(trm_near *near, trm_error *err)
{
    const piece all = {near->pool, 0, near->pool->anchors->count};
    const trm_near_asker asker = asker_of(&all, 0);
    trm_distinct positives = {0};
    trm_status status = trm_near_gather(&asker, &positives, err);
    int64_t *length = trm_alloc(positives.count, sizeof *length);
    if (status == TRM_OK && length == NULL)
        status = trm_fail_memory(err, "lengths of lists", positives.count, sizeof *length);
    status = trm_agree(near->run->comm, status, err);
    if (status == TRM_OK)
        status = trm_lookup_lengths(near->lookup, positives.count, positives.id, length, &near->load, err);
    if (status == TRM_OK)
        add_lengths(near, &positives, length);
    trm_free(length);
    trm_distinct_free(&positives);
    return status;
}

/* The anchors from p->from on that are asked for at once: one at least, if there are any. Returns what is in their lists. */
static int64_t take_piece(const trm_near *near, piece *p)
{
    int64_t values = 0;
    for (p->to = p->from; p->to < near->pool->anchors->count; p->to++) {
        if (p->to > p->from && values + near->most[p->to] > PIECE_VALUES)
            break;
        values += near->most[p->to];
    }
    return values;
}

/* Makes most the number of negatives. Collective. */
static trm_status count_piece(trm_near *near, const piece *p, int64_t longest, trm_error *err)
{
    const trm_near_asker asker = asker_of(p, longest);
    trm_near_asked asked;
    const trm_status status = trm_near_ask(near, &asker, &asked, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(dynamic, 16) num_threads(near->run->threads)
        for (int64_t k = 0; k < asker.anchors; k++)
            near->most[p->from + k] = trm_near_join(near, &asker, &asked, k, NULL, 0);
    }
    trm_near_asked_free(&asked);
    return status;
}

/* What counting a piece takes, the most of any rank, with all that is held beside. Collective. */
static int64_t counting_bytes(const trm_near *near, int64_t base_bytes, int64_t longest)
{
    piece p = {near->pool, 0, 0};
    int64_t values = 0;
    for (; p.from < near->pool->anchors->count; p.from = p.to) {
        const int64_t more = take_piece(near, &p);
        values = more > values ? more : values;
    }
    MPI_Allreduce(MPI_IN_PLACE, &values, 1, MPI_INT64_T, MPI_MAX,
                  near->run->comm); /* others may ask for as much */
    const int64_t all = near->run->ranks * values;
    const trm_lookup_load load = {near->load.ids, all < near->load.values ? all : near->load.values};
    int64_t bytes = base_bytes + trm_lookup_bytes(near->lookup) +
                    trm_near_ask_bytes(near, near->asked, values, load, longest);
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, near->run->comm);
    return bytes;
}

/* Piece by piece, as often as any rank needs. Collective. */
static trm_status count_pieces(trm_near *near, int64_t longest, trm_error *err)
{
    trm_status status = TRM_OK;
    for (piece p = {near->pool, 0, 0}; status == TRM_OK; p.from = p.to) {
        int more = p.from < near->pool->anchors->count;
        MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT, MPI_MAX, near->run->comm);
        if (!more)
            break;
        take_piece(near, &p);
        status = count_piece(near, &p, longest, err);
    }
    return status;
}

trm_status trm_near_most_by_list(trm_near *near, int64_t base_bytes, trm_error *err)
{
    const int64_t longest = trm_pool_most_positives(near->pool);
    trm_status status = measure_lists(near, err);
    if (status != TRM_OK)
        return status;
    const int64_t need = counting_bytes(near, base_bytes, longest);
    near->peak_bytes = need > near->peak_bytes ? need : near->peak_bytes;
    if (need > near->run->mem_per_rank)
        status = trm_run_refuse(
            near->run, "the rows near positives were counted; to list them needs at least", need, err);
    status = trm_agree(near->run->comm, status, err);
    return status == TRM_OK ? count_pieces(near, longest, err) : status;
}

int64_t trm_near_most_bytes(const trm_pool *pool)
{
    if (trm_pool_is_listed(pool)) { /* who asks is told, and lengths are asked for */
        const int64_t ids = pool->start[pool->anchors->count];
        return trm_distinct_bytes(ids) + trm_lookup_ask_bytes(ids, 0, (trm_lookup_load){ids, 0});
    }
    int64_t own, asked = 0;
    const int64_t longest = longest_run(pool->store, &own);
    for (int64_t row = 0; row < pool->anchors->count; row++)
        asked += row == 0 || pool->anchors->label[row] != pool->anchors->label[row - 1];
    return trm_joiners_bytes(pool->run->threads, longest) + (own + asked) * (int64_t)sizeof(trm_keyed) +
           trm_keyed_ask_bytes(own, asked);
}

int64_t trm_near_most(const trm_near *near, int64_t row, int64_t pairs)
{
    const int64_t negatives = trm_pool_there(near->pool, row).negatives;
    const int64_t selected = pairs * near->largest[row];
    const int64_t most = near->most[row] < selected ? near->most[row] : selected;
    return most < negatives ? most : negatives;
}
