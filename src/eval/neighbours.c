/* The K nearest rows of each; see knn.h. An anchor keeps an ascending list, as topk does (mine/topk.c). */
#include "eval/neighbours.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "base/sized.h"
#include "eval/among.h"
#include "eval/asking.h"
#include "eval/nearest.h"
#include "eval/occurrence.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <math.h>

/* ---- options ---- */

static const trm_sized sized = {.name = "trm_knn_options", .size = sizeof(trm_knn_options)};

void trm_knn_options_init_sized(trm_knn_options *options, size_t size)
{
    const trm_knn_options own = {.size = sizeof own, .metric = TRM_METRIC_SQL2, .k = 10};
    trm_sized_give(&sized, &own, options, &size);
}

static const trm_option rows[] = {
    {.name = "k",
     .letter = 'k',
     .value = "K",
     .about = "how many neighbours of each row",
     .json = "k",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_knn_options, k),
     .least = 1,
     .most = 0x1p40,
     .decides = TRM_AT_ANY},
    {.name = "among",
     .value = "WHICH",
     .about = "among which rows they are looked for",
     .json = "among",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_knn_options, among),
     .words = &trm_among_words,
     .decides = TRM_AT_ANY},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_knn_options, metric), .words = &trm_metric_words},
};
const trm_options trm_knn_table = TRM_OPTIONS("Neighbours", rows);

static trm_status take_options(const trm_run *run, const trm_knn_options *given, trm_knn_options *own,
                               trm_error *err)
{
    trm_arguments list = {.count = 0};
    trm_knn_options_init(own);
    trm_status status = trm_sized_take(&sized, own, given, err);
    trm_arguments_options(&list, &trm_knn_table, own);
    trm_arguments_whole(&list, "queries", own->queries != NULL, 0, 1);
    return trm_arguments_agree(run->comm, &list, status, err);
}

/* ---- planning ---- */

struct trm_neighbours {
    trm_run *run;
    const trm_rows *rows; /* the store's */
    trm_knn_options options;
    trm_nearest nearest;
    trm_query query;
    trm_asking *asking;
    /* while it runs */
    trm_occurrence *occurrence;
    trm_knn_fn take;
    void *context;
    trm_hash_sum hash;
    int64_t neighbours, short_rows;
};

/* Lists are handed out, and counted, some at a time. */
static const int64_t piece_bytes = INT64_C(1) << 21;

/* A neighbour in a list that is handed out: row id and distance; and as it is counted. */
enum { NEIGHBOUR_BYTES = 2 * 8 + (int)sizeof(trm_occurring) };

int64_t trm_neighbours_at_once(int64_t k)
{
    return k < piece_bytes / NEIGHBOUR_BYTES ? piece_bytes / NEIGHBOUR_BYTES / k : 1;
}

static int64_t reserve(const trm_neighbours *neighbours)
{
    const int64_t lists = trm_neighbours_at_once(neighbours->options.k) * neighbours->options.k,
                  exist = trm_nearest_most(&neighbours->nearest, neighbours->rows->total) *
                          trm_neighbours_at_once(neighbours->options.k);
    return neighbours->options.reserve + lists * NEIGHBOUR_BYTES +
           trm_occurrence_bytes(neighbours->run, neighbours->rows) +
           trm_occurrence_add_bytes(neighbours->run, exist);
}

static trm_status plan(trm_neighbours *neighbours, trm_knn_summary *summary, trm_error *err)
{
    neighbours->nearest = (trm_nearest){neighbours->options.k, neighbours->options.among};
    neighbours->query = (trm_query){trm_nearest_type(neighbours->options.among), &neighbours->nearest};
    const trm_question question = {.name = "neighbours",
                                   .query = &neighbours->query,
                                   .metric = neighbours->options.metric,
                                   .queries = neighbours->options.queries,
                                   .reserve = reserve(neighbours),
                                   .keeps = true};
    return trm_asking_create(neighbours->run, neighbours->rows, &question, &summary->ask, &neighbours->asking,
                             err);
}

trm_status trm_neighbours_create(trm_run *run, const trm_rows *rows_of_store, const trm_knn_options *options,
                                 trm_knn_summary *summary, trm_neighbours **result, trm_error *err)
{
    trm_neighbours *neighbours = *result = trm_alloc(1, sizeof *neighbours);
    trm_status status =
        neighbours == NULL ? trm_fail_memory(err, "neighbours", 1, sizeof *neighbours) : TRM_OK;
    *summary = (trm_knn_summary){0};
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(neighbours);
        *result = NULL;
        return status;
    }
    *neighbours = (trm_neighbours){.run = run, .rows = rows_of_store, .hash = TRM_HASH_SUM_INIT};
    status = take_options(run, options, &neighbours->options, err);
    return status == TRM_OK ? plan(neighbours, summary, err) : status;
}

void trm_neighbours_travel(const trm_neighbours *neighbours, int64_t *visit, int64_t *home)
{
    trm_asking_travel(neighbours->asking, visit, home);
}

void trm_neighbours_destroy(trm_neighbours **result)
{
    trm_neighbours *neighbours = *result;
    if (neighbours == NULL)
        return;
    trm_asking_destroy(&neighbours->asking);
    trm_occurrence_destroy(&neighbours->occurrence);
    trm_free(neighbours);
    *result = NULL;
}

/* ---- lists ---- */

