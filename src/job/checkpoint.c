/* A job's checkpoint; see checkpoint.h. */
#include "job/checkpoint.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "par/agree.h"
#include "store/result.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the library's wishes ---- */

static int wish(void *context)
{
    trm_job_checkpoint *checkpoint = context;
    const trm_job_hooks *hooks = checkpoint->hooks;
    checkpoint->begun = true;
    int wishes = hooks->wish != NULL ? hooks->wish(hooks->context) : 0;
    const double every = checkpoint->settings->checkpoint_minutes * 60.0;
    if (checkpoint->rank == 0 && every > 0.0 && trm_clock() - checkpoint->last >= every)
        wishes |= TRM_WISH_SAVE;
    return wishes;
}

static trm_status claim_piece(const trm_job_checkpoint *checkpoint, int64_t piece, trm_claim **claim,
                              trm_error *err)
{
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".piece-%" PRId64, piece);
    return trm_claim_part(checkpoint->claim, suffix, claim, err);
}

/* Writes a file of the checkpoint, with its time and a line where lines are wanted. */
static trm_status write_file(trm_job_checkpoint *checkpoint, trm_claim *claim, int parts,
                             const trm_checkpoint_part *part, int64_t *bytes, trm_error *err)
{
    const double start = trm_clock();
    trm_status status =
        trm_checkpoint_file_write(checkpoint->comm, claim, &checkpoint->job, parts, part, bytes, err);
    const double seconds = trm_clock() - start;
    checkpoint->write_s += seconds;
    if (status == TRM_OK && checkpoint->rank == 0)
        trm_voice_say(checkpoint->voice, TRM_LINE_DETAIL, "checkpoint '%s': %.1f MB in %.2f s",
                      trm_claim_target(claim), (double)*bytes / 1e6, seconds);
    return status;
}

/* A piece that can't be kept does not end the job either, but nothing that builds on it is worth saving. */
static trm_status set_aside(void *context, int64_t piece, int parts, const trm_checkpoint_part *part,
                            trm_error *err)
{
    (void)err;
    trm_job_checkpoint *checkpoint = context;
    trm_error why = TRM_ERROR_INIT;
    int64_t bytes = 0;
    trm_claim *claim = NULL;
    trm_status status = claim_piece(checkpoint, piece, &claim, &why);
    if (status == TRM_OK && !checkpoint->piece_lost)
        status = write_file(checkpoint, claim, parts, part, &bytes, &why);
    if (status != TRM_OK) {
        checkpoint->piece_lost = true;
        if (checkpoint->rank == 0)
            trm_warn(checkpoint->voice, "%s; going on without further checkpoints", why.text);
    }
    trm_claim_release(&claim);
    return TRM_OK;
}

/* A checkpoint that can't be written does not end a job that could go on. */
static trm_status save(void *context, int parts, const trm_checkpoint_part *part, bool stop, trm_error *err)
{
    trm_job_checkpoint *checkpoint = context;
    trm_error why = TRM_ERROR_INIT;
    trm_status status = TRM_OK;
    if (checkpoint->piece_lost)
        status = trm_fail(&why, TRM_ERR_IO,
                          "checkpoint '%s': what was found before could not be kept, so neither can this be",
                          checkpoint->settings->checkpoint);
    else
        status = write_file(checkpoint, checkpoint->claim, parts, part, &checkpoint->bytes, &why);
    if (checkpoint->hooks->saved != NULL)
        checkpoint->hooks->saved(checkpoint->hooks->context);
    checkpoint->last = trm_clock();
    if (status == TRM_OK) {
        checkpoint->written++;
        return TRM_OK;
    }
    if (checkpoint->piece_lost && !stop)
        return TRM_OK; /* a warning was given when it happened */
    if (stop) {
        if (err != NULL)
            *err = why;
        return status;
    }
    if (checkpoint->rank == 0)
        trm_warn(checkpoint->voice, "%s; going on without", why.text);
    return TRM_OK;
}

