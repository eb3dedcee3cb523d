/* A loss over a store: brings its source of triplets together with sums, reduction and gradient. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/sized.h"
#include "loss/batch_all.h"
#include "loss/evaluation.h"
#include "loss/options.h"
#include "loss/pairs.h"
#include "loss/queries.h"
#include "loss/reduction.h"
#include "loss/term.h"
#include "loss/triplets.h"
#include "mine/batches.h"
#include "mine/mining.h"
#include "mine/negatives.h"
#include "mine/options.h"
#include "mine/pool.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "rows/rows.h"
#include "sweep/sweep.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

struct trm_evaluation {
    trm_run *run;
    const trm_rows *rows;
    trm_evaluate_options options;
    bool wants_gradient; /* as any rank does */
    trm_mine_summary planned;
    /* what runs, by its plan; of triplets that are given, or mined in batches, neither */
    trm_mining *mining;
    trm_batch_all *batch_all;
    /* while it runs */
    const trm_batch *batch;
    float *gradient, *queries_gradient; /* the caller's */
    int given_by_any;                   /* norms, as bits */
    trm_given *given, *queries;         /* queries NULL: one set */
    trm_triplet_loss *loss;
    trm_triplet_fn emit;
    void *context;
    double loss_s, gradient_s;
};

/* What any rank gave, and so all with rows have to. */
enum { NORMS = 1, QUERIES_NORMS = 2 };

static const trm_sized sized = {
    .name = "trm_evaluate_options",
    .size = sizeof(trm_evaluate_options),
    .parts = 2,
    .part = {{".mine", offsetof(trm_evaluate_options, mine), sizeof(trm_mine_options)},
             {".loss", offsetof(trm_evaluate_options, loss), sizeof(trm_loss_options)}}};

void trm_evaluate_options_init_sized(trm_evaluate_options *options, size_t size, size_t mine_size,
                                     size_t loss_size)
{
    trm_evaluate_options own = {.size = sizeof own, .source = TRM_SOURCE_MINED};
    trm_mine_options_init(&own.mine);
    trm_loss_options_init(&own.loss);
    trm_sized_give(&sized, &own, options, (const size_t[]){size, mine_size, loss_size});
}

/* The caller's options, over the defaults. */
static trm_status take_options(trm_evaluate_options *own, const trm_evaluate_options *given, trm_error *err)
{
    trm_evaluate_options_init(own);
    return trm_sized_take(&sized, own, given, err);
}

static bool is_whole_store(trm_source source)
{
    return source == TRM_SOURCE_BATCH_ALL || source == TRM_SOURCE_WITHIN;
}

/* Do rows as they are given come past each rank? */
static bool walks_over_rows(const trm_evaluate_options *options, bool gradient)
{
    return gradient || options->loss.swap || options->source == TRM_SOURCE_GIVEN;
}

static bool looks_at_rows(const trm_evaluate_options *options, bool gradient)
{
    return walks_over_rows(options, gradient) || options->batches != NULL;
}

static trm_mine_options mine_options_of(const trm_evaluate_options *options)
{
    trm_mine_options mine = options->mine;
    mine.metric = options->loss.metric;
    if (options->source == TRM_SOURCE_BATCH_HARD) {
        mine.positives = "hardest";
        mine.negatives = "hard";
        mine.lone = options->lone;
        trm_filters_drop(&mine);
    }
    return mine;
}

/* ---- memory ---- */

/* The most that this rank could get of a set, whose size nobody knows yet. */
static int64_t set_triplets(const trm_pool *pool, const trm_mine_options *mine)
{
    double all = 0.0; /* may be past int64_t */
    trm_positives positives;
    trm_positives_choose(&positives, mine, INT64_MAX);
    for (int64_t i = 0; i < pool->anchors->count && mine->emit_sets; i++) {
        const trm_there there = trm_pool_there(pool, i);
        all += (double)trm_positives_pairs(&positives, there.positives) * (double)there.negatives;
    }
    return all < (double)mine->max_triplets ? (int64_t)all : mine->emit_sets ? mine->max_triplets : 0;
}

static int64_t mined_triplets(const trm_pool *pool, const trm_mine_options *mine)
{
    if (trm_negatives_are_set(mine))
        return set_triplets(pool, mine);
    const int64_t each = trm_negatives_most(mine, pool->store->total);
    trm_positives positives;
    trm_positives_choose(&positives, mine, INT64_MAX);
    int64_t most = 0;
    for (int t = 0; t < trm_rows_shards_here(pool->anchors); t++) {
        int64_t from, to, pairs = 0;
        trm_rows_shard_here(pool->anchors, t, &from, &to);
        for (int64_t i = from; i < to; i++)
            pairs += trm_positives_pairs(&positives, trm_pool_there(pool, i).positives);
        most = pairs > most ? pairs : most;
    }
    return most * each / pool->anchors->replicate;
}

