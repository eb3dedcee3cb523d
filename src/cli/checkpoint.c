/* Signals, clock and checkpoint; see checkpoint.h. */
#include "cli/checkpoint.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"
#include "store/result.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- signals ---- */

static volatile sig_atomic_t stop_signal, save_asked;
static struct timespec stop_time; /* written by the first stop signal, before stop_signal */

static void on_stop(int number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (stop_signal == 0) {
        stop_time = now;
        stop_signal = number;
        return;
    }
    const double since =
        (double)(now.tv_sec - stop_time.tv_sec) + 1e-9 * (double)(now.tv_nsec - stop_time.tv_nsec);
    if (since < 1.0)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_save(int number)
{
    (void)number;
    save_asked = 1;
}

static const struct listened {
    int number;
    void (*handler)(int);
    bool may_be_ignored; /* by whoever started this process, as nohup does: then it stays so */
} signals[] = {
    {SIGTERM, on_stop, false}, {SIGUSR1, on_stop, false}, {SIGINT, on_stop, true},
    {SIGHUP, on_stop, true},   {SIGUSR2, on_save, false},
};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction before[SIGNALS];

void trm_signals_listen(void)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_handler = signals[i].handler, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i].number, NULL, &before[i]);
        if (!signals[i].may_be_ignored || before[i].sa_handler != SIG_IGN)
            sigaction(signals[i].number, &action, NULL);
    }
}

void trm_signals_ignore(void)
{
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i].number, &before[i], NULL);
}

trm_status trm_signals_stopped(MPI_Comm comm, trm_error *err)
{
    int stopped = stop_signal != 0;
    MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_MAX, comm);
    return stopped ? trm_fail(err, TRM_ERR_STOPPED,
                              "stopped on a signal before there was anything to keep: run again")
                   : TRM_OK;
}

/* ---- the library's wishes ---- */

static int wish(void *context)
{
    const trm_job_checkpoint *checkpoint = context;
    int wishes = save_asked != 0 ? TRM_WISH_SAVE : 0;
    if (stop_signal != 0)
        wishes |= TRM_WISH_STOP;
    const double every = checkpoint->cli->checkpoint_minutes * 60.0;
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
    if (status == TRM_OK && checkpoint->rank == 0 && checkpoint->cli->verbose > 0)
        trm_say(stderr, "checkpoint '%s': %.1f MB in %.2f s\n", trm_claim_target(claim), (double)*bytes / 1e6,
                seconds);
    return status;
}

/* A piece that can't be kept does not end the job either, but nothing that builds on it is worth checkpoint. */
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
            trm_warn("%s; going on without further checkpoints", why.text);
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
                          checkpoint->cli->checkpoint);
    else
        status = write_file(checkpoint, checkpoint->claim, parts, part, &checkpoint->bytes, &why);
    save_asked = 0;
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
        trm_warn("%s; going on without", why.text);
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

trm_status trm_claim_output(const trm_cli *cli, MPI_Comm comm, const char *kind, const char *path,
                            bool overwrite, trm_claim **claim, trm_error *err)
{
    const char *const list = cli->batches == 0 ? cli->batch_list : NULL; /* that is read */
    const int inputs = cli->inputs + (cli->triplets != NULL ? 1 : 0) + (list != NULL ? 1 : 0);
    const char **input = trm_alloc(inputs, sizeof *input);
    trm_status status =
        input == NULL ? trm_fail_memory(err, "the list of inputs", inputs, sizeof *input) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        memcpy(input, cli->input, (size_t)cli->inputs * sizeof *input);
        if (cli->triplets != NULL)
            input[cli->inputs] = cli->triplets;
        if (list != NULL)
            input[inputs - 1] = list;
        status = trm_claim_take(comm, kind, path, overwrite, inputs, input, claim, err);
    }
    trm_free(input);
    return status;
}

void trm_claim_tell_replaced(const trm_claim *claim)
{
    if (claim != NULL && trm_claim_replaced(claim))
        trm_warn("another job wrote output '%s' while this one ran: replaced by this one's",
                 trm_claim_target(claim));
}

