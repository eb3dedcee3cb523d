/* The report as a file, for --json-report. A stream of rank 0's own: it has what an output needs, a claim and a draft. */
#include "job/inner.h"

#include "base/alloc.h"
#include "par/agree.h"

#include <string.h>

/* Is it one of the job's other outputs? */
static bool is_taken(const trm_settings *settings)
{
    const char *const others[] = {settings->output, settings->checkpoint, settings->batch_list};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] != NULL && trm_output_is_same(others[i], settings->json_report))
            return true;
    return false;
}

static trm_status begin(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    int inputs = 0;
    if (is_taken(settings))
        return trm_fail(err, TRM_ERR_USAGE,
                        "--json-report '%s': is another output, too: give it another name",
                        settings->json_report);
    const char **input = trm_job_inputs(settings, &inputs);
    trm_status status =
        input == NULL ? trm_fail_memory(err, "the list of inputs", 1, sizeof *input)
        : trm_settings_plan_only(settings)
            ? trm_stream_look(settings->json_report, settings->overwrite, inputs, input, &job->report, err)
            : trm_stream_open(settings->json_report, settings->overwrite, inputs, input, &job->report, err);
    trm_free(input);
    return status;
}

trm_status trm_job_open_report(trm_job *job, trm_error *err)
{
    const bool mine = job->rank == 0 && job->settings.json_report != NULL;
    return trm_agree(job->comm, mine ? begin(job, err) : TRM_OK, err);
}

trm_status trm_job_write_report(trm_job *job, trm_error *err)
{
    if (job->report == NULL)
        return TRM_OK;
    trm_stream_put(job->report, job->told, (int64_t)strlen(job->told));
    trm_stream_put(job->report, "\n", 1);
    return trm_stream_finish(job->report, err);
}
