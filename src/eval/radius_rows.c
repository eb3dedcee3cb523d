/* Rows by their ids; see radius_rows.h. */
#include "eval/radius_rows.h"

#include "base/alloc.h"
#include "base/candidate.h"
#include "base/merge.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <stdlib.h>
#include <string.h>

/* A row on its way to the rank that shares its id. Items go in the order of ids, which is that of the ranks. */
typedef struct item {
    int64_t id, own, near;
} item;

/* How many of these ascending items each rank gets. */
static void count_items(int64_t rows, int ranks, int64_t count, const item *items, int64_t *counts)
{
    int64_t first, last, k = 0;
    for (int r = 0; r < ranks; r++) {
        trm_share(rows, r, ranks, &first, &last);
        const int64_t before = k;
        while (k < count && items[k].id < last)
            k++;
        counts[r] = k - before;
    }
}

/* Takes the items, and answers each with its place. */
static trm_status take_items(trm_ids *ids, int64_t count, const item *items, int64_t *answer, trm_error *err)
{
    int64_t *at = trm_alloc_zero(ids->count + 1, sizeof *at), all = 0;
    if (at == NULL)
        return trm_fail_memory(err, "places of pairs", ids->count + 1, sizeof *at);
    for (int64_t k = 0; k < count; k++) {
        ids->near[items[k].id - ids->first] = items[k].near;
        at[items[k].id - ids->first + 1] = items[k].own;
        all += items[k].own;
    }
    at[0] = trm_prefix_int64(ids->comm, all);
    for (int64_t i = 0; i < ids->count; i++)
        at[i + 1] += at[i];
    for (int64_t k = 0; k < count; k++)
        answer[k] = at[items[k].id - ids->first];
    trm_free(at);
    return TRM_OK;
}

/* A member's share of its team's shard, sorted by id, as items[k], which come from row order[k]. */
typedef struct sending {
    item *items;
    int64_t *row, *counts, from, to;
} sending;

static void free_sending(sending *s)
{
    trm_free(s->items);
    trm_free(s->row);
    trm_free(s->counts);
}

static trm_status make_sending(const trm_rows *rows, int ranks, const int64_t *own, const int64_t *others,
                               sending *s, trm_error *err)
{
    trm_share(rows->count, rows->member, rows->replicate, &s->from, &s->to);
    const int64_t count = s->to - s->from;
    s->items = trm_alloc(count, sizeof *s->items);
    s->row = trm_alloc(count, sizeof *s->row);
    s->counts = trm_alloc_zero(2 * (int64_t)ranks, sizeof *s->counts);
    if (s->items == NULL || s->row == NULL || s->counts == NULL)
        return trm_fail_memory(err, "rows by id", count, sizeof *s->items + sizeof *s->row);
    for (int64_t k = 0; k < count; k++) /* own: the row, while they are sorted */
        s->items[k] = (item){.id = rows->id[s->from + k], .own = s->from + k};
    if (count > 1)
        qsort(s->items, (size_t)count, sizeof *s->items, trm_compare_whole);
    for (int64_t k = 0; k < count; k++) {
        const int64_t row = s->row[k] = s->items[k].own;
        s->items[k].own = own[row];
        s->items[k].near = own[row] + others[row];
    }
    count_items(rows->store_rows, ranks, count, s->items, s->counts);
    return TRM_OK;
}

/* Each member has the places of its share: all get those of the shard. */
static trm_status share_in_team(const trm_rows *rows, int64_t *place, trm_error *err)
{
    int *counts = trm_alloc(2 * (int64_t)rows->replicate, sizeof *counts);
    trm_status status = counts == NULL
                            ? trm_fail_memory(err, "shares of a team", rows->replicate, 2 * sizeof *counts)
                            : TRM_OK;
    status = trm_agree(rows->team_comm, status, err);
    for (int member = 0; member < rows->replicate && status == TRM_OK; member++) {
        int64_t from, to;
        trm_share(rows->count, member, rows->replicate, &from, &to);
        counts[member] = (int)(to - from); /* a shard has no more rows than an int holds */
        counts[rows->replicate + member] = (int)from;
    }
    if (status == TRM_OK)
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, place, counts, counts + rows->replicate,
                       MPI_INT64_T, rows->team_comm);
    trm_free(counts);
    return status;
}

