/* Signals, clock and checkpoint; see standby.h. */
#include "cli/standby.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"
#include "store/result.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void handle(void (*stop)(int), void (*keep)(int))
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = keep;
    sigaction(SIGUSR2, &action, NULL);
}

void trm_standby_listen(void)
{
    handle(on_stop, on_save);
}

void trm_standby_ignore(void)
{
    handle(SIG_DFL, SIG_DFL);
}

/* ---- the library's wishes ---- */

static int wish(void *context)
{
    const trm_standby *standby = context;
    int wishes = save_asked != 0 ? TRM_WISH_SAVE : 0;
    if (stop_signal != 0)
        wishes |= TRM_WISH_STOP;
    const double every = standby->cli->checkpoint_minutes * 60.0;
    if (standby->rank == 0 && every > 0.0 && trm_clock() - standby->last >= every)
        wishes |= TRM_WISH_SAVE;
    return wishes;
}

static char *piece_path(const trm_standby *standby, int64_t piece)
{
    return trm_format("%s.piece-%" PRId64, standby->cli->checkpoint, piece);
}

/* Writes a file of the checkpoint, with its time and a line where lines are wanted. */
static trm_status write_file(trm_standby *standby, const char *path, int parts, const trm_keep_part *part,
                             int64_t *bytes, trm_error *err)
{
    const double start = trm_clock();
    trm_status status = trm_checkpoint_write(standby->comm, path, &standby->job, parts, part, bytes, err);
    const double seconds = trm_clock() - start;
    standby->write_s += seconds;
    if (status == TRM_OK && standby->rank == 0 && standby->cli->verbose > 0)
        fprintf(stderr, "checkpoint '%s': %.1f MB in %.2f s\n", path, (double)*bytes / 1e6, seconds);
    return status;
}

/* A piece that can't be kept does not end the job either, but nothing that builds on it is worth keeping. */
static trm_status set_aside(void *context, int64_t piece, int parts, const trm_keep_part *part,
                            trm_error *err)
{
    (void)err;
    trm_standby *standby = context;
    trm_error why = TRM_ERROR_INIT;
    int64_t bytes = 0;
    char *path = piece_path(standby, piece);
    trm_status status = path == NULL ? trm_fail_memory(&why, "a file name", 1, 1) : TRM_OK;
    if (status == TRM_OK && standby->rank == 0 && trm_checkpoint_is_foreign(path))
        status = trm_fail(&why, TRM_ERR_CREATE, "checkpoint '%s': there is a file of another kind", path);
    status = trm_agree(standby->comm, status, &why);
    if (status == TRM_OK && !standby->piece_lost)
        status = write_file(standby, path, parts, part, &bytes, &why);
    if (status != TRM_OK) {
        standby->piece_lost = true;
        if (standby->rank == 0)
            fprintf(stderr, "trimine: warning: %s; going on without further checkpoints\n", why.text);
    }
    trm_free(path);
    return TRM_OK;
}

/* A checkpoint that can't be written does not end a job that could go on. */
static trm_status save(void *context, int parts, const trm_keep_part *part, bool stop, trm_error *err)
{
    trm_standby *standby = context;
    trm_error why = TRM_ERROR_INIT;
    trm_status status = TRM_OK;
    if (standby->piece_lost)
        status = trm_fail(&why, TRM_ERR_IO,
                          "checkpoint '%s': what was found before could not be kept, so neither can this be",
                          standby->cli->checkpoint);
    else
        status = write_file(standby, standby->cli->checkpoint, parts, part, &standby->bytes, &why);
    save_asked = 0;
    standby->last = trm_clock();
    if (status == TRM_OK) {
        standby->written++;
        return TRM_OK;
    }
    if (standby->piece_lost && !stop)
        return TRM_OK; /* a warning was given when it happened */
    if (stop) {
        if (err != NULL)
            *err = why;
        return status;
    }
    if (standby->rank == 0)
        fprintf(stderr, "trimine: warning: %s; going on without\n", why.text);
    return TRM_OK;
}

static int64_t size(void *context, const char *name)
{
    return trm_checkpoint_size(((const trm_standby *)context)->from, name);
}

static trm_status open_piece(trm_standby *standby, int64_t piece, trm_error *err)
{
    char *path = piece_path(standby, piece);
    trm_status status = path == NULL ? trm_fail_memory(err, "a file name", 1, 1) : TRM_OK;
    status = trm_agree(standby->comm, status, err);
    trm_checkpoint_close(&standby->piece);
    if (status == TRM_OK)
        status = trm_checkpoint_open(standby->comm, path, &standby->job, &standby->piece, err);
    standby->piece_index = piece;
    trm_free(path);
    return status;
}

static trm_status load(void *context, int64_t volume, int parts, const trm_keep_part *part, trm_error *err)
{
    trm_standby *standby = context;
    if (volume == TRM_KEPT_STATE)
        return trm_checkpoint_load(standby->from, parts, part, err);
    trm_status status = TRM_OK;
    if (standby->piece == NULL || standby->piece_index != volume)
        status = open_piece(standby, volume, err);
    return status == TRM_OK ? trm_checkpoint_load(standby->piece, parts, part, err) : status;
}

