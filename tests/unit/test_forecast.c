/* Forecasts of sweeps: fits that find what samples were made from, and the ring's shares, which leave nothing out. */
#include "job/forecast.h"
#include "support/random_store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_near(double is, double should)
{
    if (!(fabs(is - should) <= 1e-6 * fabs(should)))
        fprintf(stderr, "%.17g is not %.17g\n", is, should);
    assert_true(fabs(is - should) <= 1e-6 * fabs(should));
}

static void a_power_is_found(void **state)
{
    (void)state;
    const double x[] = {1000, 2000, 4000}, y[] = {5e3, 5e3 * pow(2.0, 1.25), 5e3 * pow(4.0, 1.25)};
    const trm_power fit = trm_power_fit(3, x, y, 1.0, 2.0);
    assert_near(fit.power, 1.25);
    assert_near(trm_power_at(fit, 64000.0), 5e3 * pow(64.0, 1.25));
}

static void a_power_stays_in_its_bounds(void **state)
{
    (void)state;
    const double x[] = {1, 2, 4}, steep[] = {1, 8, 64}, falling[] = {4, 2, 1}, nothing[] = {0, 0, 0};
    assert_near(trm_power_fit(3, x, steep, 1.0, 2.0).power, 2.0);
    assert_near(trm_power_fit(3, x, falling, 1.0, 2.0).power, 1.0);
    assert_true(trm_power_at(trm_power_fit(3, x, nothing, 1.0, 2.0), 100.0) == 0.0);
    assert_near(trm_power_at(trm_power_fit(1, x, steep, 1.0, 2.0), 1.0),
                1.0); /* one point: it goes through it */
    assert_near(trm_power_fit(1, x, steep, 1.0, 2.0).power, 1.0);
}

static void two_rates_are_found_and_never_below_zero(void **state)
{
    (void)state;
    const double u[] = {1e6, 4e6, 16e6}, v[] = {1e4, 2.2e4, 4.9e4};
    double seconds[3], a, b;
    for (int i = 0; i < 3; i++)
        seconds[i] = 2e-9 * u[i] + 3e-6 * v[i];
    trm_rates_fit(3, seconds, u, v, &a, &b);
    assert_near(a, 2e-9);
    assert_near(b, 3e-6);
    for (int i = 0; i < 3; i++)
        seconds[i] = 3e-6 * v[i] - 1e-10 * u[i];
    trm_rates_fit(3, seconds, u, v, &a, &b);
    assert_true(a == 0.0 && b > 0.0);
    for (int i = 0; i < 3; i++)
        seconds[i] = 2e-9 * u[i] - 1e-8 * v[i];
    trm_rates_fit(3, seconds, u, v, &a, &b);
    assert_true(a > 0.0 && b == 0.0);
    /* nothing, or nothing but chance, tells them apart */
    const double nearly[] = {1e6, 4e6 * (1.0 + 1e-7), 16e6}, chance[] = {1.0, 1.001, 0.999};
    for (int i = 0; i < 3; i++)
        seconds[i] = 2e-9 * u[i] * chance[i];
    trm_rates_fit(3, seconds, u, u, &a, &b);
    assert_true(fabs(a / 2e-9 - 1.0) < 0.01 && b == 0.0);
    trm_rates_fit(3, seconds, u, nearly, &a, &b);
    assert_true(fabs(a / 2e-9 - 1.0) < 0.01 && b == 0.0);
}

/* Samples of sweeps of which so many pairs of all are left an anchor as the logarithm of the rows. */
static double decided_of(double rows)
{
    return rows * (4.0 + 3.0 * log(rows));
}

