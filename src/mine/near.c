/* What is near a positive; see near.h.
 *
 * The first sweep counts what is near a row and keeps the first few of it. Rows near which there are more ask a second
 * time, with a slot for each. The lists then move to where they can be asked for by row id (par/lookup.h). */
#include "mine/near.h"

#include "base/alloc.h"
#include "base/distinct.h"
#include "base/lists.h"
#include "base/order.h"
#include "mine/listing.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/lookup.h"

#include <omp.h>
#include <stdlib.h>

struct trm_near {
    const trm_run *run;
    const trm_rows *rows;
    trm_lookup *lookup;
    bool any;                /* is there any list, on any rank? */
    int64_t *most, *largest; /* of each row's class: different rows near any row of it; near one */
    int64_t classmates;      /* rows of all classes of this shard, wherever they are */
    int64_t listed;          /* what is near them, row by row */
    int64_t peak_bytes;
};

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

static const trm_query_type type = {
    .name = "rows near positives",
    .relation = TRM_OTHER_LABEL,
    .shapes = 2,
    .fields = 2,
    .field = {{"near", TRM_FIELD_FOUND, FIELD_COUNT, sizeof(int64_t), &trm_merge_sum}, TRM_LISTING_FIELD},
    .window = window,
    .offer = offer,
};

/* The lists of this team's shard, on their way. */
typedef struct finding {
    const trm_near_task *task;
    trm_sweep_counts *counts;
    int64_t few;          /* that the first sweep keeps */
    int64_t *count;       /* of each row */
    int64_t *offset, *id; /* the lists, once all are counted */
    int64_t *slot_of[2];  /* offsets of a sweep's state */
    int64_t base_bytes;   /* of the sweep and all that is held beside state and lists */
    int64_t peak_bytes;   /* with these, the most on any rank */
} finding;

/* Could the row be a positive of an anchor? */
static bool may_be_positive(const trm_rows *rows, int64_t row)
{
    return rows->class_size[row] > 1 && rows->class_size[row] < rows->total;
}

/* Slots of the rows that ask, for the first sweep or the second. */
static void set_offsets(const finding *f, bool second)
{
    const trm_rows *rows = f->task->rows;
    int64_t *const *at = f->slot_of;
    at[0][0] = at[1][0] = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        const bool asks = second ? f->count[row] > f->few : may_be_positive(rows, row);
        at[0][row + 1] = at[0][row] + asks;
        at[1][row + 1] = at[1][row] + (!asks ? 0 : second ? f->count[row] : f->few);
    }
}

static int64_t state_bytes(const finding *f)
{
    const int64_t rows = f->task->rows->count, slots[TRM_SHAPES] = {f->slot_of[0][rows], f->slot_of[1][rows]};
    return trm_sweep_state_bytes(f->task->rows, (trm_sweep_size){&type, slots}, NULL);
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
    const trm_rows *rows = task->rows;
    const trm_query query = {&type, &task->radius};
    const int64_t *offset[TRM_SHAPES] = {f->slot_of[0], f->slot_of[1]};
    trm_status status = trm_state_create(&type, rows->count, rows->id, rows->label, offset, state, err);
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
    const trm_rows *rows = f->task->rows;
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
    const int64_t rows = f->task->rows->count, word = (int64_t)sizeof(int64_t);
    for (int64_t row = 0; row < rows; row++) {
        f->count[row] = trm_state_count(first, FIELD_COUNT, row) > 0
                            ? ((const int64_t *)first->field[FIELD_COUNT])[first->offset[FIELD_COUNT][row]]
                            : 0;
        f->offset[row + 1] = f->offset[row] + f->count[row];
    }
    const int64_t lists = f->offset[rows] * word, before = state_bytes(f);
    set_offsets(f, true);
    const int64_t after = state_bytes(f), moving = 2 * lists;
    const int64_t beside = before > after ? before : after;
    f->peak_bytes = largest_of(f, f->base_bytes + lists + (beside > moving ? beside : moving));
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
    const int64_t again = f->slot_of[0] != NULL ? f->slot_of[0][f->task->rows->count] : 0;
    if (status != TRM_OK || largest_of(f, again) == 0)
        return status;
    status = sweep(f, &state, err);
    if (status == TRM_OK)
        take_lists(f, state);
    trm_state_destroy(&state);
    return status;
}

