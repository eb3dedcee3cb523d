/* What is near a positive; see near.h.
 *
 * The first sweep counts what is near a row and keeps the first few of it. Rows near which there are more ask a second
 * time, with a slot for each. The lists then move to where they can be asked for by row id (par/lookup.h). */
#include "mine/near_inner.h"

#include "base/alloc.h"
#include "base/order.h"
#include "mine/listing.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>

/* ---- the sweeps ---- */

enum { FIELD_COUNT, FIELD_LIST }; /* each of the shape of that number */

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)state;
    (void)row;
    *lo = -INFINITY;
    *hi = *(const double *)query->settings;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const double radius = *(const double *)query->settings;
    int64_t room, *count = (int64_t *)state->field[FIELD_COUNT] + state->offset[FIELD_COUNT][row];
    trm_candidate *list = trm_listing_of(state, row, &room);
    for (int64_t i = 0; i < seen->n; i++) {
        if (!(seen->d[i] <= radius))
            continue;
        if (*count < room) /* what was found here so far is counted here */
            list[*count] = (trm_candidate){seen->d[i], seen->id[i]};
        ++*count;
    }
    return false;
}

#define QUERY(relation_of)                                                                                   \
    {                                                                                                        \
        .name = "rows near positives", .relation = (relation_of), .shapes = 2, .fields = 2,                  \
        .field = {{"near", TRM_FIELD_FOUND, FIELD_COUNT, sizeof(int64_t), &trm_merge_sum},                   \
                  TRM_LISTING_FIELD},                                                                        \
        .window = window, .offer = offer                                                                     \
    }

/* By a list all rows may be negatives of somebody. */
static const trm_query_type by_label = QUERY(TRM_OTHER_LABEL), by_list = QUERY(TRM_ANY_OTHER);

/* The lists of this team's shard, on their way. */
typedef struct finding {
    const trm_near_task *task;
    const trm_rows *rows; /* of the store */
    const trm_query_type *type;
    trm_sweep_counts *counts;
    bool *asks;           /* of each row: could it be a positive of an anchor? */
    int64_t few;          /* that the first sweep keeps */
    int64_t *count;       /* of each row */
    int64_t *offset, *id; /* the lists, once all are counted */
    int64_t *slot_of[2];  /* offsets of a sweep's state */
    int64_t base_bytes;   /* of the sweep and all that is held beside state and lists */
    int64_t peak_bytes;   /* with these, the most on any rank */
} finding;

/* Slots of the rows that ask, for the first sweep or the second. */
static void set_offsets(const finding *f, bool second)
{
    const trm_rows *rows = f->rows;
    int64_t *const *at = f->slot_of;
    at[0][0] = at[1][0] = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        const bool asks = second ? f->count[row] > f->few : f->asks[row];
        at[0][row + 1] = at[0][row] + asks;
        at[1][row + 1] = at[1][row] + (!asks ? 0 : second ? f->count[row] : f->few);
    }
}

static int64_t state_bytes(const finding *f)
{
    const int64_t rows = f->rows->count, slots[TRM_SHAPES] = {f->slot_of[0][rows], f->slot_of[1][rows]};
    return trm_sweep_state_bytes(f->rows, (trm_sweep_size){f->type, slots}, NULL);
}

static int64_t largest_of(const finding *f, int64_t bytes)
{
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, f->task->run->comm);
    return bytes;
}

/* Keeps a few in the first sweep if they fit; refuses where not even counting does. Collective. */
static trm_status choose_few(finding *f, trm_error *err)
{
    enum { FEW = 8 };
    const trm_run *run = f->task->run;
    f->few = FEW;
    set_offsets(f, false);
    if (largest_of(f, f->base_bytes + state_bytes(f)) <= run->mem_per_rank)
        return TRM_OK;
    f->few = 0;
    set_offsets(f, false);
    const int64_t need = largest_of(f, f->base_bytes + state_bytes(f));
    trm_status status = TRM_OK;
    if (need > run->mem_per_rank)
        status = trm_run_refuse(run, "to count the rows near positives needs at least", need, err);
    return trm_agree(run->comm, status, err);
}

