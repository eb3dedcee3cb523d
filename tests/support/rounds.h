/* How many of its random cases a test runs: the numbers of ranks that it is run on share them.
 *
 * Cases are numbered so that some in a row, a round, hold every combination of the rules that their test walks. Each
 * round is run on one of 1, 2, 3 and 5 ranks; together these run them all. With TRIMINE_TEST_ALL set (to anything)
 * each runs all of them. */
#ifndef TESTS_SUPPORT_ROUNDS_H
#define TESTS_SUPPORT_ROUNDS_H

#include <stdbool.h>

/* Does this round, counted from 0, run on so many ranks? Of every four rounds in a row, 4k to 4k + 3, one does; which
 * one moves on with k, so that no rule that depends on the round's number keeps to one number of ranks. */
bool test_runs_round(int round, int ranks);

#endif
