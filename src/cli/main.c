/* trimine: the program. Starts MPI, parses, runs one command, and turns a failure into one line and one exit
 * code. */
#include "cli/cli.h"

#include "par/agree.h"
#include "par/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On stderr, and on stdout where JSON is wanted. Of N disconnected tasks only the first speaks. */
static void print_error(const trm_launch *launch, bool is_up, bool json, const trm_error *err)
{
    trm_error shown = *err;
    int rank = 0, ranks = 1;
    if (is_up) {
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    }
    if (rank != 0 || (ranks == 1 && launch->task > 0))
        return;
    if (ranks == 1 || err->status == TRM_ERR_USAGE)
        shown.rank = -1;
    if (shown.rank >= 0)
        fprintf(stderr, "trimine: error: rank %d (%s): %s\n", shown.rank, shown.host, shown.text);
    else
        fprintf(stderr, "trimine: error: %s\n", shown.text);
    if (json)
        trm_report_failure(&shown);
}

static trm_status check_launch(const trm_launch *launch, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    return trm_launch_check(launch, ranks, err);
}

static trm_status run_command(const trm_launch *launch, int argc, char **argv, trm_error *err)
{
    trm_cli cli = {.command = NULL}; /* to be freed, whether it comes to a parse or not */
    trm_status status = check_launch(launch, err);
    if (status == TRM_OK)
        status = trm_cli_parse(argc, argv, &cli, err);
    status = trm_agree(MPI_COMM_WORLD, status, err);
    if (status == TRM_OK)
        status = trm_signals_stopped(MPI_COMM_WORLD, err);
    if (status == TRM_OK)
        status = cli.command->run(&cli, err);
    trm_cli_free(&cli);
    return status;
}

/* A command that needs no MPI, as soon as the program has started: once, however many tasks there are. Its exit
 * code; of the other tasks none, since mpirun ends all at the first that fails. */
static int run_alone(const trm_launch *launch, int argc, char **argv, bool json)
{
    trm_cli cli;
    trm_error err = TRM_ERROR_INIT;
    if (launch->task > 0)
        return 0;
    trm_status status = trm_cli_parse(argc, argv, &cli, &err);
    if (status == TRM_OK)
        status = cli.command->run(&cli, &err);
    if (status != TRM_OK)
        print_error(launch, false, json, &err);
    trm_cli_free(&cli);
    return trm_exit_code(status);
}

/* What is freed goes back to the system at once, so that the memory plan is kept: by default glibc keeps some
 * tens of megabytes, the more the larger the arrays are that come and go. */
static void give_memory_back(void)
{
    enum { OWN_MAPPING = 256 << 10 };
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING);
    mallopt(M_TRIM_THRESHOLD, OWN_MAPPING);
}

/* Where a stream was closed by whoever started this, the next file to be opened would take its number, and a
 * report or a warning could be written into it: a result, a lock, a socket of MPI's. Something that can't be
 * read, or written, takes the number instead. */
static void hold_standard_streams(void)
{
    for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
        if (fcntl(number, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest free one */
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    const trm_command *command = argc > 1 ? trm_command_find(argv[1]) : NULL;
    if (command != NULL && (command->traits & TRM_HAS_CHECKPOINT) != 0)
        trm_signals_listen();
    give_memory_back();
    trm_error err = TRM_ERROR_INIT;
    const trm_launch launch = trm_launch_look();
    trm_cli_answer_help(argc, argv, launch.task <= 0);
    const bool json = trm_cli_wants_json(argc, argv);
    if (command != NULL && (command->traits & TRM_WITHOUT_MPI) != 0)
        return run_alone(&launch, argc, argv, json);
    trm_status status = trm_launch_prepare(&launch, &err);
    if (status != TRM_OK) {
        print_error(&launch, false, json, &err);
        return trm_exit_code(status);
    }
    signal(SIGPIPE, SIG_IGN); /* a closed pipe and a file at its limit are errors to report, not ends */
    signal(SIGXFSZ, SIG_IGN);
    int provided = 0;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        status = trm_fail(&err, TRM_ERR_ENVIRONMENT, "MPI could not be started");
        print_error(&launch, false, json, &err);
        return trm_exit_code(status);
    }
    trm_report_begin(json);
    status = run_command(&launch, argc, argv, &err);
    if (status != TRM_OK)
        print_error(&launch, true, json, &err);
    MPI_Finalize();
    return trm_exit_code(status);
}
