/* The batches of a job: drawn by the options, or read from a list. */
#include "job/inner.h"

#include "mine/batches.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <string.h>

trm_status trm_job_claim_list(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_status status = TRM_OK;
    if (job->rank == 0 && settings->output != NULL &&
        trm_output_is_same(settings->output, settings->batch_list))
        status = trm_fail(err, TRM_ERR_USAGE, "--batch-list '%s': is the output, too: give it another name",
                          settings->batch_list);
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK)
        status = trm_job_claim(job, "batch list", settings->batch_list, settings->overwrite, &job->list_claim,
                               err);
    return status;
}

static trm_status draw(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    job->batch_count = settings->batches;
    trm_draw_options options;
    trm_draw_options_init(&options);
    options.batches = settings->batches;
    options.classes = settings->classes_per_batch;
    options.rows = settings->rows_per_class;
    options.seed = (uint64_t)settings->seed;
    return trm_batches_draw(job->run, job->base.rows, &options, &job->batches, err);
}

/* Is it one for this store? Before the rows are read. */
static trm_status look_at_list(trm_job *job, trm_error *err)
{
    trm_given *given = NULL;
    trm_status status = trm_given_create(job->run, job->base.batch.count, job->base.batch.dim, NULL,
                                         job->base.batch.labels, &given, err);
    if (status == TRM_OK)
        status = trm_batches_look(job->run, job->base.rows, given, &job->batches, err);
    trm_given_destroy(&given);
    return trm_job_name_file("batches", "batch ", job->settings.batch_list, status, err);
}

static trm_status read_list(trm_job *job, trm_error *err)
{
    const char *path = job->settings.batch_list;
    const trm_triplets_origin *origin = &job->list_origin;
    trm_status status =
        trm_batches_read(job->comm, path, &job->batches, &job->batch_count, &job->list_origin, err);
    if (status == TRM_OK && origin->store_rows >= 0 && origin->store_rows != job->base.total)
        status = trm_fail(err, TRM_ERR_DATA,
                          "batches '%s': were drawn from a store of %" PRId64 " rows, this one has %" PRId64,
                          path, origin->store_rows, job->base.total);
    return status == TRM_OK ? look_at_list(job, err) : status;
}

trm_status trm_job_find_batches(trm_job *job, trm_error *err)
{
    trm_status status = job->settings.batches > 0 ? draw(job, err) : read_list(job, err);
    const trm_batches *batches = &job->batches;
    const int64_t rows = batches->count > 0 ? batches->start[batches->count] : 0;
    job->options.batches = &job->batches;
    job->batch_rows = status == TRM_OK ? trm_sum_int64(job->comm, rows) : 0;
    return status;
}

trm_status trm_job_write_list(const trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, TRM_BATCH_LIST_FORMAT, 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, TRM_VERSION, 0, 0.0},
        {"classes_per_batch", TRM_ATTRIBUTE_INT, NULL, settings->classes_per_batch, 0.0},
        {"rows_per_class", TRM_ATTRIBUTE_INT, NULL, settings->rows_per_class, 0.0},
        {"seed", TRM_ATTRIBUTE_INT, NULL, settings->seed, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->base.total, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->base.batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->base.fingerprint, 0, 0.0},
    };
    if (job->list_claim == NULL)
        return TRM_OK;
    return trm_batches_write(job->comm, job->list_claim, &job->batches,
                             (int)(sizeof attributes / sizeof *attributes), attributes, err);
}

void trm_job_compare_list(trm_job *job)
{
    const char *drawn_from = job->list_origin.store_fingerprint;
    if (job->rank == 0 && drawn_from[0] != '\0' && strcmp(drawn_from, job->base.fingerprint) != 0)
        trm_warn(&job->voice, "batches '%s' were drawn from rows with the fingerprint %s, these have %s",
                 job->settings.batch_list, drawn_from, job->base.fingerprint);
}
