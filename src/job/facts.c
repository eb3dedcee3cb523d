/* The facts of a job; see facts.h and inner.h. */
#include "job/facts.h"

#include "job/inner.h"
#include "base/clock.h"
#include "base/number.h"
#include "mine/negatives.h"
#include "mine/options.h"
#include "par/agree.h"
#include "rows/host.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- parts ---- */

json_t *trm_anchors_json(const trm_mine_summary *summary)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)summary->anchors.total, "valid",
                     (json_int_t)summary->anchors.valid, "no_positive",
                     (json_int_t)summary->anchors.no_positive, "no_negative",
                     (json_int_t)summary->anchors.no_negative, "ignored",
                     (json_int_t)summary->anchors.ignored);
}

json_t *trm_triplets_json(int64_t total, int64_t semihard, int64_t fallback, int64_t skipped)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)total, "picked",
                     (json_int_t)(total - fallback), "semihard", (json_int_t)semihard, "fallback",
                     (json_int_t)fallback, "skipped", (json_int_t)skipped);
}

json_t *trm_gradient_json(const trm_loss_summary *loss)
{
    return json_pack("{s:f, s:f}", "norm", loss->gradient_norm, "max_abs", loss->gradient_max_abs);
}

json_t *trm_loss_json(const char *name, const trm_loss_summary *loss, trm_reduction reduction)
{
    return json_pack("{s:s, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:s}", "name", name, "sum", loss->sum,
                     "count", (json_int_t)loss->count, "active", (json_int_t)loss->active, "mean_all",
                     loss->mean_all, "mean_nonzero", loss->mean_nonzero, "mean_valid", loss->mean_valid,
                     "mean_rows", loss->mean_rows, "value", loss->value, "reduction",
                     trm_reduction_name(reduction));
}

json_t *trm_cores_json(const trm_run *run)
{
    const char *note = trm_run_threads_note(run);
    return json_pack("{s:i, s:o}", "host_cores", trm_run_host_cores(run), "threads_note",
                     note[0] != '\0' ? trm_json_text(note) : json_null());
}

json_t *trm_chains_json(const trm_chain_use *chains)
{
    json_t *list = json_array();
    for (int c = 0; c < TRM_CHAINS && chains[c].name[0] != '\0'; c++) {
        const trm_chain_use *chain = &chains[c];
        json_array_append_new(list, json_pack("{s:s, s:I, s:f}", "name", chain->name, "elements",
                                              (json_int_t)chain->elements, "ns_a_pair", chain->ns));
    }
    return list;
}

json_t *trm_certify_json(const trm_mine_summary *summary, const char *kernel)
{
    const int64_t *after = summary->stages.after, *of_positives = summary->stages_positives.after;
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:[I, I], s:{s:I, s:I, s:I, s:[I, I]}}", "kernel", kernel,
                     "chains", trm_chains_json(summary->chains), "elements",
                     (json_int_t)summary->certify.elements, "survivors",
                     (json_int_t)summary->certify.survivors, "float64", (json_int_t)summary->certify.float64,
                     "stages", (json_int_t)after[0], (json_int_t)after[1], "positives", "elements",
                     (json_int_t)summary->certify_positives.elements, "survivors",
                     (json_int_t)summary->certify_positives.survivors, "float64",
                     (json_int_t)summary->certify_positives.float64, "stages", (json_int_t)of_positives[0],
                     (json_int_t)of_positives[1]);
}

/* ---- the triplets ---- */

static bool may_come_short(const trm_job *job)
{
    return job->options.source == TRM_SOURCE_MINED && trm_negatives_may_come_short(&job->options.mine);
}

static bool has_filter(const trm_job *job, int filter)
{
    return !isnan(trm_option_real(&trm_filters_table.option[filter], &job->options.mine));
}

/* What filters removed, and anchors that came up short; NULL where the policy of negatives takes no filters. */
static json_t *filters_json(const trm_job *job)
{
    if (!may_come_short(job))
        return NULL;
    json_t *object = json_object();
    for (int f = 0; f < TRM_FILTERS; f++)
        if (has_filter(job, f))
            trm_json_put(&object, trm_filters_table.option[f].json,
                         json_pack("{s:I}", "removed", (json_int_t)job->mined.filters.removed[f]));
    trm_json_put(&object, "short_anchors", json_integer(job->mined.filters.short_anchors));
    return object;
}

