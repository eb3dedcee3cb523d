/* Trials of chains; see choose.h.
 *
 * The sample is a few small tiles spread over the region, of consecutive rows each, because what survives comes in
 * clusters: rows are arranged by label. */
#include "sweep/choose.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "kernel/basis.h"
#include "metric/metric.h"

#include <math.h>
#include <string.h>

/* Rows of a small tile; small tiles; times that each is timed, of which the shortest counts. */
enum { LENGTH = 96, TILES = 4, ROUNDS = 2, DISTANCES = 64 };
/* Another chain has to be so much cheaper, because a trial may be off by a little. */
static const double worth_changing = 0.93;

static void add(trm_chooser *chooser, const trm_kernel *kernel, int width)
{
    if (chooser->count < TRM_CHAINS)
        chooser->chain[chooser->count++] = (trm_chain){kernel, width};
}

/* The width that the basis's sample says is best, and some that are less and more. */
static void add_widths(trm_chooser *chooser, const trm_kernel *kernel, const trm_basis *basis)
{
    enum { APART = 2 };
    int best = 0, last = 0;
    while (trm_basis_candidate(basis, last + 1) > 0)
        last++;
    while (best < last && trm_basis_candidate(basis, best) < basis->width)
        best++;
    if (best > 0)
        add(chooser, kernel, trm_basis_candidate(basis, best > APART ? best - APART : 0));
    add(chooser, kernel, trm_basis_candidate(basis, best));
    if (best < last)
        add(chooser, kernel, trm_basis_candidate(basis, best + APART < last ? best + APART : last));
}

/* May a run that chooses try this kernel? */
static bool is_candidate(const trm_run *run, const trm_kernel *kernel)
{
    return kernel->available() && (run->in_turn || kernel->promising == NULL || kernel->promising());
}

bool trm_chooser_pays(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    enum { CHAINS = 6 }; /* as many there may be; more is decided when it is known, and by threads */
    const double pairs = other == rows ? (double)rows->total * (double)rows->total / 2.0
                                       : (double)rows->total * (double)other->total;
    return run->chooses &&
           pairs / run->ranks * run->trial_share >= (double)CHAINS * ROUNDS * TILES * LENGTH * LENGTH;
}

bool trm_chooser_needs_basis(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    bool needs = run->kernel->needs_basis;
    for (int k = 0; trm_chooser_pays(run, rows, other) && trm_kernel_at(k) != NULL; k++)
        needs = needs || (trm_kernel_at(k)->needs_basis && is_candidate(run, trm_kernel_at(k)));
    return needs;
}

void trm_chooser_begin(trm_chooser *chooser, const trm_run *run, const trm_map *map)
{
    *chooser = (trm_chooser){.in_turn = run->in_turn};
    const bool chooses = run->chooses && map->basis != NULL; /* else no trial pays, nor is planned for */
    int first = 0;
    for (int k = 0; chooses && trm_kernel_at(k) != NULL; k++) {
        const trm_kernel *kernel = trm_kernel_at(k);
        if (!is_candidate(run, kernel))
            continue;
        if (kernel == run->kernel)
            first = chooser->count;
        if (!kernel->needs_basis)
            add(chooser, kernel, 0);
        else
            add_widths(chooser, kernel, map->basis);
    }
    if (!chooses)
        add(chooser, run->kernel, run->kernel->needs_basis ? map->width : 0);
    for (int r = 0; r < TRM_RELATIONS; r++)
        chooser->last[r] = first;
    chooser->chosen = first;
}

int64_t trm_chooser_block_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                                int64_t capacity)
{
    int64_t most = trm_block_bytes(run->kernel, capacity, rows->dim);
    for (int k = 0; trm_chooser_pays(run, rows, other) && trm_kernel_at(k) != NULL; k++) {
        const int64_t bytes = trm_block_bytes(trm_kernel_at(k), capacity, rows->dim);
        if (is_candidate(run, trm_kernel_at(k)) && bytes > most)
            most = bytes;
    }
    return most;
}

