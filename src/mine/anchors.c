/* Anchors, pairs, thresholds, panels; see anchors.h. */
#include "mine/anchors.h"

#include "base/alloc.h"
#include "mine/choice.h"
#include "mine/listing.h"
#include "mine/near.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "sweep/choose.h"

#include <omp.h>
#include <string.h>

/* An anchor that makes a triplet without a positive. */
static bool is_lone(const trm_anchors *anchors, int64_t row)
{
    const trm_there there = trm_pool_there(anchors->pool, row);
    return anchors->options->lone && there.positives == 0 && there.negatives > 0;
}

/* Of those that have pairs. */
static bool is_asker(const trm_anchors *anchors, trm_there there)
{
    return anchors->solo != NULL ? there.positives > 0 : trm_anchors_valid(there);
}

int64_t trm_anchors_pairs(const trm_anchors *anchors, int64_t row)
{
    const trm_there there = trm_pool_there(anchors->pool, row);
    if (is_lone(anchors, row) || !trm_anchors_find_positives(anchors))
        return 1;
    return is_asker(anchors, there) ? trm_positives_pairs(&anchors->positives, there.positives) : 0;
}

int64_t trm_anchors_triplets(const trm_anchors *anchors, int64_t row)
{
    return anchors->size != NULL ? anchors->size[row].triplets
                                 : trm_anchors_pairs(anchors, row) * anchors->each;
}

/* Slots that row needs while positives are found, and while negatives are. */
static int64_t positives_slots(const trm_anchors *anchors, int64_t row, int shape)
{
    const trm_query *query = &anchors->positives.query;
    const int64_t pairs = trm_anchors_pairs(anchors, row);
    if (is_lone(anchors, row))
        return 1;
    if (!trm_anchors_find_positives(anchors))
        return 0;
    return pairs > 0 ? query->type->slots(query, shape, trm_pool_there(anchors->pool, row), pairs) : 0;
}

int64_t trm_anchors_slots(const trm_anchors *anchors, int64_t row, int shape)
{
    const trm_query *query = anchors->negatives;
    const int64_t pairs = trm_anchors_pairs(anchors, row);
    if (anchors->size != NULL && shape == TRM_LISTING_SHAPE)
        return anchors->size[row].negatives;
    if (anchors->solo != NULL && anchors->solo->slots != NULL && shape == 0)
        return pairs > 0 ? anchors->solo->slots[row] : 0;
    if (pairs > 0 && query->type->listed && shape == query->type->shapes - 1)
        return trm_pool_there(anchors->pool, row).positives;
    if (anchors->near != NULL && shape == query->type->shapes - 1 - query->type->listed)
        return trm_near_most(anchors->near, row, pairs);
    return pairs > 0 ? query->type->slots(query, shape, trm_pool_there(anchors->pool, row), pairs) : 0;
}

/* Of any anchor: a list of all positives has a place for the anchor itself, which stays empty. */
static int64_t most_slots(const trm_anchors *anchors)
{
    return anchors->longest + 1;
}

/* ---- one set or two ---- */

/* The smaller set does. */
static bool anchors_travel(const trm_pool *pool)
{
    return !trm_pool_is_one_set(pool) && pool->anchors->total < pool->store->total;
}

trm_status trm_pool_sweep_create(const trm_pool *pool, trm_metric metric, trm_sweep **sweep, trm_error *err)
{
    if (trm_pool_is_one_set(pool))
        return trm_sweep_create(pool->run, pool->anchors, NULL, metric, sweep, err);
    return anchors_travel(pool) ? trm_sweep_create(pool->run, pool->store, pool->anchors, metric, sweep, err)
                                : trm_sweep_create(pool->run, pool->anchors, pool->store, metric, sweep, err);
}

trm_status trm_anchors_sweep(const trm_anchors *anchors, trm_sweep *sweep, const char *phase, trm_asked asked,
                             trm_sweep_counts *counts, trm_error *err)
{
    const trm_asked nothing = {NULL, NULL};
    return anchors_travel(anchors->pool) ? trm_sweep_run(sweep, phase, nothing, asked, counts, err)
                                         : trm_sweep_run(sweep, phase, asked, nothing, counts, err);
}

/* ---- memory plan ---- */

/* In panel_of while it is not decided. */
static const int64_t unassigned = INT64_MAX;