static json_t *batches_json(const trm_job *job)
{
    const trm_settings *settings = &job->settings;
    const bool drawn = settings->batches > 0;
    return json_pack("{s:I, s:o, s:o, s:I, s:o}", "count", (json_int_t)job->batch_count, "classes_per_batch",
                     drawn ? json_integer(settings->classes_per_batch) : json_null(), "rows_per_class",
                     drawn ? json_integer(settings->rows_per_class) : json_null(), "rows",
                     (json_int_t)job->batch_rows, "list",
                     settings->batch_list != NULL ? trm_json_text(settings->batch_list) : json_null());
}

static json_t *number_or_null(double value, bool known)
{
    return known ? json_real(value) : json_null();
}

/* null, where there are no triplets, or the quartiles are not known. */
static json_t *statistic_json(const trm_statistic *of, bool ordered)
{
    const bool known = of->count > 0, quartiles = known && ordered;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count", (json_int_t)of->count, "mean",
                     number_or_null(of->mean, known), "median", number_or_null(of->median, quartiles), "std",
                     number_or_null(of->std, known), "min", number_or_null(of->min, known), "q1",
                     number_or_null(of->q1, quartiles), "q3", number_or_null(of->q3, quartiles), "max",
                     number_or_null(of->max, known));
}

static json_t *histogram_json(const trm_statistic *of, int64_t bins)
{
    json_t *edges = json_array(), *counts = json_array();
    for (int64_t i = 0; i <= bins; i++)
        trm_json_append(&edges, json_real(of->edges[i]));
    for (int64_t i = 0; i < bins; i++)
        trm_json_append(&counts, json_integer(of->bin[i]));
    return json_pack("{s:o, s:o}", "edges", edges, "counts", counts);
}

static json_t *margins_json(const trm_survey *survey)
{
    json_t *margins = json_array();
    for (int i = 0; i < survey->options.margins; i++) {
        const trm_margin *m = &survey->margin[i];
        trm_json_append(&margins,
                        json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "margin", m->margin, "triplets",
                                  (json_int_t)m->count, "semihard", (json_int_t)m->semihard, "active",
                                  (json_int_t)m->active, "active_share", m->active_share, "loss_sum", m->sum,
                                  "mean_all", m->mean_all, "mean_nonzero", m->mean_nonzero));
    }
    return margins;
}

json_t *trm_survey_json(const trm_survey *survey)
{
    const trm_statistics_summary *found = &survey->found;
    json_t *object = json_object(), *statistics = json_object(), *histogram = json_object();
    for (int k = 0; k < TRM_SERIES; k++) {
        trm_json_put(&statistics, trm_series_names[k], statistic_json(&found->of[k], found->ordered));
        if (found->bins > 0)
            trm_json_put(&histogram, trm_series_names[k], histogram_json(&found->of[k], found->bins));
    }
    trm_json_put(&object, "statistics", statistics);
    if (found->bins > 0)
        trm_json_put(&object, "histogram", histogram);
    else
        json_decref(histogram);
    if (survey->options.margins > 0)
        trm_json_put(&object, "margins", margins_json(survey));
    return object;
}

/* ---- the ranks and their memory ---- */

/* One rank's row of the per-rank table, as it travels. */
typedef struct rank_row {
    trm_loss_part part;
    char host[TRM_ERROR_HOST];
} rank_row;

static json_t *rank_json(const trm_job *job, int rank, const rank_row *row)
{
    json_t *object =
        json_pack("{s:i, s:s, s:I}", "rank", rank, "host", row->host, "rows", (json_int_t)row->part.rows);
    if (job->settings.kind->question == NULL)
        trm_json_put_all(&object, json_pack("{s:f, s:I}", "loss_sum", row->part.loss_sum, "triplets",
                                            (json_int_t)row->part.triplets));
    trm_json_put_all(&object,
                     json_pack("{s:f, s:f}", "compute_s", row->part.compute_s, "wait_s", row->part.wait_s));
    if (job->settings.gradient)
        trm_json_put(&object, "gradient_norm", json_real(row->part.gradient_norm));
    return object;
}

