/* The ring: who visits whom, when, and what travels. */
#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"
#include "par/merge.h"
#include "sweep/held.h"
#include "sweep/inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- one step: the blocks of a region ---- */

/* Between blocks the main thread looks in on MPI, which moves large messages only inside its calls, and
 * reports. */
static void between_blocks(trm_ring *ring, bool reused)
{
    const trm_run *run = ring->sweep->run;
    int64_t done, earlier;
    int flag = 0;
#pragma omp atomic capture
    done = ++ring->blocks_done;
#pragma omp atomic capture
    earlier = ring->blocks_reused += reused;
    if (omp_get_thread_num() != 0)
        return;
    if (run->ranks > 1)
        MPI_Iprobe(MPI_ANY_SOURCE, 0, run->comm, &flag, MPI_STATUS_IGNORE);
    if (run->progress != NULL)
        run->progress(run->progress_context, ring->phase, (double)done / (double)ring->blocks_all,
                      (double)earlier / (double)ring->blocks_all);
}

/* Blocks [from, to) of a region, by all threads, which work along the same few rows: these stay in their caches. */
static void run_some(trm_ring *ring, const trm_tiles *tiles, int64_t from, int64_t to)
{
    const trm_sweep *sweep = ring->sweep;
    const int chosen = sweep->chooser.chosen;
#pragma omp parallel num_threads(sweep->run->threads)
    {
        trm_worker *worker = sweep->workers[omp_get_thread_num()];
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t k = from; k < to; k++) {
            const trm_place block = trm_region_tile(tiles->region, k);
            const int64_t before = worker->counts.elements;
            trm_block_run(tiles, block.a, block.b, worker);
            worker->counts.by_chain[chosen] += worker->counts.elements - before;
            between_blocks(ring, ring->skip.count > 0 && worker->counts.elements == before);
        }
        trm_held_decide(tiles, worker);
    }
}

/* Parts of a region after which the chains of filters are tried: as windows narrow, another may be better. The first trial comes
 * before rows are packed, so that this is done once where it is right. Where a region is worth only so many trials, those are
 * left out of which more are asked. */
static const struct {
    double at;
    int cold, warm; /* from so many trials on: windows begin open, or a visitor brings what it has seen */
} trials[] = {{0.0, 1, 1}, {0.025, 5, 5}, {0.08, 2, 3}, {0.2, 3, 2}, {0.5, 4, 4}};
enum { TRIALS = sizeof trials / sizeof *trials };

/* Trials that a region of so many pairs is worth: all of them are to take a small part of the time. The first, which is the one that
 * matters, may take a larger one. */
static int trials_worth(const trm_sweep *sweep, double pairs)
{
    const trm_run *run = sweep->run;
    const double times_for_first = 2.5, share = pairs * run->trial_share,
                 each = trm_chooser_pairs(&sweep->chooser, run->threads, false);
    if (times_for_first * share < trm_chooser_pairs(&sweep->chooser, run->threads, true))
        return 0;
    return share >= each * TRIALS ? TRIALS : (int)(share / each);
}

/* Unordered pairs of rows in the blocks of a region from this one on, roughly. */
static double pairs_from(const trm_tiles *tiles, int64_t block)
{
    return (double)(trm_region_tiles(tiles->region) - block) * tiles->block * tiles->block;
}

/* Packs a side that is not packed for the chosen chain, and opens its windows in the units of that. */
static void pack(const trm_ring *ring, trm_side *side, trm_error *err)
{
    if (trm_chooser_has_packed(&ring->sweep->chooser, side))
        return;
    trm_ring_must(ring, trm_side_pack(ring->sweep, side, err), err);
    trm_side_open_windows(ring->sweep, side);
}

/* Where pairs survive by the million a trial may take many times what its pairs take in the sweep: then the next one is left out. */
static bool may_try_again(const trm_ring *ring, double seen)
{
    const trm_sweep *sweep = ring->sweep;
    const double whole = (trm_clock() - ring->begun) / seen;
    return !(sweep->chooser.trial_s > sweep->run->trial_share / TRIALS * whole);
}

