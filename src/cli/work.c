/* The common part of mine and loss; see work.h. */
#include "cli/work.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "mine/gaps.h"
#include "mine/negatives.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "rows/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *name_of_loss(const trm_cli *cli)
{
    switch (cli->source) {
    case TRM_SOURCE_BATCH_HARD:
        return cli->loss.soft ? "batch-hard-soft" : "batch-hard";
    case TRM_SOURCE_BATCH_ALL:
        return "batch-all";
    case TRM_SOURCE_WITHIN:
        return "within-margin";
    default:
        return cli->loss.soft ? "triplet-soft" : "triplet";
    }
}

trm_status trm_work_begin(trm_cli *cli, trm_work *work, trm_error *err)
{
    *work = (trm_work){.cli = cli, .comm = MPI_COMM_WORLD, .start = trm_clock()};
    MPI_Comm_rank(work->comm, &work->rank);
    MPI_Comm_size(work->comm, &work->ranks);
    work->loss_name = name_of_loss(cli);
    trm_evaluate_options_init(&work->options);
    work->options.source = cli->source;
    work->options.mine = cli->mine;
    work->options.loss = cli->loss;
    work->options.lone = cli->lone;
    if (cli->source == TRM_SOURCE_WITHIN)
        work->options.mine.margin = cli->within;
    trm_progress_attach(cli, &work->progress, &cli->run);
    trm_status status = trm_job_checkpoint_begin(cli, work->comm, &work->checkpoint, err);
    if (status == TRM_OK && cli->output != NULL)
        status = trm_claim_output(cli, work->comm, "output", cli->output, cli->overwrite, &work->claim, err);
    if (status != TRM_OK)
        return status;
    if (cli->batches > 0 && cli->batch_list != NULL)
        status = trm_work_claim_list(work, err);
    if (status != TRM_OK)
        return status;
    cli->run.checkpoint = &work->checkpoint.checkpoint;
    status = trm_run_create(work->comm, &cli->run, &work->run, err);
    if (status == TRM_OK && work->rank == 0)
        trm_report_blas_caution(work->run);
    return status;
}

/* ---- reading ---- */

/* Over rows as they are used: after conversion, and normalisation where asked for. */
static void take_fingerprint(trm_work *work, int64_t first, const float *x)
{
    const int dim = work->batch.dim;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int64_t i = 0; i < work->batch.count; i++) {
        trm_hash_sum_add_keyed(&hash, first + i, x + i * dim, (size_t)dim * sizeof *x);
        const int64_t label[2] = {first + i, work->batch.labels[i]};
        trm_hash_sum_add(&hash, label, sizeof label);
    }
    trm_merge_hash_sum(work->comm, &hash);
    trm_hash_sum_text(&hash, work->fingerprint);
}

static bool looks_at_rows_again(const trm_cli *cli)
{
    return cli->gradient || cli->loss.swap || cli->source == TRM_SOURCE_GIVEN || trm_cli_in_batches(cli);
}

static const char *label_text(const void *context, int64_t label, char text[TRM_LABEL_TEXT])
{
    return trm_labels_text(context, label, text);
}

static trm_status sort_rows(trm_work *work, trm_error *err)
{
    int64_t ignored = 0, *label = NULL;
    trm_status status = trm_work_ignored(work, &ignored, &label, err);
    if (status == TRM_OK)
        status = trm_rows_sort(work->run, work->batch.count, work->batch.dim, work->batch.labels, ignored,
                               label, looks_at_rows_again(work->cli),
                               trm_store_read_bytes(work->store, work->batch.count), &work->rows, err);
    trm_free(label);
    if (status == TRM_OK) {
        work->rows->label_text = label_text;
        work->rows->label_context = &work->labels;
    }
    return status;
}

