/* Jobs; see trimine/job.h. */
#include "job/facts.h"
#include "job/inner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sized.h"
#include "loss/options.h"
#include "mine/options.h"
#include "par/agree.h"
#include "rows/host.h"

#include <stdio.h>
#include <string.h>

/* ---- kinds ---- */

static trm_status check_loss(const trm_settings *settings, trm_error *err)
{
    if (settings->output != NULL && !settings->gradient)
        return trm_fail(err, TRM_ERR_USAGE, "-o '%s': there is only a gradient to write, give --gradient",
                        settings->output);
    return TRM_OK;
}

/* What both mine and a plan of it take: the triplets, what is told of them, and how the job runs. */
#define WHAT_IS_MINED                                                                                        \
    TRM_TAKE_OF(trm_mine_table, trm_settings, mine), TRM_TAKE_OF(trm_negatives_table, trm_settings, mine),   \
        TRM_TAKE_OF(trm_set_table, trm_settings, mine), TRM_TAKE_OF(trm_semihard_table, trm_settings, mine), \
        TRM_TAKE_OF(trm_filters_table, trm_settings, mine), TRM_TAKE_OF(trm_lone_table, trm_settings, mine), \
        TRM_TAKE_OF(trm_corner_table, trm_settings, loss), TRM_TAKE_OF(trm_loss_table, trm_settings, loss),  \
        TRM_TAKE(trm_gradient_table), TRM_TAKE(trm_compat_table), TRM_TAKE(trm_seed_table),                  \
        TRM_TAKE_OF(trm_survey_table, trm_settings, survey), TRM_TAKE(trm_normalize_table),                  \
        TRM_TAKE(trm_ignore_table), TRM_TAKE_OF(trm_run_table, trm_settings, run)

static const trm_taken mine_takes[] = {
    TRM_TAKE(trm_output_table),     TRM_TAKE(trm_form_table),
    TRM_TAKE(trm_overwrite_table),  TRM_TAKE(trm_json_report_table),
    TRM_TAKE(trm_checkpoint_table), TRM_TAKE(trm_dataset_table),
    TRM_TAKE(trm_queries_table),    TRM_TAKE_OF(trm_sets_table, trm_settings, mine),
    TRM_TAKE(trm_batches_table),    WHAT_IS_MINED,
    TRM_TAKE(trm_dry_run_table),
};
static const trm_job_kind job_mine = {.name = "mine", .takes = TRM_TAKES(mine_takes), .mines = true};

/* Those of mine but for reports and checkpoints, and jobs in batches. */
static const trm_taken plan_takes[] = {
    TRM_TAKE(trm_plan_table),
    TRM_TAKE(trm_output_table),
    TRM_TAKE(trm_form_table),
    TRM_TAKE(trm_overwrite_table),
    TRM_TAKE(trm_dataset_table),
    TRM_TAKE(trm_queries_table),
    WHAT_IS_MINED,
};
static const trm_job_kind job_plan = {.name = "plan",
                                      .takes = TRM_TAKES(plan_takes),
                                      .plans = true,
                                      .mines = true,
                                      .check = trm_job_check_plan};

static const trm_taken loss_takes[] = {
    TRM_TAKE(trm_output_table),
    TRM_TAKE(trm_overwrite_table),
    TRM_TAKE(trm_json_report_table),
    TRM_TAKE(trm_checkpoint_table),
    TRM_TAKE(trm_dataset_table),
    TRM_TAKE(trm_queries_table),
    TRM_TAKE_OF(trm_sets_table, trm_settings, mine),
    TRM_TAKE(trm_source_table),
    TRM_TAKE_OF(trm_mine_table, trm_settings, mine),
    TRM_TAKE_OF(trm_loss_negatives_table, trm_settings, mine),
    TRM_TAKE_OF(trm_set_table, trm_settings, mine),
    TRM_TAKE_OF(trm_semihard_table, trm_settings, mine),
    TRM_TAKE_OF(trm_filters_table, trm_settings, mine),
    TRM_TAKE(trm_whole_table),
    TRM_TAKE_OF(trm_corner_table, trm_settings, loss),
    TRM_TAKE_OF(trm_packed_table, trm_settings, packed_options),
    TRM_TAKE_OF(trm_loss_table, trm_settings, loss),
    TRM_TAKE(trm_gradient_table),
    TRM_TAKE(trm_compat_table),
    TRM_TAKE(trm_seed_table),
    TRM_TAKE_OF(trm_survey_table, trm_settings, survey),
    TRM_TAKE(trm_normalize_table),
    TRM_TAKE(trm_ignore_table),
    TRM_TAKE_OF(trm_run_table, trm_settings, run),
};
static const trm_job_kind job_loss = {.name = "loss", .takes = TRM_TAKES(loss_takes), .check = check_loss};