/* Tries the chains where it is time to. Which block is to be the last before the next trial? */
static int64_t try_chains(trm_ring *ring, const trm_tiles *tiles, int64_t from, int64_t to)
{
    trm_sweep *sweep = ring->sweep;
    const int64_t blocks = trm_region_tiles(tiles->region);
    if (sweep->chooser.count < 2 || ring->every_pair)
        return to;
    const double share = trm_chooser_share(tiles);
    const int worth = trials_worth(sweep, share * pairs_from(tiles, 0));
    const bool cold = tiles->region.triangle || !tiles->one_set;
    int64_t next = to;
    int due = 0;
    for (int i = 0; i < TRIALS; i++) {
        const int64_t at = (int64_t)(trials[i].at * (double)blocks);
        if ((cold ? trials[i].cold : trials[i].warm) > worth)
            continue;
        if (at > from) {
            next = at < to ? at : to;
            break;
        }
        due++;
    }
    if (due > ring->trials) {
        const double seen = (double)ring->blocks_done / (double)ring->blocks_all;
        const bool may = ring->trials == 0 || may_try_again(ring, seen);
        ring->trials = due;
        if (may)
            trm_chooser_try(&sweep->chooser, tiles, share * pairs_from(tiles, from), seen,
                            share * (double)sweep->other->total, sweep->run->threads);
    }
    return next;
}

void trm_ring_run_blocks(trm_ring *ring, trm_side *visitor, trm_region region, int64_t from, int64_t to,
                         trm_error *err)
{
    const trm_sweep *sweep = ring->sweep;
    const double start = trm_clock();
    const trm_tiles tiles = {.relation = ring->relation,
                             .every_pair = ring->every_pair,
                             .may_repeat = ring->may_repeat,
                             .one_set = sweep->schedule->one_set,
                             .metric = sweep->map.metric,
                             .dim = sweep->map.dim,
                             .tile = sweep->tile,
                             .block = ring->block,
                             .a = &ring->sweep->own,
                             .b = visitor,
                             .region = region,
                             .done = &ring->skip};
    while (from < to) {
        const int64_t next = try_chains(ring, &tiles, from, to);
        pack(ring, tiles.a, err);
        pack(ring, tiles.b, err);
        run_some(ring, &tiles, from, next);
        from = next;
    }
    ring->counts->compute_s += trm_clock() - start;
}

/* ---- the ring ---- */

trm_region trm_ring_region(const trm_ring *ring, int team, int member, int step)
{
    const trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    const trm_shard *a = &rows->shards[team],
                    *b = &sweep->other->shards[trm_ring_visitor(rows->teams, team, step)];
    const trm_region none = {0, 0, 0, 0, false};
    if (a->count == 0 || b->count == 0)
        return none;
    if (ring->relation == TRM_SAME_LABEL && !trm_shards_may_share_label(a, b))
        return none;
    return sweep->schedule->region(rows->teams, rows->replicate, team, member, step,
                                   trm_tiles_of(a->count, ring->block), trm_tiles_of(b->count, ring->block));
}

/* Teams that may share a label are near each other, because rows are arranged by label: at most so far apart,
 * where there is one set. */
static int reach_of(const trm_rows *rows)
{
    int reach = 0;
    for (int t = 0, u = 0; t < rows->teams; t++) {
        u = u < t ? t : u;
        while (
            rows->shards[t].count > 0 && u + 1 < rows->teams &&
            (rows->shards[u + 1].count == 0 || rows->shards[u + 1].label_first <= rows->shards[t].label_last))
            u++;
        reach = u - t > reach ? u - t : reach;
    }
    return reach;
}

bool trm_ring_is_busy(const trm_ring *ring, int step)
{
    const int apart = ring->sweep->rows->teams - step;
    return ring->relation != TRM_SAME_LABEL || !ring->sweep->schedule->one_set || step <= ring->reach ||
           apart <= ring->reach;
}

static int rank_of(const trm_ring *ring, int team)
{
    return team * ring->sweep->rows->replicate + ring->sweep->rows->member;
}

/* The team that this one visits at a step. */
static int host_of(const trm_ring *ring, int step)
{
    const trm_rows *rows = ring->sweep->rows;
    return (rows->team + rows->teams - step) % rows->teams;
}

