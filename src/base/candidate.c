/* Lists of candidates; see candidate.h. */
#include "base/candidate.h"

#include "base/order.h"

#include <stdlib.h>
#include <string.h>

/* From the end: what must move is looked at anyway. */
bool trm_candidate_insert(trm_candidate *list, int64_t length, trm_candidate candidate)
{
    int64_t at = length;
    while (at > 0 && trm_candidate_less(candidate, list[at - 1]))
        at--;
    if (at == length || (at > 0 && list[at - 1].id == candidate.id && list[at - 1].key == candidate.key))
        return false;
    for (int64_t i = length - 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = candidate;
    return true;
}

int64_t trm_candidates_count(const trm_candidate *list, int64_t length)
{
    int64_t lo = 0, hi = length;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (trm_candidate_exists(list[middle]))
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

int trm_candidate_compare(const void *a, const void *b)
{
    const trm_candidate *x = a, *y = b;
    return trm_candidate_less(*x, *y) ? -1 : trm_candidate_less(*y, *x) ? 1 : 0;
}

enum { DIGITS = 8, DIGIT_VALUES = 256 };

static int digit_of(double key, int digit)
{
    return (int)(trm_order_of(key) >> (8 * digit) & (DIGIT_VALUES - 1));
}

/* Moves items to their places by one digit, in the order they have where it is equal. */
static void scatter(const trm_candidate *from, int64_t count, int digit, const int64_t *counts,
                    trm_candidate *into)
{
    int64_t place[DIGIT_VALUES], next = 0;
    for (int v = 0; v < DIGIT_VALUES; v++) {
        place[v] = next;
        next += counts[v];
    }
    for (int64_t i = 0; i < count; i++)
        into[place[digit_of(from[i].key, digit)]++] = from[i];
}

/* Long lists digit by digit, from the last on: each pass is stable, so ids stay in order. */
void trm_candidates_sort(trm_candidate *list, int64_t count, trm_candidate *scratch)
{
    enum { LONG = 192 };
    if (count < LONG) {
        qsort(list, (size_t)count, sizeof *list, trm_candidate_compare);
        return;
    }
    int64_t counts[DIGITS][DIGIT_VALUES] = {{0}};
    for (int64_t i = 0; i < count; i++) {
        const uint64_t order = trm_order_of(list[i].key);
        for (int digit = 0; digit < DIGITS; digit++)
            counts[digit][order >> (8 * digit) & (DIGIT_VALUES - 1)]++;
    }
    trm_candidate *from = list, *into = scratch;
    for (int digit = 0; digit < DIGITS; digit++) {
        if (counts[digit][digit_of(from[0].key, digit)] == count)
            continue; /* all the same */
        scatter(from, count, digit, counts[digit], into);
        trm_candidate *swap = from;
        from = into;
        into = swap;
    }
    if (from != list)
        memcpy(list, from, (size_t)count * sizeof *list);
}