/* The table of ranks on rank 0, else an empty one. Collective. */
static json_t *ranks_json(const trm_job *job, const trm_loss_part *part)
{
    json_t *table = json_array();
    rank_row row = {.part = *part};
    gethostname(row.host, sizeof row.host - 1);
    for (int r = 0; r < job->ranks;
         r++) { /* one after the other: nothing to allocate, and it is the end of the job */
        if (r > 0 && job->rank == 0)
            MPI_Recv(&row, (int)sizeof row, MPI_BYTE, r, 0, job->comm, MPI_STATUS_IGNORE);
        else if (r > 0 && job->rank == r)
            MPI_Send(&row, (int)sizeof row, MPI_BYTE, 0, 0, job->comm);
        if (job->rank == 0)
            trm_json_append(&table, rank_json(job, r, &row));
    }
    return table;
}

/* The largest of any rank, in bytes. Collective. */
static int64_t peak_rss_of(MPI_Comm comm)
{
    int64_t bytes = trm_host_rss_peak();
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, comm);
    return bytes;
}

/* ---- all of it ---- */

/* Elements of the whole matrix of distances, or of those of all batches. */
static double matrix(const trm_job *job)
{
    const double n = (double)job->mined.anchors.total;
    if (trm_settings_in_two_sets(&job->settings))
        return n * (double)job->base.total;
    return trm_settings_in_batches(&job->settings) ? 2.0 * (double)job->mined.certify.elements + n : n * n;
}

/* Distances that differ: one set's matrix is symmetric. */
static double pairs(const trm_job *job)
{
    const double n = (double)job->mined.anchors.total;
    return trm_settings_in_two_sets(&job->settings) ? matrix(job) : (matrix(job) - n) / 2.0;
}

/* What a program that fills the whole matrix would have to sustain. */
static double effective_gflops(const trm_job *job)
{
    const double s = job->mined.negatives_s;
    return s > 0.0 ? 2.0 * matrix(job) * job->base.batch.dim / s / 1e9 : 0.0;
}

json_t *trm_job_means_json(const trm_job *job, int panels)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:s}", "ranks", job->ranks, "threads",
                     trm_run_threads(job->run), "replicate", trm_rows_replicate(job->base.rows), "tile",
                     trm_run_tile(job->run, job->base.batch.dim), "panels", panels, "kernel",
                     trm_run_kernel(job->run), "isa", trm_run_isa(job->run));
}

json_t *trm_job_memory_json(const trm_job *job, int64_t peak_rss, int64_t plan_bytes)
{
    json_t *memory =
        json_pack("{s:I, s:I, s:I}", "peak_rss_bytes", (json_int_t)peak_rss, "baseline_rss_bytes",
                  (json_int_t)job->baseline_rss, "plan_bytes", (json_int_t)plan_bytes);
    trm_json_put_all(&memory, trm_cores_json(job->run));
    return memory;
}

static json_t *run_json(const trm_job *job, int64_t peak_rss)
{
    const trm_mine_summary *s = &job->mined;
    json_t *run = trm_job_means_json(job, s->panels);
    json_t *more = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "read_s", job->read_s, "arrange_s",
        s->arrange_s, "prepare_s", s->prepare_s, "positives_s", s->positives_s, "negatives_s", s->negatives_s,
        "answers_s", s->answers_s, "loss_s", job->loss.loss_s, "gradient_s", job->loss.gradient_s, "write_s",
        job->write_s, "total_s", job->total_s, "pairs_per_s",
        s->negatives_s > 0.0 ? pairs(job) / s->negatives_s : 0.0, "gflops_effective", effective_gflops(job));
    trm_json_put_all(&run, more);
    trm_json_put_all(&run, trm_job_memory_json(job, peak_rss, s->memory_bytes));
    return run;
}

json_t *trm_job_head_json(const trm_job *job, int64_t classes)
{
    return json_pack("{s:s, s:s, s:s, s:{s:I, s:i, s:o, s:s}, s:o}", "program", "trimine", "version",
                     trm_version(), "command", job->settings.kind->name, "store", "rows",
                     (json_int_t)job->base.total, "dim", job->base.batch.dim, "classes",
                     classes < 0 ? json_null() : json_integer(classes), "fingerprint", job->base.fingerprint,
                     "options", trm_settings_json(&job->settings));
}

void trm_job_put_queries(const trm_job *job, json_t **object)
{
    if (trm_settings_in_two_sets(&job->settings))
        trm_json_put(object, "queries",
                     json_pack("{s:I, s:s}", "rows", (json_int_t)job->queries.total, "fingerprint",
                               job->queries.fingerprint));
}

