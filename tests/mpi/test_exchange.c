/* The rooms of par/: items arrive in the order of their senders, an error is every rank's, merges give what
 * one rank would have found alone. */
#include "base/alloc.h"
#include "base/candidate.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/keyed.h"
#include "par/lookup.h"
#include "par/merge.h"
#include "support/random_store.h"
#include "support/scratch.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct item {
    int64_t from, to, number;
} item;

/* How many items a rank sends to another: none, some, or many from the first to the last. */
static int64_t items_between(int from, int to)
{
    return from == 0 && to == ranks - 1 ? 100000 : (from * 7 + to * 3) % 5;
}

static void items_arrive_in_the_order_of_ranks(void **state)
{
    (void)state;
    int64_t *counts = trm_alloc(ranks, sizeof *counts), *got = trm_alloc(ranks, sizeof *got), total = 0;
    for (int to = 0; to < ranks; to++)
        total += counts[to] = items_between(rank, to);
    item *send = trm_alloc(total, sizeof *send), *received = NULL;
    for (int64_t to = 0, at = 0; to < ranks; to++)
        for (int64_t k = 0; k < counts[to]; k++)
            send[at++] = (item){rank, to, k};
    const trm_status status =
        trm_exchange_items(MPI_COMM_WORLD, send, counts, sizeof *send, (void **)&received, got, NULL);
    bool right = status == TRM_OK;
    for (int64_t from = 0, at = 0; from < ranks && right; from++) {
        right = got[from] == items_between((int)from, rank);
        for (int64_t k = 0; k < got[from] && right; k++, at++)
            right = received[at].from == from && received[at].to == rank && received[at].number == k;
    }
    trm_free(counts);
    trm_free(got);
    trm_free(send);
    trm_free(received);
    assert_true(everywhere(right));
}

static void transfers_of_nothing_and_of_much_end(void **state)
{
    (void)state;
    enum { MUCH = 1 << 22 };
    const int next = (rank + 1) % ranks, before = (rank + ranks - 1) % ranks;
    const int64_t sizes[] = {0, 1, MUCH};
    char *out = trm_alloc(MUCH, 1), *in = trm_alloc(MUCH, 1);
    bool right = true;
    for (int k = 0; k < 3; k++) {
        trm_transfer send = {NULL, 0}, receive = {NULL, 0};
        memset(out, rank + 1, MUCH);
        memset(in, 0, MUCH);
        right = trm_transfer_receive(MPI_COMM_WORLD, in, sizes[k], before, k, &receive, NULL) == TRM_OK &&
                trm_transfer_send(MPI_COMM_WORLD, out, sizes[k], next, k, &send, NULL) == TRM_OK && right;
        trm_transfer_wait(&receive);
        trm_transfer_wait(&send);
        trm_transfer_wait(&send); /* again: nothing is left to wait for */
        for (int64_t i = 0; i < MUCH; i++)
            right = right && in[i] == (i < sizes[k] ? (char)(before + 1) : 0);
    }
    trm_free(out);
    trm_free(in);
    assert_true(everywhere(right));
}

static void an_error_of_one_rank_is_everyones(void **state)
{
    (void)state;
    for (int first = 0; first < ranks; first++) {
        trm_error err = TRM_ERROR_INIT;
        trm_status status = TRM_OK;
        if (rank >= first) /* the lowest one is heard */
            status = trm_fail(&err, rank == first ? TRM_ERR_DATA : TRM_ERR_IO, "rank %d failed", rank);
        status = trm_agree(MPI_COMM_WORLD, status, &err);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "rank %d failed", first);
        assert_true(everywhere(status == TRM_ERR_DATA && err.status == TRM_ERR_DATA && err.rank == first &&
                               strcmp(err.text, wanted) == 0 && err.host[0] != '\0'));
    }
    trm_error err = TRM_ERROR_INIT;
    assert_true(everywhere(trm_agree(MPI_COMM_WORLD, TRM_OK, &err) == TRM_OK && err.status == TRM_OK));
}

static void shares_cover_everything_once(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 2, 7, 1000, INT64_C(1) << 62};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t first, last, end = 0;
        for (int r = 0; r < ranks; r++) {
            trm_share(sizes[k], r, ranks, &first, &last);
            assert_true(first == end && last >= first && last - first <= sizes[k] / ranks + 1);
            end = last;
        }
        assert_true(end == sizes[k]);
        trm_share(sizes[k], rank, ranks, &first, &last);
        assert_true(everywhere(trm_sum_int64(MPI_COMM_WORLD, last - first) == sizes[k] &&
                               trm_prefix_int64(MPI_COMM_WORLD, last - first) == first));
    }
}

enum { SLOTS = 60, LENGTH = 4 };