static int visitor_of(const trm_ring *ring, int step)
{
    return trm_ring_visitor(ring->sweep->rows->teams, ring->sweep->rows->team, step);
}

static const int64_t *slots_of(const trm_ring *ring, int team)
{
    return ring->slots + (int64_t)team * TRM_SHAPES;
}

/* Bytes of a message from a team; 0 where its rows have no state. */
static int64_t part_bytes(const trm_ring *ring, int team, int part)
{
    const int64_t rows = ring->sweep->other->shards[team].count;
    if (part == PART_ROWS)
        return trm_rows_message_bytes(ring->sweep->other->dim, rows);
    return ring->other.query == NULL
               ? 0
               : trm_state_message_bytes(ring->other.query->type, rows, slots_of(ring, team));
}

/* Of the message of a team's state the part that goes home, which is its last. */
static int64_t found_bytes(const trm_ring *ring, int team)
{
    return ring->other.query == NULL
               ? 0
               : trm_fields_bytes(ring->other.query->type, TRM_FIELD_FOUND, slots_of(ring, team));
}

static void *found_in(const trm_ring *ring, int team, void *message)
{
    return (char *)message + part_bytes(ring, team, PART_STATE) - found_bytes(ring, team);
}

void trm_ring_must(const trm_ring *ring, trm_status status, trm_error *err)
{
    if (status != TRM_OK)
        trm_abort(ring->sweep->run->comm, err);
}

static void timed_wait(trm_ring *ring, trm_transfer *transfers, int count)
{
    const double start = trm_clock();
    for (int i = 0; i < count; i++)
        trm_transfer_wait(&transfers[i]);
    ring->counts->wait_s += trm_clock() - start;
}

enum { TAGS_A_STEP = 8, HOME_TAG = PARTS, EARLY_TAG };

static int tag_of(int step, int what)
{
    return step * TAGS_A_STEP + what + 1;
}

static bool has_work(const trm_ring *ring, int team, int step)
{
    return !trm_region_empty(trm_ring_region(ring, team, ring->sweep->rows->member, step));
}

/* Begins what brings a part of step's visitor here and takes this shard's to its host. */
static void post_part(trm_ring *ring, int step, int part, const void *own, trm_error *err)
{
    MPI_Comm comm = ring->sweep->run->comm;
    trm_visitor *next = &ring->visitors[step % 2];
    const int from = visitor_of(ring, step), to = host_of(ring, step), team = ring->sweep->rows->team;
    if (has_work(ring, team, step))
        trm_ring_must(ring,
                      trm_transfer_receive(comm, next->part[part], part_bytes(ring, from, part),
                                           rank_of(ring, from), tag_of(step, part), &next->receive[part],
                                           err),
                      err);
    if (has_work(ring, to, step))
        trm_ring_must(ring,
                      trm_transfer_send(comm, own, part_bytes(ring, team, part), rank_of(ring, to),
                                        tag_of(step, part), &ring->send[part], err),
                      err);
}

/* The rows travel while the step before is computed. */
static void post_rows(trm_ring *ring, int step, trm_error *err)
{
    post_part(ring, step, PART_ROWS, ring->sweep->other->message, err);
}

/* So does the state, as it is now: the visitor's windows start from what was found so far. */
static void post_state(trm_ring *ring, int step, trm_error *err)
{
    if (ring->other.query == NULL)
        return;
    trm_state_pack(ring->other.state, ring->snapshot);
    post_part(ring, step, PART_STATE, ring->snapshot, err);
}

/* Ends the homecoming of the step before, if one is under way. */
static void welcome_home(trm_ring *ring)
{
    if (ring->receive_home.requests == NULL)
        return;
    timed_wait(ring, &ring->receive_home, 1);
    const trm_state found = trm_state_view_found(ring->other.state, ring->homecoming);
    trm_state_merge(ring->other.state, &found);
}

