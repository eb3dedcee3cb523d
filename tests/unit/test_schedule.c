/* The rings' arithmetic: over all teams, members and steps every pair of tiles of the whole is in one region; and which of a region come first. */
#include "sweep/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEAMS = 17, MEMBERS = 4, TILES_MOST = 7, DEALS = 5 };

/* How many tile rows each team's shard has: all as many, odd and even; ragged; some without any. */
static int64_t tiles_of(int deal, int team)
{
    switch (deal) {
    case 0:
        return 5;
    case 1:
        return 4;
    case 2:
        return 1;
    case 3:
        return 1 + team * 3 % TILES_MOST;
    default:
        return team * 5 % 4;
    }
}

/* A set's tile rows: where each team's begin. Returns how many there are. */
static int64_t begin_of(int deal, int teams, int64_t *begin)
{
    begin[0] = 0;
    for (int t = 0; t < teams; t++)
        begin[t + 1] = begin[t] + tiles_of(deal, t);
    return begin[teams];
}

/* Counts a region's tiles. seen: of row x of the first set and y of the second, x * across + y. */
static void count_tiles(trm_region region, int64_t a_begin, int64_t b_begin, int64_t across, bool one_set,
                        int *seen)
{
    for (int64_t i = region.a_first; i < region.a_last; i++)
        for (int64_t j = region.triangle ? i : region.b_first; j < region.b_last; j++) {
            const int64_t a = a_begin + i, b = b_begin + j;
            seen[one_set && a > b ? b * across + a : a * across + b]++;
        }
}

/* Pairs of tiles that are not in exactly one region. */
static int64_t missed(const trm_schedule *schedule, int teams, int members, int a_deal, int b_deal)
{
    int64_t a_begin[TEAMS + 1], b_begin[TEAMS + 1], wrong = 0;
    const int64_t down = begin_of(a_deal, teams, a_begin), across = begin_of(b_deal, teams, b_begin);
    int *seen = calloc((size_t)(down * across) + 1, sizeof *seen);
    assert_non_null(seen);
    for (int team = 0; team < teams; team++)
        for (int step = 0; step < schedule->steps(teams); step++)
            for (int member = 0; member < members; member++) {
                const int visitor = trm_ring_visitor(teams, team, step);
                const trm_region region = schedule->region(teams, members, team, member, step,
                                                           tiles_of(a_deal, team), tiles_of(b_deal, visitor));
                assert_true(region.a_first >= 0 && region.a_last <= tiles_of(a_deal, team));
                assert_true(region.b_first >= 0 && region.b_last <= tiles_of(b_deal, visitor));
                assert_true(!region.triangle || (schedule->one_set && visitor == team));
                count_tiles(region, a_begin[team], b_begin[visitor], across, schedule->one_set, seen);
            }
    for (int64_t a = 0; a < down; a++)
        for (int64_t b = 0; b < across; b++)
            wrong += seen[a * across + b] != (schedule->one_set && a > b ? 0 : 1);
    free(seen);
    return wrong;
}

static void the_half_ring_has_every_unordered_pair_of_tiles_once(void **state)
{
    (void)state;
    for (int teams = 1; teams <= TEAMS; teams++)
        for (int members = 1; members <= MEMBERS; members++)
            for (int deal = 0; deal < DEALS; deal++)
                assert_int_equal(missed(&trm_half_ring, teams, members, deal, deal), 0);
}

static void the_full_ring_has_every_pair_of_tiles_of_two_sets_once(void **state)
{
    (void)state;
    for (int teams = 1; teams <= TEAMS; teams++)
        for (int members = 1; members <= MEMBERS; members++)
            for (int deals = 0; deals < DEALS * DEALS; deals++)
                assert_int_equal(missed(&trm_full_ring, teams, members, deals / DEALS, deals % DEALS), 0);
}

/* Of the ranks, all teams with as many tiles: the most that one has to do as a multiple of its share. */
static double largest_share(const trm_schedule *schedule, int teams, int members, int64_t tiles)
{
    int64_t all = 0, most = 0;
    for (int team = 0; team < teams; team++)
        for (int member = 0; member < members; member++) {
            int64_t own = 0;
            for (int step = 0; step < schedule->steps(teams); step++)
                own += trm_region_tiles(schedule->region(teams, members, team, member, step, tiles, tiles));
            all += own;
            most = own > most ? own : most;
        }
    return (double)most * teams * members / (double)all;
}

static void all_ranks_have_about_as_much_to_do(void **state)
{
    (void)state;
    for (int teams = 1; teams <= TEAMS; teams++)
        for (int members = 1; members <= MEMBERS; members++) {
            assert_true(largest_share(&trm_half_ring, teams, members, 1000) < 1.01);
            assert_true(largest_share(&trm_full_ring, teams, members, 1000) < 1.01);
        }
}

