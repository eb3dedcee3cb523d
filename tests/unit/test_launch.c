/* Who is refused as one of several processes that know nothing of each other: by what launchers leave in the
 * environment. */
#include "par/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"OMPI_COMM_WORLD_SIZE",
                                    "OMPI_COMM_WORLD_RANK",
                                    "PMI_SIZE",
                                    "PMI_RANK",
                                    "PMI_FD",
                                    "PMI_PORT",
                                    "PMIX_RANK",
                                    "PMIX_NAMESPACE",
                                    "SLURM_NTASKS",
                                    "SLURM_NPROCS",
                                    "SLURM_PROCID",
                                    "SLURM_STEP_ID",
                                    "SLURM_JOB_ID",
                                    "SLURM_NODELIST",
                                    "SLURM_STEP_NUM_TASKS"};

/* Sets "A=1 B=2", and none of the other names. */
static void surround(const char *settings)
{
    char text[512], *rest = text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    strncpy(text, settings, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (char *word = strsep(&rest, " "); word != NULL && *word != '\0'; word = strsep(&rest, " ")) {
        char *equals = strchr(word, '=');
        *equals = '\0';
        setenv(word, equals + 1, 1);
    }
}

/* Whether a process that MPI says is alone would be refused, before or after MPI's start. */
static bool refused(const char *settings, trm_error *err)
{
    surround(settings);
    *err = (trm_error)TRM_ERROR_INIT;
    const trm_launch launch = trm_launch_look();
    trm_status status = trm_launch_prepare(&launch, err);
    if (status == TRM_OK)
        status = trm_launch_check(&launch, 1, err);
    return status == TRM_ERR_ENVIRONMENT;
}

static void a_process_that_is_no_task_works_alone(void **state)
{
    static const char *const alone[] = {
        "",
        "SLURM_NTASKS=4",
        "SLURM_NTASKS=4 SLURM_NPROCS=4 SLURM_PROCID=0 SLURM_JOB_ID=7 SLURM_NODELIST=a", /* the batch script */
        "PMI_SIZE=4",
        "PMI_SIZE=4 PMI_RANK=0",
        "SLURM_STEP_NUM_TASKS=four",
        "SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=4294967290 SLURM_PROCID=0",       /* the shell of salloc */
        "SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=4294967291 SLURM_PROCID=0",       /* the batch step */
        "SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 SLURM_STEP_ID=3 SLURM_PROCID=0", /* srun -n 1 in it */
        "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_ID=0 OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 PMIX_RANK=0",
        "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_ID=0 PMI_SIZE=1 PMI_RANK=0 PMI_FD=5",
        "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_ID=0 PMIX_RANK=0 PMIX_NAMESPACE=prterun-7",
    };
    trm_error err;
    (void)state;
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        if (refused(alone[i], &err))
            fail_msg("'%s': %s", alone[i], err.text);
}

static void one_of_several_that_is_alone_is_refused(void **state)
{
    static const char *const several[] = {
        "SLURM_STEP_NUM_TASKS=4",
        "SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=0 SLURM_PROCID=2",
        "SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=0 PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0",
        "PMI_SIZE=4 PMI_RANK=1 PMI_FD=5",
        "PMI_SIZE=4 PMI_RANK=1 PMI_PORT=host:99",
        "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0",
    };
    trm_error err;
    (void)state;
    for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
        if (!refused(several[i], &err))
            fail_msg("'%s' is not refused", several[i]);
        assert_non_null(strstr(err.text, "launched as 4 tasks that MPI does not connect"));
        assert_non_null(strstr(err.text, strstr(several[i], "SLURM") != NULL ? "srun --mpi=pmix" : "mpirun"));
    }
}

static void tasks_that_MPI_connects_are_fine(void **state)
{
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    surround(
        "SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=0 SLURM_PROCID=2 PMIX_RANK=2 PMIX_NAMESPACE=slurm.pmix.7.0");
    const trm_launch launch = trm_launch_look();
    assert_int_equal(launch.task, 2);
    assert_int_equal(trm_launch_prepare(&launch, &err), TRM_OK);
    assert_int_equal(trm_launch_check(&launch, 4, &err), TRM_OK);
}

static void MPI_does_not_take_a_lone_task_for_one_of_several(void **state)
{
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    surround("SLURM_STEP_NUM_TASKS=1 SLURM_STEP_ID=0 SLURM_NODELIST=a");
    trm_launch launch = trm_launch_look();
    assert_int_equal(trm_launch_prepare(&launch, &err), TRM_OK);
    assert_null(getenv("SLURM_STEP_ID"));
    surround("SLURM_STEP_NUM_TASKS=1 SLURM_STEP_ID=0 PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0");
    launch = trm_launch_look();
    assert_int_equal(trm_launch_prepare(&launch, &err), TRM_OK);
    assert_non_null(getenv("SLURM_STEP_ID"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_no_task_works_alone),
        cmocka_unit_test(one_of_several_that_is_alone_is_refused),
        cmocka_unit_test(tasks_that_MPI_connects_are_fine),
        cmocka_unit_test(MPI_does_not_take_a_lone_task_for_one_of_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
