/* How many threads and how much memory a rank gets, from what its host lets it use: cores, control groups, the
 * environment. */
#include "rows/threads.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* ---- control groups ---- */

/* Writes a file of the scratch folder, with the folders it is in. */
static void put(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s", in_folder(name));
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static double quota(const char *membership, const char *mount)
{
    put("membership", membership);
    char mounted[300];
    snprintf(mounted, sizeof mounted, "%s", in_folder(mount));
    return trm_host_quota(in_folder("membership"), mounted);
}

static void the_least_quota_around_a_group_counts(void **state)
{
    (void)state;
    put("v2/a/cpu.max", "300000 100000\n");
    put("v2/a/b/cpu.max", "max 100000\n");
    put("v2/a/c/cpu.max", "50000 20000\n");
    put("v2/a/c/d/cpu.max", "400000 100000\n");
    assert_true(quota("0::/\n", "v2") == INFINITY);
    assert_true(quota("0::/a/b\n", "v2") == 3.0);
    assert_true(quota("0::/a/c/d\n", "v2") == 2.5);
    assert_true(quota("0::/elsewhere\n", "v2") == INFINITY);
    assert_true(quota("", "v2") == INFINITY);
    assert_true(trm_host_quota(in_folder("none"), "/nowhere") == INFINITY);
}

/* In a container the kernel may tell the path of the group outside of it, which is not there. */
static void the_quota_of_a_container_is_at_its_mount(void **state)
{
    (void)state;
    put("container/cpu.max", "150000 100000\n");
    assert_true(quota("0::/docker/77\n", "container") == 1.5);
    assert_true(quota("0::/../outside\n", "container") == 1.5);
}

static void version_1_has_a_quota_too(void **state)
{
    (void)state;
    put("v1/cpu,cpuacct/slurm/cpu.cfs_quota_us", "-1\n");
    put("v1/cpu,cpuacct/slurm/cpu.cfs_period_us", "100000\n");
    put("v1/cpu,cpuacct/slurm/job/cpu.cfs_quota_us", "400000\n");
    put("v1/cpu,cpuacct/slurm/job/cpu.cfs_period_us", "100000\n");
    put("v1/cpu/box/cpu.cfs_quota_us", "100000\n");
    put("v1/cpu/box/cpu.cfs_period_us", "50000\n");
    assert_true(quota("5:cpu,cpuacct:/slurm/job\n3:cpuset:/\n0::/\n", "v1") == 4.0);
    assert_true(quota("5:cpu,cpuacct:/slurm\n0::/\n", "v1") == INFINITY);
    assert_true(quota("9:cpuacct:/box\n2:cpu:/box\n0::/\n", "v1") == 2.0);
    assert_true(quota("9:cpuacct:/box\n2:cpuset:/box\n", "v1") == INFINITY);
}

/* ---- memory ---- */

static double memory(const char *membership, const char *mount)
{
    put("membership", membership);
    char mounted[300];
    snprintf(mounted, sizeof mounted, "%s", in_folder(mount));
    return trm_host_group_memory(in_folder("membership"), mounted);
}

/* Cache of files is not lost to a job, but all that it has read counts as used. */
static void what_a_group_leaves_counts_without_cache(void **state)
{
    (void)state;
    put("m2/job/memory.max", "8000\n");
    put("m2/job/memory.current", "7000\n");
    put("m2/job/memory.stat", "anon 900\nfile 6100\ninactive_file 5000\nactive_file 1000\n");
    put("m2/job/step/memory.max", "max\n");
    put("m2/job/step/memory.current", "6000\n");
    put("m2/bare/memory.max", "8000\n");
    put("m2/bare/memory.current", "7000\n");
    assert_true(memory("0::/job/step\n", "m2") == 7000.0);
    assert_true(memory("0::/bare\n", "m2") == 1000.0);
    assert_true(memory("0::/elsewhere\n", "m2") == INFINITY);
    assert_true(memory("", "nowhere") == INFINITY);
}

static void version_1_has_memory_too(void **state)
{
    (void)state;
    put("m1/memory/slurm/memory.limit_in_bytes", "9223372036854771712\n");
    put("m1/memory/slurm/memory.usage_in_bytes", "100\n");
    put("m1/memory/slurm/job/memory.limit_in_bytes", "5000\n");
    put("m1/memory/slurm/job/memory.usage_in_bytes", "2000\n");
    put("m1/memory/slurm/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 40\n");
    assert_true(memory("7:cpu:/\n4:memory:/slurm/job/step\n0::/\n", "m1") == 3340.0);
    assert_true(memory("4:memory:/slurm\n0::/\n", "m1") > 9e18);
}

static void grant(const char *job, const char *node, const char *cpu, const char *cpus)
{
    const char *const names[] = {"SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU",
                                 "SLURM_CPUS_ON_NODE"};
    const char *const values[] = {job, node, cpu, cpus};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (values[i] != NULL)
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
}

static void what_slurm_grants_counts(void **state)
{
    (void)state;
    grant("7", "300", NULL, "8");
    assert_true(trm_host_slurm_memory() == 300.0 * 1048576.0);
    trm_host_memory memory = trm_host_memory_look(2);
    assert_true(memory.a_rank <= 300 * 1048576 / 5 * 4 / 2);
    assert_true(memory.bound == TRM_MEMORY_SLURM && memory.granted == 300 * 1048576);
    assert_true(memory.ranks == 2 && memory.cpus == 0);
    grant("7", NULL, "100", "8");
    assert_true(trm_host_slurm_memory() == 800.0 * 1048576.0);
    memory = trm_host_memory_look(2);
    assert_true(memory.bound == TRM_MEMORY_SLURM && memory.granted == 800 * 1048576 && memory.cpus == 8);
    grant("7", NULL, "100", NULL);
    assert_true(trm_host_slurm_memory() == INFINITY);
    grant("7", "0", NULL, "8"); /* --mem=0: all that the node has */
    assert_true(trm_host_slurm_memory() == INFINITY);
    grant("7", "much", NULL, "8");
    assert_true(trm_host_slurm_memory() == INFINITY);
    grant(NULL, "300", "100", "8"); /* no job */
    assert_true(trm_host_slurm_memory() == INFINITY);
    grant(NULL, NULL, NULL, NULL);
    assert_true(trm_host_slurm_memory() == INFINITY);
}

/* ---- threads ---- */

/* A host of 8 cores of which this rank may use allowed, with others. */
static trm_host host_of(int allowed, double share, int sharers, double quota_cores)
{
    trm_host host = {
        .cores = 8, .ranks = sharers, .allowed_together = allowed, .share = share, .quota = quota_cores};
    host.allowed.bits[0] = (1UL << allowed) - 1;
    return host;
}

static int choose(int asked, const char *environment, trm_host host, trm_error *err)
{
    trm_threads threads;
    *err = (trm_error)TRM_ERROR_INIT;
    if (environment != NULL)
        setenv("OMP_NUM_THREADS", environment, 1);
    else
        unsetenv("OMP_NUM_THREADS");
    return trm_threads_choose(asked, &host, &threads, err) == TRM_OK ? threads.count : -1;
}

static void a_rank_gets_its_share_of_what_may_be_used(void **state)
{
    trm_error err;
    (void)state;
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, INFINITY), &err), 8);
    assert_int_equal(choose(0, NULL, host_of(8, 8.0 / 3, 3, INFINITY), &err), 2);
    assert_int_equal(choose(0, NULL, host_of(8, 8.0 / 11, 11, INFINITY), &err), 1);
    assert_int_equal(choose(0, NULL, host_of(2, 2.0, 4, INFINITY), &err),
                     2); /* bound, each to cores of its own */
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, 3.0), &err), 3);
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, 1.6), &err), 2);
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, 0.2), &err), 1);
    assert_int_equal(choose(0, NULL, host_of(8, 4.0, 2, 6.0), &err), 3); /* a quota is for all ranks here */
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, 64.0), &err), 8);
}

