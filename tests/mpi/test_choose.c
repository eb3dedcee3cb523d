/* --kernel auto: whichever chain of filters a sweep goes through, and however often it changes from one to another on its
 * way, the result is the same. A run that takes all chains in turn, at every moment at which a run may choose, is
 * compared with the same job of one kernel on one rank. */
#include "rows/run.h"
#include "support/random_store.h"
#include "support/share.h"
#include "trimine/mine.h"
#include "trimine/run.h"

#include <math.h>
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

enum { ROWS = 1500, DIM = 48, CLASSES = 6 };

static int rank, ranks;
static float embeddings[ROWS * DIM];
static int64_t labels[ROWS];

/* Coordinates of falling size, so that a few of them say most, or all alike; a few rows twice. */
static void make_store(bool falling)
{
    test_random random = {77};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = test_random_below(&random, CLASSES);
        for (int k = 0; k < DIM; k++)
            embeddings[i * DIM + k] = test_random_unit(&random) / (float)(falling ? 1 + k : 1);
        if (i % 50 == 49)
            memcpy(embeddings + i * DIM, embeddings + (i - 7) * DIM, DIM * sizeof *embeddings);
    }
}

/* Trials always pay. in_turn: of a run that chooses. */
static trm_mine_summary mine(MPI_Comm comm, const char *kernel, bool in_turn, const trm_mine_options *options)
{
    trm_run_options how;
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    trm_error err = TRM_ERROR_INIT;
    trm_mine_summary summary = {0};
    int me, all;
    MPI_Comm_rank(comm, &me);
    MPI_Comm_size(comm, &all);
    const int64_t first = (int64_t)ROWS * me / all, end = (int64_t)ROWS * (me + 1) / all;
    trm_run_options_init(&how);
    how.kernel = kernel;
    how.threads = 2;
    how.tile = 96;
    trm_status status = trm_run_create(comm, &how, &run, &err);
    if (status == TRM_OK) {
        run->in_turn = in_turn;
        run->trial_share = INFINITY;
    }
    if (status == TRM_OK)
        status = trm_rows_create(run, end - first, DIM, embeddings + first * DIM, labels + first, 0, NULL,
                                 &rows, &err);
    if (status == TRM_OK)
        status = trm_mine(run, rows, options, NULL, NULL, &summary, NULL, &err);
    if (status != TRM_OK) {
        fprintf(stderr, "rank %d: %s\n", rank, err.text);
        summary.result_hash[0] = '\0';
    }
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    return summary;
}

/* Chains that compared something; those that were tried alone are left out. */
static int chains_used(const trm_mine_summary *summary)
{
    int used = 0;
    for (int k = 0; k < TRM_CHAINS; k++)
        used += summary->chains[k].elements > 0;
    return used;
}

static void changing_the_chain_on_the_way_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *positives, *negatives;
    } jobs[] = {{"easiest", "semihard"}, {"hardest", "semihard"}, {"nearest:5", "topk:10"}, {"all", "hard"}};
    int bad = 0;
    for (int metric = 0; metric < 4; metric++) {
        for (int j = 0; j < 4; j++) {
            trm_mine_options options;
            trm_mine_options_init(&options);
            options.metric = (trm_metric)metric;
            options.margin = trm_metric_default_margin(options.metric);
            options.positives = jobs[j].positives;
            options.negatives = jobs[j].negatives;
            trm_mine_summary alone = {0};
            if (rank == 0)
                alone = mine(MPI_COMM_SELF, "fp32", false, &options);
            test_share(&alone, (int)sizeof alone);
            const trm_mine_summary chosen = mine(MPI_COMM_WORLD, "auto", true, &options);
            const int used = chains_used(&chosen);
            const bool wrong = alone.result_hash[0] == '\0' || alone.triplets.total == 0 ||
                               strcmp(alone.result_hash, chosen.result_hash) != 0 || used < 2;
            if (wrong && rank == 0)
                fprintf(stderr, "%s %s %s: hash %s through %d chains, %s alone\n",
                        trm_metric_name(options.metric), options.positives, options.negatives,
                        chosen.result_hash, used, alone.result_hash);
            bad += wrong;
        }
    }
    MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_int_equal(bad, 0);
}

static void what_each_chain_compared_adds_up(void **state)
{
    (void)state;
    trm_mine_options options;
    trm_mine_options_init(&options);
    const trm_mine_summary summary = mine(MPI_COMM_WORLD, "auto", true, &options);
    int64_t elements = 0;
    for (int k = 0; k < TRM_CHAINS; k++)
        elements += summary.chains[k].elements;
    assert_true(summary.certify.elements > 0);
    assert_int_equal(elements, summary.certify.elements);
}

/* Was there a chain that needs a basis? */
static bool has_basis(const trm_mine_summary *summary)
{
    bool has = false;
    for (int k = 0; k < TRM_CHAINS; k++)
        has = has || strncmp(summary->chains[k].name, "prefix", strlen("prefix")) == 0;
    return has;
}

static void a_short_sweep_makes_a_basis_only_where_few_directions_hold_most(void **state)
{
    (void)state;
    trm_mine_options options;
    trm_mine_options_init(&options);
    const trm_mine_summary falling = mine(MPI_COMM_WORLD, "auto", false, &options);
    make_store(false);
    const trm_mine_summary even = mine(MPI_COMM_WORLD, "auto", false, &options),
                           named = mine(MPI_COMM_WORLD, "prefix", false, &options);
    make_store(true);
    assert_true(has_basis(&falling));
    assert_true(even.chains[0].name[0] != '\0' && !has_basis(&even));
    assert_true(has_basis(&named));
}

int main(int argc, char **argv)
{
    int provided;
    alarm(600);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    make_store(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_the_chain_on_the_way_changes_nothing),
        cmocka_unit_test(what_each_chain_compared_adds_up),
        cmocka_unit_test(a_short_sweep_makes_a_basis_only_where_few_directions_hold_most),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