/* Sends what the present visitor found home, and begins to receive the same. */
static void send_home(trm_ring *ring, int step, int tag, trm_error *err)
{
    MPI_Comm comm = ring->sweep->run->comm;
    trm_visitor *present = &ring->visitors[step % 2];
    const int visitor = visitor_of(ring, step), host = host_of(ring, step), team = ring->sweep->rows->team;
    if (ring->other.query == NULL)
        return;
    if (has_work(ring, host, step))
        trm_ring_must(ring,
                      trm_transfer_receive(comm, ring->homecoming, found_bytes(ring, team),
                                           rank_of(ring, host), tag_of(step, tag), &ring->receive_home, err),
                      err);
    if (has_work(ring, team, step))
        trm_ring_must(ring,
                      trm_transfer_send(comm, found_in(ring, visitor, present->part[PART_STATE]),
                                        found_bytes(ring, visitor), rank_of(ring, visitor), tag_of(step, tag),
                                        &present->send_home, err),
                      err);
}

/* Makes the visitor of a step ready for its tiles. */
static void receive_visitor(trm_ring *ring, int step)
{
    trm_visitor *present = &ring->visitors[step % 2];
    trm_sweep *sweep = ring->sweep;
    const int team = visitor_of(ring, step);
    const trm_shard *shard = &sweep->other->shards[team];
    trm_side *side = &present->side;
    trm_side_take(side,
                  trm_rows_view(sweep->other->dim, shard->first, shard->count, present->part[PART_ROWS]));
    side->query = ring->other.query;
    side->state = NULL;
    if (side->query != NULL) {
        present->state = trm_state_view(side->query->type, shard->count, side->id, side->label,
                                        slots_of(ring, team), present->part[PART_STATE], ring->made);
        trm_sweep_prepare(sweep, side->query, &present->state);
        side->state = &present->state;
    }
    trm_held_begin(side, sweep->run->threads);
    side->block->rows = 0;                     /* to be packed */
    trm_side_open_windows(sweep, &sweep->own); /* what came home has narrowed them */
}

static void merge_found(const trm_rows *rows, trm_state *state, bool may_be_again)
{
    for (int f = 0; f < state->type->fields; f++) {
        const trm_field *field = &state->type->field[f];
        if (field->kind == TRM_FIELD_FOUND && (field->merge->idempotent || !may_be_again))
            trm_merge_slots(rows->team_comm, field->merge, state->field[f], state->rows,
                            state->offset[field->shape]);
    }
}

void trm_sweep_merge_team(const trm_rows *rows, trm_state *state)
{
    merge_found(rows, state, false);
}

static void merge_asked(const trm_rows *rows, trm_asked asked)
{
    if (asked.query != NULL)
        trm_sweep_merge_team(rows, asked.state);
}

static void merge_teams(const trm_ring *ring)
{
    merge_asked(ring->sweep->rows, ring->own);
    if (!ring->sweep->schedule->one_set)
        merge_asked(ring->sweep->other, ring->other);
}

/* Has the query windows that narrow? */
static bool may_narrow(const trm_query *query)
{
    return query != NULL && !query->type->every_pair && query->type->window != trm_query_all_window;
}

void trm_ring_share_windows(trm_ring *ring, trm_side *b)
{
    trm_sweep *sweep = ring->sweep;
    const double start = trm_clock();
    if (may_narrow(ring->own.query)) {
        merge_found(sweep->rows, ring->own.state, true);
        trm_side_open_windows(sweep, &sweep->own);
    }
    if (!sweep->schedule->one_set && may_narrow(ring->other.query)) {
        merge_found(sweep->other, ring->other.state, true);
        trm_side_open_windows(sweep, b);
    }
    ring->counts->wait_s += trm_clock() - start;
}

void trm_ring_bring_together(trm_ring *ring, int step, trm_error *err)
{
    trm_visitor *present = &ring->visitors[step % 2];
    welcome_home(ring);
    if (step > 0) {
        send_home(ring, step, EARLY_TAG, err);
        timed_wait(ring, &present->send_home, 1);
        if (ring->other.query != NULL && has_work(ring, ring->sweep->rows->team, step))
            trm_state_clear(&present->state, true); /* what is counted has been handed in */
        welcome_home(ring);
    }
    merge_teams(ring);
}

