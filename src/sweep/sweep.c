/* What all sweeps over the same rows share: the map, the packed shard, threads' scratch. The ring is ring.c, the
 * tiles are tile.c. */
#include "sweep/sweep.h"

#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "sweep/basis.h"
#include "sweep/inner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t trm_tiles_of(int64_t rows, int tile)
{
    return (rows + tile - 1) / tile;
}

static bool is_one_set(const trm_sweep *sweep)
{
    return sweep->rows == sweep->other;
}

/* Adds up a set's rows, this member's share. Each thread takes columns of its own, some cache lines wide, so that the
 * sums are the same bits on any number of threads. */
static void add_rows(const trm_sweep *sweep, const trm_rows *rows, double *sum)
{
    enum { COLUMNS = 16 };
    const int64_t dim = rows->dim, groups = (dim + COLUMNS - 1) / COLUMNS;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
#pragma omp parallel num_threads(sweep->run->threads)
    {
        int64_t first, last;
        trm_share(groups, omp_get_thread_num(), omp_get_num_threads(), &first, &last);
        first *= COLUMNS;
        last = last * COLUMNS < dim ? last * COLUMNS : dim;
        for (int64_t i = from; i < to; i++)
            for (int64_t k = first; k < last; k++)
                sum[k] += (double)rows->x[i * dim + k];
    }
}

/* The largest squared norm of a set's rows after the shift, at least least. */
static double largest_norm2(const trm_sweep *sweep, const trm_rows *rows, double least)
{
    double largest = least;
#pragma omp parallel for reduction(max : largest) num_threads(sweep->run->threads)
    for (int64_t i = 0; i < rows->count; i++) {
        const double norm2 = trm_squared_difference(rows->x + i * rows->dim, sweep->shift, rows->dim);
        largest = norm2 > largest ? norm2 : largest;
    }
    return largest;
}

/* The largest norm after the shift, and the mean, over all rows; the same bits on all ranks (rank 0's). */
static trm_status find_map(trm_sweep *sweep, trm_metric metric, trm_error *err)
{
    const trm_rows *rows = sweep->rows, *other = sweep->other;
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
        const int64_t total = rows->total + (is_one_set(sweep) ? 0 : other->total);
        add_rows(sweep, rows, mean);
        if (!is_one_set(sweep))
            add_rows(sweep, other, mean);
        MPI_Allreduce(MPI_IN_PLACE, mean, dim, MPI_DOUBLE, MPI_SUM, sweep->run->comm);
        for (int k = 0; k < dim; k++)
            sweep->shift[k] = (float)(mean[k] / (double)total);
        MPI_Bcast(sweep->shift, dim, MPI_FLOAT, 0, sweep->run->comm);
    }
    double largest = largest_norm2(sweep, rows, 0.0);
    if (!is_one_set(sweep))
        largest = largest_norm2(sweep, other, largest);
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, sweep->run->comm);
    sweep->map = (trm_map){.metric = metric,
                           .dim = dim,
                           .shift = shifted ? sweep->shift : NULL,
                           .scale = trm_map_scale(sqrt(largest) * (1.0 + 1e-6))};
done:
    trm_free(mean);
    return status;
}

static trm_status find_basis(trm_sweep *sweep, trm_error *err)
{
    const bool if_few = trm_chooser_is_short(sweep->run, sweep->rows, sweep->other);
    trm_status status =
        trm_sweep_basis(sweep->run, sweep->rows, sweep->other, &sweep->map, if_few, &sweep->basis, err);
    if (status == TRM_OK && sweep->basis != NULL) {
        sweep->map.basis = sweep->basis;
        sweep->map.width = sweep->basis->width;
    }
    return status;
}

static void free_locks(omp_lock_t *locks, int64_t count)
{
    for (int64_t i = 0; locks != NULL && i < count; i++)
        omp_destroy_lock(&locks[i]);
    trm_free(locks);
}

/* Block, bounds and locks for a side of up to capacity rows. */
trm_status trm_side_equip(const trm_sweep *sweep, trm_side *side, int64_t capacity, trm_error *err)
{
    trm_status status = trm_chooser_block(&sweep->chooser, &sweep->map, capacity, &side->block, err);
    if (status == TRM_OK)
        status = trm_bounds_create(capacity, &side->bounds, err);
    if (status != TRM_OK)
        return status;
    side->nearest = trm_alloc(capacity, sizeof *side->nearest);
    if (side->nearest == NULL)
        return trm_fail_memory(err, "what rows have seen", capacity, sizeof *side->nearest);
    const int64_t count = trm_tiles_of(capacity, sweep->tile);
    side->locks = trm_alloc(count, sizeof *side->locks);
    if (side->locks == NULL)
        return trm_fail_memory(err, "locks", count, sizeof *side->locks);
    for (int64_t i = 0; i < count; i++)
        omp_init_lock(&side->locks[i]);
    return TRM_OK;
}

