/* Sorting candidates: digit by digit or not, the order is that of (key, id). */
#include "base/candidate.h"
#include "support/random_store.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 3000 };

static int compare(const void *a, const void *b)
{
    const trm_candidate *x = a, *y = b;
    return trm_candidate_less(*x, *y) ? -1 : trm_candidate_less(*y, *x) ? 1 : 0;
}

/* kind: few values and many ties; both signs, with 0 and -0; all magnitudes; next to each
 * other; all equal. */
static double key_of(test_random *random, int kind)
{
    const double value = (double)test_random_below(random, 1 << 20);
    switch (kind) {
    case 0:
        return (double)test_random_below(random, 7);
    case 1:
        return test_random_below(random, 5) == 0 ? (test_random_below(random, 2) ? 0.0 : -0.0) : value - 5e5;
    case 2:
        return ldexp((value + 1.0) / 3.0, (int)test_random_below(random, 2000) - 1040);
    case 3:
        return 1.0 + (double)test_random_below(random, 1000) * DBL_EPSILON;
    default:
        return 3.25;
    }
}

static void lists_of_any_length_and_kind_are_sorted_as_by_comparison(void **state)
{
    (void)state;
    static trm_candidate list[MOST + 1], want[MOST + 1], scratch[MOST];
    test_random random = {5};
    for (int kind = 0; kind < 5; kind++)
        for (int64_t count = 0; count <= MOST; count = count < 5 ? count + 1 : count * 7 / 4) {
            for (int64_t i = 0; i < count; i++)
                list[i] =
                    (trm_candidate){key_of(&random, kind), 10 * i + (int64_t)test_random_below(&random, 9)};
            if (count > 2)
                list[count / 3] = TRM_NO_CANDIDATE;
            list[count] = (trm_candidate){-1.0, -1}; /* must stay where it is */
            memcpy(want, list, sizeof list);
            qsort(want, (size_t)count, sizeof *want, compare);
            trm_candidates_sort(list, count, scratch);
            for (int64_t i = 0; i <= count; i++) {
                assert_true(list[i].key == want[i].key);
                assert_true(list[i].id == want[i].id);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_any_length_and_kind_are_sorted_as_by_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