void trm_sweep_collect_counts(trm_sweep *sweep, trm_sweep_counts *counts)
{
    for (int k = 0; k < sweep->run->threads; k++) {
        trm_sweep_counts *mine = &sweep->workers[k]->counts;
        counts->elements += mine->elements;
        counts->survivors += mine->survivors;
        counts->float64 += mine->float64;
        for (int i = 0; i < TRM_STAGES; i++)
            counts->stage_survivors[i] += sweep->workers[k]->work->stage_survivors[i];
        for (int f = 0; f < TRM_CHAINS; f++)
            counts->by_chain[f] += mine->by_chain[f];
        *mine = (trm_sweep_counts){0};
        memset(sweep->workers[k]->work->stage_survivors, 0, sizeof mine->stage_survivors);
        sweep->workers[k]->dense_left = sweep->workers[k]->dense_streak = 0;
    }
}

/* Ends what is under way at a step, where the sweep ends early. */
static void give_up(trm_ring *ring, int step)
{
    timed_wait(ring, ring->visitors[(step + 1) % 2].receive, PARTS);
    timed_wait(ring, ring->send, PARTS);
    timed_wait(ring, &ring->receive_home, 1);
}

static trm_status run_step(trm_ring *ring, int step, trm_error *err)
{
    const trm_rows *rows = ring->sweep->rows;
    trm_visitor *present = &ring->visitors[step % 2];
    timed_wait(ring, present->receive, PARTS);
    timed_wait(ring, ring->send, PARTS);
    timed_wait(ring, &ring->visitors[(step + 1) % 2].send_home, 1);
    if (step + 1 < ring->sweep->schedule->steps(rows->teams)) {
        post_rows(ring, step + 1, err);
        post_state(ring, step + 1, err);
    }
    const trm_region region = trm_ring_region(ring, rows->team, rows->member, step);
    if (!trm_region_empty(region))
        receive_visitor(ring, step);
    trm_status status = trm_ring_work(ring, step, &present->side, region, err);
    if (status != TRM_OK) {
        give_up(ring, step);
        return status;
    }
    welcome_home(ring);
    send_home(ring, step, HOME_TAG, err);
    return TRM_OK;
}

/* The other set's shard that is here already: the visitor of step 0, which needs no journey. */
static trm_side *receive_own_other(trm_ring *ring)
{
    trm_sweep *sweep = ring->sweep;
    trm_side *side = &ring->visitors[0].side;
    trm_side_take(side, trm_rows_view(sweep->other->dim, sweep->other->first, sweep->other->count,
                                      sweep->other->message));
    side->query = ring->other.query;
    side->state = ring->other.state;
    if (side->query != NULL)
        trm_sweep_prepare(sweep, side->query, side->state);
    trm_held_begin(side, sweep->run->threads);
    side->block->rows = 0; /* to be packed */
    return side;
}

/* Step 0: the shard with itself, or with that of the other set, while the first visitor is on its way. */
static trm_status run_own(trm_ring *ring, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    const int steps = sweep->schedule->steps(rows->teams);
    if (steps > 1)
        post_rows(ring, 1, err);
    trm_side *other = sweep->schedule->one_set ? &sweep->own : receive_own_other(ring);
    trm_status status =
        trm_ring_work(ring, 0, other, trm_ring_region(ring, rows->team, rows->member, 0), err);
    if (status != TRM_OK)
        give_up(ring, 0);
    else if (steps > 1)
        post_state(ring, 1, err); /* not before: the first tiles bring most of what narrows a window */
    return status;
}

/* The most bytes that any team's part has. */
static int64_t largest_part(const trm_ring *ring, int part)
{
    int64_t largest = 0;
    for (int t = 0; t < ring->sweep->rows->teams; t++)
        largest = part_bytes(ring, t, part) > largest ? part_bytes(ring, t, part) : largest;
    return largest;
}

