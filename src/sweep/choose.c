/* Trials of chains; see choose.h. */
#include "sweep/choose.h"

#include "base/clock.h"
#include "kernel/basis.h"

#include <math.h>
#include <string.h>

/* Another chain has to be so much cheaper, because a trial may be off by a little. */
static const double worth_changing = 0.93;

static void add(trm_chooser *chooser, const trm_kernel *kernel, int width)
{
    if (chooser->count < TRM_CHAINS)
        chooser->chain[chooser->count++] = (trm_chain){kernel, width};
}

/* Widths of one basis that are tried, at most. */
enum { WIDTHS = 2 };

/* Those that a kernel has: about what the basis's sample says is best. */
static void add_widths(trm_chooser *chooser, const trm_kernel *kernel, const trm_basis *basis)
{
    int best = 0, last = 0, before = -1;
    while (trm_basis_candidate(basis, last + 1) > 0)
        last++;
    while (best < last && trm_basis_candidate(basis, best) < basis->width)
        best++;
    for (int k = 0; k < WIDTHS; k++) {
        const int wish = best + kernel->width_step[k], at = wish < 0 ? 0 : wish > last ? last : wish;
        if (at != before)
            add(chooser, kernel, trm_basis_candidate(basis, at));
        before = at;
    }
}

/* Of a sweep, a rank's. */
static double pairs_of(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    const double pairs = other == rows ? (double)rows->total * (double)rows->total / 2.0
                                       : (double)rows->total * (double)other->total;
    return pairs / run->ranks;
}

bool trm_chooser_pays(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    enum { CHAINS = 7 }; /* as many there may be; more is decided when it is known, and by threads */
    return run->chooses && pairs_of(run, rows, other) * run->trial_share >= (double)CHAINS * TRM_SAMPLE_PAIRS;
}

bool trm_chooser_is_short(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    const double times = 400.0; /* a sweep's filters are up to four times as fast as what makes a basis */
    const int64_t all = rows->total + (other != rows ? other->total : 0);
    const double making = trm_basis_work(trm_basis_sample(all, rows->dim), rows->dim);
    return run->chooses && !run->in_turn && pairs_of(run, rows, other) * rows->dim < times * making;
}

bool trm_chooser_needs_basis(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    bool needs = run->kernel->needs_basis;
    for (int k = 0; trm_chooser_pays(run, rows, other) && trm_kernel_at(k) != NULL; k++)
        needs = needs || (trm_kernel_at(k)->needs_basis && trm_run_may_choose(run, trm_kernel_at(k)));
    return needs;
}

/* What sweeps begin with, and stay with where trials do not pay. */
static const trm_kernel *first_kernel(const trm_run *run, int dim)
{
    const trm_kernel *first = run->kernel;
    for (int k = 0; trm_kernel_at(k) != NULL; k++)
        if (trm_run_may_begin_with(run, trm_kernel_at(k), dim))
            first = trm_kernel_at(k);
    return first;
}

void trm_chooser_begin(trm_chooser *chooser, const trm_run *run, const trm_map *map, bool pays, bool promises)
{
    const trm_kernel *first = first_kernel(run, map->dim);
    int near = -1;
    *chooser = (trm_chooser){.in_turn = run->in_turn};
    for (int k = 0; pays && trm_kernel_at(k) != NULL; k++) {
        const trm_kernel *kernel = trm_kernel_at(k);
        if (!trm_run_may_choose(run, kernel) || (kernel->needs_basis && map->basis == NULL))
            continue;
        if (kernel == run->kernel)
            chooser->plain = chooser->count;
        if (kernel == first)
            chooser->first = chooser->count;
        if (kernel->needs_basis && promises)
            near = chooser->count;
        if (!kernel->needs_basis)
            add(chooser, kernel, 0);
        else
            add_widths(chooser, kernel, map->basis);
    }
    if (!pays)
        add(chooser, first, first->needs_basis ? map->width : 0);
    for (int r = 0; r < TRM_RELATIONS; r++)
        chooser->last[r] = chooser->first;
    if (near >= 0) /* a sweep that may be too short for trials, of rows that are packed for it alone */
        chooser->last[TRM_SAME_LABEL] = near;
    chooser->chosen = chooser->first;
}

