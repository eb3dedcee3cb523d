/* What is left of a tile when some rectangles are done: each pair that is not done once, against a table of all
 * pairs. */
#include "sweep/done.h"

#include "support/random_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLACES = 24, CASES = 3000 };

/* How often each pair of a tile was given; the tile's own ranges, and what is whole. */
typedef struct table {
    trm_rectangle tile;
    bool diagonal;
    int parts;
    unsigned char *given; /* rows x cols */
} table;

static int64_t columns(const table *t)
{
    return t->tile.b_last - t->tile.b_first;
}

static void give(void *context, trm_rectangle part, bool diagonal)
{
    table *t = context;
    t->parts++;
    assert_true(part.a_first >= t->tile.a_first && part.a_last <= t->tile.a_last);
    assert_true(part.b_first >= t->tile.b_first && part.b_last <= t->tile.b_last);
    assert_true(!diagonal || (part.a_first == part.b_first && part.a_last == part.b_last));
    for (int64_t a = part.a_first; a < part.a_last; a++)
        for (int64_t b = diagonal ? a : part.b_first; b < part.b_last; b++)
            t->given[(a - t->tile.a_first) * columns(t) + b - t->tile.b_first]++;
}

static bool holds(trm_rectangle r, int64_t a, int64_t b)
{
    return a >= r.a_first && a < r.a_last && b >= r.b_first && b < r.b_last;
}

static bool is_done(const trm_done *done, int64_t a, int64_t b)
{
    for (int64_t i = 0; i < done->count; i++)
        if (holds(done->rectangle[i], a, b) || (!done->two_sets && holds(done->rectangle[i], b, a)))
            return true;
    return false;
}

/* Pairs of the tile that were not given as often as they should be. */
static int64_t wrong_pairs(const trm_done *done, const table *t)
{
    int64_t wrong = 0;
    for (int64_t a = t->tile.a_first; a < t->tile.a_last; a++)
        for (int64_t b = t->tile.b_first; b < t->tile.b_last; b++) {
            const bool mirrored = t->diagonal && b < a;
            const int want = mirrored || is_done(done, a, b) ? 0 : 1;
            wrong += t->given[(a - t->tile.a_first) * columns(t) + b - t->tile.b_first] != want;
        }
    return wrong;
}

static int64_t left_wrong(const trm_done *done, trm_rectangle tile, bool diagonal)
{
    table t = {.tile = tile, .diagonal = diagonal};
    t.given = calloc((size_t)((tile.a_last - tile.a_first) * columns(&t)), 1);
    assert_non_null(t.given);
    trm_done_left(done, tile, diagonal, false, give, &t);
    const int64_t wrong = wrong_pairs(done, &t);
    free(t.given);
    return wrong;
}

/* A range of 1 or more of the places. */
static void draw_range(test_random *random, int64_t *first, int64_t *last)
{
    *first = test_random_below(random, PLACES);
    *last = *first + 1 + test_random_below(random, PLACES - *first);
}

/* A square on the diagonal, or, of one set, a tile beyond it, as a sweep has them. */
static trm_rectangle draw_tile(test_random *random, bool two_sets, bool *diagonal)
{
    trm_rectangle tile;
    draw_range(random, &tile.a_first, &tile.a_last);
    draw_range(random, &tile.b_first, &tile.b_last);
    *diagonal = !two_sets && test_random_below(random, 2) == 0;
    if (*diagonal) {
        tile.b_first = tile.a_first;
        tile.b_last = tile.a_last;
    } else if (!two_sets) {
        tile.b_first += PLACES;
        tile.b_last += PLACES;
    }
    return tile;
}

static void draw_done(test_random *random, trm_done *done)
{
    trm_error err = TRM_ERROR_INIT;
    for (int64_t more = test_random_below(random, 6); more > 0; more--) {
        trm_rectangle r;
        draw_range(random, &r.a_first, &r.a_last);
        draw_range(random, &r.b_first, &r.b_last);
        if (test_random_below(random, 2))
            r.b_first += PLACES, r.b_last += PLACES;
        if (test_random_below(random, 2)) /* of one set the same pairs */
            r = (trm_rectangle){r.b_first, r.b_last, r.a_first, r.a_last};
        assert_int_equal(trm_done_add(done, r, &err), TRM_OK);
    }
}

static void what_is_not_done_is_left_once(void **state)
{
    (void)state;
    test_random random = {11};
    int64_t wrong = 0;
    for (int i = 0; i < CASES; i++) {
        trm_done done = {.two_sets = i % 2 == 1};
        bool diagonal;
        draw_done(&random, &done);
        const trm_rectangle tile = draw_tile(&random, done.two_sets, &diagonal);
        wrong += left_wrong(&done, tile, diagonal);
        trm_done_free(&done);
    }
    assert_int_equal(wrong, 0);
}

/* Where anchors have large tables, blocks are that large. */
static void the_largest_blocks_are_cut_as_small_ones_are(void **state)
{
    (void)state;
    const int64_t side = TRM_BLOCK_MAX;
    trm_error err = TRM_ERROR_INIT;
    trm_done done = {0};
    assert_int_equal(trm_done_add(&done, (trm_rectangle){side - 2, side - 1, 3, side - 1}, &err), TRM_OK);
    assert_int_equal(trm_done_add(&done, (trm_rectangle){side / 2 + 5, side, side, 2 * side - 7}, &err),
                     TRM_OK);
    assert_int_equal(left_wrong(&done, (trm_rectangle){0, side, 0, side}, true), 0);
    assert_int_equal(left_wrong(&done, (trm_rectangle){0, side, side, 2 * side}, false), 0);
    trm_done_free(&done);
}

static void a_tile_that_may_be_repeated_is_left_whole_or_not_at_all(void **state)
{
    (void)state;
    const trm_rectangle tile = {0, 9, 10, 19};
    trm_error err = TRM_ERROR_INIT;
    trm_done done = {0};
    unsigned char given[81] = {0};
    table t = {.tile = tile, .given = given};
    assert_int_equal(trm_done_add(&done, (trm_rectangle){10, 19, 0, 8}, &err), TRM_OK);
    trm_done_left(&done, tile, false, true, give, &t);
    assert_int_equal(t.parts, 1);
    assert_int_equal(given[0] + given[80], 2);
    assert_int_equal(trm_done_add(&done, (trm_rectangle){8, 9, 10, 19}, &err), TRM_OK);
    trm_done_left(&done, tile, false, true, give, &t);
    assert_int_equal(t.parts, 1);
    trm_done_free(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_done_is_left_once),
        cmocka_unit_test(the_largest_blocks_are_cut_as_small_ones_are),
        cmocka_unit_test(a_tile_that_may_be_repeated_is_left_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
