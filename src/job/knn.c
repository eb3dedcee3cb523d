/* The kind of job "knn": the K nearest rows of each; see trimine/knn.h and inner.h. */
#include "job/inner.h"

#include "base/alloc.h"
#include "base/json.h"
#include "eval/neighbours.h"
#include "par/agree.h"

#include <math.h>

/* What it has while it runs. */
typedef struct asked {
    trm_knn_options options;
    trm_neighbours *neighbours;
    trm_knn_summary found;
    trm_rows_file *file; /* or NULL */
} asked;

static int columns_of(const asked *own, trm_rows_column *column)
{
    column[0] = (trm_rows_column){"/neighbors", own->options.k, TRM_ARRAY_INT64};
    column[1] = (trm_rows_column){"/distances", own->options.k, TRM_ARRAY_FLOAT64};
    return 2;
}

static void end(trm_job *job)
{
    asked *own = job->asked;
    if (own == NULL)
        return;
    trm_rows_file_destroy(&own->file);
    trm_neighbours_destroy(&own->neighbours);
    trm_free(own);
    job->asked = NULL;
}

static trm_status plan(trm_job *job, int64_t reserve, trm_error *err)
{
    asked *own = job->asked;
    own->options = job->settings.knn;
    own->options.metric = job->settings.mine.metric;
    own->options.queries = job->queries.rows;
    own->options.reserve = reserve;
    if (job->settings.output != NULL) {
        trm_rows_column column[TRM_ROWS_COLUMNS];
        own->options.reserve +=
            trm_rows_file_bytes(columns_of(own, column), column, trm_job_askers(job)->total,
                                trm_neighbours_at_once(own->options.k), job->ranks);
    }
    const trm_status status =
        trm_neighbours_create(job->run, job->base.rows, &own->options, &own->found, &own->neighbours, err);
    job->ask = own->found.ask;
    return status;
}

static int travel(const trm_job *job, int64_t *visit, int64_t *home)
{
    const asked *own = job->asked;
    trm_neighbours_travel(own->neighbours, visit, home);
    return 1;
}

static double written(const trm_job *job)
{
    return (double)trm_job_askers(job)->total * (double)job->settings.knn.k *
           (sizeof(int64_t) + sizeof(double));
}

/* ---- running ---- */

/* A trm_knn_fn. */
static trm_status take(void *context, int64_t count, const int64_t *id, const int64_t *neighbour,
                       const double *distance, trm_error *err)
{
    const asked *own = context;
    const void *const data[] = {neighbour, distance};
    return trm_rows_file_add(own->file, count, id, data, err);
}

/* Rows that are ignored have no neighbours: those that this rank was given are written, a few at a time. */
static trm_status write_ignored(trm_job *job, trm_error *err)
{
    const asked *own = job->asked;
    const trm_job_rows *set = trm_job_askers(job);
    const int64_t k = own->options.k, most = trm_neighbours_at_once(k);
    int64_t *id = trm_alloc(most, sizeof *id), *neighbour = trm_alloc(most * k, sizeof *neighbour);
    double *distance = trm_alloc(most * k, sizeof *distance);
    trm_status status = id == NULL || neighbour == NULL || distance == NULL
                            ? trm_fail_memory(err, "lists", most * k, 2 * sizeof *distance)
                            : TRM_OK;
    status = trm_agree(job->comm, status, err);
    for (int64_t i = 0; i < most * k && status == TRM_OK; i++) {
        neighbour[i] = -1;
        distance[i] = INFINITY;
    }
    int more = status == TRM_OK;
    for (int64_t i = 0; more;) {
        int64_t count = 0;
        for (; i < set->batch.count && count < most; i++)
            if (trm_rows_ignore(set->rows, set->batch.labels[i]))
                id[count++] = set->first + i;
        status = take(job->asked, count, id, neighbour, distance, err);
        more = status == TRM_OK && i < set->batch.count;
        MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT, MPI_LOR, job->comm);
    }
    trm_free(id);
    trm_free(neighbour);
    trm_free(distance);
    return status;
}

