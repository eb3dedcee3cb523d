/* One query of all rows; see asking.h. Memory, panels and checkpoints are those of mining, of which this is a job with one
 * sweep (mine/anchors.h). */
#include "eval/asking.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "mine/checkpoint.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>

struct trm_asking {
    trm_run *run;
    trm_question question;
    trm_mine_options options;
    trm_solo solo;
    trm_pool pool;
    trm_anchors anchors;
    trm_sweep *sweep;
    trm_sweep_counts counts;
    trm_mine_checkpoint checkpoint;
    trm_answers_fn take;
    void *context;
    double sweep_s, answers_s;
};

/* ---- planning ---- */

static trm_status plan(trm_asking *asking, trm_ask_summary *summary, trm_error *err)
{
    const trm_rows *rows = asking->pool.store;
    const trm_question *question = &asking->question;
    trm_status status = trm_rows_check_metric(rows, question->metric, err);
    if (status == TRM_OK && question->queries != NULL)
        status = trm_rows_check_metric(question->queries, question->metric, err);
    if (status == TRM_OK)
        status = trm_pool_create(&asking->pool, asking->run, rows, &asking->options, err);
    if (status != TRM_OK)
        return status;
    status = trm_anchors_init_solo(&asking->anchors, asking->run, &asking->pool, &asking->options,
                                   question->query, &asking->solo, err);
    summary->panels = (int)asking->anchors.panels;
    summary->memory_bytes = asking->anchors.memory_bytes;
    return status;
}

trm_status trm_asking_create(trm_run *run, const trm_rows *rows, const trm_question *question,
                             trm_ask_summary *summary, trm_asking **result, trm_error *err)
{
    trm_asking *asking = *result = trm_alloc(1, sizeof *asking);
    trm_status status = asking == NULL ? trm_fail_memory(err, "a question", 1, sizeof *asking) : TRM_OK;
    *summary = (trm_ask_summary){0};
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(asking);
        *result = NULL;
        return status;
    }
    *asking = (trm_asking){
        .run = run,
        .question = *question,
        .solo = {.positives = question->positives != NULL, .slots = question->slots},
        .pool = trm_pool_of_one(run, rows),
    };
    trm_mine_options_init(&asking->options);
    asking->options.metric = question->metric;
    asking->options.reserve = question->reserve;
    asking->options.queries = question->queries;
    asking->options.pairs = question->pairs;
    if (question->positives != NULL)
        asking->options.positives = question->positives;
    return plan(asking, summary, err);
}

void trm_asking_destroy(trm_asking **result)
{
    trm_asking *asking = *result;
    if (asking == NULL)
        return;
    trm_sweep_destroy(&asking->sweep);
    trm_anchors_destroy(&asking->anchors);
    trm_pool_free(&asking->pool);
    trm_free(asking);
    *result = NULL;
}

void trm_asking_travel(const trm_asking *asking, int64_t *visit, int64_t *home)
{
    trm_anchors_travel(&asking->anchors, visit, home);
}

trm_there trm_asking_there(const trm_asking *asking, int64_t row)
{
    return trm_pool_there(&asking->pool, row);
}

/* ---- answers ---- */

/* A row of the shard and its row id. */
typedef struct order_item {
    int64_t id, row;
} order_item;