const trm_job_kind *const trm_job_kinds[] = {&job_mine,       &job_loss, &trm_job_knn, &trm_job_eval,
                                             &trm_job_radius, &job_plan, NULL};

const trm_job_kind *trm_job_kind_find(const char *name)
{
    for (int i = 0; trm_job_kinds[i] != NULL; i++)
        if (strcmp(trm_job_kinds[i]->name, name) == 0)
            return trm_job_kinds[i];
    return NULL;
}

/* ---- hooks ---- */

static const trm_sized hooks_type = {.name = "trm_job_hooks", .size = sizeof(trm_job_hooks)};

void trm_job_hooks_init_sized(trm_job_hooks *hooks, size_t size)
{
    const trm_job_hooks own = {.size = sizeof own};
    trm_sized_give(&hooks_type, &own, hooks, &size);
}

/* ---- as it is told ---- */

static trm_status refuse_kind(const char *name, trm_error *err)
{
    char names[200] = "";
    for (int i = 0; trm_job_kinds[i] != NULL; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : " or ", trm_job_kinds[i]->name);
    }
    return trm_fail(err, TRM_ERR_USAGE, "'%s': no such kind of job: %s", name, names);
}

trm_status trm_job_create(const char *kind, trm_job **job, trm_error *err)
{
    const trm_job_kind *found = trm_job_kind_find(kind);
    *job = NULL;
    if (found == NULL)
        return refuse_kind(kind, err);
    *job = trm_alloc_zero(1, sizeof **job);
    if (*job == NULL)
        return trm_fail_memory(err, "a job", 1, sizeof **job);
    (*job)->comm = MPI_COMM_NULL;
    trm_settings_init(&(*job)->settings, found);
    return TRM_OK;
}

static trm_status refuse_late(const trm_job *job, const char *what, trm_error *err)
{
    return job->state == TRM_JOB_NEW
               ? TRM_OK
               : trm_fail(err, TRM_ERR_USAGE, "'%s': a job is told before it is checked and opened", what);
}

trm_status trm_job_set(trm_job *job, const char *option, const char *value, trm_error *err)
{
    trm_status status = refuse_late(job, option, err);
    if (status != TRM_OK)
        return status;
    trm_walk walk = trm_walk_of(&job->settings.kind->takes);
    if (!trm_walk_find(&walk, option))
        return trm_fail(err, TRM_ERR_USAGE, "'%s': no option of %s", option, job->settings.kind->name);
    if (trm_option_takes_value(walk.option) != (value != NULL))
        return trm_fail(err, TRM_ERR_USAGE,
                        value == NULL ? "'--%s': needs a value" : "'--%s': takes no value", option);
    trm_setting *given = trm_grown(job->given, job->given_count, job->given_count + 1, sizeof *given);
    if (given == NULL)
        return trm_fail_memory(err, "options", job->given_count + 1, sizeof *given);
    job->given = given;
    const trm_setting setting = {trm_format("%s", option), value != NULL ? trm_format("%s", value) : NULL};
    if (setting.option == NULL || (value != NULL && setting.value == NULL)) {
        trm_free(setting.option);
        trm_free(setting.value);
        return trm_fail_memory(err, "an option", 1, 1);
    }
    given[job->given_count++] = setting;
    return TRM_OK;
}

trm_status trm_job_add_input(trm_job *job, const char *path, trm_error *err)
{
    trm_settings *settings = &job->settings;
    trm_status status = refuse_late(job, path, err);
    if (status != TRM_OK)
        return status;
    char **input = trm_grown(settings->input, settings->inputs, settings->inputs + 1, sizeof *input);
    if (input == NULL)
        return trm_fail_memory(err, "the list of inputs", settings->inputs + 1, sizeof *input);
    settings->input = input;
    input[settings->inputs] = trm_format("%s", path);
    if (input[settings->inputs] == NULL)
        return trm_fail_memory(err, "a file name", 1, 1);
    settings->inputs++;
    return TRM_OK;
}

trm_status trm_job_check(trm_job *job, trm_error *err)
{
    if (job->state == TRM_JOB_FAILED)
        return trm_fail(err, TRM_ERR_USAGE, "a job that has failed can only be destroyed");
    if (job->state != TRM_JOB_NEW)
        return TRM_OK;
    trm_status status = trm_settings_take(&job->settings, job->given_count, job->given, err);
    job->state = status == TRM_OK ? TRM_JOB_CHECKED : TRM_JOB_FAILED;
    return status;
}

