/* What a machine counts for threads: nothing is asserted of how fast it is, only that all threads are in it. */
#include "rows/counter.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* Nanoseconds that this thread has run for. */
static double ran(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* Works until this thread has run so much longer; returns by how much it did. */
static double work_for(double nanoseconds)
{
    const double start = ran();
    while (ran() - start < nanoseconds)
        ;
    return ran() - start;
}

/* What the first thread ran for, waiting included, is less than what both did. */
static void counts_all_threads(void **state)
{
    (void)state;
    trm_counter *counter = trm_counter_open(2, TRM_COUNTED_NANOSECONDS);
    if (counter == NULL)
        skip(); /* this machine lets nobody count */
    const double before = trm_counter_now(counter), start = ran();
    double second = 0.0;
#pragma omp parallel num_threads(2) reduction(+ : second)
    if (omp_get_thread_num() == 1)
        second = work_for(5e7);
    const double first = ran() - start, counted = trm_counter_now(counter) - before;
    assert_true(counted > 0.75 * first + 0.5 * second);
    trm_counter_close(&counter);
    assert_null(counter);
}

static void counts_cycles(void **state)
{
    (void)state;
    trm_counter *counter = trm_counter_open(1, TRM_COUNTED_CYCLES);
    if (counter == NULL)
        skip();
    const double before = trm_counter_now(counter);
    (void)work_for(1e6);
    assert_true(trm_counter_now(counter) > before);
    trm_counter_close(&counter);
}

static void none_counts_nothing(void **state)
{
    (void)state;
    trm_counter *none = NULL;
    assert_true(trm_counter_now(none) == 0.0);
    trm_counter_close(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_all_threads),
        cmocka_unit_test(counts_cycles),
        cmocka_unit_test(none_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