static int compare_ids(const void *a, const void *b)
{
    const order_item *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* This member's part of the panel's rows, in the order of their ids: item and row are filled in. */
static void put_in_order(const trm_asking *asking, const trm_panel *panel, int64_t first, int64_t count,
                         order_item *item, int64_t *row)
{
    for (int64_t k = 0; k < count; k++)
        item[k] = (order_item){asking->anchors.rows->id[panel->row[first + k]], panel->row[first + k]};
    if (count > 1)
        qsort(item, (size_t)count, sizeof *item, compare_ids);
    for (int64_t k = 0; k < count; k++)
        row[k] = item[k].row;
}

/* A trm_mine_checkpoint_panel_fn: hands out a panel's answers. */
static trm_status give(void *context, const trm_panel *panel, trm_error *err)
{
    trm_asking *asking = context;
    const double start = trm_clock();
    int64_t first, last;
    trm_panel_share(&asking->anchors, panel, &first, &last);
    order_item *item = trm_alloc(last - first, sizeof *item);
    int64_t *row = trm_alloc(last - first, sizeof *row);
    trm_status status =
        item == NULL || row == NULL ? trm_fail_memory(err, "answers", last - first, sizeof *item) : TRM_OK;
    status = trm_agree(asking->run->comm, status, err);
    if (status == TRM_OK)
        put_in_order(asking, panel, first, last - first, item, row);
    trm_free(item);
    if (status == TRM_OK) {
        const trm_answers answers = {asking->anchors.rows, panel->negatives, last - first, row};
        status = trm_agree(asking->run->comm, asking->take(asking->context, &answers, err), err);
    }
    trm_free(row);
    asking->answers_s += trm_clock() - start;
    return status;
}

/* ---- sweeping ---- */

/* This rank's tally of its sweeps. */
static void give_totals(void *context, int64_t *words)
{
    const trm_asking *asking = context;
    trm_sweep_tally(asking->sweep, words);
}

static void take_totals(void *context, const int64_t *words)
{
    trm_asking *asking = context;
    trm_sweep_add_tally(asking->sweep, words);
}

static trm_status run_panel(trm_asking *asking, int64_t index, trm_error *err)
{
    trm_panel panel;
    const double start = trm_clock(), counted = trm_counter_now(asking->run->counter);
    trm_status status = trm_mine_checkpoint_open(&asking->checkpoint, index, &panel, err);
    if (status == TRM_OK && index == 0 && asking->question.anew)
        status = trm_mine_checkpoint_save(&asking->checkpoint, err);
    if (status == TRM_OK)
        status = trm_mine_checkpoint_sweep(&asking->checkpoint, err);
    asking->sweep_s += trm_clock() - start;
    asking->run->counted += trm_counter_now(asking->run->counter) - counted;
    if (status == TRM_OK)
        status = trm_mine_checkpoint_finished(&asking->checkpoint, err);
    if (status == TRM_OK)
        status = give(asking, &panel, err);
    trm_panel_close(&panel);
    return status;
}

static trm_status begin(trm_asking *asking, trm_error *err)
{
    trm_mine_checkpoint *checkpoint = &asking->checkpoint;
    trm_status status = trm_pool_sweep_create(&asking->pool, asking->question.metric, &asking->sweep, err);
    if (status != TRM_OK)
        return status;
    const trm_totals totals = {TRM_TALLY_WORDS, give_totals, take_totals, asking};
    const bool keeps = asking->question.keeps;
    if (keeps && asking->question.anew)
        trm_mine_checkpoint_init_anew(checkpoint, &asking->anchors, asking->sweep, &asking->counts, totals);
    else if (keeps)
        status = trm_mine_checkpoint_init(checkpoint, &asking->anchors, asking->sweep, &asking->counts,
                                          totals, err);
    else
        trm_mine_checkpoint_init_without(checkpoint, &asking->anchors, asking->sweep, &asking->counts);
    checkpoint->name = asking->question.name;
    checkpoint->extras = asking->question.extras;
    checkpoint->extra = asking->question.extra;
    return status == TRM_OK && keeps ? trm_mine_checkpoint_replay_panels(checkpoint, give, asking, err)
                                     : status;
}

/* Collective. */
static void collect(trm_asking *asking, int64_t *tally, trm_ask_summary *summary)
{
    enum { COUNTS = 4 };
    MPI_Comm comm = asking->run->comm;
    const trm_sweep_counts *first = &asking->anchors.counts, *second = &asking->counts;
    const trm_rows *rows = asking->anchors.rows, *store = asking->pool.store;
    int64_t sums[COUNTS + TRM_TALLY_WORDS] = {first->elements + second->elements,
                                              first->survivors + second->survivors,
                                              first->float64 + second->float64, asking->checkpoint.reused};
    trm_sweep_tally(asking->sweep, sums + COUNTS);
    MPI_Allreduce(MPI_IN_PLACE, sums, COUNTS + TRM_TALLY_WORDS, MPI_INT64_T, MPI_SUM, comm);
    double seconds[] = {store->arrange_s + (rows != store ? rows->arrange_s : 0.0), asking->sweep_s,
                        asking->answers_s};
    MPI_Allreduce(MPI_IN_PLACE, seconds, 3, MPI_DOUBLE, MPI_MAX, comm);
    *summary = (trm_ask_summary){.rows = rows->total,
                                 .ignored = rows->store_rows - rows->total,
                                 .classes = store->by_id ? 0 : store->classes,
                                 .elements = sums[0],
                                 .survivors = sums[1],
                                 .float64 = sums[2],
                                 .reused = sums[3],
                                 .panels = (int)asking->anchors.panels,
                                 .memory_bytes = asking->anchors.memory_bytes,
                                 .arrange_s = seconds[0],
                                 .sweep_s = seconds[1],
                                 .answers_s = seconds[2],
                                 .compute_s = first->compute_s + second->compute_s,
                                 .wait_s = first->wait_s + second->wait_s};
    trm_sweep_chains(asking->sweep, second, summary->chains);
    for (int i = 0; i < TRM_TALLY_WORDS && tally != NULL; i++)
        tally[i] = sums[COUNTS + i];
}

trm_status trm_asking_run(trm_asking *asking, trm_answers_fn take, void *context, int64_t *tally,
                          trm_ask_summary *summary, trm_error *err)
{
    asking->take = take;
    asking->context = context;
    trm_status status = begin(asking, err);
    for (int64_t index = 0; index < asking->anchors.panels && status == TRM_OK; index++)
        status = run_panel(asking, index, err);
    if (status == TRM_OK)
        collect(asking, tally, summary);
    return status;
}
