/* The merges; see merge.h. */
#include "base/merge.h"

#include "base/candidate.h"
#include "base/draw.h"

#include <string.h>

static void clear_candidates(void *slots, int64_t count)
{
    trm_candidate *candidate = slots;
    for (int64_t i = 0; i < count; i++)
        candidate[i] = TRM_NO_CANDIDATE;
}

static void merge_min(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    trm_candidate *to = into;
    const trm_candidate *other = from;
    for (int64_t i = 0; i < offset[rows] - offset[0]; i++)
        if (trm_candidate_less(other[i], to[i]))
            to[i] = other[i];
}

static void merge_lists(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    trm_candidate *to = into;
    const trm_candidate *other = from;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t first = offset[row] - offset[0], length = offset[row + 1] - offset[row];
        for (int64_t i = 0; i < length && trm_candidate_exists(other[first + i]); i++)
            trm_candidate_insert(to + first, length, other[first + i]);
    }
}

static void gather_lists(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    trm_candidate *to = into;
    const trm_candidate *other = from;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t first = offset[row] - offset[0], length = offset[row + 1] - offset[row];
        const int64_t more = trm_candidates_count(other + first, length);
        const int64_t at = more > 0 ? trm_candidates_count(to + first, length) : length;
        const int64_t fit = more < length - at ? more : length - at;
        if (fit > 0)
            memcpy(to + first + at, other + first, (size_t)fit * sizeof *to);
    }
}

static void clear_draws(void *slots, int64_t count)
{
    trm_draw *draw = slots;
    for (int64_t i = 0; i < count; i++)
        draw[i] = TRM_NO_DRAW;
}

static void merge_draw_lists(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    trm_draw *to = into;
    const trm_draw *other = from;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t first = offset[row] - offset[0], length = offset[row + 1] - offset[row];
        for (int64_t i = 0; i < length && trm_draw_exists(other[first + i]); i++)
            trm_draw_insert(to + first, length, other[first + i]);
    }
}

static void merge_draws(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    trm_draw *to = into;
    const trm_draw *other = from;
    for (int64_t i = 0; i < offset[rows] - offset[0]; i++)
        trm_draw_put(&to[i], other[i]);
}

static void clear_counts(void *slots, int64_t count)
{
    if (count > 0)
        memset(slots, 0, (size_t)count * sizeof(int64_t));
}

static void merge_sums(void *into, const void *from, int64_t rows, const int64_t *offset)
{
    int64_t *to = into;
    const int64_t *other = from;
    for (int64_t i = 0; i < offset[rows] - offset[0]; i++)
        to[i] += other[i];
}

const trm_merge trm_merge_min = {"min", sizeof(trm_candidate), true, clear_candidates, merge_min};
const trm_merge trm_merge_list = {"list", sizeof(trm_candidate), true, clear_candidates, merge_lists};
const trm_merge trm_merge_gather = {"gather", sizeof(trm_candidate), false, clear_candidates, gather_lists};
const trm_merge trm_merge_draw = {"draw", sizeof(trm_draw), true, clear_draws, merge_draws};
const trm_merge trm_merge_draw_list = {"draw list", sizeof(trm_draw), true, clear_draws, merge_draw_lists};
const trm_merge trm_merge_sum = {"sum", sizeof(int64_t), false, clear_counts, merge_sums};
