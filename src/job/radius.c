/* The kind of job "radius": all pairs within a distance, and their groups; see trimine/radius.h and inner.h. */
#include "job/inner.h"

#include "base/alloc.h"
#include "base/json.h"
#include "eval/radius.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <math.h>

/* What it has while it runs. */
typedef struct asked {
    trm_radius_options options;
    trm_search *search;
    trm_radius_summary found;
    trm_rows_file *file; /* or NULL */
} asked;

/* The list of pairs is written as rows, numbered in its order. */
static const trm_rows_column columns[] = {{"/pairs/a", 0, TRM_ARRAY_INT64},
                                          {"/pairs/b", 0, TRM_ARRAY_INT64},
                                          {"/pairs/distance", 0, TRM_ARRAY_FLOAT64}};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void end(trm_job *job)
{
    asked *own = job->asked;
    if (own == NULL)
        return;
    trm_rows_file_destroy(&own->file);
    trm_search_destroy(&own->search);
    trm_free(own);
    job->asked = NULL;
}

/* What writing takes on a rank, however many pairs there will be, where that is not known. */
static int64_t writing_bytes(const trm_job *job)
{
    const int64_t rows = trm_job_askers(job)->total, others = job->base.total, many = INT64_C(1) << 40;
    const int64_t most = others > 0 && rows > many / others ? many : rows * others,
                  pairs = job->pairs_known ? job->pairs_within : most;
    return trm_rows_file_bytes(COLUMNS, columns, pairs, TRM_SEARCH_AT_ONCE, job->ranks) +
           (rows / job->ranks + 1) * (int64_t)sizeof(int64_t);
}

/* 0.95 is a similarity that people know, and a distance that takes nearly all pairs. */
static void warn_of_radius(trm_job *job)
{
    const double large = 0.5, radius = job->settings.radius.radius;
    if (job->rank == 0 && job->settings.mine.metric == TRM_METRIC_COSINE && radius >= large)
        trm_warn(
            &job->voice,
            "radius %g: a cosine distance is 1 - similarity, so these are pairs of a similarity of %g and "
            "more",
            radius, 1.0 - radius);
}

static trm_status plan(trm_job *job, int64_t reserve, trm_error *err)
{
    asked *own = job->asked;
    warn_of_radius(job);
    own->options = job->settings.radius;
    own->options.metric = job->settings.mine.metric;
    own->options.queries = job->queries.rows;
    own->options.list = job->settings.output != NULL;
    own->options.reserve = reserve + (job->settings.output != NULL ? writing_bytes(job) : 0);
    trm_status status =
        trm_search_create(job->run, job->base.rows, &own->options, &own->found, &own->search, err);
    job->ask = own->found.ask;
    if (status == TRM_OK && job->pairs_known)
        status = trm_search_expect(own->search, job->pairs_within, &job->ask.memory_bytes, err);
    return status;
}

static double written(const trm_job *job)
{
    return (double)job->pairs_within * (2 * sizeof(int64_t) + sizeof(double)) +
           (double)trm_job_askers(job)->total * sizeof(int64_t);
}

static int travel(const trm_job *job, int64_t *visit, int64_t *home)
{
    const asked *own = job->asked;
    trm_search_travel(own->search, visit, home);
    return own->options.list || own->options.groups ? 2 : 1; /* counting, and listing */
}

/* ---- running ---- */

/* A trm_radius_fn. */
static trm_status take(void *context, const trm_radius_pairs *pairs, trm_error *err)
{
    const asked *own = context;
    const void *const data[] = {pairs->a, pairs->b, pairs->distance};
    return trm_rows_file_add(own->file, pairs->count, pairs->place, data, err);
}

static trm_status run(trm_job *job, trm_error *err)
{
    asked *own = job->asked;
    trm_status status = trm_search_count(own->search, &own->found, err);
    job->pairs_known = true;
    job->pairs_within = own->found.pairs;
    if (status == TRM_OK && job->rank == 0)
        trm_voice_say(&job->voice, TRM_LINE_STEP, "counted    %lld pairs; a list of them takes %.3g MB",
                      (long long)own->found.pairs, (double)own->found.list_bytes / 1e6);
    if (status == TRM_OK && job->claim != NULL)
        status =
            trm_rows_file_create(job->comm, job->claim, own->found.pairs, COLUMNS, columns, &own->file, err);
    if (status == TRM_OK)
        status = trm_search_list(own->search, job->claim != NULL ? take : NULL, own, &own->found, err);
    job->ask = own->found.ask;
    return status;
}

/* ---- writing ---- */

/* The rows without a pair, new memory, or NULL. */
static int64_t *isolated_of(const trm_radius_rows *rows, int64_t *count)
{
    int64_t *id = trm_alloc(rows->count, sizeof *id);
    *count = 0;
    for (int64_t i = 0; i < rows->count && id != NULL; i++)
        if (rows->near[i] == 0)
            id[(*count)++] = rows->first + i;
    return id;
}

static trm_output_array of_rows(const char *name, int64_t total, int64_t first, int64_t count,
                                const int64_t *data)
{
    return (trm_output_array){.name = name,
                              .rank = 1,
                              .size = {total},
                              .first = first,
                              .count = count,
                              .data = data,
                              .type = TRM_ARRAY_INT64};
}