/* Rank 0: what is there already, and may it be written over? */
static trm_status check_existing(trm_job_checkpoint *checkpoint, trm_error *err)
{
    const trm_cli *cli = checkpoint->cli;
    const char *path = cli->checkpoint, *target = trm_claim_target(checkpoint->claim);
    struct stat about;
    checkpoint->found = lstat(target, &about) == 0;
    checkpoint->first_piece = trm_checkpoint_file_first_piece(checkpoint->claim);
    if (checkpoint->found && !cli->resume && !cli->overwrite)
        return trm_fail(
            err, TRM_ERR_CREATE,
            "checkpoint '%s' exists: give --resume to go on from it, or --overwrite to begin anew", path);
    if (checkpoint->found && !cli->resume && trm_checkpoint_file_is_foreign(target))
        return trm_fail(err, TRM_ERR_CREATE, "checkpoint '%s': there is a file of another kind", path);
    if (!checkpoint->found && checkpoint->first_piece >= 0 && !cli->overwrite)
        return trm_fail(err, TRM_ERR_CREATE,
                        "checkpoint '%s' is missing, but '%s.piece-%" PRId64
                        "', a piece of it, is there: put it back, or give --overwrite to begin anew",
                        path, target, checkpoint->first_piece);
    return TRM_OK;
}

static trm_status check_same(const trm_cli *cli, trm_error *err)
{
    if (cli->output != NULL && trm_output_is_same(cli->checkpoint, cli->output))
        return trm_fail(err, TRM_ERR_USAGE, "--checkpoint '%s' is the output, too", cli->checkpoint);
    const size_t length = strlen(cli->checkpoint);
    if (cli->output != NULL && strncmp(cli->output, cli->checkpoint, length) == 0 &&
        strncmp(cli->output + length, ".piece-", 7) == 0)
        return trm_fail(err, TRM_ERR_USAGE, "output '%s' has the name of a piece of --checkpoint '%s'",
                        cli->output, cli->checkpoint);
    return TRM_OK;
}

trm_status trm_job_checkpoint_begin(const trm_cli *cli, MPI_Comm comm, trm_job_checkpoint *checkpoint,
                                    trm_error *err)
{
    *checkpoint = (trm_job_checkpoint){.cli = cli, .comm = comm, .last = trm_clock()};
    MPI_Comm_rank(comm, &checkpoint->rank);
    checkpoint->checkpoint = (trm_checkpoint){.wish = wish, .context = checkpoint};
    if (cli->checkpoint == NULL)
        return TRM_OK;
    checkpoint->checkpoint.save = save;
    checkpoint->checkpoint.set_aside = set_aside;
    checkpoint->checkpoint.size = size;
    checkpoint->checkpoint.load = load;
    trm_status status = trm_agree(comm, checkpoint->rank == 0 ? check_same(cli, err) : TRM_OK, err);
    if (status == TRM_OK)
        status = trm_claim_output(cli, comm, "checkpoint", cli->checkpoint, true, &checkpoint->claim, err);
    return status == TRM_OK
               ? trm_agree(comm, checkpoint->rank == 0 ? check_existing(checkpoint, err) : TRM_OK, err)
               : status;
}

/* What tells that a job that begins with --resume was meant to go on; false where nothing does. */
static bool was_begun(const trm_job_checkpoint *checkpoint, char *text, size_t size)
{
    const trm_cli *cli = checkpoint->cli;
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
    else if (cli->output != NULL && trm_report_options_text(cli, &options, NULL) == TRM_OK &&
             trm_output_holds(cli->output, trm_version(), options, checkpoint->job.store_fingerprint))
        snprintf(text, size, "output '%s' holds this job's whole result", cli->output);
    else
        begun = false;
    free(options);
    return begun;
}

static void say_anew(const trm_job_checkpoint *checkpoint)
{
    char why[512];
    if (was_begun(checkpoint, why, sizeof why))
        trm_warn("--resume: there is no checkpoint '%s', although %s: from the beginning",
                 checkpoint->cli->checkpoint, why);
    else if (!checkpoint->cli->quiet)
        trm_say(stderr, "resume     no checkpoint '%s' yet: from the beginning\n",
                checkpoint->cli->checkpoint);
}

