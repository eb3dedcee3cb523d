/* The kind of job "eval": how well the nearest rows are those that are relevant; see trimine/eval.h and inner.h.
 *
 * With --per-query the ranks of all relevant rows are a result file: one list after the other, in the order of queries. */
#include "job/inner.h"

#include "base/alloc.h"
#include "base/json.h"
#include "eval/retrieval.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/keyed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 5 };
static const trm_rows_column columns[COLUMNS] = {{"/relevant/row", 0, TRM_ARRAY_INT64},
                                                 {"/relevant/rank", 0, TRM_ARRAY_INT64},
                                                 {"/relevant/rank_low", 0, TRM_ARRAY_INT64},
                                                 {"/relevant/rank_high", 0, TRM_ARRAY_INT64},
                                                 {"/relevant/distance", 0, TRM_ARRAY_FLOAT64}};

/* Where the list of a query begins in the file. */
typedef struct place {
    int64_t id, start;
} place;

/* What it has while it runs. */
typedef struct asked {
    trm_eval_options options;
    trm_retrieval *retrieval;
    trm_eval_summary found;
    /* of a job with a file */
    trm_rows_file *file;
    int64_t first, count; /* this rank's share of the queries' row ids, */
    int64_t *start;       /* and where their lists begin: /queries/start; one more on the last rank */
    place *place;         /* of the rows of the shard, by ascending row id */
    int64_t places;
    /* of rank 0, with --per-class */
    trm_eval_class *of_class;
    int64_t classes;
} asked;

static void end(trm_job *job)
{
    asked *own = job->asked;
    if (own == NULL)
        return;
    trm_rows_file_destroy(&own->file);
    trm_retrieval_destroy(&own->retrieval);
    trm_free(own->start);
    trm_free(own->place);
    trm_free(own->of_class);
    trm_free(own);
    job->asked = NULL;
}

/* ---- planning ---- */

/* What the file takes beside the ranks that are handed out: places, ways to find them, and columns being sent. */
static int64_t file_bytes(const trm_job *job)
{
    const trm_job_rows *set = trm_job_askers(job);
    const int64_t share = set->total / job->ranks + 1, shard = trm_rows_largest_shard(set->rows),
                  whole = INT64_C(1) << 50; /* as if lists were long: it bounds what a round takes */
    const int64_t asking = (share + shard) * (int64_t)sizeof(trm_keyed) + trm_keyed_ask_bytes(share, shard);
    return share * 8 + shard * (int64_t)sizeof(place) + asking +
           trm_rows_file_bytes(COLUMNS, columns, whole, whole, job->ranks);
}

static trm_status plan(trm_job *job, int64_t reserve, trm_error *err)
{
    asked *own = job->asked;
    own->options = job->settings.eval;
    own->options.metric = job->settings.mine.metric;
    own->options.queries = job->queries.rows;
    own->options.pairs = job->settings.pairs != NULL ? &job->pair_list : NULL;
    own->options.reserve = reserve + 2 * job->pairs.count * (int64_t)sizeof *job->pairs.query;
    if (job->settings.output != NULL)
        own->options.reserve += file_bytes(job);
    const trm_status status =
        trm_retrieval_create(job->run, job->base.rows, &own->options, &own->found, &own->retrieval, err);
    job->ask = own->found.ask;
    return status;
}

static int travel(const trm_job *job, int64_t *visit, int64_t *home)
{
    const asked *own = job->asked;
    trm_retrieval_travel(own->retrieval, visit, home);
    return 1;
}

