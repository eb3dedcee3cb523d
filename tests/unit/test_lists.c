/* Sets of row ids: the union of ascending lists, and the different ones of many. */
#include "base/distinct.h"
#include "base/lists.h"
#include "support/random_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LISTS = 7, LENGTH = 40, ALL = LISTS * LENGTH };

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ascending, each once; returns how many. */
static int64_t sort_once(int64_t *id, int64_t count)
{
    int64_t kept = 0;
    qsort(id, (size_t)count, sizeof *id, compare);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || id[i] != id[kept - 1])
            id[kept++] = id[i];
    return kept;
}

static bool is_zero(const uint64_t *bits)
{
    for (int i = 0; i < TRM_UNION_WORDS; i++)
        if (bits[i] != 0)
            return false;
    return true;
}

/* Ids close together, far apart, and of both kinds; empty lists among them. */
static void a_union_has_what_is_in_any_list_once(void **state)
{
    (void)state;
    static const int64_t spans[] = {10,      100,          64 * TRM_UNION_WORDS - 1, 64 * TRM_UNION_WORDS,
                                    1000000, INT64_MAX - 1};
    static uint64_t bits[TRM_UNION_WORDS];
    static int64_t id[LISTS][LENGTH], all[ALL], got[ALL + 1];
    test_random random = {3};
    for (int k = 0; k < 600; k++) {
        trm_list list[LISTS], again[LISTS];
        const int64_t lists = test_random_below(&random, LISTS + 1);
        int64_t count = 0;
        for (int64_t l = 0; l < lists; l++) {
            int64_t length = test_random_below(&random, LENGTH + 1);
            for (int64_t i = 0; i < length; i++)
                id[l][i] = test_random_below(&random, spans[test_random_below(&random, 1 + k % 6)]);
            length = sort_once(id[l], length);
            memcpy(all + count, id[l], (size_t)length * sizeof *all);
            count += length;
            list[l] = again[l] = (trm_list){id[l], id[l] + length};
        }
        count = sort_once(all, count);
        got[count] = -1;
        assert_int_equal(trm_lists_union(again, lists, bits, NULL, NULL, 0), count);
        assert_int_equal(trm_lists_union(list, lists, bits, NULL, got, count), count);
        assert_memory_equal(got, all, (size_t)count * sizeof *all);
        assert_int_equal(got[count], -1);
        assert_true(is_zero(bits));
    }
}

static bool is_below(const void *context, int64_t number)
{
    return number < *(const int64_t *)context;
}

static void what_is_not_kept_is_not_in_the_union(void **state)
{
    (void)state;
    static uint64_t bits[TRM_UNION_WORDS];
    const int64_t odd[] = {1, 3, 900001}, even[] = {0, 2, 900000}, end = 900001,
                  want[] = {0, 1, 2, 3, 900000};
    const trm_list_keep keep = {is_below, &end};
    trm_list list[] = {{odd, odd + 3}, {even, even + 3}}, again[] = {{odd, odd + 3}, {even, even + 3}};
    int64_t got[6] = {-1, -1, -1, -1, -1, -1};
    assert_int_equal(trm_lists_union(again, 2, bits, &keep, NULL, 0), 5);
    assert_int_equal(trm_lists_union(list, 2, bits, &keep, got, 6), 5);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(got[5], -1);
    assert_true(is_zero(bits));
}

static void no_more_is_written_than_there_is_room_for(void **state)
{
    (void)state;
    static uint64_t bits[TRM_UNION_WORDS];
    const int64_t odd[] = {1, 3, 5}, even[] = {0, 2, 4};
    trm_list list[] = {{odd, odd + 3}, {even, even + 3}};
    int64_t got[3] = {-1, -1, -1};
    assert_int_equal(trm_lists_union(list, 2, bits, NULL, got, 2), 6);
    assert_true(got[0] == 0 && got[1] == 1 && got[2] == -1);
}

static void different_ids_have_places_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    trm_distinct set = {0};
    assert_int_equal(trm_distinct_find(&set, 0), -1);
    for (int round = 0; round < 2; round++)
        for (int64_t i = 0; i < COUNT; i++)
            assert_true(trm_distinct_add(&set, i * i));
    assert_int_equal(set.count, COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
        assert_int_equal(set.id[i], i * i);
        assert_int_equal(trm_distinct_find(&set, i * i), i);
    }
    assert_int_equal(trm_distinct_find(&set, 2), -1);
    assert_int_equal(trm_distinct_find(&set, INT64_MAX), -1);
    trm_distinct_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_union_has_what_is_in_any_list_once),
        cmocka_unit_test(what_is_not_kept_is_not_in_the_union),
        cmocka_unit_test(no_more_is_written_than_there_is_room_for),
        cmocka_unit_test(different_ids_have_places_in_the_order_in_which_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