void trm_side_strip(const trm_sweep *sweep, trm_side *side, int64_t capacity)
{
    trm_block_destroy(&side->block);
    trm_bounds_destroy(&side->bounds);
    trm_free(side->nearest);
    side->nearest = NULL;
    if (side->locks != NULL) /* else there may be no tile size yet */
        free_locks(side->locks, trm_tiles_of(capacity, sweep->tile));
    side->locks = NULL;
}

trm_status trm_side_pack(const trm_sweep *sweep, trm_side *side, trm_error *err)
{
    const int64_t step = sweep->tile;
    const trm_chain *chain = &sweep->chooser.chain[sweep->chooser.chosen];
    if (side->block->kernel != chain->kernel || side->block->map.width != chain->width) {
        trm_status status = trm_block_change(side->block, chain->kernel, chain->width, err);
        if (status != TRM_OK)
            return status;
    }
    side->block->rows = side->count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->run->threads)
    for (int64_t first = 0; first < side->count; first += step)
        trm_block_fill(side->block, first, side->count - first < step ? side->count - first : step, side->x,
                       side->norm2);
    return TRM_OK;
}

void trm_sweep_prepare(const trm_sweep *sweep, const trm_query *query, trm_state *state)
{
    if (query->type->prepare == NULL)
        return;
#pragma omp parallel for schedule(dynamic, 64) num_threads(sweep->run->threads)
    for (int64_t row = 0; row < state->rows; row++)
        query->type->prepare(query, state, row);
}

void trm_sweep_settle(const trm_sweep *sweep, const trm_query *query, trm_state *state)
{
    if (query->type->settle == NULL)
        return;
#pragma omp parallel for schedule(dynamic, 64) num_threads(sweep->run->threads)
    for (int64_t row = 0; row < state->rows; row++)
        query->type->settle(query, state, row, NULL);
}

void trm_sweep_tally(const trm_sweep *sweep, int64_t *words)
{
    for (int i = 0; i < TRM_TALLY_WORDS; i++) {
        words[i] = sweep->tally[i];
        for (int k = 0; k < sweep->run->threads; k++)
            words[i] += sweep->workers[k]->tally[i];
    }
}

void trm_sweep_add_tally(trm_sweep *sweep, const int64_t *words)
{
    for (int i = 0; i < TRM_TALLY_WORDS; i++)
        sweep->tally[i] += words[i];
}

void trm_side_open_windows(const trm_sweep *sweep, trm_side *side)
{
    const int64_t step = sweep->tile;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->run->threads)
    for (int64_t first = 0; first < side->count; first += step) {
        trm_worker *worker = sweep->workers[omp_get_thread_num()];
        trm_side_set_windows(side, first, side->count - first < step ? side->count - first : step, worker->lo,
                             worker->hi);
    }
}

/* Tiles a unit, equal on all ranks: about half a second of float64 products, a tenth of that where the filter rules, some
 * seconds where each distance has its place to find among thousands. */
static void set_unit(trm_sweep *sweep)
{
    enum { BLOCKS_A_THREAD = 8 };
    const double flops_a_unit = 5e9;
    const trm_run *run = sweep->run;
    if (run->checkpoint == NULL)
        return;
    const double tile = 2.0 * sweep->tile * sweep->tile * sweep->rows->dim;
    sweep->unit_tiles = (int64_t)(flops_a_unit * run->threads / tile) + 1;
    sweep->unit_blocks = BLOCKS_A_THREAD * run->threads;
    if (run->checkpoint->unit_tiles > 0) {
        sweep->unit_tiles = run->checkpoint->unit_tiles;
        sweep->unit_blocks = 1;
    }
    MPI_Allreduce(MPI_IN_PLACE, &sweep->unit_tiles, 1, MPI_INT64_T, MPI_MIN, run->comm);
    MPI_Allreduce(MPI_IN_PLACE, &sweep->unit_blocks, 1, MPI_INT64_T, MPI_MAX, run->comm);
}

void trm_side_take(trm_side *side, trm_rows_part part)
{
    side->first = part.first;
    side->count = part.count;
    side->x = part.x;
    side->label = part.label;
    side->id = part.id;
    side->class_first = part.class_first;
    side->norm2 = part.norm2;
}