/* ---- classes ---- */

/* Of a class, or of the part of it that a team has. */
typedef struct class_total {
    int64_t first; /* arranged place of its first row; -1: none */
    int64_t most, largest, listed;
} class_total;

enum { TOTAL_WORDS = sizeof(class_total) / sizeof(int64_t) };

/* A thread's scratch for unions. */
typedef struct joiner {
    trm_list *list;
    uint64_t *bits;
} joiner;

static trm_status make_joiners(int threads, int64_t lists, joiner *all, trm_error *err)
{
    *all = (joiner){trm_alloc(threads * lists, sizeof *all->list),
                    trm_alloc_zero((int64_t)threads * TRM_UNION_WORDS, sizeof *all->bits)};
    return all->list == NULL || all->bits == NULL
               ? trm_fail_memory(err, "lists to be joined", threads * lists, sizeof *all->list)
               : TRM_OK;
}

static joiner joiner_of_thread(const joiner *all, int64_t lists)
{
    const int thread = omp_get_thread_num();
    return (joiner){all->list + thread * lists, all->bits + (int64_t)thread * TRM_UNION_WORDS};
}

static void free_joiners(joiner *all)
{
    trm_free(all->list);
    trm_free(all->bits);
}

static int64_t joiner_bytes(int threads, int64_t lists)
{
    return threads * (lists * (int64_t)sizeof(trm_list) + TRM_UNION_WORDS * (int64_t)sizeof(uint64_t));
}

/* The end of the run of rows of one class that begins with row. */
static int64_t end_of_class(const trm_rows *rows, int64_t row)
{
    const int64_t end = rows->class_first[row] + rows->class_size[row] - rows->first;
    return end < rows->count ? end : rows->count;
}

static int64_t longest_run(const trm_rows *rows)
{
    int64_t longest = 0;
    for (int64_t row = 0; row < rows->count; row = end_of_class(rows, row))
        longest = end_of_class(rows, row) - row > longest ? end_of_class(rows, row) - row : longest;
    return longest;
}

/* Finds most and largest of the part of a class that this shard has, the rows [row, end). */
static void look_at_class(trm_near *near, const finding *f, int64_t row, int64_t end, joiner with)
{
    int64_t lists = 0;
    near->largest[row] = 0;
    for (int64_t k = row; k < end; k++) {
        if (f->count[k] > 0)
            with.list[lists++] = (trm_list){f->id + f->offset[k], f->id + f->offset[k + 1]};
        near->largest[row] = f->count[k] > near->largest[row] ? f->count[k] : near->largest[row];
    }
    near->most[row] = trm_lists_union(with.list, lists, with.bits, NULL, 0);
}

/* What was found of the class that begins with row, here. */
static class_total total_of(const trm_near *near, const finding *f, int64_t row)
{
    const int64_t end = end_of_class(near->rows, row);
    return (class_total){near->rows->class_first[row], near->most[row], near->largest[row],
                         f->offset[end] - f->offset[row]};
}

/* Adds what other teams have of the same class. ends: of the first and of the last class of each rank's shard. */
static void add_other_teams(const trm_near *near, const class_total *ends, class_total *total)
{
    const trm_rows *rows = near->rows;
    for (int team = 0; team < rows->teams; team++) {
        const class_total *end = ends + 2 * (int64_t)team * rows->replicate;
        const class_total *same = end[0].first == total->first ? &end[0] : &end[1];
        if (team == rows->team || same->first != total->first)
            continue;
        total->most += same->most;
        total->listed += same->listed;
        total->largest = same->largest > total->largest ? same->largest : total->largest;
    }
}

