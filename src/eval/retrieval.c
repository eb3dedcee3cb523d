/* Retrieval evaluation; see eval.h. Two sweeps: the first finds each query's relevant rows, the second counts the irrelevant
 * ones between them (ranks.h). */
#include "eval/retrieval.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "base/order.h"
#include "base/sized.h"
#include "eval/asking.h"
#include "eval/means.h"
#include "eval/ranks.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static const trm_sized sized = {.name = "trm_eval_options", .size = sizeof(trm_eval_options)};

void trm_eval_options_init_sized(trm_eval_options *options, size_t size)
{
    const trm_eval_options own = {
        .size = sizeof own, .metric = TRM_METRIC_SQL2, .at = "1,5,10,100", .metrics = "all"};
    trm_sized_give(&sized, &own, options, &size);
}

static const trm_option rows[] = {
    {.name = "at",
     .value = "K,K,...",
     .about = "values of k, ascending, of hit_rate, recall, precision and ndcg",
     .json = "at",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_eval_options, at),
     .decides = TRM_AT_ANY},
    {.name = "metrics",
     .value = "NAME,NAME,...",
     .about = "all, or some of precision_at_1,r_precision,map_at_r,mrr,hit_rate,recall,precision,ndcg",
     .json = "metrics",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_eval_options, metrics),
     .decides = TRM_AT_ANY},
    {.name = "per-class",
     .about = "tell the means of each class, too",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_eval_options, per_class)},
    {.json = "all_ranks",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_eval_options, all_ranks),
     .decides = TRM_AT_ANY,
     .follows = "per-query"},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_eval_options, metric), .words = &trm_metric_words},
};
const trm_options trm_eval_table = TRM_OPTIONS("Evaluation", rows);

static trm_status check(const trm_eval_options *options, trm_scores *scores, trm_error *err)
{
    if (options->pairs != NULL && options->per_class)
        return trm_fail(err, TRM_ERR_USAGE, "--per-class does not go with --pairs, which are no classes");
    return trm_scores_choose(scores, options->at, options->metrics, err);
}

trm_status trm_retrieval_check(const trm_eval_options *options, trm_error *err)
{
    trm_scores scores;
    return check(options, &scores, err);
}

static trm_status take_options(const trm_run *run, const trm_eval_options *given, trm_eval_options *own,
                               trm_scores *scores, trm_error *err)
{
    trm_arguments list = {.count = 0};
    trm_eval_options_init(own);
    trm_status status = trm_sized_take(&sized, own, given, err);
    trm_arguments_options(&list, &trm_eval_table, own);
    trm_arguments_whole(&list, "queries", own->queries != NULL, 0, 1);
    trm_arguments_whole(&list, "pairs", own->pairs != NULL, 0, 1);
    status = trm_arguments_agree(run->comm, &list, status, err);
    return status == TRM_OK ? trm_agree(run->comm, check(own, scores, err), err) : status;
}

/* ---- planning ---- */

enum { POSITIVES_TEXT = 32 };

struct trm_retrieval {
    trm_run *run;
    const trm_rows *rows, *queries; /* the store's; those that ask */
    trm_eval_options options;
    trm_scores scores;
    char positives[POSITIVES_TEXT];
    int64_t most; /* the most relevant rows of a query that are asked about, or more */
    trm_ranks ranks;
    trm_query query;
    trm_asking *asking;
    /* while it runs */
    trm_means *means;
    const trm_eval_takers *takers;
    trm_hash_sum hash;
    int64_t relevant, no_relevant, tied;
};

/* Ranks are handed out some at a time; those of one query together. */
enum { RANKS_OF_PIECE = 1 << 15 };

/* Collective. */
static int64_t most_relevant(const trm_retrieval *retrieval)
{
    const trm_rows *store = retrieval->rows;
    const trm_pair_list *pairs = retrieval->options.pairs;
    int64_t most = pairs != NULL ? trm_sum_int64(retrieval->run->comm, pairs->count) : 0;
    for (int64_t row = 0; row < store->count && pairs == NULL; row++)
        most = store->class_size[row] > most ? store->class_size[row] : most;
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, retrieval->run->comm);
    return most < store->total ? most : store->total;
}

