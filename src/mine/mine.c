/* The job: panel by panel the thresholds of its anchors, the negatives sweep, the answers.
 *
 * Negatives that are a set are counted so, which lists nothing. Where they are to be listed they are counted first,
 * which says how many slots each anchor needs, and whether there are too many; the job then goes over all panels
 * again. Only this second round is kept in a checkpoint: one that goes on counts anew. What is near a positive is found
 * before all else, too, and anew by a job that goes on. */
#include "trimine/mine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "mine/checkpoint.h"
#include "mine/choice.h"
#include "mine/first_look.h"
#include "mine/mining.h"
#include "mine/near.h"
#include "mine/options.h"
#include "mine/negatives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <omp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct trm_mining {
    trm_run *run;
    trm_run sweeps; /* what the sweeps run with */
    trm_pool pool;
    const trm_rows *rows; /* the anchors' */
    trm_mine_options options;
    trm_anchors anchors;
    trm_negatives negatives;
    trm_query_type listed; /* what the negatives' query becomes where positives are listed */
    trm_sweep *sweep;
    trm_mine_checkpoint checkpoint;
    trm_sweep_counts counts;
    trm_triplet_fn emit;
    void *context;
    trm_mine_summary *summary;
    trm_hash_sum hash;
    double prepare_s, negatives_s, answers_s;
    int64_t positive_pairs, semihard_count, fallback_count, skipped;
    int64_t removed[TRM_FILTERS], short_anchors; /* that answers showed; also an earlier run's */
    int64_t set_size;                            /* this member's part */
    trm_set_size *size;                          /* of each row of the shard, to list a set; else NULL */
    trm_near *near;                              /* of --not-near-positive; else NULL */
};

/* When something began, and what the run had counted then. */
typedef struct moment {
    double time, counted;
} moment;

static moment moment_now(const trm_mining *job)
{
    return (moment){trm_clock(), trm_counter_now(job->run->counter)};
}

/* What began at start and has ended was done for negatives. */
static void add_for_negatives(trm_mining *job, moment start)
{
    const moment end = moment_now(job);
    job->negatives_s += end.time - start.time;
    job->run->counted += end.counted - start.counted;
}

/* ---- triplets, hash ---- */

/* What one thread counts; the hash is a sum and counts are integers, so it does not matter who counted what.
 */
typedef struct trm_tally {
    int64_t positive_pairs, semihard, fallback, skipped;
    int64_t removed[TRM_FILTERS], short_anchors;
    trm_hash_sum hash;
} trm_tally;

static void add_triplet(trm_tally *tally, const trm_triplet *triplet)
{
    if (triplet->kind == TRM_KIND_SEMIHARD)
        tally->semihard++;
    else
        tally->fallback++;
    trm_hash_sum_add(&tally->hash, triplet, offsetof(trm_triplet, rank)); /* all but the rank */
}

/* What a thread puts triplets together with. */
typedef struct trm_scratch {
    trm_candidate *by_id; /* the longest anchor's pairs, twice */
    trm_answer *answer;   /* of a pair */
} trm_scratch;

static int compare_negatives(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    return (x->negative > y->negative) - (x->negative < y->negative);
}

/* Sorts a pair's triplets by ascending negative: a few, and nearly always one; but a set's may be many. */
static void sort_by_negative(trm_triplet *triplet, int64_t count)
{
    enum { FEW = 16 };
    if (count > FEW) {
        qsort(triplet, (size_t)count, sizeof *triplet, compare_negatives);
        return;
    }
    for (int64_t i = 1; i < count; i++) {
        const trm_triplet one = triplet[i];
        int64_t at = i;
        for (; at > 0 && triplet[at - 1].negative > one.negative; at--)
            triplet[at] = triplet[at - 1];
        triplet[at] = one;
    }
}