/* Of a block of a kernel, as wide as it is expected to be, else the widest. */
static int64_t block_bytes(const trm_run *run, const trm_kernel *kernel, int64_t capacity, int dim)
{
    return trm_block_bytes(kernel, capacity, dim, kernel == run->expected ? run->expected_width : 0);
}

int64_t trm_chooser_block_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                                int64_t capacity)
{
    const trm_kernel *first = first_kernel(run, rows->dim);
    const bool pays = trm_chooser_pays(run, rows, other);
    int64_t most = block_bytes(run, pays ? run->kernel : first, capacity, rows->dim);
    for (int k = 0; pays && trm_kernel_at(k) != NULL; k++) {
        const trm_kernel *kernel = trm_kernel_at(k);
        const bool may_be =
            run->expected == NULL || kernel == run->expected || (kernel == first && !run->expected_first);
        if (!trm_run_may_choose(run, kernel) || !may_be)
            continue;
        const int64_t bytes = block_bytes(run, kernel, capacity, rows->dim);
        most = bytes > most ? bytes : most;
    }
    return most;
}

int64_t trm_chooser_trial_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other)
{
    if (!trm_chooser_pays(run, rows, other))
        return 0;
    int64_t bytes = trm_sample_bytes(rows->dim, run->threads);
    for (int k = 0; trm_kernel_at(k) != NULL; k++)
        if (trm_run_may_choose(run, trm_kernel_at(k)))
            bytes += trm_sample_chain_bytes(trm_kernel_at(k), rows->dim) *
                     (trm_kernel_at(k)->needs_basis ? WIDTHS : 1);
    return bytes;
}

double trm_chooser_pairs(const trm_chooser *chooser, int threads, bool first)
{
    const double a_row = 800.0; /* packing one takes as long as so many pairs, or longer */
    /* a thread without a tile waits */
    const double at_once = threads > TRM_SAMPLE_TILES ? (double)threads / TRM_SAMPLE_TILES : 1.0;
    return chooser->count * at_once * (TRM_SAMPLE_PAIRS + (first ? a_row * TRM_SAMPLE_ROWS : 0.0));
}

trm_status trm_chooser_block(const trm_chooser *chooser, const trm_map *map, int64_t capacity,
                             trm_block **block, trm_error *err)
{
    const trm_chain *chain = &chooser->chain[chooser->chosen];
    trm_map with_width = *map;
    with_width.width = chain->width;
    return trm_block_create(chain->kernel, &with_width, capacity, block, err);
}

static bool is_packed(const trm_side *side, const trm_chain *chain)
{
    const trm_block *block = side->block;
    return block->rows == side->count && block->kernel == chain->kernel && block->map.width == chain->width;
}

bool trm_chooser_has_packed(const trm_chooser *chooser, const trm_side *side)
{
    return is_packed(side, &chooser->chain[chooser->chosen]);
}

/* What a pair takes with a chain, and its part of the packing: of rows that are not packed for it, and, where other pairs come
 * next and are known to begin with another chain, of all rows once more. */
static double cost_of(const trm_chooser *chooser, int f, const trm_tiles *tiles, double left)
{
    const trm_chain *chain = &chooser->chain[f];
    const bool goes_on = tiles->relation == TRM_SAME_LABEL && chooser->ahead[TRM_OTHER_LABEL].each > 0.0;
    const int next = goes_on ? chooser->last[TRM_OTHER_LABEL] : f;
    const int64_t of_a = tiles->a->count, of_b = tiles->b != tiles->a ? tiles->b->count : 0;
    const double rows =
        (double)(is_packed(tiles->a, chain) ? 0 : of_a) + (double)(is_packed(tiles->b, chain) ? 0 : of_b);
    const double again = f != next ? chooser->pack_ns[next] * (double)(of_a + of_b) : 0.0;
    return chooser->ns[f] + (chooser->pack_ns[f] * rows + again) / left;
}