int64_t trm_chooser_trial_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    const int64_t each = (int64_t)TILES * LENGTH;
    return trm_chooser_pays(run, rows, other)
               ? 2 * (each * (rows->dim * (int64_t)sizeof(float) + 40) +
                      trm_chooser_block_bytes(run, rows, other, each)) +
                     LENGTH * LENGTH * (int64_t)(sizeof(trm_survivor) + sizeof(float))
               : 0;
}

int64_t trm_chooser_pairs(const trm_chooser *chooser)
{
    return (int64_t)chooser->count * ROUNDS * TILES * LENGTH * LENGTH;
}

/* The rows of one side's small tiles, one behind the other. */
typedef struct stretches {
    const trm_side *side;
    int64_t first[TILES]; /* of side */
    float *x;
    double *norm2, *lo, *hi;
    trm_bounds *bounds;
} stretches;

typedef struct sample {
    const trm_tiles *tiles;
    trm_workspace *work;
    stretches a, b;
    double distance_ns;
} sample;

static void stretches_free(stretches *s)
{
    trm_free(s->x);
    trm_free(s->norm2);
    trm_free(s->lo);
    trm_free(s->hi);
    trm_bounds_destroy(&s->bounds);
}

/* Copies the rows, and asks for the distances that each of them still cares about. */
static trm_status stretches_take(stretches *s, const trm_side *side, int dim, trm_error *err)
{
    const int64_t rows = (int64_t)TILES * LENGTH;
    s->side = side;
    s->x = trm_alloc(rows * dim, sizeof *s->x);
    s->norm2 = trm_alloc(rows, sizeof *s->norm2);
    s->lo = trm_alloc(rows, sizeof *s->lo);
    s->hi = trm_alloc(rows, sizeof *s->hi);
    if (s->x == NULL || s->norm2 == NULL || s->lo == NULL || s->hi == NULL)
        return trm_fail_memory(err, "a sample of rows", rows, (size_t)dim * sizeof *s->x);
    for (int t = 0; t < TILES; t++) {
        memcpy(s->x + (int64_t)t * LENGTH * dim, side->x + s->first[t] * dim,
               sizeof(float) * LENGTH * (size_t)dim);
        memcpy(s->norm2 + t * LENGTH, side->norm2 + s->first[t], sizeof(double) * LENGTH);
        for (int i = 0; i < LENGTH; i++)
            trm_side_window(side, s->first[t] + i, &s->lo[t * LENGTH + i], &s->hi[t * LENGTH + i]);
    }
    return trm_bounds_create(rows, &s->bounds, err);
}

/* A point of [0, count) for k = 0, 1, ...: multiples of an irrational number are spread evenly. */
static int64_t spread(int k, double irrational, int64_t count)
{
    const double at = (k + 1) * irrational;
    return (int64_t)((at - floor(at)) * (double)count);
}

/* Where the small tiles are. false: the region has no room for them. */
static bool place(const trm_tiles *tiles, stretches *a, stretches *b)
{
    const trm_region *region = &tiles->region;
    const int64_t block = tiles->block, row = region->a_first * block, col = region->b_first * block;
    const int64_t row_end =
                      region->a_last * block < tiles->a->count ? region->a_last * block : tiles->a->count,
                  col_end =
                      region->b_last * block < tiles->b->count ? region->b_last * block : tiles->b->count;
    if (row_end - row < LENGTH || col_end - col < LENGTH)
        return false;
    for (int t = 0; t < TILES; t++) {
        int64_t i = row + spread(t, 0.6180339887, row_end - row - LENGTH + 1),
                j = col + spread(t, 0.4142135624, col_end - col - LENGTH + 1);
        if (tiles->relation == TRM_SAME_LABEL) { /* few others are of any use */
            int64_t from, to;
            trm_same_label_range(tiles->b->label, col, col_end, tiles->a->label[i], &from, &to);
            j = from + spread(t, 0.4142135624, to - from > LENGTH ? to - from - LENGTH + 1 : 1);
            j = j > col_end - LENGTH ? col_end - LENGTH : j;
        }
        if (region->triangle && j < i) {
            const int64_t swap = i;
            i = j;
            j = swap;
        }
        a->first[t] = i;
        b->first[t] = j;
    }
    return true;
}

