/* The job: positives sweep, thresholds, negatives sweep, answers, sums; in panels of anchors where the state
 * of all of them at once would not fit the memory limit. */
#include "trimine/mine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/exact_sum.h"
#include "base/hash_sum.h"
#include "mine/positives.h"
#include "mine/semihard.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/sweep.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

void trm_mine_options_init(trm_mine_options *options)
{
    *options = (trm_mine_options){.metric = TRM_METRIC_SQL2,
                                  .margin = 1.0,
                                  .positives = TRM_POSITIVES_ALL,
                                  .nearest = 1,
                                  .window = TRM_WINDOW_LT};
}

/* Everything one call of trm_mine works with. */
typedef struct trm_job {
    const trm_run *run;
    const trm_rows *rows;
    const trm_mine_options *options;
    int64_t longest; /* the most pairs that any anchor could have */
    trm_positives_policy policy;
    trm_semihard semihard;
    trm_sweep *sweep;
    trm_sweep_counts counts, positives_counts;
    trm_triplet_fn emit;
    void *context;
    trm_mine_summary *summary;
    trm_exact_sum loss;
    trm_hash_sum hash;
    double positives_s, negatives_s, loss_s;
    int64_t positive_pairs, semihard_count, fallback_count, skipped, active;
} trm_job;

/* The state of one panel. */
typedef struct trm_panel {
    int64_t first, last; /* rows of this team's shard */
    int64_t *offset;
    trm_state *positives; /* after the sweep: each anchor's pairs first, by ascending (d, id) */
    trm_state *negatives; /* bound: the thresholds */
} trm_panel;

static bool is_valid(const trm_rows *rows, int64_t row)
{
    return rows->class_size[row] > 1 && rows->class_size[row] < rows->total;
}

static int64_t pairs_of(const trm_job *job, int64_t row)
{
    return is_valid(job->rows, row) ? trm_positives_pairs(job->options, job->rows->class_size[row]) : 0;
}

static int64_t slots_of(const trm_job *job, int64_t row)
{
    return is_valid(job->rows, row) ? trm_positives_slots(&job->policy, job->rows->class_size[row]) : 0;
}

/* ---- memory plan ---- */

static void panel_range(const trm_rows *rows, int64_t panels, int64_t index, int64_t *first, int64_t *last)
{
    const int64_t whole = rows->count / panels, rest = rows->count % panels;
    *first = whole * index + rest * index / panels;
    *last = whole * (index + 1) + rest * (index + 1) / panels;
}

/* Bytes of the largest panel's state on this rank: positives that stay, negatives and their visiting copies,
 * or the triplets being put together; or the positives sweep with its own visiting copies. */
static int64_t panel_bytes(const trm_job *job, int64_t panels)
{
    int64_t largest = 0;
    for (int64_t index = 0; index < panels; index++) {
        int64_t first, last, slots = 0, pairs = 0;
        panel_range(job->rows, panels, index, &first, &last);
        for (int64_t row = first; row < last; row++) {
            slots += slots_of(job, row);
            pairs += pairs_of(job, row);
        }
        const int64_t kept = slots * (int64_t)sizeof(trm_candidate);
        const int64_t positives = trm_sweep_state_bytes(job->rows, slots, 1, false);
        const int64_t negatives =
            kept + trm_sweep_state_bytes(job->rows, pairs, job->semihard.sink.sets, true);
        const int64_t triplets = kept +
                                 pairs * (job->semihard.sink.sets * (int64_t)sizeof(trm_candidate) + 12) +
                                 pairs * (int64_t)sizeof(trm_triplet) / job->rows->replicate;
        int64_t bytes = positives > negatives ? positives : negatives;
        bytes = triplets > bytes ? triplets : bytes;
        largest = bytes > largest ? bytes : largest;
    }
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT64_T, MPI_MAX, job->run->comm);
    return largest;
}