/* A tile pairs rows of one member's shard with rows of another's: both sets need the same dim and the same teams. */
static trm_status check_sets(const trm_rows *rows, const trm_rows *other, trm_error *err)
{
    if (other->dim != rows->dim)
        return trm_fail(err, TRM_ERR_INTERNAL, "sweep: rows of %d dimensions with rows of %d", rows->dim,
                        other->dim);
    if (other->teams != rows->teams || other->replicate != rows->replicate || other->team != rows->team ||
        other->member != rows->member)
        return trm_fail(err, TRM_ERR_INTERNAL,
                        "sweep: rows on %d teams of %d ranks with rows on %d teams of %d: lay them out alike",
                        rows->teams, rows->replicate, other->teams, other->replicate);
    return TRM_OK;
}

trm_status trm_sweep_create(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                            trm_metric metric, trm_sweep **result, trm_error *err)
{
    trm_sweep *sweep = trm_alloc_zero(1, sizeof *sweep);
    trm_status status = sweep == NULL ? trm_fail_memory(err, "sweep", 1, sizeof *sweep) : TRM_OK;
    if (status == TRM_OK && other != NULL)
        status = check_sets(rows, other, err);
    status = trm_agree(run->comm, status, err);
    *result = NULL;
    if (status != TRM_OK) {
        trm_free(sweep);
        return status;
    }
    sweep->run = run;
    sweep->rows = rows;
    sweep->other = other == NULL ? rows : other;
    sweep->schedule = other == NULL ? &trm_half_ring : &trm_full_ring;
    sweep->asking = MPI_REQUEST_NULL;
    sweep->tile = trm_run_tile(run, rows->dim);
    sweep->largest = trm_rows_largest_shard(rows);
    if (trm_rows_largest_shard(sweep->other) > sweep->largest)
        sweep->largest = trm_rows_largest_shard(sweep->other);
    set_unit(sweep);
    status = find_map(sweep, metric, err);
    if (status == TRM_OK && trm_chooser_needs_basis(run, rows, sweep->other))
        status = find_basis(sweep, err);
    if (status != TRM_OK)
        goto done;
    trm_chooser_begin(&sweep->chooser, run, &sweep->map, trm_chooser_pays(run, rows, sweep->other),
                      sweep->basis != NULL && trm_chooser_is_short(run, rows, sweep->other));
    trm_side_take(&sweep->own, trm_rows_view(rows->dim, rows->first, rows->count, rows->message));
    status = trm_side_equip(sweep, &sweep->own, trm_rows_largest_shard(rows), err);
    sweep->workers = trm_alloc_zero(run->threads, sizeof *sweep->workers);
    if (status == TRM_OK && sweep->workers == NULL)
        status = trm_fail_memory(err, "workers", run->threads, sizeof *sweep->workers);
    for (int k = 0; k < run->threads && status == TRM_OK; k++)
        status = trm_worker_create(sweep->tile, &sweep->workers[k], err);
    if (status == TRM_OK && sweep->chooser.count == 1) /* else it is chosen first */
        status = trm_side_pack(sweep, &sweep->own, err);
    status = trm_agree(run->comm, status, err);
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
    trm_side_strip(sweep, &sweep->own, trm_rows_largest_shard(sweep->rows));
    for (int k = 0; sweep->workers != NULL && k < sweep->run->threads; k++)
        trm_worker_destroy(&sweep->workers[k]);
    MPI_Wait(&sweep->asking, MPI_STATUS_IGNORE);
    trm_done_free(&sweep->skip);
    trm_done_free(&sweep->done);
    trm_free(sweep->workers);
    trm_basis_destroy(&sweep->basis);
    trm_free(sweep->shift);
    trm_free(sweep);
    *result = NULL;
}

void trm_sweep_chains(const trm_sweep *sweep, const trm_sweep_counts *counts, trm_chain_use *chains)
{
    const trm_chooser *chooser = &sweep->chooser;
    int64_t elements[TRM_CHAINS];
    double ns[TRM_CHAINS];
    memcpy(elements, counts->by_chain, sizeof elements);
    memcpy(ns, chooser->ns, sizeof ns);
    MPI_Allreduce(MPI_IN_PLACE, elements, TRM_CHAINS, MPI_INT64_T, MPI_SUM, sweep->run->comm);
    MPI_Bcast(ns, TRM_CHAINS, MPI_DOUBLE, 0, sweep->run->comm);
    for (int c = 0; c < chooser->count; c++) {
        const trm_chain *chain = &chooser->chain[c];
        chains[c].elements = elements[c];
        chains[c].ns = ns[c];
        if (chain->width > 0)
            snprintf(chains[c].name, sizeof chains[c].name, "%s:%d", chain->kernel->name, chain->width);
        else
            snprintf(chains[c].name, sizeof chains[c].name, "%s", chain->kernel->name);
    }
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
    sweep->skip.two_sets = sweep->done.two_sets = !sweep->schedule->one_set;
    trm_done_clear(&sweep->skip);
    for (int64_t i = 0; i < done->count && status == TRM_OK; i++)
        status = trm_done_add(&sweep->skip, done->rectangle[i], err);
    return status;
}