/* srun -c 4 without binding: the rank may use all 8. */
static void what_slurm_gives_a_task_is_enough(void **state)
{
    const trm_host host = host_of(8, 8.0, 1, INFINITY);
    trm_error err;
    (void)state;
    setenv("SLURM_CPUS_PER_TASK", "4", 1);
    assert_int_equal(choose(0, NULL, host, &err), 8); /* no job of Slurm */
    setenv("SLURM_JOB_ID", "7", 1);
    assert_int_equal(choose(0, NULL, host, &err), 4);
    assert_int_equal(choose(0, NULL, host_of(2, 2.0, 1, INFINITY), &err), 2); /* mpirun has bound it */
    assert_int_equal(choose(0, NULL, host_of(8, 8.0, 1, 3.0), &err), 3);
    assert_int_equal(choose(0, "6", host, &err), 6);
    assert_int_equal(choose(5, NULL, host, &err), 5);
    setenv("SLURM_CPUS_PER_TASK", "many", 1);
    assert_int_equal(choose(0, NULL, host, &err), 8);
    unsetenv("SLURM_CPUS_PER_TASK");
    unsetenv("SLURM_JOB_ID");
}

static void what_was_asked_for_comes_first(void **state)
{
    const trm_host host = host_of(8, 8.0, 1, 2.0);
    trm_error err;
    (void)state;
    assert_int_equal(choose(5, "3", host, &err), 5);
    assert_int_equal(choose(0, "3", host, &err), 3);
    assert_int_equal(choose(0, "4,2", host, &err), 4);
    assert_int_equal(choose(0, " 6 , 2 ", host, &err), 6);
}

