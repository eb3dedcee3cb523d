/* A job on packed triplets; see inner.h. */
#include "job/inner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "job/facts.h"
#include "mine/negatives.h"
#include "par/agree.h"
#include "par/merge.h"
#include "store/loss_files.h"

#include <omp.h>
#include <string.h>

/* ---- is it one? ---- */

/* Nothing says what to evaluate: is the input something else than a store? */
static trm_status check_store(const trm_job *job, trm_packed_form form, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_error own = TRM_ERROR_INIT;
    trm_store *store = NULL;
    trm_status status = trm_store_open(job->comm, settings->inputs, (const char *const *)settings->input,
                                       &settings->store, &store, &own);
    trm_store_close(&store);
    if (status != TRM_OK && form == TRM_PACKED_PARTLY) {
        trm_packed packed;
        int64_t first, total;
        status = trm_packed_read(job->comm, settings->input[0], NULL, &packed, &first, &total, err);
        trm_packed_free(&packed);
        return status;
    }
    if (status != TRM_OK)
        *err = own;
    return status;
}

static trm_status check_source(const trm_job *job, trm_packed_form form, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    const trm_preset *preset = settings->compat != NULL ? trm_preset_find(settings->compat) : NULL;
    const bool asked = trm_settings_given(settings, "loss") || settings->triplets != NULL;
    if (settings->packed && settings->inputs > 1)
        return trm_fail(err, TRM_ERR_USAGE, "'%s' holds packed triplets: give one such file, not %d",
                        settings->input[0], settings->inputs);
    if (!settings->packed && !asked) {
        trm_status status = check_store(job, form, err);
        if (status != TRM_OK)
            return status;
    }
    if (!settings->packed && preset != NULL && preset->packed)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--compat %s is for packed triplets (/anchor, /positive, /negative), which '%s' is not",
            preset->name, settings->input[0]);
    if (form == TRM_PACKED_NEGATIVE && trm_negatives_are_reversed(&settings->mine))
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s' has /negative (B x D), and --negatives reversed%s takes /negatives (B x K x D) "
                        "only: the published "
                        "code would broadcast /negative to all B x B pairs of anchors and negatives",
                        settings->input[0],
                        preset != NULL && strcmp(preset->name, "guide-3") == 0 ? " (--compat guide-3)" : "");
    if (!settings->packed && trm_negatives_are_reversed(&settings->mine))
        return trm_fail(err, TRM_ERR_USAGE, "--negatives reversed is for packed triplets, which '%s' is not",
                        settings->input[0]);
    if (!settings->packed && !asked)
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s': give --triplets FILE, or --loss batch-hard, batch-all or mined",
                        settings->input[0]);
    return trm_settings_check_applying(settings, err);
}

trm_status trm_job_recognize(trm_job *job, trm_error *err)
{
    job->form = trm_packed_recognize(job->comm, job->settings.input[0]);
    job->settings.packed = job->form == TRM_PACKED_NEGATIVE || job->form == TRM_PACKED_NEGATIVES;
    return check_source(job, job->form, err);
}

/* ---- the work ---- */

struct trm_packed_job {
    int threads;
    trm_packed packed;
    int64_t first, total;
    float *gradient[3];
    trm_loss_summary loss;
    trm_loss_part part;
    char fingerprint[33];
};

static const char *const packed_names[] = {"/gradient/anchor", "/gradient/positive", "/gradient/negative"};

/* Over rows as they are used, as a store's: anchors, then positives, then negatives have the next numbers. */
static void take_fingerprint(MPI_Comm comm, trm_packed_job *work)
{
    const trm_packed *packed = &work->packed;
    const float *const rows[3] = {packed->anchor, packed->positive, packed->negative};
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int k = 0; k < 3; k++) {
        const int64_t each = k == 2 ? packed->negatives : 1;
        const int64_t first = k * work->total + work->first * each;
        for (int64_t i = 0; i < packed->count * each; i++)
            trm_hash_sum_add_keyed(&hash, first + i, rows[k] + i * packed->dim,
                                   (size_t)packed->dim * sizeof(float));
    }
    trm_merge_hash_sum(comm, &hash);
    trm_hash_sum_text(&hash, work->fingerprint);
}

