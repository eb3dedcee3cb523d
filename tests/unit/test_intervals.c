/* Which distances lie in a few intervals: the same answer with each instruction set, for any number of both. */
#include "metric/isa.h"
#include "mine/intervals.h"
#include "support/random_store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t one_by_one(const trm_intervals *w, const double *d, int n)
{
    uint64_t found = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < w->count; k++)
            if (d[i] >= w->from[k] && d[i] <= w->to[k])
                found |= (uint64_t)1 << i;
    return found;
}

/* Small whole numbers, so that many are at the ends; some distances are NaN, some intervals empty or without an end. */
static void fill(test_random *random, trm_intervals *w, double d[TRM_INTERVALS_BATCH])
{
    w->count = (int)test_random_below(random, TRM_INTERVALS_MAX + 1);
    for (int k = 0; k < w->count; k++) {
        w->from[k] = (double)test_random_below(random, 1000) - 20.0;
        w->to[k] = k % 7 == 6 ? INFINITY : w->from[k] + (double)test_random_below(random, 20) - 2.0;
        w->from[k] = k % 11 == 10 ? -INFINITY : w->from[k];
    }
    for (int i = 0; i < TRM_INTERVALS_BATCH; i++)
        d[i] = i % 13 == 12 ? NAN : (double)test_random_below(random, 1000) - 20.0;
}

static void distances_in_an_interval_are_found_and_no_others(void **state)
{
    (void)state;
    test_random random = {5};
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa)
            continue; /* this CPU does not have it */
        int hits = 0, misses = 0;
        for (int round = 0; round < 2000; round++) {
            trm_intervals w;
            double d[TRM_INTERVALS_BATCH];
            const int n = (int)test_random_below(&random, TRM_INTERVALS_BATCH + 1);
            fill(&random, &w, d);
            const uint64_t right = one_by_one(&w, d, n), found = trm_intervals_find(&w, d, n);
            if (found != right)
                fprintf(stderr, "%s: %d distances, %d intervals\n", trm_isa_name((trm_isa)isa), n, w.count);
            assert_true(found == right);
            hits += __builtin_popcountll(right);
            misses += n - __builtin_popcountll(right);
        }
        assert_true(hits > 1000 && misses > 1000);
    }
    trm_isa_limit(TRM_ISA_AVX512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_in_an_interval_are_found_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