static void sweeps_of_many_rows_follow_from_those_of_few(void **state)
{
    (void)state;
    trm_sweep_point point[3];
    for (int i = 0; i < 3; i++) {
        const double n = 2000.0 * (1 << i);
        point[i] = (trm_sweep_point){n, 0.0, n * (n - 1.0) / 2.0, decided_of(n)};
        point[i].seconds = 1.5e-9 * point[i].pairs + 2e-6 * point[i].decided;
    }
    const trm_sweep_fit fit = trm_sweep_fit_of(3, point);
    const double n = 80000.0, should = 1.5e-9 * n * n / 2.0 + 2e-6 * decided_of(n);
    assert_true(fabs(trm_sweep_seconds(&fit, n, 1) / should - 1.0) < 0.05);
    assert_true(trm_sweep_seconds(&fit, n, 4) > trm_sweep_seconds(&fit, n, 1)); /* each member sees a part */
}

static void the_ring_is_shared(void **state)
{
    (void)state;
    assert_true(trm_ring_share_of(&trm_half_ring, 1, 1, 10, 10).visits == 0);
    assert_near(trm_ring_share_of(&trm_half_ring, 1, 1, 10, 10).most, 1.0);
    assert_true(trm_ring_share_of(&trm_half_ring, 8, 1, 10, 10).visits == 4);
    assert_true(trm_ring_share_of(&trm_half_ring, 7, 1, 10, 10).visits == 3);
    for (int teams = 1; teams <= 16; teams++)
        for (int members = 1; members <= 4; members++) {
            const trm_ring_share share = trm_ring_share_of(&trm_half_ring, teams, members, 40, 40);
            assert_true(share.most >= 1.0 && share.most < 1.5);
            assert_true(share.visits <= teams / 2);
            /* of two sets all of the one that travels come to each team */
            const trm_ring_share two = trm_ring_share_of(&trm_full_ring, teams, members, 40, 100);
            assert_true(two.most >= 1.0 && two.most < 1.5);
            assert_true(two.visits <= teams - 1 && two.visits * members >= teams - 1);
        }
}

/* The most shards of another set, or of the same behind it, that may share a label with one of a team's, one by one. */
static int counted_visits(const trm_shard *stay, const trm_shard *travel, int teams)
{
    int most = 0;
    for (int t = 0; t < teams; t++) {
        int visits = 0;
        for (int u = travel == stay ? t + 1 : 0; u < teams; u++)
            visits += u != t && trm_shards_may_share_label(&stay[t], &travel[u]);
        most = visits > most ? visits : most;
    }
    return most;
}

/* Shards of rows by ascending label, of which a class may go over several; the last ones may be empty. */
static void draw_shards(test_random *random, int teams, trm_shard *shard)
{
    int64_t label = 0;
    const int used = 1 + (int)test_random_below(random, teams);
    for (int t = 0; t < teams; t++) {
        label += test_random_below(random, 3);
        shard[t] = (trm_shard){.count = t < used ? 5 : 0, .label_first = label};
        label += test_random_below(random, 3);
        shard[t].label_last = label;
    }
}

static void shards_visit_where_labels_meet(void **state)
{
    (void)state;
    enum { TEAMS = 9, CASES = 500 };
    trm_shard one[TEAMS], other[TEAMS];
    test_random random = {7};
    int some = 0;
    for (int i = 0; i < CASES; i++) {
        const int teams = 1 + i % TEAMS;
        draw_shards(&random, teams, one);
        draw_shards(&random, teams, other);
        assert_int_equal(trm_label_visits_of(one, one, teams), counted_visits(one, one, teams));
        assert_int_equal(trm_label_visits_of(one, other, teams), counted_visits(one, other, teams));
        some += trm_label_visits_of(one, one, teams) == 1;
    }
    assert_true(some > CASES / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_is_found),
        cmocka_unit_test(a_power_stays_in_its_bounds),
        cmocka_unit_test(two_rates_are_found_and_never_below_zero),
        cmocka_unit_test(sweeps_of_many_rows_follow_from_those_of_few),
        cmocka_unit_test(the_ring_is_shared),
        cmocka_unit_test(shards_visit_where_labels_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