static trm_status read_labels(trm_work *work, trm_error *err)
{
    int64_t last;
    const int dim = trm_store_dim(work->store);
    trm_share(work->store_rows, work->rank, work->ranks, &work->first, &last);
    const int64_t count = last - work->first;
    int64_t *labels = trm_alloc(count, sizeof *labels);
    work->batch = (trm_batch){.count = count, .dim = dim, .labels = labels};
    trm_status status = labels == NULL ? trm_fail_memory(err, "labels", count, sizeof *labels) : TRM_OK;
    status = trm_agree(work->comm, status, err);
    if (status == TRM_OK)
        status = trm_store_read(work->store, work->first, count, NULL, NULL, labels, NULL, err);
    if (status != TRM_OK)
        return status;
    work->labels = trm_store_take_labels(work->store);
    work->cli->ignore.named = work->labels.kind == TRM_LABELS_NAMED;
    return sort_rows(work, err);
}

/* Nothing that the store is read from may be written. */
static trm_status check_claims(const trm_work *work, trm_error *err)
{
    const trm_claim *const claims[] = {work->claim, work->checkpoint.claim, work->list_claim};
    trm_status status = TRM_OK;
    for (size_t i = 0; i < sizeof claims / sizeof *claims && status == TRM_OK; i++)
        if (claims[i] != NULL)
            status = trm_claim_check_store(claims[i], work->store, err);
    return status;
}

trm_status trm_work_open(trm_work *work, trm_error *err)
{
    trm_cli *cli = work->cli;
    const double start = trm_clock();
    trm_status status = trm_store_open(work->comm, cli->inputs, (const char *const *)cli->input, &cli->store,
                                       &work->store, err);
    if (status == TRM_OK) {
        if (work->rank == 0)
            trm_warn_of_files(work->store);
        work->store_rows = trm_store_rows(work->store);
        status = check_claims(work, err);
    }
    if (status == TRM_OK) {
        status = trm_agree(
            work->comm, trm_rows_check_labels(work->run, work->store_rows, trm_store_dim(work->store), err),
            err);
    }
    if (status == TRM_OK)
        status = trm_job_checkpoint_pause(&work->checkpoint, err);
    if (status == TRM_OK)
        status = read_labels(work, err);
    work->read_s = trm_clock() - start;
    return status;
}

static bool is_zero(const float *x, int dim)
{
    int k = 0;
    while (k < dim && x[k] == 0.0F)
        k++;
    return k == dim;
}

/* A store that was laid out and not, or only in part, filled. Rows to be ignored may be anything. */
static trm_status check_zero_rows(const trm_work *work, const float *x, trm_error *err)
{
    int64_t zero = 0, first = INT64_MAX;
    const int dim = work->batch.dim;
    for (int64_t i = 0; i < work->batch.count; i++)
        if (is_zero(x + i * dim, dim) && !trm_rows_ignore(work->rows, work->batch.labels[i])) {
            zero++;
            first = work->first + i < first ? work->first + i : first;
        }
    zero = trm_sum_int64(work->comm, zero);
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, work->comm);
    if (zero > 0 && zero == work->rows->total)
        return trm_fail(err, TRM_ERR_DATA,
                        "store '%s': all %" PRId64
                        " rows are zero: it looks as if it was laid out and never filled",
                        trm_file_of_row(work->store, first)->path, zero);
    if (work->rank == 0)
        trm_warn_of_zero_rows(work->store, zero, first, work->rows->total);
    return TRM_OK;
}

static trm_status read_and_arrange(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    const double start = trm_clock();
    const int64_t count = work->batch.count;
    const int dim = work->batch.dim;
    float *x = trm_alloc(count * dim, sizeof *x);
    double *norms = cli->normalize ? trm_alloc(count, sizeof *norms) : NULL;
    work->batch.embeddings = x;
    work->batch.norms = norms;
    trm_status status = TRM_OK;
    if (x == NULL || (cli->normalize && norms == NULL))
        status = trm_fail_memory(err, "rows", count, (size_t)dim * sizeof *x);
    status = trm_agree(work->comm, status, err);
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = cli->normalize;
    options.refuse_zero_norm = cli->mine.metric == TRM_METRIC_COSINE;
    options.norms = norms;
    if (status == TRM_OK)
        status = trm_store_read(work->store, work->first, count, &options, x, NULL, NULL, err);
    if (status != TRM_OK)
        return status;
    status = check_zero_rows(work, x, err);
    if (status != TRM_OK)
        return status;
    take_fingerprint(work, work->first, x);
    work->read_s += trm_clock() - start;
    status = trm_job_checkpoint_pause(&work->checkpoint, err);
    if (status != TRM_OK)
        return status;
    if (!trm_cli_in_batches(cli)) /* which are made from the rows as they are */
        status = trm_rows_fill(work->run, work->rows, count, &x, err);
    work->batch.embeddings = x;
    if (cli->gradient_at_normalized) {
        trm_free(norms);
        work->batch.norms = NULL;
    }
    return status;
}