int64_t trm_evaluate_triplets(const trm_run *run, const trm_rows *rows, const trm_evaluate_options *given)
{
    trm_evaluate_options own;
    if (take_options(&own, given, NULL) != TRM_OK)
        trm_evaluate_options_init(&own);
    const trm_evaluate_options *options = &own;
    const trm_mine_options mine = mine_options_of(options);
    if (options->source == TRM_SOURCE_GIVEN)
        return options->given.count;
    if (options->batches != NULL)
        return trm_batches_triplets(options->batches, &mine);
    if (is_whole_store(options->source))
        return 0;
    trm_pool pool;
    trm_error unheard = TRM_ERROR_INIT; /* what is wrong with the sets, the plan says */
    const trm_status status = trm_pool_create(&pool, run, rows, &mine, &unheard);
    const int64_t triplets = status == TRM_OK ? mined_triplets(&pool, &mine) : 0;
    trm_pool_free(&pool);
    return triplets;
}

int64_t trm_evaluate_bytes(const trm_run *run, const trm_rows *rows, const trm_batch *batch,
                           const trm_evaluate_options *given, bool gradient)
{
    trm_evaluate_options own;
    if (take_options(&own, given, NULL) != TRM_OK)
        trm_evaluate_options_init(&own);
    const trm_evaluate_options *options = &own;
    const int64_t dim = rows->dim, row = dim * (int64_t)sizeof(float);
    const int64_t all = batch->count + (options->queries != NULL ? options->queries->count : 0);
    int64_t bytes = all * 24; /* labels and norms */
    if (looks_at_rows(options, gradient) || batch->embeddings != NULL)
        bytes += all * row;
    if (walks_over_rows(options, gradient))
        bytes += trm_given_walk_bytes(rows->dim);
    int64_t sums = gradient ? all * 3 * row : 0; /* in float64, and rounded */
    if (gradient && is_whole_store(options->source)) {
        sums += trm_rows_shard_count(rows) / rows->replicate * 2 * row;
    } else if (gradient && options->batches == NULL && options->queries == NULL &&
               options->source !=
                   TRM_SOURCE_GIVEN) { /* they come when the sweeps have given their memory back */
        const int64_t shard = trm_rows_shard_count(rows);
        const trm_mine_options mine = mine_options_of(options);
        const trm_run sweeps = trm_run_for_sweeps(run, trm_negatives_take_every_pair(&mine));
        sums -= trm_sweep_bytes(&sweeps, rows, shard, NULL, 0) - shard * trm_rows_bytes_per_row(rows->dim);
    }
    bytes += sums > 0 ? sums : 0;
    if (gradient && !is_whole_store(options->source))
        bytes += trm_triplet_loss_bytes(trm_evaluate_triplets(run, rows, options));
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, run->comm);
    return bytes;
}

enum { GIVEN_A_ROUND = 1 << 18 };

/* The list, and a round of it: triplets, their pairs, and those sent and received to be measured. */
static trm_status plan_given(const trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                             trm_mine_summary *mined, trm_error *err)
{
    const trm_rows *queries = options->mine.queries;
    const int64_t round = options->given.count < GIVEN_A_ROUND ? options->given.count : GIVEN_A_ROUND;
    const int64_t list = options->given.count * 3 * (int64_t)sizeof(int64_t);
    const int64_t held = rows->count + (queries != NULL ? queries->count : 0);
    int64_t bytes = held * trm_rows_bytes_per_row(rows->dim) + options->mine.reserve + list +
                    round * (int64_t)(sizeof(trm_triplet) + 6 * sizeof(trm_pair));
    int64_t arranging = rows->arrange_bytes;
    if (queries != NULL && queries->arrange_bytes > arranging)
        arranging = queries->arrange_bytes;
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, run->comm);
    mined->panels = 1;
    mined->memory_bytes = bytes > arranging ? bytes : arranging;
    const int64_t need = rows->sorted != NULL ? mined->memory_bytes : bytes; /* arranging is yet to come */
    return need <= run->mem_per_rank ? TRM_OK : trm_run_refuse(run, "the job needs at least", need, err);
}

/* Do labels say nothing about given triplets, and no pairs either? */
static bool is_given_by_name(const trm_evaluate_options *options, const trm_rows *rows)
{
    return options->source == TRM_SOURCE_GIVEN && rows->by_id && options->mine.pairs == NULL;
}

