/* What is near a positive; see near.h.
 *
 * The first sweep counts what is near a row and keeps the first few of it; on the way it may keep each row's nearest ones,
 * too. Rows near which there are more ask a second time, with a slot for each. The lists then move to where they can be
 * asked for by row id (par/lookup.h). */
#include "mine/near_inner.h"

#include "base/alloc.h"
#include "base/order.h"
#include "mine/listing.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>

/* ---- the sweeps ---- */

enum { FIELD_COUNT, FIELD_NEAREST }; /* and last what is near */
enum { SHAPE_COUNT, SHAPE_LIST = TRM_LISTING_SHAPE, SHAPE_NEAREST, SHAPES };

static trm_candidate *nearest_of(const trm_state *state, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, SHAPE_NEAREST, row);
    return (trm_candidate *)state->field[FIELD_NEAREST] + state->offset[SHAPE_NEAREST][row];
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const double radius = *(const double *)query->settings;
    int64_t count;
    const trm_candidate *nearest = nearest_of(state, row, &count);
    *lo = -INFINITY;
    *hi = count > 0 && nearest[count - 1].key > radius ? nearest[count - 1].key : radius;
}

/* What is near is counted, all of it. */
static int64_t keeps(const trm_query *query, const trm_state *state, int64_t row, double *from)
{
    int64_t count;
    nearest_of(state, row, &count);
    *from = *(const double *)query->settings;
    return count;
}

/* What was found here so far is counted here. */
static void add_near(trm_state *state, int64_t row, trm_candidate one)
{
    int64_t room, *count = (int64_t *)state->field[FIELD_COUNT] + state->offset[SHAPE_COUNT][row];
    trm_candidate *list = trm_listing_of(state, row, &room);
    if (*count < room)
        list[*count] = one;
    ++*count;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const double radius = *(const double *)query->settings;
    int64_t count;
    trm_candidate *nearest = nearest_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const trm_candidate one = {seen->d[i], seen->id[i]};
        if (count > 0 && one.key <= nearest[count - 1].key)
            changed |= trm_candidate_insert(nearest, count, one);
        if (one.key <= radius)
            add_near(state, row, one);
    }
    return changed;
}

#define QUERY(relation_of)                                                                                   \
    {                                                                                                        \
        .name = "rows near positives", .relation = (relation_of), .shapes = SHAPES, .fields = 3,             \
        .field = {{"near", TRM_FIELD_FOUND, SHAPE_COUNT, sizeof(int64_t), &trm_merge_sum},                   \
                  {"nearest", TRM_FIELD_FOUND, SHAPE_NEAREST, sizeof(trm_candidate), &trm_merge_list},       \
                  TRM_LISTING_FIELD},                                                                        \
        .window = window, .keeps = keeps, .offer = offer                                                     \
    }

/* By a list all rows may be negatives of somebody. */
static const trm_query_type by_label = QUERY(TRM_OTHER_LABEL), by_list = QUERY(TRM_ANY_OTHER);

/* The lists of this team's shard, on their way. */
typedef struct finding {
    const trm_near_task *task;
    const trm_rows *rows; /* of the store */
    const trm_query_type *type;
    trm_sweep_counts *counts;
    bool *asks;               /* of each row: could it be a positive of an anchor? */
    int64_t few;              /* that the first sweep keeps */
    int64_t nearest;          /* the same of the nearest */
    int64_t *count;           /* of each row */
    int64_t *offset, *id;     /* the lists, once all are counted */
    int64_t *slot_of[SHAPES]; /* offsets of a sweep's state */
    int64_t base_bytes;       /* of the sweep and all that is held beside state and lists */
    int64_t peak_bytes;       /* with these, the most on any rank */
} finding;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Of one set by label. */
static int64_t negatives_of(const trm_rows *rows, int64_t row)
{
    return rows->total - rows->class_size[row];
}

/* Slots of the rows that ask, for the first sweep or the second. */
static void set_offsets(const finding *f, bool second)
{
    const trm_rows *rows = f->rows;
    int64_t *const *at = f->slot_of;
    for (int s = 0; s < SHAPES; s++)
        at[s][0] = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        const bool asks = second ? f->count[row] > f->few : f->asks[row];
        const int64_t nearest =
            asks && !second && f->nearest > 0 ? least(f->nearest, negatives_of(rows, row)) : 0;
        at[SHAPE_COUNT][row + 1] = at[SHAPE_COUNT][row] + asks;
        at[SHAPE_LIST][row + 1] = at[SHAPE_LIST][row] + (!asks ? 0 : second ? f->count[row] : f->few);
        at[SHAPE_NEAREST][row + 1] = at[SHAPE_NEAREST][row] + nearest;
    }
}

static int64_t state_bytes(const finding *f)
{
    const int64_t rows = f->rows->count;
    int64_t slots[TRM_SHAPES] = {0};
    for (int s = 0; s < SHAPES; s++)
        slots[s] = f->slot_of[s][rows];
    return trm_sweep_state_bytes(f->rows, (trm_sweep_size){f->type, slots}, NULL);
}

static int64_t largest_of(const finding *f, int64_t bytes)
{
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, f->task->run->comm);
    return bytes;
}

/* What the first sweep needs with so many slots a row. Collective. */
static int64_t first_bytes(finding *f, int64_t few, int64_t nearest)
{
    f->few = few;
    f->nearest = nearest;
    set_offsets(f, false);
    return largest_of(f, f->base_bytes + state_bytes(f));
}