static trm_status make_gradient(trm_work *work, trm_error *err)
{
    const int64_t size = work->batch.count * work->batch.dim;
    trm_status status = TRM_OK;
    work->gradient = trm_alloc(size, sizeof *work->gradient);
    if (work->gradient == NULL)
        status = trm_fail_memory(err, "the gradient", size, sizeof *work->gradient);
    return trm_agree(work->comm, status, err);
}

trm_status trm_work_load(trm_work *work, trm_error *err)
{
    trm_status status = read_and_arrange(work, err);
    trm_store_close(&work->store);
    const trm_checkpoint_job job = {.store_rows = work->store_rows,
                                    .store_dim = work->batch.dim,
                                    .store_fingerprint = work->fingerprint,
                                    .threads = trm_run_threads(work->run)};
    if (status == TRM_OK)
        status = trm_job_checkpoint_resume(&work->checkpoint, job, err);
    if (status == TRM_OK)
        status = trm_job_checkpoint_pause(&work->checkpoint, err);
    return status == TRM_OK && work->cli->gradient ? make_gradient(work, err) : status;
}

/* ---- planning ---- */

/* Whether there are triplets to tell of. */
static bool has_triplets(const trm_work *work)
{
    return work->options.source == TRM_SOURCE_MINED || work->options.source == TRM_SOURCE_BATCH_HARD;
}

/* Mined negatives that are a set. */
static bool is_set(const trm_work *work)
{
    return work->options.source == TRM_SOURCE_MINED && trm_negatives_are_set(&work->options.mine);
}

/* Collective. */
static int64_t survey_bytes(const trm_work *work, int64_t triplets)
{
    int64_t bytes =
        trm_survey_bytes(&work->cli->survey, work->run, work->rows, trm_sum_int64(work->comm, triplets));
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, work->comm);
    return has_triplets(work) ? bytes : 0;
}

/* What the file of triplets takes: no anchor has more pairs than positives, and those are of its class.
 * Collective. */
static int64_t file_bytes(const trm_work *work)
{
    trm_positives positives;
    int64_t most = 0;
    trm_positives_choose(&positives, &work->options.mine, INT64_MAX);
    for (int64_t row = 0; row < work->rows->count; row++) {
        const int64_t pairs = trm_positives_pairs(&positives, work->rows->class_size[row]);
        most = pairs > most ? pairs : most;
    }
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, work->comm);
    const int64_t negatives = trm_mine_negatives(&work->options.mine);
    return trm_triplet_file_bytes(work->cli->form, negatives, work->store_rows, most * negatives);
}

static trm_status plan_with(trm_work *work, int64_t reserve, trm_error *err)
{
    work->options.mine.reserve = reserve;
    return trm_evaluate_plan(work->run, work->rows, &work->options, work->cli->gradient, &work->mined, err);
}

/* The batches are known, and so is what this rank needs for them; triplets that go to a file wait for the end, and
 * without a file, what quartiles need, if there is room. */
static trm_status plan_batches(trm_work *work, bool file, trm_error *err)
{
    trm_status status = trm_rows_lay_out(work->run, work->rows, 1, err);
    if (status == TRM_OK)
        status = trm_work_find_batches(work, err);
    if (status != TRM_OK)
        return status;
    const int64_t triplets = trm_evaluate_triplets(work->rows, &work->options);
    const int64_t reserve =
        trm_evaluate_bytes(work->run, work->rows, &work->batch, &work->options, work->cli->gradient) +
        trm_names_bytes(&work->labels.names) + survey_bytes(work, triplets) +
        (file ? trm_batch_triplets_bytes(triplets) : 0);
    trm_error unheard = TRM_ERROR_INIT;
    const bool must = work->cli->survey.bins > 0;
    work->keeps = !file;
    if (work->keeps)
        status = plan_with(work, reserve + triplets * TRM_KEPT_BYTES_A_TRIPLET, must ? err : &unheard);
    if (work->keeps && (status == TRM_OK || must))
        return status;
    work->keeps = false;
    return plan_with(work, reserve, err);
}