static json_t *report_json(trm_job *job, int64_t peak_rss)
{
    const trm_mine_summary *s = &job->mined;
    const trm_source source = job->options.source;
    const bool semihard = source == TRM_SOURCE_MINED;
    json_t *object = trm_job_head_json(job, s->classes);
    trm_json_put_all(&object,
                     json_pack("{s:o, s:o}", "anchors", trm_anchors_json(s), "triplets",
                               trm_triplets_json(job->loss.count, semihard ? s->triplets.semihard : 0,
                                                 s->triplets.fallback, s->triplets.skipped)));
    if (source == TRM_SOURCE_MINED || source == TRM_SOURCE_BATCH_HARD)
        trm_json_put_all(
            &object, json_pack("{s:I, s:o, s:s}", "positive_pairs", (json_int_t)s->positive_pairs, "certify",
                               trm_certify_json(s, trm_run_kernel(job->run)), "result_hash", s->result_hash));
    json_t *filters = filters_json(job);
    if (filters != NULL)
        trm_json_put(&object, "filters", filters);
    if (trm_job_is_set(job))
        trm_json_put(&object, "set",
                     json_pack("{s:s, s:I, s:b}", "name", job->options.mine.negatives, "count",
                               (json_int_t)s->set_size, "listed", job->options.mine.emit_sets));
    if (trm_settings_in_batches(&job->settings))
        trm_json_put(&object, "batches", batches_json(job));
    trm_job_put_queries(job, &object);
    if (job->settings.pairs != NULL)
        trm_json_put(&object, "pairs",
                     json_pack("{s:I, s:I, s:o}", "count", (json_int_t)job->pairs.total, "repeated",
                               (json_int_t)s->repeated_pairs, "file", trm_json_text(job->settings.pairs)));
    trm_json_put(&object, "loss", trm_loss_json(job->loss_name, &job->loss, job->settings.loss.reduction));
    if (job->gradient != NULL)
        trm_json_put(&object, "gradient", trm_gradient_json(&job->loss));
    if (trm_job_has_triplets(job))
        trm_json_put_all(&object, trm_survey_json(&job->survey));
    trm_json_put(&object, "warnings", trm_voice_warnings(&job->voice));
    trm_json_put(&object, "run", run_json(job, peak_rss));
    if (job->settings.checkpoint != NULL)
        trm_json_put(&object, "checkpoint", trm_job_checkpoint_report(&job->checkpoint, s->reused));
    return object;
}

/* ---- a margin that finds next to nothing ---- */

bool trm_job_looks_at_gaps(const trm_job *job, const trm_mine_summary *mined)
{
    enum { FEW = 10 };
    const int64_t pairs = mined->positive_pairs;
    return job->options.source == TRM_SOURCE_MINED && job->options.batches == NULL &&
           !trm_settings_in_two_sets(&job->settings) &&
           trm_negatives_take(&job->options.mine, TRM_TAKES_WINDOW) &&
           job->options.mine.window != TRM_WINDOW_NONE &&
           mined->triplets.semihard < pairs / FEW + (pairs % FEW != 0);
}

/* Collective. */
static void look_at_gaps(trm_job *job)
{
    trm_error unheard = TRM_ERROR_INIT; /* what the answer was is known; why it is so may stay open */
    if (trm_job_looks_at_gaps(job, &job->mined) &&
        trm_mine_gaps(job->run, job->base.rows, &job->options.mine, &job->gaps, &unheard) != TRM_OK)
        job->gaps.sampled = 0;
}

/* The number of two digits that is next above. */
static double round_up(double x)
{
    if (!(x > 0.0))
        return 0.0;
    const double unit = pow(10.0, floor(log10(x)) - 1.0);
    return (floor(x / unit) + 1.0) * unit;
}

static void warn_of_gaps(trm_job *job)
{
    const trm_gaps *gaps = &job->gaps;
    const double pairs = (double)job->mined.positive_pairs;
    if (gaps->sampled == 0)
        return;
    char text[400], margin[TRM_NUMBER_TEXT];
    int length =
        snprintf(text, sizeof text,
                 "%.3g %% of the pairs found no negative inside the margin %s; of %" PRId64 " looked at, ",
                 100.0 * (pairs - (double)job->mined.triplets.semihard) / pairs,
                 trm_number_text(job->options.mine.margin, margin), gaps->sampled);
    if (gaps->without == gaps->sampled) {
        trm_warn(&job->voice,
                 "%snone has a negative farther than the positive: try --fallback, or look at the labels",
                 text);
        return;
    }
    if (gaps->without > 0)
        snprintf(text + length, sizeof text - (size_t)length,
                 "%" PRId64 " have none that is farther than the positive; ", gaps->without);
    trm_warn(&job->voice,
             "%sthe nearest farther negative is %.3g (at 10 %%), %.3g (half), %.3g (90 %%) farther than the "
             "positive: "
             "try --margin %.2g, or --window none",
             text, gaps->at_10, gaps->at_50, gaps->at_90, round_up(gaps->at_50));
}