/* The cheapest; if rows are packed already, only where it is so by enough. */
static int choose(const trm_chooser *chooser, const trm_tiles *tiles, double left)
{
    int best = chooser->chosen;
    double least = cost_of(chooser, best, tiles, left);
    if (trm_chooser_has_packed(chooser, tiles->a))
        least *= worth_changing;
    for (int f = 0; f < chooser->count; f++) {
        const double cost = cost_of(chooser, f, tiles, left);
        if (f != chooser->chosen && !chooser->hopeless[f] && cost < least) {
            best = f;
            least = cost;
        }
    }
    return best;
}

/* A chain that takes so many times what another does is not tried again in this sweep. */
static const double hopeless_times = 2.0;

/* Times all chains that are not hopeless, and notes those that are. */
static trm_status time_chains(trm_chooser *chooser, trm_error *err)
{
    double least = INFINITY;
    for (int k = 0; k < chooser->count; k++) {
        const int f = (chooser->chosen + k) % chooser->count; /* one that is fast comes first */
        if (!chooser->hopeless[f]) {
            const trm_status status =
                trm_sample_time(chooser->sample, f, &chooser->chain[f], (trm_enough){hopeless_times, least},
                                &chooser->ns[f], &chooser->pack_ns[f], err);
            if (status != TRM_OK)
                return status;
        }
        least = chooser->ns[f] < least ? chooser->ns[f] : least;
    }
    for (int f = 0; f < chooser->count; f++)
        chooser->hopeless[f] = !chooser->in_turn && chooser->ns[f] > hopeless_times * least;
    return TRM_OK;
}

void trm_chooser_leave(trm_chooser *chooser)
{
    trm_sample_destroy(&chooser->sample);
}

void trm_chooser_start(trm_chooser *chooser, trm_relation relation, bool farthest)
{
    const int last = chooser->last[relation];
    chooser->chosen = farthest && chooser->chain[last].kernel->near_only ? chooser->first : last;
    memset(chooser->hopeless, 0, sizeof chooser->hopeless);
}

double trm_chooser_share(const trm_tiles *tiles)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    enum { LABELS = 4 }; /* that are looked at */
    double share = 0.0;
    if (tiles->relation != TRM_SAME_LABEL)
        return 1.0;
    for (int t = 0; t < LABELS; t++) {
        int64_t from, to;
        trm_same_label_range(b->label, 0, b->count, a->label[t * a->count / LABELS], &from, &to);
        share += (double)(to - from) / (double)b->count / LABELS;
    }
    return share;
}

static trm_status try_all(trm_chooser *chooser, const trm_tiles *tiles, int threads, trm_error *err)
{
    trm_status status = TRM_OK;
    if (chooser->sample == NULL)
        status = trm_sample_create(tiles, threads, &chooser->sample, err);
    if (status == TRM_OK && chooser->sample != NULL)
        status = trm_sample_look(chooser->sample, &chooser->ahead[tiles->relation], chooser->plain,
                                 &chooser->chain[chooser->plain], err);
    if (status == TRM_OK && chooser->sample != NULL)
        status = time_chains(chooser, err);
    return status;
}

void trm_chooser_try(trm_chooser *chooser, const trm_tiles *tiles, double left, double seen, double each,
                     int threads)
{
    trm_error lack = TRM_ERROR_INIT;
    const double start = trm_clock(), packing = trm_sample_packing_s(chooser->sample);
    chooser->ahead[tiles->relation].seen = seen;
    chooser->ahead[tiles->relation].each = each;
    if (chooser->count < 2 || try_all(chooser, tiles, threads, &lack) != TRM_OK || chooser->sample == NULL)
        return;
    const int best = chooser->in_turn ? (chooser->chosen + 1) % chooser->count : choose(chooser, tiles, left);
    chooser->chosen = chooser->last[tiles->relation] = best;
    chooser->trial_s = trm_clock() - start - (trm_sample_packing_s(chooser->sample) - packing);
}
