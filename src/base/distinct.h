/* The different ones of many row ids, in the order in which they came first. */
#ifndef TRM_BASE_DISTINCT_H
#define TRM_BASE_DISTINCT_H

#include <stdbool.h>
#include <stdint.h>

/* Begin with all zero. */
typedef struct trm_distinct {
    int64_t *id, count, room;
    int64_t *table, size; /* places in id, or -1, by hash; a power of two, at least twice count */
} trm_distinct;

/* Adds an id that is not negative; false: out of memory. */
bool trm_distinct_add(trm_distinct *set, int64_t id);
/* Its place in id; -1: it is not there. */
int64_t trm_distinct_find(const trm_distinct *set, int64_t id);
void trm_distinct_free(trm_distinct *set);
/* Bytes of so many different ids, at most, also while they grow. */
int64_t trm_distinct_bytes(int64_t count);

#endif
