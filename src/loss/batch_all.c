/* Batch-all; see batch_all.h. The gradient is batch_all_gradient.c. */
#include "loss/batch_all.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/exact_sum.h"
#include "loss/batch_all_gradient.h"
#include "loss/term.h"
#include "mine/checkpoint.h"
#include "mine/thresholds.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <omp.h>
#include <string.h>

/* What one thread adds up; padded, so that no two share a cache line. The sum is sum and what is in the bins.
 */
typedef struct tally {
    trm_exact_bins bins;
    int64_t products; /* in them */
    trm_exact_sum sum;
    int64_t active, triplets;
    char padding[64];
} tally;

/* Makes room for count products more. */
static void expect_products(tally *mine, int64_t count)
{
    const int64_t most = INT64_C(1) << 40;
    mine->products += count;
    if (mine->products < most)
        return;
    trm_exact_bins_fold(&mine->bins, &mine->sum);
    mine->products = count;
}

/* Settings of the query. The field counts, for threshold i, the negatives whose first active one it is, less those
 * whose last active one is just before. */
typedef struct counting {
    trm_query query;
    trm_batch_all_rule rule;
    int threads;
    tally *tallies; /* one a thread */
} counting;

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *words)
{
    (void)words;
    const counting *c = query->settings;
    tally *mine = &c->tallies[omp_get_thread_num()];
    trm_thresholds anchor = trm_thresholds_of(state, row);
    trm_batch_all_found found;
    int64_t *counts = (int64_t *)state->field[TRM_FIELD_ACTIVE] + anchor.first;
    const trm_beside beside = {counts, sizeof *counts};
    trm_thresholds_grid(&anchor);
    expect_products(mine, seen->n);
    for (int64_t done = 0; done < seen->n; done += TRM_THRESHOLDS_BATCH) {
        const int64_t count = seen->n - done < TRM_THRESHOLDS_BATCH ? seen->n - done : TRM_THRESHOLDS_BATCH;
        const double *d = seen->d + done;
        trm_batch_all_find(&anchor, count, d, &c->rule, beside, &found);
        trm_thresholds_look_ahead(&anchor, beside, done, seen->n);
        for (int64_t i = 0; i < count; i++) {
            const int64_t active = found.end[i] - found.first[i];
            mine->triplets += found.members[i];
            if (active == 0)
                continue;
            counts[found.first[i]]++;
            if (found.end[i] < anchor.count)
                counts[found.end[i]]--;
            mine->active += active;
            trm_exact_bins_add_times(&mine->bins, -d[i], active);
        }
    }
    return false;
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    return pairs;
}

const trm_query_type trm_batch_all_query = {
    .name = "batch-all",
    .relation = TRM_OTHER_LABEL,
    .every_pair = true,
    .shapes = 1,
    .fields = TRM_FIELD_BEYOND_THRESHOLDS + 1,
    .field = {TRM_THRESHOLDS_FIELDS, {"active", TRM_FIELD_FOUND, 0, sizeof(int64_t), &trm_merge_sum}},
    .slots = slots,
    .give = trm_thresholds_give,
    .prepare = trm_thresholds_prepare,
    .window = trm_query_all_window,
    .offer = offer,
};

/* Turns these counts into how many negatives each threshold is active with, all of the shard;
 * and adds this member's rows to the sum. */
static void finish_panel(const trm_anchors *anchors, const trm_panel *panel, counting *c)
{
    trm_state *state = panel->negatives;
    int64_t from, to;
    trm_panel_share(anchors, panel, &from, &to);
#pragma omp parallel for schedule(dynamic, 16) num_threads(anchors->run->threads)
    for (int64_t k = 0; k < panel->count; k++) {
        tally *mine = &c->tallies[omp_get_thread_num()];
        const bool own = k >= from && k < to;
        const int64_t row = panel->row[k];
        const trm_thresholds anchor = trm_thresholds_of(state, row);
        int64_t *active = (int64_t *)state->field[TRM_FIELD_ACTIVE] + anchor.first, negatives = 0;
        expect_products(mine, anchor.count);
        for (int64_t i = 0; i < anchor.count; i++) {
            negatives += active[i];
            active[i] = negatives;
            if (own)
                trm_exact_bins_add_times(&mine->bins, anchor.t[i], negatives);
        }
    }
}