static bool by_class(const trm_retrieval *retrieval)
{
    return retrieval->options.pairs == NULL;
}

static int64_t reserve(const trm_retrieval *retrieval)
{
    const trm_rows *store = retrieval->rows, *queries = retrieval->queries;
    const int64_t ranks = retrieval->most + RANKS_OF_PIECE,
                  classes = by_class(retrieval) ? store->classes : 0, asking = trm_rows_shard_count(queries);
    return retrieval->options.reserve + ranks * (int64_t)(sizeof(trm_eval_rank) + sizeof(trm_eval_query)) +
           trm_scores_bytes(&retrieval->scores, store->total) +
           trm_means_bytes(classes < asking ? classes : asking, retrieval->options.per_class) +
           asking * (int64_t)sizeof(int64_t); /* rows in their order */
}

static void choose(trm_retrieval *retrieval)
{
    const int64_t needed = retrieval->options.all_ranks ? INT64_MAX : trm_scores_needed(&retrieval->scores);
    retrieval->most = most_relevant(retrieval);
    retrieval->ranks.limit = trm_scores_limit(&retrieval->scores, &retrieval->ranks.to_pairs);
    if (retrieval->options.all_ranks)
        retrieval->ranks.limit = INT64_MAX;
    if (needed >= retrieval->most || needed > INT32_MAX) {
        snprintf(retrieval->positives, POSITIVES_TEXT, "all");
        return;
    }
    retrieval->most = needed; /* so there are that many in memory */
    snprintf(retrieval->positives, POSITIVES_TEXT, "nearest:%" PRId64, needed);
}

static trm_status plan(trm_retrieval *retrieval, trm_eval_summary *summary, trm_error *err)
{
    choose(retrieval);
    retrieval->query = (trm_query){
        retrieval->options.pairs != NULL ? &trm_ranks_by_list : &trm_ranks_by_label, &retrieval->ranks};
    const trm_question question = {.name = "ranks",
                                   .query = &retrieval->query,
                                   .metric = retrieval->options.metric,
                                   .positives = retrieval->positives,
                                   .queries = retrieval->options.queries,
                                   .pairs = retrieval->options.pairs,
                                   .reserve = reserve(retrieval),
                                   .keeps = true};
    return trm_asking_create(retrieval->run, retrieval->rows, &question, &summary->ask, &retrieval->asking,
                             err);
}

trm_status trm_retrieval_create(trm_run *run, const trm_rows *rows_of_store, const trm_eval_options *options,
                                trm_eval_summary *summary, trm_retrieval **result, trm_error *err)
{
    trm_retrieval *retrieval = *result = trm_alloc(1, sizeof *retrieval);
    trm_status status =
        retrieval == NULL ? trm_fail_memory(err, "an evaluation", 1, sizeof *retrieval) : TRM_OK;
    *summary = (trm_eval_summary){0};
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(retrieval);
        *result = NULL;
        return status;
    }
    *retrieval = (trm_retrieval){.run = run, .rows = rows_of_store, .hash = TRM_HASH_SUM_INIT};
    status = take_options(run, options, &retrieval->options, &retrieval->scores, err);
    retrieval->queries = retrieval->options.queries != NULL ? retrieval->options.queries : rows_of_store;
    summary->at_count = retrieval->scores.at_count;
    memcpy(summary->at, retrieval->scores.at, sizeof summary->at);
    return status == TRM_OK ? plan(retrieval, summary, err) : status;
}

void trm_retrieval_travel(const trm_retrieval *retrieval, int64_t *visit, int64_t *home)
{
    trm_asking_travel(retrieval->asking, visit, home);
}

void trm_retrieval_destroy(trm_retrieval **result)
{
    trm_retrieval *retrieval = *result;
    if (retrieval == NULL)
        return;
    trm_asking_destroy(&retrieval->asking);
    trm_means_destroy(&retrieval->means);
    trm_scores_free(&retrieval->scores);
    trm_free(retrieval);
    *result = NULL;
}

int64_t trm_retrieval_relevant(const trm_retrieval *retrieval, int64_t row)
{
    return trm_asking_there(retrieval->asking, row).positives;
}