/* ---- where lists begin ---- */

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* own->start becomes how many rows are relevant to each query of this rank's share. Collective. */
static trm_status count_relevant(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    const trm_rows *rows = trm_job_askers(job)->rows;
    int64_t first, last;
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    trm_keyed *known = trm_alloc_zero(last - first, sizeof *known),
              *list = trm_alloc_zero(own->count, sizeof *list);
    own->start = trm_alloc(own->count + 1, sizeof *own->start);
    trm_status status = known == NULL || list == NULL || own->start == NULL
                            ? trm_fail_memory(err, "lists", last - first + own->count, sizeof *list)
                            : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t row = first; row < last; row++)
            known[row - first] =
                (trm_keyed){.key = rows->id[row], .sum = {trm_retrieval_relevant(own->retrieval, row)}};
        for (int64_t i = 0; i < own->count; i++)
            list[i].key = own->first + i;
        status = trm_keyed_ask(job->comm, known, last - first, list, own->count, err);
    }
    for (int64_t i = 0; i < own->count && status == TRM_OK; i++)
        own->start[i] = list[i].sum[0];
    trm_free(known);
    trm_free(list);
    return status;
}

/* Sums up own->start; *total: of all ranks. Collective. */
static void add_up(trm_job *job, int64_t *total)
{
    asked *own = job->asked;
    int64_t sum = 0;
    for (int64_t i = 0; i < own->count; i++)
        sum += own->start[i];
    int64_t at = trm_prefix_int64(job->comm, sum);
    *total = trm_sum_int64(job->comm, sum);
    for (int64_t i = 0; i < own->count; i++) {
        const int64_t length = own->start[i];
        own->start[i] = at;
        at += length;
    }
    own->start[own->count] = at; /* the end of all, on the last rank */
}

/* Tells each team where the lists of its rows begin. Collective. */
static trm_status share_places(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    const trm_rows *rows = trm_job_askers(job)->rows;
    trm_keyed *known = trm_alloc_zero(own->count, sizeof *known),
              *list = trm_alloc_zero(rows->count, sizeof *list);
    own->place = trm_alloc(rows->count, sizeof *own->place);
    trm_status status = known == NULL || list == NULL || own->place == NULL
                            ? trm_fail_memory(err, "places", rows->count + own->count, sizeof *list)
                            : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t i = 0; i < own->count; i++)
            known[i] = (trm_keyed){.key = own->first + i, .sum = {own->start[i]}};
        for (int64_t row = 0; row < rows->count; row++)
            list[row].key = rows->id[row];
        status = trm_keyed_ask(job->comm, known, own->count, list, rows->count, err);
    }
    for (int64_t row = 0; row < rows->count && status == TRM_OK; row++)
        own->place[row] = (place){list[row].key, list[row].sum[0]};
    own->places = rows->count;
    if (status == TRM_OK && own->places > 1)
        qsort(own->place, (size_t)own->places, sizeof *own->place, compare_places);
    trm_free(known);
    trm_free(list);
    return status;
}

/* Collective. */
static trm_status begin_file(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    int64_t total = 0, last;
    trm_share(trm_job_askers(job)->total, job->rank, job->ranks, &own->first, &last);
    own->count = last - own->first;
    trm_status status = count_relevant(job, err);
    if (status == TRM_OK) {
        add_up(job, &total);
        status = share_places(job, err);
    }
    return status == TRM_OK
               ? trm_rows_file_create(job->comm, job->claim, total, COLUMNS, columns, &own->file, err)
               : status;
}

/* ---- running ---- */

/* Some ranks as columns of the file; one piece of memory. */
typedef struct table {
    int64_t count, *id, *row, *rank, *low, *high;
    double *distance;
} table;

static void fill_table(const asked *own, int64_t queries, const trm_eval_query *query, table *into)
{
    for (int64_t k = 0; k < queries; k++) {
        const place sought = {.id = query[k].id};
        const place *found = bsearch(&sought, own->place, (size_t)own->places, sizeof sought, compare_places);
        for (int64_t i = 0; i < query[k].count && found != NULL; i++) {
            const trm_eval_rank *of = &query[k].rank[i];
            const int64_t at = into->count++;
            into->id[at] = found->start + i;
            into->row[at] = of->row;
            into->rank[at] = of->rank;
            into->low[at] = of->low;
            into->high[at] = of->high;
            into->distance[at] = of->distance;
        }
    }
}