/* Tells all rows of this shard of their whole classes. ends: room for two totals of every rank. Collective. */
static void share_totals(trm_near *near, const finding *f, class_total *ends)
{
    const trm_rows *rows = near->rows;
    class_total own[2] = {{.first = -1}, {.first = -1}};
    for (int64_t row = 0; row < rows->count; row = end_of_class(rows, row)) {
        own[1] = total_of(near, f, row);
        if (row == 0)
            own[0] = own[1];
    }
    MPI_Allgather(own, 2 * TOTAL_WORDS, MPI_INT64_T, ends, 2 * TOTAL_WORDS, MPI_INT64_T, near->run->comm);
    for (int64_t row = 0, end; row < rows->count; row = end) {
        class_total total = total_of(near, f, row);
        end = end_of_class(rows, row);
        if (rows->class_size[row] > end - row)
            add_other_teams(near, ends, &total);
        near->classmates += rows->class_size[row];
        near->listed += total.listed;
        for (int64_t k = row; k < end; k++) {
            near->most[k] = total.most;
            near->largest[k] = total.largest;
        }
    }
}

/* What each class can need. Collective. */
static trm_status look_at_classes(trm_near *near, const finding *f, trm_error *err)
{
    const trm_rows *rows = near->rows;
    const int64_t longest = longest_run(rows);
    joiner joiners = {NULL, NULL};
    class_total *ends = trm_alloc(2 * (int64_t)near->run->ranks, sizeof *ends);
    near->most = trm_alloc(rows->count, sizeof *near->most);
    near->largest = trm_alloc(rows->count, sizeof *near->largest);
    trm_status status = make_joiners(near->run->threads, longest, &joiners, err);
    if (status == TRM_OK && (ends == NULL || near->most == NULL || near->largest == NULL))
        status = trm_fail_memory(err, "rows near positives", rows->count, 2 * sizeof *near->most);
    status = trm_agree(near->run->comm, status, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(dynamic, 64) num_threads(near->run->threads)
        for (int64_t row = 0; row < rows->count; row++)
            if (row == 0 || rows->class_first[row] != rows->class_first[row - 1])
                look_at_class(near, f, row, end_of_class(rows, row), joiner_of_thread(&joiners, longest));
        share_totals(near, f, ends);
    }
    free_joiners(&joiners);
    trm_free(ends);
    return status;
}

/* ---- the whole ---- */

/* Puts this member's share of the lists to where all can ask for them. Collective. */
static trm_status move_lists(trm_near *near, const finding *f, trm_error *err)
{
    const trm_rows *rows = near->rows;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    near->any = trm_sum_int64(near->run->comm, f->offset[rows->count]) > 0;
    return trm_lookup_create(near->run->comm, to - from, rows->id + from, f->offset + from, f->id,
                             &near->lookup, err);
}

/* What the sweep has, the arrays below, and the two states' offsets, here and on their journey. */
static int64_t base_bytes(const trm_near_task *task)
{
    const trm_rows *rows = task->rows;
    const int64_t shard = trm_rows_largest_shard(rows), tables = rows->teams > 1 ? 10 : 4, arrays = 4 + 2;
    return trm_sweep_bytes(task->run, rows, shard, NULL, 0) + task->reserve +
           (tables + arrays) * 8 * (shard + 1) + joiner_bytes(task->run->threads, longest_run(rows));
}

static trm_status begin(const trm_near_task *task, finding *f, trm_error *err)
{
    const int64_t rows = task->rows->count;
    f->count = trm_alloc_zero(rows, sizeof *f->count);
    f->offset = trm_alloc_zero(rows + 1, sizeof *f->offset);
    for (int s = 0; s < 2; s++)
        f->slot_of[s] = trm_alloc_zero(rows + 1, sizeof *f->slot_of[s]);
    return f->count == NULL || f->offset == NULL || f->slot_of[0] == NULL || f->slot_of[1] == NULL
               ? trm_fail_memory(err, "rows near positives", rows + 1, 4 * sizeof *f->count)
               : TRM_OK;
}

