/* What a job over a store writes: triplets or lists, gradients, histograms; see inner.h. */
#include "job/inner.h"

#include "base/clock.h"
#include "base/json.h"
#include "mine/options.h"
#include "par/agree.h"
#include "store/loss_files.h"

#include <stdlib.h>

enum { ARRAYS = 1 + TRM_JOB_HISTOGRAMS, ATTRIBUTES_MOST = 16 };

/* Rank 0 writes what all ranks have. */
static void histogram_arrays(const trm_job *job, trm_output_array *array)
{
    static const char *const names[TRM_SERIES][2] = {{"/histogram/d_ap/edges", "/histogram/d_ap/counts"},
                                                     {"/histogram/d_an/edges", "/histogram/d_an/counts"},
                                                     {"/histogram/gap/edges", "/histogram/gap/counts"}};
    for (int k = 0; k < TRM_SERIES; k++)
        for (int counts = 0; counts < 2; counts++) {
            const trm_statistic *of = &job->survey.found.of[k];
            const int64_t size = job->survey.found.bins + (counts ? 0 : 1);
            array[2 * k + counts] = (trm_output_array){
                .name = names[k][counts],
                .rank = 1,
                .size = {size},
                .first = 0,
                .count = job->rank == 0 ? size : 0,
                .data = counts ? (const void *)of->bin : (const void *)of->edges,
                .type = counts ? TRM_ARRAY_INT64 : TRM_ARRAY_FLOAT64,
            };
        }
}

int trm_job_add_histograms(const trm_job *job, int count, trm_output_array *array)
{
    if (job->survey.found.bins == 0)
        return count;
    histogram_arrays(job, array + count);
    return count + TRM_JOB_HISTOGRAMS;
}

/* The gradient and the histograms as output arrays; how many there are. */
static int arrays_of(const trm_job *job, trm_output_array *array)
{
    int count = 0;
    if (job->gradient != NULL)
        array[count++] = (trm_output_array){.name = "/gradient",
                                            .rank = 2,
                                            .size = {job->store_rows, job->batch.dim},
                                            .first = job->first,
                                            .count = job->batch.count,
                                            .data = job->gradient};
    return trm_job_add_histograms(job, count, array);
}

/* Attributes say what the result is and what it is of; nothing of how, where or when it was made. */
static trm_status finish_triplets(trm_job *job, trm_error *err)
{
    char *text = NULL;
    trm_status status = trm_agree(job->comm, trm_settings_text(&job->settings, &text, err), err);
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, trm_form_format(job->settings.form), 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, trm_version(), 0, 0.0},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(job->settings.mine.metric), 0, 0.0},
        {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, job->settings.mine.margin},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->fingerprint, 0, 0.0},
        {"result_hash", TRM_ATTRIBUTE_TEXT, job->mined.result_hash, 0, 0.0},
    };
    trm_output_array array[ARRAYS];
    const int arrays = arrays_of(job, array);
    enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };
    if (status == TRM_OK && trm_settings_in_batches(&job->settings))
        status = trm_batches_write_triplets(
            job->comm, job->claim, job->settings.form, trm_mine_negatives(&job->settings.mine), &job->batches,
            &job->batch_triplets, arrays, array, trm_job_names(job), ATTRIBUTES, attributes, err);
    else if (status == TRM_OK)
        status = trm_triplet_file_finish(job->file, arrays, array, trm_job_names(job), ATTRIBUTES, attributes,
                                         err);
    trm_json_free(text);
    return status;
}

trm_status trm_job_write_gradient(trm_job *job, const trm_loss_summary *loss, int of_count,
                                  const trm_attribute *of, int arrays, const trm_output_array *array,
                                  const trm_names *names, trm_error *err)
{
    char *text = NULL;
    trm_status status = trm_agree(job->comm, trm_settings_text(&job->settings, &text, err), err);
    trm_attribute attributes[ATTRIBUTES_MOST] = {
        {"format", TRM_ATTRIBUTE_TEXT, "trimine-gradient", 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, trm_version(), 0, 0.0},
        {"loss", TRM_ATTRIBUTE_TEXT, job->loss_name, 0, 0.0},
        {"value", TRM_ATTRIBUTE_FLOAT, NULL, 0, loss->value},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(job->settings.loss.metric), 0, 0.0},
        {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, job->settings.loss.margin},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
    };
    int count = 8;
    for (int i = 0; i < of_count; i++)
        attributes[count++] = of[i];
    if (status == TRM_OK)
        status = trm_gradient_write(job->comm, job->claim, arrays, array, names, count, attributes, err);
    trm_json_free(text);
    return status;
}

static trm_status write_loss(trm_job *job, trm_error *err)
{
    const trm_attribute of[] = {
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->fingerprint, 0, 0.0},
    };
    trm_output_array array[ARRAYS];
    return trm_job_write_gradient(job, &job->loss, 3, of, arrays_of(job, array), array, trm_job_names(job),
                                  err);
}

trm_status trm_job_write_store(trm_job *job, trm_error *err)
{
    return trm_job_writes_triplets(job) ? finish_triplets(job, err) : write_loss(job, err);
}