static trm_status make_share(MPI_Comm comm, int64_t rows, trm_ids *ids, trm_error *err)
{
    int64_t last;
    *ids = (trm_ids){.comm = comm};
    MPI_Comm_rank(comm, &ids->rank);
    MPI_Comm_size(comm, &ids->ranks);
    trm_share(rows, ids->rank, ids->ranks, &ids->first, &last);
    ids->count = last - ids->first;
    ids->near = trm_alloc(ids->count, sizeof *ids->near);
    if (ids->near == NULL)
        return trm_fail_memory(err, "rows by id", ids->count, sizeof *ids->near);
    for (int64_t i = 0; i < ids->count; i++)
        ids->near[i] = -1;
    return TRM_OK;
}

/* Sends items to their ranks, and takes the places that come back. Collective. */
static trm_status find_places(trm_ids *ids, const sending *s, int64_t *place, trm_error *err)
{
    void *received = NULL, *came = NULL;
    int64_t *answer = NULL, *got = s->counts + ids->ranks, count = 0;
    trm_status status =
        trm_exchange_items(ids->comm, s->items, s->counts, sizeof *s->items, &received, got, err);
    if (status != TRM_OK)
        return status;
    for (int r = 0; r < ids->ranks; r++)
        count += got[r];
    answer = trm_alloc(count, sizeof *answer);
    if (answer == NULL)
        status = trm_fail_memory(err, "places of pairs", count, sizeof *answer);
    status = trm_agree(ids->comm, status, err);
    if (status == TRM_OK)
        status = trm_agree(ids->comm, take_items(ids, count, received, answer, err), err);
    if (status == TRM_OK)
        status = trm_exchange_items(ids->comm, answer, got, sizeof *answer, &came, s->counts, err);
    for (int64_t k = 0; k < s->to - s->from && status == TRM_OK; k++)
        place[s->row[k]] = ((const int64_t *)came)[k];
    trm_free(received);
    trm_free(answer);
    trm_free(came);
    return status;
}

trm_status trm_ids_create(MPI_Comm comm, const trm_rows *rows, const int64_t *own, const int64_t *others,
                          int64_t *place, trm_ids *ids, trm_error *err)
{
    sending s = {0};
    trm_status status = make_share(comm, rows->store_rows, ids, err);
    if (status == TRM_OK)
        status = make_sending(rows, ids->ranks, own, others, &s, err);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = find_places(ids, &s, place, err);
    free_sending(&s);
    return status == TRM_OK ? trm_agree(comm, share_in_team(rows, place, err), err) : status;
}

void trm_ids_free(trm_ids *ids)
{
    trm_free(ids->near);
    trm_free(ids->group);
    ids->near = ids->group = NULL;
}

int64_t trm_ids_bytes(const trm_rows *rows, int ranks)
{
    const int64_t share = trm_rows_largest_shard(rows) / rows->replicate + 1,
                  ids = rows->store_rows / ranks + 1;
    return share * (int64_t)(sizeof(item) + 2 * sizeof(int64_t)) +
           ids * (int64_t)(sizeof(item) + 4 * sizeof(int64_t));
}

/* ---- counting ---- */

/* The largest of all ranks' sizes, by (size, lowest id): list has room for most, with the size negated as key. Collective. */
static int merge_sizes(MPI_Comm comm, trm_candidate *list, int most, trm_radius_size *size)
{
    const int64_t offset[2] = {0, most};
    trm_merge_slots(comm, &trm_merge_list, list, 1, offset);
    const int count = (int)trm_candidates_count(list, most);
    for (int i = 0; i < count; i++)
        size[i] = (trm_radius_size){list[i].id, (int64_t)-list[i].key};
    return count;
}