/* What is kept of the triplets of one panel needs no memory of its own: it is a part of the array that they
 * came in, when what else the panel needed is free again. What is kept of several waits beside the next, and
 * where there is no room for that, there are no quartiles; but a histogram was asked for. */
static trm_status plan_teams(trm_work *work, int replicate, bool file, trm_error *err)
{
    trm_status status = trm_rows_lay_out(work->run, work->rows, replicate, err);
    if (status != TRM_OK)
        return status;
    const int64_t triplets = trm_evaluate_triplets(work->rows, &work->options);
    const int64_t reserve =
        trm_evaluate_bytes(work->run, work->rows, &work->batch, &work->options, work->cli->gradient) +
        trm_names_bytes(&work->labels.names) + (file ? file_bytes(work) : 0) + survey_bytes(work, triplets);
    int64_t kept = triplets * TRM_KEPT_BYTES_A_TRIPLET;
    MPI_Allreduce(MPI_IN_PLACE, &kept, 1, MPI_INT64_T, MPI_MAX, work->comm);
    work->keeps = has_triplets(work) && !file;
    const bool must = work->keeps && work->cli->survey.bins > 0;
    trm_error unheard = TRM_ERROR_INIT;
    status = plan_with(work, reserve, must ? &unheard : err);
    if (status == TRM_OK ? !work->keeps || work->mined.panels == 1 : !must)
        return status;
    if (must)
        return plan_with(work, reserve + kept, err);
    if (plan_with(work, reserve + kept, &unheard) == TRM_OK)
        return TRM_OK;
    work->keeps = false;
    return plan_with(work, reserve, err);
}

/* Lays the rows out for the teams that need fewest panels, each of which is a sweep over everything; among
 * those for the best ones. Where none fits, the error is that of those that need least. */
static trm_status choose_teams(trm_work *work, bool file, trm_error *err)
{
    const int best = trm_rows_best_replicate(work->run, work->rows);
    const int last = work->cli->run.replicate > 0 ? best : 1;
    int chosen = 0, panels = 0;
    int64_t least = INT64_MAX;
    trm_error refusal = TRM_ERROR_INIT;
    for (int c = best; c >= last && panels != 1; c--) {
        trm_error why = TRM_ERROR_INIT;
        if (work->ranks % c != 0)
            continue;
        const trm_status status = plan_teams(work, c, file, &why);
        if (status == TRM_OK && (chosen == 0 || work->mined.panels < panels)) {
            chosen = c;
            panels = work->mined.panels;
        }
        if (status != TRM_OK && work->mined.memory_bytes < least) {
            least = work->mined.memory_bytes;
            refusal = why;
        }
        if (status != TRM_OK && status != TRM_ERR_MEMORY) {
            *err = why;
            return status;
        }
    }
    if (chosen == 0) {
        *err = refusal;
        return refusal.status;
    }
    return work->rows->replicate == chosen ? TRM_OK : plan_teams(work, chosen, file, err);
}

trm_status trm_work_plan(trm_work *work, bool file, trm_error *err)
{
    trm_status status =
        trm_cli_in_batches(work->cli) ? plan_batches(work, file, err) : choose_teams(work, file, err);
    if (status == TRM_OK && work->rank == 0 && !work->cli->quiet)
        fprintf(stderr,
                "plan       %" PRId64
                " rows x %d on %d ranks x %d threads: %.0f MB a rank of at most %.0f MB%s\n",
                work->store_rows, work->batch.dim, work->ranks, trm_run_threads(work->run),
                (double)work->mined.memory_bytes / 1e6, (double)trm_run_mem_per_rank(work->run) / 1e6,
                work->mined.panels > 1 ? ", anchors in panels" : "");
    if (work->rank == 0)
        trm_report_threads(work->cli, work->run);
    if (status == TRM_OK)
        trm_work_check_classes(work);
    return status;
}