/* Anchors and classes of two sets, as mining would count them. Collective. */
static trm_status count_queries(const trm_run *run, const trm_rows *rows, const trm_mine_options *mine,
                                trm_mine_summary *mined, trm_error *err)
{
    trm_pool pool;
    trm_status status = trm_pool_create(&pool, run, rows, mine, err);
    if (status == TRM_OK)
        trm_pool_count_anchors(&pool, mined);
    trm_pool_free(&pool);
    return status;
}

/* Batches are for mined triplets, on all ranks or on none. Collective. */
static trm_status check_batches(const trm_run *run, const trm_evaluate_options *options, trm_status local,
                                trm_error *err)
{
    const trm_batches *batches = options->batches;
    const bool any = trm_arguments_any(run->comm, batches != NULL) != 0;
    if (local != TRM_OK || !any)
        return local;
    if (batches == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "batches NULL on rank %d: given elsewhere", run->rank);
    if (options->source != TRM_SOURCE_MINED)
        return trm_fail(err, TRM_ERR_USAGE, "batches: only for TRM_SOURCE_MINED");
    if (batches->count < 0 || (batches->count > 0 && (batches->start == NULL || batches->row == NULL)))
        return trm_fail(err, TRM_ERR_USAGE, "batches.count %" PRId64 ": needs start and row", batches->count);
    return TRM_OK;
}

/* The options, their agreement, and what the caller found (local). Collective. */
static trm_status check_options(const trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                                trm_status local, trm_error *err)
{
    const trm_mine_options mine = mine_options_of(options);
    trm_arguments list = {.count = 0};
    trm_arguments_enum(&list, "source", trm_source_words.type, options->source,
                       (unsigned)trm_words_last(&trm_source_words));
    trm_arguments_whole(&list, "lone", options->lone, 0, 1);
    list.owner = "loss.";
    trm_loss_arguments(&list, &options->loss);
    list.owner = "mine.";
    trm_mine_arguments(&list, &mine);
    if (local == TRM_OK)
        local = trm_rows_check_metric(rows, options->loss.metric, err);
    if (local == TRM_OK && mine.queries != NULL)
        local = trm_rows_check_metric(mine.queries, options->loss.metric, err);
    local = check_batches(run, options, local, err);
    local = trm_queries_check_options(run, rows, options, local, err);
    return trm_arguments_agree(run->comm, &list, local, err);
}

static trm_status plan(trm_evaluation *e, trm_error *err)
{
    const trm_evaluate_options *options = &e->options;
    const trm_mine_options mine = mine_options_of(options);
    if (is_whole_store(options->source))
        return trm_batch_all_create(e->run, e->rows, &options->loss,
                                    options->source == TRM_SOURCE_WITHIN ? &options->mine.margin : NULL,
                                    mine.reserve, e->wants_gradient, &e->planned, &e->batch_all, err);
    if (options->source == TRM_SOURCE_GIVEN) {
        trm_status status = plan_given(e->run, e->rows, options, &e->planned, err);
        if (status == TRM_OK && mine.queries != NULL && !is_given_by_name(options, e->rows))
            status = count_queries(e->run, e->rows, &mine, &e->planned, err);
        return status;
    }
    if (options->batches != NULL)
        return trm_batches_plan(e->run, e->rows, options->batches, &mine, &e->planned, err);
    return trm_mining_create(e->run, e->rows, &mine, &e->planned, &e->mining, err);
}

/* The list of triplets, on this rank. Not collective. */
static trm_status check_given(const trm_run *run, const trm_evaluate_options *options, trm_error *err)
{
    const trm_given_triplets *list = &options->given;
    if (options->source != TRM_SOURCE_GIVEN)
        return TRM_OK;
    if (list->count < 0)
        return trm_fail(err, TRM_ERR_USAGE, "given.count %" PRId64 ": must be at least 0", list->count);
    if (list->count > 0 && (list->anchor == NULL || list->positive == NULL || list->negative == NULL))
        return trm_fail(err, TRM_ERR_USAGE,
                        "given.anchor, positive, negative NULL on rank %d, which has %" PRId64 " triplets",
                        run->rank, list->count);
    return TRM_OK;
}

trm_status trm_evaluation_create(trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                                 bool gradient, trm_mine_summary *mined, trm_evaluation **evaluation,
                                 trm_error *err)
{
    trm_evaluation *e = *evaluation = trm_alloc(1, sizeof **evaluation);
    *mined = (trm_mine_summary){0};
    trm_status status = e == NULL ? trm_fail_memory(err, "an evaluation", 1, sizeof *e) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(e);
        *evaluation = NULL;
        return status;
    }
    *e = (trm_evaluation){.run = run, .rows = rows};
    status = take_options(&e->options, options, err);
    if (status == TRM_OK)
        status = check_given(run, &e->options, err);
    e->wants_gradient = trm_arguments_any(run->comm, gradient) != 0;
    status = check_options(run, rows, &e->options, status, err);
    if (status == TRM_OK)
        status = plan(e, err);
    *mined = e->planned;
    return status;
}

