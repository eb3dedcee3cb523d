/* What is near an anchor's positives; see near.h. Ranks ask for the lists of all their positives once; each anchor's are
 * joined, and where positives are listed, what is no negative of the anchor is left out. */
#include "mine/near_inner.h"

#include "base/alloc.h"
#include "base/order.h"
#include "par/agree.h"
#include "rows/ask.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* ---- scratch ---- */

trm_status trm_joiners_create(int threads, int64_t lists, trm_joiner *all, trm_error *err)
{
    *all = (trm_joiner){trm_alloc(threads * lists, sizeof *all->list),
                        trm_alloc_zero((int64_t)threads * TRM_UNION_WORDS, sizeof *all->bits)};
    return all->list == NULL || all->bits == NULL
               ? trm_fail_memory(err, "lists to be joined", threads * lists, sizeof *all->list)
               : TRM_OK;
}

trm_joiner trm_joiner_of_thread(const trm_joiner *all, int64_t lists)
{
    const int thread = omp_get_thread_num();
    return (trm_joiner){all->list + thread * lists, all->bits + (int64_t)thread * TRM_UNION_WORDS};
}

void trm_joiners_free(trm_joiner *all)
{
    trm_free(all->list);
    trm_free(all->bits);
    *all = (trm_joiner){NULL, NULL};
}

int64_t trm_joiners_bytes(int threads, int64_t lists)
{
    return threads * (lists * (int64_t)sizeof(trm_list) + TRM_UNION_WORDS * (int64_t)sizeof(uint64_t));
}

/* ---- asking ---- */

trm_status trm_near_gather(const trm_near_asker *asker, trm_distinct *positives, trm_error *err)
{
    for (int64_t a = 0; a < asker->anchors; a++) {
        const int64_t count = asker->positives(asker->context, a);
        for (int64_t i = 0; i < count; i++) {
            const int64_t id = asker->positive(asker->context, a, i);
            if (id >= 0 && !trm_distinct_add(positives, id))
                return trm_fail_memory(err, "positives", positives->count, 2 * sizeof id);
        }
    }
    return TRM_OK;
}

/* Do labels count beside a list? */
static bool asks_labels(const trm_pool *pool)
{
    return pool->listed_same_label != NULL;
}

static trm_status gather_near(trm_near_asked *asked, trm_error *err)
{
    for (int64_t k = 0; k < asked->positives.count; k++)
        for (const int64_t *at = asked->found.list[k].at; at < asked->found.list[k].end; at++)
            if (!trm_distinct_add(&asked->near, *at))
                return trm_fail_memory(err, "rows near positives", asked->near.count, 2 * sizeof *at);
    return TRM_OK;
}

/* The labels of all that was found. Collective. */
static trm_status ask_labels(const trm_near *near, trm_near_asked *asked, trm_error *err)
{
    trm_status status = trm_agree(near->run->comm, gather_near(asked, err), err);
    if (status != TRM_OK)
        return status;
    const int64_t count = asked->near.count;
    int64_t *id = trm_alloc(count, sizeof *id), *label = trm_alloc(count, sizeof *label);
    asked->label = trm_alloc(count, sizeof *asked->label);
    if (id == NULL || label == NULL || asked->label == NULL)
        status = trm_fail_memory(err, "labels of rows near positives", count, 3 * sizeof *label);
    status = trm_agree(near->run->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t k = 0; k < count; k++)
            id[k] = asked->near.id[k];
        if (count > 1)
            qsort(id, (size_t)count, sizeof *id, trm_compare_whole);
        status = trm_ask_labels(near->run, near->pool->store, count, id, label, err);
    }
    for (int64_t k = 0; k < count && status == TRM_OK; k++)
        asked->label[trm_distinct_find(&asked->near, id[k])] = label[k];
    trm_free(id);
    trm_free(label);
    return status;
}

trm_status trm_near_ask(const trm_near *near, const trm_near_asker *asker, trm_near_asked *asked,
                        trm_error *err)
{
    *asked = (trm_near_asked){.label = NULL};
    trm_status status = trm_joiners_create(near->run->threads, asker->longest, &asked->joiners, err);
    if (status == TRM_OK)
        status = trm_near_gather(asker, &asked->positives, err);
    status = trm_agree(near->run->comm, status, err);
    if (status == TRM_OK)
        status =
            trm_lookup_ask(near->lookup, asked->positives.count, asked->positives.id, &asked->found, err);
    return status == TRM_OK && asks_labels(near->pool) ? ask_labels(near, asked, err) : status;
}