/* What a canonical distance takes of two rows that are in no cache that matters. */
static double time_distance(const sample *s)
{
    const int dim = s->tiles->dim, apart = TILES * LENGTH / DISTANCES;
    double sum = 0.0;
    const double start = trm_clock();
    for (int k = 0; k < DISTANCES; k++) {
        const int i = k * apart, j = (DISTANCES - 1 - k) * apart;
        sum += trm_distance(s->tiles->metric, s->a.x + (int64_t)i * dim, s->a.norm2[i],
                            s->b.x + (int64_t)j * dim, s->b.norm2[j], dim, NULL);
    }
    const double elapsed = trm_clock() - start;
    volatile double needed = sum; /* so that it is computed */
    (void)needed;
    return elapsed * 1e9 / DISTANCES;
}

/* Survivors of a small tile for which a distance would be computed. */
static int64_t count_wanted(const sample *s, int t)
{
    const trm_workspace *work = s->work;
    int64_t wanted = 0;
    for (int64_t k = 0; k < work->count; k++) {
        const trm_survivor *found = &work->survivors[k];
        wanted += trm_side_wants(s->a.side, s->a.first[t] + found->row - t * LENGTH, found->lo, found->hi) ||
                  trm_side_wants(s->b.side, s->b.first[t] + found->col - t * LENGTH, found->lo, found->hi);
    }
    return wanted;
}

/* Which pairs of a small tile have the right labels. */
static void find_fit(const sample *s, int t, trm_fit *fit)
{
    const trm_relation relation = s->tiles->relation;
    const int64_t *a = s->tiles->a->label + s->a.first[t], *b = s->tiles->b->label + s->b.first[t];
    const int64_t base = (int64_t)t * LENGTH;
    for (int i = 0; i < LENGTH; i++) {
        int64_t from = 0, to = 0;
        if (relation == TRM_SAME_LABEL || relation == TRM_OTHER_LABEL)
            trm_same_label_range(b, 0, LENGTH, a[i], &from, &to);
        fit[i] = trm_fit_of_row(relation, base, base + LENGTH, base + from, base + to);
    }
}

/* Times a chain on one small tile; adds the distances that it would leave. */
static double time_tile(const sample *s, trm_block *a, trm_block *b, int t, int64_t *wanted)
{
    trm_fit fit[LENGTH];
    find_fit(s, t, fit);
    const trm_tile tile = {.a = a,
                           .b = b,
                           .fit = fit,
                           .a_bounds = s->a.bounds,
                           .b_bounds = s->b.bounds,
                           .row = t * LENGTH,
                           .col = t * LENGTH,
                           .rows = LENGTH,
                           .cols = LENGTH};
    double shortest = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = trm_clock();
        s->work->count = 0;
        trm_kernel_run(&tile, s->work);
        const double elapsed = trm_clock() - start;
        shortest = elapsed < shortest ? elapsed : shortest;
    }
    *wanted += count_wanted(s, t);
    return shortest * 1e9;
}

static trm_status make_block(const trm_chain *chain, const trm_map *map, int64_t rows, trm_block **block,
                             trm_error *err)
{
    trm_map with_width = *map;
    with_width.width = chain->width;
    return trm_block_create(chain->kernel, &with_width, rows, block, err);
}

trm_status trm_chooser_block(const trm_chooser *chooser, const trm_map *map, int64_t capacity,
                             trm_block **block, trm_error *err)
{
    return make_block(&chooser->chain[chooser->chosen], map, capacity, block, err);
}

/* Packs a side's sample; gives the nanoseconds a row. */
static trm_status pack(const stretches *s, const trm_chain *chain, const trm_map *map, trm_block **block,
                       double *ns, trm_error *err)
{
    const int64_t rows = (int64_t)TILES * LENGTH;
    trm_status status = make_block(chain, map, rows, block, err);
    if (status != TRM_OK)
        return status;
    const double start = trm_clock();
    (*block)->rows = rows;
    trm_block_fill(*block, 0, rows, s->x, s->norm2);
    *ns = (trm_clock() - start) * 1e9 / (double)rows;
    trm_bounds_set(s->bounds, *block, 0, rows, s->lo, s->hi);
    return TRM_OK;
}

