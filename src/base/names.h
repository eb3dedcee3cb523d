/* A set of names: byte strings, each once, in one block of memory, found by hash.
 *
 * Class labels that are words become numbers by it: when all are in, trm_names_sort puts them in the order of
 * their bytes, and a name's number is its place. A name may hold any bytes, also none, also NUL. */
#ifndef TRM_BASE_NAMES_H
#define TRM_BASE_NAMES_H

#include "base/error.h"

#include <stdint.h>

typedef struct trm_names {
    int64_t count;
    int64_t *start; /* count + 1: where each begins in bytes; a NUL follows each */
    char *bytes;
    int64_t *slot; /* hash table: numbers + 1, 0 where free */
    int64_t room, byte_room, slots;
} trm_names;

/* An empty set is all zero. */
#define TRM_NAMES_INIT                                                                                       \
    {                                                                                                        \
        0, NULL, NULL, NULL, 0, 0, 0                                                                         \
    }

/* Adds a name unless it is there. Errors: MEMORY. */
trm_status trm_names_add(trm_names *names, const char *name, int64_t length, trm_error *err) TRM_MUST_CHECK;
/* Adds one at the end, whether it is there or not: of a list of names, in which none are found. Errors: MEMORY. */
trm_status trm_names_append(trm_names *names, const char *name, int64_t length,
                            trm_error *err) TRM_MUST_CHECK;
/* Its number, or -1. */
int64_t trm_names_find(const trm_names *names, const char *name, int64_t length);
/* A name; borrowed, with a NUL behind it. length may be NULL. */
const char *trm_names_get(const trm_names *names, int64_t number, int64_t *length);
/* Numbers the names anew, in the order of their bytes (a beginning of another name comes before it). Errors:
 * MEMORY. */
trm_status trm_names_sort(trm_names *names, trm_error *err) TRM_MUST_CHECK;
/* Bytes of memory it takes. */
int64_t trm_names_bytes(const trm_names *names);
/* Makes room for count names of bytes in all, NULs included, and finds what was put there behind the set's
 * back: start and bytes filled in, count set, then index. Errors: MEMORY. */
trm_status trm_names_reserve(trm_names *names, int64_t count, int64_t bytes, trm_error *err) TRM_MUST_CHECK;
trm_status trm_names_index(trm_names *names, trm_error *err) TRM_MUST_CHECK;
/* Frees, and leaves it empty. */
void trm_names_free(trm_names *names);

#endif