static trm_status run_panel(trm_mine_checkpoint *checkpoint, int64_t index, counting *c, double *sweep_s,
                            trm_panel *panel, trm_error *err)
{
    const trm_anchors *anchors = checkpoint->anchors;
    trm_status status = trm_mine_checkpoint_open(checkpoint, index, panel, err);
    if (status != TRM_OK)
        return status;
    MPI_Barrier(anchors->run->comm);
    const double start = trm_clock();
    status = trm_mine_checkpoint_sweep(checkpoint, err);
    if (status == TRM_OK && !trm_mine_checkpoint_was_after(checkpoint))
        finish_panel(anchors, panel, c);
    *sweep_s += trm_clock() - start;
    return status;
}

/* ---- the sums, as words that add up ---- */

enum { TOTAL_ACTIVE, TOTAL_TRIPLETS, TOTAL_SUM, TOTAL_WORDS = TOTAL_SUM + TRM_EXACT_SUM_LIMBS };

static tally add_threads(const counting *c)
{
    tally all = {.active = 0};
    for (int k = 0; k < c->threads; k++) {
        trm_exact_bins_fold(&c->tallies[k].bins, &c->tallies[k].sum);
        trm_exact_sum_merge(&all.sum, &c->tallies[k].sum);
        all.active += c->tallies[k].active;
        all.triplets += c->tallies[k].triplets;
    }
    return all;
}

static void give_totals(void *context, int64_t *words)
{
    tally all = add_threads(context);
    trm_exact_sum_carry(&all.sum);
    words[TOTAL_ACTIVE] = all.active;
    words[TOTAL_TRIPLETS] = all.triplets;
    memcpy(words + TOTAL_SUM, all.sum.limb, sizeof all.sum.limb);
}

static void take_totals(void *context, const int64_t *words)
{
    tally *mine = ((counting *)context)->tallies;
    trm_exact_sum earlier;
    trm_exact_sum_clear(&earlier);
    memcpy(earlier.limb, words + TOTAL_SUM, sizeof earlier.limb);
    trm_exact_sum_merge(&mine->sum, &earlier);
    mine->active += words[TOTAL_ACTIVE];
    mine->triplets += words[TOTAL_TRIPLETS];
}

