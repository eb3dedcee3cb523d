/* Signals, clock and checkpoint; see standby.h. */
#include "cli/standby.h"

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

/* A checkpoint that can't be written does not end a job that could go on. */
static trm_status save(void *context, int parts, const trm_keep_part *part, bool stop, trm_error *err)
{
    trm_standby *standby = context;
    trm_error why = TRM_ERROR_INIT;
    const double start = trm_clock();
    trm_status status = trm_checkpoint_write(standby->comm, standby->cli->checkpoint, &standby->job, parts,
                                             part, &standby->bytes, &why);
    save_asked = 0;
    standby->last = trm_clock();
    standby->write_s += standby->last - start;
    if (status == TRM_OK) {
        standby->written++;
        if (standby->rank == 0 && standby->cli->verbose > 0)
            fprintf(stderr, "checkpoint '%s': %.1f MB in %.2f s\n", standby->cli->checkpoint,
                    (double)standby->bytes / 1e6, standby->last - start);
        return TRM_OK;
    }
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

static trm_status load(void *context, int parts, const trm_keep_part *part, trm_error *err)
{
    return trm_checkpoint_load(((const trm_standby *)context)->from, parts, part, err);
}

/* ---- the program's side ---- */

static trm_status check_existing(const trm_cli *cli, trm_error *err)
{
    struct stat about;
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

void trm_standby_done(const trm_standby *standby)
{
    const char *path = standby->cli->checkpoint;
    if (standby->rank != 0 || path == NULL || (standby->written == 0 && !standby->resumed))
        return;
    if (unlink(path) != 0 && errno != ENOENT)
        fprintf(stderr, "trimine: warning: checkpoint '%s' is of no more use and can't be removed: %s\n",
                path, strerror(errno));
}

json_t *trm_standby_report(const trm_standby *standby, int64_t reused)
{
    if (standby->cli->checkpoint == NULL)
        return NULL;
    return json_pack("{s:s, s:b, s:I, s:i, s:I, s:f}", "path", standby->cli->checkpoint, "resumed",
                     standby->resumed, "reused_pairs", (json_int_t)reused, "written", standby->written,
                     "bytes", (json_int_t)standby->bytes, "write_s", standby->write_s);
}

void trm_standby_end(trm_standby *standby)
{
    trm_checkpoint_close(&standby->from);
    json_decref(standby->job.options);
    standby->job.options = NULL;
}
