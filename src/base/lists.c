/* The union of ascending lists; see lists.h.
 *
 * By a bitmap of a window of numbers, which moves on to the smallest number that is left: each number of a list costs a
 * bit, in a cache, whatever the number of lists. */
#include "base/lists.h"

#include <stddef.h>

enum { WORD_BITS = 64, WINDOW = TRM_UNION_WORDS * WORD_BITS };

static int64_t smallest(const trm_list *list, int64_t lists)
{
    int64_t least = INT64_MAX;
    for (int64_t k = 0; k < lists; k++)
        least = *list[k].at < least ? *list[k].at : least;
    return least;
}

/* Keeps the lists that are not empty; returns how many. */
static int64_t drop_empty(trm_list *list, int64_t lists)
{
    int64_t kept = 0;
    for (int64_t k = 0; k < lists; k++)
        if (list[k].at < list[k].end)
            list[kept++] = list[k];
    return kept;
}

/* Marks what lies in the window from first on, and moves the list beyond it. Returns the last word touched. */
static int64_t mark(trm_list *list, int64_t first, uint64_t *bits)
{
    int64_t last = 0;
    for (; list->at < list->end && *list->at - first < WINDOW; list->at++) {
        const int64_t bit = *list->at - first;
        last = bit / WORD_BITS;
        bits[last] |= UINT64_C(1) << bit % WORD_BITS;
    }
    return last;
}

/* Writes what is marked in a word and is kept, and clears it; returns how many there are by then. */
static int64_t take(uint64_t *word, int64_t first, const trm_list_keep *keep, int64_t *into, int64_t room,
                    int64_t count)
{
    if (into == NULL && keep == NULL) {
        count += __builtin_popcountll(*word);
        *word = 0;
    }
    for (; *word != 0; *word &= *word - 1) {
        const int64_t number = first + __builtin_ctzll(*word);
        if (keep != NULL && !keep->keep(keep->context, number))
            continue;
        if (into != NULL && count < room)
            into[count] = number;
        count++;
    }
    return count;
}

int64_t trm_lists_union(trm_list *list, int64_t lists, uint64_t *bits, const trm_list_keep *keep,
                        int64_t *into, int64_t room)
{
    int64_t count = 0;
    while ((lists = drop_empty(list, lists)) > 0) {
        const int64_t first = smallest(list, lists);
        int64_t last = 0;
        for (int64_t k = 0; k < lists; k++) {
            const int64_t touched = mark(&list[k], first, bits);
            last = touched > last ? touched : last;
        }
        for (int64_t word = 0; word <= last; word++)
            count = take(&bits[word], first + word * WORD_BITS, keep, into, room, count);
    }
    return count;
}