trm_status trm_near_find(const trm_near_task *task, trm_sweep_counts *counts, trm_near **result,
                         trm_error *err)
{
    finding f = {.task = task, .counts = counts, .base_bytes = base_bytes(task)};
    trm_near *near = *result = trm_alloc_zero(1, sizeof *near);
    trm_status status = begin(task, &f, err);
    if (status == TRM_OK && near == NULL)
        status = trm_fail_memory(err, "rows near positives", 1, sizeof *near);
    status = trm_agree(task->run->comm, status, err);
    if (status == TRM_OK) {
        near->run = task->run;
        near->rows = task->rows;
        status = find_lists(&f, err);
        near->peak_bytes = f.peak_bytes;
    }
    if (status == TRM_OK)
        status = look_at_classes(near, &f, err);
    if (status == TRM_OK)
        status = move_lists(near, &f, err);
    trm_free(f.count);
    trm_free(f.offset);
    trm_free(f.slot_of[0]);
    trm_free(f.slot_of[1]);
    trm_free(f.id);
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

int64_t trm_near_most(const trm_near *near, int64_t row, int64_t pairs)
{
    const int64_t others = near->rows->total - near->rows->class_size[row];
    const int64_t selected = pairs * near->largest[row];
    const int64_t most = near->most[row] < selected ? near->most[row] : selected;
    return most < others ? most : others;
}

/* ---- giving ---- */

/* The different positives of all anchors. */
static trm_status gather_positives(const trm_near_asker *asker, trm_distinct *positives, trm_error *err)
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

static void give_anchor(const trm_near_asker *asker, int64_t a, const trm_distinct *positives,
                        const trm_list *found, joiner with)
{
    int64_t room, lists = 0;
    const int64_t count = asker->positives(asker->context, a);
    int64_t *slot = asker->slots(asker->context, a, &room);
    for (int64_t i = 0; i < count && room > 0; i++) {
        const int64_t id = asker->positive(asker->context, a, i);
        const int64_t place = id >= 0 ? trm_distinct_find(positives, id) : -1;
        if (place >= 0)
            with.list[lists++] = found[place];
    }
    for (int64_t k = trm_lists_union(with.list, lists, with.bits, slot, room); k < room; k++)
        slot[k] = INT64_MAX;
}

trm_status trm_near_give(const trm_near *near, const trm_near_asker *asker, trm_error *err)
{
    const trm_run *run = near->run;
    trm_distinct positives = {0};
    trm_found found = {NULL, NULL};
    joiner joiners = {NULL, NULL};
    if (!near->any)
        return TRM_OK; /* no anchor has a slot */
    trm_status status = make_joiners(run->threads, asker->longest, &joiners, err);
    if (status == TRM_OK)
        status = gather_positives(asker, &positives, err);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_lookup_ask(near->lookup, positives.count, positives.id, &found, err);
    if (status == TRM_OK) {
#pragma omp parallel for schedule(dynamic, 16) num_threads(run->threads)
        for (int64_t a = 0; a < asker->anchors; a++)
            give_anchor(asker, a, &positives, found.list, joiner_of_thread(&joiners, asker->longest));
    }
    trm_found_free(&found);
    trm_distinct_free(&positives);
    free_joiners(&joiners);
    return status;
}

int64_t trm_near_peak_bytes(const trm_near *near)
{
    return near->peak_bytes;
}

int64_t trm_near_bytes(const trm_near *near)
{
    return trm_lookup_bytes(near->lookup) + 2 * near->rows->count * (int64_t)sizeof(int64_t);
}

int64_t trm_near_give_bytes(const trm_near *near, int64_t longest)
{
    return trm_distinct_bytes(near->classmates) + joiner_bytes(near->run->threads, longest) +
           trm_lookup_ask_bytes(near->lookup, near->classmates, near->listed, near->rows->replicate);
}
