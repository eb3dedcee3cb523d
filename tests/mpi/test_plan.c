/* One process that plans for all ranks finds the memory, the panels and the replicas that the ranks themselves find, to the byte: on
 * random labels, policies, limits and dimensions, of one set and of two. */
#include "rows/rows.h"
#include "rows/run.h"
#include "support/random_store.h"
#include "support/share.h"
#include "trimine/mine.h"
#include "trimine/run.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS_MOST = 3000, CASES = 40 };

static int rank, ranks;
static int64_t labels[2 * ROWS_MOST]; /* of queries: from ROWS_MOST on */

typedef struct case_of {
    int64_t rows, queries, limit; /* queries 0: one set */
    int dim, replicate;
    trm_mine_options options;
} case_of;

typedef struct found {
    trm_status status;
    int64_t bytes;
    int panels, teams;
} found;

static case_of draw_case(uint64_t seed)
{
    static const char *const positives[] = {"all", "easiest", "all", "nearest:3", "random:2"};
    static const char *const negatives[] = {"semihard", "hard", "topk:4", "random:2", "weighted:3"};
    test_random random = {seed};
    case_of c = {.rows = 1 + test_random_below(&random, ROWS_MOST),
                 .dim = 1 + (int)test_random_below(&random, 200),
                 .limit = 1000000 + test_random_below(&random, 40) * test_random_below(&random, 1000000)};
    const int64_t classes =
        1 + test_random_below(&random, 1 + c.rows / (1 + test_random_below(&random, 200)));
    for (int64_t i = 0; i < 2 * ROWS_MOST; i++) /* skewed: the first classes are larger */
        labels[i] = test_random_below(&random, 1 + test_random_below(&random, classes));
    if (seed % 2 == 0)
        c.queries =
            1 + test_random_below(&random, 1 + c.rows * (1 + test_random_below(&random, 3)) / 2) % ROWS_MOST;
    do
        c.replicate = 1 + (int)test_random_below(&random, ranks);
    while (ranks % c.replicate != 0);
    trm_mine_options_init(&c.options);
    c.options.positives = positives[test_random_below(&random, 5)];
    c.options.negatives = negatives[test_random_below(&random, 5)];
    c.options.reserve = test_random_below(&random, 100000);
    return c;
}

/* This rank's part of a set, laid out by plans. */
static trm_status make_rows(trm_run *run, const trm_run *plans, const case_of *c, const int64_t *label,
                            int64_t count, trm_rows **rows, trm_error *err)
{
    int here, of;
    MPI_Comm_rank(run->comm, &here);
    MPI_Comm_size(run->comm, &of);
    const int64_t first = count * here / of, end = count * (here + 1) / of;
    trm_status status =
        trm_rows_sort(run, end - first, c->dim, label + first, 0, NULL, false, false, 1000, rows, err);
    return status == TRM_OK ? trm_rows_lay_out(plans, *rows, c->replicate, err) : status;
}

/* The plan of all rows on comm, or by a run that stands for so many ranks. */
static found plan(const case_of *c, MPI_Comm comm, int stands_for)
{
    trm_run_options how;
    trm_run *run = NULL, *planned = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    trm_error err = TRM_ERROR_INIT;
    trm_mine_summary summary = {0};
    trm_mine_options options = c->options;
    trm_run_options_init(&how);
    how.threads = 2;
    how.mem_per_rank = c->limit;
    found f = {.status = trm_run_create(comm, &how, &run, &err)};
    if (f.status == TRM_OK && stands_for > 0)
        f.status = trm_run_for_all(run, stands_for, c->limit, &planned, &err);
    trm_run *plans = planned != NULL ? planned : run;
    if (f.status == TRM_OK)
        f.status = make_rows(run, plans, c, labels, c->rows, &rows, &err);
    if (f.status == TRM_OK && c->queries > 0)
        f.status = make_rows(run, plans, c, labels + ROWS_MOST, c->queries, &queries, &err);
    options.queries = queries;
    if (f.status == TRM_OK) {
        f.status = trm_mine_plan(plans, rows, &options, &summary, &err);
        f.bytes = summary.memory_bytes;
        f.panels = summary.panels;
        f.teams = rows->teams;
    }
    trm_rows_destroy(&rows);
    trm_rows_destroy(&queries);
    trm_run_destroy(&planned);
    trm_run_destroy(&run);
    return f;
}

static void one_process_plans_what_the_ranks_plan(void **state)
{
    (void)state;
    int fits = 0, refused = 0, in_panels = 0, of_two = 0;
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        const case_of c = draw_case(seed);
        const found theirs = plan(&c, MPI_COMM_WORLD, 0), alone = plan(&c, MPI_COMM_SELF, ranks);
        if (theirs.bytes != alone.bytes || theirs.panels != alone.panels || theirs.status != alone.status)
            fprintf(stderr, "case %d: %d rows x %d, %d queries, %s, %s, replicate %d of %d: %lld, %lld\n",
                    (int)seed, (int)c.rows, c.dim, (int)c.queries, c.options.positives, c.options.negatives,
                    c.replicate, ranks, (long long)theirs.bytes, (long long)alone.bytes);
        assert_int_equal(alone.status, theirs.status);
        assert_int_equal(alone.bytes, theirs.bytes);
        assert_int_equal(alone.panels, theirs.panels);
        assert_int_equal(alone.teams, theirs.teams);
        fits += theirs.status == TRM_OK;
        refused += theirs.status == TRM_ERR_MEMORY;
        in_panels += theirs.status == TRM_OK && theirs.panels > 1;
        of_two += theirs.status == TRM_OK && c.queries > 0;
    }
    assert_true(fits > 0);
    assert_true(refused > 0);
    assert_true(in_panels > 0);
    assert_true(of_two > 0);
}

int main(int argc, char **argv)
{
    int provided;
    alarm(600);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_process_plans_what_the_ranks_plan)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
