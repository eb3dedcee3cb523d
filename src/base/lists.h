/* Ascending lists of row ids, or of other whole numbers that are not negative, and their union. */
#ifndef TRM_BASE_LISTS_H
#define TRM_BASE_LISTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct trm_list {
    const int64_t *at, *end;
} trm_list;

/* Which numbers count. */
typedef struct trm_list_keep {
    bool (*keep)(const void *context, int64_t number);
    const void *context;
} trm_list_keep;

enum { TRM_UNION_WORDS = 2048 };

/* What is in any of the lists and is kept (NULL: all of it), ascending, each number once, into into, of which room is used
 * at most; into NULL: only counted. Returns how many there are. list: empty afterwards, in another order. bits: TRM_UNION_WORDS words of zero, as
 * which they are left. */
int64_t trm_lists_union(trm_list *list, int64_t lists, uint64_t *bits, const trm_list_keep *keep,
                        int64_t *into, int64_t room);

#endif
