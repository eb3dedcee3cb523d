/* How a sweep's work is cut: into units of about a second, of which all ranks do the same number. Between two
 * units they agree on what any of them wishes, so that all of them save, or stop, at the same unit. */
#include "base/clock.h"
#include "par/agree.h"
#include "sweep/inner.h"

/* Into how many units all ranks cut a step: by the longest region that any could have, so that they are equally
 * many. */
static int64_t units_of(const trm_ring *ring, int step)
{
    const trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    const int64_t tiles = trm_tiles_of(sweep->largest, ring->block);
    int64_t most = 0;
    for (int member = 0; member < rows->replicate && trm_ring_is_busy(ring, step); member++) {
        /* the last team: in a split step, which is the longer half */
        const int64_t blocks = trm_region_tiles(sweep->schedule->region(
            rows->teams, rows->replicate, rows->teams - 1, member, step, tiles, tiles));
        most = blocks > most ? blocks : most;
    }
    const int64_t span = ring->block / sweep->tile;
    const int64_t unit = (sweep->unit_tiles + span * span - 1) / (span * span);
    const int64_t least = sweep->unit_blocks, blocks = unit > least ? unit : least;
    return unit > 0 ? (most + blocks - 1) / blocks : 1;
}

static int64_t place_of(const trm_side *side, int64_t block, const trm_ring *ring)
{
    const int64_t place = block * ring->block;
    return side->first + (place < side->count ? place : side->count);
}

/* Notes the first blocks of a region, in their order, as done. */
static trm_status note_done(const trm_ring *ring, const trm_side *b, trm_region region, int64_t blocks,
                            trm_done *done, trm_error *err)
{
    const trm_side *a = &ring->sweep->own;
    trm_status status = TRM_OK;
    trm_rectangle part;
    for (int n = 0; status == TRM_OK && trm_region_run(region, blocks, n, &part); n++)
        status =
            trm_done_add(done,
                         (trm_rectangle){place_of(a, part.a_first, ring), place_of(a, part.a_last, ring),
                                         place_of(b, part.b_first, ring), place_of(b, part.b_last, ring)},
                         err);
    return status;
}

static trm_status save(trm_ring *ring, int step, const trm_side *b, trm_region region, int64_t tiles,
                       bool stop, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const int64_t finished = sweep->done.count;
    trm_ring_bring_together(ring, step, err);
    trm_sweep_collect_counts(sweep, ring->counts);
    trm_ring_must(ring, note_done(ring, b, region, tiles, &sweep->done, err), err);
    for (int64_t i = 0; i < sweep->skip.count && sweep->run->rank == 0; i++)
        trm_ring_must(ring, trm_done_add(&sweep->done, sweep->skip.rectangle[i], err), err);
    trm_status status = sweep->save(sweep->save_context, &sweep->done, stop, err);
    sweep->done.count = finished;
    if (sweep->rows->member > 0) { /* the end adds all members again */
        if (ring->own.query != NULL)
            trm_state_clear(ring->own.state, true);
        if (!sweep->schedule->one_set && ring->other.query != NULL)
            trm_state_clear(ring->other.state, true);
    }
    return status;
}

/* Acts on what the ranks wished for one unit ago, and asks them again: the answer comes while they work. */
static trm_status end_unit(trm_ring *ring, int step, const trm_side *b, trm_region region, int64_t tiles,
                           trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const trm_checkpoint *checkpoint = sweep->run->checkpoint;
    if (checkpoint == NULL)
        return TRM_OK;
    const double start = trm_clock();
    MPI_Wait(&sweep->asking, MPI_STATUS_IGNORE);
    ring->counts->wait_s += trm_clock() - start;
    const int wishes = sweep->wishes;
    trm_status status = TRM_OK;
    if (wishes != 0 && sweep->save != NULL && checkpoint->save != NULL)
        status = save(ring, step, b, region, tiles, (wishes & TRM_WISH_STOP) != 0, err);
    if (status == TRM_OK && (wishes & TRM_WISH_STOP) != 0)
        status = trm_fail(err, TRM_ERR_STOPPED, "stopped on request");
    sweep->wishes = 0;
    if (status != TRM_OK)
        return status;
    sweep->wish = checkpoint->wish(checkpoint->context);
    MPI_Iallreduce(&sweep->wish, &sweep->wishes, 1, MPI_INT, MPI_BOR, sweep->run->comm, &sweep->asking);
    return TRM_OK;
}

/* Parts of step 0 after which the members of a team share their windows: early, as each alone sees few of the pairs that make a
 * window narrow. They have about as much to do before each, so that none waits long. */
static const int share_at[TRM_SHARINGS] = {64, 16, 4, 1}; /* of one */

/* Has any member done blocks of step 0 by then? The same on all of them. */
static bool has_any_done(const trm_ring *ring, int64_t part)
{
    const trm_rows *rows = ring->sweep->rows;
    bool any = false;
    for (int member = 0; member < rows->replicate; member++)
        any = any || trm_region_tiles(trm_ring_region(ring, rows->team, member, 0)) / part > 0;
    return any;
}

/* The blocks [from, to) of a unit. Which unit a sharing is in follows from the units alone, which are equally many on all ranks. */
static void run_unit(trm_ring *ring, int step, trm_side *b, trm_region region, int64_t unit, int64_t units,
                     trm_error *err)
{
    const trm_rows *rows = ring->sweep->rows;
    const int64_t count = trm_region_tiles(region), to = count * (unit + 1) / units;
    int64_t from = count * unit / units;
    for (int i = 0; i < TRM_SHARINGS && step == 0 && rows->replicate > 1; i++) {
        const int64_t part = share_at[i], at = count / part;
        const bool is_end = part == 1, more_follows = ring->sweep->schedule->steps(rows->teams) > 1;
        if (is_end ? unit + 1 < units || !more_follows : units / part != unit || !has_any_done(ring, part))
            continue;
        if (at > from)
            trm_ring_run_blocks(ring, b, region, from, at, err);
        from = at > from ? at : from;
        trm_ring_share_windows(ring, b);
    }
    if (to > from)
        trm_ring_run_blocks(ring, b, region, from, to, err);
}

/* A step's blocks, unit by unit. */
trm_status trm_ring_work(trm_ring *ring, int step, trm_side *b, trm_region region, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const int64_t units = units_of(ring, step), count = trm_region_tiles(region), block = ring->block;
    trm_status status = TRM_OK;
    trm_done_clear(&ring->skip);
    ring->trials = 0;
    if (count > 0) {
        const trm_rectangle area = {sweep->own.first + region.a_first * block,
                                    sweep->own.first + region.a_last * block,
                                    b->first + region.b_first * block, b->first + region.b_last * block};
        trm_ring_must(ring, trm_done_add_touching(&ring->skip, &sweep->skip, area, err), err);
    }
    for (int64_t unit = 0; unit < units && status == TRM_OK; unit++) {
        run_unit(ring, step, b, region, unit, units, err);
        status = end_unit(ring, step, b, region, count * (unit + 1) / units, err);
    }
    if (status == TRM_OK)
        trm_ring_must(ring, note_done(ring, b, region, count, &sweep->done, err), err);
    trm_chooser_leave(&sweep->chooser);
    return status;
}
