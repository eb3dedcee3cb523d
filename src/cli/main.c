/* trimine: the program. Starts MPI, parses, runs one command, and turns a failure into one line and one exit
 * code. */
#include "cli/standby.h"

#include "base/alloc.h"
#include "par/agree.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number that a launcher put into the environment; 0 where it is not there. */
static long number_in(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtol(text, NULL, 10);
}

/* The task count that the launcher put into the environment, where MPI was not told of it. Read before
 * MPI_Init, which puts its own variables there. */
static long launched_tasks(void)
{
    static const char *const mpi_knows[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"};
    static const char *const counts[] = {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof mpi_knows / sizeof *mpi_knows; i++)
        if (getenv(mpi_knows[i]) != NULL)
            return 1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (getenv(counts[i]) != NULL)
            return number_in(counts[i]);
    return 1;
}

static trm_status refuse_launch(long tasks, trm_error *err)
{
    return trm_fail(err, TRM_ERR_ENVIRONMENT,
                    "launched as %ld tasks that MPI does not connect: use srun --mpi=pmix, or mpirun", tasks);
}

static trm_status check_launch(long tasks, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    return ranks == 1 && tasks > 1 ? refuse_launch(tasks, err) : TRM_OK;
}

/* As a task of srun without PMIx: where Open MPI was built for Slurm, MPI_Init would end the process with a
 * page of text. */
static void refuse_bare_srun(long tasks)
{
    trm_error err = TRM_ERROR_INIT;
    if (tasks < 2 || getenv("SLURM_STEP_NUM_TASKS") == NULL)
        return;
    const trm_status status = refuse_launch(tasks, &err);
    if (number_in("SLURM_PROCID") == 0)
        fprintf(stderr, "trimine: error: %s\n", err.text);
    exit(trm_exit_code(status));
}

/* Of N disconnected tasks only the first speaks. */
static bool is_speaker(long tasks)
{
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank == 0 && (tasks == 1 || number_in("SLURM_PROCID") == 0);
}

static void print_error(long tasks, const trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (!is_speaker(tasks))
        return;
    if (err->rank >= 0 && ranks > 1 && err->status != TRM_ERR_USAGE)
        fprintf(stderr, "trimine: error: rank %d (%s): %s\n", err->rank, err->host, err->text);
    else
        fprintf(stderr, "trimine: error: %s\n", err->text);
}

static trm_status run_command(long tasks, int argc, char **argv, trm_error *err)
{
    trm_cli cli;
    trm_status status = check_launch(tasks, err);
    if (status == TRM_OK)
        status = trm_cli_parse(argc, argv, &cli, err);
    status = trm_agree(MPI_COMM_WORLD, status, err);
    if (status != TRM_OK)
        return status;
    cli.baseline_rss = trm_report_rss_now();
    status = trm_cli_find_command(cli.command)(&cli, err);
    trm_free(cli.input);
    json_decref(cli.overridden);
    return status;
}

/* What is freed goes back to the system at once, so that the memory plan is kept: by default glibc keeps some
 * tens of megabytes, the more the larger the arrays are that come and go. */
static void give_memory_back(void)
{
    enum { OWN_MAPPING = 256 << 10 };
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING);
    mallopt(M_TRIM_THRESHOLD, OWN_MAPPING);
}

int main(int argc, char **argv)
{
    give_memory_back();
    trm_cli_answer_help(argc, argv);
    const long tasks = launched_tasks();
    refuse_bare_srun(tasks);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe and a file at its limit are errors to report, not ends */
    signal(SIGXFSZ, SIG_IGN);
    if (argc > 1 && trm_cli_keeps(argv[1]))
        trm_standby_listen();
    int provided = 0;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        fprintf(stderr, "trimine: error: MPI could not be started\n");
        return trm_exit_code(TRM_ERR_ENVIRONMENT);
    }
    trm_error err = TRM_ERROR_INIT;
    trm_status status = run_command(tasks, argc, argv, &err);
    if (status != TRM_OK)
        print_error(tasks, &err);
    MPI_Finalize();
    return trm_exit_code(status);
}