int64_t trm_work_spare_bytes(const trm_work *work)
{
    const trm_batch *batch = &work->batch;
    const int64_t arranged = work->rows->count * trm_rows_bytes_per_row(batch->dim);
    const int64_t row = batch->dim * (int64_t)sizeof(float);
    const int64_t given =
        batch->count * (24 + (batch->embeddings != NULL ? row : 0) + (work->gradient != NULL ? row : 0));
    return work->mined.memory_bytes - arranged - given;
}

/* ---- working ---- */

trm_status trm_work_name_file(const char *kind, const char *item, const char *path, trm_status status,
                              trm_error *err)
{
    if (status != TRM_ERR_DATA || strncmp(err->text, item, strlen(item)) != 0)
        return status;
    trm_error named = TRM_ERROR_INIT;
    (void)trm_fail(&named, status, "%s '%s': %s", kind, path, err->text);
    memcpy(err->text, named.text, sizeof named.text);
    return status;
}

trm_status trm_work_evaluate(trm_work *work, trm_survey_taker taker, trm_error *err)
{
    const bool surveys = has_triplets(work);
    trm_status status = TRM_OK;
    if (surveys)
        status = trm_survey_begin(&work->survey, work->comm, trm_run_threads(work->run), &work->cli->survey,
                                  taker, work->keeps, err);
    if (status == TRM_OK)
        status = trm_evaluate(work->run, work->rows, &work->batch, &work->options,
                              surveys ? trm_survey_take : NULL, &work->survey, work->gradient, &work->mined,
                              &work->loss, &work->part, err);
    return status == TRM_OK && surveys ? trm_survey_finish(&work->survey, err) : status;
}

/* Rank 0 writes what all ranks have. */
static void histogram_arrays(const trm_work *work, trm_output_array *array)
{
    static const char *const names[TRM_SERIES][2] = {{"/histogram/d_ap/edges", "/histogram/d_ap/counts"},
                                                     {"/histogram/d_an/edges", "/histogram/d_an/counts"},
                                                     {"/histogram/gap/edges", "/histogram/gap/counts"}};
    for (int k = 0; k < TRM_SERIES; k++)
        for (int counts = 0; counts < 2; counts++) {
            const trm_statistic *of = &work->survey.found.of[k];
            const int64_t size = work->survey.found.bins + (counts ? 0 : 1);
            array[2 * k + counts] = (trm_output_array){
                .name = names[k][counts],
                .rank = 1,
                .size = {size},
                .first = 0,
                .count = work->rank == 0 ? size : 0,
                .data = counts ? (const void *)of->bin : (const void *)of->edges,
                .type = counts ? TRM_ARRAY_INT64 : TRM_ARRAY_FLOAT64,
            };
        }
}

int trm_work_arrays(const trm_work *work, trm_output_array *array)
{
    int count = 0;
    if (work->gradient != NULL)
        array[count++] = (trm_output_array){.name = "/gradient",
                                            .rank = 2,
                                            .size = {work->store_rows, work->batch.dim},
                                            .first = work->first,
                                            .count = work->batch.count,
                                            .data = work->gradient};
    if (work->survey.found.bins > 0) {
        histogram_arrays(work, array + count);
        count += 2 * TRM_SERIES;
    }
    return count;
}

/* ---- report ---- */

/* Elements of the whole matrix of distances, or of those of all batches. */
static double matrix(const trm_work *work)
{
    const double n = (double)work->mined.anchors.total;
    return trm_cli_in_batches(work->cli) ? 2.0 * (double)work->mined.certify.elements + n : n * n;
}

/* What a program that fills the whole matrix would have to sustain. */
static double effective_gflops(const trm_work *work)
{
    const double s = work->mined.negatives_s;
    return s > 0.0 ? 2.0 * matrix(work) * work->batch.dim / s / 1e9 : 0.0;
}