/* Keeps the nearest, and a few of what is near, in the first sweep if they fit; refuses where not even counting does.
 * Collective. */
static trm_status choose_slots(finding *f, trm_error *err)
{
    enum { FEW = 8 };
    const trm_run *run = f->task->run;
    if (first_bytes(f, FEW, f->task->nearest) <= run->mem_per_rank ||
        first_bytes(f, FEW, 0) <= run->mem_per_rank)
        return TRM_OK;
    const int64_t need = first_bytes(f, 0, 0);
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
    const int64_t *offset[TRM_SHAPES] = {f->slot_of[SHAPE_COUNT], f->slot_of[SHAPE_LIST],
                                         f->slot_of[SHAPE_NEAREST]};
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

/* Takes the nearest of all rows out of the state of the first sweep, which is complete. */
static void take_nearest(const finding *f, trm_near *near, trm_state *state)
{
    if (f->nearest == 0)
        return;
    near->looked = true;
    near->nearest = state->field[FIELD_NEAREST];
    near->nearest_offset = state->offset[SHAPE_NEAREST];
    state->field[FIELD_NEAREST] = NULL;
    state->offset[SHAPE_NEAREST] = NULL;
}

/* The most bytes that any rank needs to list what was counted: now, in the second sweep, and while the lists move; with
 * the nearest, if they are kept. Collective. */
static int64_t listing_bytes(finding *f, const trm_near *near, int64_t before)
{
    const int64_t lists = f->offset[f->rows->count] * (int64_t)sizeof(int64_t),
                  nearest = trm_near_nearest_bytes(near);
    set_offsets(f, true);
    const int64_t then[] = {before, state_bytes(f) + nearest, 2 * lists + nearest,
                            trm_near_most_bytes(f->task->pool) + nearest};
    int64_t beside = 0;
    for (size_t k = 0; k < sizeof then / sizeof *then; k++)
        beside = then[k] > beside ? then[k] : beside;
    return largest_of(f, f->base_bytes + lists + beside);
}

/* Makes room for what was counted, if it fits. Collective. */
static trm_status make_room(finding *f, trm_near *near, const trm_state *first, trm_error *err)
{
    const trm_run *run = f->task->run;
    const int64_t rows = f->rows->count, before = state_bytes(f);
    for (int64_t row = 0; row < rows; row++) {
        f->count[row] = trm_state_count(first, SHAPE_COUNT, row) > 0
                            ? ((const int64_t *)first->field[FIELD_COUNT])[first->offset[SHAPE_COUNT][row]]
                            : 0;
        f->offset[row + 1] = f->offset[row] + f->count[row];
    }
    f->peak_bytes = listing_bytes(f, near, before);
    if (f->peak_bytes > run->mem_per_rank && near->looked) {
        trm_near_forget_nearest(near);
        f->peak_bytes = listing_bytes(f, near, before);
    }
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
static trm_status find_lists(finding *f, trm_near *near, trm_error *err)
{
    trm_state *state = NULL;
    trm_status status = choose_slots(f, err);
    if (status == TRM_OK)
        status = sweep(f, &state, err);
    if (status == TRM_OK) {
        take_nearest(f, near, state);
        status = make_room(f, near, state, err);
    }
    if (status == TRM_OK)
        take_lists(f, state);
    trm_state_destroy(&state);
    const int64_t again = f->slot_of[SHAPE_COUNT] != NULL ? f->slot_of[SHAPE_COUNT][f->rows->count] : 0;
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
                  tables = (rows->teams > 1 ? 5 : 2) * SHAPES, arrays = 2 + SHAPES, of_anchors = 2;
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
    bool all = near != NULL && f->asks != NULL && f->count != NULL && f->offset != NULL;
    for (int s = 0; s < SHAPES; s++) {
        f->slot_of[s] = trm_alloc_zero(rows + 1, sizeof *f->slot_of[s]);
        all = all && f->slot_of[s] != NULL;
    }
    if (!all)
        return trm_fail_memory(err, "rows near positives", rows + 1, (2 + SHAPES) * sizeof *f->count);
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
    for (int s = 0; s < SHAPES; s++) {
        trm_free(f->slot_of[s]);
        f->slot_of[s] = NULL;
    }
    trm_free(f->id);
    f->asks = NULL;
    f->count = f->offset = f->id = NULL;
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
        status = find_lists(&f, near, err);
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

bool trm_near_looked(const trm_near *near)
{
    return near->looked;
}

const trm_candidate *trm_near_nearest(const trm_near *near, int64_t row, int64_t *count)
{
    *count = near->nearest_offset[row + 1] - near->nearest_offset[row];
    return near->nearest + near->nearest_offset[row];
}

void trm_near_forget_nearest(trm_near *near)
{
    trm_free(near->nearest);
    trm_free(near->nearest_offset);
    near->nearest = NULL;
    near->nearest_offset = NULL;
    near->looked = false;
}

int64_t trm_near_nearest_bytes(const trm_near *near)
{
    const int64_t rows = near->pool->store->count;
    return near->looked ? near->nearest_offset[rows] * (int64_t)sizeof *near->nearest : 0;
}

void trm_near_destroy(trm_near **result)
{
    trm_near *near = *result;
    if (near == NULL)
        return;
    trm_near_forget_nearest(near);
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