/* The OpenMP library tells of these itself, and goes on as if they were not there. */
static void a_value_that_is_no_number_of_threads_does_not_count(void **state)
{
    static const char *const bad[] = {"", "many", "0", "-3", "4,", "4,x", "4;2", "2 2"};
    trm_error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (choose(0, bad[i], host_of(8, 8.0, 1, INFINITY), &err) != 8)
            fail_msg("OMP_NUM_THREADS='%s' counts", bad[i]);
}

static void absurd_numbers_are_named(void **state)
{
    const trm_host host = host_of(8, 8.0, 1, INFINITY);
    trm_error err;
    (void)state;
    assert_int_equal(choose(TRM_THREADS_MOST, NULL, host, &err), TRM_THREADS_MOST);
    assert_int_equal(choose(100000, NULL, host, &err), -1);
    assert_int_equal(err.status, TRM_ERR_USAGE);
    assert_non_null(strstr(err.text, "--threads 100000: "));
    assert_int_equal(choose(0, "100000", host, &err), -1);
    assert_non_null(strstr(err.text, "OMP_NUM_THREADS=100000: "));
    assert_int_equal(choose(0, "99999999999999999999999", host, &err), -1);
    assert_non_null(strstr(err.text, "OMP_NUM_THREADS="));
    assert_int_equal(choose(2, "100000", host, &err), 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_quota_around_a_group_counts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_quota_of_a_container_is_at_its_mount, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(version_1_has_a_quota_too, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_a_group_leaves_counts_without_cache, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(version_1_has_memory_too, make_folder, remove_folder),
        cmocka_unit_test(what_slurm_grants_counts),
        cmocka_unit_test(a_rank_gets_its_share_of_what_may_be_used),
        cmocka_unit_test(what_slurm_gives_a_task_is_enough),
        cmocka_unit_test(what_was_asked_for_comes_first),
        cmocka_unit_test(a_value_that_is_no_number_of_threads_does_not_count),
        cmocka_unit_test(absurd_numbers_are_named),
    };
    start_mpi(&argc, &argv, 1200);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