static trm_status begin_file(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    const trm_job_rows *set = trm_job_askers(job);
    trm_rows_column column[TRM_ROWS_COLUMNS];
    const int columns = columns_of(own, column);
    trm_status status =
        trm_rows_file_create(job->comm, job->claim, set->total, columns, column, &own->file, err);
    return status == TRM_OK && set->rows->total < set->total ? write_ignored(job, err) : status;
}

static trm_status run(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    trm_status status = job->claim != NULL ? begin_file(job, err) : TRM_OK;
    if (status == TRM_OK)
        status = trm_neighbours_run(own->neighbours, job->claim != NULL ? take : NULL, own, &own->found, err);
    job->ask = own->found.ask;
    return status;
}

static trm_status write_file(trm_job *job, trm_error *err)
{
    const asked *own = job->asked;
    char *text = NULL;
    trm_attribute attribute[TRM_JOB_ATTRIBUTES];
    trm_status status = trm_agree(job->comm, trm_settings_text(&job->settings, &text, err), err);
    const int count =
        trm_job_question_attributes(job, "trimine-knn", text, own->found.result_hash, attribute);
    if (status == TRM_OK)
        status = trm_rows_file_finish(own->file, 0, NULL, NULL, count, attribute, err);
    trm_json_free(text);
    return status;
}

/* ---- facts ---- */

static json_t *occurrence_json(const trm_knn_summary *found)
{
    json_t *hubs = json_array();
    for (int i = 0; i < found->occurrence.hubs; i++)
        trm_json_append(&hubs, json_pack("{s:I, s:I}", "row", (json_int_t)found->occurrence.hub[i].id,
                                         "count", (json_int_t)found->occurrence.hub[i].count));
    return json_pack("{s:f, s:f, s:f, s:I, s:I, s:o}", "mean", found->occurrence.mean, "std",
                     found->occurrence.std, "skewness", found->occurrence.skewness, "max",
                     (json_int_t)found->occurrence.most, "never", (json_int_t)found->occurrence.never, "hubs",
                     hubs);
}

static void tell(trm_job *job, json_t **object)
{
    const trm_knn_summary *found = &((const asked *)job->asked)->found;
    const bool labelled = !job->settings.store.unlabelled, any = found->neighbours > 0;
    const double share = any ? (double)found->same_label / (double)found->neighbours : 0.0;
    json_t *neighbours = json_pack("{s:I, s:I, s:o, s:o}", "total", (json_int_t)found->neighbours,
                                   "short_rows", (json_int_t)found->short_rows, "same_label",
                                   labelled ? json_integer(found->same_label) : json_null(),
                                   "same_label_share", labelled && any ? json_real(share) : json_null());
    trm_json_put(object, "neighbors", neighbours);
    trm_json_put(object, "k_occurrence", occurrence_json(found));
    trm_json_put(object, "result_hash", json_string(found->result_hash));
}

/* ---- the kind ---- */

static bool needs_labels(const trm_settings *settings)
{
    return settings->knn.among != TRM_AMONG_ANY;
}

static trm_among *among(trm_settings *settings)
{
    return &settings->knn.among;
}

static const trm_taken takes[] = {
    TRM_TAKE(trm_output_table),
    TRM_TAKE(trm_overwrite_table),
    TRM_TAKE(trm_json_report_table),
    TRM_TAKE(trm_checkpoint_table),
    TRM_TAKE(trm_dataset_table),
    TRM_TAKE(trm_asked_queries_table),
    TRM_TAKE_OF(trm_knn_table, trm_settings, knn),
    TRM_TAKE(trm_metric_table),
    TRM_TAKE(trm_normalize_table),
    TRM_TAKE(trm_ignore_table),
    TRM_TAKE_OF(trm_run_table, trm_settings, run),
    TRM_TAKE(trm_dry_run_table),
};
static const trm_job_question question = {.bytes = sizeof(asked),
                                          .plan = plan,
                                          .travel = travel,
                                          .written = written,
                                          .run = run,
                                          .write = write_file,
                                          .tell = tell,
                                          .end = end};
const trm_job_kind trm_job_knn = {.name = "knn",
                                  .takes = TRM_TAKES(takes),
                                  .question = &question,
                                  .needs_labels = needs_labels,
                                  .among = among};