/* ---- its steps ---- */

/* The step that leads to state is what comes next? The same on all ranks, since they agree on how each step ends. */
static trm_status check_order(const trm_job *job, trm_job_state state, trm_error *err)
{
    static const char *const names[] = {
        [TRM_JOB_OPEN] = "trm_job_open", [TRM_JOB_PLANNED] = "trm_job_plan",
        [TRM_JOB_RUN] = "trm_job_run",   [TRM_JOB_WRITTEN] = "trm_job_write",
        [TRM_JOB_TOLD] = "trm_job_tell",
    };
    if (job->state == state - 1)
        return TRM_OK;
    if (job->state == TRM_JOB_FAILED)
        return trm_fail(err, TRM_ERR_USAGE, "%s: a job that has failed can only be destroyed", names[state]);
    return job->state >= state ? trm_fail(err, TRM_ERR_USAGE, "%s: was called before", names[state])
                               : trm_fail(err, TRM_ERR_USAGE, "%s: comes after %s", names[state],
                                          state == TRM_JOB_OPEN ? "trm_job_check" : names[state - 1]);
}

/* A step has failed. Is the result what could not be written, and is nowhere? Collective. */
static bool is_unwritten(const trm_job *job, trm_status status)
{
    enum { UNWRITTEN = 1, ELSEWHERE = 2 };
    int here = 0, any = 0;
    if (job->claim == NULL ||
        (status != TRM_ERR_IO && status != TRM_ERR_CREATE && status != TRM_ERR_PERMISSION))
        return false;
    here |= trm_claim_unwritten(job->claim) ? UNWRITTEN : 0;
    here |= trm_claim_kept_elsewhere(job->claim) ? ELSEWHERE : 0;
    MPI_Allreduce(&here, &any, 1, MPI_INT, MPI_BOR, job->comm);
    return any == UNWRITTEN;
}

/* A step has ended. A job that was stopped, or can't write its result, says what to do next. */
static trm_status end_step(trm_job *job, trm_job_state state, trm_status status, trm_error *err)
{
    job->state = status == TRM_OK ? state : TRM_JOB_FAILED;
    if (job->packed != NULL || job->run == NULL)
        return status;
    if (is_unwritten(job, status))
        trm_job_checkpoint_explain_unwritten(&job->checkpoint, err);
    return trm_job_checkpoint_explain(&job->checkpoint, status, err);
}

/* Takes the step that leads to state. */
static trm_status take_step(trm_job *job, trm_job_state state, trm_status (*step)(trm_job *, trm_error *),
                            trm_error *err)
{
    trm_error own = TRM_ERROR_INIT; /* steps write into it, whoever listens */
    err = err == NULL ? &own : err;
    trm_status status = check_order(job, state, err);
    return status == TRM_OK ? end_step(job, state, step(job, err), err) : status;
}

static trm_status take_hooks(trm_job *job, const trm_job_hooks *hooks, trm_error *err)
{
    trm_job_hooks_init(&job->hooks);
    trm_status status = trm_sized_take(&hooks_type, &job->hooks, hooks, err);
    job->voice.say = job->hooks.say;
    job->voice.context = job->hooks.context;
    job->settings.run.progress = job->hooks.progress;
    job->settings.run.progress_context = job->hooks.progress_context;
    return status;
}

/* What this rank finds before anything is opened. */
static trm_status begin(trm_job *job, const trm_job_hooks *hooks, trm_error *err)
{
    trm_status status = trm_job_check(job, err);
    if (status == TRM_OK && job->settings.inputs == 0 && job->settings.plan.rows == 0)
        status = trm_fail(err, TRM_ERR_USAGE, "no store given");
    return status == TRM_OK ? take_hooks(job, hooks, err) : status;
}

static trm_status open_inputs(trm_job *job, trm_error *err)
{
    const trm_job_kind *kind = job->settings.kind;
    trm_status status = kind->mines || kind->question != NULL ? TRM_OK : trm_job_recognize(job, err);
    if (status == TRM_OK && job->settings.plans && job->ranks > 1)
        status =
            trm_fail(err, TRM_ERR_USAGE,
                     "plan is for one process, which plans for any number of ranks: run it without mpirun, "
                     "or, for these ranks, trimine mine --dry-run");
    if (status != TRM_OK)
        return status;
    return job->settings.packed ? trm_job_open_packed(job, err) : trm_job_open_store(job, err);
}