static json_t *run_json(const trm_work *work, int64_t peak_rss)
{
    const trm_mine_summary *s = &work->mined;
    const double n = (double)s->anchors.total;
    json_t *run = json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:s}", "ranks", work->ranks, "threads",
                            trm_run_threads(work->run), "replicate", trm_rows_replicate(work->rows), "tile",
                            trm_run_tile(work->run, work->batch.dim), "panels", s->panels, "kernel",
                            trm_run_kernel(work->run), "isa", trm_run_isa(work->run));
    json_t *more =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "read_s",
                  work->read_s, "arrange_s", s->arrange_s, "positives_s", s->positives_s, "negatives_s",
                  s->negatives_s, "answers_s", s->answers_s, "loss_s", work->loss.loss_s, "gradient_s",
                  work->loss.gradient_s, "write_s", work->write_s, "total_s", work->total_s, "pairs_per_s",
                  s->negatives_s > 0.0 ? (matrix(work) - n) / 2.0 / s->negatives_s : 0.0, "gflops_effective",
                  effective_gflops(work), "peak_rss_bytes", (json_int_t)peak_rss, "baseline_rss_bytes",
                  (json_int_t)work->cli->baseline_rss, "plan_bytes", (json_int_t)s->memory_bytes);
    trm_report_put_all(&run, more);
    trm_report_put_all(&run, trm_report_cores(work->run));
    return run;
}

static json_t *report_json(const trm_work *work, int64_t peak_rss)
{
    const trm_mine_summary *s = &work->mined;
    const trm_source source = work->options.source;
    const bool semihard = source == TRM_SOURCE_MINED;
    json_t *object = json_pack("{s:s, s:s, s:s, s:{s:I, s:i, s:I, s:s}, s:o, s:o, s:o}", "program", "trimine",
                               "version", trm_version(), "command", work->cli->command->name, "store", "rows",
                               (json_int_t)work->store_rows, "dim", work->batch.dim, "classes",
                               (json_int_t)s->classes, "fingerprint", work->fingerprint, "options",
                               trm_report_options(work->cli), "anchors", trm_report_anchors(s), "triplets",
                               trm_report_triplets(work->loss.count, semihard ? s->triplets.semihard : 0,
                                                   s->triplets.fallback, s->triplets.skipped));
    if (source == TRM_SOURCE_MINED || source == TRM_SOURCE_BATCH_HARD)
        trm_report_put_all(&object,
                           json_pack("{s:I, s:o, s:s}", "positive_pairs", (json_int_t)s->positive_pairs,
                                     "certify", trm_report_certify(s, trm_run_kernel(work->run)),
                                     "result_hash", s->result_hash));
    json_t *filters = trm_report_filters(work->cli, s);
    if (filters != NULL)
        trm_report_put(&object, "filters", filters);
    if (is_set(work))
        trm_report_put(&object, "set",
                       json_pack("{s:s, s:I, s:b}", "name", work->options.mine.negatives, "count",
                                 (json_int_t)s->set_size, "listed", work->options.mine.emit_sets));
    if (trm_cli_in_batches(work->cli))
        trm_report_put(&object, "batches", trm_work_batches_json(work));
    trm_report_put(&object, "loss", trm_report_loss(work->loss_name, &work->loss, work->cli->loss.reduction));
    if (work->gradient != NULL)
        trm_report_put(&object, "gradient", trm_report_gradient(&work->loss));
    if (has_triplets(work))
        trm_report_put_all(&object, trm_report_survey(&work->survey));
    trm_report_put(&object, "warnings", trm_report_warnings());
    trm_report_put(&object, "run", run_json(work, peak_rss));
    if (work->cli->checkpoint != NULL)
        trm_report_put(&object, "checkpoint", trm_job_checkpoint_report(&work->checkpoint, s->reused));
    return object;
}

static void print_mined(const trm_work *work)
{
    const trm_mine_summary *s = &work->mined;
    if (is_set(work)) {
        fprintf(stderr, "set        %s: %" PRId64 " triplets from %" PRId64 " positive pairs%s\n",
                work->options.mine.negatives, s->set_size, s->positive_pairs,
                work->options.mine.emit_sets ? "" : ", counted, not listed: --emit -o FILE lists them");
        return;
    }
    fprintf(stderr,
            "triplets   %" PRId64 " (%" PRId64 " semihard, %" PRId64 " fallback) from %" PRId64
            " positive pairs, %" PRId64 " skipped\n",
            s->triplets.total, s->triplets.semihard, s->triplets.fallback, s->positive_pairs,
            s->triplets.skipped);
    trm_report_filters_line(work->cli, s);
}

