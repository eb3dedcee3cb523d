/* Runs a command that is a job: its steps, its lines, its report. */
#include "cli/cli.h"

#include <string.h>

void trm_cli_say(void *context, trm_line line, const char *text)
{
    const trm_cli *cli = context;
    if (line == TRM_LINE_WARNING)
        fprintf(stderr, "trimine: warning: %s\n", text);
    else if (!cli->quiet && (line == TRM_LINE_STEP || (line == TRM_LINE_NOTE && !cli->json) ||
                             (line == TRM_LINE_DETAIL && cli->verbose > 0)))
        fprintf(stderr, "%s\n", text);
}

static int wish(void *context)
{
    (void)context;
    return trm_signals_wish();
}

static void saved(void *context)
{
    (void)context;
    trm_signals_saved();
}

static void not_saved(void *context)
{
    (void)context;
    trm_signals_ignore();
}

static trm_status report(const trm_cli *cli, const char *told, trm_error *err)
{
    if (told == NULL || (cli->quiet && !cli->json)) /* other ranks have nothing to tell */
        return TRM_OK;
    if (cli->json)
        return trm_report_print_text(told, err);
    json_t *facts = json_loads(told, 0, NULL);
    if (facts == NULL)
        return trm_report_print(NULL, err);
    if (trm_fact_has(facts, "plan"))
        trm_plan_print(facts);
    else
        trm_people_print(cli->command, facts, cli->verbose);
    json_decref(facts);
    return TRM_OK;
}

trm_status trm_cli_run_job(trm_cli *cli, trm_error *err)
{
    trm_progress progress;
    trm_job_hooks hooks;
    const char *told = NULL;
    trm_job_hooks_init(&hooks);
    hooks.context = cli;
    hooks.say = trm_cli_say;
    hooks.wish = wish;
    hooks.saved = saved;
    hooks.not_saved = not_saved;
    hooks.progress = trm_progress_begin(cli, &progress);
    hooks.progress_context = &progress;
    trm_status status = trm_job_open(cli->job, MPI_COMM_WORLD, &hooks, err);
    if (status == TRM_OK)
        status = trm_job_plan(cli->job, err);
    if (status == TRM_OK)
        status = trm_job_run(cli->job, err);
    if (status == TRM_OK)
        status = trm_job_write(cli->job, err);
    trm_progress_end(&progress);
    if (status == TRM_OK)
        status = trm_job_tell(cli->job, &told, err);
    if (status == TRM_OK)
        status = trm_agree(MPI_COMM_WORLD, report(cli, told, err), err);
    if (status == TRM_OK)
        trm_job_done(cli->job);
    trm_job_destroy(&cli->job);
    return status;
}
