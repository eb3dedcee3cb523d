/* The ring: who visits whom, when, and what travels. The tiles themselves are tile.c. */
#include "sweep/sweep.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "sweep/half_ring.h"
#include "sweep/side.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a visiting shard brings, in this order; the first five are the rows, the rest is state. */
enum { PART_X, PART_LABEL, PART_ID, PART_NORM2, PART_CLASS_FIRST, PART_OFFSET, PART_BOUND, PART_BEST, PARTS };

struct trm_sweep {
    const trm_run *run;
    const trm_rows *rows;
    trm_map map;
    float *shift;
    int tile;
    int64_t largest; /* rows of the largest shard */
    trm_side own;
    trm_worker **workers;

    int64_t panel, panels; /* of the job's, for progress; panels 0: not told */

    trm_sweep_save_fn save;
    void *save_context;
    trm_done skip;      /* before the present call; of all ranks */
    trm_done done;      /* in it, by this rank: regions that are finished */
    MPI_Request asking; /* the wishes of the unit before are on their way */
    int wish, wishes;
    int64_t unit_tiles;  /* at most, of a rank; 0: a step is one unit */
    int64_t unit_blocks; /* but at least, so that the threads of a rank end a unit at about the same time */
};

/* A visiting shard's buffers. */
typedef struct trm_visitor {
    trm_side side;
    trm_state state;
    void *part[PARTS];
    trm_transfer receive[PARTS], send_home;
} trm_visitor;

/* One call of trm_sweep_run. */
typedef struct trm_ring {
    trm_sweep *sweep;
    const trm_sink *sink;
    trm_state *own;
    int block;               /* rows of a block of tiles, in which work is dealt */
    int64_t *slots;          /* of every team's state */
    trm_visitor visitors[2]; /* the present one and the next */
    trm_candidate *snapshot, *homecoming;
    int32_t *index; /* of the present visitor */
    trm_transfer send[PARTS], receive_home;
    trm_sweep_counts *counts;
    int64_t blocks_done, blocks_all; /* of this rank, in all steps */
    int64_t blocks_reused;           /* of those done, the ones that an earlier run had finished */
    trm_done skip;                   /* what concerns the present region */
    char phase[64];                  /* for progress */
} trm_ring;

static int64_t tiles_of(int64_t rows, int tile)
{
    return (rows + tile - 1) / tile;
}

/* ---- the shared part: map, packed shard, workers ---- */

/* The largest norm after the shift, and the mean, over all rows; the same bits on all ranks (rank 0's). */
static trm_status find_map(trm_sweep *sweep, trm_metric metric, trm_error *err)
{
    const trm_rows *rows = sweep->rows;
    const int dim = rows->dim;
    const bool shifted = metric == TRM_METRIC_SQL2 || metric == TRM_METRIC_L2;
    double *mean = trm_alloc_zero(dim, sizeof *mean);
    sweep->shift = trm_alloc_zero(dim, sizeof *sweep->shift);
    trm_status status =
        mean == NULL || sweep->shift == NULL ? trm_fail_memory(err, "mean row", dim, 12) : TRM_OK;
    status = trm_agree(sweep->run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    if (shifted) {
        int64_t from, to;
        trm_share(rows->count, rows->member, rows->replicate, &from, &to);
        for (int64_t i = from; i < to; i++)
            for (int k = 0; k < dim; k++)
                mean[k] += (double)rows->x[i * dim + k] / (double)rows->total;
        MPI_Allreduce(MPI_IN_PLACE, mean, dim, MPI_DOUBLE, MPI_SUM, sweep->run->comm);
        for (int k = 0; k < dim; k++)
            sweep->shift[k] = (float)mean[k];
        MPI_Bcast(sweep->shift, dim, MPI_FLOAT, 0, sweep->run->comm);
    }
    double largest = 0.0;
    for (int64_t i = 0; i < rows->count; i++) {
        double norm2 = 0.0;
        for (int k = 0; k < dim; k++) {
            double y = (double)rows->x[i * dim + k] - (double)sweep->shift[k];
            norm2 += y * y;
        }
        largest = norm2 > largest ? norm2 : largest;
    }
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, sweep->run->comm);
    sweep->map =
        (trm_map){metric, dim, shifted ? sweep->shift : NULL, trm_map_scale(sqrt(largest) * (1.0 + 1e-6))};
done:
    trm_free(mean);
    return status;
}

static void free_locks(omp_lock_t *locks, int64_t count)
{
    for (int64_t i = 0; locks != NULL && i < count; i++)
        omp_destroy_lock(&locks[i]);
    trm_free(locks);
}