/* The fewest panels whose state fits. Collective. */
static trm_status plan(trm_job *job, int64_t *panels, trm_error *err)
{
    int64_t shard = 0;
    for (int t = 0; t < job->rows->teams; t++)
        shard = job->rows->shards[t].count > shard ? job->rows->shards[t].count : shard;
    const int64_t sweeping = trm_sweep_bytes(job->run, job->rows, shard) + 3 * 8 * (shard + 1);
    const int64_t arranging = trm_rows_arrange_bytes(job->run, job->rows->store_rows, job->rows->dim);
    const int64_t fixed = sweeping;
    const int64_t limit = job->run->mem_per_rank;
    int64_t state = 0;
    for (*panels = 1;; *panels = *panels * 5 / 4 + 1) {
        if (*panels > shard && *panels > 1)
            *panels = shard;
        state = panel_bytes(job, *panels);
        if (fixed + state <= limit || *panels >= shard)
            break;
    }
    job->summary->panels = (int)*panels;
    job->summary->memory_bytes = fixed + state > arranging ? fixed + state : arranging;
    if (fixed + state > limit)
        return trm_fail(
            err, TRM_ERR_MEMORY,
            "the job needs at least %.1f MB a rank, the limit is %.1f MB: give --mem-per-rank %" PRId64
            "M or use more ranks",
            (double)(fixed + state) / 1e6, (double)limit / 1e6, (fixed + state) / 1000000 + 1);
    return TRM_OK;
}

/* ---- one panel ---- */

static trm_status create_state(const trm_job *job, trm_panel *panel,
                               int64_t (*slots)(const trm_job *, int64_t), int sets, bool bounds,
                               trm_state **state, trm_error *err)
{
    panel->offset[0] = 0;
    for (int64_t row = 0; row < job->rows->count; row++)
        panel->offset[row + 1] =
            panel->offset[row] + (row >= panel->first && row < panel->last ? slots(job, row) : 0);
    return trm_agree(job->run->comm,
                     trm_state_create(job->rows->count, panel->offset, sets, bounds, state, err), err);
}

/* Sorts each anchor's positives by (d, id), which are its thresholds. */
static void set_thresholds(const trm_job *job, trm_panel *panel)
{
#pragma omp parallel for schedule(dynamic, 16) num_threads(job->run->threads)
    for (int64_t row = panel->first; row < panel->last; row++) {
        trm_candidate *best = panel->positives->best + panel->positives->offset[row];
        const int64_t slots = panel->positives->offset[row + 1] - panel->positives->offset[row];
        for (int64_t i = 0; i < slots && trm_candidate_exists(best[i]); i++)
            best[i].key = job->policy.sign < 0.0 ? 0.0 - best[i].key : best[i].key;
        if (job->policy.sink.dense)
            qsort(best, (size_t)slots, sizeof *best, trm_candidate_compare);
        double *bound = panel->negatives->bound + panel->negatives->offset[row];
        for (int64_t i = 0; i < pairs_of(job, row); i++)
            bound[i] = best[i].key;
    }
}

static trm_status run_sweeps(trm_job *job, trm_panel *panel, trm_error *err)
{
    double start = trm_clock();
    trm_status status = create_state(job, panel, slots_of, 1, false, &panel->positives, err);
    if (status == TRM_OK)
        status = trm_sweep_run(job->sweep, &job->policy.sink, panel->positives, &job->positives_counts, err);
    if (status == TRM_OK)
        status = create_state(job, panel, pairs_of, job->semihard.sink.sets, true, &panel->negatives, err);
    if (status != TRM_OK)
        return status;
    set_thresholds(job, panel);
    job->positives_s += trm_clock() - start;
    MPI_Barrier(job->run->comm);
    start = trm_clock();
    status = trm_sweep_run(job->sweep, &job->semihard.sink, panel->negatives, &job->counts, err);
    if (status == TRM_OK)
        trm_semihard_finish(&job->semihard, panel->negatives);
    job->negatives_s += trm_clock() - start;
    return status;
}

/* ---- triplets, loss, hash ---- */

/* Pair i of an anchor, to be put in the order of the positives' row ids. */
typedef struct by_positive {
    int64_t id, i;
} by_positive;