/* Of trm_eval_takers. Collective. */
static trm_status take_queries(void *context, int64_t queries, const trm_eval_query *query, trm_error *err)
{
    trm_job *job = context;
    const asked *own = job->asked;
    int64_t most = 0;
    for (int64_t k = 0; k < queries; k++)
        most += query[k].count;
    int64_t *room = trm_alloc(COLUMNS * most, sizeof *room);
    double *distance = trm_alloc(most, sizeof *distance);
    trm_status status = room == NULL || distance == NULL
                            ? trm_fail_memory(err, "ranks", most, (COLUMNS + 1) * sizeof *room)
                            : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK) {
        table all = {0, room, room + most, room + 2 * most, room + 3 * most, room + 4 * most, distance};
        fill_table(own, queries, query, &all);
        const void *const data[COLUMNS] = {all.row, all.rank, all.low, all.high, all.distance};
        status = trm_rows_file_add(own->file, all.count, all.id, data, err);
    }
    trm_free(room);
    trm_free(distance);
    return status;
}

static int compare_classes(const void *a, const void *b)
{
    const trm_eval_class *x = a, *y = b;
    return (x->label > y->label) - (x->label < y->label);
}

/* Of trm_eval_takers: all of them to rank 0. Collective. */
static trm_status take_classes(void *context, int64_t count, const trm_eval_class *of, trm_error *err)
{
    trm_job *job = context;
    asked *own = job->asked;
    void *received = NULL;
    int64_t *counts = trm_alloc_zero(2 * (int64_t)job->ranks, sizeof *counts);
    trm_status status = counts == NULL ? trm_fail_memory(err, "counts", job->ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK) {
        counts[0] = count;
        status = trm_exchange_items(job->comm, of, counts, sizeof *of, &received, counts + job->ranks, err);
    }
    for (int r = 0; r < job->ranks && status == TRM_OK; r++)
        own->classes += counts[job->ranks + r];
    own->of_class = received;
    if (own->classes > 1)
        qsort(own->of_class, (size_t)own->classes, sizeof *own->of_class, compare_classes);
    trm_free(counts);
    return status;
}

static trm_status run(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    const trm_eval_takers takers = {job, job->claim != NULL ? take_queries : NULL, take_classes};
    trm_status status = job->claim != NULL ? begin_file(job, err) : TRM_OK;
    if (status == TRM_OK)
        status = trm_retrieval_run(own->retrieval, &takers, &own->found, err);
    job->ask = own->found.ask;
    return status;
}

static trm_status write_file(trm_job *job, trm_error *err)
{
    const asked *own = job->asked;
    const bool last = job->rank == job->ranks - 1;
    char *text = NULL;
    trm_attribute attribute[TRM_JOB_ATTRIBUTES];
    const trm_output_array start = {.name = "/queries/start",
                                    .rank = 1,
                                    .size = {trm_job_askers(job)->total + 1},
                                    .first = own->first,
                                    .count = own->count + last,
                                    .data = own->start,
                                    .type = TRM_ARRAY_INT64};
    trm_status status = trm_agree(job->comm, trm_settings_text(&job->settings, &text, err), err);
    const int count =
        trm_job_question_attributes(job, "trimine-eval", text, own->found.result_hash, attribute);
    if (status == TRM_OK)
        status = trm_rows_file_finish(own->file, 1, &start, NULL, count, attribute, err);
    trm_json_free(text);
    return status;
}

/* ---- facts ---- */

/* The values that are asked for: those at k are objects by k. */
static json_t *values_json(const asked *own, const trm_eval_values *values)
{
    json_t *object = json_object();
    trm_eval_place of;
    for (int i = 0; trm_retrieval_place(own->retrieval, i, &of); i++) {
        const double value = (&values->precision_at_1)[i];
        if (!of.asked)
            continue;
        json_t *number = isnan(value) ? json_null() : json_real(value);
        if (of.k < 0) {
            trm_json_put(&object, of.name, number);
            continue;
        }
        char k[24];
        json_t *by_k = json_object_get(object, of.name);
        snprintf(k, sizeof k, "%" PRId64, own->found.at[of.k]);
        by_k = by_k != NULL ? json_incref(by_k) : json_object();
        trm_json_put(&by_k, k, number);
        trm_json_put(&object, of.name, by_k);
    }
    return object;
}