/* Block, bounds and locks for a side of up to capacity rows. */
static trm_status equip_side(const trm_sweep *sweep, trm_side *side, int64_t capacity, trm_error *err)
{
    trm_status status = trm_block_create(sweep->run->kernel, &sweep->map, capacity, &side->block, err);
    if (status == TRM_OK)
        status = trm_bounds_create(capacity, &side->bounds, err);
    if (status != TRM_OK)
        return status;
    const int64_t count = tiles_of(capacity, sweep->tile);
    side->locks = trm_alloc(count, sizeof *side->locks);
    if (side->locks == NULL)
        return trm_fail_memory(err, "locks", count, sizeof *side->locks);
    for (int64_t i = 0; i < count; i++)
        omp_init_lock(&side->locks[i]);
    return TRM_OK;
}

static void strip_side(const trm_sweep *sweep, trm_side *side, int64_t capacity)
{
    trm_block_destroy(&side->block);
    trm_bounds_destroy(&side->bounds);
    if (side->locks != NULL) /* else there may be no tile size yet */
        free_locks(side->locks, tiles_of(capacity, sweep->tile));
    side->locks = NULL;
}

/* Packs a side's rows, all threads. */
static void pack_side(const trm_sweep *sweep, trm_side *side)
{
    const int64_t step = sweep->tile;
    side->block->rows = side->count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->run->threads)
    for (int64_t first = 0; first < side->count; first += step)
        trm_block_fill(side->block, first, side->count - first < step ? side->count - first : step, side->x,
                       side->norm2);
}

void trm_sweep_prepare(const trm_sweep *sweep, const trm_sink *sink, trm_state *state)
{
    if (sink->prepare == NULL)
        return;
#pragma omp parallel for schedule(dynamic, 64) num_threads(sweep->run->threads)
    for (int64_t row = 0; row < state->rows; row++)
        sink->prepare(sink, state, row);
}

/* Sets all windows of a side, all threads. */
static void open_windows(const trm_sweep *sweep, const trm_sink *sink, trm_side *side)
{
    const int64_t step = sweep->tile;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->run->threads)
    for (int64_t first = 0; first < side->count; first += step) {
        trm_worker *worker = sweep->workers[omp_get_thread_num()];
        trm_side_set_windows(sink, side, first, side->count - first < step ? side->count - first : step,
                             worker->lo, worker->hi);
    }
}

/* Tiles a unit, equal on all ranks: about a second of float64 work, a tenth of that where the filter rules.
 */
static void set_unit(trm_sweep *sweep)
{
    enum { BLOCKS_A_THREAD = 8 };
    const double flops_a_second = 1e10;
    const trm_run *run = sweep->run;
    if (run->keeping == NULL)
        return;
    const double tile = 2.0 * sweep->tile * sweep->tile * sweep->rows->dim;
    sweep->unit_tiles = (int64_t)(flops_a_second * run->threads / tile) + 1;
    sweep->unit_blocks = BLOCKS_A_THREAD * run->threads;
    if (run->keeping->unit_tiles > 0) {
        sweep->unit_tiles = run->keeping->unit_tiles;
        sweep->unit_blocks = 1;
    }
    MPI_Allreduce(MPI_IN_PLACE, &sweep->unit_tiles, 1, MPI_INT64_T, MPI_MIN, run->comm);
    MPI_Allreduce(MPI_IN_PLACE, &sweep->unit_blocks, 1, MPI_INT64_T, MPI_MAX, run->comm);
}

trm_status trm_sweep_create(const trm_run *run, const trm_rows *rows, trm_metric metric, trm_sweep **result,
                            trm_error *err)
{
    trm_sweep *sweep = trm_alloc_zero(1, sizeof *sweep);
    trm_status status =
        trm_agree(run->comm, sweep == NULL ? trm_fail_memory(err, "sweep", 1, sizeof *sweep) : TRM_OK, err);
    *result = NULL;
    if (status != TRM_OK) {
        trm_free(sweep);
        return status;
    }
    sweep->run = run;
    sweep->rows = rows;
    sweep->asking = MPI_REQUEST_NULL;
    sweep->tile = trm_run_tile(run, rows->dim);
    for (int t = 0; t < rows->teams; t++)
        sweep->largest = rows->shards[t].count > sweep->largest ? rows->shards[t].count : sweep->largest;
    set_unit(sweep);
    status = find_map(sweep, metric, err);
    if (status != TRM_OK)
        goto done;
    sweep->own = (trm_side){.first = rows->first,
                            .count = rows->count,
                            .x = rows->x,
                            .label = rows->label,
                            .id = rows->id,
                            .class_first = rows->class_first,
                            .norm2 = rows->norm2};
    status = equip_side(sweep, &sweep->own, sweep->largest, err);
    sweep->workers = trm_alloc_zero(run->threads, sizeof *sweep->workers);
    if (status == TRM_OK && sweep->workers == NULL)
        status = trm_fail_memory(err, "workers", run->threads, sizeof *sweep->workers);
    for (int k = 0; k < run->threads && status == TRM_OK; k++)
        status = trm_worker_create(sweep->tile, &sweep->workers[k], err);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        pack_side(sweep, &sweep->own);
done:
    if (status != TRM_OK)
        trm_sweep_destroy(&sweep);
    *result = sweep;
    return status;
}

