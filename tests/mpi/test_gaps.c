/* The quantiles that a warning of a small margin names: the same on any number of ranks, and those of a plain program. */
#include "mine/gaps.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROWS = 30, CLASSES = 3, WITHOUT = 3, AT_10 = 3, AT_50 = 29, AT_90 = 55 };

/* Rows of one dimension at the squares 0, 1, 4, 9, ...; class i mod 3. */
static trm_status look(const char *positives, trm_gaps *gaps)
{
    float x[ROWS];
    int64_t labels[ROWS];
    trm_error err = TRM_ERROR_INIT;
    trm_run_options run_options;
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    const int first = ROWS * rank / ranks, last = ROWS * (rank + 1) / ranks;
    for (int i = first; i < last; i++) {
        x[i - first] = (float)(i * i);
        labels[i - first] = i % CLASSES;
    }
    trm_mine_options options;
    trm_mine_options_init(&options);
    options.metric = TRM_METRIC_L2;
    options.positives = positives;
    trm_run_options_init(&run_options);
    trm_status status = trm_run_create(MPI_COMM_WORLD, &run_options, &run, &err);
    if (status == TRM_OK)
        status = trm_rows_create(run, last - first, 1, x, labels, 0, NULL, &rows, &err);
    if (status == TRM_OK)
        status = trm_mine_gaps(run, rows, &options, gaps, &err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    return status;
}

/* The gap of anchor a and its positive at that place by distance; INFINITY: no farther negative. */
static double gap_of(int a, int place)
{
    double threshold = -1.0, nearest = INFINITY;
    for (int k = 0; k <= place; k++) { /* all distances differ: squares of whole numbers */
        double next = INFINITY;
        for (int i = 0; i < ROWS; i++) {
            const double d = fabs((double)(i * i - a * a));
            if (i != a && i % CLASSES == a % CLASSES && d > threshold && d < next)
                next = d;
        }
        threshold = next;
    }
    for (int i = 0; i < ROWS; i++) {
        const double d = fabs((double)(i * i - a * a));
        if (i % CLASSES != a % CLASSES && d > threshold && d - threshold < nearest)
            nearest = d - threshold;
    }
    return nearest;
}

/* Is value one of the gaps of some anchor's pair at one of the places [from, to]? */
static bool is_gap(double value, int from, int to)
{
    for (int a = 0; a < ROWS; a++)
        for (int place = from; place <= to; place++)
            if (gap_of(a, place) == value)
                return true;
    return false;
}

static void quantiles_are_gaps_of_the_selected_pairs(void **state)
{
    static const struct {
        const char *positives;
        int from, to;
    } cases[] = {{"all", 0, 8}, {"easiest", 0, 0}, {"hardest", 8, 8}, {"nearest:2", 0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trm_gaps gaps;
        const bool made = look(cases[i].positives, &gaps) == TRM_OK;
        assert_true(everywhere(made));
        assert_true(everywhere(gaps.sampled == TRM_GAPS_SAMPLE && gaps.without < gaps.sampled));
        assert_true(everywhere(gaps.at_10 <= gaps.at_50 && gaps.at_50 <= gaps.at_90));
        assert_true(everywhere(is_gap(gaps.at_10, cases[i].from, cases[i].to) &&
                               is_gap(gaps.at_50, cases[i].from, cases[i].to) &&
                               is_gap(gaps.at_90, cases[i].from, cases[i].to)));
    }
}

/* As found on one rank. */
static void the_sample_does_not_depend_on_the_ranks(void **state)
{
    trm_gaps gaps;
    (void)state;
    const bool made = look("all", &gaps) == TRM_OK;
    assert_true(everywhere(made));
    assert_true(everywhere(gaps.without == WITHOUT && gaps.at_10 == AT_10 && gaps.at_50 == AT_50 &&
                           gaps.at_90 == AT_90));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_gaps_of_the_selected_pairs),
        cmocka_unit_test(the_sample_does_not_depend_on_the_ranks),
    };
    start_mpi(&argc, &argv, 1200);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