/* Micro means, and in it macro ones, where there are classes. */
static json_t *means_json(const asked *own, const trm_eval_values *micro, const trm_eval_values *macro)
{
    json_t *object = values_json(own, micro);
    if (own->options.pairs == NULL)
        trm_json_put(&object, "macro", values_json(own, macro));
    return object;
}

static json_t *classes_json(const trm_job *job, const asked *own)
{
    const trm_names *names = trm_job_names(job);
    json_t *list = json_array();
    for (int64_t i = 0; i < own->classes; i++) {
        const trm_eval_class *of = &own->of_class[i];
        json_t *label =
            names != NULL ? trm_json_text(trm_names_get(names, of->label, NULL)) : json_integer(of->label);
        trm_json_append(&list, json_pack("{s:o, s:I, s:o}", "label", label, "queries",
                                         (json_int_t)of->queries, "metrics", values_json(own, &of->value)));
    }
    return list;
}

static void tell(trm_job *job, json_t **object)
{
    const asked *own = job->asked;
    const trm_eval_summary *found = &own->found;
    json_t *metrics = means_json(own, &found->micro.value, &found->macro.value);
    trm_json_put(&metrics, "low", means_json(own, &found->micro.low, &found->macro.low));
    trm_json_put(&metrics, "high", means_json(own, &found->micro.high, &found->macro.high));
    json_t *counts = json_pack("{s:I, s:I, s:I, s:I}", "queries", (json_int_t)found->queries, "no_relevant",
                               (json_int_t)found->no_relevant, "ties_matter", (json_int_t)found->tied,
                               "relevant", (json_int_t)found->relevant);
    if (own->options.pairs == NULL)
        trm_json_put(&counts, "classes", json_integer(found->classes));
    trm_json_put(object, "evaluated", counts);
    trm_json_put(object, "metrics", metrics);
    if (own->options.per_class)
        trm_json_put(object, "classes", classes_json(job, own));
    trm_json_put(object, "result_hash", json_string(found->result_hash));
    if (found->queries == 0)
        trm_warn(&job->voice, "no row has a relevant one: there is nothing to evaluate");
}

/* ---- the kind ---- */

static trm_status check(const trm_settings *settings, trm_error *err)
{
    if (settings->pairs != NULL && settings->eval.per_class)
        return trm_fail(err, TRM_ERR_USAGE, "--per-class goes by labels, --pairs does not: give one of them");
    return trm_retrieval_check(&settings->eval, err);
}

static const trm_taken takes[] = {
    TRM_TAKE(trm_per_query_table),   TRM_TAKE(trm_overwrite_table),
    TRM_TAKE(trm_json_report_table), TRM_TAKE(trm_checkpoint_table),
    TRM_TAKE(trm_dataset_table),     TRM_TAKE(trm_asked_queries_table),
    TRM_TAKE(trm_asked_pairs_table), TRM_TAKE_OF(trm_eval_table, trm_settings, eval),
    TRM_TAKE(trm_metric_table),      TRM_TAKE(trm_normalize_table),
    TRM_TAKE(trm_ignore_table),      TRM_TAKE_OF(trm_run_table, trm_settings, run),
    TRM_TAKE(trm_dry_run_table),
};
static const trm_job_question question = {.bytes = sizeof(asked),
                                          .plan = plan,
                                          .seeks_positives = true,
                                          .travel = travel,
                                          .run = run,
                                          .write = write_file,
                                          .tell = tell,
                                          .end = end};
const trm_job_kind trm_job_eval = {
    .name = "eval", .takes = TRM_TAKES(takes), .check = check, .question = &question};