static int64_t size(void *context, const char *name)
{
    return trm_checkpoint_file_size(((const trm_job_checkpoint *)context)->from, name);
}

static trm_status open_piece(trm_job_checkpoint *checkpoint, int64_t piece, trm_error *err)
{
    char *path = trm_format("%s.piece-%" PRId64, trm_claim_target(checkpoint->claim), piece);
    trm_status status = path == NULL ? trm_fail_memory(err, "a file name", 1, 1) : TRM_OK;
    status = trm_agree(checkpoint->comm, status, err);
    trm_checkpoint_file_close(&checkpoint->piece);
    if (status == TRM_OK)
        status = trm_checkpoint_file_open(checkpoint->comm, path, &checkpoint->job, &checkpoint->piece, err);
    checkpoint->piece_index = piece;
    trm_free(path);
    return status;
}

static trm_status load(void *context, int64_t volume, int parts, const trm_checkpoint_part *part,
                       trm_error *err)
{
    trm_job_checkpoint *checkpoint = context;
    if (volume == TRM_CHECKPOINT_STATE)
        return trm_checkpoint_file_load(checkpoint->from, parts, part, err);
    trm_status status = TRM_OK;
    if (checkpoint->piece == NULL || checkpoint->piece_index != volume)
        status = open_piece(checkpoint, volume, err);
    return status == TRM_OK ? trm_checkpoint_file_load(checkpoint->piece, parts, part, err) : status;
}

/* ---- the program's side ---- */

/* Rank 0: what is there already, and may it be written over? */
static trm_status check_existing(trm_job_checkpoint *checkpoint, trm_error *err)
{
    const trm_settings *settings = checkpoint->settings;
    const char *path = settings->checkpoint, *target = trm_claim_target(checkpoint->claim);
    struct stat about;
    checkpoint->found = lstat(target, &about) == 0;
    checkpoint->first_piece = trm_checkpoint_file_first_piece(checkpoint->claim);
    if (checkpoint->found && !settings->resume && !settings->overwrite)
        return trm_fail(
            err, TRM_ERR_CREATE,
            "checkpoint '%s' exists: give --resume to go on from it, or --overwrite to begin anew", path);
    if (checkpoint->found && !settings->resume && trm_checkpoint_file_is_foreign(target))
        return trm_fail(err, TRM_ERR_CREATE, "checkpoint '%s': there is a file of another kind", path);
    if (!checkpoint->found && checkpoint->first_piece >= 0 && !settings->overwrite)
        return trm_fail(err, TRM_ERR_CREATE,
                        "checkpoint '%s' is missing, but '%s.piece-%" PRId64
                        "', a piece of it, is there: put it back, or give --overwrite to begin anew",
                        path, target, checkpoint->first_piece);
    return TRM_OK;
}

trm_status trm_job_checkpoint_check(const trm_settings *settings, trm_error *err)
{
    if (settings->output != NULL && trm_output_is_same(settings->checkpoint, settings->output))
        return trm_fail(err, TRM_ERR_USAGE, "--checkpoint '%s' is the output, too", settings->checkpoint);
    const size_t length = strlen(settings->checkpoint);
    if (settings->output != NULL && strncmp(settings->output, settings->checkpoint, length) == 0 &&
        strncmp(settings->output + length, ".piece-", 7) == 0)
        return trm_fail(err, TRM_ERR_USAGE, "output '%s' has the name of a piece of --checkpoint '%s'",
                        settings->output, settings->checkpoint);
    return TRM_OK;
}

