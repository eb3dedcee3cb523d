/* Where a rank's threads may run. */
#include "rows/threads.h"
#include "support/scratch.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What OMP_PROC_BIND does to ranks that nobody bound: each one's first thread on the same first core. */
static void threads_stacked_on_a_core_are_let_go(void **state)
{
    trm_host host;
    cpu_set_t first;
    (void)state;
    trm_host_look(MPI_COMM_WORLD, &host);
    CPU_ZERO(&first);
    for (size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&first) == 0; core++)
        if (host.allowed.bits[core / 64] >> core % 64 & 1)
            CPU_SET(core, &first);
    const bool bound = sched_setaffinity(0, sizeof first, &first) == 0;
    trm_threads threads = {.count = 1};
    trm_threads_start(&host, &threads);
    trm_core_set now = {{0}};
    trm_core_set_add_thread(&now);
    sched_setaffinity(0, sizeof host.allowed, (const cpu_set_t *)(const void *)&host.allowed);
    const int wanted = host.ranks > 1 ? trm_core_set_count(&host.allowed) : 1;
    const bool right = bound && threads.count == 1 && trm_core_set_count(&now) == wanted;
    MPI_Comm_free(&host.comm);
    assert_true(everywhere(right));
}

/* The cores are dealt out: no part is lost, and none is given twice. */
static void shares_add_up_to_the_cores(void **state)
{
    trm_host host;
    (void)state;
    trm_host_look(MPI_COMM_WORLD, &host);
    double sum = host.share;
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, host.comm);
    const bool right = sum > host.allowed_together - 1e-9 && sum < host.allowed_together + 1e-9;
    MPI_Comm_free(&host.comm);
    assert_true(everywhere(right));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_stacked_on_a_core_are_let_go),
        cmocka_unit_test(shares_add_up_to_the_cores),
    };
    start_mpi(&argc, &argv, 1200);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