void trm_sweep_destroy(trm_sweep **result)
{
    trm_sweep *sweep = *result;
    if (sweep == NULL)
        return;
    strip_side(sweep, &sweep->own, sweep->largest);
    for (int k = 0; sweep->workers != NULL && k < sweep->run->threads; k++)
        trm_worker_destroy(&sweep->workers[k]);
    MPI_Wait(&sweep->asking, MPI_STATUS_IGNORE);
    trm_done_free(&sweep->skip);
    trm_done_free(&sweep->done);
    trm_free(sweep->workers);
    trm_free(sweep->shift);
    trm_free(sweep);
    *result = NULL;
}

void trm_sweep_is_for(trm_sweep *sweep, int64_t panel, int64_t panels)
{
    sweep->panel = panel;
    sweep->panels = panels;
}

void trm_sweep_on_save(trm_sweep *sweep, trm_sweep_save_fn save, void *context)
{
    sweep->save = save;
    sweep->save_context = context;
}

trm_status trm_sweep_skip(trm_sweep *sweep, const trm_done *done, trm_error *err)
{
    trm_status status = TRM_OK;
    trm_done_clear(&sweep->skip);
    for (int64_t i = 0; i < done->count && status == TRM_OK; i++)
        status = trm_done_add(&sweep->skip, done->rectangle[i], err);
    return status;
}

/* Visiting shards held at once: the present one, and the next where there is one. */
static int visitors_of(int teams)
{
    return trm_ring_steps(teams) > 2 ? 2 : 1;
}

int64_t trm_sweep_bytes(const trm_run *run, const trm_rows *rows, int64_t shard)
{
    const int tile = trm_run_tile(run, rows->dim);
    const int64_t packed = trm_block_bytes(run->kernel, shard, rows->dim) + shard * 8;
    const int64_t visiting =
        rows->teams > 1 ? packed + visitors_of(rows->teams) * shard * trm_rows_bytes_per_row(rows->dim) : 0;
    return shard * trm_rows_bytes_per_row(rows->dim) + packed + visiting +
           run->threads * trm_worker_bytes(tile);
}

/* Rows of a block of tiles where anchors have that many slots between them. As long as their tables stay in a
 * cache, a tile; beyond, every visit reads the tables again, so a visit is for as many distances as there are
 * slots, as far as that leaves enough blocks for all threads. (70,000 x 784, 10 classes, every triplet: in
 * blocks of 1024 rows half of the time goes into reading tables.) */
static int block_of(const trm_run *run, int tile, int64_t shard, int64_t rows, int64_t slots)
{
    enum { SLOTS_IN_CACHE = 64, BLOCK_OFTEN = 1024, BLOCK_MAX = 2048, BLOCKS_A_THREAD = 16 };
    const int64_t each = rows > 0 ? slots / rows : 0;
    int block = tile;
    while (each >= (2 * block <= BLOCK_OFTEN ? SLOTS_IN_CACHE : block) && 2 * block <= BLOCK_MAX &&
           (shard / (2 * block)) * (shard / (2 * block)) >= BLOCKS_A_THREAD * run->threads)
        block *= 2;
    return block;
}

int64_t trm_sweep_block_bytes(const trm_run *run, const trm_rows *rows, int64_t slots)
{
    const int tile = trm_run_tile(run, rows->dim),
              block = block_of(run, tile, rows->count, rows->count, slots);
    return block > tile ? run->threads * trm_worker_block_bytes(block) : 0;
}

int64_t trm_sweep_state_bytes(const trm_rows *rows, int64_t slots, int sets, bool bounds)
{
    const int64_t best = slots * sets * (int64_t)sizeof(trm_candidate), bound = bounds ? slots * 12 : 0;
    /* own; visitors; the snapshot that is being sent and the candidates that come home */
    return best + bound + (rows->teams > 1 ? visitors_of(rows->teams) * (best + bound) + 2 * best : 0);
}

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