/* Some lists as they are handed out, and what is in them. */
typedef struct piece {
    int64_t *id, *neighbour;
    double *distance;
    trm_occurring *occurring;
    int64_t occurrings;
} piece;

static trm_status make_piece(int64_t count, int64_t k, piece *made, trm_error *err)
{
    *made = (piece){.id = trm_alloc(count, sizeof *made->id),
                    .neighbour = trm_alloc(count * k, sizeof *made->neighbour),
                    .distance = trm_alloc(count * k, sizeof *made->distance),
                    .occurring = trm_alloc(count * k, sizeof *made->occurring)};
    return made->id != NULL && made->neighbour != NULL && made->distance != NULL && made->occurring != NULL
               ? TRM_OK
               : trm_fail_memory(err, "lists of neighbours", count * k, NEIGHBOUR_BYTES);
}

static void free_piece(piece *made)
{
    trm_free(made->id);
    trm_free(made->neighbour);
    trm_free(made->distance);
    trm_free(made->occurring);
}

/* A neighbour as the result's hash takes it. */
typedef struct hashed {
    int64_t row, neighbour;
    double distance;
    int64_t rank;
} hashed;

/* Puts row's list in place i of the piece, and counts it. */
static void put_list(trm_neighbours *neighbours, const trm_answers *answers, int64_t row, int64_t i,
                     piece *into)
{
    const int64_t k = neighbours->options.k, id = answers->rows->id[row];
    int64_t room, count = 0;
    const trm_candidate *list = trm_nearest_list(answers->state, row, &room);
    for (; count < room && trm_candidate_exists(list[count]); count++) {
        const hashed one = {id, list[count].id, list[count].key, count + 1};
        into->neighbour[i * k + count] = list[count].id;
        into->distance[i * k + count] = list[count].key;
        into->occurring[into->occurrings++] = (trm_occurring){list[count].id, answers->rows->label[row]};
        trm_hash_sum_add(&neighbours->hash, &one, sizeof one);
    }
    for (int64_t j = count; j < k; j++) {
        into->neighbour[i * k + j] = -1;
        into->distance[i * k + j] = INFINITY;
    }
    into->id[i] = id;
    neighbours->neighbours += count;
    neighbours->short_rows += count < k;
}

/* A trm_answers_fn. */
static trm_status give(void *context, const trm_answers *answers, trm_error *err)
{
    trm_neighbours *neighbours = context;
    const int64_t most = trm_neighbours_at_once(neighbours->options.k);
    const int64_t at_once = answers->count < most ? answers->count : most;
    int64_t rounds = (answers->count + most - 1) / most, done = 0;
    piece into;
    MPI_Comm comm = neighbours->run->comm;
    trm_status status = trm_agree(comm, make_piece(at_once, neighbours->options.k, &into, err), err);
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, comm);
    for (int64_t r = 0; r < rounds && status == TRM_OK; r++) {
        const int64_t count = answers->count - done < most ? answers->count - done : most;
        into.occurrings = 0;
        for (int64_t i = 0; i < count; i++)
            put_list(neighbours, answers, answers->row[done + i], i, &into);
        status = trm_occurrence_add(neighbours->occurrence, into.occurrings, into.occurring, err);
        if (status == TRM_OK && neighbours->take != NULL)
            status =
                neighbours->take(neighbours->context, count, into.id, into.neighbour, into.distance, err);
        status = trm_agree(comm, status, err); /* take may be NULL on some ranks */
        done += count;
    }
    free_piece(&into);
    return status;
}

trm_status trm_neighbours_run(trm_neighbours *neighbours, trm_knn_fn take, void *context,
                              trm_knn_summary *summary, trm_error *err)
{
    MPI_Comm comm = neighbours->run->comm;
    neighbours->take = take;
    neighbours->context = context;
    trm_status status =
        trm_occurrence_create(neighbours->run, neighbours->rows, &neighbours->occurrence, err);
    if (status == TRM_OK)
        status = trm_asking_run(neighbours->asking, give, neighbours, NULL, &summary->ask, err);
    if (status != TRM_OK)
        return status;
    trm_occurrence_finish(neighbours->occurrence, summary);
    summary->neighbours = trm_sum_int64(comm, neighbours->neighbours);
    summary->short_rows = trm_sum_int64(comm, neighbours->short_rows);
    trm_merge_hash_sum(comm, &neighbours->hash);
    trm_hash_sum_text(&neighbours->hash, summary->result_hash);
    return TRM_OK;
}

/* ---- the library's ---- */

trm_status trm_knn_plan(trm_run *run, const trm_rows *rows_of_store, const trm_knn_options *options,
                        trm_knn_summary *summary, trm_error *err)
{
    trm_neighbours *neighbours = NULL;
    trm_status status = trm_neighbours_create(run, rows_of_store, options, summary, &neighbours, err);
    trm_neighbours_destroy(&neighbours);
    return status;
}

trm_status trm_knn(trm_run *run, const trm_rows *rows_of_store, const trm_knn_options *options,
                   trm_knn_fn take, void *context, trm_knn_summary *summary, trm_error *err)
{
    trm_neighbours *neighbours = NULL;
    trm_status status = trm_neighbours_create(run, rows_of_store, options, summary, &neighbours, err);
    if (status == TRM_OK)
        status = trm_neighbours_run(neighbours, take, context, summary, err);
    trm_neighbours_destroy(&neighbours);
    return status;
}