/* Collective. The caller destroys *state, also after a failure. */
static trm_status sweep(finding *f, trm_state **state, trm_error *err)
{
    const trm_near_task *task = f->task;
    const trm_rows *rows = f->rows;
    const trm_query query = {f->type, &task->radius};
    const int64_t *offset[TRM_SHAPES] = {f->slot_of[0], f->slot_of[1]};
    trm_status status = trm_state_create(f->type, rows->count, rows->id, rows->label, offset, state, err);
    if (status == TRM_OK)
        status = trm_state_ask(*state, err);
    status = trm_agree(task->run->comm, status, err);
    return status == TRM_OK ? trm_sweep_run(task->sweep, "near positives", (trm_asked){&query, *state},
                                            (trm_asked){NULL, NULL}, f->counts, err)
                            : status;
}

/* Takes the lists of the rows that have found all that they counted. */
static void take_lists(finding *f, const trm_state *state)
{
    const trm_rows *rows = f->rows;
#pragma omp parallel for schedule(dynamic, 64) num_threads(f->task->run->threads)
    for (int64_t row = 0; row < rows->count; row++) {
        int64_t room;
        const trm_candidate *list = trm_listing_of(state, row, &room);
        int64_t *into = f->id + f->offset[row];
        if (f->count[row] == 0 || room < f->count[row])
            continue;
        for (int64_t k = 0; k < f->count[row]; k++)
            into[k] = list[k].id;
        qsort(into, (size_t)f->count[row], sizeof *into, trm_compare_whole);
    }
}

/* Makes room for what was counted, if it fits: now, in the second sweep, and while the lists move. Collective. */
static trm_status make_room(finding *f, const trm_state *first, trm_error *err)
{
    const trm_run *run = f->task->run;
    const int64_t rows = f->rows->count, word = (int64_t)sizeof(int64_t);
    for (int64_t row = 0; row < rows; row++) {
        f->count[row] = trm_state_count(first, FIELD_COUNT, row) > 0
                            ? ((const int64_t *)first->field[FIELD_COUNT])[first->offset[FIELD_COUNT][row]]
                            : 0;
        f->offset[row + 1] = f->offset[row] + f->count[row];
    }
    const int64_t lists = f->offset[rows] * word, before = state_bytes(f);
    set_offsets(f, true);
    const int64_t after = state_bytes(f), moving = 2 * lists;
    const int64_t then[] = {before, after, moving, trm_near_most_bytes(f->task->pool)};
    int64_t beside = 0;
    for (size_t k = 0; k < sizeof then / sizeof *then; k++)
        beside = then[k] > beside ? then[k] : beside;
    f->peak_bytes = largest_of(f, f->base_bytes + lists + beside);
    trm_status status = TRM_OK;
    if (f->peak_bytes > run->mem_per_rank) {
        status = trm_run_refuse(run, "the rows near positives were counted; to list them needs at least",
                                f->peak_bytes, err);
    } else {
        f->id = trm_alloc(f->offset[rows], sizeof *f->id);
        if (f->id == NULL)
            status = trm_fail_memory(err, "rows near positives", f->offset[rows], sizeof *f->id);
    }
    return trm_agree(run->comm, status, err);
}

/* Both sweeps. Collective. */
static trm_status find_lists(finding *f, trm_error *err)
{
    trm_state *state = NULL;
    trm_status status = choose_few(f, err);
    if (status == TRM_OK)
        status = sweep(f, &state, err);
    if (status == TRM_OK)
        status = make_room(f, state, err);
    if (status == TRM_OK)
        take_lists(f, state);
    trm_state_destroy(&state);
    const int64_t again = f->slot_of[0] != NULL ? f->slot_of[0][f->rows->count] : 0;
    if (status != TRM_OK || largest_of(f, again) == 0)
        return status;
    status = sweep(f, &state, err);
    if (status == TRM_OK)
        take_lists(f, state);
    trm_state_destroy(&state);
    return status;
}

/* ---- the whole ---- */

/* Puts this member's share of the lists to where all can ask for them. Collective. */
static trm_status move_lists(trm_near *near, const finding *f, trm_error *err)
{
    const trm_rows *rows = f->rows;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    near->any = trm_sum_int64(near->run->comm, f->offset[rows->count]) > 0;
    return trm_lookup_create(near->run->comm, to - from, rows->id + from, f->offset + from, f->id,
                             &near->lookup, err);
}

