/* Statistics and margins on the way of triplets; see survey.h. */
#include "loss/survey.h"

#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/sweep.h"

int64_t trm_survey_bytes(const trm_survey_options *options, const trm_run *run, const trm_rows *rows,
                         bool swept, int64_t triplets)
{
    const int threads = run->threads;
    const int64_t during = trm_statistics_bytes(threads) +
                           (options->margins > 0 ? trm_margins_bytes(threads, options->margins) : 0);
    /* the end comes when the sweeps have given their memory back */
    const int64_t shard = trm_rows_shard_count(rows), freed = trm_sweep_bytes(run, rows, shard, NULL, 0) -
                                                              shard * trm_rows_bytes_per_row(rows->dim);
    const int64_t end = trm_statistics_finish_bytes(threads, triplets, options->bins) - (swept ? freed : 0);
    return during + (end > 0 ? end : 0);
}

trm_status trm_survey_begin(trm_survey *survey, MPI_Comm comm, int threads, const trm_survey_options *options,
                            trm_survey_taker taker, bool keeps, trm_error *err)
{
    *survey = (trm_survey){.options = *options, .taker = taker, .keeps = keeps};
    trm_status status = trm_statistics_create(comm, threads, &survey->statistics, err);
    if (status == TRM_OK && options->margins > 0)
        status = trm_margins_create(comm, threads, options->margins, options->margin, &survey->margins, err);
    return status;
}

trm_status trm_survey_take(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_survey *survey = context;
    trm_status status = trm_statistics_add(survey->statistics, *triplets, count, err);
    if (status == TRM_OK && survey->margins != NULL)
        trm_margins_add(survey->margins, *triplets, count);
    if (status == TRM_OK && survey->taker.take != NULL)
        return survey->taker.take(survey->taker.context, triplets, count, err);
    return status == TRM_OK && survey->keeps ? trm_statistics_keep(survey->statistics, triplets, count, err)
                                             : status;
}

trm_status trm_survey_finish(trm_survey *survey, trm_error *err)
{
    const trm_survey_taker kept = {.walk = trm_statistics_walk, .context = survey->statistics};
    const trm_survey_taker from = survey->keeps ? kept : survey->taker;
    trm_status status = trm_statistics_finish(survey->statistics, from.walk, from.context,
                                              survey->options.bins, &survey->found, err);
    if (status == TRM_OK && survey->margins != NULL)
        status = trm_margins_total(survey->margins, survey->margin, err);
    trm_margins_destroy(&survey->margins);
    trm_statistics_destroy(&survey->statistics);
    return status;
}

void trm_survey_end(trm_survey *survey)
{
    trm_margins_destroy(&survey->margins);
    trm_statistics_destroy(&survey->statistics);
    trm_statistics_free(&survey->found);
    *survey = (trm_survey){0};
}