static trm_status finish(trm_job *job, int64_t isolated, const int64_t *id, trm_error *err)
{
    const asked *own = job->asked;
    const trm_radius_summary *found = &own->found;
    const trm_radius_rows rows = trm_search_rows(own->search);
    const int64_t total = trm_job_askers(job)->total, here = job->rank == 0 ? found->bins : 0;
    const int64_t before = trm_prefix_int64(job->comm, isolated);
    char *text = NULL;
    trm_attribute attribute[TRM_JOB_ATTRIBUTES];
    trm_status status = trm_agree(job->comm, trm_settings_text(&job->settings, &text, err), err);
    trm_output_array array[] = {
        of_rows("/degree", total, rows.first, rows.count, rows.near),
        of_rows("/isolated", found->isolated, before, isolated, id),
        of_rows("/histogram/counts", found->bins, 0, here, found->bin),
        of_rows("/histogram/edges", found->bins + 1, 0, here > 0 ? here + 1 : 0, NULL),
        of_rows("/group", total, rows.first, rows.count, rows.group),
    };
    const int arrays = (int)(sizeof array / sizeof *array) - (own->options.groups ? 0 : 1);
    array[3].data = found->edges;
    array[3].type = TRM_ARRAY_FLOAT64;
    const int count = trm_job_question_attributes(job, "trimine-radius", text, found->result_hash, attribute);
    if (status == TRM_OK)
        status = trm_rows_file_finish(own->file, arrays, array, NULL, count, attribute, err);
    trm_json_free(text);
    return status;
}

static trm_status write_file(trm_job *job, trm_error *err)
{
    const asked *own = job->asked;
    const trm_radius_rows rows = trm_search_rows(own->search);
    int64_t isolated, *id = isolated_of(&rows, &isolated);
    trm_status status =
        id == NULL ? trm_fail_memory(err, "rows without a pair", rows.count, sizeof *id) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK)
        status = finish(job, isolated, id, err);
    trm_free(id);
    return status;
}

/* ---- facts ---- */

static json_t *groups_json(const trm_job *job, const trm_radius_summary *found)
{
    json_t *largest = json_array();
    for (int i = 0; i < found->groups.largest; i++)
        trm_json_append(&largest, json_pack("{s:I, s:I}", "group", (json_int_t)found->groups.size[i].id,
                                            "rows", (json_int_t)found->groups.size[i].count));
    return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)found->groups.count, "rows",
                     (json_int_t)found->groups.rows, "alone",
                     (json_int_t)(job->ask.rows - found->groups.rows), "largest", largest);
}

static json_t *histogram_json(const trm_radius_summary *found)
{
    json_t *edges = json_array(), *counts = json_array();
    for (int64_t i = 0; i <= found->bins; i++)
        trm_json_append(&edges, json_real(found->edges[i]));
    for (int64_t i = 0; i < found->bins; i++)
        trm_json_append(&counts, json_integer(found->bin[i]));
    return json_pack("{s:o, s:o}", "edges", edges, "counts", counts);
}

static void tell(trm_job *job, json_t **object)
{
    const asked *own = job->asked;
    const trm_radius_summary *found = &own->found;
    json_t *pairs = json_pack("{s:I, s:b, s:I}", "total", (json_int_t)found->pairs, "listed",
                              job->claim != NULL, "list_bytes", (json_int_t)found->list_bytes);
    json_t *degree = json_pack("{s:I, s:I}", "isolated", (json_int_t)found->isolated, "max",
                               (json_int_t)found->most.count);
    trm_json_put(&degree, "max_row", found->most.id >= 0 ? json_integer(found->most.id) : json_null());
    trm_json_put(object, "pairs", pairs);
    trm_json_put(object, "degree", degree);
    trm_json_put(object, "histogram", histogram_json(found));
    if (own->options.groups) {
        trm_json_put(object, "groups", groups_json(job, found));
        trm_json_put(object, "group_rounds", json_integer(found->groups.rounds));
    }
    trm_json_put(object, "result_hash", json_string(found->result_hash));
}

/* ---- the kind ---- */

static bool needs_labels(const trm_settings *settings)
{
    return settings->radius.among != TRM_AMONG_ANY;
}

/* What the options alone tell; the library says it again, when the metric is known to all. */
static trm_status check(const trm_settings *settings, trm_error *err)
{
    const trm_radius_options *options = &settings->radius;
    if (isnan(options->radius))
        return trm_fail(err, TRM_ERR_USAGE, "give --radius R: how far apart the rows of a pair may be");
    if (options->groups && settings->queries.count > 0)
        return trm_fail(err, TRM_ERR_USAGE, "--groups: are of one set, and do not go with --queries");
    if (settings->output == NULL && trm_settings_given(settings, "max-pairs"))
        return trm_fail(err, TRM_ERR_USAGE, "--max-pairs goes with -o only");
    return TRM_OK;
}

static trm_among *among(trm_settings *settings)
{
    return &settings->radius.among;
}

static const trm_taken takes[] = {
    TRM_TAKE(trm_output_table),
    TRM_TAKE(trm_overwrite_table),
    TRM_TAKE(trm_json_report_table),
    TRM_TAKE(trm_checkpoint_table),
    TRM_TAKE(trm_dataset_table),
    TRM_TAKE(trm_asked_queries_table),
    TRM_TAKE_OF(trm_radius_table, trm_settings, radius),
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
const trm_job_kind trm_job_radius = {.name = "radius",
                                     .takes = TRM_TAKES(takes),
                                     .check = check,
                                     .question = &question,
                                     .needs_labels = needs_labels,
                                     .among = among};