/* What is held all the time: what the sweep has, the caller's, the arrays below, and the two states' offsets, here and on
 * their journey; of two sets the queries, too. */
static int64_t base_bytes(const trm_near_task *task)
{
    const trm_pool *pool = task->pool;
    const trm_rows *rows = pool->store;
    const int64_t shard = trm_rows_largest_shard(rows), asking = trm_rows_largest_shard(pool->anchors),
                  tables = rows->teams > 1 ? 10 : 4, arrays = 4, of_anchors = 2;
    int64_t bytes = trm_sweep_bytes(task->run, rows, shard, NULL, 0) + task->reserve +
                    (tables + arrays) * 8 * (shard + 1) + of_anchors * 8 * (asking + 1) +
                    shard * (int64_t)sizeof(bool);
    if (!trm_pool_is_one_set(pool))
        bytes += asking * trm_rows_bytes_per_row(rows->dim) + trm_pool_bytes(pool);
    return bytes;
}

static trm_status begin(const trm_near_task *task, finding *f, trm_near *near, trm_error *err)
{
    const int64_t rows = f->rows->count, anchors = task->pool->anchors->count;
    f->asks = trm_alloc_zero(rows, sizeof *f->asks);
    f->count = trm_alloc_zero(rows, sizeof *f->count);
    f->offset = trm_alloc_zero(rows + 1, sizeof *f->offset);
    for (int s = 0; s < 2; s++)
        f->slot_of[s] = trm_alloc_zero(rows + 1, sizeof *f->slot_of[s]);
    if (near == NULL || f->asks == NULL || f->count == NULL || f->offset == NULL || f->slot_of[0] == NULL ||
        f->slot_of[1] == NULL)
        return trm_fail_memory(err, "rows near positives", rows + 1, 4 * sizeof *f->count);
    near->run = task->run;
    near->pool = task->pool;
    near->most = trm_alloc_zero(anchors, sizeof *near->most);
    near->largest = trm_alloc_zero(anchors, sizeof *near->largest);
    return near->most == NULL || near->largest == NULL
               ? trm_fail_memory(err, "rows near positives", anchors, 2 * sizeof *near->most)
               : TRM_OK;
}

static void end(finding *f)
{
    trm_free(f->asks);
    trm_free(f->count);
    trm_free(f->offset);
    trm_free(f->slot_of[0]);
    trm_free(f->slot_of[1]);
    trm_free(f->id);
    f->asks = NULL;
    f->count = f->offset = f->slot_of[0] = f->slot_of[1] = f->id = NULL;
}

trm_status trm_near_find(const trm_near_task *task, trm_sweep_counts *counts, trm_near **result,
                         trm_error *err)
{
    const bool listed = trm_pool_is_listed(task->pool);
    finding f = {.task = task,
                 .rows = task->pool->store,
                 .type = listed ? &by_list : &by_label,
                 .counts = counts,
                 .base_bytes = base_bytes(task)};
    trm_near *near = *result = trm_alloc_zero(1, sizeof *near);
    trm_status status = trm_agree(task->run->comm, begin(task, &f, near, err), err);
    if (status == TRM_OK)
        status = trm_near_who_asks(task->pool, f.asks, err);
    if (status == TRM_OK)
        status = find_lists(&f, err);
    if (status == TRM_OK) {
        near->peak_bytes = f.peak_bytes;
        if (!listed)
            status = trm_near_most_by_label(near, (trm_near_lists){f.offset, f.id}, err);
    }
    if (status == TRM_OK)
        status = move_lists(near, &f, err);
    end(&f);
    if (status == TRM_OK && listed)
        status = trm_near_most_by_list(near, f.base_bytes, err);
    else if (status == TRM_OK)
        near->load = trm_lookup_all(near->lookup, near->asked, task->pool->store->replicate);
    if (status != TRM_OK)
        trm_near_destroy(result);
    return status;
}

void trm_near_destroy(trm_near **result)
{
    trm_near *near = *result;
    if (near == NULL)
        return;
    trm_lookup_destroy(&near->lookup);
    trm_free(near->most);
    trm_free(near->largest);
    trm_free(near);
    *result = NULL;
}

int64_t trm_near_peak_bytes(const trm_near *near)
{
    return near->peak_bytes;
}
