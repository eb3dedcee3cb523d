/* The table of merges: what each promises of order, repetition and cleared slots, on random slots. */
#include "base/merge.h"

#include "base/candidate.h"
#include "support/random_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A line each. */
// clang-format off
static const trm_merge *const merges[] = {
    &trm_merge_min,
    &trm_merge_list,
    &trm_merge_sum,
};
// clang-format on

enum { MERGES = sizeof merges / sizeof *merges, ROWS = 9, SLOTS = 64, CASES = 500 };

/* Slots of ROWS rows, the first of which begins with slot offset[0]; room for whatever a slot is. */
typedef union slots {
    trm_candidate candidate[SLOTS];
    int64_t number[SLOTS];
    char of[SLOTS * sizeof(trm_candidate)];
} slots;

/* Rows of 0 to 6 slots. */
static void draw_offsets(test_random *random, int64_t *offset)
{
    offset[0] = test_random_below(random, 50);
    for (int row = 0; row < ROWS; row++)
        offset[row + 1] = offset[row] + test_random_below(random, 7);
}

static size_t bytes_of(const trm_merge *merge, const int64_t *offset)
{
    return (size_t)(offset[ROWS] - offset[0]) * merge->bytes;
}

/* Full of ties, as what is found in a store; infinities are keys as others are. */
static trm_candidate some_candidate(test_random *random)
{
    const int64_t key = test_random_below(random, 6) - 2;
    return (trm_candidate){key == 3 ? INFINITY : (double)key, test_random_below(random, 8)};
}

/* What rows may hold by a merge: lists are ascending. */
static void draw(test_random *random, const trm_merge *merge, const int64_t *offset, slots *out)
{
    trm_candidate *candidate = out->candidate;
    int64_t *number = out->number;
    merge->clear(out->of, offset[ROWS] - offset[0]);
    for (int row = 0; row < ROWS; row++)
        for (int64_t i = offset[row]; i < offset[row + 1]; i++) {
            if (test_random_below(random, 4) == 0)
                continue; /* found nothing */
            if (merge == &trm_merge_list)
                trm_candidate_insert(candidate + offset[row] - offset[0], offset[row + 1] - offset[row],
                                     some_candidate(random));
            else if (merge->bytes == sizeof(trm_candidate))
                candidate[i - offset[0]] = some_candidate(random);
            else
                number[i - offset[0]] = test_random_below(random, 1000);
        }
}

static slots merged(const trm_merge *merge, const int64_t *offset, const slots *a, const slots *b)
{
    slots into = *a;
    merge->merge(into.of, b->of, ROWS, offset);
    return into;
}

static bool same(const trm_merge *merge, const int64_t *offset, const slots *a, const slots *b)
{
    return memcmp(a->of, b->of, bytes_of(merge, offset)) == 0;
}

/* Three draws of one shape. */
typedef struct drawn {
    const trm_merge *merge;
    int64_t offset[ROWS + 1];
    slots a, b, c;
} drawn;

typedef bool (*rule)(const drawn *d);

/* The number of cases in which a rule does not hold. */
static int broken(const trm_merge *merge, rule holds)
{
    test_random random = {7};
    int count = 0;
    for (int i = 0; i < CASES; i++) {
        drawn d;
        memset(&d, 0, sizeof d);
        d.merge = merge;
        draw_offsets(&random, d.offset);
        draw(&random, merge, d.offset, &d.a);
        draw(&random, merge, d.offset, &d.b);
        draw(&random, merge, d.offset, &d.c);
        count += !holds(&d);
    }
    return count;
}

static bool is_associative(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b),
                bc = merged(d->merge, d->offset, &d->b, &d->c);
    const slots left = merged(d->merge, d->offset, &ab, &d->c),
                right = merged(d->merge, d->offset, &d->a, &bc);
    return same(d->merge, d->offset, &left, &right);
}

static bool is_commutative(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b),
                ba = merged(d->merge, d->offset, &d->b, &d->a);
    return same(d->merge, d->offset, &ab, &ba);
}

static bool is_idempotent(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b);
    const slots again = merged(d->merge, d->offset, &ab, &d->b);
    return same(d->merge, d->offset, &ab, &again);
}

static bool cleared_is_neutral(const drawn *d)
{
    slots cleared = d->b;
    d->merge->clear(cleared.of, d->offset[ROWS] - d->offset[0]);
    const slots left = merged(d->merge, d->offset, &cleared, &d->a);
    const slots right = merged(d->merge, d->offset, &d->a, &cleared);
    return same(d->merge, d->offset, &left, &d->a) && same(d->merge, d->offset, &right, &d->a);
}

static bool leaves_other_slots_alone(const drawn *d)
{
    const size_t bytes = bytes_of(d->merge, d->offset);
    slots into = d->a;
    memset(into.of + bytes, 0x5a, sizeof into.of - bytes);
    into = merged(d->merge, d->offset, &into, &d->b);
    d->merge->clear(into.of, d->offset[ROWS] - d->offset[0]);
    for (size_t i = bytes; i < sizeof into.of; i++)
        if (into.of[i] != 0x5a)
            return false;
    return true;
}