void trm_ids_count(const trm_ids *ids, trm_radius_summary *summary)
{
    trm_candidate most = TRM_NO_CANDIDATE;
    int64_t isolated = 0;
    for (int64_t i = 0; i < ids->count; i++) {
        const trm_candidate this = {-(double)ids->near[i], ids->first + i};
        isolated += ids->near[i] == 0;
        if (ids->near[i] > 0 && trm_candidate_less(this, most))
            most = this;
    }
    summary->isolated = trm_sum_int64(ids->comm, isolated);
    summary->most = (trm_radius_size){-1, 0};
    (void)merge_sizes(ids->comm, &most, 1, &summary->most);
}

/* Rows of a group that this rank has, as they travel. */
typedef struct part {
    int64_t group, rows;
} part;

/* The parts of groups that this rank has, new memory; or NULL. */
static part *parts_of(const trm_ids *ids, int64_t *count)
{
    part *parts = trm_alloc(ids->count, sizeof *parts);
    int64_t taking_part = 0;
    *count = 0;
    for (int64_t i = 0; i < ids->count && parts != NULL; i++)
        if (ids->group[i] >= 0)
            parts[taking_part++] = (part){ids->group[i], 1};
    if (taking_part > 1)
        qsort(parts, (size_t)taking_part, sizeof *parts, trm_compare_whole);
    for (int64_t k = 0; k < taking_part; k++) {
        if (*count > 0 && parts[*count - 1].group == parts[k].group)
            parts[*count - 1].rows++;
        else
            parts[(*count)++] = parts[k];
    }
    return parts;
}

/* Of the groups that live here: parts sorted by group. */
static void count_groups(const trm_ids *ids, int64_t count, const part *parts, trm_radius_summary *summary)
{
    trm_candidate list[TRM_RADIUS_LARGEST];
    int64_t sums[2] = {0, 0};
    trm_merge_list.clear(list, TRM_RADIUS_LARGEST);
    for (int64_t k = 0, next; k < count; k = next) {
        int64_t rows = 0;
        for (next = k; next < count && parts[next].group == parts[k].group; next++)
            rows += parts[next].rows;
        if (rows < 2)
            continue;
        sums[0]++;
        sums[1] += rows;
        trm_candidate_insert(list, TRM_RADIUS_LARGEST, (trm_candidate){-(double)rows, parts[k].group});
    }
    summary->groups.count = trm_sum_int64(ids->comm, sums[0]);
    summary->groups.rows = trm_sum_int64(ids->comm, sums[1]);
    summary->groups.largest = merge_sizes(ids->comm, list, TRM_RADIUS_LARGEST, summary->groups.size);
}

trm_status trm_ids_take_groups(trm_ids *ids, int64_t *group, trm_radius_summary *summary, trm_error *err)
{
    int64_t *counts = trm_alloc_zero(2 * (int64_t)ids->ranks, sizeof *counts), count = 0, all = 0;
    void *came = NULL;
    trm_free(ids->group);
    ids->group = group;
    for (int64_t i = 0; i < ids->count; i++)
        if (ids->near[i] < 0)
            group[i] = -1;
    part *parts = parts_of(ids, &count);
    trm_status status =
        parts == NULL || counts == NULL ? trm_fail_memory(err, "groups", ids->count, sizeof *parts) : TRM_OK;
    status = trm_agree(ids->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_by_key(ids->comm, parts, count, sizeof *parts, counts, counts + ids->ranks,
                                     &came, err);
    trm_free(parts);
    if (status == TRM_OK) {
        for (int r = 0; r < ids->ranks; r++)
            all += counts[ids->ranks + r];
        if (all > 1)
            qsort(came, (size_t)all, sizeof(part), trm_compare_whole);
        count_groups(ids, all, came, summary);
    }
    trm_free(came);
    trm_free(counts);
    return status;
}