/* Writes row's triplets, by ascending positive and negative, and returns how many. */
static int64_t anchor_triplets(const trm_mining *job, const trm_panel *panel, int64_t row, trm_triplet *out,
                               const trm_scratch *scratch, trm_tally *tally)
{
    const trm_negatives *negatives = &job->negatives;
    const int64_t pairs = trm_anchors_pairs(&job->anchors, row);
    const trm_candidate *pair = pairs > 0 ? trm_panel_pairs(panel, row) : NULL;
    int64_t count = 0, least = job->anchors.each;
    trm_candidate *by_id = scratch->by_id; /* its key the positive's row id, which a double holds */
    for (int64_t i = 0; i < pairs; i++)
        by_id[i] = (trm_candidate){(double)pair[i].id, i};
    trm_candidates_sort(by_id, pairs, by_id + job->anchors.longest);
    for (int64_t k = 0; k < pairs; k++) {
        const int64_t i = by_id[k].id;
        const int64_t found =
            negatives->policy->answer(negatives, panel->negatives, row, pair, i, scratch->answer);
        for (int64_t j = 0; j < found; j++)
            out[count + j] = (trm_triplet){job->rows->id[row],
                                           pair[i].id,
                                           scratch->answer[j].id,
                                           pair[i].key,
                                           scratch->answer[j].d,
                                           (int64_t)scratch->answer[j].kind,
                                           j + 1};
        sort_by_negative(out + count, found);
        count += found;
        tally->skipped += found == 0;
        least = found < least ? found : least;
    }
    tally->positive_pairs += pairs;
    if (pairs > 0 && negatives->policy->removed != NULL)
        negatives->policy->removed(negatives, panel->negatives, row, tally->removed);
    if (trm_negatives_ask_for_many(negatives->policy))
        tally->short_anchors += least < job->anchors.each;
    for (int64_t i = 0; i < count; i++)
        add_triplet(tally, &out[i]);
    return count;
}

static void add_tally(trm_mining *job, const trm_tally *tally)
{
    job->positive_pairs += tally->positive_pairs;
    job->semihard_count += tally->semihard;
    job->fallback_count += tally->fallback;
    job->skipped += tally->skipped;
    job->short_anchors += tally->short_anchors;
    for (int f = 0; f < TRM_FILTERS; f++)
        job->removed[f] += tally->removed[f];
    trm_hash_sum_merge(&job->hash, &tally->hash);
}

/* An anchor of this member's, and where its triplets go: room for all its pairs, of which count are used. */
typedef struct order_item {
    int64_t row, start, count;
} order_item;

/* Anchors first to last of the panel by ascending row id. NULL: no memory. *room: for the triplets of all. */
static order_item *order_anchors(const trm_mining *job, const trm_panel *panel, int64_t first, int64_t last,
                                 int64_t *room)
{
    const int64_t count = last - first;
    order_item *order = trm_alloc(count, sizeof *order);
    trm_candidate *by_id = trm_alloc(2 * count, sizeof *by_id); /* its key the row id, which a double holds */
    *room = 0;
    if (order != NULL && by_id != NULL) {
        for (int64_t k = 0; k < count; k++) {
            const int64_t row = panel->row[first + k];
            by_id[k] = (trm_candidate){(double)job->rows->id[row], row};
        }
        trm_candidates_sort(by_id, count, by_id + count);
        for (int64_t i = 0; i < count; i++) {
            order[i] = (order_item){by_id[i].id, *room, 0};
            *room += trm_anchors_triplets(&job->anchors, by_id[i].id);
        }
    } else {
        trm_free(order);
        order = NULL;
    }
    trm_free(by_id);
    return order;
}