trm_status trm_job_checkpoint_resume(trm_job_checkpoint *checkpoint, trm_checkpoint_job job, trm_error *err)
{
    const trm_cli *cli = checkpoint->cli;
    struct stat about;
    trm_status status = TRM_OK;
    if (cli->checkpoint == NULL)
        return TRM_OK;
    checkpoint->job = job;
    checkpoint->job.command = cli->command->name;
    checkpoint->job.version = trm_version();
    checkpoint->job.options = trm_report_options(cli);
    int there = cli->resume && checkpoint->rank == 0 && stat(cli->checkpoint, &about) == 0;
    if (cli->resume && checkpoint->rank == 0 && !there && checkpoint->found)
        status = trm_fail(err, TRM_ERR_NO_INPUT,
                          "checkpoint '%s' was there when this job began, and has vanished since",
                          cli->checkpoint);
    status = trm_agree(checkpoint->comm, status, err);
    if (status != TRM_OK)
        return status;
    MPI_Bcast(&there, 1, MPI_INT, 0, checkpoint->comm);
    if (cli->resume && !there && checkpoint->rank == 0)
        say_anew(checkpoint);
    if (!there)
        return TRM_OK;
    status =
        trm_checkpoint_file_open(checkpoint->comm, cli->checkpoint, &checkpoint->job, &checkpoint->from, err);
    if (status != TRM_OK)
        return status;
    checkpoint->resumed = checkpoint->checkpoint.resumes = true;
    if (checkpoint->rank == 0 && !cli->quiet)
        trm_say(stderr, "resume     from checkpoint '%s'\n", cli->checkpoint);
    return TRM_OK;
}

trm_status trm_job_checkpoint_pause(const trm_job_checkpoint *checkpoint, trm_error *err)
{
    return trm_signals_stopped(checkpoint->comm, err);
}

trm_status trm_job_checkpoint_explain(const trm_job_checkpoint *checkpoint, trm_status status, trm_error *err)
{
    if (status != TRM_ERR_STOPPED || err == NULL)
        return status;
    const char *path = checkpoint->cli->checkpoint;
    *err = (trm_error)TRM_ERROR_INIT;
    if (path == NULL)
        return trm_fail(err, status, "stopped on a signal; nothing was kept (--checkpoint PATH would have)");
    if (checkpoint->written == 0 && !checkpoint->resumed)
        return trm_fail(err, status, "stopped on a signal before there was anything to keep: run again");
    return trm_fail(err, status,
                    "stopped on a signal; checkpoint '%s' holds the work: run again with --resume", path);
}

/* Whether there was one to remove. */
static bool remove_file(const trm_claim *claim)
{
    if (trm_checkpoint_file_remove(claim))
        return true;
    if (errno != 0)
        trm_warn("checkpoint '%s' is of no more use and can't be removed: %s", trm_claim_target(claim),
                 strerror(errno));
    return false;
}

void trm_job_checkpoint_done(const trm_job_checkpoint *checkpoint)
{
    if (checkpoint->claim == NULL)
        return;
    if (checkpoint->rank == 0 && (checkpoint->written > 0 || checkpoint->resumed))
        remove_file(checkpoint->claim);
    int more = 1;
    for (int64_t piece = 0; more; piece++) {
        trm_claim *claim = NULL;
        more = claim_piece(checkpoint, piece, &claim, NULL) == TRM_OK && checkpoint->rank == 0 &&
               remove_file(claim);
        trm_claim_release(&claim);
        MPI_Bcast(&more, 1, MPI_INT, 0, checkpoint->comm);
    }
}

json_t *trm_job_checkpoint_report(const trm_job_checkpoint *checkpoint, int64_t reused)
{
    return json_pack("{s:o, s:b, s:I, s:i, s:I, s:f}", "path", trm_report_text(checkpoint->cli->checkpoint),
                     "resumed", checkpoint->resumed, "reused_pairs", (json_int_t)reused, "written",
                     checkpoint->written, "bytes", (json_int_t)checkpoint->bytes, "write_s",
                     checkpoint->write_s);
}

void trm_job_checkpoint_end(trm_job_checkpoint *checkpoint)
{
    trm_checkpoint_file_close(&checkpoint->from);
    trm_checkpoint_file_close(&checkpoint->piece);
    trm_claim_release(&checkpoint->claim);
    json_decref(checkpoint->job.options);
    checkpoint->job.options = NULL;
}