/* So that windows are narrow for all of them before shards visit. */
static void all_members_have_as_much_of_step_0(void **state)
{
    (void)state;
    const trm_schedule *rings[] = {&trm_half_ring, &trm_full_ring};
    for (int r = 0; r < 2; r++)
        for (int members = 1; members <= MEMBERS; members++)
            for (int member = 0; member < members; member++) {
                const trm_region whole = rings[r]->region(5, 1, 1, 0, 0, 1000, 1000),
                                 part = rings[r]->region(5, members, 1, member, 0, 1000, 1000);
                const double share =
                    (double)trm_region_tiles(part) * members / (double)trm_region_tiles(whole);
                assert_true(share > 0.99 && share < 1.01);
            }
}

static void a_ring_has_no_more_steps_than_it_needs(void **state)
{
    (void)state;
    for (int teams = 1; teams <= TEAMS; teams++) {
        assert_int_equal(trm_half_ring.steps(teams), teams / 2 + 1);
        assert_int_equal(trm_full_ring.steps(teams), teams);
        assert_int_equal(trm_ring_visitor(teams, teams - 1, 0), teams - 1);
    }
}

/* ---- the order within a region ---- */

enum { SIDE_MOST = 2 * TRM_SQUARES + 5 };

/* Triangles whose squares are of one tile and of several, whole and cut among members; other regions. */
static const trm_region regions[] = {
    {0, 1, 0, 1, true},
    {0, 7, 0, 7, true},
    {0, TRM_SQUARES, 0, TRM_SQUARES, true},
    {0, TRM_SQUARES + 1, 0, TRM_SQUARES + 1, true},
    {0, SIDE_MOST, 0, SIDE_MOST, true},
    {3, TRM_SQUARES + 9, 0, SIDE_MOST, true},
    {TRM_SQUARES, SIDE_MOST, 0, SIDE_MOST, true},
    {0, 5, 0, 9, false},
    {2, 5, 4, 6, false},
    {3, 3, 0, 6, false},
};
enum { REGIONS = sizeof regions / sizeof *regions };

/* Which tiles have been run: [a][b]. */
typedef bool tile_table[SIDE_MOST][SIDE_MOST];

/* Tiles on which the parts that trm_region_run names and those that were run differ. */
static int64_t differing(trm_region region, int64_t tiles, tile_table run)
{
    static tile_table noted;
    trm_rectangle part;
    int64_t wrong = 0;
    memset(noted, 0, sizeof noted);
    for (int n = 0; trm_region_run(region, tiles, n, &part); n++)
        for (int64_t a = part.a_first; a < part.a_last; a++)
            for (int64_t b = part.b_first; b < part.b_last; b++) {
                if (region.triangle && b < a)
                    continue; /* it is the pair of tiles b and a, which are both in this square */
                noted[a][b] = true;
            }
    for (int64_t a = 0; a < SIDE_MOST; a++)
        for (int64_t b = 0; b < SIDE_MOST; b++)
            wrong += noted[a][b] != run[a][b];
    return wrong;
}

static void a_region_runs_each_of_its_tiles_once_and_knows_which_it_has_run(void **state)
{
    static tile_table run;
    (void)state;
    for (int r = 0; r < REGIONS; r++) {
        const trm_region region = regions[r];
        const int64_t count = trm_region_tiles(region);
        memset(run, 0, sizeof run);
        assert_int_equal(differing(region, 0, run), 0);
        for (int64_t k = 0; k < count; k++) {
            const trm_place tile = trm_region_tile(region, k);
            assert_true(tile.a >= region.a_first && tile.a < region.a_last);
            assert_true(tile.b >= (region.triangle ? tile.a : region.b_first) && tile.b < region.b_last);
            assert_false(run[tile.a][tile.b]);
            run[tile.a][tile.b] = true;
            if (count < 1000 || k % 97 == 0 || k < 2 * TRM_SQUARES || k + 1 == count)
                assert_int_equal(differing(region, k + 1, run), 0);
        }
    }
}

static void a_rows_own_tile_is_run_before_those_that_are_not_near_the_diagonal(void **state)
{
    static bool own[SIDE_MOST];
    (void)state;
    for (int r = 0; r < REGIONS; r++) {
        const trm_region region = regions[r];
        const int64_t near = (region.a_last - region.a_first) / TRM_SQUARES;
        memset(own, 0, sizeof own);
        for (int64_t k = 0; region.triangle && k < trm_region_tiles(region); k++) {
            const trm_place tile = trm_region_tile(region, k);
            own[tile.a] |= tile.a == tile.b;
            assert_true(own[tile.a]);
            assert_true(own[tile.b] || tile.b - tile.a <= near ||
                        tile.b >= region.a_last); /* another member's */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_half_ring_has_every_unordered_pair_of_tiles_once),
        cmocka_unit_test(the_full_ring_has_every_pair_of_tiles_of_two_sets_once),
        cmocka_unit_test(all_ranks_have_about_as_much_to_do),
        cmocka_unit_test(a_region_runs_each_of_its_tiles_once_and_knows_which_it_has_run),
        cmocka_unit_test(a_rows_own_tile_is_run_before_those_that_are_not_near_the_diagonal),
        cmocka_unit_test(all_members_have_as_much_of_step_0),
        cmocka_unit_test(a_ring_has_no_more_steps_than_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