void trm_evaluation_travel(const trm_evaluation *evaluation, int64_t *visit, int64_t *home)
{
    *visit = *home = 0;
    if (evaluation->mining != NULL)
        trm_mining_travel(evaluation->mining, visit, home);
}

void trm_evaluation_destroy(trm_evaluation **evaluation)
{
    trm_evaluation *e = *evaluation;
    if (e == NULL)
        return;
    trm_mining_destroy(&e->mining);
    trm_batch_all_destroy(&e->batch_all);
    trm_free(e);
    *evaluation = NULL;
}

trm_status trm_evaluate_plan(trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                             bool gradient, trm_mine_summary *mined, trm_error *err)
{
    trm_evaluation *e = NULL;
    trm_status status = trm_evaluation_create(run, rows, options, gradient, mined, &e, err);
    trm_evaluation_destroy(&e);
    return status;
}

/* ---- given triplets ---- */

/* The rows that anchors are. */
static const trm_given *anchors_of(const trm_evaluation *e)
{
    return e->queries != NULL ? e->queries : e->given;
}

/* A positive of -1: the anchor has none, as mining of lone rows says. */
static bool is_lone(const trm_given_triplets *list, int64_t k)
{
    return list->positive[k] == -1;
}

/* Whether a triplet's row ids are of rows that there are; bad: the first of the three that is not. */
static bool is_in_range(const trm_evaluation *e, int64_t k, int *bad)
{
    const trm_given_triplets *list = &e->options.given;
    const int64_t ids[] = {list->anchor[k], list->positive[k], list->negative[k]};
    for (int i = 0; i < 3; i++)
        if ((i != 1 || !is_lone(list, k)) &&
            (ids[i] < 0 || ids[i] >= trm_given_total(i == 0 ? anchors_of(e) : e->given))) {
            *bad = i;
            return false;
        }
    return true;
}

static int64_t lowest_bad_id(const trm_evaluation *e)
{
    int64_t k = 0;
    for (int bad; k < e->options.given.count && is_in_range(e, k, &bad); k++)
        continue;
    return k;
}

static trm_status refuse_id(const trm_evaluation *e, int64_t k, int64_t first, trm_error *err)
{
    static const char *const roles[] = {"anchor", "positive", "negative"};
    const trm_given_triplets *list = &e->options.given;
    int i = 0;
    if (is_in_range(e, k, &i))
        return TRM_OK;
    const int64_t ids[] = {list->anchor[k], list->positive[k], list->negative[k]};
    return trm_fail(err, TRM_ERR_DATA,
                    "triplet %" PRId64 ": %s %" PRId64 " is not a row id%s, which go from 0 to %" PRId64,
                    first + k, roles[i], ids[i],
                    e->queries == NULL ? ""
                    : i == 0           ? " of the queries"
                                       : " of the store",
                    trm_given_total(i == 0 ? anchors_of(e) : e->given) - 1);
}

/* ap, an: the triplet's two pairs, measured; ap is NULL where there is no positive. */
static trm_status check_triplet(const trm_evaluation *e, const trm_pair *ap, const trm_pair *an,
                                int64_t index, trm_error *err)
{
    const bool two = e->queries != NULL, labels = !e->rows->by_id;
    const char *const anchor = two ? "query" : "anchor";
    const trm_rows *rows = e->rows;
    char here[TRM_ROWS_LABEL], there[TRM_ROWS_LABEL];
    if (ap != NULL && !two && ap->i == ap->j)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplet %" PRId64 ": anchor and positive are the same row, %" PRId64, index, ap->i);
    if (ap != NULL && two && ap->j == an->j)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplet %" PRId64 ": positive and negative are the same row, %" PRId64, index,
                        ap->j);
    if (ap != NULL && labels && ap->label_i != ap->label_j)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplet %" PRId64 ": %s %" PRId64 " has label %s, its positive %" PRId64 " has %s",
                        index, anchor, ap->i, trm_rows_label(rows, ap->label_i, here), ap->j,
                        trm_rows_label(rows, ap->label_j, there));
    if (labels && an->label_i == an->label_j)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplet %" PRId64 ": negative %" PRId64 " has the label of %s %" PRId64 ", %s",
                        index, an->j, anchor, an->i, trm_rows_label(rows, an->label_i, here));
    const bool ignored = trm_rows_ignore(rows, an->label_i);
    if (ignored || trm_rows_ignore(rows, an->label_j))
        return trm_fail(err, TRM_ERR_DATA,
                        "triplet %" PRId64 ": has a row with the label %s, which is to be ignored", index,
                        trm_rows_label(rows, ignored ? an->label_i : an->label_j, here));
    return TRM_OK;
}

