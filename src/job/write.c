/* What a job over a store writes: triplets or lists, gradients, histograms; see inner.h. */
#include "job/inner.h"

#include "base/clock.h"
#include "base/json.h"
#include "mine/options.h"
#include "par/agree.h"
#include "store/loss_files.h"

#include <stdlib.h>
#include <string.h>

enum { ARRAYS = 2 + TRM_JOB_HISTOGRAMS, ATTRIBUTES_MOST = TRM_JOB_ATTRIBUTES };

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

static trm_output_array gradient_array(const char *name, const trm_job_rows *set, const float *gradient)
{
    return (trm_output_array){.name = name,
                              .rank = 2,
                              .size = {set->total, set->batch.dim},
                              .first = set->first,
                              .count = set->batch.count,
                              .data = gradient};
}

/* The gradient, of two sets two, and the histograms as output arrays; how many there are. */
static int arrays_of(const trm_job *job, trm_output_array *array)
{
    const bool two = job->queries_gradient != NULL;
    int count = 0;
    if (two)
        array[count++] = gradient_array("/gradient/queries", &job->queries, job->queries_gradient);
    if (job->gradient != NULL)
        array[count++] = gradient_array(two ? "/gradient/store" : "/gradient", &job->base, job->gradient);
    return trm_job_add_histograms(job, count, array);
}

int trm_job_add_queries(const trm_job *job, int count, trm_attribute *attribute)
{
    const int64_t pairs = job->settings.pairs != NULL ? job->pairs.total : job->given_origin.pairs;
    if (!trm_settings_in_two_sets(&job->settings))
        return count;
    attribute[count++] = (trm_attribute){"queries_rows", TRM_ATTRIBUTE_INT, NULL, job->queries.total, 0.0};
    if (trm_job_by_id(job))
        attribute[count++] = (trm_attribute){"pairs", TRM_ATTRIBUTE_INT, NULL, pairs, 0.0};
    attribute[count++] =
        (trm_attribute){"queries_fingerprint", TRM_ATTRIBUTE_TEXT, job->queries.fingerprint, 0, 0.0};
    return count;
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
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->base.total, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->base.batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->base.fingerprint, 0, 0.0},
        {"result_hash", TRM_ATTRIBUTE_TEXT, job->mined.result_hash, 0, 0.0},
    };
    trm_output_array array[ARRAYS];
    const int arrays = arrays_of(job, array);
    int count = sizeof attributes / sizeof *attributes;
    trm_attribute all[ATTRIBUTES_MOST];
    memcpy(all, attributes, sizeof attributes);
    count = trm_job_add_queries(job, count, all);
    if (status == TRM_OK && trm_settings_in_batches(&job->settings))
        status = trm_batches_write_triplets(
            job->comm, job->claim, job->settings.form, trm_mine_negatives(&job->settings.mine), &job->batches,
            &job->batch_triplets, arrays, array, trm_job_names(job), count, all, err);
    else if (status == TRM_OK)
        status = trm_triplet_file_finish(job->file, arrays, array, trm_job_names(job), count, all, err);
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
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->base.total, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->base.batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->base.fingerprint, 0, 0.0},
    };
    trm_output_array array[ARRAYS];
    trm_attribute all[ATTRIBUTES_MOST];
    memcpy(all, of, sizeof of);
    return trm_job_write_gradient(job, &job->loss, trm_job_add_queries(job, 3, all), all,
                                  arrays_of(job, array), array, trm_job_names(job), err);
}

trm_status trm_job_write_store(trm_job *job, trm_error *err)
{
    if (job->settings.kind->question != NULL)
        return job->settings.kind->question->write(job, err);
    return trm_job_writes_triplets(job) ? finish_triplets(job, err) : write_loss(job, err);
}