trm_status trm_job_checkpoint_begin(trm_job_checkpoint *checkpoint, MPI_Comm comm,
                                    const trm_settings *settings, const trm_job_hooks *hooks,
                                    trm_voice *voice, trm_claim *claim, trm_error *err)
{
    *checkpoint = (trm_job_checkpoint){.settings = settings,
                                       .hooks = hooks,
                                       .voice = voice,
                                       .comm = comm,
                                       .claim = claim,
                                       .last = trm_clock()};
    MPI_Comm_rank(comm, &checkpoint->rank);
    checkpoint->checkpoint = (trm_checkpoint){.wish = wish, .context = checkpoint};
    if (claim == NULL)
        return TRM_OK;
    if (!trm_settings_plan_only(settings)) {
        checkpoint->checkpoint.save = save;
        checkpoint->checkpoint.set_aside = set_aside;
        checkpoint->checkpoint.size = size;
        checkpoint->checkpoint.load = load;
        checkpoint->checkpoint.keeps_end = settings->output != NULL;
    }
    return trm_agree(comm, checkpoint->rank == 0 ? check_existing(checkpoint, err) : TRM_OK, err);
}

/* What tells that a job that begins with --resume was meant to go on; false where nothing does. */
static bool was_begun(const trm_job_checkpoint *checkpoint, char *text, size_t size)
{
    const trm_settings *settings = checkpoint->settings;
    const char *restarts = getenv("SLURM_RESTART_COUNT");
    char *options = NULL;
    bool begun = true;
    if (checkpoint->first_piece >= 0)
        snprintf(text, size, "'%s.piece-%" PRId64 "', a piece of it, is there",
                 trm_claim_target(checkpoint->claim), checkpoint->first_piece);
    else if (restarts != NULL && strtol(restarts, NULL, 10) > 0)
        snprintf(text, size, "Slurm has restarted this job (SLURM_RESTART_COUNT is %.8s)", restarts);
    else if (trm_claim_after_kill(checkpoint->claim))
        snprintf(text, size, "a job with this checkpoint was killed");
    else if (settings->output != NULL && trm_settings_text(settings, &options, NULL) == TRM_OK &&
             trm_output_holds(settings->output, trm_version(), options, checkpoint->job.store_fingerprint))
        snprintf(text, size, "output '%s' holds this job's whole result", settings->output);
    else
        begun = false;
    trm_json_free(options);
    return begun;
}

static void say_anew(const trm_job_checkpoint *checkpoint)
{
    char why[512];
    if (was_begun(checkpoint, why, sizeof why))
        trm_warn(checkpoint->voice, "--resume: there is no checkpoint '%s', although %s: from the beginning",
                 checkpoint->settings->checkpoint, why);
    else
        trm_voice_say(checkpoint->voice, TRM_LINE_STEP,
                      "resume     no checkpoint '%s' yet: from the beginning",
                      checkpoint->settings->checkpoint);
}

trm_status trm_job_checkpoint_resume(trm_job_checkpoint *checkpoint, trm_checkpoint_job job, trm_error *err)
{
    const trm_settings *settings = checkpoint->settings;
    struct stat about;
    trm_status status = TRM_OK;
    if (settings->checkpoint == NULL)
        return TRM_OK;
    checkpoint->job = job;
    checkpoint->job.command = settings->kind->name;
    checkpoint->job.version = trm_version();
    checkpoint->job.options = trm_settings_json(settings);
    int there = settings->resume && checkpoint->rank == 0 && stat(settings->checkpoint, &about) == 0;
    if (settings->resume && checkpoint->rank == 0 && !there && checkpoint->found)
        status = trm_fail(err, TRM_ERR_NO_INPUT,
                          "checkpoint '%s' was there when this job began, and has vanished since",
                          settings->checkpoint);
    status = trm_agree(checkpoint->comm, status, err);
    if (status != TRM_OK)
        return status;
    MPI_Bcast(&there, 1, MPI_INT, 0, checkpoint->comm);
    if (settings->resume && !there && checkpoint->rank == 0)
        say_anew(checkpoint);
    if (!there)
        return TRM_OK;
    status = trm_checkpoint_file_open(checkpoint->comm, settings->checkpoint, &checkpoint->job,
                                      &checkpoint->from, err);
    if (status != TRM_OK)
        return status;
    const bool plans = trm_settings_plan_only(settings);
    checkpoint->resumed = checkpoint->checkpoint.resumes = !plans;
    if (plans)
        trm_checkpoint_file_close(&checkpoint->from);
    if (checkpoint->rank == 0)
        trm_voice_say(checkpoint->voice, TRM_LINE_STEP, "resume     from checkpoint '%s'%s",
                      settings->checkpoint, plans ? "; the plan is of the whole job" : "");
    return TRM_OK;
}