/* Measures, checks and adds triplets [from, from + count) of the list; bad: the first bad one's status. */
static trm_status add_given_round(trm_evaluation *e, int64_t from, int64_t count, int64_t index,
                                  trm_triplet *triplets, trm_pair *pairs, trm_status *bad, trm_error *bad_err,
                                  trm_error *err)
{
    const trm_given_triplets *list = &e->options.given;
    for (int64_t k = 0; k < count; k++) {
        const int64_t other = is_lone(list, from + k) ? list->negative[from + k] : list->positive[from + k];
        pairs[2 * k] = (trm_pair){.i = list->anchor[from + k], .j = other};
        pairs[2 * k + 1] = (trm_pair){.i = list->anchor[from + k], .j = list->negative[from + k]};
    }
    trm_status status =
        trm_pairs_measure(anchors_of(e), e->given, e->options.loss.metric, 2 * count, pairs, err);
    if (status != TRM_OK)
        return status;
    for (int64_t k = 0; k < count; k++) {
        const trm_pair *ap = &pairs[2 * k], *an = &pairs[2 * k + 1];
        const bool lone = is_lone(list, from + k);
        if (*bad == TRM_OK)
            *bad = check_triplet(e, lone ? NULL : ap, an, index + k, bad_err);
        triplets[k] = (trm_triplet){.anchor = an->i,
                                    .positive = lone ? -1 : ap->j,
                                    .negative = an->j,
                                    .d_ap = lone ? 0.0 : ap->d,
                                    .d_an = an->d,
                                    .rank = 1};
    }
    return trm_triplet_loss_add(e->loss, triplets, count, err);
}

/* Shows triplets of a list to those who want to see them, who may take the array: then there is a new one. Collective. */
static trm_status show_given(trm_evaluation *e, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_status status = e->emit != NULL ? e->emit(e->context, triplets, count, err) : TRM_OK;
    if (*triplets == NULL)
        *triplets = trm_alloc(GIVEN_A_ROUND, sizeof **triplets);
    if (status == TRM_OK && *triplets == NULL)
        status = trm_fail_memory(err, "given triplets", GIVEN_A_ROUND, sizeof **triplets);
    return trm_agree(e->run->comm, status, err);
}

static trm_status add_given(trm_evaluation *e, trm_error *err)
{
    const trm_given_triplets *list = &e->options.given;
    MPI_Comm comm = e->run->comm;
    const int64_t first = trm_prefix_int64(comm, list->count), good = lowest_bad_id(e);
    int64_t most = good;
    trm_error bad_err = TRM_ERROR_INIT;
    trm_status bad = TRM_OK, status = TRM_OK;
    trm_triplet *triplets = trm_alloc(GIVEN_A_ROUND, sizeof *triplets);
    trm_pair *pairs = trm_alloc(2 * GIVEN_A_ROUND, sizeof *pairs);
    if (triplets == NULL || pairs == NULL)
        status = trm_fail_memory(err, "given triplets", GIVEN_A_ROUND, sizeof *pairs);
    status = trm_agree(comm, status, err);
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += GIVEN_A_ROUND) {
        const int64_t from = done < good ? done : good, left = good - from;
        const int64_t count = left < GIVEN_A_ROUND ? left : GIVEN_A_ROUND;
        status = add_given_round(e, from, count, first + from, triplets, pairs, &bad, &bad_err, err);
        if (status == TRM_OK)
            status = show_given(e, &triplets, count, err);
    }
    trm_free(triplets);
    trm_free(pairs);
    if (status != TRM_OK)
        return status;
    if (bad == TRM_OK && good < list->count)
        bad = refuse_id(e, good, first, &bad_err);
    status = trm_agree(comm, bad, &bad_err);
    if (status != TRM_OK && err != NULL)
        *err = bad_err;
    return status;
}

/* ---- the sources ---- */

static trm_status add_mined(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_evaluation *e = context;
    const double start = trm_clock();
    trm_status status = trm_triplet_loss_add(e->loss, *triplets, count, err);
    e->loss_s += trm_clock() - start;
    if (status == TRM_OK && e->emit != NULL)
        status = e->emit(e->context, triplets, count, err);
    return status;
}

static trm_status add_triplets(trm_evaluation *e, trm_mine_summary *mined, trm_loss_part *part,
                               trm_error *err)
{
    const trm_mine_options mine = mine_options_of(&e->options);
    trm_mine_part mine_part = {0};
    trm_status status;
    if (e->options.source == TRM_SOURCE_GIVEN) {
        const double start = trm_clock();
        *mined = e->planned;
        status = add_given(e, err);
        e->loss_s += trm_clock() - start;
    } else if (e->options.batches != NULL) {
        status = trm_batches_mine(e->run, e->rows, e->given, e->options.batches, &mine, add_mined, e, mined,
                                  &mine_part, err);
    } else {
        status = trm_mining_run(e->mining, add_mined, e, mined, &mine_part, err);
    }
    part->compute_s = mine_part.compute_s;
    part->wait_s = mine_part.wait_s;
    return status;
}