trm_status trm_job_open(trm_job *job, MPI_Comm comm, const trm_job_hooks *hooks, trm_error *err)
{
    if (comm == MPI_COMM_NULL)
        return trm_fail(err, TRM_ERR_USAGE, "trm_job_open: comm is MPI_COMM_NULL");
    if (job->comm != MPI_COMM_NULL) /* on all ranks: only this step makes one */
        return check_order(job, TRM_JOB_OPEN, err);
    job->start = trm_clock();
    job->baseline_rss = trm_host_rss();
    MPI_Comm_dup(comm, &job->comm);
    MPI_Comm_rank(job->comm, &job->rank);
    MPI_Comm_size(job->comm, &job->ranks);
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_status status = trm_job_compare_told(job, begin(job, hooks, err), err);
    if (status != TRM_OK) {
        job->state = TRM_JOB_FAILED;
        return status;
    }
    return take_step(job, TRM_JOB_OPEN, open_inputs, err);
}

static trm_status plan(trm_job *job, trm_error *err)
{
    if (job->settings.plans)
        return trm_job_plan_ranks(job, err);
    return job->packed != NULL ? TRM_OK : trm_job_plan_store(job, err);
}

trm_status trm_job_plan(trm_job *job, trm_error *err)
{
    return take_step(job, TRM_JOB_PLANNED, plan, err);
}

static trm_status run(trm_job *job, trm_error *err)
{
    if (trm_settings_plan_only(&job->settings))
        return trm_job_run_plan(job, err);
    return job->packed != NULL ? trm_job_run_packed(job, err) : trm_job_run_store(job, err);
}

trm_status trm_job_run(trm_job *job, trm_error *err)
{
    return take_step(job, TRM_JOB_RUN, run, err);
}

static trm_status write_output(trm_job *job, trm_error *err)
{
    if (job->settings.output == NULL || trm_settings_plan_only(&job->settings))
        return TRM_OK;
    const double start = trm_clock();
    trm_status status = job->packed != NULL ? trm_job_write_packed(job, err) : trm_job_write_store(job, err);
    job->write_s += trm_clock() - start;
    return status;
}

trm_status trm_job_write(trm_job *job, trm_error *err)
{
    return take_step(job, TRM_JOB_WRITTEN, write_output, err);
}

trm_status trm_job_tell(trm_job *job, const char **json, trm_error *err)
{
    const bool again = job->state == TRM_JOB_TOLD || job->state == TRM_JOB_DONE;
    trm_status status = again ? TRM_OK : take_step(job, TRM_JOB_TOLD, trm_job_collect_facts, err);
    *json = status == TRM_OK ? job->told : NULL;
    return status;
}

void trm_job_done(trm_job *job)
{
    if (job->state != TRM_JOB_TOLD)
        return;
    job->state = TRM_JOB_DONE;
    if (job->packed == NULL)
        trm_job_checkpoint_done(&job->checkpoint);
}

static void free_set(trm_job_rows *set)
{
    trm_rows_destroy(&set->rows);
    trm_free((void *)(uintptr_t)set->batch.embeddings);
    trm_free((void *)(uintptr_t)set->batch.labels);
    trm_free((void *)(uintptr_t)set->batch.norms);
}

static void close_store(trm_job *job)
{
    if (job->settings.kind->question != NULL && job->comm != MPI_COMM_NULL)
        job->settings.kind->question->end(job);
    trm_evaluation_destroy(&job->evaluation);
    trm_survey_end(&job->survey);
    trm_job_free_plan(job);
    trm_triplet_file_destroy(&job->file);
    trm_batch_triplets_free(&job->batch_triplets);
    trm_triplets_free(&job->options.given);
    trm_job_checkpoint_end(&job->checkpoint);
    trm_job_let_go(job);
    trm_batches_free(&job->batches);
    trm_store_close(&job->store);
    free_set(&job->base);
    free_set(&job->queries);
    trm_pairs_free(&job->pairs);
    trm_labels_free(&job->labels);
    trm_run_destroy(&job->run);
    trm_free(job->gradient);
    trm_free(job->queries_gradient);
}

void trm_job_destroy(trm_job **job)
{
    trm_job *own = *job;
    if (own == NULL)
        return;
    trm_job_free_packed(own);
    close_store(own);
    for (int i = 0; i < own->given_count; i++) {
        trm_free(own->given[i].option);
        trm_free(own->given[i].value);
    }
    trm_free(own->given);
    trm_settings_free(&own->settings);
    trm_voice_free(&own->voice);
    trm_json_free(own->told);
    if (own->comm != MPI_COMM_NULL)
        MPI_Comm_free(&own->comm);
    trm_free(own);
    *job = NULL;
}
