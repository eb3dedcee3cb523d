#include "support/rounds.h"

#include <stdlib.h>

bool test_runs_round(int round, int ranks)
{
    static const int of_four[] = {0, 0, 1, 2, 0, 3};
    const int which = ranks <= 5 ? of_four[ranks] : 0;
    return getenv("TRIMINE_TEST_ALL") != NULL || (round + round / 4 + round / 16) % 4 == which;
}