/* The triplets of all anchors of order, one after another, gaps closed; returns how many. */
static int64_t fill_triplets(trm_mining *job, const trm_panel *panel, order_item *order, int64_t anchors,
                             const trm_scratch *scratch, trm_triplet *triplets)
{
#pragma omp parallel num_threads(job->run->threads)
    {
        trm_tally mine = {.hash = TRM_HASH_SUM_INIT};
        const int thread = omp_get_thread_num();
        const trm_scratch own = {scratch->by_id + 2 * thread * job->anchors.longest,
                                 scratch->answer + thread * job->anchors.each};
#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < anchors; i++)
            order[i].count =
                anchor_triplets(job, panel, order[i].row, triplets + order[i].start, &own, &mine);
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

static trm_status emit_triplets(trm_mining *job, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_status status = job->emit != NULL ? job->emit(job->context, triplets, count, err) : TRM_OK;
    return trm_agree(job->run->comm, status, err); /* emit may be NULL on some ranks */
}

/* What an earlier run found. A trm_mine_checkpoint_fn. */
static trm_status take_kept(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_mining *job = context;
    trm_tally tally = {.hash = TRM_HASH_SUM_INIT};
    for (int64_t i = 0; i < count; i++) {
        add_triplet(&tally, &(*triplets)[i]);
        tally.skipped -= (*triplets)[i].rank == 1; /* a pair that was not */
    }
    add_tally(job, &tally);
    return emit_triplets(job, triplets, count, err);
}

/* The finished anchors of an earlier run, with and without triplets. */
static trm_status replay(trm_mining *job, trm_error *err)
{
    int64_t first, last;
    trm_share(job->rows->count, job->rows->member, job->rows->replicate, &first, &last);
    for (int64_t row = first; row < last; row++) {
        if (job->anchors.panel_of[row] != TRM_PANEL_FINISHED)
            continue;
        job->positive_pairs += trm_anchors_pairs(&job->anchors, row);
        job->skipped += trm_anchors_pairs(&job->anchors, row);
    }
    return trm_mine_checkpoint_replay(&job->checkpoint, take_kept, job, err);
}

/* Puts this member's part of the panel's triplets together, counts them and hands them on. Collective through
 * emit. */
static trm_status emit_panel(trm_mining *job, const trm_panel *panel, trm_error *err)
{
    const double start = trm_clock();
    const int64_t threads = job->run->threads;
    int64_t first, last, room;
    trm_panel_share(&job->anchors, panel, &first, &last);
    order_item *order = order_anchors(job, panel, first, last, &room);
    trm_triplet *triplets = trm_alloc(room, sizeof *triplets);
    trm_scratch scratch = {trm_alloc(2 * threads * job->anchors.longest, sizeof *scratch.by_id),
                           trm_alloc(threads * job->anchors.each, sizeof *scratch.answer)};
    trm_status status = TRM_OK;
    if (order == NULL || triplets == NULL || scratch.by_id == NULL || scratch.answer == NULL)
        status = trm_fail_memory(err, "triplets", room, sizeof *triplets);
    status = trm_agree(job->run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    const int64_t count = fill_triplets(job, panel, order, last - first, &scratch, triplets);
    triplets = trm_shrink(triplets, count, sizeof *triplets);
    job->answers_s += trm_clock() - start;
    status = trm_mine_checkpoint_answered(&job->checkpoint, triplets, count, err);
    if (status == TRM_OK)
        status = emit_triplets(job, &triplets, count, err);
done:
    trm_free(order);
    trm_free(scratch.by_id);
    trm_free(scratch.answer);
    trm_free(triplets);
    return status;
}

/* Adds up what the panel's anchors get of a set; every member of a team knows it of all of them. */
static void count_panel(trm_mining *job, const trm_panel *panel)
{
    const trm_negatives *negatives = &job->negatives;
    int64_t first, last;
    trm_panel_share(&job->anchors, panel, &first, &last);
    for (int64_t k = 0; k < panel->count; k++) {
        const int64_t row = panel->row[k], pairs = trm_anchors_pairs(&job->anchors, row);
        const bool mine = k >= first && k < last;
        if (pairs == 0 || (!mine && job->size == NULL))
            continue;
        const trm_set_size size =
            negatives->policy->size(negatives, panel->negatives, row, trm_panel_pairs(panel, row), pairs,
                                    trm_pool_there(&job->pool, row).negatives);
        job->set_size += mine ? size.triplets : 0;
        job->positive_pairs += mine ? pairs : 0;
        if (job->size != NULL)
            job->size[row] = size;
    }
}

/* Is this round for counting a set? */
static bool counts(const trm_mining *job)
{
    return job->negatives.policy->size != NULL && job->anchors.size == NULL;
}

static trm_status run_panel(trm_mining *job, int64_t index, trm_error *err)
{
    trm_panel panel;
    trm_status status = trm_mine_checkpoint_open(&job->checkpoint, index, &panel, err);
    if (status == TRM_OK) {
        MPI_Barrier(job->run->comm);
        const moment start = moment_now(job);
        status = job->near != NULL && trm_near_looked(job->near)
                     ? trm_first_look_finish(&job->anchors, job->near, &panel, job->sweep, &job->counts, err)
                     : trm_mine_checkpoint_sweep(&job->checkpoint, err);
        add_for_negatives(job, start);
    }
    if (status == TRM_OK && counts(job)) {
        count_panel(job, &panel);
        if (job->size == NULL) /* else the panels to set aside are yet to come */
            status = trm_mine_checkpoint_answered(&job->checkpoint, NULL, 0, err);
    } else if (status == TRM_OK) {
        status = emit_panel(job, &panel, err);
    }
    trm_panel_close(&panel);
    return status;
}

/* ---- totals ---- */

enum { TOTAL_SHORT = TRM_TALLY_WORDS + TRM_FILTERS, TOTAL_SET, TOTALS };

/* This rank's tally of its sweeps, and what answers showed. */
static void give_totals(void *context, int64_t *words)
{
    const trm_mining *job = context;
    trm_sweep_tally(job->sweep, words);
    for (int f = 0; f < TRM_FILTERS; f++)
        words[TRM_TALLY_WORDS + f] = job->removed[f];
    words[TOTAL_SHORT] = job->short_anchors;
    words[TOTAL_SET] = job->size == NULL ? job->set_size : 0; /* to be listed it is counted anew */
}

static void take_totals(void *context, const int64_t *words)
{
    trm_mining *job = context;
    trm_sweep_add_tally(job->sweep, words);
    for (int f = 0; f < TRM_FILTERS; f++)
        job->removed[f] += words[TRM_TALLY_WORDS + f];
    job->short_anchors += words[TOTAL_SHORT];
    job->set_size += words[TOTAL_SET];
}

/* Pairs of an anchor and a negative, on this rank. */
static int64_t candidates_of(const trm_mining *job)
{
    int64_t first, last, candidates = 0;
    trm_share(job->rows->count, job->rows->member, job->rows->replicate, &first, &last);
    for (int64_t row = first; row < last; row++)
        if (trm_anchors_pairs(&job->anchors, row) > 0)
            candidates += trm_pool_there(&job->pool, row).negatives;
    return candidates;
}

static void collect_filters(trm_mining *job)
{
    const trm_negatives *negatives = &job->negatives;
    int64_t words[TOTALS + 1];
    give_totals(job, words);
    words[TOTALS] = candidates_of(job);
    MPI_Allreduce(MPI_IN_PLACE, words, TOTALS + 1, MPI_INT64_T, MPI_SUM, job->run->comm);
    int64_t *const removed = job->summary->filters.removed;
    memcpy(removed, words + TRM_TALLY_WORDS, sizeof job->summary->filters.removed);
    job->summary->filters.short_anchors = words[TOTAL_SHORT];
    if (negatives->policy->removed_in_sweeps != NULL)
        negatives->policy->removed_in_sweeps(negatives, words, words[TOTALS], removed);
}

void trm_mine_count_anchors(const trm_run *run, const trm_rows *rows, trm_mine_summary *summary)
{
    const trm_pool pool = trm_pool_of_one(run, rows);
    trm_pool_count_anchors(&pool, summary);
}

static void collect(trm_mining *job, trm_mine_part *part)
{
    trm_mine_summary *summary = job->summary;
    MPI_Comm comm = job->run->comm;
    if (part != NULL) {
        int64_t first, last;
        trm_share(job->rows->count, job->rows->member, job->rows->replicate, &first, &last);
        *part = (trm_mine_part){last - first, job->semihard_count + job->fallback_count,
                                job->counts.compute_s + job->anchors.counts.compute_s,
                                job->counts.wait_s + job->anchors.counts.wait_s};
    }
    int64_t sums[] = {job->positive_pairs,
                      job->semihard_count,
                      job->fallback_count,
                      job->skipped,
                      job->counts.elements,
                      job->counts.survivors,
                      job->counts.float64,
                      job->anchors.counts.elements,
                      job->anchors.counts.survivors,
                      job->anchors.counts.float64,
                      job->counts.stage_survivors[0],
                      job->counts.stage_survivors[1],
                      job->anchors.counts.stage_survivors[0],
                      job->anchors.counts.stage_survivors[1]};
    MPI_Allreduce(MPI_IN_PLACE, sums, (int)(sizeof sums / sizeof *sums), MPI_INT64_T, MPI_SUM, comm);
    collect_filters(job);
    summary->reused = trm_sum_int64(comm, job->checkpoint.reused);
    summary->set_size = trm_sum_int64(comm, job->set_size);
    summary->positive_pairs = sums[0];
    summary->triplets.semihard = sums[1];
    summary->triplets.fallback = sums[2];
    summary->triplets.total = sums[1] + sums[2];
    summary->triplets.skipped = job->negatives.policy->most != NULL ? sums[3] : 0;
    summary->certify.elements = sums[4];
    summary->certify.survivors = sums[5];
    summary->certify.float64 = sums[6];
    summary->certify_positives.elements = sums[7];
    summary->certify_positives.survivors = sums[8];
    summary->certify_positives.float64 = sums[9];
    for (int i = 0; i < TRM_STAGES; i++) {
        summary->stages.after[i] = sums[10 + i];
        summary->stages_positives.after[i] = sums[10 + TRM_STAGES + i];
    }
    trm_sweep_chains(job->sweep, &job->counts, summary->chains);
    const double arranging =
        job->pool.store->arrange_s + (trm_pool_is_one_set(&job->pool) ? 0.0 : job->rows->arrange_s);
    double seconds[] = {arranging, job->anchors.seconds, job->negatives_s, job->answers_s, job->prepare_s};
    MPI_Allreduce(MPI_IN_PLACE, seconds, 5, MPI_DOUBLE, MPI_MAX, comm);
    summary->arrange_s = seconds[0];
    summary->positives_s = seconds[1];
    summary->negatives_s = seconds[2];
    summary->answers_s = seconds[3];
    summary->prepare_s = seconds[4];
    trm_merge_hash_sum(comm, &job->hash);
    trm_hash_sum_text(&job->hash, summary->result_hash);
}

/* The negatives' query of two sets with a list asks for what is not in it, and has the list of each anchor. */
static void take_lists(trm_mining *job)
{
    trm_query_type *type = &job->listed;
    if (!trm_pool_is_listed(&job->pool) || job->negatives.query.type == type)
        return;
    *type = *job->negatives.query.type;
    type->relation = job->pool.relation;
    type->listed = true;
    type->field[type->fields++] =
        (trm_field){"listed positives", TRM_FIELD_GIVEN, type->shapes++, sizeof(int64_t), NULL};
    job->negatives.query.type = type;
}

/* Collective. */
static trm_status plan(trm_mining *job, int64_t each, trm_error *err)
{
    take_lists(job);
    trm_status status = trm_anchors_init(&job->anchors, &job->sweeps, &job->pool, &job->options,
                                         &job->negatives.query, each, job->size, job->near, true, err);
    const int64_t peak = job->near != NULL ? trm_near_peak_bytes(job->near) : 0;
    job->summary->panels = (int)job->anchors.panels;
    job->summary->memory_bytes = peak > job->anchors.memory_bytes ? peak : job->anchors.memory_bytes;
    return status;
}

/* Checks the options, sets up policy and questions, and plans the memory. Collective. */
static trm_status begin(trm_mining *job, const trm_mine_options *given, trm_error *err)
{
    const trm_mine_options *options = &job->options;
    trm_arguments list = {.count = 0};
    *job->summary = (trm_mine_summary){0};
    trm_status status = trm_mine_options_take(&job->options, given, err);
    if (status == TRM_OK)
        status = trm_rows_check_metric(job->pool.store, options->metric, err);
    if (status == TRM_OK && options->queries != NULL)
        status = trm_rows_check_metric(options->queries, options->metric, err);
    trm_mine_arguments(&list, options);
    status = trm_arguments_agree(job->run->comm, &list, status, err);
    if (status == TRM_OK)
        status = trm_negatives_check(options, err); /* equal on all ranks now */
    if (status != TRM_OK)
        return status;
    status = trm_pool_create(&job->pool, job->run, job->pool.store, options, err);
    if (status != TRM_OK)
        return status;
    job->rows = job->pool.anchors;
    job->sweeps = trm_run_for_sweeps(job->run, trm_negatives_take_every_pair(options));
    job->pool.run = &job->sweeps;
    /* a query without a positive may get the whole store, and still be short of the number asked for */
    const int64_t most = job->pool.store->total + (options->queries != NULL);
    trm_negatives_choose(&job->negatives, options, most, job->rows->dim);
    const trm_negatives_policy *policy = job->negatives.policy;
    trm_filters_set_shortlist(&job->negatives.filters,
                              policy->most != NULL ? policy->most(&job->negatives) : 0,
                              trm_pool_most_positives(&job->pool));
    return plan(job, policy->most != NULL ? policy->most(&job->negatives) : 0, err);
}

trm_status trm_mining_create(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                             trm_mine_summary *summary, trm_mining **mining, trm_error *err)
{
    trm_mining *job = *mining = trm_alloc(1, sizeof **mining);
    trm_status status = job == NULL ? trm_fail_memory(err, "a job", 1, sizeof *job) : TRM_OK;
    *summary = (trm_mine_summary){0};
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(job);
        *mining = NULL;
        return status;
    }
    *job = (trm_mining){.run = run, .pool = trm_pool_of_one(run, rows), .rows = rows, .summary = summary};
    return begin(job, options, err);
}

void trm_mining_travel(const trm_mining *mining, int64_t *visit, int64_t *home)
{
    trm_anchors_travel(&mining->anchors, visit, home);
}

void trm_mining_destroy(trm_mining **mining)
{
    trm_mining *job = *mining;
    if (job == NULL)
        return;
    trm_sweep_destroy(&job->sweep);
    trm_anchors_destroy(&job->anchors);
    trm_pool_free(&job->pool);
    trm_free(job->size);
    trm_near_destroy(&job->near);
    trm_free(job);
    *mining = NULL;
}

trm_status trm_mine_plan(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                         trm_mine_summary *summary, trm_error *err)
{
    trm_mining *job = NULL;
    trm_status status = trm_mining_create(run, rows, options, summary, &job, err);
    trm_mining_destroy(&job);
    return status;
}

/* All panels: panel by panel its triplets, or where it counts, their number. */
static trm_status run_panels(trm_mining *job, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t index = 0; index < job->anchors.panels && status == TRM_OK; index++)
        status = run_panel(job, index, err);
    return status;
}

/* Counts a set that is to be listed, what each anchor gets of it and all of it; refuses too many. */
static trm_status count_set(trm_mining *job, trm_error *err)
{
    trm_mine_checkpoint_init_without(&job->checkpoint, &job->anchors, job->sweep, &job->counts);
    job->size = trm_alloc_zero(job->rows->count, sizeof *job->size);
    trm_status status =
        job->size == NULL ? trm_fail_memory(err, "counts", job->rows->count, sizeof *job->size) : TRM_OK;
    status = trm_agree(job->run->comm, status, err);
    if (status == TRM_OK)
        status = run_panels(job, err);
    if (status != TRM_OK)
        return status;
    const int64_t found = trm_sum_int64(job->run->comm, job->set_size);
    job->positive_pairs = 0; /* they are counted again */
    return trm_negatives_check_listed(&job->options, found, err);
}

/* Plans again for listing what was counted. */
static trm_status plan_listing(trm_mining *job, trm_error *err)
{
    int64_t each = 1;
    for (int64_t row = 0; row < job->rows->count; row++)
        each = job->size[row].negatives > each ? job->size[row].negatives : each;
    MPI_Allreduce(MPI_IN_PLACE, &each, 1, MPI_INT64_T, MPI_MAX, job->run->comm);
    trm_anchors_destroy(&job->anchors);
    job->negatives.query.type = job->negatives.policy->listing;
    return plan(job, each, err);
}

/* How many of its negatives each anchor is to find while what is near positives is found: of one set, whose anchors are the
 * same rows, if there is memory for all anchors at once. A job that is kept does not: its sweeps can go on, and that one can't. */
static int64_t first_look(const trm_mining *job)
{
    const trm_checkpoint *place = job->run->checkpoint;
    return trm_pool_is_one_set(&job->pool) && !job->options.lone && job->anchors.panels <= 1 &&
                   (place == NULL || place->save == NULL)
               ? trm_choice_first_look(&job->negatives)
               : 0;
}

/* Finds what is near a positive, and plans again with it. Of two sets that takes a sweep of the store with itself, before
 * there is any other. */
static trm_status find_near(trm_mining *job, trm_error *err)
{
    const trm_pool *pool = &job->pool;
    const moment start = moment_now(job);
    trm_sweep *of_store = NULL;
    trm_status status = trm_pool_is_one_set(pool) ? TRM_OK
                                                  : trm_sweep_create(job->run, pool->store, NULL,
                                                                     job->options.metric, &of_store, err);
    if (status == TRM_OK) {
        const trm_near_task task = {job->run,
                                    pool,
                                    of_store != NULL ? of_store : job->sweep,
                                    job->negatives.filters.bound[TRM_FILTER_NOT_NEAR_POSITIVE],
                                    job->options.reserve,
                                    first_look(job)};
        status = trm_near_find(&task, &job->counts, &job->near, err);
    }
    trm_sweep_destroy(&of_store);
    add_for_negatives(job, start);
    if (status != TRM_OK)
        return status;
    const int64_t each = job->anchors.each;
    trm_error unheard = TRM_ERROR_INIT;
    trm_anchors_destroy(&job->anchors);
    if (trm_near_looked(job->near)) {
        if (plan(job, each, &unheard) == TRM_OK && job->anchors.panels <= 1)
            return TRM_OK;
        trm_near_forget_nearest(job->near); /* and with panels, or not at all */
        trm_anchors_destroy(&job->anchors);
    }
    return plan(job, each, err);
}

static trm_status prepare(trm_mining *job, trm_error *err)
{
    const double start = trm_clock();
    trm_status status = trm_pool_sweep_create(&job->pool, job->options.metric, &job->sweep, err);
    job->prepare_s = trm_clock() - start;
    return status;
}

trm_status trm_mining_run(trm_mining *job, trm_triplet_fn emit, void *context, trm_mine_summary *summary,
                          trm_mine_part *part, trm_error *err)
{
    const bool lists = job->negatives.policy->size != NULL && job->options.emit_sets;
    job->emit = emit;
    job->context = context;
    job->summary = summary;
    *summary =
        (trm_mine_summary){.panels = (int)job->anchors.panels, .memory_bytes = job->anchors.memory_bytes};
    const bool near = trm_filters_has(&job->negatives.filters, TRM_FILTER_NOT_NEAR_POSITIVE),
               one_set = trm_pool_is_one_set(&job->pool);
    trm_status status = near && !one_set ? find_near(job, err) : TRM_OK;
    if (status == TRM_OK)
        status = prepare(job, err);
    if (status == TRM_OK && lists)
        status = count_set(job, err);
    if (status == TRM_OK && lists)
        status = plan_listing(job, err);
    if (status == TRM_OK && near && one_set)
        status = find_near(job, err);
    if (status == TRM_OK)
        status = trm_mine_checkpoint_init(&job->checkpoint, &job->anchors, job->sweep, &job->counts,
                                          (trm_totals){TOTALS, give_totals, take_totals, job}, err);
    summary->panels = (int)job->anchors.panels;
    if (status == TRM_OK)
        status = replay(job, err);
    if (status == TRM_OK)
        status = run_panels(job, err);
    if (status == TRM_OK) {
        trm_pool_count_anchors(&job->pool, summary);
        collect(job, part);
        trm_sweep_destroy(&job->sweep); /* so plans the caller: what it does next has this memory */
    }
    return status;
}

trm_status trm_mine(trm_run *run, const trm_rows *rows, const trm_mine_options *options, trm_triplet_fn emit,
                    void *context, trm_mine_summary *summary, trm_mine_part *part, trm_error *err)
{
    trm_mining *job = NULL;
    trm_status status = trm_mining_create(run, rows, options, summary, &job, err);
    if (status == TRM_OK)
        status = trm_mining_run(job, emit, context, summary, part, err);
    trm_mining_destroy(&job);
    return status;
}