/* What a pair costs with a chain. */
static trm_status try_chain(const sample *s, const trm_chain *chain, double *ns, double *pack_ns,
                            trm_error *err)
{
    const trm_map *map = &s->tiles->a->block->map;
    trm_block *a = NULL, *b = NULL;
    double other;
    trm_status status = pack(&s->a, chain, map, &a, pack_ns, err);
    if (status == TRM_OK)
        status = pack(&s->b, chain, map, &b, &other, err);
    if (status == TRM_OK) {
        double total = 0.0;
        int64_t wanted = 0;
        for (int t = 0; t < TILES; t++)
            total += time_tile(s, a, b, t, &wanted);
        *ns = (total + (double)wanted * s->distance_ns) / ((double)TILES * LENGTH * LENGTH);
    }
    trm_block_destroy(&a);
    trm_block_destroy(&b);
    return status;
}

/* The cheapest, if it is so by enough to pay for packing all rows anew. */
static int choose(const trm_chooser *chooser, double rows, double left)
{
    int best = chooser->chosen;
    double least = worth_changing * chooser->ns[best];
    for (int f = 0; f < chooser->count; f++) {
        const double ns = chooser->ns[f] + (f == chooser->chosen ? 0.0 : chooser->pack_ns[f] * rows / left);
        if (f != chooser->chosen && ns < least) {
            best = f;
            least = ns;
        }
    }
    return best;
}

/* A chain that takes several times what another does is not tried again in this sweep. */
static void note_hopeless(trm_chooser *chooser)
{
    const double times = 3.0;
    double least = INFINITY;
    for (int f = 0; f < chooser->count; f++)
        least = chooser->ns[f] < least ? chooser->ns[f] : least;
    for (int f = 0; f < chooser->count; f++)
        chooser->hopeless[f] = !chooser->in_turn && chooser->ns[f] > times * least;
}

void trm_chooser_start(trm_chooser *chooser, trm_relation relation)
{
    chooser->chosen = chooser->last[relation];
    memset(chooser->hopeless, 0, sizeof chooser->hopeless);
}

double trm_chooser_share(const trm_tiles *tiles)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    double share = 0.0;
    if (tiles->relation != TRM_SAME_LABEL)
        return 1.0;
    for (int t = 0; t < TILES; t++) {
        int64_t from, to;
        trm_same_label_range(b->label, 0, b->count, a->label[spread(t, 0.6180339887, a->count)], &from, &to);
        share += (double)(to - from) / (double)b->count / TILES;
    }
    return share;
}

trm_status trm_chooser_try(trm_chooser *chooser, const trm_tiles *tiles, double left, bool *changed,
                           trm_error *err)
{
    sample s = {.tiles = tiles};
    *changed = false;
    if (chooser->count < 2 || !place(tiles, &s.a, &s.b))
        return TRM_OK;
    trm_status status = trm_workspace_create(LENGTH, &s.work, err);
    if (status == TRM_OK)
        status = stretches_take(&s.a, tiles->a, tiles->dim, err);
    if (status == TRM_OK)
        status = stretches_take(&s.b, tiles->b, tiles->dim, err);
    if (status == TRM_OK)
        s.distance_ns = time_distance(&s);
    for (int f = 0; f < chooser->count && status == TRM_OK; f++)
        if (!chooser->hopeless[f])
            status = try_chain(&s, &chooser->chain[f], &chooser->ns[f], &chooser->pack_ns[f], err);
    if (status == TRM_OK) {
        note_hopeless(chooser);
        const double rows = (double)tiles->a->count + (tiles->a == tiles->b ? 0.0 : (double)tiles->b->count);
        const int best =
            chooser->in_turn ? (chooser->chosen + 1) % chooser->count : choose(chooser, rows, left);
        *changed = best != chooser->chosen;
        chooser->chosen = chooser->last[tiles->relation] = best;
    }
    stretches_free(&s.a);
    stretches_free(&s.b);
    trm_workspace_destroy(&s.work);
    return status;
}