/* A rank's candidates; keys from a small set, so that ties go by id. */
static void make_candidates(int of, trm_candidate *made)
{
    test_random random = {(uint64_t)of + 1};
    for (int i = 0; i < SLOTS; i++)
        made[i] = test_random_below(&random, 4) == 0
                      ? TRM_NO_CANDIDATE
                      : (trm_candidate){(double)test_random_below(&random, 3),
                                        (int64_t)test_random_below(&random, 1000)};
}

/* The same as ascending lists of LENGTH. */
static void make_lists(int of, trm_candidate *made)
{
    trm_candidate all[SLOTS];
    make_candidates(of, all);
    for (int i = 0; i < SLOTS; i++)
        made[i] = TRM_NO_CANDIDATE;
    for (int i = 0; i < SLOTS; i++)
        if (trm_candidate_exists(all[i]))
            trm_candidate_insert(made + i / LENGTH * LENGTH, LENGTH, all[i]);
}

static void merged_candidates_are_those_of_one_rank_that_saw_all(void **state)
{
    (void)state;
    trm_candidate mine[SLOTS], other[SLOTS], wanted[SLOTS];
    int64_t offset[SLOTS / LENGTH + 1];
    for (int i = 0; i <= SLOTS / LENGTH; i++)
        offset[i] = (int64_t)i * LENGTH;
    make_candidates(0, wanted);
    for (int r = 1; r < ranks; r++) {
        make_candidates(r, other);
        for (int i = 0; i < SLOTS; i++)
            if (trm_candidate_less(other[i], wanted[i]))
                wanted[i] = other[i];
    }
    make_candidates(rank, mine);
    trm_merge_slots(MPI_COMM_WORLD, &trm_merge_min, mine, SLOTS / LENGTH, offset);
    assert_true(everywhere(memcmp(mine, wanted, sizeof mine) == 0));

    make_lists(0, wanted);
    for (int r = 1; r < ranks; r++) {
        make_lists(r, other);
        for (int i = 0; i < SLOTS; i++)
            if (trm_candidate_exists(other[i]))
                trm_candidate_insert(wanted + i / LENGTH * LENGTH, LENGTH, other[i]);
    }
    make_lists(rank, mine);
    trm_merge_slots(MPI_COMM_WORLD, &trm_merge_list, mine, SLOTS / LENGTH, offset);
    assert_true(everywhere(memcmp(mine, wanted, sizeof mine) == 0));

    int64_t count[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        count[i] = rank + i;
    trm_merge_slots(MPI_COMM_WORLD, &trm_merge_sum, count, SLOTS / LENGTH, offset);
    bool right = true;
    for (int i = 0; i < SLOTS; i++)
        right = right && count[i] == (int64_t)ranks * (ranks - 1) / 2 + (int64_t)ranks * i;
    assert_true(everywhere(right));
}

/* Terms that cancel but for a part that float64 would lose. */
static void exact_sums_and_hashes_add_up(void **state)
{
    (void)state;
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    trm_exact_sum_add(&sum, rank % 2 == 0 ? 1e300 : -1e300);
    trm_exact_sum_add(&sum, 0x1p-60);
    if (ranks % 2 == 1 && rank == 0)
        trm_exact_sum_add(&sum, -1e300);
    trm_merge_exact_sum(MPI_COMM_WORLD, &sum);
    assert_true(everywhere(trm_exact_sum_value(&sum) == ranks * 0x1p-60));

    trm_hash_sum hash = TRM_HASH_SUM_INIT, alone = TRM_HASH_SUM_INIT;
    char text[33], wanted[33];
    for (int r = ranks - 1; r >= 0; r--)
        trm_hash_sum_add(&alone, &r, sizeof r);
    trm_hash_sum_add(&hash, &rank, sizeof rank);
    trm_merge_hash_sum(MPI_COMM_WORLD, &hash);
    trm_hash_sum_text(&hash, text);
    trm_hash_sum_text(&alone, wanted);
    assert_true(everywhere(strcmp(text, wanted) == 0));
}

/* The list of a row id: some ids have none, some an empty one. */
static int64_t length_of(int64_t id)
{
    return id % 3 == 0 ? 0 : id % 11;
}

enum { IDS = 200 };

/* Lengths alone; what all ranks answer is what all ask for. */
static bool lengths_are_right(const trm_lookup *lookup, int64_t count, const int64_t *asked)
{
    int64_t length[2 * IDS], values = 0;
    trm_lookup_load load;
    bool right = trm_lookup_lengths(lookup, count, asked, length, &load, NULL) == TRM_OK;
    for (int64_t k = 0; k < count && right; k++) {
        right = length[k] == (asked[k] < IDS ? length_of(asked[k]) : 0);
        values += length[k];
    }
    const int64_t wanted[] = {trm_sum_int64(MPI_COMM_WORLD, count), trm_sum_int64(MPI_COMM_WORLD, values)};
    const int64_t answered[] = {trm_sum_int64(MPI_COMM_WORLD, load.ids),
                                trm_sum_int64(MPI_COMM_WORLD, load.values)};
    return right && wanted[0] == answered[0] && wanted[1] == answered[1];
}

/* Each rank asks for ids of its own choice, by whomever their lists were made, for some of which there is none. */
static bool answers_are_right(const trm_lookup *lookup, int64_t step)
{
    int64_t asked[2 * IDS], count = 0;
    trm_found found = {NULL, NULL};
    for (int64_t id = 2 * IDS - 1 - rank; id >= 0 && step > 0; id -= step)
        asked[count++] = id;
    bool right = trm_lookup_ask(lookup, count, asked, &found, NULL) == TRM_OK;
    for (int64_t k = 0; k < count && right; k++) {
        const trm_list list = found.list[k];
        right = list.end - list.at == (asked[k] < IDS ? length_of(asked[k]) : 0);
        for (int64_t i = 0; i < list.end - list.at && right; i++)
            right = list.at[i] == asked[k] * 100 + i;
    }
    trm_found_free(&found);
    return right && lengths_are_right(lookup, count, asked);
}

static void lists_are_found_by_row_id_from_everywhere(void **state)
{
    (void)state;
    for (int stride = 1; stride <= ranks;
         stride++) { /* who makes which lists: the ranks in turn, or the last none */
        int64_t id[IDS], offset[IDS + 1] = {0}, value[IDS * 11], count = 0;
        for (int64_t i = 0; i < IDS; i++) {
            if (i % 5 == 0 && length_of(i) == 0) /* no list at all */
                continue;
            if (i * 7 % stride != rank)
                continue;
            id[count] = i;
            offset[count + 1] = offset[count] + length_of(i);
            for (int64_t k = 0; k < length_of(i); k++)
                value[offset[count] + k] = i * 100 + k;
            count++;
        }
        trm_lookup *lookup = NULL;
        bool right = trm_lookup_create(MPI_COMM_WORLD, count, id, offset, value, &lookup, NULL) == TRM_OK;
        for (int64_t step = 0; step < 4 && right; step++)
            right = answers_are_right(lookup, rank % 2 == 0 ? step : 3 - step);
        trm_lookup_destroy(&lookup);
        assert_true(everywhere(right));
    }
}

/* Rank r knows the keys from -r on that are multiples of r + 1, some twice, and asks for others, in any order. */
static void numbers_are_asked_for_by_key_from_everywhere(void **state)
{
    (void)state;
    enum { KEYS = 60 };
    trm_keyed own[2 * KEYS], asked[KEYS];
    int64_t known = 0, count = 0;
    for (int64_t i = 0; i < 2 * KEYS && rank != 1; i++)
        own[known++] =
            (trm_keyed){.key = i % KEYS * (rank + 1) - rank, .sum = {1, i}, .largest = 1000 * rank + i};
    for (int64_t i = 0; i < KEYS && rank % 3 != 2; i++)
        asked[count++] = (trm_keyed){.key = (i * 7 + rank) % KEYS - 5, .sum = {-1, -1}, .largest = -1};
    bool right = trm_keyed_ask(MPI_COMM_WORLD, own, known, asked, count, NULL) == TRM_OK;
    for (int64_t k = 0; k < count && right; k++) {
        trm_keyed want = {.key = (k * 7 + rank) % KEYS - 5};
        for (int r = 0; r < ranks; r++)
            for (int64_t i = 0; i < 2 * KEYS && r != 1; i++) {
                if (i % KEYS * (r + 1) - r != want.key)
                    continue;
                want.sum[0]++;
                want.sum[1] += i;
                want.largest = 1000 * r + i > want.largest ? 1000 * r + i : want.largest;
            }
        right = memcmp(&want, &asked[k], sizeof want) == 0;
    }
    assert_true(everywhere(right));
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_arrive_in_the_order_of_ranks),
        cmocka_unit_test(transfers_of_nothing_and_of_much_end),
        cmocka_unit_test(an_error_of_one_rank_is_everyones),
        cmocka_unit_test(shares_cover_everything_once),
        cmocka_unit_test(merged_candidates_are_those_of_one_rank_that_saw_all),
        cmocka_unit_test(exact_sums_and_hashes_add_up),
        cmocka_unit_test(numbers_are_asked_for_by_key_from_everywhere),
        cmocka_unit_test(lists_are_found_by_row_id_from_everywhere),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