/* Deals the rows of a shard that are in no panel before base to panels [base, panels), about as many to each. */
static void deal_shard(trm_anchors *anchors, int shard, int64_t base, int64_t panels)
{
    int64_t from, to, rows = 0, k = 0;
    trm_rows_shard_here(anchors->rows, shard, &from, &to);
    for (int64_t row = from; row < to; row++)
        rows += anchors->panel_of[row] >= base;
    for (int64_t row = from; row < to; row++)
        if (anchors->panel_of[row] >= base)
            anchors->panel_of[row] = base + k++ * (panels - base) / rows;
}

static void deal(trm_anchors *anchors, int64_t base, int64_t panels)
{
    for (int t = 0; t < trm_rows_shards_here(anchors->rows); t++)
        deal_shard(anchors, t, base, panels);
    anchors->panels = panels;
}

/* What the rows of a panel need. */
typedef struct sizes {
    int64_t positives[TRM_SHAPES], negatives[TRM_SHAPES], triplets;
} sizes;

static void add_row(const trm_anchors *anchors, int64_t row, sizes *size)
{
    for (int s = 0; s < anchors->positives.query.type->shapes; s++)
        size->positives[s] += positives_slots(anchors, row, s);
    for (int s = 0; s < anchors->negatives->type->shapes; s++)
        size->negatives[s] += trm_anchors_slots(anchors, row, s);
    size->triplets += trm_anchors_triplets(anchors, row);
}

/* Bytes of a state while it is asked: of the set that travels, or of the one that stays. */
static int64_t sweep_bytes_of(const trm_anchors *anchors, trm_sweep_size size)
{
    const trm_pool *pool = anchors->pool;
    const trm_sweep_size nothing = {NULL, NULL};
    if (trm_pool_is_one_set(pool))
        return trm_sweep_state_bytes(pool->anchors, size, NULL);
    return anchors_travel(pool) ? trm_sweep_state_bytes(pool->store, nothing, &size)
                                : trm_sweep_state_bytes(pool->anchors, size, &nothing);
}

/* While positives are found: of a list they are measured, which no sweep does. */
static int64_t positives_bytes(const trm_anchors *anchors, trm_sweep_size size)
{
    const trm_sweep_size nothing = {NULL, NULL};
    if (!trm_pool_is_listed(anchors->pool))
        return sweep_bytes_of(anchors, size);
    const int64_t packed_later = anchors->panels <= 1 ? anchors->packed_later : 0;
    return trm_sweep_state_bytes(anchors->rows, size, &nothing) + anchors->measuring - packed_later;
}

static bool has_looked(const trm_anchors *anchors)
{
    return anchors->near != NULL && trm_near_looked(anchors->near);
}

/* Bytes of a panel's state on this rank: the positives sweep with its visiting copies; then positives that
 * stay, negatives and their visiting copies; or the triplets being put together. */
static int64_t state_bytes(const trm_anchors *anchors, const sizes *size)
{
    const trm_rows *rows = anchors->rows;
    const trm_query_type *first = anchors->positives.query.type, *second = anchors->negatives->type;
    const int64_t candidate = (int64_t)sizeof(trm_candidate), answer = (int64_t)sizeof(trm_answer);
    const int64_t found = trm_fields_bytes(first, TRM_FIELD_FOUND, size->positives);
    const int64_t kept = anchors->keep ? found : 0;
    const int64_t given = trm_fields_bytes(second, TRM_FIELD_GIVEN, size->negatives);
    const int64_t state = given + trm_fields_bytes(second, TRM_FIELD_FOUND, size->negatives) +
                          trm_fields_bytes(second, TRM_FIELD_MADE, size->negatives);
    const int64_t scratch = most_slots(anchors) * anchors->run->threads * candidate;
    const int64_t positives = positives_bytes(anchors, (trm_sweep_size){first, size->positives});
    const int64_t giving =
        anchors->near != NULL ? trm_near_give_bytes(anchors->near, most_slots(anchors)) : 0;
    const int64_t thresholds = found + given + (scratch > giving ? scratch : giving);
    /* after a first look, in which all may come short, those that ask again have a state of their own */
    const int64_t first_look = has_looked(anchors) ? state : 0;
    const int64_t negatives = kept + first_look +
                              sweep_bytes_of(anchors, (trm_sweep_size){second, size->negatives}) +
                              trm_sweep_block_bytes(anchors->run, rows, size->negatives[0]);
    const int64_t triplets =
        anchors->keep
            ? kept + state + size->triplets * (int64_t)sizeof(trm_triplet) / rows->replicate + 2 * scratch +
                  (anchors->size != NULL ? anchors->each * anchors->run->threads * answer : 0)
            : 0;
    const int64_t phases[] = {positives, thresholds, negatives, triplets};
    int64_t largest = 0;
    for (size_t k = 0; k < sizeof phases / sizeof *phases; k++)
        largest = phases[k] > largest ? phases[k] : largest;
    return largest;
}