static trm_status load(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_packed_job *work = job->packed;
    trm_packed *packed = &work->packed;
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = settings->normalize;
    options.refuse_zero_norm =
        settings->loss.metric == TRM_METRIC_COSINE && !(settings->packed_options.norm_floor > 0.0);
    const double start = trm_clock();
    trm_status status =
        trm_packed_read(job->comm, settings->input[0], &options, packed, &work->first, &work->total, err);
    if (status == TRM_OK)
        take_fingerprint(job->comm, work);
    job->read_s = trm_clock() - start;
    for (int k = 0; k < 3 && settings->gradient && status == TRM_OK; k++) {
        const int64_t values = packed->count * packed->dim * (k == 2 ? packed->negatives : 1);
        work->gradient[k] = trm_alloc(values, sizeof(float));
        if (work->gradient[k] == NULL)
            status = trm_fail_memory(err, "the gradient", values, sizeof(float));
        status = trm_agree(job->comm, status, err);
    }
    return status;
}

static trm_status evaluate(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_packed_job *work = job->packed;
    trm_packed packed = work->packed;
    trm_packed_options options = settings->packed_options;
    options.loss = settings->loss;
    options.negatives = settings->mine.negatives;
    options.window = settings->mine.window;
    options.window_margin = settings->mine.margin;
    options.pick = settings->mine.pick;
    options.fallback = settings->mine.fallback;
    options.seed = (uint64_t)settings->seed;
    if (settings->gradient_at_normalized)
        packed.anchor_norms = packed.positive_norms = packed.negative_norms = NULL;
    options.emit = trm_survey_take;
    options.context = &job->survey;
    trm_status status = trm_survey_begin(&job->survey, job->comm, work->threads, &settings->survey,
                                         (trm_survey_taker){0}, true, err);
    if (status == TRM_OK)
        status = trm_packed_loss(job->comm, &packed, &options, work->gradient, &work->loss, &work->part, err);
    return status == TRM_OK ? trm_survey_finish(&job->survey, err) : status;
}

/* /gradient/negative, or /gradient/negatives where the input has /negatives. */
trm_status trm_job_write_packed(trm_job *job, trm_error *err)
{
    const trm_packed_job *work = job->packed;
    const trm_packed *packed = &work->packed;
    trm_output_array arrays[3 + TRM_JOB_HISTOGRAMS];
    for (int k = 0; k < 3; k++)
        arrays[k] = (trm_output_array){.name = packed_names[k],
                                       .rank = 2,
                                       .size = {work->total, packed->dim},
                                       .first = work->first,
                                       .count = packed->count,
                                       .data = work->gradient[k]};
    if (job->form == TRM_PACKED_NEGATIVES) {
        arrays[2].name = "/gradient/negatives";
        arrays[2].rank = 3;
        arrays[2].size[1] = packed->negatives;
        arrays[2].size[2] = packed->dim;
    }
    const trm_attribute of[] = {
        {"batch", TRM_ATTRIBUTE_INT, NULL, work->total, 0.0},
        {"negatives", TRM_ATTRIBUTE_INT, NULL, packed->negatives, 0.0},
        {"dim", TRM_ATTRIBUTE_INT, NULL, packed->dim, 0.0},
        {"packed_fingerprint", TRM_ATTRIBUTE_TEXT, work->fingerprint, 0, 0.0},
    };
    return trm_job_write_gradient(job, &work->loss, 4, of, trm_job_add_histograms(job, 3, arrays), arrays,
                                  NULL, err);
}