static trm_status prepare_travel(trm_ring *ring, trm_error *err)
{
    const trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    trm_status status = TRM_OK;
    int64_t made = 0, bytes = 0;
    for (int part = 0; part < PARTS && status == TRM_OK; part++) {
        bytes = largest_part(ring, part);
        for (int v = 2 - trm_visitors_of(sweep->schedule, rows->teams); v < 2 && status == TRM_OK; v++) {
            ring->visitors[v].part[part] = trm_alloc(bytes, 1); /* step s is visitor s mod 2, from 1 on */
            if (ring->visitors[v].part[part] == NULL)
                status = trm_fail_memory(err, "visiting shard", bytes, 1);
        }
    }
    for (int t = 0; t < rows->teams && ring->other.query != NULL; t++) {
        bytes = trm_fields_bytes(ring->other.query->type, TRM_FIELD_MADE, slots_of(ring, t));
        made = bytes > made ? bytes : made;
    }
    bytes = part_bytes(ring, rows->team, PART_STATE);
    ring->made = trm_alloc(made, 1);
    ring->snapshot = trm_alloc(bytes, 1);
    ring->homecoming = trm_alloc(found_bytes(ring, rows->team), 1);
    if (status == TRM_OK && (ring->made == NULL || ring->snapshot == NULL || ring->homecoming == NULL))
        status = trm_fail_memory(err, "travelling state", bytes, 2);
    return status;
}

/* Buffers for the largest visitor, two of them; the packed block, bounds and locks serve both in turn. */
static trm_status prepare_visitors(trm_ring *ring, trm_error *err)
{
    const trm_sweep *sweep = ring->sweep;
    trm_status status = TRM_OK;
    if (sweep->rows->teams > 1 || !sweep->schedule->one_set)
        status = trm_side_equip(sweep, &ring->visitors[0].side, trm_rows_largest_shard(sweep->other), err);
    ring->visitors[1].side = ring->visitors[0].side;
    if (status == TRM_OK && sweep->rows->teams > 1)
        status = prepare_travel(ring, err);
    return status;
}

static void dismiss_visitors(trm_ring *ring)
{
    trm_side_strip(ring->sweep, &ring->visitors[0].side, trm_rows_largest_shard(ring->sweep->other));
    for (int part = 0; part < PARTS; part++)
        for (int v = 0; v < 2; v++)
            trm_free(ring->visitors[v].part[part]);
    trm_free(ring->made);
    trm_free(ring->snapshot);
    trm_free(ring->homecoming);
}

static void name_phase(trm_ring *ring, const char *phase)
{
    const trm_sweep *sweep = ring->sweep;
    if (sweep->panels > 1)
        snprintf(ring->phase, sizeof ring->phase, "panel %" PRId64 " of %" PRId64 ", %s", sweep->panel + 1,
                 sweep->panels, phase);
    else
        snprintf(ring->phase, sizeof ring->phase, "%s", phase);
}

static bool has_tables(const trm_query *query)
{
    bool has = false;
    for (int f = 0; query != NULL && f < query->type->fields; f++)
        has = has || query->type->field[f].kind == TRM_FIELD_MADE;
    return has;
}

/* Slots of shape 0 where anchors have tables that each visit reads, in all shards. The same on all ranks. */
static int64_t table_slots(const trm_ring *ring)
{
    int64_t slots = 0;
    if (has_tables(ring->own.query))
        slots += ring->own.state->offset[0][ring->own.state->rows];
    if (!ring->sweep->schedule->one_set && has_tables(ring->other.query))
        slots += ring->other.state->offset[0][ring->other.state->rows];
    return trm_sum_int64(ring->sweep->run->comm, slots) / ring->sweep->rows->replicate;
}

/* The same on all ranks. */
static void choose_block(trm_ring *ring)
{
    const trm_sweep *sweep = ring->sweep;
    const int64_t total = sweep->rows->total + (sweep->schedule->one_set ? 0 : sweep->other->total);
    ring->block = trm_block_of(sweep->run, sweep->tile, sweep->largest, total, table_slots(ring));
    MPI_Allreduce(MPI_IN_PLACE, &ring->block, 1, MPI_INT, MPI_MIN, sweep->run->comm);
}