/* How much the fast arithmetic ruled out, and with -v what was left for the exact one. */
static void print_certify(const trm_work *work)
{
    const trm_mine_summary *s = &work->mined;
    const double anchors = (double)s->anchors.total;
    fprintf(stderr,
            "certify    %.3g pairs of rows compared by the %s kernel, which ruled out all but %.3g %%\n",
            (double)s->certify.elements, trm_run_kernel(work->run),
            100.0 * (double)s->certify.survivors / (double)s->certify.elements);
    if (work->cli->verbose > 0)
        fprintf(stderr, "float64    %" PRId64 " pairs left, %" PRId64 " distances decided: %.1f an anchor\n",
                s->certify.survivors, s->certify.float64,
                anchors > 0.0 ? (double)s->certify.float64 / anchors : 0.0);
}

static void print_people(const trm_work *work, int64_t peak_rss)
{
    const trm_mine_summary *s = &work->mined;
    fprintf(stderr, "store      %" PRId64 " rows x %d, %" PRId64 " classes, fingerprint %s\n",
            work->store_rows, work->batch.dim, s->classes, work->fingerprint);
    if (trm_cli_in_batches(work->cli))
        trm_work_print_batches(work);
    fprintf(stderr,
            "anchors    %" PRId64 " valid of %" PRId64 " (%" PRId64 " without a positive, %" PRId64
            " without a negative, %" PRId64 " rows ignored)\n",
            s->anchors.valid, s->anchors.total, s->anchors.no_positive, s->anchors.no_negative,
            s->anchors.ignored);
    if (work->options.source == TRM_SOURCE_MINED)
        print_mined(work);
    else
        fprintf(stderr, "triplets   %" PRId64 "\n", work->loss.count);
    if (!is_set(work) || work->options.mine.emit_sets) /* else of nothing */
        trm_report_loss_line(work->cli, work->loss_name, &work->loss);
    if (has_triplets(work))
        trm_report_survey_lines(&work->survey);
    if (s->certify.elements > 0)
        print_certify(work);
    fprintf(stderr,
            "time       %.2f s: read %.2f, arrange %.2f, positives %.2f, negatives %.2f, answers %.2f, loss "
            "%.2f, gradient %.2f, write %.2f\n",
            work->total_s, work->read_s, s->arrange_s, s->positives_s, s->negatives_s, s->answers_s,
            work->loss.loss_s, work->loss.gradient_s, work->write_s);
    if (s->negatives_s > 0.0)
        fprintf(stderr, "speed      %.1f GFLOP/s effective on %d ranks x %d threads\n",
                effective_gflops(work), work->ranks, trm_run_threads(work->run));
    const int64_t base = work->cli->baseline_rss;
    fprintf(stderr,
            "memory     %.0f MB a rank at most: %.0f for the work, of %.0f planned, and %.0f the program "
            "itself\n",
            (double)peak_rss / 1e6, (double)(peak_rss - base) / 1e6, (double)s->memory_bytes / 1e6,
            (double)base / 1e6);
    if (work->checkpoint.written > 0 || work->checkpoint.resumed)
        fprintf(stderr,
                "checkpoint %d written, %.1f MB each, in %.2f s; %.3g pairs of an earlier run reused\n",
                work->checkpoint.written, (double)work->checkpoint.bytes / 1e6, work->checkpoint.write_s,
                (double)s->reused);
    if (work->options.source == TRM_SOURCE_MINED)
        fprintf(stderr, "hash       %s\n", s->result_hash);
    if (work->cli->output != NULL)
        trm_say(stderr, "written    %s\n", work->cli->output);
}

/* ---- a margin that finds next to nothing ---- */

