/* How many distances are decided in float64 while windows are still wide: a few an anchor. A count, not a time: with one
 * thread a rank it is the same in every run. */
#include "support/random_store.h"
#include "trimine/mine.h"
#include "trimine/run.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 10000, DIM = 16, CLASSES = 10 };

static int rank, ranks;
static float embeddings[ROWS * DIM];
static int64_t labels[ROWS];

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static void make_store(void)
{
    test_random random = {15};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = test_random_below(&random, CLASSES);
        test_random centre = {(uint64_t)labels[i] + 99};
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] = test_random_unit(&centre) + test_random_unit(&random);
    }
}

/* What an anchor of a job costs at most, of its positives and of its negatives, on any number of ranks. */
typedef struct job {
    const char *positives, *negatives;
    double of_positives, of_negatives;
} job;

static const job jobs[] = {
    {"easiest", "hard", 2.5, 7.0},
    {"hardest", "semihard", 2.5, 7.0},
    {"nearest:3", "semihard", 6.0, 7.0},
    {"easiest", "topk:5", 2.5, 35.0},
};
enum { JOBS = sizeof jobs / sizeof *jobs };

/* An anchor's part of what a job counts, on teams of so many ranks. */
typedef struct cost {
    double of_positives, of_negatives; /* distances in float64 */
    double survivors;                  /* pairs of the negatives that the filter left */
} cost;

static cost cost_of(const job *asked, int replicate)
{
    trm_run_options run_options;
    trm_mine_options options;
    trm_mine_summary summary;
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    trm_error err = TRM_ERROR_INIT;
    const int64_t first = (int64_t)ROWS * rank / ranks, last = (int64_t)ROWS * (rank + 1) / ranks;
    trm_run_options_init(&run_options);
    run_options.threads = 1;
    run_options.replicate = replicate;
    run_options.kernel = "fp32"; /* auto may choose by the time that it takes */
    trm_mine_options_init(&options);
    options.positives = asked->positives;
    options.negatives = asked->negatives;
    options.window = TRM_WINDOW_NONE;
    trm_status status = trm_run_create(MPI_COMM_WORLD, &run_options, &run, &err);
    if (status == TRM_OK)
        status = trm_rows_create(run, last - first, DIM, embeddings + first * DIM, labels + first, 0, NULL,
                                 &rows, &err);
    if (status == TRM_OK)
        status = trm_mine(run, rows, &options, NULL, NULL, &summary, NULL, &err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    if (status != TRM_OK) {
        fprintf(stderr, "%s, %s: %s\n", asked->positives, asked->negatives, err.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return (cost){(double)summary.certify_positives.float64 / ROWS, (double)summary.certify.float64 / ROWS,
                  (double)summary.certify.survivors / ROWS};
}

static void an_anchor_decides_a_few(void **state)
{
    (void)state;
    int bad = 0;
    for (int k = 0; k < JOBS; k++) {
        const cost is = cost_of(&jobs[k], 1);
        if (is.of_positives > jobs[k].of_positives || is.of_negatives > jobs[k].of_negatives) {
            print_error("%s, %s: decided %.2f and %.2f an anchor\n", jobs[k].positives, jobs[k].negatives,
                        is.of_positives, is.of_negatives);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* What each of them finds first, the others know soon. Seen where there are many. */
static void ranks_of_a_team_leave_hardly_more_than_ranks_alone(void **state)
{
    (void)state;
    int bad = 0;
    if (ranks < 8)
        skip();
    for (int k = 0; k < JOBS; k++) {
        const cost alone = cost_of(&jobs[k], 1);
        for (int team = 2; team <= ranks; team++) {
            if (ranks % team != 0)
                continue;
            const cost is = cost_of(&jobs[k], team);
            if (is.survivors > 1.2 * alone.survivors) {
                print_error("%s, %s, %d ranks a team: %.1f left an anchor, %.1f alone\n", jobs[k].positives,
                            jobs[k].negatives, team, is.survivors, alone.survivors);
                bad++;
            }
        }
    }
    assert_int_equal(bad, 0);
}

int main(int argc, char **argv)
{
    int provided;
    alarm(300);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    make_store();
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_anchor_decides_a_few),
                                       cmocka_unit_test(ranks_of_a_team_leave_hardly_more_than_ranks_alone)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