bool trm_retrieval_place(const trm_retrieval *retrieval, int i, trm_eval_place *place)
{
    static const char *const single[] = {"precision_at_1", "r_precision", "map_at_r", "mrr"},
                             *const at[] = {"hit_rate_at", "recall_at", "precision_at", "ndcg_at"};
    enum { SINGLE = sizeof single / sizeof *single };
    if (i >= TRM_SCORES)
        return false;
    *place = i < SINGLE ? (trm_eval_place){single[i], -1, false}
                        : (trm_eval_place){at[(i - SINGLE) / TRM_EVAL_AT], (i - SINGLE) % TRM_EVAL_AT, false};
    for (int k = 0; k < retrieval->scores.count; k++)
        place->asked = place->asked || retrieval->scores.place[k] == i;
    return true;
}

/* ---- answers ---- */

/* Some queries, as they are handed out. */
typedef struct piece {
    int64_t room, ranks, queries;
    trm_eval_rank *rank;
    trm_eval_query *query; /* as many as there is room for ranks */
} piece;

static trm_status make_piece(const trm_retrieval *retrieval, piece *made, trm_error *err)
{
    const int64_t room = retrieval->most + RANKS_OF_PIECE;
    *made = (piece){.room = room,
                    .rank = trm_alloc(room, sizeof *made->rank),
                    .query = trm_alloc(room, sizeof *made->query)};
    return made->rank != NULL && made->query != NULL
               ? TRM_OK
               : trm_fail_memory(err, "ranks", room, sizeof *made->rank + sizeof *made->query);
}

static void free_piece(piece *made)
{
    trm_free(made->rank);
    trm_free(made->query);
}

/* A rank as the result's hash takes it. */
typedef struct hashed {
    int64_t query, row;
    double distance;
    int64_t rank, low, high;
} hashed;

static void add_to_hash(trm_retrieval *retrieval, const trm_eval_query *query)
{
    for (int64_t i = 0; i < query->count; i++) {
        const trm_eval_rank *of = &query->rank[i];
        const hashed one = {query->id, of->row, of->distance, of->rank, of->low, of->high};
        trm_hash_sum_add(&retrieval->hash, &one, sizeof one);
    }
}

/* Ranks the relevant rows of a row, and counts what it scores. */
static trm_status put_query(trm_retrieval *retrieval, const trm_answers *answers, int64_t row, piece *into,
                            trm_error *err)
{
    trm_eval_rank *rank = into->rank + into->ranks;
    const trm_eval_query query = {
        .id = answers->rows->id[row],
        .relevant = trm_asking_there(retrieval->asking, row).positives,
        .count = trm_ranks_of(&retrieval->ranks, answers->state, row, rank),
        .rank = rank,
    };
    into->query[into->queries++] = query;
    into->ranks += query.count;
    retrieval->relevant += query.relevant;
    retrieval->no_relevant += query.relevant == 0;
    if (query.relevant == 0)
        return TRM_OK;
    trm_scored scored;
    trm_scores_of(&retrieval->scores, &query, &scored);
    add_to_hash(retrieval, &query);
    retrieval->tied += trm_scores_are_tied(&retrieval->scores, &scored);
    return trm_means_add(retrieval->means, by_class(retrieval) ? answers->rows->label[row] : 0,
                         by_class(retrieval) ? answers->rows->class_size[row] : INT64_MAX, &scored, err);
}

static trm_status hand_out(trm_retrieval *retrieval, const piece *some, trm_error *err)
{
    const trm_eval_takers *takers = retrieval->takers;
    return takers != NULL && takers->queries != NULL
               ? takers->queries(takers->context, some->queries, some->query, err)
               : TRM_OK;
}

/* Rows of a class are consecutive. Collective. */
static trm_status give_rows(trm_retrieval *retrieval, const trm_answers *answers, const int64_t *row,
                            piece *some, trm_error *err)
{
    trm_status status = TRM_OK;
    int more = true;
    for (int64_t k = 0; more;) {
        some->ranks = some->queries = 0;
        while (k < answers->count && status == TRM_OK && some->queries < RANKS_OF_PIECE &&
               some->ranks < RANKS_OF_PIECE)
            status = put_query(retrieval, answers, row[k++], some, err);
        status = trm_agree(retrieval->run->comm, status, err);
        if (status == TRM_OK) /* there may be no taker on some ranks */
            status = trm_agree(retrieval->run->comm, hand_out(retrieval, some, err), err);
        more = status == TRM_OK && k < answers->count;
        MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT, MPI_LOR, retrieval->run->comm);
    }
    return status;
}

