/* Merging candidates; see candidate.h for why order can't matter. */
#include "base/candidate.h"

void trm_candidates_merge_min(trm_candidate *into, const trm_candidate *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (trm_candidate_less(from[i], into[i]))
            into[i] = from[i];
}

bool trm_candidate_insert(trm_candidate *list, int64_t length, trm_candidate candidate)
{
    if (length == 0 || !trm_candidate_less(candidate, list[length - 1]))
        return false;
    int64_t lo = 0, hi = length - 1; /* the first place whose candidate is not smaller */
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (trm_candidate_less(list[middle], candidate))
            lo = middle + 1;
        else
            hi = middle;
    }
    if (list[lo].id == candidate.id && list[lo].key == candidate.key)
        return false;
    for (int64_t i = length - 1; i > lo; i--)
        list[i] = list[i - 1];
    list[lo] = candidate;
    return true;
}

void trm_candidates_merge_sums(trm_candidate *into, const trm_candidate *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        into[i].id += from[i].id;
}

void trm_candidates_merge_lists(trm_candidate *into, const trm_candidate *from, int64_t count, int64_t length)
{
    for (int64_t start = 0; start < count; start += length)
        for (int64_t i = 0; i < length && trm_candidate_exists(from[start + i]); i++)
            trm_candidate_insert(into + start, length, from[start + i]);
}

int trm_candidate_compare(const void *a, const void *b)
{
    const trm_candidate *x = a, *y = b;
    return trm_candidate_less(*x, *y) ? -1 : trm_candidate_less(*y, *x) ? 1 : 0;
}