int trm_visitors_of(const trm_schedule *schedule, int teams)
{
    return schedule->steps(teams) > 2 ? 2 : 1;
}

/* What a side of so many rows is equipped with. */
static int64_t side_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other, int64_t capacity)
{
    return trm_chooser_block_bytes(run, rows, other, capacity) +
           capacity * (int64_t)(8 + sizeof(trm_nearest));
}

int64_t trm_sweep_bytes(const trm_run *run, const trm_rows *rows, int64_t shard, const trm_rows *other,
                        int64_t other_shard)
{
    const bool two = other != NULL;
    const int64_t row = trm_rows_bytes_per_row(rows->dim), travels = two ? other_shard : shard;
    const int64_t packed = side_bytes(run, rows, two ? other : rows, shard);
    const trm_schedule *schedule = two ? &trm_full_ring : &trm_half_ring;
    int64_t visiting = rows->teams > 1 || two ? side_bytes(run, rows, two ? other : rows, travels) : 0;
    if (rows->teams > 1)
        visiting += trm_visitors_of(schedule, rows->teams) * travels * row;
    int64_t more = packed + visiting + run->threads * trm_worker_bytes(trm_run_tile(run, rows->dim)) +
                   trm_chooser_trial_bytes(run, rows, two ? other : rows),
            basis = 0;
    if (trm_chooser_needs_basis(run, rows, two ? other : rows)) { /* it is made before the rest is there */
        const int64_t making = trm_sweep_basis_bytes(rows->total + (two ? other->total : 0), rows->dim);
        basis = trm_basis_bytes(rows->dim);
        more = making > more ? making : more;
    }
    return (shard + (two ? other_shard : 0)) * row + basis + more;
}

static int64_t kept_bytes(trm_sweep_size size)
{
    return trm_fields_bytes(size.type, TRM_FIELD_GIVEN, size.slots) +
           trm_fields_bytes(size.type, TRM_FIELD_FOUND, size.slots);
}

/* Visitors and what is made for one; the snapshot that is being sent and what comes home. */
static int64_t travel_bytes(const trm_rows *rows, const trm_schedule *schedule, trm_sweep_size size)
{
    if (rows->teams == 1)
        return 0;
    return (1 + trm_visitors_of(schedule, rows->teams)) * kept_bytes(size) +
           trm_fields_bytes(size.type, TRM_FIELD_MADE, size.slots) +
           trm_fields_bytes(size.type, TRM_FIELD_FOUND, size.slots);
}

int64_t trm_sweep_state_bytes(const trm_rows *rows, trm_sweep_size own, const trm_sweep_size *other)
{
    const trm_sweep_size *travels = other == NULL ? &own : other;
    int64_t bytes = 0;
    if (own.type != NULL)
        bytes += kept_bytes(own) + trm_fields_bytes(own.type, TRM_FIELD_MADE, own.slots);
    if (other != NULL && other->type != NULL)
        bytes += kept_bytes(*other) + trm_fields_bytes(other->type, TRM_FIELD_MADE, other->slots);
    if (travels->type != NULL)
        bytes += travel_bytes(rows, other == NULL ? &trm_half_ring : &trm_full_ring, *travels);
    return bytes;
}

/* Rows of a block of tiles where anchors have that many slots between them. As long as their tables stay in a
 * cache, a tile; beyond, every visit reads the tables again, so a visit is for as many distances as there are
 * slots, as far as that leaves enough blocks for all threads. (70,000 x 784, 10 classes, every triplet: in
 * blocks of 1024 rows half of the time goes into reading tables.) */
int trm_block_of(const trm_run *run, int tile, int64_t shard, int64_t rows, int64_t slots)
{
    enum { SLOTS_IN_CACHE = 64, BLOCK_OFTEN = 1024, BLOCKS_A_THREAD = 16 };
    const int64_t each = rows > 0 ? slots / rows : 0;
    int block = tile;
    while (each >= (2 * block <= BLOCK_OFTEN ? SLOTS_IN_CACHE : block) && 2 * block <= TRM_BLOCK_MAX &&
           (shard / (2 * block)) * (shard / (2 * block)) >= BLOCKS_A_THREAD * run->threads)
        block *= 2;
    return block;
}

int64_t trm_sweep_block_bytes(const trm_run *run, const trm_rows *rows, int64_t slots)
{
    const int64_t shard = trm_rows_shard_count(rows);
    const int tile = trm_run_tile(run, rows->dim), block = trm_block_of(run, tile, shard, shard, slots);
    return block > tile ? run->threads * trm_worker_block_bytes(block) : 0;
}