static void merges_are_associative_and_commutative(void **state)
{
    (void)state;
    for (int i = 0; i < MERGES; i++) {
        assert_int_equal(broken(merges[i], is_associative), 0);
        assert_int_equal(broken(merges[i], is_commutative), 0);
    }
}

static void those_and_only_those_that_say_so_are_idempotent(void **state)
{
    (void)state;
    for (int i = 0; i < MERGES; i++)
        assert_int_equal(broken(merges[i], is_idempotent) == 0, merges[i]->idempotent);
}

static void cleared_slots_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < MERGES; i++)
        assert_int_equal(broken(merges[i], cleared_is_neutral), 0);
}

static void nothing_is_written_beyond_the_slots(void **state)
{
    (void)state;
    for (int i = 0; i < MERGES; i++)
        assert_int_equal(broken(merges[i], leaves_other_slots_alone), 0);
}

/* Whether a candidate is among some. */
static bool is_in(const trm_candidate *some, int64_t count, trm_candidate one)
{
    for (int64_t i = 0; i < count; i++)
        if (some[i].key == one.key && some[i].id == one.id)
            return true;
    return false;
}

/* By the definition: of both lists, without repetition, the smallest. */
static bool lists_hold_the_smallest_of_both(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b);
    const trm_candidate *got = ab.candidate;
    const trm_candidate *from[] = {d->a.candidate, d->b.candidate};
    for (int row = 0; row < ROWS; row++) {
        const int64_t first = d->offset[row] - d->offset[0], length = d->offset[row + 1] - d->offset[row];
        for (int64_t i = 0; i < length; i++) {
            trm_candidate least = TRM_NO_CANDIDATE; /* of those that are not in the list before i */
            for (int k = 0; k < 2 * length; k++) {
                const trm_candidate one = from[k % 2][first + k / 2];
                if (!is_in(got + first, i, one) && trm_candidate_less(one, least))
                    least = one;
            }
            if (got[first + i].key != least.key || got[first + i].id != least.id)
                return false;
        }
    }
    return true;
}

static void a_list_is_the_smallest_of_both_lists_each_once(void **state)
{
    (void)state;
    assert_int_equal(broken(&trm_merge_list, lists_hold_the_smallest_of_both), 0);
}

static bool minima_are_the_smaller(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b);
    const trm_candidate *got = ab.candidate, *a = d->a.candidate, *b = d->b.candidate;
    for (int64_t i = 0; i < d->offset[ROWS] - d->offset[0]; i++) {
        const bool first = a[i].key < b[i].key || (a[i].key == b[i].key && a[i].id <= b[i].id);
        const trm_candidate want = first ? a[i] : b[i];
        if (got[i].key != want.key || got[i].id != want.id)
            return false;
    }
    return true;
}

static bool sums_are_sums(const drawn *d)
{
    const slots ab = merged(d->merge, d->offset, &d->a, &d->b);
    const int64_t *got = ab.number, *a = d->a.number, *b = d->b.number;
    for (int64_t i = 0; i < d->offset[ROWS] - d->offset[0]; i++)
        if (got[i] != a[i] + b[i])
            return false;
    return true;
}

static void minima_and_sums_are_what_they_are_called(void **state)
{
    (void)state;
    assert_int_equal(broken(&trm_merge_min, minima_are_the_smaller), 0);
    assert_int_equal(broken(&trm_merge_sum, sums_are_sums), 0);
}

/* Not in the table: its rows are lists whose order does not matter. What is found first in a row of n slots, m in one
 * place and up to n - m in the other, is there afterwards, m first. */
static void gathered_lists_have_all_of_both(void **state)
{
    (void)state;
    enum { N = 6 };
    for (int64_t m = 0; m <= N; m++)
        for (int64_t k = 0; k <= N - m; k++) {
            const int64_t offset[] = {5, 5 + N,
                                      5 + 2 * N}; /* two rows, the second with as many the other way round */
            trm_candidate into[2 * N], from[2 * N];
            trm_merge_gather.clear(into, 2 * N);
            trm_merge_gather.clear(from, 2 * N);
            for (int64_t i = 0; i < m; i++)
                into[i] = from[N + i] = (trm_candidate){9.0 - (double)i, i};
            for (int64_t i = 0; i < k; i++)
                from[i] = into[N + i] = (trm_candidate){-1.0, 100 + i};
            trm_merge_gather.merge(into, from, 2, offset);
            for (int row = 0; row < 2; row++) {
                const int64_t first = row == 0 ? m : k;
                assert_int_equal(trm_candidates_count(into + row * N, N), m + k);
                for (int64_t i = 0; i < m + k; i++) {
                    const bool of_m = (i < first) == (row == 0);
                    const int64_t at = i < first ? i : i - first;
                    assert_int_equal(into[row * N + i].id, of_m ? at : 100 + at);
                }
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathered_lists_have_all_of_both),
        cmocka_unit_test(merges_are_associative_and_commutative),
        cmocka_unit_test(those_and_only_those_that_say_so_are_idempotent),
        cmocka_unit_test(cleared_slots_change_nothing),
        cmocka_unit_test(nothing_is_written_beyond_the_slots),
        cmocka_unit_test(a_list_is_the_smallest_of_both_lists_each_once),
        cmocka_unit_test(minima_and_sums_are_what_they_are_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