/* Of the largest of the panels [from, to) of a shard, whose numbers ascend with the rows. */
static int64_t largest_panel_of(const trm_anchors *anchors, int shard, int64_t from, int64_t to)
{
    int64_t largest = 0, panel = from, first, last;
    sizes size = {.triplets = 0};
    trm_rows_shard_here(anchors->rows, shard, &first, &last);
    for (int64_t row = first; row < last; row++) {
        if (anchors->panel_of[row] < from || anchors->panel_of[row] >= to)
            continue;
        if (anchors->panel_of[row] != panel)
            size = (sizes){.triplets = 0};
        panel = anchors->panel_of[row];
        add_row(anchors, row, &size);
        const int64_t bytes = state_bytes(anchors, &size);
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

/* Of all shards. Collective. */
static int64_t largest_panel(const trm_anchors *anchors, int64_t from, int64_t to)
{
    int64_t largest = 0;
    for (int t = 0; t < trm_rows_shards_here(anchors->rows); t++) {
        const int64_t bytes = largest_panel_of(anchors, t, from, to);
        largest = bytes > largest ? bytes : largest;
    }
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return largest;
}

/* The most triplets of an anchor, where they have been counted to be listed, or anchors are queries. Collective. */
static int64_t most_listed(const trm_anchors *anchors)
{
    int64_t most = 0;
    if (anchors->size == NULL && !trm_pool_is_one_set(anchors->pool))
        return trm_positives_pairs(&anchors->positives, anchors->longest) * anchors->each; /* of all ranks */
    for (int64_t row = 0; row < anchors->rows->count && anchors->size != NULL; row++)
        most = anchors->size[row].triplets > most ? anchors->size[row].triplets : most;
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return most;
}

/* Rows, and what they are swept with. */
static int64_t sweeping_bytes(const trm_run *run, const trm_pool *pool)
{
    const trm_rows *anchors = pool->anchors, *store = pool->store;
    const int64_t shard = trm_rows_largest_shard(anchors), other = trm_rows_largest_shard(store);
    return trm_pool_is_one_set(pool) ? trm_sweep_bytes(run, anchors, shard, NULL, 0)
           : anchors_travel(pool)    ? trm_sweep_bytes(run, store, other, anchors, shard)
                                     : trm_sweep_bytes(run, anchors, shard, store, other);
}

/* Of a list pairs are measured. That comes before rows are packed, where a kernel is chosen first and no earlier panel was swept; a
 * plan of what may be held does not count on it, one of what is expected does. */
static void plan_measuring(trm_anchors *anchors, bool begins)
{
    const trm_pool *pool = anchors->pool;
    const trm_rows *rows = anchors->rows, *store = pool->store;
    const bool measures = trm_pool_is_listed(pool) && trm_anchors_find_positives(anchors),
               later =
                   begins && anchors->run->expected != NULL && trm_chooser_pays(anchors->run, rows, store);
    anchors->measuring = measures ? trm_pool_measuring_bytes(pool) : 0;
    anchors->packed_later = measures && later
                                ? sweeping_bytes(anchors->run, pool) -
                                      (trm_rows_largest_shard(rows) + trm_rows_largest_shard(store)) *
                                          trm_rows_bytes_per_row(rows->dim)
                                : 0;
}

/* What a rank needs beside a panel's state while it sweeps; the most of any, as threads and reserve may
 * differ. Collective. */
static int64_t fixed_bytes(const trm_anchors *anchors)
{
    const trm_rows *rows = anchors->rows;
    const int64_t shard = trm_rows_largest_shard(rows);
    /* offsets of both states, those being made, those that travel; and which panel a row is in */
    const int64_t shapes = anchors->negatives->type->shapes,
                  tables = (rows->teams > 1 ? 5 : 2) * shapes + (has_looked(anchors) ? 2 * shapes + 1 : 0),
                  counted = anchors->size != NULL ? 2 : 0;
    int64_t bytes = sweeping_bytes(anchors->run, anchors->pool);
    bytes += trm_pool_bytes(anchors->pool) + (anchors->near != NULL ? trm_near_bytes(anchors->near) : 0) +
             (tables + 3 + counted) * 8 * (shard + 1) + anchors->options->reserve +
             anchors->options->reserve_a_triplet * most_listed(anchors);
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return bytes;
}

/* The most rows a rank has that are in no panel before base. Collective. */
static int64_t most_undecided(const trm_anchors *anchors, int64_t base)
{
    int64_t most = 0;
    for (int t = 0; t < trm_rows_shards_here(anchors->rows); t++) {
        int64_t from, to, rows = 0;
        trm_rows_shard_here(anchors->rows, t, &from, &to);
        for (int64_t row = from; row < to; row++)
            rows += anchors->panel_of[row] >= base;
        most = rows > most ? rows : most;
    }
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return most;
}

/* What needs that much. A set that is to be listed is planned twice: what listing takes shows when it was counted. */
static const char *what_needs(const trm_anchors *anchors, bool resumed)
{
    if (resumed)
        return "to go on from the checkpoint needs at least";
    if (anchors->size != NULL)
        return "the set was counted; to list it needs at least";
    if (anchors->near != NULL)
        return "the rows near positives were counted; to keep them needs at least";
    return anchors->options->emit_sets && anchors->each == 0
               ? "to count the set, before it is listed, needs at least"
               : "the job needs at least";
}

/* While rows are read and arranged; the anchors', of two sets, beside the store's, which are there by then. Or while a list becomes
 * the anchors', before any rows are there, if that takes more. Collective. */
static int64_t arrange_bytes(const trm_anchors *anchors)
{
    const trm_pool *pool = anchors->pool;
    const trm_rows *store = pool->store;
    if (trm_pool_is_one_set(pool))
        return store->arrange_bytes;
    const int64_t after =
        pool->anchors->arrange_bytes + trm_rows_largest_shard(store) * trm_rows_bytes_per_row(store->dim);
    int64_t bytes = after > store->arrange_bytes ? after : store->arrange_bytes;
    if (!trm_pool_is_listed(pool))
        return bytes;
    const int64_t making = trm_pool_making_bytes(pool) + anchors->options->reserve;
    bytes = making > bytes ? making : bytes;
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return bytes;
}

/* The fewest panels whose state fits, after base panels that are given. Collective. */
static trm_status plan(trm_anchors *anchors, int64_t base, trm_error *err)
{
    const trm_rows *rows = anchors->rows;
    const int64_t arranging = arrange_bytes(anchors);
    const int64_t fixed = fixed_bytes(anchors), limit = anchors->run->mem_per_rank;
    plan_measuring(anchors, base == 0);
    const int64_t most = most_undecided(anchors, base), given = largest_panel(anchors, 0, base);
    int64_t state, panels = most > 0 || base == 0;
    if (fixed + given > limit && most > 1)
        panels = most; /* it can't fit: how little would do? */
    for (;; panels = panels * 5 / 4 + 1) {
        panels = panels > most && panels > 1 ? most : panels;
        deal(anchors, base, base + panels);
        const int64_t dealt = largest_panel(anchors, base, base + panels);
        state = dealt > given ? dealt : given;
        if (fixed + state <= limit || panels >= most)
            break;
    }
    anchors->panel_bytes = state;
    anchors->memory_bytes = fixed + state > arranging ? fixed + state : arranging;
    const int64_t need = rows->sorted != NULL ? anchors->memory_bytes : fixed + state; /* yet to come */
    if (need > limit)
        return trm_run_refuse(anchors->run, what_needs(anchors, given == state && base > 0), need, err);
    return TRM_OK;
}

int64_t trm_anchors_bytes(trm_anchors *anchors, int64_t panels)
{
    deal(anchors, 0, panels);
    plan_measuring(anchors, true);
    const int64_t sweeping = fixed_bytes(anchors) + largest_panel(anchors, 0, panels);
    const int64_t arranging = arrange_bytes(anchors);
    return sweeping > arranging ? sweeping : arranging;
}

void trm_anchors_travel(const trm_anchors *anchors, int64_t *visit, int64_t *home)
{
    const trm_query_type *type = anchors->negatives->type;
    *visit = *home = 0;
    if (!trm_pool_is_one_set(anchors->pool) && !anchors_travel(anchors->pool))
        return;
    for (int t = 0; t < trm_rows_shards_here(anchors->rows); t++) {
        int64_t from, to;
        sizes size = {.triplets = 0};
        trm_rows_shard_here(anchors->rows, t, &from, &to);
        for (int64_t row = from; row < to; row++)
            if (anchors->panel_of[row] == 0)
                add_row(anchors, row, &size);
        const int64_t found = trm_fields_bytes(type, TRM_FIELD_FOUND, size.negatives),
                      all = found + trm_fields_bytes(type, TRM_FIELD_GIVEN, size.negatives);
        *visit = all > *visit ? all : *visit;
        *home = found > *home ? found : *home;
    }
}

/* What is known of anchors but for the plan. Collective. */
static trm_status begin(trm_anchors *anchors, trm_error *err)
{
    const trm_run *run = anchors->run;
    const trm_rows *rows = anchors->rows;
    const trm_mine_options *options = anchors->options;
    trm_status status = TRM_OK;
    for (int64_t row = 0; row < rows->count && trm_anchors_find_positives(anchors); row++) {
        const trm_there there = trm_pool_there(anchors->pool, row);
        if (is_asker(anchors, there) && there.positives > anchors->longest)
            anchors->longest = there.positives;
    }
    anchors->longest = options->lone && anchors->longest < 1 ? 1 : anchors->longest;
    MPI_Allreduce(MPI_IN_PLACE, &anchors->longest, 1, MPI_INT64_T, MPI_MAX, run->comm);
    trm_positives_choose(&anchors->positives, options, anchors->longest);
    anchors->panel_of = trm_alloc_zero(rows->count, sizeof *anchors->panel_of);
    if (anchors->panel_of == NULL)
        status = trm_fail_memory(err, "panels", rows->count, sizeof *anchors->panel_of);
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_anchors_destroy(
            anchors); /* on all ranks: who looks whether there is one sees the same everywhere */
        return status;
    }
    return trm_agree(run->comm, plan(anchors, 0, err), err);
}

trm_status trm_anchors_init(trm_anchors *anchors, const trm_run *run, const trm_pool *pool,
                            const trm_mine_options *options, const trm_query *negatives, int64_t each,
                            const trm_set_size *size, const trm_near *near, bool keep, trm_error *err)
{
    *anchors = (trm_anchors){.run = run,
                             .pool = pool,
                             .rows = pool->anchors,
                             .options = options,
                             .negatives = negatives,
                             .each = each,
                             .size = size,
                             .near = near,
                             .keep = keep};
    return begin(anchors, err);
}

trm_status trm_anchors_init_solo(trm_anchors *anchors, const trm_run *run, const trm_pool *pool,
                                 const trm_mine_options *options, const trm_query *query,
                                 const trm_solo *solo, trm_error *err)
{
    *anchors = (trm_anchors){.run = run,
                             .pool = pool,
                             .rows = pool->anchors,
                             .options = options,
                             .negatives = query,
                             .solo = solo};
    return begin(anchors, err);
}

void trm_anchors_destroy(trm_anchors *anchors)
{
    trm_free(anchors->panel_of);
    anchors->panel_of = NULL;
}

/* ---- going on ---- */

/* Puts the rows of this shard that are in places into a panel. */
static void put_in_panel(trm_anchors *anchors, int64_t count, const trm_places *places, int64_t panel)
{
    const trm_rows *rows = anchors->rows;
    for (int64_t k = 0; k < count; k++) {
        const int64_t from = places[k].from > rows->first ? places[k].from - rows->first : 0;
        const int64_t to =
            places[k].to - rows->first < rows->count ? places[k].to - rows->first : rows->count;
        for (int64_t row = from; row < to; row++)
            anchors->panel_of[row] = panel;
    }
}

trm_status trm_anchors_resume(trm_anchors *anchors, int64_t finished, const trm_places *finished_places,
                              int64_t begun, const trm_places *begun_places, trm_error *err)
{
    for (int64_t row = 0; row < anchors->rows->count; row++)
        anchors->panel_of[row] = unassigned;
    put_in_panel(anchors, finished, finished_places, TRM_PANEL_FINISHED);
    put_in_panel(anchors, begun, begun_places, 0);
    return trm_agree(anchors->run->comm, plan(anchors, 1, err), err);
}

/* ---- one panel ---- */

typedef int64_t (*slots_fn)(const trm_anchors *anchors, int64_t row, int shape);

/* The offsets of one shape, of a panel's rows; other rows have no slots. */
static void set_offset(const trm_anchors *anchors, const trm_panel *panel, slots_fn slots, int shape,
                       int64_t *offset)
{
    int64_t k = 0;
    offset[0] = 0;
    for (int64_t row = 0; row < anchors->rows->count; row++) {
        const bool here = k < panel->count && panel->row[k] == row;
        offset[row + 1] = offset[row] + (here ? slots(anchors, row, shape) : 0);
        k += here;
    }
}

static trm_status create_state(const trm_anchors *anchors, const trm_panel *panel, slots_fn slots,
                               const trm_query_type *type, trm_state **state, trm_error *err)
{
    const trm_rows *rows = anchors->rows;
    const int64_t each = rows->count + 1;
    const int64_t *offset[TRM_SHAPES] = {NULL};
    int64_t *tables = trm_alloc(type->shapes * each, sizeof *tables);
    trm_status status = tables == NULL ? trm_fail_memory(err, "panel", each, sizeof *tables) : TRM_OK;
    for (int s = 0; s < type->shapes && status == TRM_OK; s++) {
        set_offset(anchors, panel, slots, s, tables + s * each);
        offset[s] = tables + s * each;
    }
    if (status == TRM_OK)
        status = trm_state_create(type, rows->count, rows->id, rows->label, offset, state, err);
    trm_free(tables);
    return trm_agree(anchors->run->comm, status, err);
}

/* The store's rows that are listed for the anchor: they are no negatives. */
static void give_list(const trm_pool *pool, const trm_state *state, int64_t row)
{
    const trm_query_type *type = state->type;
    const int64_t first = pool->start[row], count = pool->start[row + 1] - first;
    if (count > 0)
        memcpy((int64_t *)state->field[type->fields - 1] + state->offset[type->shapes - 1][row],
               pool->id + first, (size_t)count * sizeof *pool->id);
}

/* Settles each anchor's positives, which then are its pairs by (d, id), and gives them to the second query. */
static void set_pairs(const trm_anchors *anchors, const trm_panel *panel, bool settled,
                      trm_candidate *scratch)
{
    const trm_query *positives = &anchors->positives.query, *negatives = anchors->negatives;
#pragma omp parallel for schedule(dynamic, 16) num_threads(anchors->run->threads)
    for (int64_t k = 0; k < panel->count; k++) {
        const int64_t row = panel->row[k], pairs = trm_anchors_pairs(anchors, row);
        if (pairs == 0)
            continue;
        trm_candidate *pair = trm_panel_pairs(panel, row);
        if (is_lone(anchors, row))
            pair[0] = (trm_candidate){0.0, -1};
        else if (!settled && positives->type->settle != NULL)
            positives->type->settle(positives, panel->positives, row,
                                    scratch + omp_get_thread_num() * most_slots(anchors));
        if (negatives->type->give != NULL)
            negatives->type->give(negatives, panel->negatives, row, pair, pairs);
        if (negatives->type->listed)
            give_list(anchors->pool, panel->negatives, row);
    }
}

/* A panel that asks for what is near its anchors' positives, for trm_near_asker. */
typedef struct asking {
    const trm_anchors *anchors;
    const trm_panel *panel;
} asking;

static int64_t row_of(const void *context, int64_t k)
{
    const asking *by = context;
    return by->panel->row[k];
}

static int64_t pairs_of(const void *context, int64_t k)
{
    const asking *by = context;
    return trm_anchors_pairs(by->anchors, by->panel->row[k]);
}

static int64_t positive_of(const void *context, int64_t k, int64_t i)
{
    const asking *by = context;
    return trm_panel_pairs(by->panel, by->panel->row[k])[i].id;
}

static int64_t *near_of(const void *context, int64_t k, int64_t *room)
{
    const asking *by = context;
    return trm_choice_near(by->panel->negatives, by->panel->row[k], room);
}

static trm_status give_near(const trm_anchors *anchors, const trm_panel *panel, trm_error *err)
{
    const asking by = {anchors, panel};
    const trm_near_asker asker = {panel->count, most_slots(anchors), row_of, pairs_of, positive_of, near_of,
                                  &by};
    return trm_near_give(anchors->near, &asker, err);
}

trm_candidate *trm_panel_pairs(const trm_panel *panel, int64_t row)
{
    const trm_state *state = panel->positives;
    char *slots = state->field[0]; /* a slot may be more than a candidate while positives are found */
    return (trm_candidate *)(void *)(slots + state->offset[0][row] * (int64_t)state->type->field[0].bytes);
}

trm_status trm_panel_begin(const trm_anchors *anchors, int64_t index, trm_panel *panel, trm_error *err)
{
    trm_status status = TRM_OK;
    *panel = (trm_panel){.row = trm_alloc(anchors->rows->count, sizeof *panel->row)};
    if (panel->row == NULL)
        status = trm_fail_memory(err, "panel", anchors->rows->count, sizeof *panel->row);
    for (int64_t row = 0; row < anchors->rows->count && status == TRM_OK; row++)
        if (anchors->panel_of[row] == index)
            panel->row[panel->count++] = row;
    status = trm_agree(anchors->run->comm, status, err);
    if (status != TRM_OK || !trm_anchors_find_positives(anchors))
        return status;
    status =
        create_state(anchors, panel, positives_slots, anchors->positives.query.type, &panel->positives, err);
    return status == TRM_OK ? trm_agree(anchors->run->comm, trm_state_ask(panel->positives, err), err)
                            : status;
}

trm_status trm_panel_settle(const trm_anchors *anchors, trm_panel *panel, bool settled, trm_error *err)
{
    trm_status status =
        create_state(anchors, panel, trm_anchors_slots, anchors->negatives->type, &panel->negatives, err);
    if (status != TRM_OK)
        return status;
    if (panel->positives != NULL) {
        const int64_t each = most_slots(anchors) * anchors->run->threads;
        trm_candidate *scratch = trm_alloc(each, sizeof *scratch);
        if (scratch == NULL)
            status = trm_fail_memory(err, "thresholds being sorted", each, sizeof *scratch);
        status = trm_agree(anchors->run->comm, status, err);
        if (status == TRM_OK)
            set_pairs(anchors, panel, settled, scratch);
        trm_free(scratch);
        if (status == TRM_OK && anchors->near != NULL)
            status = give_near(anchors, panel, err);
        if (status != TRM_OK)
            return status;
    }
    if (!anchors->keep)
        trm_state_destroy(&panel->positives);
    return trm_agree(anchors->run->comm, trm_state_ask(panel->negatives, err), err);
}

/* The fields of a kind of the panel's rows, which have the same slots in both. */
static void copy_rows(const trm_panel *panel, trm_field_kind kind, const trm_state *from, trm_state *into)
{
    for (int f = 0; f < from->type->fields; f++) {
        const trm_field *field = &from->type->field[f];
        for (int64_t k = 0; k < panel->count && field->kind == kind; k++) {
            const int64_t row = panel->row[k], slots = trm_state_count(into, field->shape, row);
            if (slots > 0)
                memcpy((char *)into->field[f] + into->offset[field->shape][row] * (int64_t)field->bytes,
                       (const char *)from->field[f] + from->offset[field->shape][row] * (int64_t)field->bytes,
                       (size_t)slots * field->bytes);
        }
    }
}

trm_status trm_panel_pick(const trm_anchors *anchors, const trm_panel *panel, int64_t *row, int64_t count,
                          trm_panel *part, trm_error *err)
{
    *part = (trm_panel){.row = row, .count = count};
    trm_status status =
        create_state(anchors, part, trm_anchors_slots, anchors->negatives->type, &part->negatives, err);
    if (status != TRM_OK)
        return status;
    copy_rows(part, TRM_FIELD_GIVEN, panel->negatives, part->negatives);
    return trm_agree(anchors->run->comm, trm_state_ask(part->negatives, err), err);
}

void trm_panel_put_back(trm_panel *panel, const trm_panel *part)
{
    copy_rows(part, TRM_FIELD_FOUND, part->negatives, panel->negatives);
}

void trm_panel_close(trm_panel *panel)
{
    trm_state_destroy(&panel->positives);
    trm_state_destroy(&panel->negatives);
    trm_free(panel->row);
    *panel = (trm_panel){0};
}

void trm_panel_share(const trm_anchors *anchors, const trm_panel *panel, int64_t *first, int64_t *last)
{
    trm_share(panel->count, anchors->rows->member, anchors->rows->replicate, first, last);
}