/* Over 90 % of the pairs without a negative inside the margin: looks where the negatives are. Collective. */
static void look_at_gaps(trm_work *work)
{
    enum { FEW = 10 };
    trm_error unheard = TRM_ERROR_INIT; /* what the answer was is known; why it is so may stay open */
    const trm_mine_summary *s = &work->mined;
    const bool found_few = work->options.source == TRM_SOURCE_MINED && work->options.batches == NULL &&
                           trm_negatives_take(&work->options.mine, TRM_TAKES_WINDOW) &&
                           work->options.mine.window != TRM_WINDOW_NONE &&
                           s->triplets.semihard < s->positive_pairs / FEW + (s->positive_pairs % FEW != 0);
    if (found_few &&
        trm_mine_gaps(work->run, work->rows, &work->options.mine, &work->gaps, &unheard) != TRM_OK)
        work->gaps.sampled = 0;
}

/* The number of two digits that is next above. */
static double round_up(double x)
{
    if (!(x > 0.0))
        return 0.0;
    const double unit = pow(10.0, floor(log10(x)) - 1.0);
    return (floor(x / unit) + 1.0) * unit;
}

static void warn_of_gaps(const trm_work *work)
{
    const trm_gaps *gaps = &work->gaps;
    const double pairs = (double)work->mined.positive_pairs;
    if (gaps->sampled == 0)
        return;
    char text[400];
    int length =
        snprintf(text, sizeof text,
                 "%.3g %% of the pairs found no negative inside the margin %g; of %" PRId64 " looked at, ",
                 100.0 * (pairs - (double)work->mined.triplets.semihard) / pairs, work->options.mine.margin,
                 gaps->sampled);
    if (gaps->without == gaps->sampled) {
        trm_warn("%snone has a negative farther than the positive: try --fallback, or look at the labels",
                 text);
        return;
    }
    if (gaps->without > 0)
        snprintf(text + length, sizeof text - (size_t)length,
                 "%" PRId64 " have none that is farther than the positive; ", gaps->without);
    trm_warn("%sthe nearest farther negative is %.3g (at 10 %%), %.3g (half), %.3g (90 %%) farther than the "
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

trm_status trm_work_report(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_status status = TRM_OK;
    look_at_gaps(work);
    work->total_s = trm_clock() - work->start;
    const int64_t peak_rss = trm_report_peak_rss(work->comm);
    MPI_Allreduce(MPI_IN_PLACE, &work->cli->baseline_rss, 1, MPI_INT64_T, MPI_MAX, work->comm);
    if (work->rank == 0 && !cli->json && !cli->quiet)
        print_people(work, peak_rss);
    json_t *ranks = trm_report_ranks(work->comm, cli, &work->part);
    if (work->rank == 0) {
        trm_claim_tell_replaced(work->claim);
        warn_of_gaps(work);
        if (has_triplets(work) && !work->survey.found.ordered)
            trm_warn("no quartiles: what they need of the triplets, %d bytes each, does not fit the memory "
                     "limit beside the panels; give -o FILE or a larger --mem-per-rank",
                     TRM_KEPT_BYTES_A_TRIPLET);
        if (work->mined.anchors.valid == 0 && work->loss.count == 0)
            trm_warn("no anchor has both a positive and a negative: no triplets");
        if (cli->json) {
            json_t *object = report_json(work, peak_rss);
            if (work->gaps.sampled > 0)
                trm_report_put(&object, "gaps", gaps_json(&work->gaps));
            trm_report_put(&object, "ranks", json_incref(ranks));
            status = trm_report_print(object, err);
        }
    }
    json_decref(ranks);
    status = trm_agree(work->comm, status, err);
    if (status == TRM_OK)
        trm_job_checkpoint_done(&work->checkpoint);
    return status;
}

void trm_work_end(trm_work *work)
{
    trm_progress_end(&work->progress);
    trm_survey_end(&work->survey);
    trm_job_checkpoint_end(&work->checkpoint);
    trm_claim_release(&work->claim);
    trm_claim_release(&work->list_claim);
    trm_batches_free(&work->batches);
    trm_store_close(&work->store);
    trm_rows_destroy(&work->rows);
    trm_labels_free(&work->labels);
    trm_run_destroy(&work->run);
    trm_free((void *)(uintptr_t)work->batch.embeddings);
    trm_free((void *)(uintptr_t)work->batch.labels);
    trm_free((void *)(uintptr_t)work->batch.norms);
    trm_free(work->gradient);
}