static trm_status take_threads(trm_job *job, trm_error *err)
{
    trm_run *run = NULL;
    trm_status status = trm_run_create(job->comm, &job->settings.run, &run, err);
    if (status != TRM_OK)
        return status;
    job->packed->threads = trm_run_threads(run);
    if (job->rank == 0)
        trm_warn_of_threads(&job->voice, run);
    trm_run_destroy(&run);
    return TRM_OK;
}

trm_status trm_job_open_packed(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    if (job->hooks.not_saved != NULL)
        job->hooks.not_saved(job->hooks.context);
    job->packed = trm_alloc_zero(1, sizeof *job->packed);
    trm_status status = job->packed == NULL ? trm_fail_memory(err, "a job", 1, sizeof *job->packed) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    const bool reversed = trm_negatives_are_reversed(&settings->mine);
    job->loss_name = trm_job_name_of_loss(settings);
    if (status == TRM_OK && job->rank == 0 && reversed)
        trm_warn(
            &job->voice,
            "--negatives reversed (--compat guide-3) is a published formula, min over k of "
            "[d(a,n_k) - d(a,p) + margin]+, whose sign is the reverse of a triplet loss; what was meant is "
            "--negatives semihard");
    if (status == TRM_OK)
        status = trm_job_pause(job, err);
    if (status == TRM_OK && settings->output != NULL)
        status = trm_job_claim(job, "output", settings->output, settings->overwrite, &job->claim, err);
    if (status == TRM_OK)
        status = trm_job_open_report(job, err);
    return status == TRM_OK ? take_threads(job, err) : status;
}

trm_status trm_job_run_packed(trm_job *job, trm_error *err)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(job->packed->threads);
    trm_status status = load(job, err);
    if (status == TRM_OK)
        status = evaluate(job, err);
    omp_set_num_threads(before); /* it is the caller's */
    return status;
}

/* ---- what it tells ---- */

const trm_loss_part *trm_job_packed_part(const trm_job *job)
{
    return &job->packed->part;
}

json_t *trm_job_packed_facts(trm_job *job, int64_t peak_rss)
{
    const trm_packed_job *work = job->packed;
    const trm_loss_summary *loss = &work->loss;
    const trm_mine_summary counts = {.anchors = {.total = work->total, .valid = work->total}};
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:{s:I, s:I, s:i, s:s}, s:o, s:o, s:o, s:o}", "program", "trimine", "version",
        trm_version(), "command", "loss", "packed", "anchors", (json_int_t)work->total, "negatives",
        (json_int_t)work->packed.negatives, "dim", work->packed.dim, "fingerprint", work->fingerprint,
        "options", trm_settings_json(&job->settings), "anchors", trm_anchors_json(&counts), "triplets",
        trm_triplets_json(loss->count, loss->semihard, loss->fallback, loss->skipped), "loss",
        trm_loss_json(job->loss_name, loss, job->settings.loss.reduction));
    if (job->settings.gradient)
        trm_json_put(&object, "gradient", trm_gradient_json(loss));
    trm_json_put_all(&object, trm_survey_json(&job->survey));
    trm_json_put(&object, "warnings", trm_voice_warnings(&job->voice));
    trm_json_put(&object, "run",
                 json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "ranks", job->ranks, "threads",
                           work->threads, "read_s", job->read_s, "loss_s", loss->loss_s, "gradient_s",
                           loss->gradient_s, "write_s", job->write_s, "total_s", job->total_s,
                           "peak_rss_bytes", (json_int_t)peak_rss, "baseline_rss_bytes",
                           (json_int_t)job->baseline_rss));
    return object;
}

void trm_job_free_packed(trm_job *job)
{
    if (job->packed == NULL)
        return;
    for (int k = 0; k < 3; k++)
        trm_free(job->packed->gradient[k]);
    trm_packed_free(&job->packed->packed);
    trm_free(job->packed);
    job->packed = NULL;
}
