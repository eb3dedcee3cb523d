/* A program of somebody's own that mines a store as trimine does, with a checkpoint, from public headers alone:
 *
 *   mpirun -n 4 mine_store STORE OUTPUT [OPTION VALUE]...      such as   negatives topk:5
 *
 * It stops on SIGTERM, and goes on when it is run again. */
#include <trimine/job.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static int wish(void *context)
{
    (void)context;
    return stopped ? TRM_WISH_STOP : 0;
}

static void say(void *context, trm_line line, const char *text)
{
    (void)context;
    fprintf(stderr, "%s%s\n", line == TRM_LINE_WARNING ? "warning: " : "", text);
}

static trm_status tell(trm_job *job, int argc, char **argv, trm_error *err)
{
    char checkpoint[4096];
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", argv[2]);
    trm_status status = trm_job_add_input(job, argv[1], err);
    if (status == TRM_OK)
        status = trm_job_set(job, "output", argv[2], err);
    if (status == TRM_OK)
        status = trm_job_set(job, "checkpoint", checkpoint, err);
    if (status == TRM_OK)
        status = trm_job_set(job, "resume", NULL, err);
    for (int i = 3; i + 1 < argc && status == TRM_OK; i += 2)
        status = trm_job_set(job, argv[i], argv[i + 1], err);
    return status;
}

static trm_status run(trm_job *job, trm_error *err)
{
    const char *json = NULL;
    trm_job_hooks hooks;
    trm_job_hooks_init(&hooks);
    hooks.say = say;
    hooks.wish = wish;
    trm_status status = trm_job_open(job, MPI_COMM_WORLD, &hooks, err);
    if (status == TRM_OK)
        status = trm_job_plan(job, err);
    if (status == TRM_OK)
        status = trm_job_run(job, err);
    if (status == TRM_OK)
        status = trm_job_write(job, err);
    if (status == TRM_OK)
        status = trm_job_tell(job, &json, err);
    if (status == TRM_OK && json != NULL) /* rank 0's */
        puts(json);
    if (status == TRM_OK)
        trm_job_done(job);
    return status;
}

int main(int argc, char **argv)
{
    int rank = 0;
    trm_job *job = NULL;
    trm_error err = TRM_ERROR_INIT;
    signal(SIGTERM, on_stop);
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    trm_status status = trm_job_create("mine", &job, &err);
    if (argc < 3)
        fprintf(stderr, "mine_store STORE OUTPUT [OPTION VALUE]...\n");
    if (status == TRM_OK && argc >= 3)
        status = tell(job, argc, argv, &err);
    status = trm_agree(MPI_COMM_WORLD, status, &err);
    if (status == TRM_OK && argc >= 3)
        status = run(job, &err);
    trm_job_destroy(&job);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "error: %s\n", err.text);
    MPI_Finalize();
    return argc < 3 ? 64 : trm_exit_code(status);
}