static json_t *gaps_json(const trm_gaps *gaps)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "sampled", (json_int_t)gaps->sampled, "without",
                     (json_int_t)gaps->without, "at_10", gaps->at_10, "at_50", gaps->at_50, "at_90",
                     gaps->at_90);
}

/* What asks too much is not seen in a file that has little or nothing in it. */
static void warn_of_short_anchors(trm_job *job)
{
    const trm_mine_summary *mined = &job->mined;
    const int64_t valid = mined->anchors.valid;
    if (!may_come_short(job) || valid == 0 || mined->filters.short_anchors < valid)
        return;
    if (mined->triplets.total == 0)
        trm_warn(&job->voice,
                 "no anchor has a negative that filters and ranks leave: no triplets; `filters` in the "
                 "report says what each filter removed");
    else
        trm_warn(&job->voice,
                 "all %" PRId64 " anchors got fewer negatives than --negatives %s asks for: filters, --ranks "
                 "or the store leave no more",
                 valid, job->options.mine.negatives);
}

static json_t *store_facts(trm_job *job, int64_t peak_rss)
{
    warn_of_gaps(job);
    warn_of_short_anchors(job);
    if (trm_job_has_triplets(job) && !job->survey.found.ordered)
        trm_warn(&job->voice,
                 "no quartiles: what they need of the triplets, %d bytes each, does not fit the memory "
                 "limit%s; give %sa larger %s",
                 TRM_KEPT_BYTES_A_TRIPLET,
                 job->options.source == TRM_SOURCE_GIVEN ? "" : " beside the panels",
                 job->settings.kind->mines ? "-o FILE or " : "", trm_run_limit_name(job->run));
    if (job->mined.anchors.valid == 0 && job->loss.count == 0)
        trm_warn(&job->voice, "no anchor has both a positive and a negative: no triplets");
    json_t *object = report_json(job, peak_rss);
    if (job->gaps.sampled > 0)
        trm_json_put(&object, "gaps", gaps_json(&job->gaps));
    return object;
}

static trm_status dump(trm_job *job, json_t *object, trm_error *err)
{
    if (job->rank != 0)
        return TRM_OK;
    job->told = trm_json_dump(object);
    return job->told != NULL
               ? TRM_OK
               : trm_fail(err, TRM_ERR_INTERNAL, "the report could not be made: something in it is not JSON");
}

trm_status trm_job_collect_facts(trm_job *job, trm_error *err)
{
    const bool question = job->settings.kind->question != NULL;
    if (trm_settings_plan_only(&job->settings)) {
        json_t *plan = job->rank == 0 ? trm_job_plan_facts(job) : NULL;
        trm_status status = trm_agree(job->comm, dump(job, plan, err), err);
        json_decref(plan);
        return status;
    }
    if (job->packed == NULL && !question)
        look_at_gaps(job);
    job->total_s = trm_clock() - job->start;
    const int64_t peak_rss = peak_rss_of(job->comm);
    MPI_Allreduce(MPI_IN_PLACE, &job->baseline_rss, 1, MPI_INT64_T, MPI_MAX, job->comm);
    if (job->rank == 0)
        trm_warn_of_replaced(&job->voice, job->claim);
    json_t *object = NULL;
    if (job->rank == 0)
        object = question              ? trm_job_question_facts(job, peak_rss)
                 : job->packed == NULL ? store_facts(job, peak_rss)
                                       : trm_job_packed_facts(job, peak_rss);
    json_t *ranks = ranks_json(job, job->packed != NULL ? trm_job_packed_part(job) : &job->part);
    if (job->rank == 0) {
        trm_json_put(&object, "ranks", json_incref(ranks));
        trm_json_put(&object, "output", trm_json_text_or_null(job->settings.output));
    }
    json_decref(ranks);
    trm_status status = dump(job, object, err);
    json_decref(object);
    if (status == TRM_OK && job->rank == 0)
        status = trm_job_write_report(job, err);
    return trm_agree(job->comm, status, err);
}