/* ---- the program's side ---- */

static trm_status check_existing(const trm_cli *cli, trm_error *err)
{
    struct stat about;
    if (cli->output != NULL && trm_output_is_same(cli->checkpoint, cli->output))
        return trm_fail(err, TRM_ERR_USAGE, "--checkpoint '%s' is the output, too", cli->checkpoint);
    if (!cli->resume && !cli->overwrite && stat(cli->checkpoint, &about) == 0)
        return trm_fail(
            err, TRM_ERR_CREATE,
            "checkpoint '%s' exists: give --resume to go on from it, or --overwrite to begin anew",
            cli->checkpoint);
    return TRM_OK;
}

trm_status trm_standby_begin(const trm_cli *cli, MPI_Comm comm, trm_standby *standby, trm_error *err)
{
    *standby = (trm_standby){.cli = cli, .comm = comm, .last = trm_clock()};
    MPI_Comm_rank(comm, &standby->rank);
    standby->keeping = (trm_keeping){.wish = wish, .context = standby};
    if (cli->checkpoint == NULL)
        return TRM_OK;
    standby->keeping.save = save;
    standby->keeping.set_aside = set_aside;
    standby->keeping.size = size;
    standby->keeping.load = load;
    trm_status status = trm_agree(comm, standby->rank == 0 ? check_existing(cli, err) : TRM_OK, err);
    return status == TRM_OK ? trm_output_check(comm, cli->checkpoint, true, cli->inputs,
                                               (const char *const *)cli->input, err)
                            : status;
}

trm_status trm_standby_resume(trm_standby *standby, trm_checkpoint_job job, trm_error *err)
{
    const trm_cli *cli = standby->cli;
    struct stat about;
    if (cli->checkpoint == NULL)
        return TRM_OK;
    standby->job = job;
    standby->job.command = cli->command;
    standby->job.version = TRM_VERSION;
    standby->job.options = trm_report_options(cli);
    int there = cli->resume && standby->rank == 0 && stat(cli->checkpoint, &about) == 0;
    MPI_Bcast(&there, 1, MPI_INT, 0, standby->comm);
    if (cli->resume && !there && standby->rank == 0 && !cli->quiet)
        fprintf(stderr, "resume     no checkpoint '%s' yet: from the beginning\n", cli->checkpoint);
    if (!there)
        return TRM_OK;
    trm_status status =
        trm_checkpoint_open(standby->comm, cli->checkpoint, &standby->job, &standby->from, err);
    if (status != TRM_OK)
        return status;
    standby->resumed = standby->keeping.resumes = true;
    if (standby->rank == 0 && !cli->quiet)
        fprintf(stderr, "resume     from checkpoint '%s'\n", cli->checkpoint);
    return TRM_OK;
}

trm_status trm_standby_pause(const trm_standby *standby, trm_error *err)
{
    int stopped = stop_signal != 0;
    MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_MAX, standby->comm);
    return stopped ? trm_fail(err, TRM_ERR_STOPPED, "stopped on request") : TRM_OK;
}

trm_status trm_standby_explain(const trm_standby *standby, trm_status status, trm_error *err)
{
    if (status != TRM_ERR_STOPPED || err == NULL)
        return status;
    const char *path = standby->cli->checkpoint;
    *err = (trm_error)TRM_ERROR_INIT;
    if (path == NULL)
        return trm_fail(err, status, "stopped on a signal; nothing was kept (--checkpoint PATH would have)");
    if (standby->written == 0 && !standby->resumed)
        return trm_fail(err, status, "stopped on a signal before there was anything to keep: run again");
    return trm_fail(err, status,
                    "stopped on a signal; checkpoint '%s' holds the work: run again with --resume", path);
}

/* Removes a file of the checkpoint, and nothing else that may have come to be there. Whether there was one.
 */
static bool remove_file(const char *path)
{
    if (trm_checkpoint_is_foreign(path))
        return false;
    if (unlink(path) == 0)
        return true;
    if (errno != ENOENT)
        fprintf(stderr, "trimine: warning: checkpoint '%s' is of no more use and can't be removed: %s\n",
                path, strerror(errno));
    return false;
}

void trm_standby_done(const trm_standby *standby)
{
    const char *path = standby->cli->checkpoint;
    if (standby->rank != 0 || path == NULL)
        return;
    if (standby->written > 0 || standby->resumed)
        remove_file(path);
    bool more = true;
    for (int64_t piece = 0; more; piece++) {
        char *name = piece_path(standby, piece);
        more = name != NULL && remove_file(name);
        trm_free(name);
    }
}

json_t *trm_standby_report(const trm_standby *standby, int64_t reused)
{
    return json_pack("{s:o, s:b, s:I, s:i, s:I, s:f}", "path", trm_report_text(standby->cli->checkpoint),
                     "resumed", standby->resumed, "reused_pairs", (json_int_t)reused, "written",
                     standby->written, "bytes", (json_int_t)standby->bytes, "write_s", standby->write_s);
}

void trm_standby_end(trm_standby *standby)
{
    trm_checkpoint_close(&standby->from);
    trm_checkpoint_close(&standby->piece);
    json_decref(standby->job.options);
    standby->job.options = NULL;
}
