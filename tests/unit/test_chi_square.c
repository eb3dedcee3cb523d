/* The chi-square test itself: published values, and counts that are and are not from a distribution. */
#include "support/chi_square.h"
#include "support/random_store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Critical values from the tables (NIST, Engineering Statistics Handbook 1.3.6.7.4). */
static void critical_values_of_the_tables(void **state)
{
    (void)state;
    static const struct {
        double x, chance;
        int degrees;
    } table[] = {{3.841, 0.05, 1},     {6.635, 0.01, 1},      {10.828, 0.001, 1},  {5.991, 0.05, 2},
                 {18.307, 0.05, 10},   {29.588, 0.001, 10},   {31.410, 0.05, 20},  {67.505, 0.05, 50},
                 {124.342, 0.05, 100}, {149.449, 0.001, 100}, {82.358, 0.90, 100}, {0.016, 0.90, 1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_true(fabs(chi_square_above(table[i].x, table[i].degrees) - table[i].chance) <
                    0.011 * table[i].chance);
    for (int n = 1; n < 200; n++)
        assert_true(chi_square_above(0.0, n) == 1.0 && chi_square_above(1e4, n) < 1e-100);
    /* two degrees: exp(-x / 2), on both sides of where the series gives way to the fraction */
    for (double x = 0.125; x < 40.0; x += 0.125)
        assert_true(fabs(chi_square_above(x, 2) - exp(-0.5 * x)) < 1e-13);
}

static void throw(uint64_t seed, int faces, int throws, int64_t *seen)
{
    test_random random = {seed};
    for (int i = 0; i < throws; i++)
        seen[test_random_below(&random, faces)]++;
}

static void fair_dice_pass_and_loaded_dice_do_not(void **state)
{
    (void)state;
    const double fair[] = {1, 1, 1, 1, 1, 1}, loaded[] = {1, 1, 1, 1, 1, 1.25};
    int64_t seen[6] = {0};
    throw(7, 6, 6000, seen);
    assert_true(chi_square_test(seen, fair, 6) > 0.001);
    assert_true(chi_square_test(seen, loaded, 6) < 0.001);
}

/* Of many fair dice, as many fall below a chance as the chance says. */
static void the_chance_is_uniform_over_seeds(void **state)
{
    (void)state;
    const double fair[] = {1, 1, 1, 1, 1, 1, 1, 1};
    int below = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        int64_t seen[8] = {0};
        throw(seed << 32, 8, 400, seen);
        below += chi_square_test(seen, fair, 8) < 0.2;
    }
    assert_in_range(below, 160, 240);
}

static void a_cell_of_weight_0_must_stay_empty(void **state)
{
    (void)state;
    const double weight[] = {1, 0, 1};
    const int64_t empty[] = {50, 0, 50}, one[] = {50, 1, 50};
    assert_true(chi_square_test(empty, weight, 3) == 1.0);
    assert_true(chi_square_test(one, weight, 3) == 0.0);
}

/* Ten cells of which nine expect one draw each: the first five of them are as one, the others go with the
 * last. */
static void rare_cells_are_joined(void **state)
{
    (void)state;
    double weight[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 9};
    int64_t seen[10] = {5, 0, 0, 0, 0, 0, 0, 0, 0, 13};
    assert_true(chi_square_test(seen, weight, 10) == 1.0);
    weight[0] = 9;
    weight[9] = 1;
    seen[0] = 2;
    seen[9] = 16;
    const double want = chi_square_above(49.0 / 9.0 + 49.0 / 9.0, 1);
    assert_true(fabs(chi_square_test(seen, weight, 10) - want) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critical_values_of_the_tables),
        cmocka_unit_test(fair_dice_pass_and_loaded_dice_do_not),
        cmocka_unit_test(the_chance_is_uniform_over_seeds),
        cmocka_unit_test(a_cell_of_weight_0_must_stay_empty),
        cmocka_unit_test(rare_cells_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