/* A trm_answers_fn. */
static trm_status give(void *context, const trm_answers *answers, trm_error *err)
{
    trm_retrieval *retrieval = context;
    piece some;
    int64_t *row = trm_alloc(answers->count, sizeof *row);
    trm_status status = make_piece(retrieval, &some, err);
    if (row == NULL)
        status = trm_fail_memory(err, "rows", answers->count, sizeof *row);
    status = trm_agree(retrieval->run->comm, status, err);
    if (status == TRM_OK && answers->count > 0)
        memcpy(row, answers->row, (size_t)answers->count * sizeof *row);
    if (status == TRM_OK && answers->count > 1)
        qsort(row, (size_t)answers->count, sizeof *row, trm_compare_whole);
    if (status == TRM_OK)
        status = give_rows(retrieval, answers, row, &some, err);
    free_piece(&some);
    trm_free(row);
    return status;
}

/* ---- all of it ---- */

static trm_status begin(trm_retrieval *retrieval, trm_error *err)
{
    trm_status status = trm_scores_begin(&retrieval->scores, retrieval->rows->total, err);
    if (status == TRM_OK)
        status = trm_means_create(retrieval->run->comm, &retrieval->scores, by_class(retrieval),
                                  retrieval->options.per_class, &retrieval->means, err);
    return trm_agree(retrieval->run->comm, status, err);
}

static trm_status give_classes(const trm_retrieval *retrieval, trm_error *err)
{
    const trm_eval_takers *takers = retrieval->takers;
    int64_t count;
    const trm_eval_class *table = trm_means_table(retrieval->means, &count);
    trm_status status = TRM_OK;
    if (retrieval->options.per_class && takers != NULL && takers->classes != NULL)
        status = takers->classes(takers->context, count, table, err);
    return trm_agree(retrieval->run->comm, status, err);
}

trm_status trm_retrieval_run(trm_retrieval *retrieval, const trm_eval_takers *takers,
                             trm_eval_summary *summary, trm_error *err)
{
    MPI_Comm comm = retrieval->run->comm;
    retrieval->takers = takers;
    trm_status status = begin(retrieval, err);
    if (status == TRM_OK)
        status = trm_asking_run(retrieval->asking, give, retrieval, NULL, &summary->ask, err);
    if (status == TRM_OK)
        status = trm_means_finish(retrieval->means, summary, err);
    if (status == TRM_OK)
        status = give_classes(retrieval, err);
    if (status != TRM_OK)
        return status;
    summary->relevant = trm_sum_int64(comm, retrieval->relevant);
    summary->no_relevant = trm_sum_int64(comm, retrieval->no_relevant);
    summary->tied = trm_sum_int64(comm, retrieval->tied);
    trm_merge_hash_sum(comm, &retrieval->hash);
    trm_hash_sum_text(&retrieval->hash, summary->result_hash);
    return TRM_OK;
}

/* ---- the library's ---- */

trm_status trm_eval_plan(trm_run *run, const trm_rows *rows_of_store, const trm_eval_options *options,
                         trm_eval_summary *summary, trm_error *err)
{
    trm_retrieval *retrieval = NULL;
    trm_status status = trm_retrieval_create(run, rows_of_store, options, summary, &retrieval, err);
    trm_retrieval_destroy(&retrieval);
    return status;
}

trm_status trm_eval(trm_run *run, const trm_rows *rows_of_store, const trm_eval_options *options,
                    const trm_eval_takers *takers, trm_eval_summary *summary, trm_error *err)
{
    trm_retrieval *retrieval = NULL;
    trm_status status = trm_retrieval_create(run, rows_of_store, options, summary, &retrieval, err);
    if (status == TRM_OK)
        status = trm_retrieval_run(retrieval, takers, summary, err);
    trm_retrieval_destroy(&retrieval);
    return status;
}