static int compare_positives(const void *a, const void *b)
{
    const by_positive *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* What one thread counts; sums are exact and counts are integers, so it does not matter who counted what. */
typedef struct trm_tally {
    int64_t positive_pairs, semihard, fallback, skipped, active;
    trm_exact_sum loss;
    trm_hash_sum hash;
} trm_tally;

static void add_triplet(trm_tally *tally, const trm_triplet *triplet, double margin)
{
    if (triplet->kind == TRM_KIND_SEMIHARD)
        tally->semihard++;
    else
        tally->fallback++;
    trm_hash_sum_add(&tally->hash, triplet, sizeof *triplet);
    if ((triplet->d_ap - triplet->d_an) + margin > 0.0) {
        tally->active++;
        trm_exact_sum_add(&tally->loss, triplet->d_ap);
        trm_exact_sum_add(&tally->loss, -triplet->d_an);
        trm_exact_sum_add(&tally->loss, margin);
    }
}

/* Writes row's triplets, by ascending positive, and returns how many. */
static int64_t anchor_triplets(const trm_job *job, const trm_panel *panel, int64_t row, trm_triplet *out,
                               by_positive *by_id, trm_tally *tally)
{
    const trm_candidate *positive = panel->positives->best + panel->positives->offset[row];
    const int64_t pairs = pairs_of(job, row);
    int64_t count = 0;
    for (int64_t i = 0; i < pairs; i++)
        by_id[i] = (by_positive){positive[i].id, i};
    qsort(by_id, (size_t)pairs, sizeof *by_id, compare_positives);
    for (int64_t k = 0; k < pairs; k++) {
        const int64_t i = by_id[k].i;
        int64_t negative;
        double d_an;
        trm_kind kind;
        if (trm_semihard_answer(&job->semihard, panel->negatives, row, i, &negative, &d_an, &kind))
            out[count++] = (trm_triplet){job->rows->id[row], positive[i].id, negative,
                                         positive[i].key,    d_an,           (int64_t)kind};
    }
    tally->positive_pairs += pairs;
    tally->skipped += pairs - count;
    for (int64_t i = 0; i < count; i++)
        add_triplet(tally, &out[i], job->options->margin);
    return count;
}

static void add_tally(trm_job *job, const trm_tally *tally)
{
    job->positive_pairs += tally->positive_pairs;
    job->semihard_count += tally->semihard;
    job->fallback_count += tally->fallback;
    job->skipped += tally->skipped;
    job->active += tally->active;
    trm_exact_sum_merge(&job->loss, &tally->loss);
    trm_hash_sum_merge(&job->hash, &tally->hash);
}

/* An anchor of this member's, and where its triplets go: room for all its pairs, of which count are used. */
typedef struct order_item {
    int64_t id, row, start, count;
} order_item;

static int compare_ids(const void *a, const void *b)
{
    const order_item *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The triplets of all anchors of order, one after another, gaps closed; returns how many. */
static int64_t fill_triplets(trm_job *job, const trm_panel *panel, order_item *order, int64_t anchors,
                             by_positive *scratch, trm_triplet *triplets)
{
#pragma omp parallel num_threads(job->run->threads)
    {
        trm_tally mine = {.hash = TRM_HASH_SUM_INIT};
#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < anchors; i++)
            order[i].count = anchor_triplets(job, panel, order[i].row, triplets + order[i].start,
                                             scratch + omp_get_thread_num() * job->longest, &mine);
#pragma omp critical(trimine_tally)
        add_tally(job, &mine);
    }
    int64_t count = 0;
    for (int64_t i = 0; i < anchors; i++) {
        if (order[i].start != count)
            memmove(triplets + count, triplets + order[i].start, (size_t)order[i].count * sizeof *triplets);
        count += order[i].count;
    }
    return count;
}

/* Puts this member's part of the panel's triplets together, counts them and hands them on. Collective through
 * emit. */
static trm_status emit_panel(trm_job *job, const trm_panel *panel, trm_error *err)
{
    const double start = trm_clock();
    const trm_rows *rows = job->rows;
    int64_t first, last, pairs = 0;
    trm_share(panel->last - panel->first, rows->member, rows->replicate, &first, &last);
    first += panel->first;
    last += panel->first;
    for (int64_t row = first; row < last; row++)
        pairs += pairs_of(job, row);
    order_item *order = trm_alloc(last - first, sizeof *order);
    trm_triplet *triplets = trm_alloc(pairs, sizeof *triplets);
    by_positive *scratch = trm_alloc(job->run->threads * job->longest, sizeof *scratch);
    trm_status status = TRM_OK;
    if (order == NULL || triplets == NULL || scratch == NULL)
        status = trm_fail_memory(err, "triplets", pairs, sizeof *triplets);
    status = trm_agree(job->run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    for (int64_t row = first; row < last; row++)
        order[row - first] = (order_item){rows->id[row], row, 0, 0};
    qsort(order, (size_t)(last - first), sizeof *order, compare_ids);
    for (int64_t i = 0, at = 0; i < last - first; i++) {
        order[i].start = at;
        at += pairs_of(job, order[i].row);
    }
    const int64_t count = fill_triplets(job, panel, order, last - first, scratch, triplets);
    job->loss_s += trm_clock() - start;
    if (job->emit != NULL)
        status = trm_agree(job->run->comm, job->emit(job->context, triplets, count, err), err);
done:
    trm_free(order);
    trm_free(scratch);
    trm_free(triplets);
    return status;
}

static trm_status run_panel(trm_job *job, int64_t panels, int64_t index, trm_error *err)
{
    trm_panel panel = {0};
    panel_range(job->rows, panels, index, &panel.first, &panel.last);
    panel.offset = trm_alloc(job->rows->count + 1, sizeof *panel.offset);
    trm_status status =
        panel.offset == NULL ? trm_fail_memory(err, "panel", job->rows->count, sizeof *panel.offset) : TRM_OK;
    status = trm_agree(job->run->comm, status, err);
    if (status == TRM_OK)
        status = run_sweeps(job, &panel, err);
    if (status == TRM_OK)
        status = emit_panel(job, &panel, err);
    trm_free(panel.offset);
    trm_state_destroy(&panel.positives);
    trm_state_destroy(&panel.negatives);
    return status;
}

/* ---- totals ---- */

static void count_anchors(const trm_job *job)
{
    const trm_rows *rows = job->rows;
    trm_mine_summary *summary = job->summary;
    int64_t first, last, counts[3] = {0, 0, 0};
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    for (int64_t row = first; row < last; row++)
        counts[rows->class_size[row] < 2 ? 1 : rows->class_size[row] == rows->total ? 2 : 0]++;
    MPI_Allreduce(MPI_IN_PLACE, counts, 3, MPI_INT64_T, MPI_SUM, job->run->comm);
    summary->anchors.total = rows->total;
    summary->anchors.valid = counts[0];
    summary->anchors.no_positive = counts[1];
    summary->anchors.no_negative = counts[2];
    summary->anchors.ignored = rows->store_rows - rows->total;
    summary->classes = rows->classes;
}

static void collect(trm_job *job, trm_mine_part *part)
{
    trm_mine_summary *summary = job->summary;
    MPI_Comm comm = job->run->comm;
    if (part != NULL) {
        int64_t first, last;
        trm_share(job->rows->count, job->rows->member, job->rows->replicate, &first, &last);
        *part = (trm_mine_part){last - first, job->semihard_count + job->fallback_count,
                                trm_exact_sum_value(&job->loss),
                                job->counts.compute_s + job->positives_counts.compute_s,
                                job->counts.wait_s + job->positives_counts.wait_s};
    }
    int64_t sums[] = {job->positive_pairs,
                      job->semihard_count,
                      job->fallback_count,
                      job->skipped,
                      job->active,
                      job->counts.elements,
                      job->counts.survivors,
                      job->counts.float64,
                      job->positives_counts.elements,
                      job->positives_counts.survivors,
                      job->positives_counts.float64};
    MPI_Allreduce(MPI_IN_PLACE, sums, (int)(sizeof sums / sizeof *sums), MPI_INT64_T, MPI_SUM, comm);
    summary->positive_pairs = sums[0];
    summary->triplets.semihard = sums[1];
    summary->triplets.fallback = sums[2];
    summary->triplets.total = sums[1] + sums[2];
    summary->triplets.skipped = sums[3];
    summary->loss.active = sums[4];
    summary->certify.elements = sums[5];
    summary->certify.survivors = sums[6];
    summary->certify.float64 = sums[7];
    summary->certify_positives.elements = sums[8];
    summary->certify_positives.survivors = sums[9];
    summary->certify_positives.float64 = sums[10];
    double seconds[] = {job->rows->arrange_s, job->positives_s, job->negatives_s, job->loss_s};
    MPI_Allreduce(MPI_IN_PLACE, seconds, 4, MPI_DOUBLE, MPI_MAX, comm);
    summary->arrange_s = seconds[0];
    summary->positives_s = seconds[1];
    summary->negatives_s = seconds[2];
    summary->loss_s = seconds[3];
    trm_merge_exact_sum(comm, &job->loss);
    summary->loss.sum = trm_exact_sum_value(&job->loss);
    trm_merge_hash_sum(comm, &job->hash);
    trm_hash_sum_text(&job->hash, summary->result_hash);
}

static trm_status check_options(const trm_mine_options *options, trm_error *err)
{
    if (!(options->margin >= 0.0) || isinf(options->margin))
        return trm_fail(err, TRM_ERR_USAGE, "--margin %g: must be a finite number, 0 or more",
                        options->margin);
    if (options->positives == TRM_POSITIVES_NEAREST && options->nearest < 1)
        return trm_fail(err, TRM_ERR_USAGE, "--positives nearest:%" PRId64 ": must be at least 1",
                        options->nearest);
    return TRM_OK;
}

/* Checks the options, sets up policy and questions, and plans the memory. Collective. */
static trm_status begin(trm_job *job, int64_t *panels, trm_error *err)
{
    const trm_rows *rows = job->rows;
    *job->summary = (trm_mine_summary){0};
    trm_status status = trm_agree(job->run->comm, check_options(job->options, err), err);
    if (status != TRM_OK)
        return status;
    for (int64_t row = 0; row < rows->count; row++)
        if (is_valid(rows, row) && rows->class_size[row] - 1 > job->longest)
            job->longest = rows->class_size[row] - 1;
    MPI_Allreduce(MPI_IN_PLACE, &job->longest, 1, MPI_INT64_T, MPI_MAX, job->run->comm);
    job->policy = trm_positives_policy_of(job->options, job->longest);
    trm_semihard_init(&job->semihard, job->options);
    return trm_agree(job->run->comm, plan(job, panels, err), err);
}

trm_status trm_mine_plan(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                         trm_mine_summary *summary, trm_error *err)
{
    trm_job job = {.run = run, .rows = rows, .options = options, .summary = summary};
    int64_t panels = 1;
    return begin(&job, &panels, err);
}

trm_status trm_mine(trm_run *run, const trm_rows *rows, const trm_mine_options *options, trm_triplet_fn emit,
                    void *context, trm_mine_summary *summary, trm_mine_part *part, trm_error *err)
{
    trm_job job = {
        .run = run, .rows = rows, .options = options, .emit = emit, .context = context, .summary = summary};
    int64_t panels = 1;
    trm_status status = begin(&job, &panels, err);
    if (status == TRM_OK)
        status = trm_sweep_create(run, rows, options->metric, &job.sweep, err);
    for (int64_t index = 0; index < panels && status == TRM_OK; index++)
        status = run_panel(&job, panels, index, err);
    if (status == TRM_OK) {
        count_anchors(&job);
        collect(&job, part);
    }
    trm_sweep_destroy(&job.sweep);
    return status;
}