/* ---- gradients ---- */

/* A row's float64 sums on their way home: the row id, then dim doubles. */
static trm_status send_home(const trm_evaluation *e, const double *sum, int64_t denominator, float *gradient,
                            trm_error *err)
{
    const trm_rows *rows = e->rows;
    const int64_t dim = rows->dim, words = dim + 1;
    int64_t first, last, total = 0;
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    double *items = trm_alloc((last - first) * words, sizeof *items);
    int64_t *counts = trm_alloc(2 * (int64_t)e->run->ranks, sizeof *counts);
    void *received = NULL;
    trm_status status = TRM_OK;
    if (items == NULL || counts == NULL)
        status = trm_fail_memory(err, "gradient sums", (last - first) * words, sizeof *items);
    status = trm_agree(e->run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    for (int64_t i = 0; i < last - first; i++) {
        memcpy(items + i * words, &rows->id[first + i], sizeof *items);
        memcpy(items + i * words + 1, sum + i * dim, (size_t)dim * sizeof *items);
    }
    status = trm_given_route(e->given, items, last - first, (size_t)words * sizeof *items, counts, &received,
                             counts + e->run->ranks, err);
    if (status != TRM_OK)
        goto done;
    if (e->batch->count > 0) /* ignored rows have none */
        memset(gradient, 0, (size_t)(e->batch->count * dim) * sizeof *gradient);
    for (int r = 0; r < e->run->ranks; r++)
        total += counts[e->run->ranks + r];
    for (int64_t k = 0; k < total; k++) {
        double *item = (double *)received + k * words;
        int64_t id;
        memcpy(&id, item, sizeof id);
        const int64_t row = id - e->given->first[e->run->rank];
        trm_gradient_round(item + 1, e->batch->embeddings + row * dim, rows->dim, denominator,
                           e->batch->norms == NULL ? NULL : &e->batch->norms[row], gradient + row * dim);
    }
done:
    trm_free(items);
    trm_free(counts);
    trm_free(received);
    return status;
}

/* ---- the whole ---- */

/* Anchors and classes, where neither mining nor the plan counted them. Collective. */
static trm_status count_anchors(const trm_evaluation *e, trm_mine_summary *mined, trm_error *err)
{
    const trm_evaluate_options *o = &e->options;
    if (e->queries == NULL && o->batches == NULL)
        trm_mine_count_anchors(e->run, e->rows, mined);
    if (e->queries == NULL || !is_given_by_name(o, e->rows))
        return TRM_OK;
    mined->anchors.total = trm_given_total(e->queries);
    return trm_queries_count_named(e->queries, &o->given, &mined->anchors.valid, err);
}

/* Of both sets. Collective. */
static trm_status finish_gradients(trm_evaluation *e, const trm_loss_summary *summary, trm_loss_part *part,
                                   trm_error *err)
{
    const int64_t denominator = trm_loss_denominator(summary, e->options.loss.reduction);
    const double start = trm_clock();
    trm_status status = TRM_OK;
    if (e->queries != NULL)
        status = trm_triplet_loss_gradient(e->loss, e->queries, denominator, e->options.queries->norms,
                                           e->queries_gradient, err);
    if (status == TRM_OK)
        status = trm_triplet_loss_gradient(e->loss, e->given, denominator, e->batch->norms, e->gradient, err);
    e->gradient_s += trm_clock() - start;
    part->compute_s += e->gradient_s;
    return status;
}

static trm_status evaluate_list(trm_evaluation *e, trm_mine_summary *mined, trm_loss_summary *summary,
                                trm_loss_part *part, trm_error *err)
{
    const trm_evaluate_options *o = &e->options;
    trm_status status =
        trm_triplet_loss_create(anchors_of(e), e->given, &o->loss, e->wants_gradient, &e->loss, err);
    if (status == TRM_OK)
        status = add_triplets(e, mined, part, err);
    if (status == TRM_OK)
        status = count_anchors(e, mined, err);
    if (status != TRM_OK)
        return status;
    part->compute_s += e->loss_s;
    trm_triplet_loss_total(e->loss, summary, part);
    summary->valid = mined->anchors.valid;
    summary->rows = o->batches != NULL   ? mined->anchors.total
                    : e->queries != NULL ? trm_given_total(e->queries)
                                         : e->rows->store_rows;
    status = trm_loss_reduce(summary, &o->loss, err);
    return status == TRM_OK && e->wants_gradient ? finish_gradients(e, summary, part, err) : status;
}

static trm_status evaluate_whole(trm_evaluation *e, trm_mine_summary *mined, trm_loss_summary *summary,
                                 trm_loss_part *part, trm_error *err)
{
    const trm_evaluate_options *o = &e->options;
    const trm_rows *rows = e->rows;
    int64_t first, last;
    double *sum = NULL;
    trm_status status = TRM_OK;
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    if (e->wants_gradient) {
        sum = trm_alloc((last - first) * rows->dim, sizeof *sum);
        if (sum == NULL)
            status = trm_fail_memory(err, "gradient sums", (last - first) * rows->dim, sizeof *sum);
    }
    status = trm_agree(e->run->comm, status, err);
    *mined = e->planned;
    if (status == TRM_OK)
        status = trm_batch_all_run(e->batch_all, sum, mined, summary, part, err);
    if (status == TRM_OK) {
        trm_mine_count_anchors(e->run, rows, mined);
        mined->arrange_s = rows->arrange_s;
        summary->valid = mined->anchors.valid;
        summary->rows = rows->store_rows;
        e->loss_s = summary->loss_s;
        e->gradient_s = summary->gradient_s;
        status = trm_loss_reduce(summary, &o->loss, err);
    }
    const double start = trm_clock();
    if (status == TRM_OK && e->wants_gradient)
        status = send_home(e, sum, trm_loss_denominator(summary, o->loss.reduction), e->gradient, err);
    e->gradient_s += trm_clock() - start;
    part->compute_s += e->gradient_s;
    trm_free(sum);
    return status;
}

/* The first row of a gradient beyond float32 is named. Collective. */
static trm_status check_gradient(const trm_evaluation *e, const float *gradient, const trm_given *of,
                                 trm_error *err)
{
    const int64_t row = trm_gradient_unfit(gradient, of->count, of->dim);
    trm_status status = TRM_OK;
    if (row >= 0)
        status = trm_fail(err, TRM_ERR_DATA, "gradient of %s %" PRId64 " does not fit float32",
                          of == e->queries ? "query" : "row", of->first[of->rank] + row);
    return trm_agree(e->run->comm, status, err);
}

static trm_status check_gradients(const trm_evaluation *e, trm_error *err)
{
    trm_status status = TRM_OK;
    if (e->queries != NULL)
        status = check_gradient(e, e->queries_gradient, e->queries, err);
    return status == TRM_OK ? check_gradient(e, e->gradient, e->given, err) : status;
}

/* What of a rank's rows, which are of the store or queries, is missing here and has to be there; NULL: nothing. */
static const char *missing_array(const trm_evaluation *e, const trm_batch *batch, bool queries)
{
    const bool looks = looks_at_rows(&e->options, e->wants_gradient);
    const bool any_norms = (e->given_by_any & (queries ? QUERIES_NORMS : NORMS)) != 0;
    if (looks && batch->embeddings == NULL)
        return queries ? "queries.embeddings" : "batch.embeddings";
    if (looks && !e->rows->by_id && batch->labels == NULL)
        return queries ? "queries.labels" : "batch.labels";
    if (e->wants_gradient && (queries ? e->queries_gradient : e->gradient) == NULL)
        return queries ? "queries_gradient" : "gradient";
    if (e->wants_gradient && any_norms && batch->norms == NULL)
        return queries ? "queries.norms" : "batch.norms";
    return NULL;
}

/* The caller's arrays of one set, on this rank. Not collective. */
static trm_status check_batch(const trm_evaluation *e, const trm_batch *batch, bool queries, trm_error *err)
{
    const trm_rows *rows = queries ? e->options.mine.queries : e->rows;
    const char *const name = queries ? "queries" : "batch";
    const char *const made_by = queries ? "trm_rows_create_queries" : "trm_rows_create";
    if (batch->dim != rows->dim)
        return trm_fail(err, TRM_ERR_USAGE, "%s.dim %d: %s was given %d", name, batch->dim, made_by,
                        rows->dim);
    if (batch->count != rows->given)
        return trm_fail(err, TRM_ERR_USAGE, "%s.count %" PRId64 ": %s was given %" PRId64 " rows on rank %d",
                        name, batch->count, made_by, rows->given, e->run->rank);
    const char *const missing = batch->count > 0 ? missing_array(e, batch, queries) : NULL;
    if (missing != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s NULL on rank %d, which has %" PRId64 " rows: needed here, or given elsewhere",
                        missing, e->run->rank, batch->count);
    return TRM_OK;
}

/* Collective. */
static trm_status check_set(const trm_evaluation *e, const trm_batch *batch, bool queries, trm_error *err)
{
    trm_status status = check_batch(e, batch, queries, err);
    const int64_t first = trm_prefix_int64(e->run->comm, batch->count);
    if (status == TRM_OK && e->wants_gradient && batch->norms != NULL)
        status = trm_loss_check_norms(batch->count, batch->norms, queries ? "query" : "row", first, err);
    return trm_agree(e->run->comm, status, err);
}

/* Collective. */
static trm_status check_arrays(trm_evaluation *e, trm_error *err)
{
    const trm_batch *batch = e->batch, *queries = e->options.queries;
    int bits = batch->norms != NULL ? NORMS : 0;
    if (queries != NULL && queries->norms != NULL)
        bits |= QUERIES_NORMS;
    e->given_by_any = trm_arguments_any(e->run->comm, bits);
    trm_status status = check_set(e, batch, false, err);
    return status == TRM_OK && queries != NULL ? check_set(e, queries, true, err) : status;
}

/* The rows as they are given. Collective. */
static trm_status take_rows(trm_evaluation *e, trm_error *err)
{
    const trm_batch *batch = e->batch, *queries = e->options.queries;
    trm_status status =
        trm_given_create(e->run, batch->count, batch->dim, batch->embeddings, batch->labels, &e->given, err);
    if (status == TRM_OK && queries != NULL)
        status = trm_given_create(e->run, queries->count, queries->dim, queries->embeddings, queries->labels,
                                  &e->queries, err);
    if (status == TRM_OK && queries != NULL)
        e->queries->waited = e->given->waited;
    return status;
}

/* What is yet to be done once the value and the gradient are there. */
static void measure(trm_evaluation *e, trm_loss_summary *summary, trm_loss_part *part)
{
    const trm_batch *queries = e->options.queries;
    float *const gradient[] = {e->gradient, e->queries_gradient};
    const int64_t size[] = {e->batch->count * e->batch->dim,
                            queries != NULL ? queries->count * queries->dim : 0};
    if (e->wants_gradient)
        trm_gradient_measure(e->run->comm, 2, gradient, size, summary, part);
    double seconds[2] = {e->loss_s, e->gradient_s};
    MPI_Allreduce(MPI_IN_PLACE, seconds, 2, MPI_DOUBLE, MPI_MAX, e->run->comm);
    summary->loss_s = seconds[0];
    summary->gradient_s = seconds[1];
    part->compute_s -= *e->given->waited;
    part->wait_s += *e->given->waited;
}

trm_status trm_evaluation_run(trm_evaluation *e, const trm_batch *batch, trm_triplet_fn emit, void *context,
                              float *gradient, float *queries_gradient, trm_mine_summary *mined,
                              trm_loss_summary *summary, trm_loss_part *part, trm_error *err)
{
    const trm_batch *queries = e->options.queries;
    trm_loss_part own = {.rows = batch->count + (queries != NULL ? queries->count : 0)};
    *summary = (trm_loss_summary){0};
    *mined = (trm_mine_summary){0};
    e->batch = batch;
    e->emit = emit;
    e->context = context;
    e->gradient = gradient;
    e->queries_gradient = queries_gradient;
    trm_status status = check_arrays(e, err);
    if (status == TRM_OK)
        status = take_rows(e, err);
    if (status == TRM_OK)
        status = is_whole_store(e->options.source) ? evaluate_whole(e, mined, summary, &own, err)
                                                   : evaluate_list(e, mined, summary, &own, err);
    if (status == TRM_OK && e->wants_gradient)
        status = check_gradients(e, err);
    if (status == TRM_OK)
        measure(e, summary, &own);
    if (status == TRM_OK && part != NULL)
        *part = own;
    trm_triplet_loss_destroy(&e->loss);
    trm_given_destroy(&e->given);
    trm_given_destroy(&e->queries);
    return status;
}

trm_status trm_evaluate(trm_run *run, const trm_rows *rows, const trm_batch *batch,
                        const trm_evaluate_options *options, trm_triplet_fn emit, void *context,
                        float *gradient, trm_mine_summary *mined, trm_loss_summary *summary,
                        trm_loss_part *part, trm_error *err)
{
    trm_evaluation *e = NULL;
    *summary = (trm_loss_summary){0};
    trm_evaluate_options own;
    const trm_status taken =
        take_options(&own, options, NULL); /* a refusal comes from trm_evaluation_create */
    float *const queries_gradient = taken == TRM_OK ? own.queries_gradient : NULL;
    trm_status status = trm_evaluation_create(run, rows, options,
                                              gradient != NULL || queries_gradient != NULL, mined, &e, err);
    if (status == TRM_OK)
        status = trm_evaluation_run(e, batch, emit, context, gradient, queries_gradient, mined, summary, part,
                                    err);
    trm_evaluation_destroy(&e);
    return status;
}