static bool holds_work(const trm_job_checkpoint *checkpoint)
{
    return (checkpoint->written > 0 || checkpoint->resumed) && !checkpoint->piece_lost;
}

void trm_job_checkpoint_explain_unwritten(const trm_job_checkpoint *checkpoint, trm_error *err)
{
    const char *path = checkpoint->settings->checkpoint;
    const size_t used = strlen(err->text), room = sizeof err->text - used;
    char *end = err->text + used;
    if (!checkpoint->begun)
        return;
    if (path == NULL)
        snprintf(end, room, "; nothing was kept (--checkpoint PATH would have)");
    else if (holds_work(checkpoint))
        snprintf(end, room, "; checkpoint '%s' holds the work: run again with --resume", path);
    else
        snprintf(end, room, "; nothing was kept");
}

trm_status trm_job_checkpoint_explain(const trm_job_checkpoint *checkpoint, trm_status status, trm_error *err)
{
    if (status != TRM_ERR_STOPPED || err == NULL)
        return status;
    const char *path = checkpoint->settings->checkpoint;
    *err = (trm_error)TRM_ERROR_INIT;
    if (trm_settings_plan_only(checkpoint->settings))
        return trm_fail(err, status, "stopped on a signal: a plan is made anew");
    if (path == NULL)
        return trm_fail(err, status, "stopped on a signal; nothing was kept (--checkpoint PATH would have)");
    if (checkpoint->written == 0 && !checkpoint->resumed)
        return trm_fail(err, status, "stopped on a signal before there was anything to keep: run again");
    return trm_fail(err, status,
                    "stopped on a signal; checkpoint '%s' holds the work: run again with --resume", path);
}

/* Whether there was one to remove. */
static bool remove_file(const trm_job_checkpoint *checkpoint, const trm_claim *claim)
{
    if (trm_checkpoint_file_remove(claim))
        return true;
    if (errno != 0)
        trm_warn(checkpoint->voice, "checkpoint '%s' is of no more use and can't be removed: %s",
                 trm_claim_target(claim), strerror(errno));
    return false;
}

void trm_job_checkpoint_done(const trm_job_checkpoint *checkpoint)
{
    if (checkpoint->claim == NULL)
        return;
    if (checkpoint->rank == 0 && (checkpoint->written > 0 || checkpoint->resumed))
        remove_file(checkpoint, checkpoint->claim);
    int more = 1;
    for (int64_t piece = 0; more; piece++) {
        trm_claim *claim = NULL;
        more = claim_piece(checkpoint, piece, &claim, NULL) == TRM_OK && checkpoint->rank == 0 &&
               remove_file(checkpoint, claim);
        trm_claim_release(&claim);
        MPI_Bcast(&more, 1, MPI_INT, 0, checkpoint->comm);
    }
}

json_t *trm_job_checkpoint_report(const trm_job_checkpoint *checkpoint, int64_t reused)
{
    return json_pack("{s:o, s:b, s:I, s:i, s:I, s:f}", "path",
                     trm_json_text(checkpoint->settings->checkpoint), "resumed", checkpoint->resumed,
                     "reused_pairs", (json_int_t)reused, "written", checkpoint->written, "bytes",
                     (json_int_t)checkpoint->bytes, "write_s", checkpoint->write_s);
}

void trm_job_checkpoint_end(trm_job_checkpoint *checkpoint)
{
    trm_checkpoint_file_close(&checkpoint->from);
    trm_checkpoint_file_close(&checkpoint->piece);
    trm_claim_release(&checkpoint->claim);
    json_decref(checkpoint->job.options);
    checkpoint->job.options = NULL;
}