/* Blocks [from, to) of a region, counted along its rows. */
static void run_blocks(trm_ring *ring, trm_side *visitor, trm_region region, int64_t from, int64_t to)
{
    const trm_sweep *sweep = ring->sweep;
    const double start = trm_clock();
    const trm_tiles tiles = {.sink = ring->sink,
                             .metric = sweep->map.metric,
                             .dim = sweep->map.dim,
                             .tile = sweep->tile,
                             .block = ring->block,
                             .a = &ring->sweep->own,
                             .b = visitor,
                             .region = region,
                             .done = &ring->skip};
    const int64_t columns = region.b_last - region.b_first;
    /* Row-major: all threads work along the same few rows, which stay in their caches. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->run->threads)
    for (int64_t k = from; k < to; k++) {
        const int64_t i = region.a_first + k / columns, j = region.b_first + k % columns;
        trm_worker *worker = sweep->workers[omp_get_thread_num()];
        const int64_t before = worker->counts.elements;
        const bool wanted = !region.triangle || j >= i;
        if (wanted)
            trm_block_run(&tiles, i, j, worker);
        between_blocks(ring, wanted && ring->skip.count > 0 && worker->counts.elements == before);
    }
    ring->counts->compute_s += trm_clock() - start;
}

/* ---- the ring ---- */

/* The region that a member of a team computes at a step; empty where nothing is to be done. */
static trm_region region_of(const trm_ring *ring, int team, int member, int step)
{
    const trm_rows *rows = ring->sweep->rows;
    const trm_shard *a = &rows->shards[team], *b = &rows->shards[trm_ring_visitor(rows->teams, team, step)];
    const trm_region none = {0, 0, 0, 0, false};
    if (a->count == 0 || b->count == 0)
        return none;
    if (ring->sink->same_label && (a->label_last < b->label_first || b->label_last < a->label_first))
        return none;
    return trm_ring_region(rows->teams, rows->replicate, team, member, step, tiles_of(a->count, ring->block),
                           tiles_of(b->count, ring->block));
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

static int64_t part_bytes(const trm_ring *ring, int team, int part)
{
    const int64_t rows = ring->sweep->rows->shards[team].count, slots = ring->slots[team];
    switch (part) {
    case PART_X:
        return rows * ring->sweep->rows->dim * (int64_t)sizeof(float);
    case PART_OFFSET:
        return (rows + 1) * 8;
    case PART_BOUND:
        return ring->sink->has_bounds ? slots * 8 : 0;
    case PART_BEST:
        return ring->sink->sets * slots * (int64_t)sizeof(trm_candidate);
    default:
        return rows * 8;
    }
}

static void must(const trm_ring *ring, trm_status status, trm_error *err)
{
    /* A few bytes for requests could not be had while messages are under way: there is no way back. */
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

enum { TAGS_A_STEP = 16, HOME_TAG = PARTS, EARLY_TAG };

/* Begins what brings parts [first, last) of step's visitor here and takes this shard's to its host. */
static void post_parts(trm_ring *ring, int step, int first, int last, trm_error *err)
{
    const trm_rows *rows = ring->sweep->rows;
    MPI_Comm comm = ring->sweep->run->comm;
    trm_visitor *next = &ring->visitors[step % 2];
    const int from = visitor_of(ring, step), to = host_of(ring, step);
    const void *parts[PARTS] = {rows->x,           rows->label,       rows->id,         rows->norm2,
                                rows->class_first, ring->own->offset, ring->own->bound, ring->snapshot};
    const bool comes = !trm_region_empty(region_of(ring, rows->team, rows->member, step));
    const bool goes = !trm_region_empty(region_of(ring, to, rows->member, step));
    for (int part = first; part < last; part++) {
        const int tag = step * TAGS_A_STEP + part + 1;
        if (comes)
            must(ring,
                 trm_transfer_receive(comm, next->part[part], part_bytes(ring, from, part),
                                      rank_of(ring, from), tag, &next->receive[part], err),
                 err);
        if (goes)
            must(ring,
                 trm_transfer_send(comm, parts[part], part_bytes(ring, rows->team, part), rank_of(ring, to),
                                   tag, &ring->send[part], err),
                 err);
    }
}

/* The rows travel while the step before is computed. */
static void post_rows(trm_ring *ring, int step, trm_error *err)
{
    post_parts(ring, step, 0, PART_BEST, err);
}

/* So does the best so far, as it is now: the visitor's windows start from it. */
static void post_best(trm_ring *ring, int step, trm_error *err)
{
    const size_t bytes = (size_t)part_bytes(ring, ring->sweep->rows->team, PART_BEST);
    if (ring->sink->list == TRM_MERGE_SUM)
        memset(ring->snapshot, 0, bytes); /* what is away counts from nothing, and is added when home */
    else
        memcpy(ring->snapshot, ring->own->best, bytes);
    post_parts(ring, step, PART_BEST, PARTS, err);
}

static void merge_home(trm_ring *ring, trm_candidate *into, const trm_candidate *from)
{
    const int64_t count = ring->own->slots * ring->sink->sets;
    if (ring->sink->list > 0)
        trm_candidates_merge_lists(into, from, count, ring->sink->list);
    else if (ring->sink->list == TRM_MERGE_SUM)
        trm_candidates_merge_sums(into, from, count);
    else
        trm_candidates_merge_min(into, from, count);
}

/* Ends the homecoming of the step before, if one is under way. */
static void welcome_home(trm_ring *ring)
{
    if (ring->receive_home.requests == NULL)
        return;
    timed_wait(ring, &ring->receive_home, 1);
    merge_home(ring, ring->own->best, ring->homecoming);
}

/* Makes the visitor of a step ready for its tiles. */
static void receive_visitor(trm_ring *ring, int step)
{
    trm_visitor *present = &ring->visitors[step % 2];
    trm_sweep *sweep = ring->sweep;
    const int team = visitor_of(ring, step);
    const trm_shard *shard = &sweep->rows->shards[team];
    trm_side *side = &present->side;
    present->state = (trm_state){.rows = shard->count,
                                 .slots = ring->slots[team],
                                 .sets = ring->sink->sets,
                                 .offset = present->part[PART_OFFSET],
                                 .bound = present->part[PART_BOUND],
                                 .index = ring->index,
                                 .best = present->part[PART_BEST]};
    trm_sweep_prepare(sweep, ring->sink, &present->state);
    side->first = shard->first;
    side->count = shard->count;
    side->x = present->part[PART_X];
    side->label = present->part[PART_LABEL];
    side->id = present->part[PART_ID];
    side->norm2 = present->part[PART_NORM2];
    side->class_first = present->part[PART_CLASS_FIRST];
    side->state = &present->state;
    pack_side(sweep, side);
    open_windows(sweep, ring->sink, side);
    open_windows(sweep, ring->sink, &sweep->own); /* what came home has narrowed them */
}

/* ---- units, and what happens between them ---- */

static int64_t blocks_in(trm_region region)
{
    return trm_region_empty(region) ? 0 : (region.a_last - region.a_first) * (region.b_last - region.b_first);
}

/* Into how many units all ranks cut a step: by the longest region, so that they are equally many. */
static int64_t units_of(const trm_ring *ring, int step)
{
    const trm_rows *rows = ring->sweep->rows;
    int64_t most = 0;
    for (int team = 0; team < rows->teams; team++)
        for (int member = 0; member < rows->replicate; member++) {
            const int64_t blocks = blocks_in(region_of(ring, team, member, step));
            most = blocks > most ? blocks : most;
        }
    const int64_t span = ring->block / ring->sweep->tile;
    const int64_t unit = (ring->sweep->unit_tiles + span * span - 1) / (span * span);
    const int64_t least = ring->sweep->unit_blocks, blocks = unit > least ? unit : least;
    return unit > 0 ? (most + blocks - 1) / blocks : 1;
}

/* Notes the first blocks of a region, counted along its rows, as done. */
static trm_status note_done(const trm_ring *ring, const trm_side *b, trm_region region, int64_t blocks,
                            trm_done *done, trm_error *err)
{
    if (trm_region_empty(region))
        return TRM_OK;
    const trm_side *a = &ring->sweep->own;
    const int64_t columns = region.b_last - region.b_first, block = ring->block;
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): the region is not empty
    const int64_t row = region.a_first + blocks / columns, column = region.b_first + blocks % columns;
    const int64_t a_end = a->first + a->count, b_end = b->first + b->count;
    trm_rectangle lines = {a->first + region.a_first * block, a->first + row * block,
                           b->first + (region.triangle ? region.a_first : region.b_first) * block,
                           b->first + region.b_last * block};
    trm_rectangle rest = {a->first + row * block, a->first + (row + 1) * block,
                          b->first + (region.triangle ? row : region.b_first) * block,
                          b->first + column * block};
    lines.a_last = lines.a_last < a_end ? lines.a_last : a_end;
    lines.b_last = lines.b_last < b_end ? lines.b_last : b_end;
    rest.a_last = rest.a_last < a_end ? rest.a_last : a_end;
    rest.b_last = rest.b_last < b_end ? rest.b_last : b_end;
    trm_status status = trm_done_add(done, lines, err);
    return status == TRM_OK ? trm_done_add(done, rest, err) : status;
}

/* Takes home what the present visitors found so far, and merges the team, so that own holds it all. */
static void bring_together(trm_ring *ring, int step, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const trm_rows *rows = sweep->rows;
    const bool counts = ring->sink->list == TRM_MERGE_SUM;
    const size_t bytes = (size_t)part_bytes(ring, rows->team, PART_BEST);
    welcome_home(ring);
    if (step > 0) {
        trm_visitor *present = &ring->visitors[step % 2];
        const int visitor = visitor_of(ring, step), host = host_of(ring, step);
        const int tag = step * TAGS_A_STEP + EARLY_TAG + 1;
        const size_t present_bytes = (size_t)part_bytes(ring, visitor, PART_BEST);
        if (!trm_region_empty(region_of(ring, host, rows->member, step)))
            must(ring,
                 trm_transfer_receive(sweep->run->comm, ring->homecoming, (int64_t)bytes, rank_of(ring, host),
                                      tag, &ring->receive_home, err),
                 err);
        if (!trm_region_empty(region_of(ring, rows->team, rows->member, step))) {
            must(ring,
                 trm_transfer_send(sweep->run->comm, present->part[PART_BEST], (int64_t)present_bytes,
                                   rank_of(ring, visitor), tag, &present->send_home, err),
                 err);
            timed_wait(ring, &present->send_home, 1);
            if (counts)
                memset(present->part[PART_BEST], 0, present_bytes);
        }
        welcome_home(ring);
    }
    trm_merge_candidates(rows->team_comm, ring->own->best, ring->own->slots * ring->sink->sets,
                         ring->sink->list);
}

static void collect_counts(trm_sweep *sweep, trm_sweep_counts *counts)
{
    for (int k = 0; k < sweep->run->threads; k++) {
        trm_sweep_counts *mine = &sweep->workers[k]->counts;
        counts->elements += mine->elements;
        counts->survivors += mine->survivors;
        counts->float64 += mine->float64;
        *mine = (trm_sweep_counts){0};
        sweep->workers[k]->dense_left = sweep->workers[k]->dense_streak = 0;
    }
}

static trm_status save(trm_ring *ring, int step, const trm_side *b, trm_region region, int64_t tiles,
                       bool stop, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const int64_t finished = sweep->done.count;
    bring_together(ring, step, err);
    collect_counts(sweep, ring->counts);
    must(ring, note_done(ring, b, region, tiles, &sweep->done, err), err);
    for (int64_t i = 0; i < sweep->skip.count && sweep->run->rank == 0; i++)
        must(ring, trm_done_add(&sweep->done, sweep->skip.rectangle[i], err), err);
    trm_status status = sweep->save(sweep->save_context, &sweep->done, stop, err);
    sweep->done.count = finished;
    if (ring->sink->list == TRM_MERGE_SUM && sweep->rows->member > 0) /* the end adds all members again */
        memset(ring->own->best, 0, (size_t)part_bytes(ring, sweep->rows->team, PART_BEST));
    return status;
}

/* Acts on what the ranks wished for one unit ago, and asks them again: the answer comes while they work. */
static trm_status end_unit(trm_ring *ring, int step, const trm_side *b, trm_region region, int64_t tiles,
                           trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const trm_keeping *keeping = sweep->run->keeping;
    if (keeping == NULL)
        return TRM_OK;
    const double start = trm_clock();
    MPI_Wait(&sweep->asking, MPI_STATUS_IGNORE);
    ring->counts->wait_s += trm_clock() - start;
    const int wishes = sweep->wishes;
    trm_status status = TRM_OK;
    if (wishes != 0 && sweep->save != NULL && keeping->save != NULL)
        status = save(ring, step, b, region, tiles, (wishes & TRM_WISH_STOP) != 0, err);
    if (status == TRM_OK && (wishes & TRM_WISH_STOP) != 0)
        status = trm_fail(err, TRM_ERR_STOPPED, "stopped on request");
    sweep->wishes = 0;
    if (status != TRM_OK)
        return status;
    sweep->wish = keeping->wish(keeping->context);
    MPI_Iallreduce(&sweep->wish, &sweep->wishes, 1, MPI_INT, MPI_BOR, sweep->run->comm, &sweep->asking);
    return TRM_OK;
}

/* A step's blocks, unit by unit. */
static trm_status work(trm_ring *ring, int step, trm_side *b, trm_region region, trm_error *err)
{
    trm_sweep *sweep = ring->sweep;
    const int64_t units = units_of(ring, step), count = blocks_in(region), block = ring->block;
    trm_status status = TRM_OK;
    trm_done_clear(&ring->skip);
    if (count > 0) {
        const trm_rectangle area = {sweep->own.first + region.a_first * block,
                                    sweep->own.first + region.a_last * block,
                                    b->first + region.b_first * block, b->first + region.b_last * block};
        must(ring, trm_done_add_touching(&ring->skip, &sweep->skip, area, err), err);
    }
    for (int64_t unit = 0; unit < units && status == TRM_OK; unit++) {
        const int64_t from = count * unit / units, to = count * (unit + 1) / units;
        if (to > from)
            run_blocks(ring, b, region, from, to);
        status = end_unit(ring, step, b, region, to, err);
    }
    if (status == TRM_OK)
        must(ring, note_done(ring, b, region, count, &sweep->done, err), err);
    return status;
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
    MPI_Comm comm = ring->sweep->run->comm;
    const int steps = trm_ring_steps(rows->teams);
    trm_visitor *present = &ring->visitors[step % 2];
    timed_wait(ring, present->receive, PARTS);
    timed_wait(ring, ring->send, PARTS);
    timed_wait(ring, &ring->visitors[(step + 1) % 2].send_home, 1);
    if (step + 1 < steps) {
        post_rows(ring, step + 1, err);
        post_best(ring, step + 1, err);
    }
    const trm_region region = region_of(ring, rows->team, rows->member, step);
    if (!trm_region_empty(region))
        receive_visitor(ring, step);
    trm_status status = work(ring, step, &present->side, region, err);
    if (status != TRM_OK) {
        give_up(ring, step);
        return status;
    }
    welcome_home(ring);
    const int tag = step * TAGS_A_STEP + HOME_TAG + 1;
    if (!trm_region_empty(region_of(ring, host_of(ring, step), rows->member, step)))
        must(ring,
             trm_transfer_receive(comm, ring->homecoming, part_bytes(ring, rows->team, PART_BEST),
                                  rank_of(ring, host_of(ring, step)), tag, &ring->receive_home, err),
             err);
    if (!trm_region_empty(region))
        must(ring,
             trm_transfer_send(comm, present->part[PART_BEST],
                               part_bytes(ring, visitor_of(ring, step), PART_BEST),
                               rank_of(ring, visitor_of(ring, step)), tag, &present->send_home, err),
             err);
    return TRM_OK;
}

/* Step 0: the shard with itself, while the first visitor is on its way. */
static trm_status run_own(trm_ring *ring, trm_error *err)
{
    const trm_rows *rows = ring->sweep->rows;
    const int steps = trm_ring_steps(rows->teams);
    if (steps > 1)
        post_rows(ring, 1, err);
    trm_status status = work(ring, 0, &ring->sweep->own, region_of(ring, rows->team, rows->member, 0), err);
    if (status != TRM_OK)
        give_up(ring, 0);
    else if (steps > 1)
        post_best(ring, 1, err); /* not before: the first tiles bring most of what narrows a window */
    return status;
}

/* Buffers for the largest visitor, two of them; the packed block, bounds and locks serve both in turn. */
static trm_status prepare_visitors(trm_ring *ring, trm_error *err)
{
    const trm_sweep *sweep = ring->sweep;
    trm_status status = equip_side(sweep, &ring->visitors[0].side, sweep->largest, err);
    ring->visitors[1].side = ring->visitors[0].side;
    for (int part = 0; part < PARTS && status == TRM_OK; part++) {
        int64_t bytes = 0;
        for (int t = 0; t < sweep->rows->teams; t++)
            bytes = part_bytes(ring, t, part) > bytes ? part_bytes(ring, t, part) : bytes;
        for (int v = 2 - visitors_of(sweep->rows->teams); v < 2 && status == TRM_OK; v++) {
            ring->visitors[v].part[part] = trm_alloc(bytes, 1); /* step s is visitor s mod 2, from 1 on */
            if (ring->visitors[v].part[part] == NULL)
                status = trm_fail_memory(err, "visiting shard", bytes, 1);
        }
    }
    int64_t slots = 0;
    for (int t = 0; t < sweep->rows->teams; t++)
        slots = ring->slots[t] > slots ? ring->slots[t] : slots;
    ring->index = trm_alloc(ring->sink->has_bounds ? slots : 0, sizeof *ring->index);
    const int64_t bytes = part_bytes(ring, sweep->rows->team, PART_BEST);
    ring->snapshot = trm_alloc(bytes, 1);
    ring->homecoming = trm_alloc(bytes, 1);
    if (status == TRM_OK && (ring->index == NULL || ring->snapshot == NULL || ring->homecoming == NULL))
        status = trm_fail_memory(err, "travelling candidates", bytes, 2);
    return status;
}

static void dismiss_visitors(trm_ring *ring)
{
    strip_side(ring->sweep, &ring->visitors[0].side, ring->sweep->largest);
    for (int part = 0; part < PARTS; part++)
        for (int v = 0; v < 2; v++)
            trm_free(ring->visitors[v].part[part]);
    trm_free(ring->index);
    trm_free(ring->snapshot);
    trm_free(ring->homecoming);
}

static void name_phase(trm_ring *ring)
{
    const trm_sweep *sweep = ring->sweep;
    const char *phase = ring->sink->same_label ? "positives" : "negatives";
    if (sweep->panels > 1)
        snprintf(ring->phase, sizeof ring->phase, "panel %" PRId64 " of %" PRId64 ", %s", sweep->panel + 1,
                 sweep->panels, phase);
    else
        snprintf(ring->phase, sizeof ring->phase, "%s", phase);
}

/* The same on all ranks. */
static void choose_block(trm_ring *ring)
{
    const trm_sweep *sweep = ring->sweep;
    int64_t slots = 0;
    for (int t = 0; t < sweep->rows->teams; t++)
        slots += ring->slots[t];
    ring->block = ring->sink->has_bounds
                      ? block_of(sweep->run, sweep->tile, sweep->largest, sweep->rows->total, slots)
                      : sweep->tile;
    MPI_Allreduce(MPI_IN_PLACE, &ring->block, 1, MPI_INT, MPI_MIN, sweep->run->comm);
}

trm_status trm_sweep_run(trm_sweep *sweep, const trm_sink *sink, trm_state *own, trm_sweep_counts *counts,
                         trm_error *err)
{
    const trm_rows *rows = sweep->rows;
    const trm_run *run = sweep->run;
    trm_ring ring = {.sweep = sweep, .sink = sink, .own = own, .counts = counts};
    int64_t *slots = trm_alloc(run->ranks, sizeof *slots);
    ring.slots = trm_alloc(rows->teams, sizeof *ring.slots);
    trm_status status = slots == NULL || ring.slots == NULL
                            ? trm_fail_memory(err, "slot table", run->ranks, sizeof *slots)
                            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    MPI_Allgather(&own->slots, 1, MPI_INT64_T, slots, 1, MPI_INT64_T, run->comm);
    for (int t = 0; t < rows->teams; t++)
        ring.slots[t] = slots[t * rows->replicate];
    choose_block(&ring);
    name_phase(&ring);
    for (int k = 0; k < run->threads && status == TRM_OK; k++)
        status = trm_worker_widen(sweep->workers[k], ring.block, err);
    if (status == TRM_OK && rows->teams > 1)
        status = prepare_visitors(&ring, err);
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;

    sweep->own.state = own;
    trm_sweep_prepare(sweep, sink, own);
    open_windows(sweep, sink, &sweep->own);
    trm_done_clear(&sweep->done);
    const int steps = trm_ring_steps(rows->teams);
    for (int step = 0; step < steps; step++)
        ring.blocks_all += blocks_in(region_of(&ring, rows->team, rows->member, step));
    status = run_own(&ring, err);
    for (int step = 1; step < steps && status == TRM_OK; step++)
        status = run_step(&ring, step, err);
    if (status != TRM_OK)
        goto done;
    welcome_home(&ring);
    for (int v = 0; v < 2; v++)
        timed_wait(&ring, &ring.visitors[v].send_home, 1);
    timed_wait(&ring, ring.send, PARTS);
    const double start = trm_clock();
    trm_merge_candidates(rows->team_comm, own->best, own->slots * sink->sets, sink->list);
    counts->wait_s += trm_clock() - start;
    collect_counts(sweep, counts);
    trm_done_clear(&sweep->skip);
done:
    trm_done_free(&ring.skip);
    dismiss_visitors(&ring);
    trm_free(slots);
    trm_free(ring.slots);
    return status;
}