/* Every team's slots of what travels. Collective. */
static trm_status gather_slots(trm_ring *ring, trm_error *err)
{
    const trm_run *run = ring->sweep->run;
    const trm_rows *rows = ring->sweep->rows;
    int64_t own[TRM_SHAPES] = {0};
    int64_t *all = trm_alloc((int64_t)run->ranks * TRM_SHAPES, sizeof *all);
    ring->slots = trm_alloc((int64_t)rows->teams * TRM_SHAPES, sizeof *ring->slots);
    trm_status status = all == NULL || ring->slots == NULL
                            ? trm_fail_memory(err, "slot table", run->ranks, sizeof *all)
                            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    for (int s = 0; ring->other.query != NULL && s < ring->other.query->type->shapes; s++)
        own[s] = ring->other.state->offset[s][ring->other.state->rows];
    if (status == TRM_OK) {
        MPI_Allgather(own, TRM_SHAPES, MPI_INT64_T, all, TRM_SHAPES, MPI_INT64_T, run->comm);
        for (int t = 0; t < rows->teams; t++)
            memcpy(ring->slots + (int64_t)t * TRM_SHAPES, all + (int64_t)t * rows->replicate * TRM_SHAPES,
                   sizeof own);
    }
    trm_free(all);
    return status;
}

/* What the queries of both sides have in common. */
static void set_question(trm_ring *ring)
{
    const trm_query *asks[] = {ring->own.query, ring->other.query};
    ring->may_repeat = true;
    for (int i = 0; i < 2; i++) {
        if (asks[i] == NULL)
            continue;
        ring->relation = asks[i]->type->relation;
        ring->every_pair = asks[i]->type->every_pair;
        ring->may_repeat = ring->may_repeat && trm_query_may_repeat(asks[i]->type);
    }
    ring->reach = reach_of(ring->sweep->rows);
    ring->skip.two_sets = !ring->sweep->schedule->one_set;
}

static trm_status run_ring(trm_ring *ring, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    const int steps = sweep->schedule->steps(rows->teams);
    sweep->own.query = ring->own.query;
    sweep->own.state = ring->own.state;
    if (ring->own.query != NULL)
        trm_sweep_prepare(sweep, ring->own.query, ring->own.state);
    const trm_query *query = ring->own.query != NULL ? ring->own.query : ring->other.query;
    trm_chooser_start(&sweep->chooser, ring->relation, query != NULL && query->type->keeps_farthest);
    ring->begun = trm_clock();
    trm_held_begin(&sweep->own, sweep->run->threads);
    trm_side_open_windows(sweep, &sweep->own);
    trm_done_clear(&sweep->done);
    for (int step = 0; step < steps; step++)
        ring->blocks_all += trm_region_tiles(trm_ring_region(ring, rows->team, rows->member, step));
    trm_status status = run_own(ring, err);
    for (int step = 1; step < steps && status == TRM_OK; step++)
        status = run_step(ring, step, err);
    if (status != TRM_OK)
        return status;
    welcome_home(ring);
    for (int v = 0; v < 2; v++)
        timed_wait(ring, &ring->visitors[v].send_home, 1);
    timed_wait(ring, ring->send, PARTS);
    const double start = trm_clock();
    merge_teams(ring);
    ring->counts->wait_s += trm_clock() - start;
    trm_sweep_collect_counts(sweep, ring->counts);
    trm_done_clear(&sweep->skip);
    return TRM_OK;
}

trm_status trm_sweep_run(trm_sweep *sweep, const char *phase, trm_asked own, trm_asked other,
                         trm_sweep_counts *counts, trm_error *err)
{
    const trm_run *run = sweep->run;
    trm_ring ring = {
        .sweep = sweep, .own = own, .other = sweep->schedule->one_set ? own : other, .counts = counts};
    set_question(&ring);
    trm_status status = gather_slots(&ring, err);
    if (status == TRM_OK) {
        choose_block(&ring);
        name_phase(&ring, phase);
        for (int k = 0; k < run->threads && status == TRM_OK; k++)
            status = trm_worker_widen(sweep->workers[k], ring.block, err);
        if (status == TRM_OK)
            status = prepare_visitors(&ring, err);
        status = trm_agree(run->comm, status, err);
    }
    if (status == TRM_OK)
        status = run_ring(&ring, err);
    trm_done_free(&ring.skip);
    dismiss_visitors(&ring);
    trm_free(ring.slots);
    return status;
}