static trm_status check(const trm_loss_options *options, trm_error *err)
{
    const char *other = trm_term_other(options);
    if (other != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--loss batch-all with --%s: there is only the hinge", other);
    if (options->swap)
        return trm_fail(err, TRM_ERR_USAGE, "--loss batch-all with --swap: every triplet counts as it is");
    if (options->whole_at_zero)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--loss batch-all with --at-zero whole: there z = 0 gives nothing");
    return TRM_OK;
}

static void collect(const trm_anchors *anchors, counting *c, const trm_sweep_counts *counts, double sweep_s,
                    trm_mine_summary *mined, trm_loss_summary *summary, trm_loss_part *part)
{
    MPI_Comm comm = anchors->run->comm;
    tally all = add_threads(c);
    trm_exact_sum_add_times(&all.sum, c->rule.margin, all.active);
    if (part != NULL) {
        part->loss_sum = trm_exact_sum_value(&all.sum);
        part->triplets = all.triplets;
        part->compute_s = counts->compute_s + anchors->counts.compute_s;
        part->wait_s = counts->wait_s + anchors->counts.wait_s;
    }
    int64_t sums[] = {all.triplets, all.active, counts->float64, anchors->counts.float64};
    double seconds[] = {sweep_s, anchors->seconds};
    MPI_Allreduce(MPI_IN_PLACE, sums, 4, MPI_INT64_T, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, seconds, 2, MPI_DOUBLE, MPI_MAX, comm);
    trm_merge_exact_sum(comm, &all.sum);
    summary->sum = trm_exact_sum_value(&all.sum);
    summary->count = sums[0];
    summary->active = sums[1];
    summary->pairs_multiplied = sums[2] + sums[3];
    summary->loss_s = seconds[0];
    mined->positives_s = seconds[1];
}

struct trm_batch_all {
    trm_run plain; /* every distance is taken */
    const trm_run *run;
    trm_loss_options options;
    counting counting;
    trm_mine_options mine; /* the anchors: every valid row with all its positives */
    trm_pool pool;
    trm_anchors anchors;
    trm_sweep *sweep;
    trm_sweep_counts counts;
};

static trm_status plan(trm_batch_all *all, const trm_rows *rows, bool gradient, trm_mine_summary *mined,
                       trm_error *err)
{
    trm_anchors *anchors = &all->anchors;
    trm_error why = TRM_ERROR_INIT;
    all->pool = trm_pool_of_one(all->run, rows);
    trm_status status = trm_anchors_init(anchors, all->run, &all->pool, &all->mine, &all->counting.query, 0,
                                         NULL, NULL, false, &why);
    mined->panels = (int)anchors->panels;
    mined->memory_bytes = anchors->memory_bytes;
    if (gradient && anchors->panel_of != NULL && (status == TRM_ERR_MEMORY || anchors->panels > 1)) {
        mined->memory_bytes = trm_anchors_bytes(anchors, 1);
        return trm_run_refuse(all->run,
                              "the gradient of batch-all needs the thresholds of all anchors at once,",
                              mined->memory_bytes, err);
    }
    if (status != TRM_OK && err != NULL)
        *err = why;
    return status;
}

trm_status trm_batch_all_create(const trm_run *run, const trm_rows *rows, const trm_loss_options *options,
                                const double *within, int64_t reserve, bool gradient, trm_mine_summary *mined,
                                trm_batch_all **made, trm_error *err)
{
    trm_batch_all *all = *made = trm_alloc(1, sizeof **made);
    trm_status status = all == NULL ? trm_fail_memory(err, "a job", 1, sizeof *all) : check(options, err);
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(all);
        *made = NULL;
        return status;
    }
    *all = (trm_batch_all){.plain = trm_run_for_sweeps(run, true), .options = *options};
    all->run = &all->plain;
    all->counting = (counting){.query = {&trm_batch_all_query, &all->counting},
                               .threads = run->threads,
                               .rule = {.margin = options->margin,
                                        .limited = within != NULL,
                                        .within = within != NULL ? *within : 0.0}};
    all->mine = (trm_mine_options){
        .metric = options->metric, .margin = options->margin, .positives = "all", .reserve = reserve};
    return plan(all, rows, gradient, mined, err);
}

void trm_batch_all_destroy(trm_batch_all **made)
{
    trm_batch_all *all = *made;
    if (all == NULL)
        return;
    trm_sweep_destroy(&all->sweep);
    trm_anchors_destroy(&all->anchors);
    trm_free(all->counting.tallies);
    trm_free(all);
    *made = NULL;
}

trm_status trm_batch_all_run(trm_batch_all *all, double *gradient, trm_mine_summary *mined,
                             trm_loss_summary *summary, trm_loss_part *part, trm_error *err)
{
    const trm_run *run = all->run;
    const trm_metric metric = all->options.metric;
    trm_anchors *anchors = &all->anchors;
    counting *c = &all->counting;
    trm_mine_checkpoint checkpoint;
    double sweep_s = 0.0;
    c->tallies = trm_alloc_zero(run->threads, sizeof *c->tallies);
    trm_status status =
        c->tallies == NULL ? trm_fail_memory(err, "sums", run->threads, sizeof *c->tallies) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_sweep_create(run, anchors->rows, NULL, metric, &all->sweep, err);
    if (status == TRM_OK)
        status = trm_mine_checkpoint_init(&checkpoint, anchors, all->sweep, &all->counts,
                                          (trm_totals){TOTAL_WORDS, give_totals, take_totals, c}, err);
    mined->panels = (int)anchors->panels;
    for (int64_t index = 0; index < anchors->panels && status == TRM_OK; index++) {
        trm_panel panel;
        status = run_panel(&checkpoint, index, c, &sweep_s, &panel, err);
        if (status == TRM_OK && gradient != NULL)
            status = trm_batch_all_gradient(&checkpoint, metric, &c->rule, panel.negatives, gradient,
                                            &summary->gradient_s, err);
        trm_panel_close(&panel);
    }
    if (status == TRM_OK)
        mined->reused = trm_sum_int64(run->comm, checkpoint.reused);
    if (status == TRM_OK)
        collect(anchors, c, &all->counts, sweep_s, mined, summary, part);
    return status;
}