void trm_near_asked_free(trm_near_asked *asked)
{
    trm_found_free(&asked->found);
    trm_distinct_free(&asked->positives);
    trm_distinct_free(&asked->near);
    trm_free(asked->label);
    trm_joiners_free(&asked->joiners);
}

int64_t trm_near_ask_bytes(const trm_near *near, int64_t positives, int64_t values, trm_lookup_load load,
                           int64_t longest)
{
    const trm_rows *store = near->pool->store;
    const int64_t different = values < store->total ? values : store->total, word = (int64_t)sizeof(int64_t);
    int64_t bytes = trm_distinct_bytes(positives) + trm_joiners_bytes(near->run->threads, longest) +
                    trm_lookup_ask_bytes(positives, values, load);
    if (asks_labels(near->pool)) /* the labels; asked for, and by every team of each row here */
        bytes +=
            trm_distinct_bytes(different) + 4 * different * word + 2 * store->teams * store->count * word;
    return bytes;
}

/* ---- joining ---- */

/* An anchor of a list, for trm_list_keep. */
typedef struct anchor {
    const trm_pool *pool;
    const trm_near_asked *asked;
    int64_t row;
} anchor;

static bool is_negative(const void *context, int64_t id)
{
    const anchor *a = context;
    const trm_pool *pool = a->pool;
    const int64_t *list = pool->id + pool->start[a->row],
                  count = pool->start[a->row + 1] - pool->start[a->row];
    if (bsearch(&id, list, (size_t)count, sizeof id, trm_compare_whole) != NULL)
        return false;
    return a->asked->label == NULL ||
           a->asked->label[trm_distinct_find(&a->asked->near, id)] != pool->anchors->label[a->row];
}

int64_t trm_near_join(const trm_near *near, const trm_near_asker *asker, const trm_near_asked *asked,
                      int64_t k, int64_t *into, int64_t room)
{
    const trm_joiner with = trm_joiner_of_thread(&asked->joiners, asker->longest);
    const int64_t count = asker->positives(asker->context, k);
    const anchor a = {near->pool, asked, asker->row(asker->context, k)};
    const trm_list_keep keep = {is_negative, &a};
    int64_t lists = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t id = asker->positive(asker->context, k, i);
        const int64_t place = id >= 0 ? trm_distinct_find(&asked->positives, id) : -1;
        if (place >= 0)
            with.list[lists++] = asked->found.list[place];
    }
    return trm_lists_union(with.list, lists, with.bits, trm_pool_is_listed(near->pool) ? &keep : NULL, into,
                           room);
}

static void give_anchor(const trm_near *near, const trm_near_asker *asker, const trm_near_asked *asked,
                        int64_t k)
{
    int64_t room;
    int64_t *slot = asker->slots(asker->context, k, &room);
    if (room == 0)
        return;
    for (int64_t i = trm_near_join(near, asker, asked, k, slot, room); i < room; i++)
        slot[i] = INT64_MAX;
}

trm_status trm_near_give(const trm_near *near, const trm_near_asker *asker, trm_error *err)
{
    trm_near_asked asked;
    if (!near->any)
        return TRM_OK; /* no anchor has a slot */
    const trm_status status = trm_near_ask(near, asker, &asked, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(dynamic, 16) num_threads(near->run->threads)
        for (int64_t k = 0; k < asker->anchors; k++)
            give_anchor(near, asker, &asked, k);
    }
    trm_near_asked_free(&asked);
    return status;
}

int64_t trm_near_bytes(const trm_near *near)
{
    const int64_t tables = near->looked ? 3 : 2;
    return trm_lookup_bytes(near->lookup) + trm_near_nearest_bytes(near) +
           tables * (near->pool->anchors->count + 1) * (int64_t)sizeof(int64_t);
}

int64_t trm_near_give_bytes(const trm_near *near, int64_t longest)
{
    return trm_near_ask_bytes(near, near->asked, near->listed, near->load, longest);
}
